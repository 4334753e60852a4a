/* What lands: the tasks asked for, their blockers first. */
#include "landing_order.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"

void landing_order_finish(struct landing_order *order)
{
	free(order->tasks);
	free(order->target);
	free(order->plan);
	*order = (struct landing_order){0};
}

/* The walk: a stack of tasks, each twice: to look at its blockers, and to be put behind them. */
struct walk {
	struct coordinator *c;
	struct landing_order *order;
	bool into;       /* a target was named: the plans' do not matter */
	bool gently;     /* what failed to land is not tried again */
	int64_t stopped; /* by that one */
	json_t *seen;    /* id → true */
	int64_t *stack;  /* negative: its blockers are done */
	size_t n, cap;
};

static void push(struct walk *walk, int64_t id)
{
	if (walk->n == walk->cap) {
		walk->cap = walk->cap ? walk->cap * 2 : 64;
		walk->stack = xrealloc(walk->stack, walk->cap * sizeof *walk->stack);
	}
	walk->stack[walk->n++] = id;
}

/* True the first time. */
static bool see(struct walk *walk, int64_t id)
{
	char key[24];

	snprintf(key, sizeof key, "%lld", (long long)id);
	if (json_object_get(walk->seen, key))
		return false;
	json_object_set_new(walk->seen, key, json_true());
	return true;
}

static int check_target(struct walk *walk, const struct task_row *task, struct error *err)
{
	struct landing_order *order = walk->order;
	struct plan_row plan = {0};
	int rc = 0;

	if (!store_plan_get(walk->c->store, task->plan, &plan))
		return 0;
	if (!order->plan)
		order->plan = xstrdup(plan.name);
	if (!order->target)
		order->target = xstrdup(plan.target);
	else if (!walk->into && plan.target && strcmp(plan.target, order->target) != 0)
		rc = error_set(
		    err, ERROR_INVALID,
		    "these tasks have different targets, %s and %s (name those of one, or "
		    "--into BRANCH)",
		    order->target, plan.target);
	plan_row_finish(&plan);
	return rc;
}

static void append(struct landing_order *order, int64_t id)
{
	order->tasks = xrealloc(order->tasks, (order->n + 2) * sizeof *order->tasks);
	order->tasks[order->n++] = id;
	order->tasks[order->n] = 0;
}

/* It conflicted or failed, or waits behind one that did: till that has landed. */
static bool is_stopped(const struct task_row *task)
{
	_cleanup_json_ json_t *detail = NULL;

	if (task->status != TASK_COMPLETED || task->landing == LANDING_QUEUED)
		return false;
	if (task->landing != LANDING_NONE)
		return true;
	if (task->landing_detail)
		detail = jsonl_parse(task->landing_detail, strlen(task->landing_detail), NULL);
	return json_sub(detail, "after") != NULL;
}

/* One step: a task is opened (itself again, then its blockers on top), or put in order. */
static int step(struct walk *walk, int64_t id, struct error *err)
{
	_cleanup_free_ int64_t *blockers = NULL;
	_cleanup_task_ struct task_row task = {0};
	bool done = id < 0;

	if (!done && !see(walk, id))
		return 0;
	if (!store_task_get(walk->c->store, done ? -id : id, &task) ||
	    task.status != TASK_COMPLETED)
		return 0;
	if (done) {
		if (!task.head) /* slot: none has nothing to merge */
			return 0;
		append(walk->order, task.id);
		return check_target(walk, &task, err);
	}
	push(walk, -id);
	blockers = store_task_blockers(walk->c->store, id);
	for (size_t i = 0; blockers[i]; i++) {
		_cleanup_task_ struct task_row blocker = {0};

		if (!store_task_get(walk->c->store, blockers[i], &blocker) ||
		    blocker.landing == LANDING_LANDED)
			continue;
		if (walk->gently && is_stopped(&blocker))
			walk->stopped = blockers[i];
		else if (!walk->gently || blocker.landing != LANDING_QUEUED)
			push(walk, blockers[i]);
	}
	return 0;
}

static int walk_from(struct walk *walk, int64_t id, struct error *err)
{
	push(walk, id);
	while (walk->n && !walk->stopped)
		if (step(walk, walk->stack[--walk->n], err) < 0)
			return -1;
	return 0;
}

/* Why it cannot be merged yet, and what to type. */
static int refuse_incomplete(struct coordinator *c, const struct task_row *task, struct error *err)
{
	_cleanup_free_ char *name = task_typed(c, task);
	const char *does = "wait";

	if (task->kind == KIND_CHOICE && !task_status_is_terminal(task->status))
		return error_set(
		    err, ERROR_CONFLICT,
		    "%s is %s: none of its alternatives was chosen yet (pleach compare "
		    "%s, then pleach pick)",
		    task->key, task_status_word(task->status), name);
	if (task->status == TASK_NEEDS_INPUT)
		does = "answer";
	else if (task_status_is_terminal(task->status))
		does = "retry";
	return error_set(err, ERROR_CONFLICT,
	                 "%s is %s: only completed work can be merged (pleach %s %s)", task->key,
	                 task_status_word(task->status), does, name);
}

/* A task that was asked for by name has to be one that can land. An alternative stands for its
 * choice, when it won. */
static int check_asked(struct coordinator *c, int64_t *id, struct error *err)
{
	_cleanup_task_ struct task_row task = {0}, parent = {0};

	store_task_get(c->store, *id, &task);
	if (task.status != TASK_COMPLETED)
		return refuse_incomplete(c, &task, err);
	if (!task.head)
		return error_set(err, ERROR_CONFLICT, "%s has no branch to merge (slot: none)",
		                 task.key);
	if (task.parent && store_task_get(c->store, task.parent, &parent)) {
		if (parent.chosen != *id) {
			_cleanup_free_ char *name = task_typed(c, &task);

			return error_set(err, ERROR_CONFLICT, "%s was not chosen (pleach pick %s)",
			                 task.key, name);
		}
		*id = task.parent;
	}
	return 0;
}

int64_t landing_order_of(struct coordinator *c, int64_t task, struct landing_order *out)
{
	struct landing_order order = {.tasks = xcalloc(1, sizeof *order.tasks)};
	struct walk walk = {
	    .c = c, .order = &order, .into = true, .gently = true, .seen = json_object()};

	walk_from(&walk, task, NULL); /* whatever the targets: nothing to refuse */
	json_decref(walk.seen);
	free(walk.stack);
	*out = order;
	return walk.stopped;
}

int landing_order_make(struct request *r, const json_t *refs, bool all, bool into,
                       struct landing_order *out, struct error *err)
{
	struct landing_order order = {.tasks = xcalloc(1, sizeof *order.tasks)};
	_cleanup_free_ int64_t *every = all ? store_tasks_landable(r->c->store) : NULL;
	struct walk walk = {.c = r->c, .order = &order, .into = into, .seen = json_object()};
	json_t *ref;
	size_t i;
	int rc = 0;

	for (i = 0; every && every[i] && rc == 0; i++)
		rc = walk_from(&walk, every[i], err);
	json_array_foreach (refs, i, ref) {
		int64_t id = 0;

		if (rc == 0)
			rc = resolve_task(r, json_string_value(ref), &id, err);
		if (rc == 0)
			rc = check_asked(r->c, &id, err);
		if (rc == 0)
			rc = walk_from(&walk, id, err);
	}
	json_decref(walk.seen);
	free(walk.stack);
	if (rc < 0) {
		landing_order_finish(&order);
		return -1;
	}
	*out = order;
	return 0;
}
