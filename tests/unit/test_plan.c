/* What a plan becomes: defaults merged, agents resolved, alternatives expanded, secrets apart. */
#include "plan_fixture.h"

static void test_whole(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *hidden = xasprintf("%s/hidden", f->dir);
	assert_int_equal(mkdir(hidden, 0700), 0);
	read_good(f,
	          "name: fix\nbase: main\ntarget: dev\nverify: {command: make test, timeout: 5m, "
	          "protect: [tests/], overlay: hidden/}\nsetup: ./configure\ncopy: [.env]\n"
	          "link: [node_modules]\nenv: {CI: 1, A: plan}\nlimits: {total: 4, claude: 2}\n"
	          "defaults: {agent: claude/opus, timeout: 1h, env: {B: d}}\n"
	          "agents:\n  fixer: {command: [sh, fix.sh, '{prompt_file}'], env: {A: agent}}\n"
	          "team: 3\ntasks:\n"
	          "  - {id: parser, prompt: Fix it., verify: make p, env: {A: task}}\n"
	          "  - {id: lint, slot: none, agent: {command: [make, lint]}}\n"
	          "  - {id: docs, prompt: Write., blocked_by: [parser], when: settled, "
	          "priority: 5, metadata: {ticket: 42}, agent: fixer, retries: 2}\n");
	json_t *parser = task_of(f, "parser"), *docs = task_of(f, "docs");
	json_t *spec = json_object_get(parser, "spec"), *verify = json_object_get(spec, "verify");
	assert_string_equal(said(f->plan, "name"), "fix");
	assert_string_equal(said(f->plan, "base_at"), "plan.yaml:2:7");
	assert_string_equal(said(parser, "agent"), "claude");
	assert_string_equal(said(parser, "model"), "opus");
	assert_string_equal(said(parser, "subject"), "Fix it.");
	assert_int_equal(json_int(spec, "timeout", 0), 3600);
	assert_string_equal(said(verify, "command"), "make p");
	assert_int_equal(json_int(verify, "timeout", 0), 300);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(verify, "protect"), 0)), "tests/");
	assert_true(said(verify, "overlay")[0] == '/');
	assert_string_equal(said(docs, "when"), "settled");
	assert_int_equal(json_int(docs, "priority", 0), 5);
	assert_int_equal(json_int(json_object_get(docs, "spec"), "retries", 0), 2);
	assert_int_equal(json_int(json_object_get(docs, "metadata"), "ticket", 0), 42);
	assert_string_equal(said(task_of(f, "lint"), "agent"), "make");
	json_t *agents = json_object_get(f->plan, "agents");
	assert_int_equal(json_object_size(agents), 3);
	assert_string_equal(said(json_object_get(agents, "make"), "prompt"), "stdin");
	assert_string_equal(said(json_object_get(agents, "fixer"), "prompt"), "argv");
	assert_int_equal(json_int(json_object_get(f->plan, "team"), "size", 0), 3);
	json_t *plan_env = json_object_get(f->secrets, "plan");
	json_t *tasks_env = json_object_get(f->secrets, "tasks");
	assert_string_equal(said(plan_env, "CI"), "1");
	assert_string_equal(said(json_object_get(tasks_env, "parser"), "A"), "task");
	assert_string_equal(said(json_object_get(tasks_env, "parser"), "B"), "d");
	assert_string_equal(
	    said(json_object_get(json_object_get(f->secrets, "agents"), "fixer"), "A"), "agent");
	_cleanup_free_ char *text = jsonl_text(f->plan);
	assert_null(strstr(text, "\"A\"")); /* env is never in the plan */
}

static void test_alternatives(void **state)
{
	struct fixture *f = *state;
	read_good(f, "verify: make test\nagents: {fixer: {command: [x, '{prompt}']}}\ntasks:\n"
	             "  - {id: first, prompt: p}\n"
	             "  - id: speed\n    prompt: Faster.\n    blocked_by: [first]\n    retries: 1\n"
	             "    alternatives:\n      - {agent: claude/haiku}\n      - codex\n"
	             "      - {agent: fixer, prompt: Use a table., timeout: 9}\n"
	             "  - {id: many, prompt: m, alternatives: 3, choose: best}\n"
	             "  - {id: last, prompt: l, blocked_by: [speed, many.2]}\n");
	json_t *speed = task_of(f, "speed"), *third = task_of(f, "speed.3");
	assert_string_equal(said(speed, "kind"), "choice");
	assert_string_equal(said(speed, "choose"), "manual");
	assert_true(json_is_null(json_object_get(speed, "agent")));
	assert_string_equal(said(task_of(f, "speed.1"), "model"), "haiku");
	assert_string_equal(said(task_of(f, "speed.2"), "agent"), "codex");
	assert_string_equal(said(third, "prompt"), "Faster.\n\nUse a table.");
	assert_string_equal(said(third, "parent"), "speed");
	assert_int_equal(json_int(json_object_get(third, "spec"), "timeout", 0), 9);
	assert_int_equal(json_int(json_object_get(third, "spec"), "retries", 0), 1);
	assert_string_equal(
	    said(json_object_get(json_object_get(third, "spec"), "verify"), "command"),
	    "make test");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(third, "blocked_by"), 0)), "first");
	assert_string_equal(said(task_of(f, "many"), "choose"), "best");
	assert_string_equal(said(task_of(f, "many.3"), "agent"), "codex");
	assert_int_equal(json_array_size(json_object_get(f->plan, "tasks")), 10);
}

