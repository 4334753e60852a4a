/* What a set of tasks comes to: counts and the exit status of run, try and wait. Pure. */
#ifndef PLEACH_CLI_OUTCOME_H
#define PLEACH_CLI_OUTCOME_H

#include <jansson.h>

#include "task_view.h"

struct outcome {
	long completed, failed, cancelled, pending, needs_input, in_progress; /* by status */
	long ready, blocked, stuck;                                           /* of pending */
	long landed, conflicts, failed_merged, refused;                       /* of completed */
	bool used; /* somebody told what it used */
	double input_tokens, output_tokens, cost_usd;
};

/* `tasks`: array of Task. */
void outcome_count(const json_t *tasks, struct outcome *out);
/* As outcome_count, but a choice counts only while a person must decide it: its alternatives
 * stand for it; and what waits for a person only is blocked, not stuck (`index`: in which those
 * are looked up). For screens. */
void outcome_count_work(const json_t *tasks, const json_t *index, struct outcome *out);

/* 0, 1 (something failed, was cancelled or is stuck) or 3 (a person can free it; wins).
 * Alternatives that were not chosen do not count once their choice is made. `index`: of the
 * tasks, and of those outside the set that stuck_by may name, as far as they are known. */
int outcome_exit_status(const json_t *tasks, const json_t *index);

/* The first that is done but could not land (task_is_unlanded); NULL: none. Borrowed. */
const json_t *outcome_first_unlanded(const json_t *tasks);
/* Something is in the queue though all rests: a person keeps the target. Why; NULL: nothing is.
 * Borrowed until the tasks go. */
const char *outcome_waits_to_land(const json_t *tasks);

/* Of those of the index that were to land by themselves (ids): 1 when one did not, 3 when a person
 * keeps its target; else 0. */
int outcome_landing_status(const json_t *index, const json_t *ids);

/* {"plan","completed",…,"seconds"}. New reference. */
json_t *outcome_json(const char *plan, const json_t *tasks, double seconds);

#endif
