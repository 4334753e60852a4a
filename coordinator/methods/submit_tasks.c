/* Writing the tasks of a plan. Run again, completed ones stay, new ones join, a changed one
 * is taken up unless it runs, removed ones stay and are listed. */
#include "submit_tasks.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "text.h"
#include "transition.h"

#define TASKS_MAX       100000 /* of one plan */
#define REDO_WARNED_MAX 33     /* tasks that a warning goes through, the one that is redone first */

/* What the plan said, without where it said it: the same text, the same task. */
static char *definition_of(const json_t *task)
{
	static const char digits[] = "0123456789abcdef";
	static const char *const where[] = {"line", "base_at", NULL};
	_cleanup_json_ json_t *copy = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	uint8_t digest[16];
	struct sha256_ctx sha;
	char *hex = xcalloc(1, 2 * sizeof digest + 1);

	/* A budget may be raised under a running agent: the work is the same. */
	if (json_sub(json_sub(task, "spec"), "budget")) {
		json_t *spec = json_copy(json_sub(task, "spec"));

		json_object_del(spec, "budget");
		copy = json_copy((json_t *)task);
		json_object_set_new(copy, "spec", spec);
	}
	jsonl_write_sorted(&text, copy ? copy : task, where);
	sha256_init(&sha);
	sha256_update(&sha, text.len, (const uint8_t *)text.data);
	sha256_digest(&sha, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	return hex;
}

static bool listed(const json_t *array, const char *key)
{
	size_t i;
	json_t *item;

	json_array_foreach (array, i, item)
		if (strcmp(json_string_value(item) ? json_string_value(item) : "", key) == 0)
			return true;
	return false;
}

/* `speed` or `speed.1`: an alternative's key is its parent's, a dot and a number. */
static bool key_is_valid(const char *key, const char *parent)
{
	size_t n = parent ? strlen(parent) : 0;

	if (!parent)
		return text_is_key(key);
	return strncmp(key, parent, n) == 0 && key[n] == '.' && key[n + 1] &&
	       strspn(key + n + 1, "0123456789") == strlen(key + n + 1);
}

/* The commit that a task starts from where nothing blocks it. */
static const char *root_base_of(const struct submit *s, const json_t *task)
{
	const char *own = json_text(task, "base");

	return own ? json_text(s->bases, own) : s->base;
}

/* Of a task of this submit that was written already, else 0. */
static int64_t id_of(const struct submit *s, const json_t *key)
{
	size_t number = submit_graph_find(&s->graph, key);

	return number == SUBMIT_ELSEWHERE ? 0 : s->ids[number];
}

static int task_new_of(struct submit *s, const json_t *task, struct task_new *out,
                       struct error *err)
{
	const char *key = json_text(task, "key"), *prompt = json_text(task, "prompt");
	const char *parent = json_text(task, "parent"), *when = json_text(task, "when");
	const json_t *spec = json_sub(task, "spec");
	const char *slot = json_text(spec, "slot");

	if (!key || !key_is_valid(key, parent))
		return error_set(err, ERROR_INVALID, "\"%.80s\" is no task key", key ? key : "");
	if (!prompt || !spec)
		return error_set(err, ERROR_INVALID, "task %s has no %s", key,
		                 prompt ? "spec" : "prompt");
	*out = (struct task_new){
	    .plan = s->plan_id,
	    .key = key,
	    .subject = json_text(task, "subject") ? json_text(task, "subject") : key,
	    .prompt = prompt,
	    .agent = json_text(task, "agent"),
	    .model = json_text(task, "model"),
	    .choose = json_text(task, "choose"),
	    .root_base = root_base_of(s, task),
	    .nonce = parent ? NULL : s->nonce,
	    .priority = json_int(task, "priority", 0),
	    .settled_blockers = when && strcmp(when, "settled") == 0,
	    .slot_none = slot && strcmp(slot, "none") == 0,
	    .spec = spec,
	    .metadata = json_sub(task, "metadata"),
	};
	if (!task_kind_from_word(json_text(task, "kind"), &out->kind))
		return error_set(err, ERROR_INVALID, "task %s is neither work nor choice", key);
	if (!out->slot_none && !out->root_base)
		return error_set(
		    err, ERROR_INVALID,
		    "the repository has no commit yet: task %s has nothing to start from "
		    "(make a first commit)",
		    key);
	if (parent) {
		out->parent = id_of(s, json_object_get(task, "parent"));
		if (!out->parent)
			return error_set(err, ERROR_INVALID, "task %s comes before its parent %s",
			                 key, parent);
	}
	return 0;
}

static bool is_among(const int64_t *ids, size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* From what its blockers made, which it holds now. */
static bool has_started(const struct task_row *row)
{
	return row->attempts && !row->slot_none &&
	       (row->status == TASK_IN_PROGRESS || row->status == TASK_NEEDS_INPUT ||
	        row->status == TASK_COMPLETED);
}

/* What started from the result that is made again, itself or through others, keeps it, and would
 * bring it to the target: nobody is to find that out later. What is redone, too, warns by itself.
 */
static void warn_of_dependents(struct submit *s, int64_t id, const char *key)
{
	const json_t *redone = json_object_get(s->params, "redo");
	_cleanup_buf_ struct buf names = BUF_INIT, typed = BUF_INIT;
	int64_t found[REDO_WARNED_MAX] = {id};
	size_t n = 1;

	for (size_t at = 0; at < n; at++) {
		_cleanup_free_ int64_t *blocks = store_task_blocks(s->c->store, found[at]);

		for (size_t i = 0; blocks[i] && n < REDO_WARNED_MAX; i++) {
			_cleanup_task_ struct task_row row = {0};

			if (is_among(found, n, blocks[i]) ||
			    !store_task_get(s->c->store, blocks[i], &row) || !has_started(&row) ||
			    listed(redone, row.key))
				continue;
			found[n++] = row.id;
			buf_printf(&names, "%s%s", names.len ? ", " : "", row.key);
			buf_printf(&typed, " --redo %s", row.key);
		}
	}
	if (n > 1)
		json_array_append_new(s->warnings,
		                      json_sprintf("%s%s started from the earlier result of %s and "
		                                   "keeps it, also when it lands (pleach run%s)",
		                                   names.data, n == REDO_WARNED_MAX ? " …" : "",
		                                   key, typed.data));
}

static int redo(struct submit *s, const struct task_row *row, struct error *err)
{
	const struct transition t = {.task = row->id, .verb = VERB_REDO};

	if (!row->slot_none)
		warn_of_dependents(s, row->id, row->key);
	return task_change(s->c, &t, err);
}

/* Work that became a choice, or the other way: only before anything came of it. */
static bool kind_may_change(struct submit *s, const struct task_row *row)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(s->c->store, row->id);

	return row->status == TASK_PENDING && !row->attempts && !alternatives[0];
}

/* A changed task: not under a running agent's hands, and completed work is not thrown away. */
static int take_up(struct submit *s, struct task_row *row, const struct task_new *task, bool again,
                   struct error *err)
{
	if (row->status == TASK_IN_PROGRESS ||
	    (row->status == TASK_NEEDS_INPUT && row->kind == KIND_WORK &&
	     store_attempt_running_task(s->c->store, row->id))) {
		_cleanup_free_ char *name = task_typed(s->c, row);

		return error_set(err, ERROR_CONFLICT,
		                 "task %s has changed but is running (pleach stop %s, or wait)",
		                 row->key, name);
	}
	if (row->kind != task->kind && !kind_may_change(s, row))
		return error_set(err, ERROR_CONFLICT,
		                 "task %s was %s and is %s now (give it another key)", row->key,
		                 row->kind == KIND_CHOICE ? "a choice" : "a plain task",
		                 task->kind == KIND_CHOICE ? "a choice" : "a plain task");
	if (row->status == TASK_COMPLETED && !again) {
		json_array_append_new(s->kept, json_string(row->key));
		json_array_append_new(
		    s->warnings,
		    json_sprintf("task %s has changed but is completed: kept (--redo %s "
		                 "runs it again)",
		                 row->key, row->key));
		return 0;
	}
	store_task_redefine(s->c->store, row->id, task);
	json_array_append_new(s->updated, json_string(row->key));
	store_event_add(s->c->store, "task.updated", row->id, 0, NULL, NULL);
	return 0;
}

static int run_again(struct submit *s, int64_t id, const struct task_new *task, struct error *err)
{
	_cleanup_free_ char *definition = store_task_definition(s->c->store, id);
	_cleanup_task_ struct task_row row = {0};
	bool again = listed(json_object_get(s->params, "redo"), task->key), changed;

	if (!store_task_get(s->c->store, id, &row))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %s", task->key);
	if (row.stopped)
		store_task_go_on(s->c->store, id);
	changed = !definition || strcmp(definition, task->definition) != 0;
	if (changed && take_up(s, &row, task, again, err) < 0)
		return -1;
	if (!changed) {
		json_array_append_new(s->kept, json_string(task->key));
		if (row.budgeted || json_sub(task->spec, "budget"))
			store_task_set_spec(s->c->store, id, task->spec);
	}
	if (again && row.status == TASK_COMPLETED) {
		store_task_set_root_base(s->c->store, id, task->root_base);
		json_array_append_new(s->retried, json_string(task->key));
		return redo(s, &row, err);
	}
	if ((again || json_flag(s->params, "retry")) &&
	    (row.status == TASK_FAILED || row.status == TASK_CANCELLED)) {
		const struct transition t = {.task = id, .verb = VERB_RETRY};

		store_task_set_root_base(s->c->store, id, task->root_base);
		json_array_append_new(s->retried, json_string(task->key));
		return task_change(s->c, &t, err);
	}
	return 0;
}

/* How many there are that keep it from being ready: of a fresh plan all, for they are pending. */
static int64_t count_blockers(const struct submit *s, size_t number)
{
	return s->fresh ? (int64_t)(s->graph.first[number + 1] - s->graph.first[number]) : 0;
}

static int put_task(struct submit *s, size_t number, const json_t *task, struct error *err)
{
	_cleanup_free_ char *definition = definition_of(task), *choose = NULL;
	struct task_new new;
	int64_t id = 0;

	if (task_new_of(s, task, &new, err) < 0)
		return -1;
	new.definition = definition;
	if (json_is_object(json_object_get(task, "choose")))
		new.choose = choose = jsonl_text(json_object_get(task, "choose"));
	new.unfinished = count_blockers(s, number);
	if (!s->fresh)
		id = store_task_find(s->c->store, json_text(s->plan, "name"), new.key);
	if (id && s->add)
		return error_set(err, ERROR_CONFLICT, "there is a task %s already (--key another)",
		                 new.key);
	s->ids[number] = id;
	if (id)
		return run_again(s, id, &new, err);
	s->ids[number] = id = store_task_insert(s->c->store, &new);
	json_array_append(s->created, json_object_get(task, "key"));
	if (!s->first_created)
		s->first_created = id;
	s->last_created = id;
	return 0;
}

/* Their ids; blockers are keys of the plan, of this run or of an earlier one. */
static int read_blockers(struct submit *s, const json_t *task, int64_t *out, struct error *err)
{
	const json_t *blocked_by = json_sub(task, "blocked_by");
	const char *plan = json_text(s->plan, "name");
	json_t *item;
	size_t i;

	json_array_foreach (blocked_by, i, item) {
		const char *name = json_string_value(item);

		out[i] = id_of(s, item);
		if (!out[i] && name)
			out[i] = store_task_find(s->c->store, plan, name);
		if (!out[i])
			return error_set(err, ERROR_INVALID,
			                 "task %s waits for %s, which is not there",
			                 json_text(task, "key"), name ? name : "?");
	}
	return 0;
}

static int put_blockers(struct submit *s, size_t number, const json_t *task, struct error *err)
{
	size_t n = json_array_size(json_sub(task, "blocked_by")), i;
	size_t extra = json_array_size(s->blocker_ids);
	_cleanup_free_ int64_t *blockers = xcalloc(n + extra, sizeof *blockers);
	json_t *item;

	if (read_blockers(s, task, blockers, err) < 0)
		return -1;
	json_array_foreach (s->blocker_ids, i, item)
		blockers[n + i] = json_integer_value(item);
	store_task_set_blockers(s->c->store, s->ids[number], blockers, n + extra);
	return 0;
}

/* All edges of a fresh plan, in the order of their key. One that leads elsewhere leads nowhere:
 * put_blockers says so. */
static int put_fresh_blockers(struct submit *s, const json_t *tasks, struct error *err)
{
	const struct submit_graph *graph = &s->graph;
	size_t n = graph->first[graph->n];
	_cleanup_free_ struct edge *edges = xcalloc(n, sizeof *edges);

	for (size_t i = 0; i < graph->n; i++) {
		for (size_t e = graph->first[i]; e < graph->first[i + 1]; e++) {
			if (graph->blockers[e] == SUBMIT_ELSEWHERE)
				return put_blockers(s, i, json_array_get(tasks, i), err);
			edges[e] = (struct edge){s->ids[i], s->ids[graph->blockers[e]]};
		}
	}
	store_edges_add(s->c->store, edges, n);
	return 0;
}

static int put_all_blockers(struct submit *s, const json_t *tasks, struct error *err)
{
	json_t *task;
	size_t i;

	if (s->fresh)
		return put_fresh_blockers(s, tasks, err);
	json_array_foreach (tasks, i, task)
		if (put_blockers(s, i, task, err) < 0)
			return -1;
	return 0;
}

/* By its key. */
static bool is_of_this_run(const struct submit *s, const struct task_row *row)
{
	_cleanup_json_ json_t *key = json_string(row->key);

	return id_of(s, key) == row->id;
}

/* Edges within this run were proven free of circles. */
static bool closes_circle(const struct submit *s, int64_t id, int64_t blocker)
{
	_cleanup_task_ struct task_row row = {0};

	if (store_task_get(s->c->store, blocker, &row) && is_of_this_run(s, &row))
		return false;
	return store_task_reaches(s->c->store, id, blocker);
}

/* An earlier run's edges may close a circle with this one's. */
static int check_stored_cycles(struct submit *s, const json_t *tasks, struct error *err)
{
	json_t *task;
	size_t i;

	if (!json_array_size(s->updated) && !json_array_size(s->blocker_ids))
		return 0;
	json_array_foreach (tasks, i, task) {
		_cleanup_free_ int64_t *blockers = store_task_blockers(s->c->store, s->ids[i]);

		for (size_t j = 0; blockers[j]; j++)
			if (closes_circle(s, s->ids[i], blockers[j]))
				return error_set(err, ERROR_INVALID,
				                 "task %s would wait for itself",
				                 json_text(task, "key"));
	}
	return 0;
}

/* An alternative of `try --more`: no plan ever had it. */
static bool was_added_later(struct submit *s, int64_t id)
{
	_cleanup_free_ char *definition = store_task_definition(s->c->store, id);

	return definition && !*definition;
}

static int handle_removed(struct submit *s, struct error *err)
{
	_cleanup_free_ int64_t *all = store_task_ids(s->c->store, s->plan_id);

	for (size_t i = 0; all[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (!store_task_get(s->c->store, all[i], &row) || is_of_this_run(s, &row) ||
		    row.status == TASK_CANCELLED || landing_is_resolver(s->c, row.id))
			continue;
		if (row.parent && was_added_later(s, row.id))
			continue;
		json_array_append_new(s->removed, json_string(row.key));
		if (task_status_is_terminal(row.status))
			json_array_append_new(s->ended, json_string(row.key));
		else if (json_flag(s->params, "prune") && stop_task(s->c, row.id, err) < 0)
			return -1;
	}
	return 0;
}

int submit_tasks(struct submit *s, struct error *err)
{
	const json_t *tasks = json_sub(s->plan, "tasks");
	json_t *task;
	size_t i;

	if (!json_array_size(tasks))
		return error_set(err, ERROR_INVALID, "the plan has no tasks");
	if (json_array_size(tasks) > TASKS_MAX)
		return error_set(err, ERROR_INVALID, "the plan has more than %d tasks", TASKS_MAX);
	s->fresh = !json_array_size(s->blocker_ids) && store_plan_is_empty(s->c->store, s->plan_id);
	if (submit_graph_make(tasks, &s->graph, err) < 0)
		return -1;
	s->ids = xcalloc(s->graph.n, sizeof *s->ids);
	json_array_foreach (tasks, i, task)
		if (put_task(s, i, task, err) < 0)
			return -1;
	if (s->first_created)
		store_event_created(s->c->store, s->first_created, s->last_created);
	if (submit_graph_check(&s->graph, tasks, err) < 0 || put_all_blockers(s, tasks, err) < 0)
		return -1;
	if (check_stored_cycles(s, tasks, err) < 0)
		return -1;
	/* With KEYs only a part of the plan is here: nothing can be said about the rest. */
	if (s->fresh || s->add || json_array_size(json_object_get(s->params, "keys")))
		return 0;
	return handle_removed(s, err);
}
