/* What a plan is refused for, and where the message points. */
#include "plan_fixture.h"

#define TASK "tasks: [{id: a, prompt: x}]\n"

static void test_keys(void **state)
{
	struct fixture *f = *state;
	static const char *const blockers[] = {"needs", "depends_on", "dependencies", "deps",
	                                       "after", "dependsOn",  "depends-on",   "blockedby"};
	for (size_t i = 0; i < ARRAY_LEN(blockers); i++) {
		_cleanup_free_ char *text =
		    xasprintf("tasks:\n  - id: a\n    prompt: x\n    %s: []\n", blockers[i]);
		read_bad(f, text, "plan.yaml:4:5: ", "blocked_by");
	}
	read_bad(f, "tasks: [{id: a, prompt: x, check: y}]\n", "plan.yaml:1:28: ", "verify");
	read_bad(f, "tasks: [{name: a, prompt: x}]\n", "plan.yaml:1:10: ", "(did you mean id?)");
	read_bad(f, "agents: {z: {cmd: [x]}}\n" TASK, "plan.yaml:1:14: ", "command");
	read_bad(f, "taks: []\n" TASK, "plan.yaml:1:1: ", "tasks");
	read_bad(f, "timeout: 1h\n" TASK, "plan.yaml:1:1: ", "defaults");
	read_bad(f, "defaults: {prompt: x}\n" TASK, "plan.yaml:1:12: ", "prompt belongs");
	read_bad(f, "verify: {cmd: x}\n" TASK, "plan.yaml:1:10: ", "command");
	read_bad(f, "a: 1\na: 2\n" TASK, "plan.yaml:2:1: ", "line 1");
	read_bad(f, "keys: {nxt: C-a}\n" TASK, "plan.yaml:1:8: ", "next");
	read_bad(f, "keys: {next: C-Q}\n" TASK, "plan.yaml:1:14: ", "C-Q is no key");
	read_bad(f, "keys: {teammate: C-a}\n" TASK, "plan.yaml:1:18: ", "M-1");
	read_bad(f, "keys: {next: C-q}\n" TASK, "plan.yaml:1:7: ", "detach and for next");
	read_bad(f, "keys: {zoom: M-3}\n" TASK, "plan.yaml:1:7: ", "zoom and for teammate");
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	read_bad(f, "tasks:\n- {id: a, prompt: x}\n- {id: b, prompt: x}\n- {id: a, prompt: x}\n",
	         "plan.yaml:4:8: ", "line 2 and line 4");
	read_bad(f, "tasks: [{id: a.1, prompt: x}]\n", "plan.yaml:1:14: ", "a.1");
	read_bad(f, "tasks: [{id: 7up, prompt: x}]\n", "plan.yaml:1:14: ", "7up");
	read_bad(f, "tasks: [{id: a, prompt: x, blocked_by: [parsr]}, {id: parser, prompt: x}]\n",
	         "plan.yaml:1:41: ", "parser");
	read_bad(f, "tasks: [{id: a, prompt: x, agent: gemeni}]\n", "plan.yaml:1:35: ", "gemini");
	read_bad(f, "budget: {day_usd: -1}\n" TASK, "plan.yaml:1:19: ", "amount");
	read_bad(f, "budget: [5]\n" TASK, "plan.yaml:1:9: ", "mapping");
	read_bad(f, "limits: {codx: 1}\n" TASK, "plan.yaml:1:10: ", "codex");
	read_bad(f, "name: a b\n" TASK, "plan.yaml:1:7: ", "name");
	read_bad(f, "team: [{name: Ash}]\n" TASK, "plan.yaml:1:15: ", "Ash");
	read_bad(f, "team: [ash, ash]\n" TASK, "plan.yaml:1:13: ", "again");
	read_bad(f, "target: a..b\n" TASK, "plan.yaml:1:9: ", "branch");
	read_bad(f, "base: --all\n" TASK, "plan.yaml:1:7: ", "revision");
}

/* All that is wrong, each where it stands, and nothing that only follows from it. */
/* What the command line says is not the file's mistake. */
static void test_name_of_the_command_line(void **state)
{
	static const char plan[] = "name: good\ntasks: [{id: a, prompt: p}]\n";
	struct fixture *f = *state;

	f->ctx.name = "x y";
	read_bad(f, plan, "--name x y: a plan's name has letters", "at most 64 characters");
	f->ctx.name = "";
	read_bad(f, plan, "--name : a plan's name has letters", "");
	f->ctx.name = "other";
	read_good(f, plan);
	assert_string_equal(said(f->plan, "name"), "other");
	f->ctx.name = NULL;
	read_bad(f, "name: x y\ntasks: [{id: a, prompt: p}]\n", "plan.yaml:1:7: name x y: ", "");
}

