/* The pure half of tmux/: the stream parser, quoting, reading list-panes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "mem.h"
#include "tmux_panes.h"
#include "tmux_proto.h"

static void feed(struct tmux_stream *stream, const char *text)
{
	tmux_stream_feed(stream, text, strlen(text));
}

static void test_blocks_and_notifications(void **state)
{
	struct tmux_stream s;
	struct tmux_event e;

	(void)state;
	tmux_stream_init(&s);
	feed(&s,
	     "%begin 10 260 0\n%end 10 260 0\n%window-add @0\n%begin 10 271 1\n%3 @0\n%error 10 "
	     "270 1\n%end 9 271 1\nlast\n%end 10 271 1\n%begin 10 272 1\nno pane\n%error 10 272 "
	     "1\n%exit\nno server running on /x\n");
	assert_true(tmux_stream_next(&s, &e));
	assert_int_equal(e.kind, TMUX_BLOCK);
	assert_false(e.ours);
	assert_true(tmux_stream_next(&s, &e));
	assert_int_equal(e.kind, TMUX_NOTIFY);
	assert_string_equal(e.name, "window-add");
	assert_string_equal(e.text, "@0");
	/* Guards of other numbers are text. */
	assert_true(tmux_stream_next(&s, &e));
	assert_true(e.ours && e.ok);
	assert_string_equal(e.text, "%3 @0\n%error 10 270 1\n%end 9 271 1\nlast\n");
	assert_true(tmux_stream_next(&s, &e));
	assert_true(e.ours && !e.ok);
	assert_string_equal(e.text, "no pane\n");
	assert_true(tmux_stream_next(&s, &e));
	assert_string_equal(e.name, "exit");
	assert_string_equal(e.text, "");
	assert_true(tmux_stream_next(&s, &e));
	assert_int_equal(e.kind, TMUX_NOISE);
	assert_string_equal(e.text, "no server running on /x");
	assert_false(tmux_stream_next(&s, &e));
	tmux_stream_finish(&s);
}

static void test_byte_by_byte(void **state)
{
	static const char text[] = "%begin 1 2 1\na\n\nb\n%end 1 2 1\n%x y z\n";
	struct tmux_stream s;
	struct tmux_event e;
	int events = 0;

	(void)state;
	tmux_stream_init(&s);
	for (size_t i = 0; i < sizeof text - 1; i++) {
		tmux_stream_feed(&s, text + i, 1);
		while (tmux_stream_next(&s, &e)) {
			events++;
			if (events == 1)
				assert_string_equal(e.text, "a\n\nb\n");
			else
				assert_string_equal(e.text, "y z");
		}
	}
	assert_int_equal(events, 2);
	tmux_stream_finish(&s);
}

static void test_bounds(void **state)
{
	struct tmux_stream s;
	struct tmux_event e;
	size_t big = 3u << 20;
	_cleanup_free_ char *line = xcalloc(1, big + 1);

	(void)state;
	memset(line, 'x', big);
	tmux_stream_init(&s);
	/* 200 kB whole, 3 MB cut, and what follows is in step again. */
	tmux_stream_feed(&s, line, 200000);
	feed(&s, "\n");
	assert_true(tmux_stream_next(&s, &e));
	assert_int_equal(e.len, 200000);
	assert_false(e.truncated);
	for (size_t i = 0; i < big; i += 4096) {
		tmux_stream_feed(&s, line, 4096);
		assert_false(tmux_stream_next(&s, &e));
		assert_true(s.in.len <= TMUX_LINE_MAX + 4096);
	}
	feed(&s, "\n%begin 1 1 1\n");
	assert_true(tmux_stream_next(&s, &e));
	assert_true(e.truncated);
	assert_int_equal(e.len, TMUX_LINE_MAX);
	for (int i = 0; i < 40; i++) {
		tmux_stream_feed(&s, line, 100000);
		feed(&s, "\n");
		assert_false(tmux_stream_next(&s, &e));
	}
	feed(&s, "%end 1 1 1\n");
	assert_true(tmux_stream_next(&s, &e));
	assert_true(e.truncated && e.ok && e.len <= TMUX_BLOCK_MAX);
	tmux_stream_finish(&s);
}

