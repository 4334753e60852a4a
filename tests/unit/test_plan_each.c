/* for_each, measures and ways to choose: what a plan makes of them, and what it refuses. */
#include "plan_fixture.h"

static void test_values(void **state)
{
	struct fixture *f = *state;
	json_t *task;

	put_text(f, "items.jsonl",
	         "{\"n\":3,\"deep\":{\"x\":\"a}b\"},\"list\":[1,2],\"yes\":true}\r\n\n"
	         "{\"n\":-4,\"deep\":{\"x\":\"{item.n}\"},\"list\":[],\"yes\":false}");
	read_good(f, "tasks:\n"
	             "  - id: t\n"
	             "    for_each: items.jsonl\n"
	             "    priority: \"{item.n}\"\n"
	             "    expect_changes: \"{item.yes}\"\n"
	             "    prompt: \"{item.deep.x} {item.list} {items.n} {item.n}{item.n} {item.\"\n"
	             "    verify: [test, \"{item.n}\"]\n"
	             "  - {id: after, prompt: x, blocked_by: [t, t]}\n");
	task = task_of(f, "t-1");
	assert_string_equal(said(task, "prompt"), "a}b [1,2] {items.n} 33 {item.");
	assert_int_equal(json_int(task, "priority", 0), 3);
	assert_true(json_flag(json_sub(task, "spec"), "expect_changes"));
	/* What a value brings is not looked at again. */
	task = task_of(f, "t-2");
	assert_string_equal(said(task, "prompt"), "{item.n} [] {items.n} -4-4 {item.");
	assert_int_equal(json_int(task, "priority", 0), -4);
	assert_int_equal(json_array_size(json_sub(task_of(f, "after"), "blocked_by")), 2);
}

static void test_keys(void **state)
{
	struct fixture *f = *state;

	put_text(f, "items.jsonl", "{\"id\":\"x/y\"}\n{\"id\":\"7\"}\n");
	read_good(f, "tasks: [{id: \"{item.id}\", for_each: items.jsonl, prompt: p}]");
	task_of(f, "x-y");
	task_of(f, "_7");
	put_text(f, "items.jsonl", "{\"id\":\"x/y\"}\n{\"id\":\"x y\"}\n");
	read_bad(f, "tasks: [{id: \"{item.id}\", for_each: items.jsonl, prompt: p}]",
	         "plan.yaml:1:", "task x-y again");
	read_bad(f, "tasks: [{id: t, for_each: items.jsonl, prompt: p}, {id: t, prompt: q}]",
	         "plan.yaml:1:", "task t again");
	read_bad(f, "tasks: [{id: t, for_each: items.jsonl, prompt: p, blocked_by: [t]}]",
	         "plan.yaml:1:", "t-1");
	read_bad(f, "tasks: [{for_each: items.jsonl, prompt: p}]", "plan.yaml:1:", "needs an id");
	read_bad(f, "defaults: {for_each: items.jsonl}\ntasks: [{id: t, prompt: p}]",
	         "plan.yaml:1:", "for_each belongs to a task");
}

static void test_refused_items(void **state)
{
	struct fixture *f = *state;
	static const char plan[] = "tasks: [{id: t, for_each: items.jsonl, prompt: \"{item.x}\"}]";

	put_text(f, "items.jsonl", "{\"x\":null}");
	read_bad(f, plan, "plan.yaml:1:", "items.jsonl:1 has no x");
	put_text(f, "items.jsonl", "{\"x\":1}\n{\"x\":");
	read_bad(f, plan, "plan.yaml:1:", "items.jsonl:2:");
	put_text(f, "items.jsonl", "\"x\"");
	read_bad(f, plan, "plan.yaml:1:", "items.jsonl:1: ");
	put(f, "items.jsonl", "{\"x\":\"\0\"}", 9);
	read_bad(f, plan, "plan.yaml:1:", "not UTF-8");
	read_bad(f, "tasks: [{id: t, for_each: nowhere.jsonl, prompt: p}]",
	         "plan.yaml:1:", "nowhere.jsonl");
	read_bad(f, "tasks: [{id: t, for_each: [a], prompt: p}]", "plan.yaml:1:", "for_each");
}

