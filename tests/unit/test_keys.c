/* Keys: which words are keys, and which bytes are them. */
#include "keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "jsonl.h"
#include "mem.h"

static void test_words(void **state)
{
	static const char *const good[] = {"C-a", "C-q", "M-n", "M-Z", "M-0", "F1", "F12", "none"};
	static const char *const bad[] = {"",    "C-",   "C-Q",  "C-i",  "C-m", "C-j",
	                                  "C-1", "M-;",  "M-é",  "F0",   "F13", "F1x",
	                                  "q",   "C-ab", "None", "M-\"", "M- ", "F120"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!key_is_valid(KEY_NEXT, good[i]))
			fail_msg("%s is a key", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (key_is_valid(KEY_NEXT, bad[i]))
			fail_msg("“%s” is no key", bad[i]);
	assert_true(key_is_valid(KEY_TEAMMATE, "M-1"));
	assert_true(key_is_valid(KEY_TEAMMATE, "none"));
	assert_false(key_is_valid(KEY_TEAMMATE, "M-2"));
}

static void test_table(void **state)
{
	_cleanup_json_ json_t *table =
	    json_pack("{s:s, s:s, s:i}", "detach", "F12", "next", "rm -rf", "zoom", 3);

	(void)state;
	assert_string_equal(key_of(NULL, KEY_DETACH), "C-q");
	assert_string_equal(key_of(table, KEY_DETACH), "F12");
	assert_string_equal(key_of(table, KEY_NEXT), "none"); /* whatever a store may hold */
	assert_string_equal(key_of(table, KEY_ZOOM), "none");
	assert_string_equal(key_of(table, KEY_TEAMMATE), "M-1");
}

static void matches(const char *key, const char *bytes, size_t n)
{
	assert_int_equal(key_match(key, bytes, strlen(bytes)), n);
}

static void test_bytes(void **state)
{
	(void)state;
	matches("C-q", "\021more", 1);
	matches("C-q", "\033[113;5u", 8);
	matches("C-q", "\033[27;5;113~", 11);
	matches("C-q", "q", 0);
	matches("M-n", "\033n", 2);
	matches("M-n", "\033[110;3u", 8);
	matches("M-n", "\033N", 0);
	matches("M-n", "\033", 0);
	matches("F1", "\033OP", 3);
	matches("F12", "\033[24~", 5);
	matches("F12", "\033[2", 0);
	matches("none", "none", 0);
	assert_int_equal(key_match("C-q", "\033[113;5u", 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
