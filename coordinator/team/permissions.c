/* Hooks of agents: what they report goes to the worker that runs the attempt, what they ask is
 * held until that worker has decided; and the record of every decision. Decides nothing itself
 * and never guesses who speaks: the connection's token says it. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"
#include "text.h"

#define NONCE_MAX 80

static void tell_hook(struct teammate *t, int64_t attempt, int64_t id, const json_t *event,
                      const json_t *nonce)
{
	teammate_notify(t, "attempt.hook",
	                json_pack("{s:I, s:I, s:O, s:O?}", "attempt", (json_int_t)attempt, "id",
	                          (json_int_t)id, "event", event, "nonce", nonce));
}

struct hook_report {
	char *teammate;
	int64_t attempt;
	json_t *event;
};

static void report_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct hook_report *report = context;

	(void)c;
	(void)why;
	json_decref(report->event);
	free(report->teammate);
	free(report);
}

static void report_effect(struct coordinator *c, void *context)
{
	struct hook_report *report = context;
	struct teammate *t = team_find(c, report->teammate);

	if (t && t->attempt == report->attempt)
		tell_hook(t, report->attempt, 0, report->event, NULL);
	report_drop(c, report, NULL);
}

static void ask_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);

	if (t)
		hooks_ask_again(c, t);
}

static int64_t next_hook(void)
{
	static int64_t last; /* numbers of this process only: a hook asks the next one again */

	return ++last;
}

int method_agent_hook(struct request *r, struct error *err)
{
	json_t *event = json_object_get(r->params, "event");
	const char *nonce = json_text(r->params, "nonce");
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	struct hook_report *report;
	int64_t *ids;

	if (!json_is_string(event))
		return error_set(err, ERROR_INVALID, "agent.hook: no event");
	if (request_attempt(r, &attempt, &task, err) < 0)
		return -1;
	if (!json_flag(r->params, "decide")) {
		report = xcalloc(1, sizeof *report);
		*report =
		    (struct hook_report){xstrdup(attempt.teammate), attempt.id, json_incref(event)};
		turn_effect(r->c, report_effect, report_drop, report);
		request_reply(r, json_object());
		return 0;
	}
	if (!nonce || strlen(nonce) > NONCE_MAX)
		return error_set(err, ERROR_INVALID, "agent.hook: no nonce");
	ids = xcalloc(2, sizeof *ids);
	ids[0] = attempt.id;
	held_add(r->c,
	         (struct held){.kind = HELD_HOOK,
	                       .later = request_later(r),
	                       .tasks = ids,
	                       .since = next_hook(),
	                       .note = json_pack("{s:O, s:s}", "event", event, "nonce", nonce)});
	turn_effect(r->c, ask_effect, NULL, xstrdup(attempt.teammate));
	return 0;
}

/* Its worker knows by the nonce what it was asked before. */
void hooks_ask_again(struct coordinator *c, struct teammate *t)
{
	for (struct held *h = c->held; h; h = h->next)
		if (h->kind == HELD_HOOK && h->tasks[0] == t->attempt && h->later->conn &&
		    !json_object_get(h->note, "output"))
			tell_hook(t, t->attempt, h->since, json_object_get(h->note, "event"),
			          json_object_get(h->note, "nonce"));
}

json_t *hook_result(struct coordinator *c, const struct held *h, struct error *err)
{
	json_t *output = json_object_get(h->note, "output");
	_cleanup_attempt_ struct attempt_row row = {0};

	if (output)
		return json_pack("{s:O}", "output", output);
	if (!store_attempt_get(c->store, h->tasks[0], &row) || row.outcome != OUTCOME_NONE)
		error_set(err, ERROR_STALE, "the attempt has ended");
	return NULL;
}

/* Whoever asked has gone: the agent was answered in its pane, or gave up. */
void hook_gone(struct coordinator *c, const struct held *h)
{
	for (struct teammate *t = c->team.first; t; t = t->next)
		if (t->attempt && t->attempt == h->tasks[0])
			teammate_notify(t, "attempt.hook_gone",
			                json_pack("{s:I, s:I}", "attempt", (json_int_t)t->attempt,
			                          "id", (json_int_t)h->since));
}

int method_hook_decided(struct request *r, struct error *err)
{
	struct teammate *t = r->conn->teammate;
	int64_t id = json_int(r->params, "id", 0);
	json_t *output = json_object_get(r->params, "output");

	if (!t || !output)
		return error_set(err, ERROR_STALE, "hook.decided: not by this worker");
	for (struct held *h = r->c->held; h; h = h->next)
		if (h->kind == HELD_HOOK && h->since == id && h->tasks[0] == t->attempt)
			json_object_set(h->note, "output", output);
	return 0;
}

static json_t *safe_field(const json_t *params, const char *key, size_t width)
{
	const char *text = json_text(params, key);
	_cleanup_free_ char *shown = text ? text_safe(text, width) : NULL;

	return json_text_or_null(shown);
}

int method_permission_decided(struct request *r, struct error *err)
{
	struct teammate *t = r->conn->teammate;
	const char *decision = json_text(r->params, "decision"), *by = json_text(r->params, "by");
	json_t *data;

	if (!t || json_int(r->params, "attempt", 0) != t->attempt)
		return error_set(err, ERROR_STALE, "not this worker's attempt");
	if (!decision || (strcmp(decision, "allow") != 0 && strcmp(decision, "deny") != 0) || !by ||
	    (strcmp(by, "policy") != 0 && strcmp(by, "person") != 0))
		return error_set(err, ERROR_INVALID, "permission.decided: what, by whom?");
	data = json_pack("{s:o, s:o, s:s, s:s, s:o}", "tool", safe_field(r->params, "tool", 100),
	                 "text", safe_field(r->params, "text", 400), "decision", decision, "by", by,
	                 "rule", safe_field(r->params, "rule", 200));
	store_event_add(r->c->store, "permission.decided", t->task, t->attempt, t->name, data);
	json_decref(data);
	return 0;
}
