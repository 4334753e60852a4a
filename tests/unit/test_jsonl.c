/* JSON lines: how they are split, what is refused, what an error leaves behind. */
#include "jsonl.h"
#include "shared_fixture.h"

#define LINE_MAX_TEST (1u << 20)

struct fixture {
	struct jsonl_reader reader;
};

static int reader_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	jsonl_reader_init(&f->reader, LINE_MAX_TEST);
	*state = f;
	return 0;
}

static int reader_teardown(void **state)
{
	struct fixture *f = *state;

	jsonl_reader_finish(&f->reader);
	free(f);
	return 0;
}

static void feed(struct fixture *f, const char *text)
{
	buf_add_str(&f->reader.in, text);
}

static void takes(struct fixture *f, const char *want)
{
	_cleanup_json_ json_t *value = NULL;
	_cleanup_free_ char *text = NULL;
	struct error err = ERROR_INIT;

	if (jsonl_next(&f->reader, &value, &err) != 1)
		fail_msg("no line: %s", err.text);
	text = jsonl_text(value);
	assert_string_equal(text, want);
}

static void needs_more(struct fixture *f)
{
	json_t *value = (json_t *)f;

	assert_int_equal(jsonl_next(&f->reader, &value, NULL), 0);
	assert_ptr_equal(value, f); /* untouched */
}

/* Refused as INVALID, with the reason in it; the output untouched. */
static void refuses(struct fixture *f, const char *reason)
{
	json_t *value = (json_t *)f;
	struct error err = ERROR_INIT;

	assert_int_equal(jsonl_next(&f->reader, &value, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	if (!strstr(err.text, reason))
		fail_msg("'%s' is not about '%s'", err.text, reason);
	assert_true(text_is_utf8(err.text, strlen(err.text)));
	assert_ptr_equal(value, f);
}

static void test_a_line_in_pieces(void **state)
{
	static const char line[] = "{\"a\":[1,\"x\\n\"],\"b\":null}\n";
	struct fixture *f = *state;

	for (size_t i = 0; i + 1 < sizeof line; i++) {
		char one[2] = {line[i], '\0'};

		needs_more(f);
		feed(f, one);
	}
	takes(f, "{\"a\":[1,\"x\\n\"],\"b\":null}");
	needs_more(f);
	assert_int_equal(f->reader.in.len, 0);
}

static void test_many_lines_at_once(void **state)
{
	struct fixture *f = *state;
	char line[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof line, "{\"n\":%d}\n", i);
		feed(f, line);
	}
	feed(f, "{\"n\":");
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof line, "{\"n\":%d}", i);
		takes(f, line);
	}
	needs_more(f);
	feed(f, "1000}\r\n[]\n");
	takes(f, "{\"n\":1000}");
	takes(f, "[]");
	needs_more(f);
}

static void test_a_broken_line_is_one_line(void **state)
{
	static const char *const broken[] = {
	    "",
	    " ",
	    "{",
	    "}",
	    "{\"a\":1",
	    "{\"a\":1}}",
	    "{\"a\":1}{\"b\":2}",
	    "nonsense",
	    "[1,]",
	    "{\"a\" 1}",
	    "{'a':1}",
	    "[01]",
	    "[+1]",
	    "[.5]",
	    "[NaN]",
	    "[Infinity]",
	    "\"text\"",
	    "1",
	    "{\"a\":1,\"a\":2}" /* which one counts? neither */,
	    "[\"\\x\"]",
	    "[\"\\ud800\"]" /* half a surrogate pair */,
	    "[\"tab\there\"]",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		feed(f, broken[i]);
		feed(f, "\n{\"after\":1}\n");
		refuses(f, "not JSON");
		takes(f, "{\"after\":1}");
		needs_more(f);
	}
}

static void test_bytes_that_are_not_text(void **state)
{
	static const char *const broken[] = {
	    "[\"\xff\"]",     "[\"\xc0\x80\"]", "[\"\xed\xa0\x80\"]",
	    "[\"\xe2\x82\"]", "{\"\x80\":1}",   "[\"\xf4\x90\x80\x80\"]",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		feed(f, broken[i]);
		feed(f, "\n");
		refuses(f, "not JSON");
	}
	/* exact where it is text */
	feed(f, "[\"\xf0\x9f\x8c\xb3 caf\xc3\xa9 \\ud83c\\udf33 \\u001b\"]\n");
	takes(f, "[\"\xf0\x9f\x8c\xb3 caf\xc3\xa9 \xf0\x9f\x8c\xb3 \\u001B\"]");
}