/* The nearest file wins key by key; null takes one away; the day's stand apart. */
static void test_budgets(void **state)
{
	struct fixture *f = *state;
	const json_t *limits, *day, *spec;

	put_text(f, ".conf/config.yaml",
	         "budget: {usd: 9, day_usd: 20, day_tokens: 1M}\n"
	         "defaults: {budget: {usd: 2}, no_progress: 10m}\n");
	put_text(f, "pleach.yaml", "budget: {tokens: 500k, day_tokens: ~}\n");
	read_good(f, "budget: {usd: 3.5}\n"
	             "tasks: [{id: a, prompt: x, budget: {tokens: 2M}, wrap_up: 90s},"
	             " {id: b, prompt: x, budget: ~}]\n");
	limits = json_object_get(json_object_get(f->plan, "limits"), "budget");
	day = json_object_get(f->plan, "budget_day");
	assert_true(json_num(limits, "usd", 0) == 3.5);
	assert_int_equal(json_int(limits, "tokens", 0), 500000);
	assert_true(json_num(day, "usd", 0) == 20);
	assert_true(json_is_null(json_object_get(day, "tokens")));
	spec = json_object_get(task_of(f, "a"), "spec");
	assert_true(json_num(json_object_get(spec, "budget"), "usd", 0) == 2);
	assert_int_equal(json_int(json_object_get(spec, "budget"), "tokens", 0), 2000000);
	assert_int_equal(json_int(spec, "wrap_up", 0), 90);
	assert_int_equal(json_int(spec, "no_progress", 0), 600);
	assert_null(json_object_get(json_object_get(task_of(f, "b"), "spec"), "budget"));
}

static void test_defaults_of_files(void **state)
{
	struct fixture *f = *state;
	put_text(f, ".conf/config.yaml",
	         "agents: {mine: {command: [mine]}}\n"
	         "defaults: {retries: 3, timeout: 1m}\nenv: {A: 1, B: 1}\n");
	put_text(f, "pleach.yaml", "verify: make test\ndefaults: {timeout: 2m}\nenv: {B: 2}\n");
	read_good(f, "tasks: [{id: a, prompt: x, agent: mine}]\n");
	json_t *spec = json_object_get(task_of(f, "a"), "spec");
	assert_int_equal(json_int(spec, "retries", 0), 3);
	assert_int_equal(json_int(spec, "timeout", 0), 120);
	assert_string_equal(said(json_object_get(spec, "verify"), "command"), "make test");
	assert_string_equal(said(json_object_get(f->secrets, "plan"), "A"), "1");
	assert_string_equal(said(json_object_get(f->secrets, "plan"), "B"), "2");
	read_good(f, "verify: none\ntasks: [{id: a, prompt: x}]\n");
	spec = json_object_get(task_of(f, "a"), "spec");
	assert_true(json_is_null(json_object_get(spec, "verify")));
	/* With tasks it is a plan, not defaults. */
	put_text(f, "pleach.yaml", "verify: make test\ntasks: [{id: z, prompt: x}]\n");
	read_good(f, "tasks: [{id: a, prompt: x}]\n");
	spec = json_object_get(task_of(f, "a"), "spec");
	assert_true(json_is_null(json_object_get(spec, "verify")));
	put_text(f, "pleach.yaml", "# nothing\n");
	read_good(f, "tasks: [{id: a, prompt: x}]\n");
	put_text(f, "pleach.yaml", "verfy: x\n");
	read_bad(f, "tasks: [{id: a, prompt: x}]\n", "pleach.yaml:1:1: ", "verify");
}

