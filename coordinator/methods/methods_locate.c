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

/* The newest first. New reference. */
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

/* The attempt of that number where it is the teammate's. 0: it is not. */
static int64_t attempt_of_teammate(struct store *store, const char *name, int64_t n)
{
	_cleanup_attempt_ struct attempt_row row = {0};

	return store_attempt_get(store, n, &row) && strcmp(row.teammate, name) == 0 ? n : 0;
}

/* The attempt of that number where it is the task's, else the nth of the task's. 0: neither. */
static int64_t attempt_of_task(struct store *store, int64_t task, int64_t n)
{
	_cleanup_json_ json_t *ids = attempts_of(store, task);
	_cleanup_attempt_ struct attempt_row row = {0};

	if (store_attempt_get(store, n, &row) && row.task == task)
		return n;
	return json_integer_value(json_array_get(ids, json_array_size(ids) - (size_t)n));
}

/* WHO → the attempt whose log is meant: a teammate's newest, a task's, or the one named. */
static int find_attempt(struct request *r, int64_t *out, struct error *err)
{
	const char *who = json_text(r->params, "who");
	const struct teammate *t = who ? team_find(r->c, who) : NULL;
	int64_t n = json_int(r->params, "attempt", 0), id = n;
	struct store *store = r->c->store;
	_cleanup_task_ struct task_row row = {0};

	if (t) {
		id = n ? attempt_of_teammate(store, t->name, n)
		       : store_attempt_newest_of(store, t->name);
	} else if (who || !n) {
		if (resolve_who_task(r, who, &id, err) < 0)
			return -1;
		get_work(r->c, id, &row);
		id = n ? attempt_of_task(store, row.id, n) : row.attempt;
	}
	if (!id && n)
		return error_set(err, ERROR_NOT_FOUND,
		                 "%s has no attempt %lld (pleach task show names those of a task)",
		                 who, (long long)n);
	if (!id)
		return error_set(err, ERROR_NOT_FOUND, "%s has not run yet: there is no output",
		                 row.key ? row.key : who);
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
