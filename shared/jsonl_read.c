/* JSON text as jansson's values: what jansson's own parser makes of it, at a fraction of its cost
 * (it hands each byte through three calls). Reads the plain: a number with a point, an escape that
 * names a character, a string beyond ASCII are jansson's business, and the whole text is where
 * anything is odd. So what is refused, and with which words, is never decided here.
 *
 * Must not take a text that jansson refuses, nor make another value of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"

#define DIGITS_MAX 18 /* whatever they are, it is no more than an int64_t holds */

struct text {
	const char *at, *end;
	struct buf scratch; /* of a string with escapes */
};

static json_t *read_value(struct text *text, int depth);

static void skip_space(struct text *text)
{
	while (text->at < text->end &&
	       (*text->at == ' ' || *text->at == '\t' || *text->at == '\n' || *text->at == '\r'))
		text->at++;
}

/* Whether that comes next, whatever space is before it; it is taken then. */
static bool take(struct text *text, char wanted)
{
	skip_space(text);
	if (text->at == text->end || *text->at != wanted)
		return false;
	text->at++;
	return true;
}

/* What a string is made of. */
struct content {
	const char *from;
	size_t len;
	bool escapes, wide;
};

/* After its first quote, to behind its last. */
static bool scan_string(struct text *text, struct content *out)
{
	const char *at = text->at;
	unsigned char all = 0;

	*out = (struct content){.from = at};
	for (; at < text->end && *at != '"'; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20)
			return false;
		all |= c;
		if (c == '\\') {
			out->escapes = true;
			if (++at == text->end)
				return false;
		}
	}
	if (at == text->end)
		return false;
	out->len = (size_t)(at - out->from);
	out->wide = all & 0x80;
	text->at = at + 1;
	return true;
}

/* 0: not one that stands for one byte. */
static char escaped(char c)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	const char *name = c ? strchr(names, c) : NULL;

	return name ? bytes[name - names] : '\0';
}

/* Into the scratch; false: there is an escape of another kind. */
static bool unescape(struct text *text, const struct content *content)
{
	const char *at = content->from, *end = at + content->len;
	struct buf *out = &text->scratch;
	char *to;

	out->len = 0;
	buf_reserve(out, content->len);
	for (to = out->data; at < end; at++) {
		if (*at != '\\')
			*to++ = *at;
		else if (!(*to++ = escaped(*++at)))
			return false;
	}
	out->len = (size_t)(to - out->data);
	return true;
}

static json_t *by_jansson(const char *from, const char *end)
{
	return json_loadb(from, (size_t)(end - from), JSON_DECODE_ANY, NULL);
}

static json_t *read_string(struct text *text)
{
	struct content content;

	if (!scan_string(text, &content))
		return NULL;
	if (content.escapes && !unescape(text, &content))
		return by_jansson(content.from - 1, text->at);
	if (content.escapes) {
		content.from = text->scratch.data;
		content.len = text->scratch.len;
	}
	return content.wide ? json_stringn(content.from, content.len)
	                    : json_stringn_nocheck(content.from, content.len);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_of_number(char c)
{
	return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

static json_t *read_number(struct text *text)
{
	const char *from = text->at, *digits = from + (*from == '-'), *at = digits;
	json_int_t number = 0;

	for (; at < text->end && is_digit(*at) && at - digits < DIGITS_MAX; at++)
		number = number * 10 + (*at - '0');
	if (at < text->end && is_of_number(*at)) {
		while (at < text->end && is_of_number(*at))
			at++;
		text->at = at;
		return by_jansson(from, at);
	}
	if (at == digits || (*digits == '0' && at > digits + 1))
		return NULL;
	text->at = at;
	return json_integer(*from == '-' ? -number : number);
}

static json_t *read_word(struct text *text, const char *word, json_t *value)
{
	size_t len = strlen(word);

	if ((size_t)(text->end - text->at) < len || memcmp(text->at, word, len) != 0)
		return NULL;
	text->at += len;
	return value;
}

static json_t *read_array(struct text *text, int depth)
{
	_cleanup_json_ json_t *array = json_array();

	text->at++;
	if (take(text, ']'))
		return json_incref(array);
	do {
		json_t *item = read_value(text, depth);

		if (!item)
			return NULL;
		json_array_append_new(array, item);
	} while (take(text, ','));
	return take(text, ']') ? json_incref(array) : NULL;
}

/* False: something is odd, a key that is there already among it. */
static bool read_member(struct text *text, json_t *object, int depth)
{
	size_t before = json_object_size(object);
	struct content key;
	json_t *value;

	if (!take(text, '"') || !scan_string(text, &key) || key.escapes || key.wide ||
	    !take(text, ':'))
		return false;
	value = read_value(text, depth);
	return value && json_object_setn_new_nocheck(object, key.from, key.len, value) == 0 &&
	       json_object_size(object) > before;
}

static json_t *read_object(struct text *text, int depth)
{
	_cleanup_json_ json_t *object = json_object();

	text->at++;
	if (take(text, '}'))
		return json_incref(object);
	do {
		if (!read_member(text, object, depth))
			return NULL;
	} while (take(text, ','));
	return take(text, '}') ? json_incref(object) : NULL;
}

static json_t *read_value(struct text *text, int depth)
{
	skip_space(text);
	if (text->at == text->end)
		return NULL;
	switch (*text->at) {
	case '{':
		return depth ? read_object(text, depth - 1) : NULL;
	case '[':
		return depth ? read_array(text, depth - 1) : NULL;
	case '"':
		text->at++;
		return read_string(text);
	case 't':
		return read_word(text, "true", json_true());
	case 'f':
		return read_word(text, "false", json_false());
	case 'n':
		return read_word(text, "null", json_null());
	default:
		return is_digit(*text->at) || *text->at == '-' ? read_number(text) : NULL;
	}
}

json_t *jsonl_read(const char *from, size_t len)
{
	struct text text = {.at = from, .end = from + len, .scratch = BUF_INIT};
	_cleanup_json_ json_t *value = read_value(&text, JSONL_DEPTH_MAX);

	buf_finish(&text.scratch);
	skip_space(&text);
	if (text.at < text.end || (!json_is_object(value) && !json_is_array(value)))
		return NULL;
	return json_incref(value);
}
