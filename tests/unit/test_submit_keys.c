/* The part of a plan that was asked for: with what it waits for, choices whole. */
#include "jsonl.h"
#include "mem.h"
#include "shared_fixture.h"
#include "submit_keys.h"

static const char plan_text[] =
    "{\"tasks\":[{\"key\":\"a\"},{\"key\":\"b\",\"blocked_by\":[\"a\",\"elsewhere\"]},"
    "{\"key\":\"c\",\"blocked_by\":[\"b\"]},{\"key\":\"ch\",\"blocked_by\":[\"a\"]},"
    "{\"key\":\"ch.1\",\"parent\":\"ch\"},{\"key\":\"ch.2\",\"parent\":\"ch\"},"
    "{\"key\":\"x\",\"blocked_by\":[\"y\"]},{\"key\":\"y\",\"blocked_by\":[\"x\"]},{}]}";

static json_t *parsed(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

/* The keys of the closure, in the order of the plan. */
static void assert_closure(const char *asked, const char *expected)
{
	_cleanup_json_ json_t *plan = parsed(plan_text), *keys = parsed(asked);
	_cleanup_json_ json_t *tasks = submit_keys_closure(plan, keys), *found = json_array();
	_cleanup_free_ char *text = NULL;
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		json_array_append(found, json_object_get(task, "key"));
	text = jsonl_text(found);
	assert_string_equal(text, expected);
}

static void test_closure(void **state)
{
	(void)state;
	assert_closure("[\"a\"]", "[\"a\"]");
	assert_closure("[\"c\"]", "[\"a\",\"b\",\"c\"]");
	assert_closure("[\"ch\"]", "[\"a\",\"ch\",\"ch.1\",\"ch.2\"]");
	assert_closure("[\"ch.2\",\"a\"]", "[\"a\",\"ch\",\"ch.1\",\"ch.2\"]");
	assert_closure("[\"y\"]", "[\"x\",\"y\"]");
	assert_closure("[\"elsewhere\"]", "[]");
}

static void test_check(void **state)
{
	_cleanup_json_ json_t *plan = parsed(plan_text), *good = parsed("[\"a\",\"ch.1\"]");
	_cleanup_json_ json_t *bad = parsed("[\"a\",\"elsewhere\"]"), *number = parsed("[7]");
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(submit_keys_check(plan, good, &err));
	assert_ok(submit_keys_check(plan, NULL, &err));
	assert_int_equal(submit_keys_check(plan, bad, &err), -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.text, "elsewhere"));
	assert_int_equal(submit_keys_check(plan, number, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_closure),
	    cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