static void test_many_mistakes(void **state)
{
	static const char agents[] = "team: [Ash]\n"
	                             "tasks:\n"
	                             "- {id: a, prompt: x, agent: gemeni}\n"
	                             "- {id: b, prompt: x, blocked_by: [a, nope]}\n"
	                             "- {id: c, prompt: x, timeout: soon, retries: -1}\n"
	                             "- {id: d, prompt: x, blocked_by: [c]}\n";
	static const char *const places[] = {
	    "plan.yaml:1:8: ", "\nplan.yaml:3:29: ", "\nplan.yaml:4:38: ", "\nplan.yaml:5:31: ",
	    "\nplan.yaml:5:46: "};
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct fixture *f = *state;
	size_t lines = 1;

	read_bad(f, agents, "plan.yaml:1:8: ", "(did you mean gemini?)");
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		assert_non_null(strstr(f->err.text, places[i]));
	for (const char *c = f->err.text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, ARRAY_LEN(places));
	/* That none is installed is told once, beside the rest. */
	f->ctx.default_agent = "";
	read_bad(
	    f,
	    "tasks:\n- {id: a, prompt: x}\n- {id: b, prompt: x, when: no}\n- {id: c, prompt: x}\n",
	    "plan.yaml:1:1: no agent", "\nplan.yaml:3:28: ");
	assert_null(strstr(strchr(f->err.text, '\n'), "no agent"));
	f->ctx.default_agent = "codex";
	buf_add_str(&text, "tasks:\n");
	for (int i = 0; i < 12; i++)
		buf_printf(&text, "- {id: t%d, prompt: x, agent: nobody%d}\n", i, i);
	read_bad(f, text.data,
	         "plan.yaml:2:30: ", "nobody9 (declare it under agents:)\n(mend these");
	assert_null(strstr(f->err.text, "nobody10"));
}

