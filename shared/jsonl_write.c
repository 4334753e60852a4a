/* Values as compact JSON text: byte for byte what jansson's own encoder writes, at a fraction of
 * its cost (it prints the address of each container into a table to find circles, and hands on each
 * piece by itself). Owns no value; must not be given a value that holds itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"

enum form {
	FORM_PLAIN,
	FORM_SORTED,
	FORM_SPARSE, /* without members that say nothing */
	FORM_SHOWN   /* for people and scripts, not for digests: numbers without their noise */
};

static void write_value(struct buf *out, const json_t *value, enum form form);

/* Numbers with a point, and strings that must be escaped: rare, and jansson's business. */
static void write_by_jansson(struct buf *out, const json_t *value)
{
	size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_reserve(out, size);
	json_dumpb(value, out->data + out->len, size, JSON_COMPACT | JSON_ENCODE_ANY);
	out->len += size;
	out->data[out->len] = '\0';
}

static bool is_plain(const char *text, size_t len)
{
	unsigned char odd = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		odd |= (unsigned char)((c < 0x20) | (c == '"') | (c == '\\'));
	}
	return !odd;
}

/* True when it needs no escapes. */
static bool write_text(struct buf *out, const char *text, size_t len)
{
	char *to;

	if (!is_plain(text, len))
		return false;
	buf_reserve(out, len + 2);
	to = out->data + out->len;
	to[0] = '"';
	memcpy(to + 1, text, len);
	to[len + 1] = '"';
	to[len + 2] = '\0';
	out->len += len + 2;
	return true;
}

static void write_key(struct buf *out, const char *key)
{
	json_t *escaped;

	if (write_text(out, key, strlen(key)))
		return;
	escaped = json_string_nocheck(key);
	write_by_jansson(out, escaped);
	json_decref(escaped);
}

static void write_integer(struct buf *out, json_int_t number)
{
	unsigned long long left =
	    number < 0 ? -(unsigned long long)number : (unsigned long long)number;
	char text[24], *at = text + sizeof text;

	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	if (number < 0)
		*--at = '-';
	buf_add(out, at, (size_t)(text + sizeof text - at));
}

/* 0.083 where all 17 digits would be 0.083000000000000004; false: it would not be the same. */
static bool write_short(struct buf *out, double number)
{
	char text[32];

	snprintf(text, sizeof text, "%.15g", number);
	if (strtod(text, NULL) != number || strpbrk(text, "en"))
		return false;
	buf_add_str(out, text);
	if (!strchr(text, '.')) /* it stays one with a point */
		buf_add_str(out, ".0");
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_among(const char *key, const char *const *keys)
{
	for (; keys && *keys; keys++)
		if (strcmp(*keys, key) == 0)
			return true;
	return false;
}

static void write_member(struct buf *out, const char *key, const json_t *value, enum form form,
                         bool first)
{
	if (!first)
		buf_add(out, ",", 1);
	write_key(out, key);
	buf_add(out, ":", 1);
	write_value(out, value, form);
}

static void write_sorted(struct buf *out, const json_t *object, const char *const *without)
{
	const char *few[32], **keys = few, *key;
	size_t n = 0;
	json_t *item;

	if (json_object_size(object) > ARRAY_LEN(few))
		keys = xcalloc(json_object_size(object), sizeof *keys);
	json_object_foreach ((json_t *)object, key, item)
		if (!is_among(key, without))
			keys[n++] = key;
	qsort(keys, n, sizeof *keys, compare_keys);
	buf_add(out, "{", 1);
	for (size_t i = 0; i < n; i++)
		write_member(out, keys[i], json_object_get(object, keys[i]), FORM_SORTED, i == 0);
	buf_add(out, "}", 1);
	if (keys != few)
		free(keys);
}

/* What a reader takes for absent as well. */
static bool says_nothing(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_NULL:
	case JSON_FALSE:
		return true;
	case JSON_ARRAY:
		return !json_array_size(value);
	case JSON_OBJECT:
		return !json_object_size(value);
	default:
		return false;
	}
}