static void test_agents_decide(void **state)
{
	struct fixture *f = *state;
	read_good(f, "tasks: [{id: a, prompt: x}]\n");
	assert_string_equal(said(task_of(f, "a"), "agent"), "codex");
	read_good(f,
	          "team: [{name: ash, agent: claude/opus}, birch]\ntasks: [{id: a, prompt: x}]\n");
	assert_true(json_is_null(json_object_get(task_of(f, "a"), "agent")));
	assert_non_null(json_object_get(json_object_get(f->plan, "agents"), "claude"));
	f->ctx.default_agent = NULL;
	read_bad(f, "tasks: [{id: a, prompt: x}]\n", "plan.yaml:1:1: ", "no agent");
	read_good(f, "permissions: all\ntasks: [{id: a, prompt: x, agent: opencode}]\n");
	json_t *profile = json_object_get(json_object_get(f->plan, "agents"), "opencode");
	assert_non_null(json_text(json_object_get(profile, "env"), "OPENCODE_PERMISSION"));
	read_good(f, "tasks:\n- {id: a, agent: {command: [make, x]}}\n"
	             "- {id: b, agent: {command: [make, y]}}\n"
	             "- {id: c, agent: {command: [/usr/bin/make, x]}}\n"
	             "- {id: d, agent: {command: [make, x]}}\n");
	assert_string_equal(said(task_of(f, "a"), "agent"), "make");
	assert_string_equal(said(task_of(f, "b"), "agent"), "make-2");
	assert_string_equal(said(task_of(f, "c"), "agent"), "make-3");
	assert_string_equal(said(task_of(f, "d"), "agent"), "make");
}

static void test_prompts(void **state)
{
	struct fixture *f = *state;
	put_text(f, "p.md", "exactly\nthis\r\n\n");
	read_good(f, "tasks: [{id: a, prompt_file: p.md}, {id: b, prompt: \"\\u00e9\\e[201~\"}]\n");
	assert_string_equal(said(task_of(f, "a"), "prompt"), "exactly\nthis\r\n\n");
	assert_string_equal(said(task_of(f, "b"), "prompt"), "\xc3\xa9\x1b[201~");
	put(f, "p.md", "a\0b", 3);
	read_bad(f, "tasks: [{id: a, prompt_file: p.md}]\n", "plan.yaml:1:30: ", "UTF-8");
	_cleanup_free_ char *big = xcalloc(1, PLAN_PROMPT_MAX + 2);
	memset(big, 'x', PLAN_PROMPT_MAX + 1);
	put(f, "p.md", big, PLAN_PROMPT_MAX);
	read_good(f, "tasks: [{id: a, prompt_file: p.md}]\n");
	put(f, "p.md", big, PLAN_PROMPT_MAX + 1);
	read_bad(f, "tasks: [{id: a, prompt_file: p.md}]\n", "plan.yaml:1:30: ", "1024 KiB");
	put(f, "p.md", big, PLAN_ARGUMENT_MAX + 1);
	read_bad(f, "tasks: [{id: a, prompt_file: p.md, agent: {command: [x, '{prompt}']}}]\n",
	         "plan.yaml:1:9: ", "{prompt_file}");
}

static void test_options(void **state)
{
	struct fixture *f = *state;
	json_t *params = NULL, *notes = NULL;
	const char *const agents[] = {"codex/o3", "claude", NULL};
	struct plan_task_options o = {.prompt = "Fix the PARSER's test!", .detect = true};
	put_text(f, "Makefile", "all:\ntest: all\n");
	assert_int_equal(plan_task_make(&f->ctx, &o, &params, &notes, &f->err), 0);
	json_t *task = json_object_get(params, "task");
	assert_string_equal(said(task, "key"), "fix-the-parsers-test");
	assert_true(json_is_true(json_object_get(params, "key_free")));
	assert_string_equal(said(notes, "verify"), "make test");
	assert_true(json_flag(notes, "verify_found"));
	assert_true(json_flag(notes, "agent_found"));
	assert_int_equal(json_array_size(json_object_get(params, "alternatives")), 0);
	json_decref(params);
	json_decref(notes);
	o = (struct plan_task_options){.prompt = "p",
	                               .key = "speed",
	                               .agents = agents,
	                               .copies = 2,
	                               .verify = "none",
	                               .choose = "best",
	                               .timeout = "90s"};
	assert_int_equal(plan_task_make(&f->ctx, &o, &params, &notes, &f->err), 0);
	json_t *list = json_object_get(params, "alternatives");
	assert_int_equal(json_array_size(list), 4);
	assert_string_equal(said(json_array_get(list, 1), "model"), "o3");
	assert_string_equal(said(json_array_get(list, 3), "key"), "speed.4");
	assert_string_equal(said(json_array_get(list, 3), "agent"), "claude");
	assert_string_equal(said(json_object_get(params, "task"), "choose"), "best");
	json_decref(params);
	json_decref(notes);
	o = (struct plan_task_options){.prompt = "p", .timeout = "never"};
	assert_int_equal(plan_task_make(&f->ctx, &o, &params, &notes, &f->err), -1);
	assert_non_null(strstr(f->err.text, "--timeout"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_whole, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_alternatives, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_budgets, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_defaults_of_files, fixture_setup,
	                                    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_agents_decide, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_prompts, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_options, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
