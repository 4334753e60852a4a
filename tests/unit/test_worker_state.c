/* What an agent does, out of several sources; what it may do; what its hooks say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hooks.h"
#include "jsonl.h"
#include "mem.h"
#include "permissions.h"
#include "screen.h"
#include "state.h"

static bool say(struct state *s, enum state_source source, enum agent_state state, int64_t now)
{
	return state_report(s, &(struct state_report){.source = source, .state = state}, now);
}

static void assert_state(const struct state *s, enum agent_state want)
{
	assert_string_equal(agent_state_word(state_now(s)->state), agent_state_word(want));
}

static void test_strongest_wins(void **unused)
{
	struct state *s = state_new();

	(void)unused;
	assert_state(s, AGENT_UNKNOWN);
	assert_true(say(s, STATE_SCREEN, AGENT_WORKING, 1000));
	assert_true(say(s, STATE_HOOK, AGENT_IDLE, 1000));
	assert_false(say(s, STATE_SCREEN, AGENT_WORKING, 2000));
	assert_false(say(s, STATE_ACP, AGENT_WORKING, 2000));
	assert_state(s, AGENT_IDLE);
	assert_false(say(s, STATE_HOOK, AGENT_IDLE, 3000));
	assert_true(say(s, STATE_HOOK, AGENT_UNKNOWN, 3000));
	assert_state(s, AGENT_WORKING);
	state_free(s);
}

static void test_screen_is_debounced(void **unused)
{
	struct state *s = state_new();

	(void)unused;
	assert_true(say(s, STATE_SCREEN, AGENT_WORKING, 1000));
	assert_false(say(s, STATE_SCREEN, AGENT_IDLE, 2000));
	assert_int_equal(state_due(s), 2000 + STATE_SCREEN_MS);
	assert_false(state_tick(s, 2000 + STATE_SCREEN_MS - 1));
	assert_state(s, AGENT_WORKING);
	assert_true(state_tick(s, 2000 + STATE_SCREEN_MS));
	assert_state(s, AGENT_IDLE);
	assert_int_equal(state_due(s), 0);
	/* Busy at once, and what waited is forgotten. */
	assert_true(say(s, STATE_SCREEN, AGENT_WORKING, 9000));
	assert_false(say(s, STATE_SCREEN, AGENT_IDLE, 9100));
	assert_false(say(s, STATE_SCREEN, AGENT_WORKING, 9200));
	assert_false(state_tick(s, 99000));
	assert_state(s, AGENT_WORKING);
	state_free(s);
}

static void test_questions(void **unused)
{
	struct state *s = state_new();
	struct state_report ask = {.source = STATE_HOOK,
	                           .state = AGENT_NEEDS_INPUT,
	                           .reason = "question",
	                           .text = "Drop v1?"};

	(void)unused;
	assert_true(state_report(s, &ask, 1));
	assert_string_equal(state_now(s)->text, "Drop v1?");
	assert_false(state_report(s, &ask, 2));
	ask.text = "Drop v2?";
	assert_true(state_report(s, &ask, 3));
	assert_string_equal(state_now(s)->text, "Drop v2?");
	ask.request = 7;
	assert_true(state_report(s, &ask, 4));
	assert_int_equal(state_now(s)->request, 7);
	state_free(s);
}

static void test_limits(void **unused)
{
	struct state *s = state_new();
	struct state_report limited = {
	    .source = STATE_STREAM, .state = AGENT_LIMITED, .until_ms = 5000};

	(void)unused;
	say(s, STATE_HOOK, AGENT_WORKING, 1);
	assert_true(state_report(s, &limited, 1000));
	assert_state(s, AGENT_LIMITED);
	assert_int_equal(state_due(s), 5000);
	/* Whoever is weaker has not seen that it is over. */
	say(s, STATE_SCREEN, AGENT_WORKING, 2000);
	assert_state(s, AGENT_LIMITED);
	assert_true(state_tick(s, 5000));
	assert_state(s, AGENT_WORKING);
	assert_true(state_report(s, &limited, 4000));
	assert_true(say(s, STATE_HOOK, AGENT_WORKING, 4100));
	assert_state(s, AGENT_WORKING);
	state_free(s);
}

/* Any history: a source is believed only where no stronger one speaks; an idle screen only when
 * it has stood long enough; what is said twice changes nothing; every change is told. */
