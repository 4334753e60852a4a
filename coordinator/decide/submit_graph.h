/* Who waits for whom within one submit, as numbers. */
#ifndef PLEACH_SUBMIT_GRAPH_H
#define PLEACH_SUBMIT_GRAPH_H

#include <jansson.h>
#include <stdint.h>

#include "error.h"

struct submit_graph {
	size_t n;         /* tasks, in the order of the plan */
	json_t *index;    /* key → number of its task */
	size_t *first;    /* n + 1: where in `blockers` a task's begin */
	size_t *blockers; /* numbers of tasks, each once, or SUBMIT_ELSEWHERE */
};

#define SUBMIT_ELSEWHERE SIZE_MAX /* not of this submit */

/* INVALID: a key that two tasks have. Finish it in any case. */
int submit_graph_make(const json_t *tasks, struct submit_graph *out, struct error *err);
void submit_graph_finish(struct submit_graph *graph);
/* INVALID: the tasks wait for each other in a circle. */
int submit_graph_check(const struct submit_graph *graph, const json_t *tasks, struct error *err);
/* The number of the task with this key, or SUBMIT_ELSEWHERE. */
size_t submit_graph_find(const struct submit_graph *graph, const json_t *key);

#endif
