/* The scheduler: a pure function. Ready tasks × idle teammates × limits → assignments. */
#ifndef PLEACH_SCHEDULER_H
#define PLEACH_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sched_task {
	int64_t id;
	int64_t priority;   /* higher first, then what does not clash, then lower id */
	bool clashes;       /* what it made before conflicts with work that is under way */
	const char *agent;  /* NULL: that of the teammate, which must have one */
	bool waits;         /* not in this turn */
	size_t only;        /* 1 + index of the one teammate that may have it now; 0: any */
	size_t total_limit; /* index into limits, SIZE_MAX: none */
	size_t agent_limit; /* likewise, when the task names its agent */
};

struct sched_teammate {
	size_t number;     /* for the caller */
	const char *agent; /* NULL: takes any task that names its agent; else its agent's and those
	                    * that name none */
};

struct sched_limit {
	int64_t left; /* how many more may start */
};

struct sched_assignment {
	size_t task;     /* index into tasks */
	size_t teammate; /* index into teammates */
};

/* tasks in any order. `out` has room for n_teammates. limits' left are counted down.
 * Tasks with `only` come first. The others go in order of priority, those that clash behind the
 * others, then id; each to the first teammate (in the order given) of its very agent, else to the
 * first that takes any. Returns how many were assigned. */
size_t schedule_assign(const struct sched_task *tasks, size_t n_tasks,
                       const struct sched_teammate *teammates, size_t n_teammates,
                       struct sched_limit *limits, size_t n_limits, struct sched_assignment *out);

#endif
