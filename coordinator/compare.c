/* Comparison: alternatives side by side, from the same base, by the same verify. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"

struct comparison {
	struct later *later;
	int64_t parent;  /* 0: tasks that are not alternatives of one */
	json_t *request; /* for pleach-git, all but the target's commit */
	int64_t *tasks;  /* 0 at the end */
};

static void comparison_free(struct comparison *cmp)
{
	json_decref(cmp->request);
	free(cmp->tasks);
	free(cmp);
}

static const json_t *item_of(const json_t *result, int64_t id)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(result, "items"), i, item)
		if (json_int(item, "id", 0) == id)
			return item;
	return NULL;
}

static void copy_fields(json_t *to, const json_t *from, const char *const *names)
{
	for (size_t i = 0; names[i]; i++) {
		json_t *value = json_object_get(from, names[i]);

		json_object_set(to, names[i], value ? value : json_null());
	}
}

static json_t *row_json(struct coordinator *c, int64_t id, const json_t *result)
{
	static const char *const of_task[] = {"id",     "key",     "agent",  "model", "status",
	                                      "verify", "seconds", "branch", "base",  "head",
	                                      "usage",  "subject", "error",  NULL};
	static const char *const of_git[] = {"files_changed", "insertions",  "deletions",
	                                     "commits",       "conflicts",   "same_as",
	                                     "tests_edited",  "tests_added", NULL};
	_cleanup_json_ json_t *task = store_task_json(c->store, id);
	json_t *row = json_object();
	const json_t *verify = json_sub(task, "verify");

	copy_fields(row, task, of_task);
	copy_fields(row, item_of(result, id), of_git);
	json_object_set_new(row, "verify_exit_code",
	                    verify ? json_incref(json_object_get(verify, "exit_code"))
	                           : json_null());
	json_object_set_new(row, "rank", json_null());
	json_object_set_new(row, "chosen", json_false());
	return row;
}

/* Proven first, then what changed fewer lines, then lower id. SIZE_MAX-like for the rest. */
static int64_t score(const json_t *row)
{
	const char *status = json_text(row, "status");
	int64_t lines = json_int(row, "insertions", 0) + json_int(row, "deletions", 0);

	if (!status || strcmp(status, "completed") != 0)
		return INT64_MAX;
	return lines + (json_is_null(json_object_get(row, "verify_exit_code")) ? INT64_MAX / 2 : 0);
}

static void rank_rows(json_t *rows)
{
	size_t i, j;
	json_t *row, *other;

	json_array_foreach (rows, i, row) {
		int64_t mine = score(row), rank = 1;

		if (mine == INT64_MAX)
			continue;
		json_array_foreach (rows, j, other)
			rank += score(other) < mine || (score(other) == mine && j < i);
		json_object_set_new(row, "rank", json_integer(rank));
	}
}

static json_t *comparison_json(struct coordinator *c, const struct comparison *cmp,
                               const json_t *result)
{
	_cleanup_json_ json_t *parent = cmp->parent ? store_task_json(c->store, cmp->parent) : NULL;
	_cleanup_task_ struct task_row first = {0};
	_cleanup_json_ json_t *spec = NULL;
	json_t *rows = json_array(), *overlaps = json_object_get(result, "overlaps"), *row;
	int64_t chosen = json_int(parent, "chosen", 0);
	size_t i;

	for (i = 0; cmp->tasks[i]; i++)
		json_array_append_new(rows, row_json(c, cmp->tasks[i], result));
	rank_rows(rows);
	json_array_foreach (rows, i, row)
		if (chosen && json_int(row, "id", 0) == chosen)
			json_object_set_new(row, "chosen", json_true());
	store_task_get(c->store, cmp->tasks[0], &first);
	spec = store_task_spec(c->store, cmp->tasks[0]);
	return json_pack("{s:o, s:O?, s:O?, s:s?, s:O?, s:o, s:O?}", "task",
	                 json_int_or_null(cmp->parent, 0), "key", json_object_get(parent, "key"),
	                 "subject", json_object_get(parent, "subject"), "base", first.base,
	                 "verify", json_object_get(json_object_get(spec, "verify"), "command"),
	                 "alternatives", rows, "overlaps", overlaps);
}

