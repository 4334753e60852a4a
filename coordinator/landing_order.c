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

static bool has(const struct landing_order *order, int64_t id)
{
	for (size_t i = 0; i < order->n; i++)
		if (order->tasks[i] == id)
			return true;
	return false;
}

static void push(struct landing_order *order, int64_t id)
{
	order->tasks = xrealloc(order->tasks, (order->n + 2) * sizeof *order->tasks);
	order->tasks[order->n++] = id;
	order->tasks[order->n] = 0;
}

static int check_target(struct coordinator *c, struct landing_order *order,
                        const struct task_row *task, struct error *err)
{
	struct plan_row plan = {0};
	int rc = 0;

	if (!store_plan_get(c->store, task->plan, &plan))
		return 0;
	if (!order->plan)
		order->plan = xstrdup(plan.name);
	if (!order->target)
		order->target = xstrdup(plan.target);
	else if (plan.target && strcmp(plan.target, order->target) != 0)
		rc = error_set(err, ERROR_INVALID,
		               "these tasks have different targets, %s and %s (--into BRANCH)",
		               order->target, plan.target);
	plan_row_finish(&plan);
	return rc;
}

/* Depth first: the blockers stand before what they block. The graph has no cycles. */
static int add_with_blockers(struct coordinator *c, struct landing_order *order, int64_t id,
                             bool asked, struct error *err)
{
	_cleanup_task_ struct task_row task = {0};
	_cleanup_free_ int64_t *blockers = NULL;

	if (has(order, id) || !store_task_get(c->store, id, &task))
		return 0;
	if (task.status != TASK_COMPLETED)
		return asked ? error_set(err, ERROR_CONFLICT,
		                         "%s is %s: only completed work can be merged", task.key,
		                         task_status_word(task.status))
		             : 0;
	if (task.parent && asked) {
		_cleanup_task_ struct task_row parent = {0};

		if (store_task_get(c->store, task.parent, &parent) && parent.chosen != id)
			return error_set(err, ERROR_CONFLICT, "%s was not chosen (pleach pick %s)",
			                 task.key, task.key);
		return add_with_blockers(c, order, task.parent, true, err);
	}
	if (task.landing == LANDING_LANDED && !asked)
		return 0;
	blockers = store_task_blockers(c->store, id);
	for (size_t i = 0; blockers[i]; i++)
		if (add_with_blockers(c, order, blockers[i], false, err) < 0)
			return -1;
	if (!task.head)
		return asked ? error_set(err, ERROR_CONFLICT,
		                         "%s has no branch to merge (slot: none)", task.key)
		             : 0;
	if (check_target(c, order, &task, err) < 0)
		return -1;
	push(order, id);
	return 0;
}

int landing_order_make(struct request *r, const json_t *refs, bool all, struct landing_order *out,
                       struct error *err)
{
	struct landing_order order = {.tasks = xcalloc(1, sizeof *order.tasks)};
	_cleanup_free_ int64_t *every = all ? store_tasks_landable(r->c->store) : NULL;
	json_t *ref;
	size_t i;
	int rc = 0;

	for (i = 0; every && every[i] && rc == 0; i++)
		rc = add_with_blockers(r->c, &order, every[i], false, err);
	json_array_foreach (refs, i, ref) {
		int64_t id;

		if (rc == 0)
			rc = resolve_task(r, json_string_value(ref), &id, err);
		if (rc == 0)
			rc = add_with_blockers(r->c, &order, id, true, err);
	}
	if (rc < 0) {
		landing_order_finish(&order);
		return -1;
	}
	*out = order;
	return 0;
}