static void write_object(struct buf *out, const json_t *object, enum form form)
{
	bool first = true;
	const char *key;
	json_t *item;

	buf_add(out, "{", 1);
	json_object_foreach ((json_t *)object, key, item) {
		if (form == FORM_SPARSE && says_nothing(item))
			continue;
		write_member(out, key, item, form, first);
		first = false;
	}
	buf_add(out, "}", 1);
}

static void write_array(struct buf *out, const json_t *array, enum form form)
{
	buf_add(out, "[", 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			buf_add(out, ",", 1);
		write_value(out, json_array_get(array, i), form);
	}
	buf_add(out, "]", 1);
}

static void write_value(struct buf *out, const json_t *value, enum form form)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		if (form == FORM_SORTED)
			write_sorted(out, value, NULL);
		else
			write_object(out, value, form);
		break;
	case JSON_ARRAY:
		write_array(out, value, form);
		break;
	case JSON_STRING:
		if (!write_text(out, json_string_value(value), json_string_length(value)))
			write_by_jansson(out, value);
		break;
	case JSON_INTEGER:
		write_integer(out, json_integer_value(value));
		break;
	case JSON_REAL:
		if (form != FORM_SHOWN || !write_short(out, json_real_value(value)))
			write_by_jansson(out, value);
		break;
	case JSON_TRUE:
		buf_add(out, "true", 4);
		break;
	case JSON_FALSE:
		buf_add(out, "false", 5);
		break;
	case JSON_NULL:
		buf_add(out, "null", 4);
		break;
	}
}

void jsonl_write(struct buf *out, const json_t *value)
{
	if (value)
		write_value(out, value, FORM_PLAIN);
}

void jsonl_write_sparse(struct buf *out, const json_t *value)
{
	write_value(out, value, FORM_SPARSE);
}

void jsonl_add_shown(struct buf *out, const json_t *value)
{
	write_value(out, value, FORM_SHOWN);
	buf_add(out, "\n", 1);
}

void jsonl_write_sorted(struct buf *out, const json_t *object, const char *const *without)
{
	if (json_is_object(object))
		write_sorted(out, object, without);
}

/* Behind what begins a line, an object, an array or a member there is no comma. */
static bool needs_comma(const struct buf *out)
{
	return out->len && !strchr("\n{[:", out->data[out->len - 1]);
}

static void put_key(struct buf *out, const char *key)
{
	if (needs_comma(out))
		buf_add(out, ",", 1);
	if (!key)
		return;
	buf_add(out, "\"", 1);
	buf_add_str(out, key);
	buf_add(out, "\":", 2);
}

void jsonl_open(struct buf *out, const char *key, char bracket)
{
	put_key(out, key);
	buf_add(out, &bracket, 1);
}

void jsonl_close(struct buf *out, char bracket)
{
	buf_add(out, &bracket, 1);
}

void jsonl_put(struct buf *out, const char *key, const json_t *value)
{
	put_key(out, key);
	if (value)
		write_value(out, value, FORM_PLAIN);
	else
		buf_add(out, "null", 4);
}

void jsonl_put_encoded(struct buf *out, const char *key, const char *text, size_t len)
{
	put_key(out, key);
	buf_add(out, text, len);
}

void jsonl_put_sparse(struct buf *out, const char *key, const json_t *value)
{
	if (!value || says_nothing(value))
		return;
	put_key(out, key);
	write_value(out, value, FORM_SPARSE);
}

void jsonl_put_int(struct buf *out, const char *key, int64_t number)
{
	put_key(out, key);
	write_integer(out, number);
}

void jsonl_put_id(struct buf *out, const char *key, int64_t id)
{
	if (id)
		jsonl_put_int(out, key, id);
	else
		jsonl_put(out, key, NULL);
}

static bool is_ascii(const char *text, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)text[i];
	return all < 0x80;
}

void jsonl_put_text(struct buf *out, const char *key, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	_cleanup_json_ json_t *odd = NULL;

	put_key(out, key);
	if (text && is_ascii(text, len) && write_text(out, text, len))
		return;
	odd = json_text_or_null(text);
	write_value(out, odd, FORM_PLAIN);
}