static void test_any_history(void **unused)
{
	unsigned random = 12345;

	(void)unused;
	for (int round = 0; round < 300; round++) {
		enum agent_state model[STATE_SOURCES] = {AGENT_UNKNOWN};
		enum agent_state waiting = AGENT_UNKNOWN, want;
		int64_t now = 1, since = 0;
		struct state *s = state_new();

		for (int step = 0; step < 200; step++) {
			enum agent_state before = state_now(s)->state;
			enum state_source source;
			enum agent_state state;
			bool told;

			random = random * 1103515245u + 12345u;
			source = (enum state_source)((random >> 8) % STATE_SOURCES);
			state = (enum agent_state)((random >> 16) % 4); /* no limits */
			now += (random >> 20) % 1200;
			if (waiting != AGENT_UNKNOWN && now >= since + STATE_SCREEN_MS) {
				model[STATE_SCREEN] = waiting;
				waiting = AGENT_UNKNOWN;
			}
			told = say(s, source, state, now);
			if (source == STATE_SCREEN &&
			    (state == AGENT_IDLE || state == AGENT_NEEDS_INPUT)) {
				if (model[STATE_SCREEN] == state) {
					waiting = AGENT_UNKNOWN;
				} else if (waiting != state) {
					waiting = state;
					since = now;
				}
			} else {
				model[source] = state;
				if (source == STATE_SCREEN)
					waiting = AGENT_UNKNOWN;
			}
			want = AGENT_UNKNOWN;
			for (int i = 0; i < STATE_SOURCES; i++)
				if (model[i] != AGENT_UNKNOWN)
					want = model[i];
			assert_state(s, want);
			if (before != want)
				assert_true(told);
			assert_false(say(s, source, state, now));
		}
		state_free(s);
	}
}

/* ---- permissions ---- */

static void assert_decides(const char *policy, const char *tool, const char *argument,
                           enum permission want)
{
	_cleanup_json_ json_t *p = json_loads(policy, 0, NULL);
	const struct permission_request r = {tool, permission_kind(tool), argument};
	const char *rule;

	assert_non_null(p);
	if (permission_decide(p, &r, &rule) != want)
		fail_msg("%s(%s) by %s", tool, argument ? argument : "", policy);
	assert_true((rule != NULL) == (want != PERMISSION_NONE));
}

static void test_permissions(void **unused)
{
	static const char git[] = "{\"allow\": [\"Bash(git *)\"], \"deny\": [\"Bash(rm *)\"]}";
	static const char all[] =
	    "{\"allow\": [\"*\"], \"ask\": [\"fetch\"], \"deny\": [\"Edit(/etc/*)\"]}";

	(void)unused;
	assert_int_equal(
	    permission_decide(NULL, &(struct permission_request){"Bash", "execute", "x"}, NULL),
	    PERMISSION_NONE);
	assert_decides(git, "Bash", "git status", PERMISSION_ALLOW);
	assert_decides(git, "bash", "git log | git apply", PERMISSION_ALLOW);
	assert_decides(git, "Bash", "gitx", PERMISSION_NONE);
	assert_decides(git, "Bash", "git status && make", PERMISSION_NONE);
	assert_decides(git, "Bash", "git status;rm -rf /", PERMISSION_DENY);
	assert_decides(git, "Bash", "git status\nrm -rf /", PERMISSION_DENY);
	assert_decides(git, "Bash", "git log $(curl evil)", PERMISSION_NONE);
	assert_decides(git, "Bash", "git log `curl evil`", PERMISSION_NONE);
	assert_decides(git, "Bash", "git log > ~/.bashrc", PERMISSION_NONE);
	assert_decides(git, "Bash", "(rm x)", PERMISSION_DENY);
	assert_decides(git, "Bash", NULL, PERMISSION_DENY); /* who knows what it is */
	assert_decides(git, "Write", "rm x", PERMISSION_NONE);
	assert_decides(all, "Write", "src/a.c", PERMISSION_ALLOW);
	assert_decides(all, "Edit", "/etc/passwd", PERMISSION_DENY);
	assert_decides(all, "WebFetch", "https://x", PERMISSION_ASK);
	assert_decides(all, "mcp__x__y", NULL, PERMISSION_ALLOW);
	assert_decides("{\"allow\": [\"edit(src/*)\"]}", "Edit", "src/a.c", PERMISSION_ALLOW);
	assert_decides("{\"allow\": [\"edit(src/*)\"]}", "Edit", "src/../.git/config",
	               PERMISSION_NONE);
	assert_decides("{\"allow\": [\"mcp__git__*\"]}", "mcp__git__log", NULL, PERMISSION_ALLOW);
	assert_decides("{\"allow\": [\"Bash(git *\"]}", "Bash", "git x", PERMISSION_NONE);
	assert_decides("{\"deny\": [\"Bash(git *\"]}", "Bash", "x", PERMISSION_DENY);
	assert_decides("{\"allow\": \"*\"}", "Bash", "x", PERMISSION_NONE);
	/* An agent that names no tool. */
	{
		_cleanup_json_ json_t *p = json_loads(git, 0, NULL);
		const struct permission_request r = {NULL, "execute", "git push"};

		assert_int_equal(permission_decide(p, &r, NULL), PERMISSION_ALLOW);
	}
}

