/* The fast reader of JSON beside jansson's: the same values of what it takes, and it takes nothing
 * that jansson refuses. */
#include "jsonl.h"
#include "shared_fixture.h"

#define MUTANTS 200000

static json_t *by_jansson(const char *text, size_t len)
{
	return json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
}

/* Whether it was read fast. */
static bool agree(const char *text, size_t len)
{
	_cleanup_json_ json_t *fast = jsonl_read(text, len), *slow = by_jansson(text, len);
	_cleanup_free_ char *got = NULL, *wanted = NULL;

	if (!fast)
		return false;
	if (!slow)
		fail_msg("taken, and jansson does not: %.*s", (int)len, text);
	got = json_dumps(fast, JSON_COMPACT);
	wanted = json_dumps(slow, JSON_COMPACT);
	assert_string_equal(got, wanted);
	assert_true(json_equal(fast, slow)); /* 1 is not 1.0 */
	return true;
}

static const char *const taken[] = {
    "{}",
    "[]",
    " \t\r\n[ ] \n",
    "{ \"a\" : { } , \"b\" : [ ] }",
    "[[],[{}],null,true,false]",
    "[0,-1,-0,7,123456789012345678,9223372036854775807,-9223372036854775808,10,-10]",
    "[0.1,1e300,-2.5,1.0,5e-324,1E5,1e+5,-0.0,0e0]",
    "[\"\",\"a\\u0001\\u001f\\u007f\",\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\x7f\"]",
    "[\"\\u00e4\\u20ac\\ud83d\\ude00\\u2028\",\"ä€😀\",\"ä\\n\",\"\\n\\u00e4\"]",
    "{\"b\":1,\"a\":{\"z\":[{\"y\":2,\"x\":1}],\"aa\":0,\"a\":0},\"\":3}",
    "{\"prompt\":\"one\\ntwo \\\"three\\\"\\t\",\"n\":[1,2,3]}",
};

/* Some of them jansson takes, in its own time. */
static const char *const left[] = {
    "",
    " ",
    "[",
    "]",
    "{",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1]]",
    "[1] x",
    "1",
    "\"a\"",
    "null",
    "[truex]",
    "[tru]",
    "[nul",
    "[TRUE]",
    "[NaN]",
    "[01]",
    "[-01]",
    "[-]",
    "[+1]",
    "[.5]",
    "[1.]",
    "[1e]",
    "[1.5.2]",
    "[1e999]",
    "[9223372036854775808]",
    "[\"a]",
    "[\"a\\\"]",
    "[\"a\\",
    "[\"\\x\"]",
    "[\"\\u12\"]",
    "[\"\\u0000\"]",
    "[\"\\ud800\"]",
    "[\"\x01\"]",
    "[\"a\nb\"]",
    "[\"\xff\"]",
    "[\"\xc3\"]",
    "[\"\xed\xa0\x80\"]",
    "[\"\xc0\xaf\"]",
    "['a']",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{a:1}",
    "{\"a\":1,}",
    "{\"a\":1 \"b\":2}",
    "{1:2}",
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"b\":{\"c\":1,\"c\":2}}",
    "{\"\\n\":1}",
    "{\"\xc3\xa4\":1}",
    "\xef\xbb\xbf[]",
    "[/**/]",
};

static void test_what_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (!agree(taken[i], strlen(taken[i])))
			fail_msg("left to jansson: %s", taken[i]);
}

static void test_what_is_left_to_jansson(void **state)
{
	static const char with_nul[] = "[\"a\0b\"]", after[] = "[]\0";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		if (agree(left[i], strlen(left[i])))
			fail_msg("taken: %s", left[i]);
	assert_false(agree(with_nul, sizeof with_nul - 1));
	assert_false(agree(after, sizeof after - 1));
}

/* Each text ends where its memory does: what is read beyond it is found by the sanitizers. */
static void test_every_beginning(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		for (size_t len = 0; len < strlen(taken[i]); len++) {
			_cleanup_free_ char *text = xcalloc(1, len ? len : 1);

			memcpy(text, taken[i], len);
			agree(text, len);
		}
	}
}

static void test_depth(void **state)
{
	char text[2 * (JSONL_DEPTH_MAX + 1)];

	(void)state;
	memset(text, '[', JSONL_DEPTH_MAX);
	memset(text + JSONL_DEPTH_MAX, ']', JSONL_DEPTH_MAX);
	assert_true(agree(text, 2 * JSONL_DEPTH_MAX));
	memset(text, '[', JSONL_DEPTH_MAX + 1);
	memset(text + JSONL_DEPTH_MAX + 1, ']', JSONL_DEPTH_MAX + 1);
	assert_false(agree(text, sizeof text));
}

static void test_mutants(void **state)
{
	static const char bytes[] = "{}[]\",:\\ 0123456789-+.eEtrufalsn/bx\n\t\x01\x80\xc3\xa4\xff";
	unsigned seed = 20261123;
	int fast = 0;

	(void)state;
	for (int i = 0; i < MUTANTS; i++) {
		_cleanup_free_ char *text =
		    xstrdup(taken[(unsigned)rand_r(&seed) % ARRAY_LEN(taken)]);
		size_t len = strlen(text);

		for (int n = rand_r(&seed) % 3; n >= 0; n--)
			text[(size_t)rand_r(&seed) % len] =
			    bytes[(size_t)rand_r(&seed) % (sizeof bytes - 1)];
		fast += agree(text, len);
	}
	assert_in_range(fast, MUTANTS / 100, MUTANTS - MUTANTS / 100); /* or it proves little */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_taken),   cmocka_unit_test(test_what_is_left_to_jansson),
	    cmocka_unit_test(test_every_beginning), cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_mutants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
