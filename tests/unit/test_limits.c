/* What a limit is, and when it is over: sentences that services and agents really print, and
 * properties that hold for any text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "jsonl.h"
#include "limits.h"
#include "mem.h"
#include "report.h"
#include "text.h"

#define NOW   INT64_C(1755806400000) /* 2025-08-21T20:00:00Z */
#define S(n)  ((int64_t)((n)*1000))
#define SLACK 2

static void assert_near(int64_t got, int64_t want)
{
	if (got < want - SLACK || got > want + SLACK)
		fail_msg("%lld, not %lld (%+lld s)", (long long)(got - NOW),
		         (long long)(want - NOW), (long long)(got - want) / 1000);
}

static void test_sentences(void **state)
{
	static const struct {
		const char *text;
		double seconds; /* from now; 0: not told */
	} said[] = {
	    {"Claude AI usage limit reached|1755810000", 3600},
	    {"You've hit your usage limit. Upgrade to Pro or try again in 2 hours 5 minutes.",
	     7500},
	    {"You've hit your usage limit. Try again in 3 days 4 hours 5 minutes.", 273900},
	    {"exceeded retry limit, last status: 429 Too Many Requests", 0},
	    {"[429] RESOURCE_EXHAUSTED. Please retry in 34.5s.", 34.5},
	    {"rate limit reached, please try again in 250ms", 0.25},
	    {"Rate limit: retry after 20", 20},
	    {"5-hour limit reached ∙ resets 9pm", 3600},
	    {"You've hit your session limit · resets 9:30 PM", 5400},
	    {"usage limit, try again at 20:15", 900},
	    {"usage limit, try again at 19:15", 83700},
	    {"usage limit; resets at 2025-08-21T21:00:00Z", 3600},
	    {"usage limit; resets at 2025-08-21T23:00:00.000+02:00", 3600},
	    {"overloaded_error: Overloaded", 0},
	    {"usage limit reached|1", 0},
	    {"rate limit, try again in 9999 days", 8 * 86400},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		struct limits_found found = {77};

		if (!limits_of_service(said[i].text, 0, NOW, &found))
			fail_msg("not a limit: %s", said[i].text);
		assert_near(found.until, said[i].seconds > 0 ? NOW + S(said[i].seconds) : 0);
	}
}

static void test_not_limits(void **state)
{
	static const char *const said[] = {"fetch failed: connection reset by peer",
	                                   "HTTP 500 internal error",
	                                   "invalid api key",
	                                   "Context limit reached",
	                                   "maximum context length is 4291 tokens",
	                                   "exit 42: timeout",
	                                   ""};
	struct limits_found found;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		if (limits_of_service(said[i], 0, NOW, &found))
			fail_msg("taken for a limit: %s", said[i]);
	assert_false(limits_of_service("bad request", 400, NOW, &found));
	assert_true(limits_of_service("", 529, NOW, &found));
}

static void test_patterns(void **state)
{
	_cleanup_json_ json_t *patterns = json_pack(
	    "[{s:s,s:s},{s:s,s:s},{s:s,s:n},{s:s,s:s}]", "match", "^quota: wait ([0-9.]+)s",
	    "until", "seconds", "match", "back at ([0-9:]+ ?[ap]m)", "until", "clock", "match",
	    "^SLOW DOWN", "until", "match", "broken ( pattern", "until", "epoch");
	struct limits_found found;

	(void)state;
	assert_true(limits_match(patterns, "a\nquota: wait 90s\nb", NOW, &found));
	assert_near(found.until, NOW + S(90));
	assert_true(limits_match(patterns, "Back at 8:30 PM", NOW, &found));
	assert_near(found.until, NOW + S(1800));
	assert_true(limits_match(patterns, "slow down, please", NOW, &found));
	assert_int_equal(found.until, 0);
	/* Each line by itself, the last one counts. */
	assert_true(limits_match(patterns, "quota: wait 90s\nslow down", NOW, &found));
	assert_int_equal(found.until, 0);
	assert_false(limits_match(patterns, "they said quota: wait 90s", NOW, &found));
	assert_false(limits_match(NULL, "quota: wait 90s", NOW, &found));
}

