/* Comparison: alternatives side by side, from the same base, by the same verify. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "ranking.h"

struct comparison {
	compared_fn done;
	void *context;
	int64_t parent;  /* 0: tasks that are not alternatives of one */
	json_t *request; /* for pleach-git, all but the target's commit */
	int64_t *tasks;  /* 0 at the end */
};

static void comparison_end(struct coordinator *c, struct comparison *cmp, json_t *answer,
                           const struct error *why)
{
	cmp->done(c, answer, why, cmp->context);
	json_decref(answer);
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

json_t *compare_row(struct coordinator *c, int64_t id, const json_t *git)
{
	static const char *const of_task[] = {
	    "id",      "key",      "agent",     "model",  "status", "verify",
	    "branch",  "seconds",  "base",      "head",   "usage",  "error",
	    "subject", "measures", "continues", "rounds", "name",   NULL};
	static const char *const of_git[] = {
	    "files_changed", "insertions", "deletions",    "commits", "conflicts", "same_as",
	    "tree",          "files",      "tests_edited", "tests",   "source",    "protected",
	    "tests_added",   NULL};
	static const char *const more[] = {"patch", "patch_cut"};
	_cleanup_json_ json_t *task = task_tree(c, id, TASK_WHOLE);
	const json_t *verify = json_sub(task, "verify"), *changes = json_sub(task, "changes");
	json_t *row = json_object();

	copy_fields(row, task, of_task);
	copy_fields(row, git, of_git);
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		if (json_object_get(git, more[i]))
			json_object_set(row, more[i], json_object_get(git, more[i]));
	if (!git && changes) {
		json_object_set(row, "files_changed", json_object_get(changes, "files"));
		json_object_set(row, "insertions", json_object_get(changes, "insertions"));
		json_object_set(row, "deletions", json_object_get(changes, "deletions"));
	}
	json_object_set_new(row, "verify_exit_code",
	                    verify ? json_incref(json_object_get(verify, "exit_code"))
	                           : json_null());
	json_object_set_new(row, "chosen", json_false());
	return row;
}

static json_t *comparison_json(struct coordinator *c, const struct comparison *cmp,
                               const json_t *result)
{
	_cleanup_json_ json_t *parent = cmp->parent ? task_tree(c, cmp->parent, TASK_WHOLE) : NULL;
	_cleanup_json_ json_t *verdict = cmp->parent ? store_verdict(c->store, cmp->parent) : NULL;
	_cleanup_task_ struct task_row first = {0}, choice = {0};
	_cleanup_json_ json_t *spec = NULL, *rule = NULL;
	json_t *rows = json_array(), *row;
	int64_t chosen = json_int(parent, "chosen", 0);
	size_t i;

	for (i = 0; cmp->tasks[i]; i++)
		json_array_append_new(
		    rows, compare_row(c, cmp->tasks[i], item_of(result, cmp->tasks[i])));
	if (cmp->parent)
		store_task_get(c->store, cmp->parent, &choice);
	rule = ranking_rule(choice.choose);
	ranking_apply(rows, rule, verdict);
	json_array_foreach (rows, i, row)
		if (chosen && json_int(row, "id", 0) == chosen)
			json_object_set_new(row, "chosen", json_true());
	store_task_get(c->store, cmp->tasks[0], &first);
	spec = store_task_spec(c->store, cmp->tasks[0]);
	return json_pack(
	    "{s:o, s:O?, s:O?, s:O?, s:O?, s:s?, s:s?, s:s?, s:O?, s:O?, s:O?, s:o, s:O?}", "task",
	    json_int_or_null(cmp->parent, 0), "key", json_object_get(parent, "key"), "name",
	    json_object_get(parent, "name"), "subject", json_object_get(parent, "subject"),
	    "prompt", json_object_get(parent, "prompt"), "base",
	    first.base ? first.base : first.root_base, "target",
	    json_text(cmp->request, "target_name"), "target_commit",
	    json_text(cmp->request, "target"), "verify",
	    json_object_get(json_object_get(spec, "verify"), "command"), "choose",
	    cmp->parent ? rule : NULL, "judge", verdict, "alternatives", rows, "overlaps",
	    json_object_get(result, "overlaps"));
}

static void compared(struct coordinator *c, const json_t *result, const struct error *why,
                     void *context)
{
	struct comparison *cmp = context;

	comparison_end(c, cmp, result ? comparison_json(c, cmp, result) : NULL, why);
}

/* The target as it is now: what the alternatives would meet when they land. */
static void target_found(struct coordinator *c, const json_t *result, const struct error *why,
                         void *context)
{
	struct comparison *cmp = context;
	const json_t *branch = json_array_get(json_object_get(result, "branches"), 0);

	if (!result) {
		comparison_end(c, cmp, NULL, why);
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

void compare_start(struct coordinator *c, int64_t parent, int64_t *tasks, int64_t patch,
                   compared_fn done, void *context)
{
	struct comparison *cmp = xcalloc(1, sizeof *cmp);
	_cleanup_task_ struct task_row first = {0};
	struct plan_row plan = {0};
	json_t *protect = NULL, *items;

	store_task_get(c->store, tasks[0], &first);
	store_plan_get(c->store, first.plan, &plan);
	items = items_json(c, tasks, &protect);
	*cmp = (struct comparison){
	    .done = done,
	    .context = context,
	    .parent = parent,
	    .tasks = tasks,
	    .request =
	        json_pack("{s:o, s:o, s:I, s:s?}", "protect", protect ? protect : json_array(),
	                  "items", items, "patch", (json_int_t)patch, "target_name", plan.target),
	};
	gitq_ask(c, "resolve",
	         json_pack("{s:[], s:o}", "revs", "branches",
	                   plan.target ? json_pack("[s]", plan.target) : json_array()),
	         target_found, cmp);
	plan_row_finish(&plan);
}

static void answer(struct coordinator *c, json_t *comparison, const struct error *why,
                   void *context)
{
	if (comparison)
		later_reply(c, context, json_incref(comparison));
	else
		later_fail(c, context, why);
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
	compare_start(r->c, parent, tasks, 0, answer, request_later(r));
	tasks = NULL; /* the comparison's now */
	return 0;
}
