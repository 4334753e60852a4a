/* What agents say from inside their panes, and what is said to them. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"
#include "text.h"
#include "transition.h"

#define SAID_MAX 65536 /* bytes of a question, a progress line or a message */

static int check_text(const char *text, struct error *err)
{
	if (!text || !*text)
		return error_set(err, ERROR_INVALID, "with which text?");
	if (strlen(text) > SAID_MAX)
		return error_set(err, ERROR_INVALID, "the text is longer than %d bytes", SAID_MAX);
	return 0;
}

/* The attempt whose token the caller holds, while it is the current one. */
static int own_attempt(struct request *r, struct attempt_row *attempt, struct task_row *task,
                       struct error *err)
{
	if (!store_attempt_get(r->c->store, r->conn->attempt, attempt) ||
	    !store_task_get(r->c->store, attempt->task, task))
		return error_set(err, ERROR_STALE, "this attempt is not known any more");
	if (task->attempt != attempt->id || attempt->outcome != OUTCOME_NONE)
		return error_set(err, ERROR_STALE,
		                 "attempt %lld of %s is no longer the current one",
		                 (long long)attempt->id, task->key);
	return 0;
}

static void done_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ int64_t *attempt = context;
	_cleanup_attempt_ struct attempt_row row = {0};
	struct teammate *t;

	if (!store_attempt_get(c->store, *attempt, &row))
		return;
	t = team_find(c, row.teammate);
	if (t)
		teammate_notify(t, "attempt.done",
		                json_pack("{s:I}", "attempt", (json_int_t)*attempt));
}

int method_agent_done(struct request *r, struct error *err)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	int64_t *id;

	if (own_attempt(r, &attempt, &task, err) < 0)
		return -1;
	id = xcalloc(1, sizeof *id);
	*id = attempt.id;
	turn_effect(r->c, done_effect, NULL, id);
	request_reply(r, store_task_json(r->c->store, task.id));
	return 0;
}

int method_agent_ask(struct request *r, struct error *err)
{
	const char *text = json_text(r->params, "text");
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	int64_t *tasks;

	if (check_text(text, err) < 0 || own_attempt(r, &attempt, &task, err) < 0)
		return -1;
	/* The connection may have broken under the same question: then it stands already, or
	 * has been answered meanwhile. */
	if (task.status == TASK_IN_PROGRESS && !(json_flag(r->params, "again") && task.answer)) {
		_cleanup_json_ json_t *input =
		    json_pack("{s:s, s:s, s:n}", "reason", "question", "text", text, "options");
		const struct transition t = {
		    .task = task.id, .attempt = attempt.id, .verb = VERB_ASK, .input = input};

		if (task_change(r->c, &t, err) < 0)
			return -1;
		store_task_set_answer(r->c->store, task.id, NULL);
	}
	tasks = xcalloc(2, sizeof *tasks);
	tasks[0] = task.id;
	held_add(r->c,
	         (struct held){.kind = HELD_ANSWER, .later = request_later(r), .tasks = tasks});
	return 0;
}

int method_agent_progress(struct request *r, struct error *err)
{
	const char *text = json_text(r->params, "text");
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	struct teammate *t;
	json_t *data;

	if (check_text(text, err) < 0 || own_attempt(r, &attempt, &task, err) < 0)
		return -1;
	t = team_find(r->c, attempt.teammate);
	if (t) {
		free(t->progress);
		t->progress = text_safe(text, 200);
	}
	if (!t || time_mono_ms() - t->progress_ms >= 1000) { /* at most one event a second */
		data = json_pack("{s:s}", "text", text);
		int64_t seq = store_event_add(r->c->store, "task.progress", task.id, attempt.id,
		                              attempt.teammate, data);

		if (t && t->progress_seq) /* of each attempt the last one is kept */
			store_event_forget(r->c->store, t->progress_seq);
		if (t)
			t->progress_seq = seq;
		json_decref(data);
		if (t)
			t->progress_ms = time_mono_ms();
	}
	request_reply(r, json_object());
	return 0;
}

/* ---- messages ---- */

struct delivery {
	char *teammate;
	int64_t id;
	char *text;
};

static void deliver_effect(struct coordinator *c, void *context)
{
	struct delivery *delivery = context;
	struct teammate *t = team_find(c, delivery->teammate);

	if (t && t->attempt)
		teammate_notify(t, "attempt.message",
		                json_pack("{s:I, s:I, s:s}", "attempt", (json_int_t)t->attempt,
		                          "id", (json_int_t)delivery->id, "text", delivery->text));
	free(delivery->teammate);
	free(delivery->text);
	free(delivery);
}

static void send_to(struct request *r, struct teammate *t, const char *text, json_t *sent)
{
	int64_t id = store_message_add(r->c->store, t->name, 0, text);
	json_t *data = json_pack("{s:I}", "id", (json_int_t)id);

	store_event_add(r->c->store, "message.sent", t->task, t->attempt, t->name, data);
	json_decref(data);
	json_array_append_new(sent,
	                      json_pack("{s:s, s:s, s:I}", "teammate", t->name, "state",
	                                t->attempt ? "sent" : "queued", "id", (json_int_t)id));
	if (t->attempt) {
		struct delivery *delivery = xcalloc(1, sizeof *delivery);

		*delivery = (struct delivery){xstrdup(t->name), id, xstrdup(text)};
		turn_effect(r->c, deliver_effect, NULL, delivery);
	}
}

/* To a task that nobody works on yet: it waits for whoever gets it. */
static int send_to_task(struct request *r, const char *who, const char *text, json_t *sent,
                        struct error *err)
{
	_cleanup_task_ struct task_row row = {0};
	int64_t task, id;
	json_t *data;

	if (resolve_task(r, who, &task, err) < 0)
		return -1;
	store_task_get(r->c->store, task, &row);
	if (task_status_is_terminal(row.status))
		return error_set(err, ERROR_CONFLICT, "%s is %s: nobody would read it", row.key,
		                 task_status_word(row.status));
	id = store_message_add(r->c->store, NULL, task, text);
	data = json_pack("{s:I}", "id", (json_int_t)id);
	store_event_add(r->c->store, "message.sent", task, 0, NULL, data);
	json_decref(data);
	json_array_append_new(sent, json_pack("{s:n, s:s, s:I, s:s}", "teammate", "state", "queued",
	                                      "id", (json_int_t)id, "key", row.key));
	return 0;
}

int method_message_send(struct request *r, struct error *err)
{
	const char *text = json_text(r->params, "text"), *who = json_text(r->params, "who");
	_cleanup_json_ json_t *sent = json_array();
	struct error why = ERROR_INIT;
	struct teammate *t = NULL;

	if (check_text(text, err) < 0)
		return -1;
	if (json_flag(r->params, "all")) {
		for (t = r->c->team.first; t; t = t->next)
			send_to(r, t, text, sent);
	} else if (resolve_who(r, who, &t, &why) == 0) {
		send_to(r, t, text, sent);
	} else if (send_to_task(r, who, text, sent, err) < 0) {
		return -1;
	}
	request_reply(r, json_pack("{s:O}", "sent", sent));
	return 0;
}
