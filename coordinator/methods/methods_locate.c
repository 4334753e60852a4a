/* Where what a task made is found: its branch, its slot, its attempts and what they logged. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"

/* Of a choice its winner, once there is one. */
static void get_work(struct coordinator *c, int64_t id, struct task_row *out)
{
	int64_t chosen;

	store_task_get(c->store, id, out);
	chosen = out->chosen;
	if (!chosen)
		return;
	task_row_finish(out);
	store_task_get(c->store, chosen, out);
}

/* Newest first. New reference. */
static json_t *attempts_of(struct store *store, int64_t task)
{
	json_t *list = json_array();

	for (int64_t id = INT64_MAX; (id = store_attempt_previous(store, task, id)) > 0;)
		json_array_append_new(list, json_integer(id));
	return list;
}

/* What to type for the first alternative of a choice; the choice itself has no branch until one is
 * chosen. Caller frees. */
static char *first_alternative(struct coordinator *c, int64_t choice)
{
	_cleanup_free_ int64_t *ids = store_task_alternatives(c->store, choice);
	_cleanup_task_ struct task_row row = {0};

	return ids[0] && store_task_get(c->store, ids[0], &row) ? task_typed(c, &row) : NULL;
}

int method_task_locate(struct request *r, struct error *err)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row row = {0};
	_cleanup_free_ char *branch = NULL, *alternative = NULL;
	int64_t id = 0;
	bool running;

	if (resolve_task(r, json_text(r->params, "task"), &id, err) < 0)
		return -1;
	get_work(r->c, id, &row);
	if (row.attempt)
		store_attempt_get(r->c->store, row.attempt, &attempt);
	running = attempt.id && attempt.outcome == OUTCOME_NONE;
	if (!row.slot_none && row.kind == KIND_WORK)
		branch = task_branch(row.plan_name, row.key);
	if (row.kind == KIND_CHOICE)
		alternative = first_alternative(r->c, row.id);
	request_reply(r, json_pack("{s:I, s:s, s:s?, s:s?, s:s?, s:s?, s:o, s:b, s:o, s:s?}", "id",
	                           (json_int_t)row.id, "key", row.key, "branch", branch, "base",
	                           row.base, "head", row.head, "slot",
	                           running ? attempt.slot : NULL, "attempt",
	                           json_int_or_null(row.attempt, 0), "running", running, "attempts",
	                           attempts_of(r->c->store, row.id), "alternative", alternative));
	return 0;
}

/* An attempt that was named has to be one of WHO's. */
static int check_attempt(struct request *r, const char *who, const struct teammate *t, int64_t id,
                         int64_t *out, struct error *err)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	int64_t task = 0;
	bool mine;

	if (!t && resolve_task(r, who, &task, err) < 0)
		return -1;
	mine = store_attempt_get(r->c->store, id, &attempt) &&
	       (t ? strcmp(attempt.teammate, t->name) == 0 : attempt.task == task);
	if (!mine)
		return error_set(err, ERROR_NOT_FOUND,
		                 "%s has no attempt %lld (pleach events names them)", who,
		                 (long long)id);
	*out = id;
	return 0;
}

/* WHO → the attempt whose log is meant: a teammate's newest, a task's, or the one named. */
static int find_attempt(struct request *r, int64_t *out, struct error *err)
{
	const char *who = json_text(r->params, "who");
	struct teammate *t = who ? team_find(r->c, who) : NULL;
	_cleanup_task_ struct task_row row = {0};
	int64_t id = json_int(r->params, "attempt", 0);

	if (id && who)
		return check_attempt(r, who, t, id, out, err);
	if (!id && t)
		id = store_attempt_newest_of(r->c->store, t->name);
	if (!id && !t) {
		int64_t task;

		if (resolve_task(r, who, &task, err) < 0)
			return -1;
		get_work(r->c, task, &row);
		id = row.attempt;
	}
	if (!id)
		return error_set(err, ERROR_NOT_FOUND, "%s has not run yet: there is no output",
		                 row.key ? row.key : (who ? who : "it"));
	*out = id;
	return 0;
}

int method_task_log(struct request *r, struct error *err)
{
	const char *file = json_flag(r->params, "verify") ? "verify.log"
	                   : json_flag(r->params, "raw")  ? "stream.jsonl"
	                                                  : "output.log";
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	_cleanup_free_ char *path = NULL;
	int64_t id = 0;

	if (find_attempt(r, &id, err) < 0)
		return -1;
	if (!store_attempt_get(r->c->store, id, &attempt) ||
	    !store_task_get(r->c->store, attempt.task, &task))
		return error_set(err, ERROR_NOT_FOUND, "there is no attempt %lld", (long long)id);
	path = xasprintf("%s/attempts/%lld/%s", r->c->place.state_dir, (long long)id, file);
	request_reply(r, json_pack("{s:s, s:I, s:b, s:I, s:s, s:s}", "path", path, "attempt",
	                           (json_int_t)id, "running", attempt.outcome == OUTCOME_NONE,
	                           "task", (json_int_t)task.id, "key", task.key, "teammate",
	                           attempt.teammate));
	return 0;
}