/* A NUL would end every C string that is made of it. */
static void test_nul(void **state)
{
	struct fixture *f = *state;

	feed(f, "{\"a\":\"x\\u0000y\"}\n");
	refuses(f, "not JSON");
	feed(f, "{\"a\\u0000b\":1}\n");
	refuses(f, "not JSON");
	buf_add(&f->reader.in, "[1]\0\n", 5);
	refuses(f, "not JSON");
	buf_add(&f->reader.in, "[\"a\0b\"]\n[2]\n", 12);
	refuses(f, "not JSON");
	takes(f, "[2]");
}

static void test_numbers(void **state)
{
	static const char *const out_of_range[] = {
	    "[9223372036854775808]",
	    "[-9223372036854775809]",
	    "[1e400]",
	    "[-1e400]",
	    "[99999999999999999999999999999999]",
	};
	_cleanup_json_ json_t *value = NULL;
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(out_of_range); i++) {
		feed(f, out_of_range[i]);
		feed(f, "\n");
		refuses(f, "not JSON");
	}
	feed(f, "{\"i\":-9223372036854775808,\"a\":9223372036854775807,\"r\":1.5,\"t\":\"7\"}\n");
	assert_int_equal(jsonl_next(&f->reader, &value, NULL), 1);
	assert_true(json_int(value, "i", 0) == INT64_MIN);
	assert_true(json_int(value, "a", 0) == INT64_MAX);
	assert_true(json_int(value, "r", 3) == 3); /* a fraction is no integer */
	assert_true(json_int(value, "t", 4) == 4);
	assert_true(json_int(value, "none", 5) == 5);
	assert_true(json_num(value, "r", 0) == 1.5);
	assert_true(json_num(value, "t", 2) == 2);
}

static void test_a_line_that_is_too_long(void **state)
{
	struct fixture *f = *state;
	char chunk[4096];
	json_t *value;
	size_t fed = 0;

	memset(chunk, ' ', sizeof chunk);
	while (fed <= LINE_MAX_TEST) {
		needs_more(f);
		buf_add(&f->reader.in, chunk, sizeof chunk);
		fed += sizeof chunk;
	}
	refuses(f, "longer than");
	/* and stays refused: the stream has lost its place */
	feed(f, "\n[1]\n");
	refuses(f, "longer than");

	/* the limit itself is fine */
	jsonl_reader_finish(&f->reader);
	jsonl_reader_init(&f->reader, 5);
	feed(f, "[123]\n");
	assert_int_equal(jsonl_next(&f->reader, &value, NULL), 1);
	json_decref(value);
	feed(f, "[1234]\n");
	refuses(f, "longer than");
}

static void nest(struct fixture *f, size_t depth, char open, char close, const char *inside)
{
	for (size_t i = 0; i < depth; i++)
		buf_add(&f->reader.in, &open, 1);
	feed(f, inside);
	for (size_t i = 0; i < depth; i++)
		buf_add(&f->reader.in, &close, 1);
	feed(f, "\n");
}

static void test_depth(void **state)
{
	struct fixture *f = *state;
	json_t *value = NULL;

	nest(f, JSONL_DEPTH_MAX, '[', ']', "\"[[[[{{{{ \\\" [[[\"");
	assert_int_equal(jsonl_next(&f->reader, &value, NULL), 1);
	json_decref(value);
	nest(f, JSONL_DEPTH_MAX + 1, '[', ']', "");
	refuses(f, "nested deeper");
	nest(f, 100000, '[', ']', "");
	refuses(f, "nested deeper");
	for (int i = 0; i < 100000; i++)
		feed(f, "{\"a\":");
	feed(f, "\n");
	refuses(f, "nested deeper");
	nest(f, 100000, ']', '[', "");
	refuses(f, "");
	feed(f, "[2]\n");
	takes(f, "[2]");
}

/* 16 MB in pieces: exact, in time that grows with the bytes, and the memory given back. */
static void test_a_large_string(void **state)
{
	enum { SIZE = 16 << 20, PIECE = 64 << 10 };
	struct fixture *f = *state;
	char *piece = xcalloc(1, PIECE);
	json_t *value = NULL;
	const char *text;

	jsonl_reader_init(&f->reader, JSONL_PERSON_MAX);
	memset(piece, 'x', PIECE);
	feed(f, "{\"prompt\":\"");
	for (int i = 0; i < SIZE; i += PIECE) {
		buf_add(&f->reader.in, piece, PIECE);
		assert_int_equal(jsonl_next(&f->reader, &value, NULL), 0);
		assert_int_equal(f->reader.scanned, f->reader.in.len); /* never looked at twice */
	}
	feed(f, "\"}\n[1]\n[");
	assert_int_equal(jsonl_next(&f->reader, &value, NULL), 1);
	text = json_text(value, "prompt");
	assert_int_equal(strlen(text), SIZE);
	assert_int_equal(strspn(text, "x"), SIZE);
	json_decref(value);
	assert_true(f->reader.in.cap < (64u << 10));
	takes(f, "[1]"); /* what came behind it is still there */
	feed(f, "2]\n");
	takes(f, "[2]");
	free(piece);
}