/* What a file brings is never read by a shell; an argument of its own is. */
static void test_shell(void **state)
{
	struct fixture *f = *state;
	static const char *const code[] = {
	    "verify: 'grep {item.x} f'",      "verify: {command: 'grep {item.x} f'}",
	    "setup: 'get {item.x}'",          "measure: {size: 'wc {item.x}'}",
	    "agent: {command: 'a {item.x}'}", "choose: {judge: 'j {item.x}'}, alternatives: 2",
	};

	put_text(f, "items.jsonl", "{\"x\":\"$(touch pwned)\"}");
	for (size_t i = 0; i < ARRAY_LEN(code); i++) {
		_cleanup_free_ char *plan =
		    xasprintf("tasks: [{id: t, for_each: items.jsonl, prompt: p, %s}]", code[i]);

		read_bad(f, plan, "plan.yaml:1:", "{item.…} inside shell code is never replaced");
	}
	read_good(f, "tasks: [{id: t, for_each: items.jsonl, prompt: p, verify: [grep, "
	             "\"{item.x}\", f], env: {X: \"{item.x}\"}}]");
}

/* A small file cannot become a huge plan. */
static void test_bounds(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf items = BUF_INIT, plan = BUF_INIT;

	buf_add_str(&items, "{\"x\":\"");
	for (int i = 0; i < 100000; i++)
		buf_add_str(&items, "0123456789");
	buf_add_str(&items, "\"}\n");
	put(f, "items.jsonl", items.data, items.len);
	buf_add_str(&plan, "tasks: [{id: t, for_each: items.jsonl, metadata: {m: \"");
	for (int i = 0; i < 70; i++)
		buf_add_str(&plan, "{item.x}");
	buf_add_str(&plan, "\"}, prompt: p}]");
	read_bad(f, plan.data, "plan.yaml:1:", "MiB of text");
}

static void test_choices(void **state)
{
	struct fixture *f = *state;
	const json_t *choose;

	read_good(f, "measure: {a: ./a, b: {command: [b, x], timeout: 3s}}\n"
	             "tasks: [{id: t, prompt: p, alternatives: [{repeat: 3}, {agent: codex}],\n"
	             "  choose: {by: b, order: max}}]");
	choose = json_object_get(task_of(f, "t"), "choose");
	assert_string_equal(said(choose, "by"), "b");
	assert_string_equal(said(choose, "order"), "max");
	assert_int_equal(json_array_size(json_object_get(f->plan, "tasks")), 5);
	assert_int_equal(
	    json_int(json_sub(json_sub(json_sub(task_of(f, "t.4"), "spec"), "measure"), "b"),
	             "timeout", 0),
	    3);
	read_good(f, "tasks: [{id: t, prompt: p, alternatives: 2, choose: {judge: [a, b]}}]");
	assert_true(
	    json_is_array(json_object_get(json_object_get(task_of(f, "t"), "choose"), "judge")));
	read_bad(f, "measure: {a b: x}\ntasks: [{id: t, prompt: p}]", "plan.yaml:1:", "a name is");
	read_bad(f, "measure: [x]\ntasks: [{id: t, prompt: p}]", "plan.yaml:1:", "mapping");
	read_bad(f, "tasks: [{id: t, prompt: p, alternatives: 2, choose: {by: a, judge: b}}]",
	         "plan.yaml:1:", "one of them");
	read_bad(f, "tasks: [{id: t, prompt: p, alternatives: 2, choose: {judge: b, order: min}}]",
	         "plan.yaml:1:", "order goes with by");
	read_bad(f, "tasks: [{id: t, prompt: p, alternatives: 2, choose: {by: a, order: up}}]",
	         "plan.yaml:1:", "order must be");
	read_bad(f, "tasks: [{id: t, prompt: p, alternatives: [{repeat: 0}]}]",
	         "plan.yaml:1:", "repeat");
	read_bad(f, "tasks: [{id: t, prompt: p, base: \"-x\"}]", "plan.yaml:1:", "revision");
}

/* A plan of before is the same plan: nothing new is in its tasks. */
static void test_plain(void **state)
{
	struct fixture *f = *state;
	json_t *task;

	read_good(f, "tasks: [{id: t, prompt: p}]");
	task = task_of(f, "t");
	assert_null(json_object_get(task, "base"));
	assert_null(json_object_get(json_sub(task, "spec"), "measure"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_values), TEST(test_keys),    TEST(test_refused_items), TEST(test_shell),
	    TEST(test_bounds), TEST(test_choices), TEST(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
