/* Judges: a plan's own command reads all alternatives of a choice as JSON and answers with their
 * order and the reasons. It runs below pleach-git, off the loop, with a time limit; what it
 * says only counts while the choice still waits for it. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "ranking.h"
#include "text.h"

#define JUDGE_TIMEOUT_S 600         /* where the plan names none */
#define JUDGE_PATCH_MAX (256 << 10) /* bytes of each alternative's patch that it gets */
#define REASON_MAX      2000        /* bytes of a reason that are kept */
#define CANCEL_TRIES    50

struct judging {
	int64_t choice;
	struct judging *next;
};

/* A handful at most. */
static struct judging *judgings;
static bool cancelling;

static struct judging **find(int64_t choice)
{
	struct judging **at = &judgings;

	while (*at && (*at)->choice != choice)
		at = &(*at)->next;
	return at;
}

static void forget(int64_t choice)
{
	struct judging **at = find(choice), *gone = *at;

	if (gone) {
		*at = gone->next;
		free(gone);
	}
}

bool judges_busy(void)
{
	return judgings != NULL;
}

/* ---- what it said ---- */

struct verdict {
	int64_t choice;
	const json_t *answer; /* of pleach-git; NULL: why */
	const struct error *why;
	char *problem; /* why there is none */
};

/* The alternative that a judge means by its key or its id, 0: none. */
static int64_t alternative_of(struct coordinator *c, const int64_t *alternatives,
                              const json_t *name)
{
	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (!store_task_get(c->store, alternatives[i], &row))
			continue;
		if (json_is_integer(name)
		        ? json_integer_value(name) == row.id
		        : json_is_string(name) && strcmp(json_string_value(name), row.key) == 0)
			return row.id;
	}
	return 0;
}

static json_t *reason_of(const json_t *item, const json_t *said, const json_t *name)
{
	const char *reason = json_text(item, "reason");
	_cleanup_free_ char *safe = NULL;

	if (!reason && json_is_string(name))
		reason = json_text(json_object_get(said, "reasons"), json_string_value(name));
	safe = reason ? text_safe(reason, 0) : NULL;
	if (safe && strlen(safe) > REASON_MAX)
		for (size_t cut = REASON_MAX;; cut--)
			if (((unsigned char)safe[cut] & 0xc0) != 0x80) {
				safe[cut] = '\0';
				break;
			}
	return json_text_or_null(safe);
}

/* [KEY | id | {"key" or "id","reason"}], best first, alone or as "order" beside "reasons".
 * New reference, or NULL with a problem. */
static json_t *read_order(struct coordinator *c, struct verdict *v, const json_t *said,
                          const int64_t *alternatives)
{
	const json_t *list = json_is_array(said) ? said : json_object_get(said, "order");
	json_t *order = json_array(), *item;
	size_t i, j;

	if (!json_is_array(list) || !json_array_size(list)) {
		v->problem = xstrdup("the judge named no order");
		json_decref(order);
		return NULL;
	}
	json_array_foreach (list, i, item) {
		const json_t *name = json_is_object(item) ? json_object_get(item, "key") : item;
		int64_t id;
		json_t *other;

		if (!name)
			name = json_object_get(item, "id");
		id = alternative_of(c, alternatives, name);
		json_array_foreach (order, j, other)
			if (json_int(other, "id", 0) == id)
				id = 0; /* named twice */
		if (!id) {
			_cleanup_free_ char *text = jsonl_text(name ? name : item);
			_cleanup_free_ char *shown = text_safe(text, 60);

			v->problem = xasprintf(
			    "the judge named %s, which is no alternative (or named twice)", shown);
			json_decref(order);
			return NULL;
		}
		json_array_append_new(order, json_pack("{s:I, s:o}", "id", (json_int_t)id, "reason",
		                                       reason_of(item, said, name)));
	}
	return order;
}

/* {"order","seconds"}, or NULL with a problem. */
static json_t *read_verdict(struct coordinator *c, struct verdict *v)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, v->choice);
	const char *output = json_text(v->answer, "output");
	int64_t code = json_int(v->answer, "exit_code", -1);
	_cleanup_json_ json_t *said = NULL;
	struct error err = ERROR_INIT;
	json_t *order;

	if (!v->answer) {
		_cleanup_free_ char *shown = text_safe(v->why->text, 160);

		v->problem = xasprintf("the judge could not be asked: %s", shown);
		return NULL;
	}
	if (json_flag(v->answer, "timed_out") || code != 0) {
		const char *tail = json_text(v->answer, "tail");
		_cleanup_free_ char *shown = text_safe(tail ? tail : "", 120);

		if (json_flag(v->answer, "timed_out"))
			v->problem = xstrdup("the judge did not answer in time");
		else
			v->problem = xasprintf("the judge: exit %lld%s%s", (long long)code,
			                       *shown ? ": " : "", shown);
		return NULL;
	}
	said = output ? jsonl_parse(output, strlen(output), &err) : NULL;
	if (!said) {
		v->problem = xstrdup("what the judge said is no JSON");
		return NULL;
	}
	order = read_order(c, v, said, alternatives);
	return order ? json_pack("{s:o, s:f}", "order", order, "seconds",
	                         json_num(v->answer, "seconds", 0))
	             : NULL;
}