static void test_writing(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_json_ json_t *value = json_pack("{s:s, s:[i, n, b], s:s}", "z", "a\nb\"\\\x01",
	                                         "a", 1, 1, "m", "\xf0\x9f\x8c\xb3");

	(void)state;
	jsonl_add(&out, value);
	jsonl_add(&out, json_null());
	/* compact, in order of insertion, no newline but the one at the end */
	assert_string_equal(out.data, "{\"z\":\"a\\nb\\\"\\\\\\u0001\",\"a\":[1,null,true],"
	                              "\"m\":\"\xf0\x9f\x8c\xb3\"}\nnull\n");
}

static void test_fields_of_the_wrong_type(void **state)
{
	_cleanup_json_ json_t *value = json_pack("{s:i, s:s, s:[s, i, s], s:{}, s:b, s:n}", "n", 1,
	                                         "t", "text", "l", "a", 2, "b", "o", "f", 1, "z");
	_cleanup_json_ json_t *text = json_text_or_null("x"), *none = json_text_or_null(NULL),
	                      *bad = json_text_or_null("\xff"), *seven = json_int_or_null(7, 0),
	                      *zero = json_int_or_null(0, 0);
	char **words = json_strv(json_object_get(value, "l"));

	(void)state;
	assert_null(json_text(value, "n"));
	assert_null(json_text(value, "z"));
	assert_null(json_text(value, "none"));
	assert_null(json_text(NULL, "t"));
	assert_null(json_text(json_object_get(value, "l"), "t"));
	assert_string_equal(json_text(value, "t"), "text");
	assert_null(json_sub(value, "t"));
	assert_null(json_sub(value, "z"));
	assert_non_null(json_sub(value, "l"));
	assert_non_null(json_sub(value, "o"));
	assert_true(json_flag(value, "f"));
	assert_false(json_flag(value, "n")); /* 1 is not true */
	assert_false(json_flag(value, "none"));
	assert_true(json_is_string(text) && json_is_null(none) && json_is_null(bad));
	assert_true(json_is_integer(seven) && json_is_null(zero));
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "b"); /* what is not text is left out */
	assert_null(words[2]);
	strv_free(words);
	words = json_strv(NULL);
	assert_null(words[0]);
	strv_free(words);
}

/* Random bytes made of JSON's own characters: never a crash, and what is taken is written
 * and read again as the same. */
static void test_any_bytes(void **state)
{
	static const char letters[] = "{}[]\",:\\0123456789.eE-+truefalsn \t\xc3\xa9\xff u";
	struct fixture *f = *state;
	unsigned seed = 11;

	for (int round = 0; round < 50000; round++) {
		json_t *value = NULL;

		for (unsigned i = seed / 65536 % 12; i < 12; i++) {
			seed = seed * 1103515245u + 12345u;
			buf_add(&f->reader.in, &letters[seed / 65536 % (sizeof letters - 1)], 1);
		}
		feed(f, "\n");
		if (jsonl_next(&f->reader, &value, NULL) == 1) {
			_cleanup_free_ char *text = jsonl_text(value);
			_cleanup_json_ json_t *again = jsonl_parse(text, strlen(text), NULL);

			assert_true(json_equal(value, again));
			json_decref(value);
		}
		needs_more(f);
	}
}

/* What jansson writes, byte for byte: digests of it are kept. */
static void assert_same_text(const json_t *value)
{
	_cleanup_free_ char *wanted = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY),
	                    *sorted = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_free_ char *text = jsonl_text(value);
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_string_equal(text, wanted);
	if (!json_is_object(value))
		return;
	jsonl_write_sorted(&out, value, NULL);
	assert_string_equal(out.data, sorted);
}

