/* The order of alternatives, and the counting of experiments: pure, held against sums by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "experiment.h"
#include "jsonl.h"
#include "mem.h"
#include "ranking.h"

static json_t *read_json(const char *text)
{
	json_t *value = jsonl_parse(text, strlen(text), NULL);

	assert_non_null(value);
	return value;
}

/* The ids in the order of their ranks, then "-" and those without. Caller frees. */
static char *order_of(const char *rows_text, const char *choose, const char *verdict_text)
{
	_cleanup_json_ json_t *rows = read_json(rows_text), *rule = ranking_rule(choose);
	_cleanup_json_ json_t *verdict = verdict_text ? read_json(verdict_text) : NULL;
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t n = json_array_size(rows), i;
	json_t *row;

	ranking_apply(rows, rule, verdict);
	for (size_t rank = 0; rank <= n; rank++)
		json_array_foreach (rows, i, row) {
			assert_true(json_object_get(row, "why") != NULL);
			if (rank && json_int(row, "rank", 0) == (json_int_t)rank)
				buf_printf(&out, "%d ", (int)json_int(row, "id", 0));
		}
	buf_add_str(&out, "-");
	json_array_foreach (rows, i, row)
		if (!json_int(row, "rank", 0))
			buf_printf(&out, " %d", (int)json_int(row, "id", 0));
	return buf_take(&out);
}

#define ROWS                                                                                       \
	"[{\"id\":1,\"status\":\"completed\",\"verify_exit_code\":0,\"insertions\":9,"             \
	"\"deletions\":0,"                                                                         \
	"\"measures\":{\"ms\":{\"value\":3.5}}},"                                                  \
	"{\"id\":2,\"status\":\"completed\",\"verify_exit_code\":0,\"insertions\":1,"              \
	"\"deletions\":1,"                                                                         \
	"\"measures\":{\"ms\":{\"value\":null}}},"                                                 \
	"{\"id\":3,\"status\":\"failed\",\"verify_exit_code\":1,\"insertions\":0,\"deletions\":0}" \
	","                                                                                        \
	"{\"id\":4,\"status\":\"completed\",\"verify_exit_code\":null,\"insertions\":0,"           \
	"\"deletions\":0,\"measures\":{\"ms\":{\"value\":1}}},"                                    \
	"{\"id\":5,\"status\":\"completed\",\"verify_exit_code\":0,\"insertions\":2,"              \
	"\"deletions\":0,"                                                                         \
	"\"measures\":{\"ms\":{\"value\":-2}}}]"

static void check(const char *choose, const char *verdict, const char *wanted)
{
	_cleanup_free_ char *order = order_of(ROWS, choose, verdict);

	assert_string_equal(order, wanted);
}

static void test_ranking(void **state)
{
	(void)state;
	/* Proven first, then fewer lines, then as they stand: 2 and 5 have two lines. */
	check("best", NULL, "2 5 1 4 - 3");
	check(NULL, NULL, "2 5 1 4 - 3");
	/* A measure counts among the proven only; without a number behind those with one. */
	check("{\"by\":\"ms\",\"order\":\"min\"}", NULL, "5 1 2 4 - 3");
	check("{\"by\":\"ms\",\"order\":\"max\"}", NULL, "1 5 2 4 - 3");
	check("{\"by\":\"other\",\"order\":\"min\"}", NULL, "2 5 1 4 - 3");
	/* A judge's word is first, also for what is not proven; the rest follows by the rule. */
	check("{\"judge\":\"x\"}", "{\"order\":[{\"id\":4},{\"id\":3},{\"id\":1}]}", "4 1 2 5 - 3");
	check("{broken", NULL, "2 5 1 4 - 3");
}

static void test_reasons(void **state)
{
	_cleanup_json_ json_t *rows = read_json(ROWS), *rule = ranking_rule("{\"by\":\"ms\"}");
	_cleanup_json_ json_t *verdict =
	    read_json("{\"order\":[{\"id\":2,\"reason\":\"shorter\"}]}");

	(void)state;
	ranking_apply(rows, rule, NULL);
	assert_string_equal(json_text(json_array_get(rows, 0), "why"), "passed, ms 3.5");
	assert_string_equal(json_text(json_array_get(rows, 1), "why"), "passed, no ms");
	assert_string_equal(json_text(json_array_get(rows, 2), "why"), "failed");
	assert_string_equal(json_text(json_array_get(rows, 3), "why"), "not verified, ms 1");
	assert_int_equal(ranking_best(rows), 5);
	ranking_apply(rows, rule, verdict);
	assert_string_equal(json_text(json_array_get(rows, 1), "why"), "judge: shorter");
	assert_int_equal(ranking_best(rows), 2);
}