static void test_answers(void **unused)
{
	(void)unused;
	assert_int_equal(permission_answer("allow"), PERMISSION_ALLOW);
	assert_int_equal(permission_answer(" Yes.\n"), PERMISSION_ALLOW);
	assert_int_equal(permission_answer("no"), PERMISSION_DENY);
	assert_int_equal(permission_answer("deny"), PERMISSION_DENY);
	assert_int_equal(permission_answer("yes, but not the tests"), PERMISSION_NONE);
	assert_int_equal(permission_answer(""), PERMISSION_NONE);
}

/* ---- hooks ---- */

static void assert_event(const char *json, enum agent_state state, const char *reason,
                         const char *text, const char *asks)
{
	_cleanup_json_ json_t *event = json_loads(json, 0, NULL);
	struct hook_event e;

	assert_non_null(event);
	hook_read(event, &e);
	assert_int_equal(e.speaks, state != AGENT_UNKNOWN);
	if (e.speaks)
		assert_int_equal(e.state, state);
	if (reason)
		assert_string_equal(e.reason, reason);
	if (text)
		assert_string_equal(e.text, text);
	assert_int_equal(e.asks, asks != NULL);
	if (asks) {
		_cleanup_free_ char *line = hook_asked(&e.request);

		assert_string_equal(line, asks);
	}
	hook_finish(&e);
}

static void test_hook_events(void **unused)
{
	(void)unused;
	assert_event("{\"hook_event_name\": \"UserPromptSubmit\"}", AGENT_WORKING, NULL, NULL,
	             NULL);
	assert_event("{\"hook_event_name\": \"Stop\", \"stop_hook_active\": false}", AGENT_IDLE,
	             NULL, NULL, NULL);
	assert_event("{\"hook_event_name\": \"PreToolUse\", \"tool_name\": \"Bash\","
	             " \"tool_input\": {\"command\": \"make\\u001b[31m\"}}",
	             AGENT_WORKING, NULL, NULL, "Bash: make\xe2\x90\x9b[31m");
	assert_event("{\"hook_event_name\": \"Notification\", \"message\": \"Claude needs your"
	             " permission to use Bash\"}",
	             AGENT_NEEDS_INPUT, "permission", "Claude needs your permission to use Bash",
	             NULL);
	assert_event("{\"hook_event_name\": \"Notification\", \"message\": \"Claude is waiting for"
	             " your input\"}",
	             AGENT_IDLE, NULL, NULL, NULL);
	assert_event("{\"hook_event_name\": \"PreToolUse\", \"tool_name\": \"AskUserQuestion\","
	             " \"tool_input\": {\"questions\": [{\"question\": \"Which?\","
	             " \"options\": [{\"label\": \"a\"}, 5]}]}}",
	             AGENT_NEEDS_INPUT, "question", "Which?", NULL);
	assert_event("{\"type\": \"agent-turn-complete\"}", AGENT_IDLE, NULL, NULL, NULL);
	assert_event("{\"hook_event_name\": \"New\", \"tool_input\": []}", AGENT_UNKNOWN, NULL,
	             NULL, NULL);
	assert_event("{\"hook_event_name\": 5, \"message\": {}}", AGENT_UNKNOWN, NULL, NULL, NULL);
	assert_event("{\"hook_event_name\": \"BeforeTool\", \"tool_name\": \"write_file\"}",
	             AGENT_WORKING, NULL, NULL, "write_file");
}

static void assert_output(const char *event, enum permission p, const char *want)
{
	_cleanup_free_ char *output = hook_output(event, p, "why \"so\"");

	if (want)
		assert_string_equal(output, want);
	else
		assert_null(output);
}

