/* Dependencies of a plan as a graph: one topological sort finds whether there is a cycle, a
 * walk among what is left names it. */
#include <stdlib.h>

#include "plan_internal.h"

#define SHOWN_MAX 12 /* tasks of a cycle that are written out */

void plan_graph_add(struct plan_graph *g, int from, int to, const struct yaml_node *node)
{
	if (g->edge_count == g->edge_cap) {
		g->edge_cap = g->edge_cap ? g->edge_cap * 2 : 1024;
		g->edges = xrealloc(g->edges, g->edge_cap * sizeof(*g->edges));
	}
	g->edges[g->edge_count++] = (struct plan_edge){from, to, node};
}

void plan_graph_finish(struct plan_graph *g)
{
	free(g->keys);
	free(g->edges);
}

/* The edges of each task one after the other: those of task i are list[first[i]] to
 * list[first[i + 1] - 1]. `back`: by whom it waits for, else by who waits. */
static void sort_edges(const struct plan_graph *g, bool back, size_t **first, size_t **list)
{
	size_t n = (size_t)g->task_count;
	*first = xcalloc(n + 2, sizeof(**first));
	*list = xcalloc(g->edge_count + 1, sizeof(**list));
	for (size_t e = 0; e < g->edge_count; e++)
		(*first)[(back ? g->edges[e].to : g->edges[e].from) + 2]++;
	for (size_t i = 2; i < n + 2; i++)
		(*first)[i] += (*first)[i - 1];
	for (size_t e = 0; e < g->edge_count; e++)
		(*list)[(*first)[(back ? g->edges[e].to : g->edges[e].from) + 1]++] = e;
}

/* waits[i]: how many tasks i still waits for when everything that can run has run. Returns
 * how many tasks are left. */
static int run_all(const struct plan_graph *g, int *waits)
{
	_cleanup_free_ size_t *first = NULL;
	_cleanup_free_ size_t *list = NULL;
	_cleanup_free_ int *queue = xcalloc((size_t)g->task_count + 1, sizeof(*queue));
	int head = 0, tail = 0;
	sort_edges(g, true, &first, &list);
	for (size_t e = 0; e < g->edge_count; e++)
		waits[g->edges[e].from]++;
	for (int i = 0; i < g->task_count; i++) {
		if (!waits[i])
			queue[tail++] = i;
	}
	while (head < tail) {
		int done = queue[head++];
		for (size_t k = first[done]; k < first[done + 1]; k++) {
			int from = g->edges[list[k]].from;
			if (--waits[from] == 0)
				queue[tail++] = from;
		}
	}
	return g->task_count - tail;
}

static int fail_cycle(struct plan_reader *r, const struct plan_graph *g, const size_t *path,
                      size_t count)
{
	/* From the task that stands first in the file. */
	size_t start = 0;
	for (size_t i = 1; i < count; i++) {
		if (g->edges[path[i]].from < g->edges[path[start]].from)
			start = i;
	}
	_cleanup_buf_ struct buf text = BUF_INIT;
	for (size_t i = 0; i < count; i++) {
		if (count > SHOWN_MAX && i >= SHOWN_MAX / 2 && i < count - SHOWN_MAX / 2) {
			if (i == SHOWN_MAX / 2)
				buf_printf(&text, "… (%zu more) → ", count - SHOWN_MAX);
			continue;
		}
		buf_printf(&text, "%s → ", g->keys[g->edges[path[(start + i) % count]].from]);
	}
	const struct plan_edge *edge = &g->edges[path[start]];
	return plan_fail(r, edge->node, "a cycle: %s%s (each waits for the next)", text.data,
	                 g->keys[edge->from]);
}

int plan_graph_check(struct plan_reader *r, const struct plan_graph *g)
{
	_cleanup_free_ int *waits = xcalloc((size_t)g->task_count + 1, sizeof(*waits));
	if (run_all(g, waits) == 0)
		return 0;
	_cleanup_free_ size_t *first = NULL;
	_cleanup_free_ size_t *list = NULL;
	_cleanup_free_ size_t *path = xcalloc((size_t)g->task_count + 1, sizeof(*path));
	_cleanup_free_ int *seen = xcalloc((size_t)g->task_count + 1, sizeof(*seen));
	sort_edges(g, false, &first, &list);
	int at = 0;
	while (!waits[at])
		at++;
	/* Whoever is left waits for somebody who is left: following that ends in a circle. */
	size_t steps = 0;
	while (!seen[at]) {
		seen[at] = (int)steps + 1;
		size_t k = first[at];
		while (!waits[g->edges[list[k]].to])
			k++;
		path[steps++] = list[k];
		at = g->edges[list[k]].to;
	}
	size_t from = (size_t)seen[at] - 1;
	return fail_cycle(r, g, path + from, steps - from);
}