static void test_hostile_lines(void **state)
{
	static const char *const lines[] = {
	    "%begin\n",
	    "%begin 1\n",
	    "%begin 1 2 3 4\n",
	    "%begin -1 2 1\n",
	    "%begin 99999999999999999999 1 1\n",
	    "%\n",
	    "% end\n",
	    "\n",
	    "%end 1 1 1\n",
	    "%%begin 1 1 1\n",
	};
	struct tmux_stream s;
	struct tmux_event e;

	(void)state;
	tmux_stream_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		feed(&s, lines[i]);
		assert_true(tmux_stream_next(&s, &e));
		assert_int_not_equal(e.kind, TMUX_BLOCK);
	}
	tmux_stream_feed(&s, "a\0b\n%n\0x y\n", 10);
	while (tmux_stream_next(&s, &e))
		assert_true(e.len < 10);
	tmux_stream_finish(&s);
}

static char *word(const char *text)
{
	struct buf out = BUF_INIT;

	tmux_add_word(&out, text);
	return buf_take(&out);
}

static void test_quoting(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", "\"\""},
	    {"plain", "\"plain\""},
	    {"-x", "\"-x\""},
	    {"a;", "\"a;\""},
	    {";", "\";\""},
	    {"#(touch x)", "\"#(touch x)\""},
	    {"#{pid}", "\"#{pid}\""},
	    {"it's \"q\"", "\"it's \\\"q\\\"\""},
	    {"$HOME", "\"\\$HOME\""},
	    {"~", "\"~\""},
	    {"{ x }", "\"{ x }\""},
	    {"a\\n", "\"a\\\\n\""},
	    {"a\nkill-server", "\"a\\012kill-server\""},
	    {"\033[201~\t\r\177", "\"\\033[201~\\011\\015\\177\""},
	    {"é\xff", "\"é\xff\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *got = word(cases[i].in);
		assert_string_equal(got, cases[i].out);
	}
}

static void test_argv_words(void **state)
{
	static const char *const cases[][2] = {
	    {"a;", "a\\;"}, {";", "\\;"}, {"a;b", "a;b"}, {"", ""}, {"a\\;", "a\\\\;"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *got = tmux_argv_word(cases[i][0]);
		assert_string_equal(got, cases[i][1]);
	}
}

static void test_names(void **state)
{
	static const char *const cases[][2] = {
	    {"speed.1", "speed-1"},      {"-rf", "_rf"}, {"a#(b)", "a--b-"}, {"é", "_-"},
	    {"abcdefghijk", "abcdefgh"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		tmux_add_name(&out, cases[i][0], 8);
		assert_string_equal(out.data, cases[i][1]);
	}
}

static void test_panes(void **state)
{
	struct tmux_pane *panes;
	size_t n = tmux_panes_read("%0 @0 5085 ash|/usr/bin/pleach-worker --view oak --socket /x\n"
	                           "%1 @0 5086 |\"/a b/pleach-worker\" --view oak --socket /x\n"
	                           "%12 @3 5087 |/bin/sh\n"
	                           "%13 @3 5088 Ash|\n"
	                           "%x @0 1 ash|\n"
	                           "%1 0 1 ash|\n"
	                           "%1 @0 -1 ash|\n"
	                           "%1 @0 0 ash|\n"
	                           "%123456789012345678 @0 1 ash|\n"
	                           "garbage\n\n"
	                           "%14 @3 5089 |x --view #(sh) --socket",
	                           &panes);

	(void)state;
	assert_int_equal(n, 5);
	assert_string_equal(panes[0].teammate, "ash");
	assert_true(panes[0].tagged);
	assert_string_equal(panes[1].teammate, "oak");
	assert_false(panes[1].tagged);
	assert_string_equal(panes[2].id, "%12");
	assert_string_equal(panes[2].window, "@3");
	assert_string_equal(panes[2].teammate, "");
	assert_string_equal(panes[3].teammate, "");
	assert_string_equal(panes[4].teammate, "");
	free(panes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_blocks_and_notifications),
	    cmocka_unit_test(test_byte_by_byte),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_hostile_lines),
	    cmocka_unit_test(test_quoting),
	    cmocka_unit_test(test_argv_words),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_panes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
