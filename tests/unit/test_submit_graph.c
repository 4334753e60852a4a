/* Who waits for whom within a submit: names become numbers once, circles and doubles are found. */
#include "jsonl.h"
#include "mem.h"
#include "shared_fixture.h"
#include "submit_graph.h"

#define _cleanup_graph_ __attribute__((cleanup(submit_graph_finish)))

static json_t *parsed(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

static void test_numbers(void **state)
{
	_cleanup_json_ json_t *tasks =
	    parsed("[{\"key\":\"a\"},{\"key\":\"b\",\"blocked_by\":[\"a\",\"x\",\"a\",\"c\",7]},"
	           "{\"key\":\"c\",\"blocked_by\":[\"a\"]}]");
	_cleanup_graph_ struct submit_graph graph = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(submit_graph_make(tasks, &graph, &err));
	assert_int_equal(graph.n, 3);
	assert_int_equal(graph.first[1], 0);
	assert_int_equal(graph.first[2], 4);
	assert_int_equal(graph.first[3], 5);
	assert_int_equal(graph.blockers[0], 0);
	assert_int_equal(graph.blockers[1], SUBMIT_ELSEWHERE);
	assert_int_equal(graph.blockers[2], 2);
	assert_int_equal(graph.blockers[3], SUBMIT_ELSEWHERE);
	assert_int_equal(graph.blockers[4], 0);
	assert_ok(submit_graph_check(&graph, tasks, &err));
}

static void refused(const char *text, const char *reason)
{
	_cleanup_json_ json_t *tasks = parsed(text);
	_cleanup_graph_ struct submit_graph graph = {0};
	struct error err = ERROR_INIT;
	int rc = submit_graph_make(tasks, &graph, &err);

	if (rc == 0)
		rc = submit_graph_check(&graph, tasks, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERROR_INVALID);
	if (!strstr(err.text, reason))
		fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void test_refused(void **state)
{
	(void)state;
	refused("[{\"key\":\"a\"},{\"key\":\"b\"},{\"key\":\"a\"}]", "two tasks have the key a");
	refused("[{\"key\":\"a\",\"blocked_by\":[\"a\"]}]", "circle, a among");
	refused("[{\"key\":\"free\"},{\"key\":\"a\",\"blocked_by\":[\"free\",\"c\"]},"
	        "{\"key\":\"b\",\"blocked_by\":[\"a\"]},{\"key\":\"c\",\"blocked_by\":[\"b\"]}]",
	        "circle, a among");
}

static void test_odd_plans(void **state)
{
	_cleanup_json_ json_t *tasks =
	    parsed("[{},{\"key\":null,\"blocked_by\":\"a\"},{\"key\":5},7,{\"key\":\"a\","
	           "\"blocked_by\":{\"a\":\"a\"}}]");
	_cleanup_json_ json_t *none = json_array(), *key = json_string("a");
	_cleanup_graph_ struct submit_graph graph = {0}, empty = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(submit_graph_make(tasks, &graph, &err));
	assert_int_equal(graph.first[5], 0);
	assert_int_equal(submit_graph_find(&graph, key), 4);
	assert_int_equal(submit_graph_find(&graph, NULL), SUBMIT_ELSEWHERE);
	assert_ok(submit_graph_check(&graph, tasks, &err));
	assert_ok(submit_graph_make(none, &empty, &err));
	assert_ok(submit_graph_check(&empty, none, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_odd_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