/* Whatever is said, a wait is in the future and bounded. */
static void test_any_text(void **state)
{
	static const char *const words[] = {"seconds", "minutes", "epoch", "clock", "iso", "?"};
	static const char *const parts[] = {"try again in ",
	                                    "resets ",
	                                    "|",
	                                    "-",
	                                    "9",
	                                    "1e308",
	                                    "nan",
	                                    "inf",
	                                    "0x",
	                                    "3pm",
	                                    "12am",
	                                    "25:61",
	                                    "99999999999999999999",
	                                    ".",
	                                    "..",
	                                    "days ",
	                                    "h",
	                                    "m",
	                                    "T",
	                                    "Z",
	                                    "+99:99",
	                                    "2025-",
	                                    "9999-12-31T23:59:60Z",
	                                    "1970-01-01T00:00:00Z",
	                                    " ",
	                                    "\xff",
	                                    "1755806400123"};
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		char text[256] = "";
		struct limits_found found = {0};
		int64_t until;

		for (int n = 0; n < 6; n++) {
			seed = seed * 1103515245u + 12345u;
			strncat(text, parts[(seed >> 16) % ARRAY_LEN(parts)],
			        sizeof text - strlen(text) - 1);
		}
		until = limits_until(words[i % (int)ARRAY_LEN(words)], text, NOW);
		if (until && (until <= NOW || until > NOW + LIMITS_WAIT_MAX_MS + 1))
			fail_msg("%s: %lld", text, (long long)until);
		until = limits_sentence(text, NOW);
		if (until && (until <= NOW || until > NOW + LIMITS_WAIT_MAX_MS + 1))
			fail_msg("%s: %lld", text, (long long)until);
		limits_of_service(text, 0, NOW, &found);
	}
}

/* Counting up and counting as a clock: what is said in seconds comes back. */
static void test_durations(void **state)
{
	unsigned seed = 3;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		int64_t want;
		int d, h, m, s;
		_cleanup_free_ char *text = NULL;

		seed = seed * 1103515245u + 12345u;
		d = (int)(seed >> 8) % 7;
		h = (int)(seed >> 12) % 24;
		m = (int)(seed >> 16) % 60;
		s = 1 + (int)(seed >> 20) % 59;
		want = NOW + 1000 * ((int64_t)d * 86400 + h * 3600 + m * 60 + s);
		text = xasprintf("retry after %dd %dh%dm and %d seconds", d, h, m, s);
		assert_near(limits_sentence(text, NOW), want);
		free(text);
		text = xasprintf("limit|%lld", (long long)(want / 1000));
		assert_near(limits_sentence(text, NOW), want);
	}
}

static const char *problem_of(struct report *r, const char *text, int *status, int64_t *until)
{
	report_add(r, text, strlen(text));
	report_add(r, "\n", 1);
	return report_problem(r, status, until);
}

