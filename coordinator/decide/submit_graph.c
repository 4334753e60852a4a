/* Who waits for whom within one submit: each name is looked up once, everything after is done with
 * numbers. Knows nothing of the store: who is not of this submit is "elsewhere". */
#include "submit_graph.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"

void submit_graph_finish(struct submit_graph *graph)
{
	json_decref(graph->index);
	free(graph->first);
	free(graph->blockers);
	*graph = (struct submit_graph){0};
}

size_t submit_graph_find(const struct submit_graph *graph, const json_t *key)
{
	const json_t *at =
	    json_is_string(key)
	        ? json_object_getn(graph->index, json_string_value(key), json_string_length(key))
	        : NULL;

	return at ? (size_t)json_integer_value(at) : SUBMIT_ELSEWHERE;
}

/* Without a key it is refused when it is written. */
static int add_key(struct submit_graph *graph, const json_t *task, size_t number, struct error *err)
{
	const json_t *key = json_object_get(task, "key");

	if (!json_is_string(key))
		return 0;
	if (submit_graph_find(graph, key) != SUBMIT_ELSEWHERE)
		return error_set(err, ERROR_INVALID, "two tasks have the key %.80s",
		                 json_string_value(key));
	json_object_setn_new_nocheck(graph->index, json_string_value(key), json_string_length(key),
	                             json_integer((json_int_t)number));
	return 0;
}

int submit_graph_make(const json_t *tasks, struct submit_graph *out, struct error *err)
{
	size_t n = json_array_size(tasks), edges = 0, i, j;
	_cleanup_free_ size_t *seen = xcalloc(n, sizeof *seen); /* by whom last; numbers from 1 */
	json_t *task, *item;

	*out = (struct submit_graph){.n = n, .index = json_object()};
	json_array_foreach (tasks, i, task) {
		if (add_key(out, task, i, err) < 0)
			return -1;
		edges += json_array_size(json_sub(task, "blocked_by"));
	}
	out->first = xcalloc(n + 1, sizeof *out->first);
	out->blockers = xcalloc(edges, sizeof *out->blockers);
	edges = 0;
	json_array_foreach (tasks, i, task) {
		json_array_foreach (json_sub(task, "blocked_by"), j, item) {
			size_t blocker = submit_graph_find(out, item);

			if (blocker != SUBMIT_ELSEWHERE && seen[blocker] == i + 1)
				continue;
			if (blocker != SUBMIT_ELSEWHERE)
				seen[blocker] = i + 1;
			out->blockers[edges++] = blocker;
		}
		out->first[i + 1] = edges;
	}
	return 0;
}

/* Who waits for each task: as `first` and `blockers`, the other way round. Caller frees both. */
static void turn_round(const struct submit_graph *graph, size_t **first, size_t **dependents)
{
	size_t edges = graph->first[graph->n];
	_cleanup_free_ size_t *at = xcalloc(graph->n + 1, sizeof *at);

	*first = xcalloc(graph->n + 1, sizeof **first);
	*dependents = xcalloc(edges, sizeof **dependents);
	for (size_t e = 0; e < edges; e++)
		if (graph->blockers[e] != SUBMIT_ELSEWHERE)
			(*first)[graph->blockers[e] + 1]++;
	for (size_t i = 0; i < graph->n; i++)
		at[i + 1] = (*first)[i + 1] += (*first)[i];
	for (size_t i = 0; i < graph->n; i++)
		for (size_t e = graph->first[i]; e < graph->first[i + 1]; e++)
			if (graph->blockers[e] != SUBMIT_ELSEWHERE)
				(*dependents)[at[graph->blockers[e]]++] = i;
}

/* Kahn's algorithm; whoever is left is in or behind a circle. */
int submit_graph_check(const struct submit_graph *graph, const json_t *tasks, struct error *err)
{
	size_t n = graph->n, done = 0, i;
	_cleanup_free_ size_t *waits = xcalloc(n, sizeof *waits),
	                      *order = xcalloc(n, sizeof *order), *first = NULL, *dependents = NULL;

	turn_round(graph, &first, &dependents);
	for (i = 0; i < n; i++) {
		for (size_t e = graph->first[i]; e < graph->first[i + 1]; e++)
			waits[i] += graph->blockers[e] != SUBMIT_ELSEWHERE;
		if (!waits[i])
			order[done++] = i;
	}
	for (i = 0; i < done; i++)
		for (size_t e = first[order[i]]; e < first[order[i] + 1]; e++)
			if (--waits[dependents[e]] == 0)
				order[done++] = dependents[e];
	if (done == n)
		return 0;
	for (i = 0; i < n && !waits[i]; i++)
		;
	return error_set(err, ERROR_INVALID,
	                 "the tasks wait for each other in a circle, %s among them",
	                 json_text(json_array_get(tasks, i), "key"));
}