static void test_the_text_is_that_of_jansson(void **state)
{
	static const char *const texts[] = {
	    "{}",
	    "[]",
	    "[[],[{}],null,true,false]",
	    "[0,-1,9223372036854775807,-9223372036854775808,10,-10]",
	    "[0.1,1e300,-2.5,1.0,5e-324]",
	    "[\"\",\"\\u0000\",\"a\\u0001\\u001f\\u007f\",\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
	    "[\"\\u00e4\\u20ac\\ud83d\\ude00\\u2028\"]",
	    "{\"b\":1,\"a\":{\"z\":[{\"y\":2,\"x\":1}],\"aa\":0,\"a\":0},\"\":3}",
	    "{\"\\n\\\"\":4,\"\\u00e4\":5}",
	};
	_cleanup_json_ json_t *wide = json_object();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		_cleanup_json_ json_t *value = json_loads(texts[i], JSON_ALLOW_NUL, NULL);

		assert_non_null(value);
		assert_same_text(value);
	}
	for (int i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof key, "k%d", i * 37 % 100);
		json_object_set_new(wide, key, json_integer(i));
	}
	assert_same_text(wide);
}

static void test_keys_left_out(void **state)
{
	static const char *const without[] = {"line", "place", NULL};
	_cleanup_json_ json_t *value =
	    json_pack("{s:i, s:{s:i}, s:i, s:i}", "place", 1, "b", "line", 2, "a", 3, "line", 4);
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	jsonl_write_sorted(&out, value, without);
	assert_string_equal(out.data, "{\"a\":3,\"b\":{\"line\":2}}");
}

static void test_what_says_nothing_is_left_out(void **state)
{
	_cleanup_json_ json_t *value =
	    json_loads("{\"a\":null,\"b\":false,\"c\":[],\"d\":{},\"e\":\"\",\"f\":0,\"g\":true,"
	               "\"h\":[null,{\"i\":null,\"j\":1}],\"k\":{\"l\":false}}",
	               0, NULL);
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	jsonl_write_sparse(&out, value);
	assert_string_equal(out.data,
	                    "{\"e\":\"\",\"f\":0,\"g\":true,\"h\":[null,{\"j\":1}],\"k\":{}}");
}

static void test_written_member_by_member(void **state)
{
	_cleanup_json_ json_t *value = json_pack("{s:[i, n]}", "x", 1), *read = NULL;
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	buf_add_str(&out, "a line before\n");
	jsonl_open(&out, NULL, '{');
	jsonl_put_int(&out, "i", INT64_MIN);
	jsonl_put_text(&out, "plain", "text, [with{ all:");
	jsonl_put_text(&out, "quoted", "\"\\\n\x01");
	jsonl_put_text(&out, "wide", "\xc3\xa4\n");
	jsonl_put_text(&out, "no text", "\xff");
	jsonl_put_text(&out, "none", NULL);
	jsonl_put_text(&out, "empty", "");
	jsonl_put(&out, "value", value);
	jsonl_put(&out, "no value", NULL);
	jsonl_open(&out, "list", '[');
	jsonl_put_int(&out, NULL, 1);
	jsonl_put_text(&out, NULL, "{");
	jsonl_open(&out, NULL, '[');
	jsonl_close(&out, ']');
	jsonl_open(&out, NULL, '{');
	jsonl_close(&out, '}');
	jsonl_close(&out, ']');
	jsonl_put_int(&out, "last", 0);
	jsonl_close(&out, '}');
	assert_string_equal(out.data,
	                    "a line before\n{\"i\":-9223372036854775808,"
	                    "\"plain\":\"text, [with{ all:\",\"quoted\":\"\\\"\\\\\\n\\u0001\","
	                    "\"wide\":\"\xc3\xa4\\n\",\"no text\":null,\"none\":null,"
	                    "\"empty\":\"\",\"value\":{\"x\":[1,null]},\"no value\":null,"
	                    "\"list\":[1,\"{\",[],{}],\"last\":0}");
	read = json_loads(strchr(out.data, '{'), 0, NULL);
	assert_non_null(read);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reader_setup, reader_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_line_in_pieces),
	    TEST(test_many_lines_at_once),
	    TEST(test_a_broken_line_is_one_line),
	    TEST(test_bytes_that_are_not_text),
	    TEST(test_nul),
	    TEST(test_numbers),
	    TEST(test_a_line_that_is_too_long),
	    TEST(test_depth),
	    TEST(test_a_large_string),
	    cmocka_unit_test(test_writing),
	    cmocka_unit_test(test_what_says_nothing_is_left_out),
	    cmocka_unit_test(test_the_text_is_that_of_jansson),
	    cmocka_unit_test(test_keys_left_out),
	    cmocka_unit_test(test_written_member_by_member),
	    cmocka_unit_test(test_fields_of_the_wrong_type),
	    TEST(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