static void compared(struct coordinator *c, const json_t *result, const struct error *why,
                     void *context)
{
	struct comparison *cmp = context;

	if (result)
		later_reply(c, cmp->later, comparison_json(c, cmp, result));
	else
		later_fail(c, cmp->later, why);
	comparison_free(cmp);
}

/* The target as it is now: what the alternatives would meet when they land. */
static void target_found(struct coordinator *c, const json_t *result, const struct error *why,
                         void *context)
{
	struct comparison *cmp = context;
	const json_t *branch = json_array_get(json_object_get(result, "branches"), 0);

	if (!result) {
		later_fail(c, cmp->later, why);
		comparison_free(cmp);
		return;
	}
	json_object_set_new(cmp->request, "target", json_text_or_null(json_text(branch, "commit")));
	gitq_ask(c, "compare", json_incref(cmp->request), compared, cmp);
}

static json_t *items_json(struct coordinator *c, const int64_t *tasks, json_t **protect)
{
	json_t *items = json_array();

	for (size_t i = 0; tasks[i]; i++) {
		_cleanup_task_ struct task_row task = {0};
		_cleanup_json_ json_t *spec = store_task_spec(c->store, tasks[i]);

		if (!*protect)
			*protect = json_incref(
			    json_object_get(json_object_get(spec, "verify"), "protect"));
		if (store_task_get(c->store, tasks[i], &task) && task.head && task.base)
			json_array_append_new(items, json_pack("{s:I, s:s, s:s}", "id",
			                                       (json_int_t)task.id, "base",
			                                       task.base, "head", task.head));
	}
	return items;
}

static int ask(struct request *r, int64_t parent, int64_t *tasks, struct error *err)
{
	struct comparison *cmp = xcalloc(1, sizeof *cmp);
	_cleanup_task_ struct task_row first = {0};
	struct plan_row plan = {0};
	json_t *protect = NULL, *items;

	(void)err;
	store_task_get(r->c->store, tasks[0], &first);
	store_plan_get(r->c->store, first.plan, &plan);
	items = items_json(r->c, tasks, &protect);
	*cmp = (struct comparison){
	    .later = request_later(r),
	    .parent = parent,
	    .tasks = tasks,
	    .request = json_pack("{s:o, s:o}", "protect", protect ? protect : json_array(), "items",
	                         items),
	};
	gitq_ask(r->c, "resolve",
	         json_pack("{s:[], s:o}", "revs", "branches",
	                   plan.target ? json_pack("[s]", plan.target) : json_array()),
	         target_found, cmp);
	plan_row_finish(&plan);
	return 0;
}

int method_task_compare(struct request *r, struct error *err)
{
	const json_t *refs = json_sub(r->params, "tasks");
	size_t n = json_array_size(refs);
	_cleanup_free_ int64_t *tasks = xcalloc(n + 1, sizeof *tasks);
	_cleanup_task_ struct task_row only = {0};
	int64_t parent = 0;

	if (!n)
		return error_set(err, ERROR_INVALID, "compare which tasks?");
	for (size_t i = 0; i < n; i++)
		if (resolve_task(r, json_string_value(json_array_get(refs, i)), &tasks[i], err) < 0)
			return -1;
	if (n == 1 && store_task_get(r->c->store, tasks[0], &only)) {
		parent = only.kind == KIND_CHOICE ? only.id : only.parent;
		if (parent) {
			free(tasks);
			tasks = store_task_alternatives(r->c->store, parent);
		}
	}
	if (ask(r, parent, tasks, err) < 0)
		return -1;
	tasks = NULL; /* the comparison's now */
	return 0;
}