/* ---- experiments ---- */

/* One result: an alternative of a task. */
static void add(json_t *tasks, int parent, const char *agent, const char *status, double seconds,
                double cost, const char *code)
{
	json_t *task = json_pack("{s:I, s:s, s:s, s:i, s:s, s:n, s:s, s:f, s:o, s:o, s:o}", "id",
	                         (json_int_t)json_array_size(tasks) + 1000, "key", "x", "kind",
	                         "work", "parent", parent, "agent", agent, "model", "status",
	                         status, "seconds", seconds, "usage",
	                         cost < 0 ? json_null() : json_pack("{s:f}", "cost_usd", cost),
	                         "error", code ? json_pack("{s:s}", "code", code) : json_null(),
	                         "verify", code ? json_null() : json_object());

	assert_non_null(task);
	json_array_append_new(tasks, task);
}

static void near(const json_t *object, const char *key, double wanted)
{
	double value = json_num(object, key, -1);

	if (value < wanted - 0.0005 || value > wanted + 0.0005)
		fail_msg("%s: %f, not %f", key, value, wanted);
}

static void test_experiment(void **state)
{
	_cleanup_json_ json_t *tasks = json_array(), *counted = NULL;
	const json_t *row;

	(void)state;
	for (int i = 1; i <= 2; i++)
		json_array_append_new(tasks, json_pack("{s:i, s:s, s:s, s:s}", "id", i, "key",
		                                       i == 1 ? "one" : "two", "kind", "choice",
		                                       "status", "completed"));
	/* Of task one 1 of 4, of task two 3 of 3. */
	add(tasks, 1, "a", "completed", 4, 0.5, NULL);
	add(tasks, 1, "a", "failed", 2, 0.1, "timeout");
	add(tasks, 1, "a", "failed", 1, 0.2, "timeout");
	add(tasks, 1, "a", "failed", 3, -1, "verify_failed");
	for (int i = 0; i < 3; i++)
		add(tasks, 2, "a", "completed", 10, -1, NULL);
	add(tasks, 2, "a", "cancelled", 100, 100, NULL);
	add(tasks, 2, "b", "in_progress", 100, 100, NULL);
	counted = experiment_count(tasks, true);
	row = json_array_get(json_sub(counted, "rows"), 0);
	assert_string_equal(json_text(row, "group"), "a");
	assert_int_equal(json_int(row, "n", 0), 7);
	assert_int_equal(json_int(row, "passed", 0), 4);
	assert_int_equal(json_int(row, "cancelled", 0), 1);
	near(row, "rate", 4 / 7.0);
	/* Wilson, 4 of 7: 0.2505 to 0.8418. */
	near(row, "low", 0.2505);
	near(row, "high", 0.8418);
	/* (1/4 + 1) / 2; 1 - C(3,2)/C(4,2) = 1/2; 1 - C(3,3)/C(4,3) = 3/4; no fourth of two. */
	near(json_sub(row, "pass_at"), "1", 0.625);
	near(json_sub(row, "pass_at"), "2", 0.75);
	near(json_sub(row, "pass_at"), "3", 0.875);
	assert_null(json_object_get(json_sub(row, "pass_at"), "4"));
	near(row, "median_seconds", 4);
	near(row, "median_cost_usd", 0.2);
	near(row, "cost_usd", 0.8);
	assert_int_equal(json_int(json_sub(row, "failures"), "timeout", 0), 2);
	/* Nobody of b has ended: no rate, and no k that all have. */
	row = json_array_get(json_sub(counted, "rows"), 1);
	assert_true(json_is_null(json_object_get(row, "rate")));
	assert_int_equal(json_int(row, "open", 0), 1);
	assert_int_equal(json_int(counted, "k", -1), 0);
}

static void test_edges(void **state)
{
	_cleanup_json_ json_t *tasks = json_array(), *none = experiment_count(tasks, false);
	_cleanup_json_ json_t *all = NULL;
	const json_t *row;

	(void)state;
	assert_int_equal(json_array_size(json_sub(none, "rows")), 0);
	for (int i = 0; i < 40; i++)
		add(tasks, 0, "a", "completed", 1, -1, NULL);
	all = experiment_count(tasks, false);
	row = json_array_get(json_sub(all, "rows"), 0);
	near(row, "low", 0.9124);
	near(row, "high", 1);
	near(json_sub(row, "pass_at"), "40", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ranking),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_experiment),
	    cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
