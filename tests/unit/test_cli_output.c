/* Tables, lines, and streams of foreign bytes on their way to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "print.h"
#include "safe_stream.h"
#include "table.h"
#include "text.h"

extern const struct table_module pleach_table_module;

static void fill(struct table *table)
{
	static const struct table_column columns[] = {
	    {"#", true, false}, {"KEY", false, false}, {"WHAT", false, true}};

	table_init(table, columns, ARRAY_LEN(columns));
	table_addf(table, STYLE_PLAIN, "%d", 7);
	table_add(table, STYLE_GREEN, "lexer ✓");
	table_add(table, STYLE_PLAIN, "a long text that may be cut where there is no room");
	table_add(table, STYLE_PLAIN, "12");
	table_add(table, STYLE_PLAIN, "p\033[31mq");
	table_add(table, STYLE_PLAIN, NULL);
}

static void test_table(void **state)
{
	_cleanup_table_ struct table table = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	fill(&table);
	text = pleach_table_module.render(&table, 0, false);
	assert_non_null(text);
	assert_non_null(strstr(text, " #  KEY"));
	assert_non_null(
	    strstr(text, " 7  lexer ✓  a long text that may be cut where there is no room"));
	assert_non_null(strstr(text, "12  p␛[31mq"));
	assert_null(strchr(text, '\033'));
}

static void test_table_narrow(void **state)
{
	_cleanup_table_ struct table table = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	fill(&table);
	text = pleach_table_module.render(&table, 40, true);
	assert_non_null(text);
	assert_non_null(strstr(text, "\033[32m"));
	assert_null(strstr(text, "no room"));
}

static void test_line(void **state)
{
	struct line line;

	(void)state;
	line_begin(&line, 12, false);
	line_cell(&line, STYLE_RED, "ab", 4);
	line_addf(&line, STYLE_PLAIN, "%s", "cdef\nghij");
	assert_int_equal(line.used, 12);
	assert_string_equal(line.text.data, "ab    cdef …");
	line_add(&line, STYLE_PLAIN, "more");
	assert_int_equal(line.used, 12);
	line_finish(&line);
}

static void check_stream(const char *in, bool colors, const char *expected)
{
	/* In one piece, and byte by byte. */
	for (int step = 0; step < 2; step++) {
		struct safe_stream stream = {.keep_colors = colors};
		_cleanup_buf_ struct buf out = BUF_INIT;
		size_t len = strlen(in);

		if (step == 0)
			safe_stream_add(&stream, in, len, &out);
		for (size_t i = 0; step && i < len; i++)
			safe_stream_add(&stream, in + i, 1, &out);
		safe_stream_end(&stream, &out);
		assert_string_equal(out.data ? out.data : "", expected);
		safe_stream_finish(&stream);
	}
}

static void test_stream(void **state)
{
	(void)state;
	check_stream("plain\ntext", false, "plain\ntext\n");
	check_stream("a\033[31mred\033[0m\n", false, "ared\n");
	check_stream("a\033[31mred\033[0m\n", true, "a\033[31mred\033[0m\n");
	check_stream("\033[2J\033[1;1Hhome\r\n", true, "home\n");
	check_stream("\033]0;title\a\033]8;;x\033\\link\n", true, "link\n");
	check_stream("10%\r20%\r\n", false, "10%\n20%\n");
	check_stream("bad \xff byte\n", false, "bad \xef\xbf\xbd byte\n");
	check_stream("cut \033", false, "cut \n");
	check_stream("\033(Bx\033[?25l\033=y\n", true, "xy\n");
}

static void test_stream_long(void **state)
{
	struct safe_stream stream = {.raw = false};
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *block = xcalloc(1, 200001);

	(void)state;
	memset(block, 'x', 200000);
	safe_stream_add(&stream, block, 200000, &out);
	assert_true(stream.line.len <= 64u << 10);
	safe_stream_end(&stream, &out);
	assert_int_equal(out.len, 200001);
	safe_stream_finish(&stream);
}

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(print_time_ms("1970-01-01T00:00:01.250Z"), 1250);
	assert_int_equal(print_time_ms("nonsense"), -1);
	assert_int_equal(print_time_ms(NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),       cmocka_unit_test(test_table_narrow),
	    cmocka_unit_test(test_line),        cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_stream_long), cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
