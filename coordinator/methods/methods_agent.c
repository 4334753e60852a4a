/* What agents say from inside their panes. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"
#include "text.h"
#include "transition.h"

/* The attempt whose token the caller holds, while it is the current one. */
int request_attempt(struct request *r, struct attempt_row *attempt, struct task_row *task,
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

	if (request_attempt(r, &attempt, &task, err) < 0)
		return -1;
	id = xcalloc(1, sizeof *id);
	*id = attempt.id;
	turn_effect(r->c, done_effect, NULL, id);
	request_reply_task(r, task.id);
	return 0;
}

int method_agent_ask(struct request *r, struct error *err)
{
	const char *text = json_text(r->params, "text");
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	int64_t *tasks;

	if (check_said(text, err) < 0 || request_attempt(r, &attempt, &task, err) < 0)
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

	if (check_said(text, err) < 0 || request_attempt(r, &attempt, &task, err) < 0)
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
