/* The scheduler: who gets what. No store, no clock, no processes. */
#include "scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct order {
	const struct sched_task *task;
	size_t index;
};

static int order_compare(const void *a, const void *b)
{
	const struct sched_task *x = ((const struct order *)a)->task;
	const struct sched_task *y = ((const struct order *)b)->task;

	if (!x->only != !y->only) /* nobody else can do what goes on with a session */
		return x->only ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (x->clashes != y->clashes)
		return x->clashes ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool limit_reached(const struct sched_limit *limits, size_t n, size_t at)
{
	return at < n && limits[at].left <= 0;
}

/* A teammate with an agent takes its agent's tasks and those that name none; one without has
 * to be told by the task. */
static bool takes(const struct sched_teammate *teammate, const struct sched_task *task)
{
	if (!teammate->agent)
		return task->agent != NULL;
	return !task->agent || strcmp(teammate->agent, task->agent) == 0;
}

/* The teammate of the very agent first: the others stay free for what only they take. */
static size_t pick_teammate(const struct sched_task *task, const struct sched_teammate *teammates,
                            size_t n, const bool *busy)
{
	size_t any = SIZE_MAX;

	for (size_t i = 0; i < n; i++) {
		if (busy[i] || !takes(&teammates[i], task) || (task->only && task->only != i + 1))
			continue;
		if (task->agent && teammates[i].agent)
			return i;
		if (any == SIZE_MAX)
			any = i;
	}
	return any;
}

size_t schedule_assign(const struct sched_task *tasks, size_t n_tasks,
                       const struct sched_teammate *teammates, size_t n_teammates,
                       struct sched_limit *limits, size_t n_limits, struct sched_assignment *out)
{
	_cleanup_free_ struct order *order = xcalloc(n_tasks, sizeof *order);
	_cleanup_free_ bool *busy = xcalloc(n_teammates, sizeof *busy);
	size_t assigned = 0;

	for (size_t i = 0; i < n_tasks; i++)
		order[i] = (struct order){&tasks[i], i};
	qsort(order, n_tasks, sizeof *order, order_compare);
	for (size_t i = 0; i < n_tasks && assigned < n_teammates; i++) {
		const struct sched_task *task = order[i].task;
		size_t teammate;

		if (task->waits || limit_reached(limits, n_limits, task->total_limit) ||
		    limit_reached(limits, n_limits, task->agent_limit))
			continue;
		teammate = pick_teammate(task, teammates, n_teammates, busy);
		if (teammate == SIZE_MAX)
			continue;
		busy[teammate] = true;
		if (task->total_limit < n_limits)
			limits[task->total_limit].left--;
		if (task->agent_limit < n_limits)
			limits[task->agent_limit].left--;
		out[assigned++] = (struct sched_assignment){order[i].index, teammate};
	}
	return assigned;
}
