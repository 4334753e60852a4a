/* Text from outside: what counts as UTF-8, what may reach a terminal, names, durations,
 * times, the nearest word. */
#include <math.h>
#include <time.h>

#include "shared_fixture.h"

static bool utf8(const char *bytes)
{
	return text_is_utf8(bytes, strlen(bytes));
}

static void test_utf8_takes_what_is_whole(void **state)
{
	(void)state;
	assert_true(text_is_utf8("", 0));
	assert_true(utf8("plain"));
	assert_true(text_is_utf8("a\0b", 3)); /* NUL is a character: who minds asks by himself */
	assert_true(utf8("\xc2\x80"));
	assert_true(utf8("\xdf\xbf"));
	assert_true(utf8("\xe0\xa0\x80"));
	assert_true(utf8("\xed\x9f\xbf")); /* the last before the surrogates */
	assert_true(utf8("\xee\x80\x80")); /* the first behind them */
	assert_true(utf8("\xf0\x90\x80\x80"));
	assert_true(utf8("\xf4\x8f\xbf\xbf")); /* U+10FFFF */
}

static void test_utf8_refuses_what_is_broken(void **state)
{
	static const char *const broken[] = {
	    "\x80",             /* continuation alone */
	    "\xbf",             /* the same */
	    "\xc0\x80",         /* NUL, overlong */
	    "\xc1\xbf",         /* overlong */
	    "\xc3",             /* cut */
	    "\xc3(",            /* not continued */
	    "\xe0\x80\xaf",     /* slash, overlong */
	    "\xe0\x9f\xbf",     /* overlong */
	    "\xe2\x82",         /* cut */
	    "\xed\xa0\x80",     /* U+D800 */
	    "\xed\xbf\xbf",     /* U+DFFF */
	    "\xf0\x80\x80\xaf", /* overlong */
	    "\xf0\x8f\xbf\xbf", /* overlong */
	    "\xf4\x90\x80\x80", /* U+110000 */
	    "\xf5\x80\x80\x80", /* beyond */
	    "\xf8\x88\x80\x80\x80",
	    "\xfe",
	    "\xff",
	    "ok\xff",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		if (utf8(broken[i]))
			fail_msg("taken: case %zu", i);
	/* a whole character whose last byte lies behind the end */
	assert_false(text_is_utf8("\xe2\x82\xac", 2));
}

static void shows(const char *text, size_t len, size_t width, bool lines, const char *want)
{
	struct buf out = BUF_INIT;

	buf_add_str(&out, ">");
	text_add_safe(&out, text, len, width, lines);
	assert_string_equal(out.data + 1, want);
	assert_int_equal(out.data[0], '>');
	buf_finish(&out);
}

static void safe(const char *text, const char *want)
{
	shows(text, strlen(text), 0, false, want);
}

#define GONE "\xef\xbf\xbd" /* U+FFFD */
#define ESC  "\xe2\x90\x9b" /* U+241B */

static void test_nothing_raw_reaches_a_terminal(void **state)
{
	(void)state;
	safe("red \x1b[31mtext\x1b[0m", "red " ESC "[31mtext" ESC "[0m");
	safe("\x1b]0;title\x07", ESC "]0;title" GONE);
	safe("\x9b"
	     "31m",
	     GONE "31m"); /* C1 as a byte is not UTF-8 */
	safe("\xc2\x9b"
	     "31m",
	     GONE "31m"); /* C1 as a character */
	safe("a\x08\x7f"
	     "b",
	     "a" GONE GONE "b"); /* backspace, delete */
	safe("a\r\nb\tc", "a  b c");
	safe("\xe2\x80\xae"
	     "cod\xe2\x80\xac",
	     GONE "cod" GONE);                            /* right-to-left override */
	safe("\xe2\x81\xa6x\xe2\x81\xa9", GONE "x" GONE); /* isolates */
	safe("\xd8\x9cx", GONE "x");                      /* Arabic letter mark */
	safe("a\xe2\x80\x8b"
	     "b\xe2\x80\x8d"
	     "c",
	     "a" GONE "b" GONE "c");     /* zero width */
	safe("\xef\xbb\xbfx", GONE "x"); /* BOM */
	safe("a\xc2\xad"
	     "b",
	     "a" GONE "b"); /* soft hyphen */
	safe("a\xe2\x80\xa8"
	     "b",
	     "a" GONE "b");             /* line separator */
	safe("\xf3\xa0\x81\x81", GONE); /* a tag character */
	safe("\xff\xfe", GONE GONE);
	safe("caf\xc3\xa9 \xe6\x97\xa5", "caf\xc3\xa9 \xe6\x97\xa5");
	shows("a\0b", 3, 0, false, "a" GONE "b");
	shows("cut \xe2\x82", 6, 0, false, "cut " GONE GONE);
}

static void test_lines_are_kept_on_wish(void **state)
{
	(void)state;
	shows("a\n\tb\r\n", 6, 0, true, "a\n\tb \n");
	shows("a\n\tb", 4, 0, false, "a  b");
}

/* Whatever bytes come in: valid UTF-8 comes out, without controls, and within its width. */
static void test_any_bytes_come_out_safe(void **state)
{
	unsigned seed = 3;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct buf out = BUF_INIT;
		char bytes[24];
		size_t len, width;

		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
		len = seed % sizeof bytes;
		width = seed / 32 % 12;
		text_add_safe(&out, bytes, len, width, false);
		if (out.len) {
			assert_true(text_is_utf8(out.data, out.len));
			for (size_t i = 0; i < out.len; i++)
				assert_true((unsigned char)out.data[i] >= 0x20 &&
				            out.data[i] != 0x7f);
			if (width)
				assert_true(text_width(out.data) <= width);
		}
		buf_finish(&out);
	}
}

