/* Counts and exit statuses: 0 done, 1 failed, 3 a person is needed (wins). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "outcome.h"

static json_t *parse(const char *text)
{
	_cleanup_free_ char *json = xstrdup(text);

	for (char *p = json; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_t *value = jsonl_parse(json, strlen(json), NULL);
	assert_non_null(value);
	return value;
}

static int status_of(const char *text, const char *others_text)
{
	_cleanup_json_ json_t *tasks = parse(text);
	_cleanup_json_ json_t *others = others_text ? parse(others_text) : NULL;
	_cleanup_json_ json_t *index = task_index(tasks), *more = task_index(others);

	json_object_update(index, more);
	return outcome_exit_status(tasks, index);
}

static void test_simple(void **state)
{
	(void)state;
	assert_int_equal(status_of("[]", NULL), 0);
	assert_int_equal(status_of("[{'id':1,'status':'completed'}]", NULL), 0);
	assert_int_equal(status_of("[{'id':1,'status':'failed'}]", NULL), 1);
	assert_int_equal(status_of("[{'id':1,'status':'cancelled'}]", NULL), 1);
	assert_int_equal(status_of("[{'id':1,'status':'needs_input'}]", NULL), 3);
	assert_int_equal(
	    status_of("[{'id':1,'status':'failed'},{'id':2,'status':'needs_input'}]", NULL), 3);
}

static void test_stuck(void **state)
{
	(void)state;
	assert_int_equal(status_of("[{'id':2,'status':'pending','stuck_by':[1]}]", NULL), 1);
	assert_int_equal(status_of("[{'id':2,'status':'pending','stuck_by':[1]}]",
	                           "[{'id':1,'status':'failed'}]"),
	                 1);
	assert_int_equal(status_of("[{'id':2,'status':'pending','stuck_by':[1]}]",
	                           "[{'id':1,'status':'needs_input'}]"),
	                 3);
	assert_int_equal(status_of("[{'id':2,'status':'pending','stuck_by':[1,3]}]",
	                           "[{'id':1,'status':'failed'},{'id':3,'status':'needs_input'}]"),
	                 3);
}

static void test_choices(void **state)
{
	(void)state;
	assert_int_equal(status_of("[{'id':1,'kind':'choice','status':'completed'},"
	                           "{'id':2,'parent':1,'status':'completed'},"
	                           "{'id':3,'parent':1,'status':'failed'},"
	                           "{'id':4,'parent':1,'status':'cancelled'}]",
	                           NULL),
	                 0);
	assert_int_equal(status_of("[{'id':1,'kind':'choice','status':'failed'},"
	                           "{'id':3,'parent':1,'status':'failed'}]",
	                           NULL),
	                 1);
	assert_int_equal(status_of("[{'id':1,'kind':'choice','status':'needs_input'},"
	                           "{'id':3,'parent':1,'status':'failed'}]",
	                           NULL),
	                 3);
	/* Asked for by itself, a failed alternative is a failure. */
	assert_int_equal(status_of("[{'id':3,'parent':1,'status':'failed'}]", NULL), 1);
}

static void test_summary(void **state)
{
	_cleanup_json_ json_t *tasks = parse(
	    "[{'id':1,'status':'completed'},{'id':2,'status':'failed'},"
	    "{'id':3,'status':'pending','stuck_by':[2]},{'id':4,'status':'pending','stuck_by':[]},"
	    "{'id':5,'status':'needs_input'},{'id':6,'status':'cancelled'}]");
	_cleanup_json_ json_t *summary = outcome_json("p", tasks, 2.5);

	(void)state;
	assert_string_equal(json_text(summary, "plan"), "p");
	assert_int_equal(json_int(summary, "completed", -1), 1);
	assert_int_equal(json_int(summary, "failed", -1), 1);
	assert_int_equal(json_int(summary, "cancelled", -1), 1);
	assert_int_equal(json_int(summary, "pending", -1), 2);
	assert_int_equal(json_int(summary, "needs_input", -1), 1);
	assert_int_equal(json_int(summary, "stuck", -1), 1);
	assert_true(json_num(summary, "seconds", 0) > 2.4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_simple),
	    cmocka_unit_test(test_stuck),
	    cmocka_unit_test(test_choices),
	    cmocka_unit_test(test_summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
