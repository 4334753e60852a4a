/* What `run` asks of a plan: which argument is the file, which tasks and agents are meant, in
 * which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "run_plan.h"
#include "team_start.h"

static json_t *plan(void)
{
	return json_pack(
	    "{s:s, s:{s:[{s:s, s:s}]}, s:[{s:s, s:[s], s:s}, {s:s, s:[], s:s}, {s:s, s:[], s:s},"
	    " {s:s, s:s, s:[], s:s}, {s:s, s:s, s:[], s:s}]}",
	    "name", "p", "team", "teammates", "name", "ash", "agent", "t", "tasks", "key", "b",
	    "blocked_by", "a", "agent", "x", "key", "a", "blocked_by", "agent", "y", "key", "s",
	    "blocked_by", "kind", "choice", "key", "s.1", "parent", "s", "blocked_by", "agent", "v",
	    "key", "s.2", "parent", "s", "blocked_by", "agent", "w");
}

static char *keys_text(const json_t *value)
{
	return jsonl_text(value);
}

static void test_file(void **state)
{
	(void)state;
	assert_true(run_is_plan_file("-"));
	assert_true(run_is_plan_file("plans/x"));
	assert_true(run_is_plan_file("x.yaml"));
	assert_true(run_is_plan_file("x.yml"));
	assert_true(run_is_plan_file("x.json"));
	assert_false(run_is_plan_file("parser"));
	assert_false(run_is_plan_file("speed.1"));
}

static void test_order(void **state)
{
	_cleanup_json_ json_t *p = plan(), *all = json_array(), *order = run_order(p, all);
	_cleanup_free_ char *text = keys_text(order);
	_cleanup_json_ json_t *one = json_pack("[s]", "s.2"), *some = run_order(p, one);
	_cleanup_free_ char *some_text = keys_text(some);

	(void)state;
	assert_string_equal(text, "[\"a\",\"s\",\"b\",\"s.1\",\"s.2\"]");
	assert_string_equal(some_text, "[\"s\",\"s.1\",\"s.2\"]");
}

static void test_agents(void **state)
{
	_cleanup_json_ json_t *p = plan(), *keys = json_pack("[s]", "b");
	_cleanup_json_ json_t *used = run_used_agents(p, keys);
	_cleanup_free_ char *text = keys_text(used);

	(void)state;
	assert_string_equal(text, "{\"x\":true,\"y\":true,\"t\":true}");
}

static void test_keys(void **state)
{
	_cleanup_json_ json_t *p = plan(), *keys = json_pack("[s]", "s.3");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(run_check_keys(p, keys, &err), -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.text, "did you mean s."));
}

static long size_of(const char *text)
{
	_cleanup_json_ json_t *tasks = jsonl_parse(text, strlen(text), NULL);

	assert_non_null(tasks);
	return team_default_size(tasks);
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(size_of("[]"), 0);
	assert_int_equal(size_of("[{\"status\":\"completed\"}]"), 0);
	assert_int_equal(size_of("[{\"status\":\"pending\",\"stuck_by\":[1]}]"), 0);
	assert_int_equal(size_of("[{\"status\":\"pending\",\"stuck_by\":[]}]"), 1);
	assert_int_equal(size_of("[{\"status\":\"pending\",\"ready\":true},"
	                         "{\"status\":\"pending\",\"ready\":true}]"),
	                 2);
	assert_int_equal(size_of("[{\"ready\":true},{\"ready\":true},{\"ready\":true},"
	                         "{\"ready\":true},{\"ready\":true},{\"ready\":true}]"),
	                 4);
	assert_int_equal(size_of("[{\"kind\":\"choice\",\"status\":\"pending\"}]"), 0);
}

static void test_programs(void **state)
{
	const struct command command = {.name = "run"};
	struct cli cli = {.command = &command};
	_cleanup_json_ json_t *agents =
	    json_pack("{s:{s:s}, s:{s:s}, s:{s:s}}", "here", "program", "sh", "later", "program",
	              "tools/fix.sh", "x", "program", "no-such-program-anywhere");
	_cleanup_json_ json_t *used = json_pack("{s:b, s:b}", "here", 1, "later", 1);
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(team_check_agents(&cli, agents, used, NULL, &err), 0);
	assert_int_equal(team_check_agents(&cli, agents, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_non_null(
	    strstr(err.text, "run: agent \"x\": program \"no-such-program-anywhere\" not found"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),   cmocka_unit_test(test_order),
	    cmocka_unit_test(test_agents), cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_size),   cmocka_unit_test(test_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