static void cut(const char *text, size_t width, const char *want)
{
	shows(text, strlen(text), width, false, want);
}

#define DOTS "\xe2\x80\xa6"
#define SUN  "\xe6\x97\xa5" /* two columns */

static void test_ellipsis(void **state)
{
	(void)state;
	cut("abcde", 5, "abcde");
	cut("abcdef", 5, "abcd" DOTS);
	cut("abcdef", 1, DOTS);
	cut("", 5, "");
	cut(SUN SUN, 4, SUN SUN);
	cut(SUN SUN SUN, 4, SUN DOTS);
	cut(SUN SUN SUN, 5, SUN SUN DOTS);
	cut(SUN SUN, 1, DOTS);
	cut("e\xcc\x81"
	    "bc",
	    3,
	    "e\xcc\x81"
	    "bc"); /* a combining mark takes no column */
	cut("e\xcc\x81"
	    "bcd",
	    3,
	    "e\xcc\x81"
	    "b" DOTS);
	cut("\x1b\x1b\x1b", 2, ESC DOTS);
}

static void test_width(void **state)
{
	(void)state;
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("caf\xc3\xa9"), 4);
	assert_int_equal(text_width(SUN SUN), 4);
	assert_int_equal(text_width("\xf0\x9f\x8c\xb3"), 2); /* a tree */
	assert_int_equal(text_width("e\xcc\x81"), 1);
	assert_int_equal(text_width(DOTS), 1);
}

/* A mark takes no column, but a thousand of them on one letter cover the lines around it. */
static void test_marks_do_not_pile_up(void **state)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;

	(void)state;
	buf_add_str(&in, "a");
	for (int i = 0; i < 1000; i++)
		buf_add_str(&in, "\xcc\x81");
	buf_add_str(&in, "b");
	text_add_safe(&out, in.data, in.len, 20, false);
	assert_true(out.len < 64);
	assert_int_equal(out.data[out.len - 1], 'b');
	assert_int_equal(text_width(out.data), 2);
}

static void subject(const char *prompt, const char *want)
{
	_cleanup_free_ char *text = text_subject(prompt);

	assert_string_equal(text, want);
}

static void test_subject(void **state)
{
	char prompt[200], want[80];

	(void)state;
	subject("Fix it", "Fix it");
	subject("\n\n  Fix it  \nand more", "Fix it");
	subject("", "");
	subject(" \n\t\n", "");
	subject("a\x1b[2Jb", "a" ESC "[2Jb");
	memset(prompt, 'x', sizeof prompt);
	prompt[sizeof prompt - 1] = '\0';
	memset(want, 'x', 71);
	memcpy(want + 71, DOTS, sizeof DOTS);
	subject(prompt, want);
}

static void test_names(void **state)
{
	char name[80];

	(void)state;
	assert_true(text_is_key("parser"));
	assert_true(text_is_key("_a-B_9"));
	assert_false(text_is_key(NULL));
	assert_false(text_is_key(""));
	assert_false(text_is_key("9a"));
	assert_false(text_is_key("-a"));
	assert_false(text_is_key("a.1")); /* the dot is for alternatives */
	assert_false(text_is_key("a/b"));
	assert_false(text_is_key("a b"));
	assert_false(text_is_key("a\n"));
	assert_false(text_is_key("caf\xc3\xa9"));
	memset(name, 'a', sizeof name);
	name[64] = '\0';
	assert_true(text_is_key(name));
	name[64] = 'a';
	name[65] = '\0';
	assert_false(text_is_key(name));

	assert_true(text_is_teammate("ash"));
	assert_true(text_is_teammate("a-1"));
	assert_false(text_is_teammate(NULL));
	assert_false(text_is_teammate(""));
	assert_false(text_is_teammate("Ash"));
	assert_false(text_is_teammate("1a"));
	assert_false(text_is_teammate("-a"));
	assert_false(text_is_teammate("a_b"));
	assert_false(text_is_teammate("../x"));
	name[32] = '\0';
	assert_true(text_is_teammate(name));
	name[32] = 'a';
	name[33] = '\0';
	assert_false(text_is_teammate(name));
}

