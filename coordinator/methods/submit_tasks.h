/* Writing the tasks of a plan: what is new, changed, kept, removed. */
#ifndef PLEACH_SUBMIT_TASKS_H
#define PLEACH_SUBMIT_TASKS_H

#include "coordinator.h"
#include "submit_graph.h"

struct submit {
	struct coordinator *c;
	const json_t *params;
	const json_t *plan;
	int64_t plan_id;
	const char *base;    /* commit; NULL in a repository without commits */
	const json_t *bases; /* REV → commit, for tasks with a base of their own */
	const char *nonce;   /* of `add`; NULL */
	bool fresh;          /* the plan had no tasks: none of them can be there already */
	bool add;            /* one more task of the plan: nothing is compared or removed */
	json_t *blocker_ids; /* add: [id] that it waits for, beside the keys of blocked_by */
	struct submit_graph graph;
	int64_t *ids; /* results: of each task, in the order of the plan; 0: not yet */
	int64_t first_created, last_created; /* nobody else makes tasks in between */
	json_t *created, *updated, *kept, *retried, *warnings;
	json_t *removed, *ended; /* not in the plan any more; of these, what had ended */
};

/* In a step. Errors: INVALID, CONFLICT (a changed task is running), NOT_FOUND. */
int submit_tasks(struct submit *s, struct error *err);

#endif
