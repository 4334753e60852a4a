/* The keys of screens: their words, and their bytes as terminals send them. Says nothing of what
 * they do. */
#include "keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define FUNCTION_KEYS 12

static const struct {
	const char *word, *key;
} actions[] = {
#define X(name, word, key) {word, key},
    KEY_ACTIONS(X)
#undef X
};

static bool is_small(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* F1…F12 as a number; 0: it is none. */
static int function_key(const char *key)
{
	if (key[0] != 'F' || key[1] < '1' || key[1] > '9')
		return 0;
	if (!key[2])
		return key[1] - '0';
	if (key[1] == '1' && key[2] >= '0' && key[2] <= '2' && !key[3])
		return 10 + key[2] - '0';
	return 0;
}

const char *key_action_word(enum key_action action)
{
	return actions[action].word;
}

bool key_is_valid(enum key_action action, const char *key)
{
	if (strcmp(key, "none") == 0)
		return true;
	if (action == KEY_TEAMMATE)
		return strcmp(key, actions[KEY_TEAMMATE].key) == 0;
	if (function_key(key))
		return true;
	if (strlen(key) != 3 || key[1] != '-')
		return false;
	if (key[0] == 'C') /* these are Tab, Enter and Return */
		return is_small(key[2]) && !strchr("ijm", key[2]);
	return key[0] == 'M' &&
	       (is_small(key[2]) || is_digit(key[2]) || (key[2] >= 'A' && key[2] <= 'Z'));
}

const char *key_of(const json_t *table, enum key_action action)
{
	const json_t *said = json_object_get(table, actions[action].word);
	const char *key = json_string_value(said);

	if (!said)
		return actions[action].key;
	return key && key_is_valid(action, key) ? key : "none";
}

static size_t match_text(const char *text, const char *bytes, size_t len)
{
	size_t n = strlen(text);

	return n <= len && memcmp(text, bytes, n) == 0 ? n : 0;
}

size_t key_match(const char *key, const char *bytes, size_t len)
{
	static const char *const function_keys[FUNCTION_KEYS] = {
	    "\033OP",   "\033OQ",   "\033OR",   "\033OS",   "\033[15~", "\033[17~",
	    "\033[18~", "\033[19~", "\033[20~", "\033[21~", "\033[23~", "\033[24~",
	};
	char ways[3][16];
	size_t n = 0;
	int number = function_key(key);

	if (number)
		return match_text(function_keys[number - 1], bytes, len);
	if (strlen(key) != 3 || key[1] != '-')
		return 0;
	/* The old way, and the two that newer terminals have where they were asked for. */
	if (key[0] == 'C')
		snprintf(ways[0], sizeof ways[0], "%c", key[2] & 0x1f);
	else
		snprintf(ways[0], sizeof ways[0], "\033%c", key[2]);
	snprintf(ways[1], sizeof ways[1], "\033[%d;%du", key[2], key[0] == 'C' ? 5 : 3);
	snprintf(ways[2], sizeof ways[2], "\033[27;%d;%d~", key[0] == 'C' ? 5 : 3, key[2]);
	for (size_t i = 0; i < ARRAY_LEN(ways) && !n; i++)
		n = match_text(ways[i], bytes, len);
	return n;
}