static int verdict_step(struct coordinator *c, void *context, struct error *err)
{
	struct verdict *v = context;
	_cleanup_json_ json_t *verdict = NULL;
	_cleanup_task_ struct task_row row = {0}, first = {0};
	int64_t best;

	/* Cancelled, picked by a person, an alternative tried again: nobody asks any more. */
	if (!store_task_get(c->store, v->choice, &row) || row.status != TASK_PENDING ||
	    !choice_is_settled(c, v->choice))
		return 0;
	verdict = read_verdict(c, v);
	if (!verdict)
		return choice_ask(c, v->choice, v->problem, err);
	store_verdict_put(c->store, v->choice, verdict);
	best = json_int(json_array_get(json_object_get(verdict, "order"), 0), "id", 0);
	if (store_task_get(c->store, best, &first) && first.status == TASK_COMPLETED)
		return choice_pick(c, best, err);
	return choice_ask(c, v->choice, "the judge put one first that did not pass", err);
}

static void judged(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	_cleanup_free_ int64_t *choice = context;
	struct verdict v = {.choice = *choice, .answer = result, .why = why};
	struct error err = ERROR_INIT;

	forget(*choice);
	if (gitq_is_unasked(why))
		return;                 /* nor is stored what it was to judge */
	if (c->draining || c->ending) { /* ended with us: asked again by the next one */
		held_check(c);
		return;
	}
	if (turn_step(c, verdict_step, &v, &err) < 0)
		log_error("judge", "task=%lld: %s", (long long)*choice, err.text);
	free(v.problem);
}

/* ---- asking ---- */

static void compared(struct coordinator *c, json_t *comparison, const struct error *why,
                     void *context)
{
	static const struct error unasked = {ERROR_BUSY, "nobody waits for it any more"};
	int64_t *choice = context;
	_cleanup_task_ struct task_row row = {0};
	_cleanup_json_ json_t *rule = NULL;
	double timeout;

	if (!comparison || c->draining || c->ending || !store_task_get(c->store, *choice, &row)) {
		judged(c, NULL, why ? why : &unasked, choice);
		return;
	}
	rule = ranking_rule(row.choose);
	timeout = json_num(rule, "timeout", JUDGE_TIMEOUT_S);
	gitq_ask(c, "judge",
	         json_pack("{s:O?, s:O, s:f, s:o, s:o}", "command", ranking_judge(rule), "input",
	                   comparison, "timeout", timeout, "env",
	                   environment_for(c, row.plan_name, row.key), "log",
	                   json_sprintf("%s/judge.log", c->place.state_dir)),
	         judged, choice);
}

int judge_start(struct coordinator *c, int64_t choice)
{
	struct judging *judging;
	int64_t *context;

	/* Before the landings are settled a judge of an earlier coordinator may still be ended. */
	if (*find(choice) || !landings_are_ready(c) || c->draining || c->ending)
		return 0;
	judging = xcalloc(1, sizeof *judging);
	judging->choice = choice;
	judging->next = judgings;
	judgings = judging;
	context = xcalloc(1, sizeof *context);
	*context = choice;
	store_verdict_put(c->store, choice, NULL);
	compare_start(c, choice, store_task_alternatives(c->store, choice), JUDGE_PATCH_MAX,
	              compared, context);
	return 0;
}

static int resume_step(struct coordinator *c, void *context, struct error *err)
{
	_cleanup_free_ int64_t *choices = store_choices_judged(c->store);

	(void)context;
	for (size_t i = 0; choices[i]; i++)
		if (choice_decide(c, choices[i], err) < 0)
			log_error("judge", "task=%lld: %s", (long long)choices[i], err->text);
	return 0;
}

void judges_resume(struct coordinator *c)
{
	struct error err = ERROR_INIT;

	if (turn_step(c, resume_step, NULL, &err) < 0)
		log_error("judge", "%s", err.text);
}

/* ---- the end ---- */

struct cancel {
	uv_work_t work;
	char *marker;
};

static void cancel_work(uv_work_t *work)
{
	struct cancel *cancel = work->data;

	proc_kill_survivors(cancel->marker, NULL, 0, CANCEL_TRIES);
}

static void cancel_done(uv_work_t *work, int status)
{
	struct cancel *cancel = work->data;

	(void)status;
	cancelling = false;
	free(cancel->marker);
	free(cancel);
}

/* What a judge costs is paid again after the end; it must not outlive it. */
void judges_cancel(struct coordinator *c)
{
	struct cancel *cancel;

	if (!judgings || cancelling)
		return;
	cancelling = true;
	cancel = xcalloc(1, sizeof *cancel);
	cancel->work.data = cancel;
	cancel->marker = xasprintf("PLEACH_JUDGE=%s", c->place.id);
	uv_queue_work(&c->loop, &cancel->work, cancel_work, cancel_done);
}
