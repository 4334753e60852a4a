/* Counting an experiment: rates, intervals, pass@k, medians. */
#include "experiment.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "task_view.h"

#define Z95 1.959963984540054 /* of the normal distribution, both sides together 5 % */

/* Results of one task in one group. */
struct cell {
	int n, passed;
};

struct group {
	char *name;
	struct cell *cells;
	size_t cell_count;
	json_t *index; /* task → place in cells */
	int n, passed, unverified, cancelled, open;
	double *seconds, *costs; /* n at most of each */
	size_t second_count, cost_count;
	json_t *failures;
};

struct groups {
	struct group *items;
	size_t count;
	json_t *index; /* name → place in items */
};

/* libm would be one library more for every command to load. */
static double square_root(double x)
{
	double root = x > 1 ? x : 1;

	for (int i = 0; x > 0 && i < 60; i++)
		root = (root + x / root) / 2;
	return x > 0 ? root : 0;
}

static void group_init(struct group *group, const char *name)
{
	*group = (struct group){
	    .name = xstrdup(name), .failures = json_object(), .index = json_object()};
}

static struct group *group_of(struct groups *groups, const char *name)
{
	const json_t *at = json_object_get(groups->index, name);

	if (at)
		return &groups->items[json_integer_value(at)];
	groups->items = xrealloc(groups->items, (groups->count + 1) * sizeof *groups->items);
	json_object_set_new(groups->index, name, json_integer((json_int_t)groups->count));
	group_init(&groups->items[groups->count], name);
	return &groups->items[groups->count++];
}

static struct cell *cell_of(struct group *group, const char *task)
{
	const json_t *at = json_object_get(group->index, task);

	if (at)
		return &group->cells[json_integer_value(at)];
	group->cells = xrealloc(group->cells, (group->cell_count + 1) * sizeof *group->cells);
	json_object_set_new(group->index, task, json_integer((json_int_t)group->cell_count));
	group->cells[group->cell_count] = (struct cell){0, 0};
	return &group->cells[group->cell_count++];
}

static void add_number(double **list, size_t *n, double value)
{
	*list = xrealloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = value;
}

static void add_result(struct group *group, const char *of, const json_t *task)
{
	bool completed = task_is(task, "completed");
	double seconds = json_num(task, "seconds", -1);
	double cost = json_num(json_sub(task, "usage"), "cost_usd", -1);
	const char *code = json_text(json_sub(task, "error"), "code");
	struct cell *cell;

	if (!completed && !task_is(task, "failed")) {
		group->cancelled += task_is(task, "cancelled");
		group->open += !task_is(task, "cancelled");
		return;
	}
	cell = cell_of(group, of);
	cell->n++;
	cell->passed += completed;
	group->n++;
	group->passed += completed;
	group->unverified += completed && !json_sub(task, "verify");
	if (seconds >= 0)
		add_number(&group->seconds, &group->second_count, seconds);
	if (cost >= 0)
		add_number(&group->costs, &group->cost_count, cost);
	if (!completed)
		json_object_set_new(
		    group->failures, code ? code : "unknown",
		    json_integer(json_int(group->failures, code ? code : "unknown", 0) + 1));
}

/* 1 - C(n-c, k) / C(n, k), as a product that does not overflow. */
static double pass_at(int n, int passed, int k)
{
	double none = 1;

	if (n - passed < k)
		return 1;
	for (int i = n - passed + 1; i <= n; i++)
		none *= 1 - (double)k / i;
	return 1 - none;
}

/* The largest k that every task has results for. */
static int most_k(const struct group *group)
{
	int k = group->cell_count ? group->cells[0].n : 0;

	for (size_t i = 1; i < group->cell_count; i++)
		if (group->cells[i].n < k)
			k = group->cells[i].n;
	return k;
}