/* The streams of real agents: an error stands until they go on. */
static void test_problems(void **state)
{
	static const struct {
		const char *kind, *bad, *text, *good;
	} streams[] = {
	    {"claude",
	     "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":"
	     "\"Claude AI usage limit reached|1755810000\"}",
	     "Claude AI usage limit reached|1755810000",
	     "{\"type\":\"result\",\"is_error\":false,\"result\":\"done\"}"},
	    {"codex", "{\"type\":\"turn.failed\",\"error\":{\"message\":\"last status: 429\"}}",
	     "last status: 429", "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":1}}"},
	    {"codex", "{\"type\":\"error\",\"message\":\"Reconnecting... 1/5\"}",
	     "Reconnecting... 1/5",
	     "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"hi\"}}"},
	    {"gemini",
	     "{\"type\":\"result\",\"status\":\"error\",\"error\":{\"message\":\"[429] wait\"}}",
	     "[429] wait", "{\"type\":\"result\",\"status\":\"success\"}"},
	    {"opencode",
	     "{\"type\":\"error\",\"error\":{\"name\":\"APIError\",\"data\":{\"message\":"
	     "\"slow\",\"statusCode\":429}}}",
	     "slow", "{\"type\":\"text\",\"part\":{\"text\":\"hi\"}}"},
	    {"pi",
	     "{\"type\":\"message_end\",\"message\":{\"role\":\"assistant\",\"content\":[],"
	     "\"stopReason\":\"error\",\"errorMessage\":\"429 rate limited\"}}",
	     "429 rate limited",
	     "{\"type\":\"message_end\",\"message\":{\"role\":\"assistant\",\"content\":[],"
	     "\"stopReason\":\"stop\"}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		struct report *r = report_new(streams[i].kind);
		int status = 0;
		int64_t until = 0;
		const char *problem = problem_of(r, streams[i].bad, &status, &until);

		if (!problem || strcmp(problem, streams[i].text) != 0)
			fail_msg("%s: %s", streams[i].bad, problem ? problem : "nothing");
		assert_null(problem_of(r, streams[i].good, &status, &until));
		report_free(r);
	}
}

static void test_claude_limit_event(void **state)
{
	struct report *r = report_new("claude");
	int status = 0;
	int64_t until = 0;

	(void)state;
	assert_null(problem_of(r,
	                       "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":"
	                       "\"allowed_warning\",\"resetsAt\":1755810000}}",
	                       &status, &until));
	assert_non_null(problem_of(r,
	                           "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{"
	                           "\"status\":\"rejected\",\"resetsAt\":1755810000}}",
	                           &status, &until));
	assert_int_equal(status, 429);
	assert_int_equal(until, INT64_C(1755810000000));
	report_free(r);
}

/* While it runs, each message counts once though it comes in several lines; the end's total is the
 * one that stands. */
static void test_usage_while_running(void **state)
{
	static const char line[] =
	    "{\"type\":\"assistant\",\"message\":{\"id\":\"m1\",\"content\":[],\"usage\":{"
	    "\"input_tokens\":10,\"cache_read_input_tokens\":90,\"output_tokens\":5}}}\n";
	static const char other[] =
	    "{\"type\":\"assistant\",\"message\":{\"id\":\"m2\",\"content\":[],\"usage\":{"
	    "\"input_tokens\":1,\"output_tokens\":1}}}\n";
	static const char end[] =
	    "{\"type\":\"result\",\"result\":\"x\",\"total_cost_usd\":0.5,\"usage\":{"
	    "\"input_tokens\":50,\"output_tokens\":9}}\n";
	struct report *r = report_new("claude");
	json_t *usage;

	(void)state;
	report_add(r, line, strlen(line));
	report_add(r, line, strlen(line));
	report_add(r, other, strlen(other));
	usage = report_usage(r);
	assert_int_equal(json_int(usage, "input_tokens", 0), 101);
	assert_int_equal(json_int(usage, "output_tokens", 0), 6);
	json_decref(usage);
	report_add(r, end, strlen(end));
	report_add(r, line, strlen(line)); /* late, and still no sum below nothing */
	usage = report_usage(r);
	assert_int_equal(json_int(usage, "output_tokens", 0), 14);
	assert_true(json_num(usage, "cost_usd", 0) == 0.5);
	json_decref(usage);
	report_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sentences),          cmocka_unit_test(test_not_limits),
	    cmocka_unit_test(test_patterns),           cmocka_unit_test(test_any_text),
	    cmocka_unit_test(test_durations),          cmocka_unit_test(test_problems),
	    cmocka_unit_test(test_claude_limit_event), cmocka_unit_test(test_usage_while_running),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
