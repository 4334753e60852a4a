/* JSON lines: splitting, parsing with limits, and reading fields without fuss. */
#include "jsonl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mem.h"
#include "text.h"

/* jansson takes a want of memory for bad input, or leaves a member out. */
static void *json_allocate(size_t size)
{
	return xrealloc(NULL, size);
}

__attribute__((constructor)) static void jsonl_init(void)
{
	size_t seed = 0;

	json_set_alloc_funcs(json_allocate, free);
	/* By itself jansson opens a device for it. */
	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
		json_object_seed(seed);
}

void jsonl_reader_init(struct jsonl_reader *reader, size_t max_line)
{
	*reader = (struct jsonl_reader){.in = BUF_INIT, .max_line = max_line};
}

void jsonl_reader_finish(struct jsonl_reader *reader)
{
	buf_finish(&reader->in);
	reader->scanned = 0;
}

/* jansson limits nesting at 2,048, which is deep enough to be a nuisance: count the
 * brackets outside strings first. */
static bool jsonl_depth_ok(const char *text, size_t len)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSONL_DEPTH_MAX)
				return false;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return true;
}

json_t *jsonl_parse(const char *text, size_t len, struct error *err)
{
	json_error_t why;
	json_t *value = jsonl_read(text, len);

	if (value)
		return value;
	if (!jsonl_depth_ok(text, len)) {
		error_set(err, ERROR_INVALID, "JSON nested deeper than %d", JSONL_DEPTH_MAX);
		return NULL;
	}
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!value)
		error_set(err, ERROR_INVALID, "not JSON: %s (at byte %d)", why.text, why.position);
	return value;
}

int jsonl_next(struct jsonl_reader *reader, json_t **out, struct error *err)
{
	struct buf *in = &reader->in;
	char *newline = NULL;
	json_t *value;
	size_t len;

	if (in->len > reader->scanned)
		newline = memchr(in->data + reader->scanned, '\n', in->len - reader->scanned);
	if (!newline) {
		reader->scanned = in->len;
		if (in->len > reader->max_line)
			return error_set(err, ERROR_INVALID, "line longer than %zu bytes",
			                 reader->max_line);
		return 0;
	}
	len = (size_t)(newline - in->data);
	if (len > reader->max_line)
		return error_set(err, ERROR_INVALID, "line longer than %zu bytes",
		                 reader->max_line);
	value = jsonl_parse(in->data, len, err);
	buf_drop_front(in, len + 1);
	reader->scanned = 0;
	/* A large line is rare: do not hold its memory for the rest of the connection. */
	if (in->cap > (1u << 20) && in->len < (64u << 10)) {
		in->cap = in->len + 1;
		in->data = xrealloc(in->data, in->cap);
	}
	if (!value)
		return -1;
	*out = value;
	return 1;
}

void jsonl_add(struct buf *out, const json_t *value)
{
	jsonl_write(out, value);
	buf_add(out, "\n", 1);
}

static int dump_ascii(const char *text, size_t len, void *out)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == 0x7f)
			buf_add_str(out, "\\u007f");
		else
			buf_add(out, &text[i], 1);
	}
	return 0;
}

void jsonl_add_ascii(struct buf *out, const json_t *value)
{
	json_dump_callback(value, dump_ascii, out,
	                   JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII |
	                       JSON_REAL_PRECISION(15));
	buf_add(out, "\n", 1);
}

char *jsonl_text(const json_t *value)
{
	struct buf out = BUF_INIT;

	jsonl_write(&out, value);
	return buf_take(&out);
}

const char *json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t json_int(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

double json_num(const json_t *object, const char *key, double otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool json_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

json_t *json_sub(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_object(value) || json_is_array(value) ? value : NULL;
}

json_t *json_text_or_null(const char *text)
{
	json_t *value = text ? json_string(text) : NULL;

	return value ? value : json_null();
}

json_t *json_int_or_null(int64_t value, int64_t null_value)
{
	return value == null_value ? json_null() : json_integer(value);
}

char **json_strv(const json_t *array)
{
	char **strv = xcalloc(json_array_size(array) + 1, sizeof *strv);
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text)
			strv[n++] = xstrdup(text);
	}
	return strv;
}

void cleanup_json(json_t **value)
{
	json_decref(*value);
}
