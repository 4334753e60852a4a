/* JSON lines: one object a line, both ways, with limits. The framing of the
 * control plane, and of MCP and ACP too. */
#ifndef PLEACH_JSONL_H
#define PLEACH_JSONL_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"
#include "error.h"

#define JSONL_PERSON_MAX (64u << 20) /* bytes a line from a person's command or the coordinator */
#define JSONL_WORKER_MAX (8u << 20)  /* bytes a line from a worker */
#define JSONL_DEPTH_MAX  64          /* nesting of arrays and objects */

struct jsonl_reader {
	struct buf in;
	size_t scanned; /* bytes of `in` known to hold no newline */
	size_t max_line;
};

void jsonl_reader_init(struct jsonl_reader *reader, size_t max_line);
void jsonl_reader_finish(struct jsonl_reader *reader);
/* Takes the next whole line out of what was read. 1: `*out` is a new reference;
 * 0: more bytes are needed; -1: broken (err INVALID): the stream cannot go on after
 * a line that is too long; after other errors the bad line is gone and reading may. */
int jsonl_next(struct jsonl_reader *reader, json_t **out, struct error *err);

/* Parses one JSON text with the same depth limit. New reference, or NULL. */
json_t *jsonl_parse(const char *text, size_t len, struct error *err);
/* The same of a plain text, fast (jsonl_read.c); NULL: jansson has to look at it. */
json_t *jsonl_read(const char *from, size_t len);
/* Appends compact JSON (jsonl_write.c): keys in order of insertion. */
void jsonl_write(struct buf *out, const json_t *value);
/* The same without members of objects that are null, false or empty, at any depth. */
void jsonl_write_sparse(struct buf *out, const json_t *value);
/* Appends compact JSON and a newline. */
void jsonl_add(struct buf *out, const json_t *value);
/* The same value, for output: numbers in as few digits as they have. */
void jsonl_add_shown(struct buf *out, const json_t *value);
/* The same value, for a terminal: printable ASCII, everything else escaped. */
void jsonl_add_ascii(struct buf *out, const json_t *value);
/* Compact text, keys in order of insertion; caller frees. */
char *jsonl_text(const json_t *value);
/* Appends an object, keys in alphabetical order at every depth, without these of its own (NULL at
 * the end). */
void jsonl_write_sorted(struct buf *out, const json_t *object, const char *const *without);

/* JSON written as it is made, where a tree would only be made to be written: appended with the
 * comma that it needs. A key is plain ASCII; NULL: an item of an array, or the whole. */
void jsonl_open(struct buf *out, const char *key, char bracket);
void jsonl_close(struct buf *out, char bracket);
void jsonl_put(struct buf *out, const char *key, const json_t *value); /* NULL: null */
/* Nothing where it is null, false or empty, and without such members. */
void jsonl_put_sparse(struct buf *out, const char *key, const json_t *value);
/* What is encoded already. */
void jsonl_put_encoded(struct buf *out, const char *key, const char *text, size_t len);
void jsonl_put_int(struct buf *out, const char *key, int64_t number);
void jsonl_put_id(struct buf *out, const char *key, int64_t id); /* 0: null */
/* null for NULL and for what is not UTF-8. */
void jsonl_put_text(struct buf *out, const char *key, const char *text);

/* Reading fields: NULL or the default when absent, null or of another type. Borrowed. */
const char *json_text(const json_t *object, const char *key);
int64_t json_int(const json_t *object, const char *key, int64_t otherwise);
double json_num(const json_t *object, const char *key, double otherwise);
bool json_flag(const json_t *object, const char *key);
/* The object or array under the key, or NULL. Borrowed. */
json_t *json_sub(const json_t *object, const char *key);
/* A JSON string, or null for NULL or text that is not UTF-8. New reference. */
json_t *json_text_or_null(const char *text);
json_t *json_int_or_null(int64_t value, int64_t null_value);
/* Array of strings → NULL-terminated vector; caller frees with strv_free. Skips what is not text.
 */
char **json_strv(const json_t *array);

void cleanup_json(json_t **value);
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

#endif