static void test_durations_are_read(void **state)
{
	static const struct {
		const char *text;
		double seconds;
	} good[] = {{"90s", 90}, {"30m", 1800}, {"2h", 7200},   {"1d", 86400},  {"45", 45},
	            {"0", 0},    {"1.5", 1.5},  {"0.5h", 1800}, {"250ms", 0.25}};
	static const char *const bad[] = {"",    "s",   "-1s",  "+1",  "1x",     "1s ",
	                                  " 1s", "1 s", "1h2m", "1e3", "0x10",   ".5",
	                                  "inf", "nan", "1.",   "1.s", "999999d"};
	double seconds;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(text_parse_duration(good[i].text, &seconds));
		assert_true(fabs(seconds - good[i].seconds) < 1e-9);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		seconds = 7;
		if (text_parse_duration(bad[i], &seconds))
			fail_msg("taken: '%s'", bad[i]);
		assert_true(seconds == 7);
	}
	assert_false(text_parse_duration(NULL, &seconds));
}

static void duration(double seconds, const char *want)
{
	char text[32];

	text_format_duration(seconds, text);
	assert_string_equal(text, want);
}

static void test_durations_are_shown(void **state)
{
	char text[32];

	(void)state;
	duration(0, "0s");
	duration(-5, "0s");
	duration(1.25, "1.2s");
	duration(48, "48s");
	duration(59.7, "1m00s");
	duration(724, "12m04s");
	duration(7800, "2h10m");
	duration(273600, "3d04h");
	/* nonsense from a worker must stay text */
	text_format_duration(INFINITY, text);
	text_format_duration(1e300, text);
	text_format_duration(-INFINITY, text);
	text_format_duration(NAN, text);
	assert_true(strlen(text) < 32);
}

static void timestamp(int64_t ms, const char *want)
{
	char text[32];

	text_format_time(ms, text);
	assert_string_equal(text, want);
}

static void test_times(void **state)
{
	char text[32];
	int64_t before = time_mono_ms();

	(void)state;
	timestamp(0, "1970-01-01T00:00:00.000Z");
	timestamp(1, "1970-01-01T00:00:00.001Z");
	timestamp(1700000000123, "2023-11-14T22:13:20.123Z");
	timestamp(253402300799999, "9999-12-31T23:59:59.999Z");
	timestamp(-1, "1969-12-31T23:59:59.999Z");
	text_format_time(INT64_MAX, text);
	assert_true(strlen(text) < 32);
	text_format_time(INT64_MIN, text);
	assert_true(strlen(text) < 32);
	assert_true(time_now_ms() > 1600000000000);
	assert_true(time_mono_ms() >= before);
}

/* Every day from 1600 to 2800, and what timegm says of it. */
static void test_times_are_read(void **state)
{
	char text[64];

	(void)state;
	for (int64_t day = -135140; day < 303156; day++) {
		time_t seconds = (time_t)(day * 86400 + (day % 86400 + 86400) % 86400);
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
		if (text_parse_time(text) != (int64_t)seconds * 1000)
			fail_msg("%s", text);
	}
	assert_int_equal(text_parse_time("0000-01-01T00:00:00Z"), -62167219200000);
	assert_int_equal(text_parse_time("9999-12-31T23:59:59.999Z"), 253402300799999);
	assert_int_equal(text_parse_time("2023-11-14T22:13:20.123Z"), 1700000000123);
	assert_int_equal(text_parse_time("2023-02-31T00:00:00Z"), 1677801600000); /* March 3 */
	assert_int_equal(text_parse_time("2023-11-14"), -1);
	assert_int_equal(text_parse_time(""), -1);
	assert_int_equal(text_parse_time(NULL), -1);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"parser", "lexer", "docs", "release", NULL};
	static const char *const none[] = {NULL};
	char huge[200];

	(void)state;
	assert_string_equal(text_nearest("praser", names), "parser");
	assert_string_equal(text_nearest("lexr", names), "lexer");
	assert_string_equal(text_nearest("doc", names), "docs");
	assert_string_equal(text_nearest("relaese", names), "release");
	assert_null(text_nearest("zzzzzz", names));
	assert_null(text_nearest("parser", none));
	assert_null(text_nearest("parser", NULL));
	memset(huge, 'x', sizeof huge);
	huge[sizeof huge - 1] = '\0';
	assert_null(text_nearest(huge, names));
}

static void test_random(void **state)
{
	char one[33], two[33];

	(void)state;
	text_random_hex(one, 16);
	text_random_hex(two, 16);
	assert_int_equal(strlen(one), 32);
	assert_int_equal(strspn(one, "0123456789abcdef"), 32);
	assert_string_not_equal(one, two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_utf8_takes_what_is_whole),
	    cmocka_unit_test(test_utf8_refuses_what_is_broken),
	    cmocka_unit_test(test_nothing_raw_reaches_a_terminal),
	    cmocka_unit_test(test_lines_are_kept_on_wish),
	    cmocka_unit_test(test_any_bytes_come_out_safe),
	    cmocka_unit_test(test_ellipsis),
	    cmocka_unit_test(test_width),
	    cmocka_unit_test(test_marks_do_not_pile_up),
	    cmocka_unit_test(test_subject),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_durations_are_read),
	    cmocka_unit_test(test_durations_are_shown),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_times_are_read),
	    cmocka_unit_test(test_nearest),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
