/* Agents' streams as text for people. streams/KIND[-WHAT].jsonl are what real agents printed (pi,
 * codex, gemini, qwen, opencode, copilot; of claude -edit and -rejected, its others and cursor
 * after their documentation), .txt what a person sees. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "readable.h"
#include "report.h"

struct reader {
	struct report *report;
	struct readable *readable;
	struct buf out;
};

static void on_line(void *context, const json_t *line)
{
	struct reader *r = context;

	readable_line(r->readable, line, &r->out);
}

static void on_plain(void *context, const char *data, size_t len)
{
	struct reader *r = context;

	readable_plain(r->readable, &r->out);
	buf_add(&r->out, data, len);
}

/* In pieces of that many bytes; caller frees. */
static char *read_stream(const char *kind, const char *text, size_t len, size_t piece)
{
	struct reader r = {report_new(kind), readable_new(kind), BUF_INIT};
	json_t *usage;

	assert_non_null(r.readable);
	report_watch(r.report, &(struct report_watch){on_line, on_plain, &r});
	for (size_t at = 0; at < len; at += piece)
		report_add(r.report, text + at, piece < len - at ? piece : len - at);
	report_end(r.report);
	usage = report_usage(r.report);
	readable_end(r.readable, usage, &r.out);
	json_decref(usage);
	report_free(r.report);
	readable_free(r.readable);
	return buf_take(&r.out);
}

static void read_file(const char *name, struct buf *out)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", STREAMS, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail_msg("cannot read %s", path);
	while (buf_read(out, fd, 64u << 10) > 0)
		;
}

/* Every line ends as lines of a terminal do. Takes the ends away. */
static void take_ends(char *text)
{
	char *to = text;

	for (const char *c = text; *c; c++) {
		if (*c == '\n')
			assert_true(c > text && c[-1] == '\r');
		if (*c != '\r')
			*to++ = *c;
	}
	*to = '\0';
}

static void test_streams(void **state)
{
	static const struct {
		const char *name, *kind;
	} streams[] = {
	    {"claude", "claude"},
	    {"claude-limited", "claude"},
	    {"qwen", "claude"},
	    {"cursor", "claude"},
	    {"codex", "codex"},
	    {"codex-limited", "codex"},
	    {"gemini", "gemini"},
	    {"opencode", "opencode"},
	    {"opencode-limited", "opencode"},
	    {"pi", "pi"},
	    {"pi-limited", "pi"},
	    {"claude-edit", "claude"},
	    {"claude-rejected", "claude"},
	    {"copilot", "copilot"},
	};
	static const size_t pieces[] = {1, 7, 4096, 1u << 20};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		_cleanup_free_ char *from = xasprintf("%s.jsonl", streams[i].name);
		_cleanup_free_ char *to = xasprintf("%s.txt", streams[i].name);
		_cleanup_buf_ struct buf text = BUF_INIT, wanted = BUF_INIT;

		read_file(from, &text);
		read_file(to, &wanted);
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
			_cleanup_free_ char *got =
			    read_stream(streams[i].kind, text.data, text.len, pieces[k]);

			take_ends(got);
			if (strcmp(got, wanted.data) != 0)
				fail_msg("%s in pieces of %zu:\n%s", from, pieces[k], got);
		}
	}
}

static void check(const char *kind, const char *text, const char *wanted)
{
	_cleanup_free_ char *got = read_stream(kind, text, strlen(text), 3);

	assert_string_equal(got, wanted);
}

/* What is no JSON is shown as it comes; what JSON says is nobody's terminal. */
static void test_odd(void **state)
{
	(void)state;
	check("pi", "warning: \033[31mold\033[0m\r\n{not json}\r\n{\"type\":",
	      "warning: \033[31mold\033[0m\r\n{not json}\r\n{\"type\":\n");
	check("pi",
	      "{\"type\":5}\n{\"type\":\"message_end\"}\n{\"type\":\"message_end\",\"message\":[]}"
	      "\n{}\n[1]\n",
	      "[1]\n");
	check("gemini",
	      "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"one "
	      "\",\"delta\":true}\nplain\n",
	      "one \r\nplain\n");
	check("gemini",
	      "{\"type\":\"tool_use\",\"tool_name\":\"x\\u001b[2J\\ny\",\"parameters\":{\"a\":{"
	      "\"b\":[1]}}}\n",
	      "→ x␛[2J (+1 line)\r\n");
	check("gemini",
	      "{\"type\":\"tool_use\",\"tool_name\":\"x\",\"parameters\":{\"a\":{\"b\":[1]}}}\n",
	      "→ x {\"a\":{\"b\":[1]}}\r\n");
	assert_null(readable_new("text"));
	assert_null(readable_new(NULL));
	readable_free(NULL);
}

static void test_too_long(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	(void)state;

	for (int line = 0; line < 2; line++) { /* told once, not for each */
		buf_add_str(&text, "{\"a\":\"");
		for (int i = 0; i < 3 << 10; i++)
			buf_add(&text, (char[1024]){'x'}, 1024);
		buf_add_str(&text, "\"}\n");
	}
	buf_add_str(&text, "after\n");
	_cleanup_free_ char *got = read_stream("codex", text.data, text.len, 1000);
	assert_string_equal(got, "(a line that is too long)\r\nafter\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_streams),
	    cmocka_unit_test(test_odd),
	    cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