static json_t *pass_at_json(const struct group *group)
{
	json_t *out = json_object();
	int most = most_k(group);

	for (int k = 1; k <= most; k++) {
		double sum = 0;
		char name[16];

		for (size_t i = 0; i < group->cell_count; i++)
			sum += pass_at(group->cells[i].n, group->cells[i].passed, k);
		snprintf(name, sizeof name, "%d", k);
		json_object_set_new(out, name, json_real(sum / (double)group->cell_count));
	}
	return out;
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static json_t *median_json(double *list, size_t n)
{
	if (!n)
		return json_null();
	qsort(list, n, sizeof *list, by_number);
	return json_real(n % 2 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2]) / 2);
}

static void add_interval(json_t *row, const struct group *group)
{
	double n = group->n, p, z2 = Z95 * Z95, middle, half;

	if (!group->n) {
		json_object_set_new(row, "rate", json_null());
		json_object_set_new(row, "low", json_null());
		json_object_set_new(row, "high", json_null());
		return;
	}
	p = group->passed / n;
	middle = (p + z2 / (2 * n)) / (1 + z2 / n);
	half = Z95 * square_root(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
	json_object_set_new(row, "rate", json_real(p));
	json_object_set_new(row, "low", json_real(group->passed ? middle - half : 0));
	json_object_set_new(row, "high", json_real(group->passed < group->n ? middle + half : 1));
}

static json_t *row_json(struct group *group)
{
	json_t *row = json_pack("{s:s, s:i, s:i, s:i}", "group", group->name, "tasks",
	                        (int)group->cell_count, "n", group->n, "passed", group->passed);
	double cost = 0;

	add_interval(row, group);
	for (size_t i = 0; i < group->cost_count; i++)
		cost += group->costs[i];
	json_object_set_new(row, "pass_at", pass_at_json(group));
	json_object_set_new(row, "median_seconds",
	                    median_json(group->seconds, group->second_count));
	json_object_set_new(row, "median_cost_usd", median_json(group->costs, group->cost_count));
	json_object_set_new(row, "cost_usd", group->cost_count ? json_real(cost) : json_null());
	json_object_set(row, "failures", group->failures);
	json_object_set_new(row, "unverified", json_integer(group->unverified));
	json_object_set_new(row, "cancelled", json_integer(group->cancelled));
	json_object_set_new(row, "open", json_integer(group->open));
	return row;
}

static void group_finish(struct group *group)
{
	free(group->cells);
	json_decref(group->index);
	free(group->name);
	free(group->seconds);
	free(group->costs);
	json_decref(group->failures);
}

static int by_rate(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	double p = x->n ? (double)x->passed / x->n : -1, q = y->n ? (double)y->passed / y->n : -1;

	return p != q ? (p < q) - (p > q) : strcmp(x->name, y->name);
}

/* The key of its choice, or its own. */
static const char *task_of(const json_t *by_id, const json_t *task)
{
	int64_t parent = json_int(task, "parent", 0);
	const char *key = parent ? json_text(task_indexed(by_id, parent), "key") : NULL;

	if (!key)
		key = json_text(task, "key");
	return key ? key : "?";
}

json_t *experiment_count(const json_t *tasks, bool by_agent)
{
	_cleanup_json_ json_t *by_id = task_index(tasks);
	_cleanup_json_ json_t *index = json_object();
	struct groups groups = {NULL, 0, index};
	struct group all;
	json_t *rows = json_array(), *total, *task;
	int k = 0;
	size_t i;

	group_init(&all, "all");
	json_array_foreach (tasks, i, task) {
		_cleanup_free_ char *agent = task_agent(task);
		const char *of = task_of(by_id, task);

		if (task_is_choice(task))
			continue;
		add_result(group_of(&groups, by_agent ? agent : of), of, task);
		add_result(&all, of, task);
	}
	if (by_agent && groups.count)
		qsort(groups.items, groups.count, sizeof *groups.items, by_rate);
	for (i = 0; i < groups.count; i++) {
		struct group *group = &groups.items[i];
		int most = most_k(group);

		k = !i || most < k ? most : k;
		json_array_append_new(rows, row_json(group));
		group_finish(group);
	}
	free(groups.items);
	total = row_json(&all);
	group_finish(&all);
	return json_pack("{s:s, s:i, s:o, s:o}", "by", by_agent ? "agent" : "task", "k", k, "rows",
	                 rows, "all", total);
}