/* Reading goes on behind a value of the wrong type: nothing may take it for what it should be. */
static void test_wrong_types(void **state)
{
	static const char good[] =
	    "{id: a, prompt: x}, {id: b, prompt: x, timeout: soon, blocked_by: [c]}";
	static const struct {
		const char *top, *task, *what;
	} wrong[] = {
	    {"name: [x]", "", "plan.yaml:1:7: "},
	    {"name: {x: y}", "", "plan.yaml:1:7: "},
	    {"defaults: [x, y]", "", "plan.yaml:1:11: defaults must be a mapping"},
	    {"defaults: some words", "", "plan.yaml:1:11: defaults must be a mapping"},
	    {"taks: 1\ndefaults: [x, y]", "", "taks"},
	    {"base: HEAD", ", {id: [a], prompt: x}", "id must be text"},
	    {"base: HEAD", ", {id: {a: b}, prompt: x, blocked_by: [[a]]}", "id must be text"},
	    {"base: HEAD", ", {id: a, prompt: x, blocked_by: [[a]]}", "task a again"},
	    {"base: HEAD", ", {id: a, prompt: x, blocked_by: {a: b}}", "task a again"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		_cleanup_free_ char *text =
		    xasprintf("%s\ntasks: [%s%s]\n", wrong[i].top, good, wrong[i].task);

		read_bad(f, text, "plan.yaml:", wrong[i].what);
		assert_non_null(strstr(f->err.text, "timeout"));
		assert_null(strstr(f->err.text, "unknown task"));
		for (const char *c = f->err.text; *c; c++)
			assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
	}
	/* Without a name that is one there is the file's, and no word of another. */
	read_bad(f, "name: [x]\n" TASK, "plan.yaml:1:7: ", "name must be text");
	assert_null(strchr(f->err.text, '\n'));
	/* What was not read for another mistake is not missed. */
	f->ctx.default_agent = NULL; /* none is installed */
	read_bad(f,
	         "defaults: {agent: sh}\nverify: 5\nagents: {sh: {command: [/bin/sh]}}\n"
	         "tasks: [{id: v, prompt: x}]\n",
	         "plan.yaml:2:9: ", "verify must be a command");
	assert_null(strchr(f->err.text, '\n'));
	read_bad(f,
	         "defaults: {agent: sh, verify: 5}\nagents: {sh: {command: [/bin/sh]}}\n"
	         "tasks: [{id: v, prompt: x}]\n",
	         "plan.yaml:1:", "verify must be a command");
	assert_null(strchr(f->err.text, '\n'));
}

static void test_cycles(void **state)
{
	struct fixture *f = *state;
	read_bad(f, "tasks: [{id: a, prompt: x, blocked_by: [a]}]\n", "plan.yaml:1:41: ", "a → a");
	read_bad(f,
	         "tasks:\n- {id: z, prompt: x}\n- {id: a, prompt: x, blocked_by: [z, b]}\n"
	         "- {id: b, prompt: x, blocked_by: [c]}\n- {id: c, prompt: x, blocked_by: [a]}\n",
	         "plan.yaml:3:38: ", "a → b → c → a");
	read_bad(f,
	         "tasks: [{id: s, prompt: x, alternatives: 2, blocked_by: [x]}, "
	         "{id: x, prompt: y, blocked_by: [s.2]}]\n",
	         "plan.yaml:1:", "→ x →");
}

static void test_values(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *field;
		const char *what;
	} bad[] = {
	    {"retries: -1", "range"},
	    {"retries: 101", "range"},
	    {"retries: many", "number"},
	    {"retries: 1.5", "whole"},
	    {"budget: 5", "mapping"},
	    {"budget: {usd: 0}", "amount"},
	    {"budget: {usd: 1e9}", "amount"},
	    {"budget: {usd: five}", "amount"},
	    {"budget: {tokens: 1.5}", "500k"},
	    {"budget: {tokens: 5kk}", "500k"},
	    {"budget: {tokens: 1e300k}", "500k"},
	    {"budget: {euro: 5}", "usd"},
	    {"budget: {day_usd: 5}", "usd"},
	    {"wrap_up: soon", "time"},
	    {"no_progress: 0", "range"},
	    {"priority: 1e9", "whole"},
	    {"timeout: soon", "time"},
	    {"timeout: 0", "range"},
	    {"timeout: -5s", "time"},
	    {"timeout: [1]", "list"},
	    {"when: later", "settled"},
	    {"slot: shared", "own"},
	    {"slot: 3", "own"},
	    {"expect_changes: 1", "true"},
	    {"blocked_by: b", "list"},
	    {"blocked_by: [[b]]", "text"},
	    {"metadata: x", "mapping"},
	    {"copy: .env", "list"},
	    {"copy: [/etc/passwd]", "absolute"},
	    {"copy: [../x]", ".."},
	    {"link: [a/../../x]", ".."},
	    {"copy: [.git/config]", ".git"},
	    {"env: [A]", "mapping"},
	    {"env: {1A: x}", "1A"},
	    {"env: {PLEACH_TASK: x}", "PLEACH_TASK"},
	    {"env: {A: [x]}", "text"},
	    {"verify: []", "empty"},
	    {"verify: '  '", "empty"},
	    {"verify: 7", "command"},
	    {"verify: {timeout: 1}", "command"},
	    {"verify: {overlay: nope}", "nope"},
	    {"agent: [a, b]", "one agent"},
	    {"agent: {mode: exec}", "command"},
	    {"agent: claude/", "model"},
	    {"alternatives: 0", "range"},
	    {"alternatives: 65", "range"},
	    {"alternatives: []", "1 to 64"},
	    {"alternatives: [{agent: zzzzzz}]", "zzzzzz"},
	    {"alternatives: [{verify: x}]", "verify"},
	    {"choose: worst", "best"},
	    {"prompt_file: p", "one of them"},
	    {"subject: [x]", "text"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_free_ char *text =
		    xasprintf("tasks: [{id: a, prompt: x, %s}]\n", bad[i].field);
		read_bad(f, text, "plan.yaml:1:", bad[i].what);
	}
	read_bad(f, "tasks: [{id: a, prompt: 7}]\n", "plan.yaml:1:25: ", "text");
	read_bad(f, "tasks: [{id: a}]\n", "plan.yaml:1:9: ", "no prompt");
	read_bad(f, "tasks: [{id: a, prompt: ' '}]\n", "plan.yaml:1:9: ", "no prompt");
	read_bad(f, "merge: often\n" TASK, "plan.yaml:1:8: ", "manual");
	read_bad(f, "merge: {squish: true}\n" TASK, "plan.yaml:1:9: ", "squash");
	read_bad(f, "merge: {ahead: 0}\n" TASK, "plan.yaml:1:16: ", "range");
	read_bad(f, "merge: {message: ''}\n" TASK, "plan.yaml:1:18: ", "message");
	read_bad(f, "resolve: nobody\n" TASK, "plan.yaml:1:10: ", "nobody");
	read_bad(f, "team: 0\n" TASK, "plan.yaml:1:7: ", "range");
	read_bad(f, "limits: {total: 0}\n" TASK, "plan.yaml:1:17: ", "range");
	read_bad(f, "agents: {z: {command: 'x {prompt}'}}\n" TASK, "plan.yaml:1:23: ", "{prompt}");
	read_bad(f, "agents: {aider: {mode: acp}}\n" TASK, "plan.yaml:1:24: ", "acp");
}

static void test_files(void **state)
{
	struct fixture *f = *state;
	read_bad(f, "", "plan.yaml:1:1: ", "empty");
	read_bad(f, "# only this\n", "plan.yaml:1:1: ", "empty");
	read_bad(f, "- a\n", "plan.yaml:1:1: ", "mapping");
	read_bad(f, "name: x\n", "plan.yaml:1:1: ", "no tasks");
	read_bad(f, "tasks: []\n", "plan.yaml:1:8: ", "empty");
	read_bad(f, "name: x\ntasks:\n", "plan.yaml:2:1: ", "empty");
	read_bad(f, "tasks: {a: b}\n", "plan.yaml:1:8: ", "list");
	read_bad(f, "tasks: [a]\n", "plan.yaml:1:9: ", "mapping");
	read_bad(f, "tasks: [\n", "plan.yaml:", "");
	read_bad(f, "a: 1\n\tb: 2\n", "plan.yaml:", "");
	read_bad(f, TASK "---\n" TASK, "plan.yaml:2:1: ", "document");
	read_bad(f, "name: \xff\n" TASK, "plan.yaml:1:7: ", "UTF-8");
	fixture_forget(f);
	put(f, "plan.yaml", "name: x\0y\n", 10);
	assert_int_equal(
	    plan_read("plan.yaml", &f->ctx, &f->plan, &f->secrets, &f->warnings, &f->err), -1);
	assert_non_null(strstr(f->err.text, "plan.yaml:1:8: a NUL"));
	read_bad(f, "name: \"a\\0b\"\n" TASK, "plan.yaml:1:7: ", "NUL");
	put_text(f, ".conf/p", "x");
	read_bad(f, "tasks: [{id: a, prompt_file: nope.md}]\n", "plan.yaml:1:30: ", "No such");
	read_bad(f, "tasks: [{id: a, prompt_file: .conf}]\n", "plan.yaml:1:30: ", "not a file");
	read_bad(f, "tasks: [{id: a, prompt_file: /etc/passwd}]\n", "plan.yaml:1:30: ", "outside");
	fixture_forget(f);
	assert_int_equal(
	    plan_read("none.yaml", &f->ctx, &f->plan, &f->secrets, &f->warnings, &f->err), -1);
	assert_int_equal(f->err.code, ERROR_INVALID);
	assert_string_equal(f->err.text, "none.yaml:1:1: no such file");
}

/* Small files that would be large or deep trees. */
static void test_bombs(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf laughs = BUF_INIT, deep = BUF_INIT;
	buf_add_str(&laughs, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++)
		buf_printf(&laughs, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i,
		           i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	read_bad(f, laughs.data, "plan.yaml:", "aliases");
	buf_add_str(&deep, "a0: &a0 [x]\n");
	for (int i = 1; i < 40; i++)
		buf_printf(&deep, "a%d: &a%d [[[*a%d]]]\n", i, i, i - 1);
	read_bad(f, deep.data, "plan.yaml:", "deep");
	read_bad(f, "a: &a [*a]\n", "plan.yaml:1:", "anchor");
	_cleanup_buf_ struct buf brackets = BUF_INIT;
	for (int i = 0; i < 100000; i++)
		buf_add_str(&brackets, "[");
	read_bad(f, brackets.data, "plan.yaml:1:", "deep");
	read_good(f, "tasks: [&d {id: a, prompt: p}, {<<: *d, id: b}]\n");
	assert_string_equal(said(task_of(f, "b"), "prompt"), "p");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_keys, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_names, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_name_of_the_command_line, fixture_setup,
	                                    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_wrong_types, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_cycles, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_many_mistakes, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_values, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_files, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_bombs, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
