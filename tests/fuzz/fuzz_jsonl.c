/* The reader of JSON lines: the same lines and the same refusals however the bytes are cut,
 * what is taken is written and read again as the same, and read fast it is what jansson reads. */
#include <string.h>

#include "fuzz.h"
#include "jsonl.h"
#include "mem.h"

#define LINE_MAX_FUZZ 2048

static unsigned depth_of(const json_t *value)
{
	unsigned deepest = 0;
	const char *key;
	json_t *item;
	size_t i;

	json_array_foreach (value, i, item) {
		unsigned depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	json_object_foreach ((json_t *)value, key, item) {
		unsigned depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + (json_is_array(value) || json_is_object(value));
}

/* Takes what there is; appends one text a line to `log`. False when the stream is lost. */
static bool take_all(struct jsonl_reader *reader, struct buf *log)
{
	for (;;) {
		struct error err = ERROR_INIT;
		json_t *value = NULL;
		int rc = jsonl_next(reader, &value, &err);

		if (rc == 0)
			return true;
		if (rc < 0) {
			promise(err.code == ERROR_INVALID && err.text[0]);
			if (strstr(err.text, "longer than"))
				return false;
			buf_add_str(log, "refused\n");
			continue;
		}
		_cleanup_free_ char *text = jsonl_text(value);
		_cleanup_json_ json_t *again = jsonl_parse(text, strlen(text), &err);

		promise(again && json_equal(value, again));
		promise(depth_of(value) <= JSONL_DEPTH_MAX);
		jsonl_add(log, value);
		json_decref(value);
	}
}

static void read_it(const uint8_t *data, size_t size, unsigned seed, struct buf *log)
{
	struct jsonl_reader reader;

	jsonl_reader_init(&reader, LINE_MAX_FUZZ);
	for (size_t at = 0; at < size;) {
		size_t n = seed ? fuzz_piece(&seed, size - at) : size;

		buf_add(&reader.in, data + at, n);
		at += n;
		if (!take_all(&reader, log))
			break;
		promise(reader.in.len <= LINE_MAX_FUZZ + n);
	}
	jsonl_reader_finish(&reader);
}

/* What the fast reader takes is what jansson makes of it. */
static void read_beside_jansson(const char *text, size_t len)
{
	_cleanup_json_ json_t *fast = jsonl_read(text, len), *slow = NULL;
	_cleanup_free_ char *got = NULL, *wanted = NULL;

	if (!fast)
		return;
	slow = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	promise(slow && json_equal(fast, slow));
	got = jsonl_text(fast);
	wanted = jsonl_text(slow);
	promise(strcmp(got, wanted) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, pieces = BUF_INIT;

	read_beside_jansson((const char *)data, size);
	read_it(data, size, 0, &whole);
	read_it(data, size, 1 + (unsigned)size, &pieces);
	promise(whole.len == pieces.len);
	promise(!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0);
	buf_finish(&whole);
	buf_finish(&pieces);
	return 0;
}