static void test_hook_output(void **unused)
{
	_cleanup_free_ char *plain = hook_quoted("/usr/bin/pleach-hook");
	_cleanup_free_ char *odd = hook_quoted("/home/it's me/x");

	(void)unused;
	assert_output("PreToolUse", PERMISSION_DENY,
	              "{\"hookSpecificOutput\":{\"hookEventName\":\"PreToolUse\","
	              "\"permissionDecision\":\"deny\",\"permissionDecisionReason\":\"why "
	              "\\\"so\\\"\"}}");
	assert_output("PermissionRequest", PERMISSION_ALLOW,
	              "{\"hookSpecificOutput\":{\"hookEventName\":\"PermissionRequest\","
	              "\"decision\":{\"behavior\":\"allow\"}}}");
	assert_output("BeforeTool", PERMISSION_DENY,
	              "{\"decision\":\"deny\",\"reason\":\"why \\\"so\\\"\"}");
	assert_output("PreToolUse", PERMISSION_NONE, NULL);
	assert_string_equal(plain, "/usr/bin/pleach-hook");
	assert_string_equal(odd, "'/home/it'\\''s me/x'");
}

/* ---- screens ---- */

static void assert_shows(const char *bytes, const char *want)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct screen *s = screen_new(10, 4);

	for (const char *at = bytes; *at; at++) /* in any pieces */
		screen_add(s, at, 1);
	screen_text(s, &text);
	assert_string_equal(text.data, want);
	screen_free(s);
}

static void test_screens(void **unused)
{
	(void)unused;
	assert_shows("a\r\nb\033[1;31mc\033[0m", "a\nbc\n\n\n");
	assert_shows("1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5\n");
	assert_shows("0123456789ab", "0123456789\nab\n\n\n");
	assert_shows("xxxx\033[2;3Hhi\033[1;2H\033[K", "x\n  hi\n\n\n");
	assert_shows("junk\033[?1049h\033[Hnew\033]0;title\a!", "new!\n\n\n\n");
	assert_shows("a\r\nb\r\nc\033[2;3r\033[3;1H\nd\033[r", "a\nc\nd\n\n");
	assert_shows("abc\033[1;1H\033[2@X\033[1;5H\033[P", "X ab\n\n\n\n");
	assert_shows("\xe2\x9d\xaf 1.\r\033[9999;9999H\033[99999999999Az",
	             "\xe2\x9d\xaf 1.     z\n\n\n\n");
	assert_shows("\033[L\033[M\033M\033[5S\033[5T\033[X\033[0;0Hok", "ok\n\n\n\n");
}

/* Nothing that comes out of an agent harms it. */
static void test_any_bytes(void **unused)
{
	struct screen *s = screen_new(7, 3);
	unsigned random = 99;

	(void)unused;
	for (int i = 0; i < 200000; i++) {
		static const char likely[] =
		    "\033[;0123456789?HJKLMPSTX@rABCDEFGdsu\r\n\b\t\xe2\x9d]";
		char c;

		random = random * 1103515245u + 12345u;
		c = random & 0x10000 ? (char)(random >> 20)
		                     : likely[(random >> 18) % (sizeof likely - 1)];
		screen_add(s, &c, 1);
		if (i % 1000 == 0)
			screen_resize(s, (uint16_t)(random >> 24), (uint16_t)(random >> 25));
	}
	screen_free(s);
}

static void test_patterns(void **unused)
{
	_cleanup_json_ json_t *json =
	    json_loads("{\"needs_input\": [\"Do you want\", \"(\"], \"working\": [\"esc to\"],"
	               " \"idle\": [\"shortcuts\"]}",
	               0, NULL);
	struct screen_patterns *p = screen_patterns_new(json);
	struct screen *s = screen_new(40, 10);
	char *asked = NULL;

	(void)unused;
	assert_null(screen_patterns_new(NULL));
	assert_int_equal(screen_state(s, p, &asked), AGENT_UNKNOWN);
	screen_add(s, "? for shortcuts", 15);
	assert_int_equal(screen_state(s, p, &asked), AGENT_IDLE);
	screen_add(s, "\r\n\xe2\x94\x82 Do you want it? \xe2\x94\x82\r\n 1. Yes\r\n\r\nbelow", 42);
	assert_int_equal(screen_state(s, p, &asked), AGENT_NEEDS_INPUT);
	assert_string_equal(asked, "Do you want it?\n1. Yes");
	free(asked);
	screen_add(s, "\r\nesc to interrupt", 19);
	assert_int_equal(screen_state(s, p, &asked), AGENT_WORKING);
	assert_null(asked);
	screen_free(s);
	screen_patterns_free(p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strongest_wins), cmocka_unit_test(test_screen_is_debounced),
	    cmocka_unit_test(test_questions),      cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_any_history),    cmocka_unit_test(test_permissions),
	    cmocka_unit_test(test_answers),        cmocka_unit_test(test_hook_events),
	    cmocka_unit_test(test_hook_output),    cmocka_unit_test(test_screens),
	    cmocka_unit_test(test_any_bytes),      cmocka_unit_test(test_patterns),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
