/* Reads YAML events into an arena of nodes. One pass, no recursion; what an
 * alias stands for is shared, never copied, and a node knows how large and how deep it is
 * with all its aliases, which is where the limits hold. */
#include "yaml.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"
#include "yaml_event.h"
#include "yaml_kept.h"

#define ARENA_CHUNK      (64u << 10)
#define ARENA_FIRST      (4u << 10) /* most files need no more, and each page costs a fault */
#define YAML_ANCHORS_MAX 1000
#define YAML_SHOWN       60 /* columns of a foreign word in a message */

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	char data[];
};

struct yaml_doc {
	struct chunk *chunks;
	struct yaml_node *root;
};

struct anchor {
	const char *name;
	struct yaml_node *node;
};

struct frame {
	struct yaml_node *node;
	const char *anchor; /* NULL: none; known to aliases only when the node is complete */
	size_t first;       /* where its items start on the stack */
};

struct reader {
	const char *name;
	const struct yaml_limits *limits;
	struct yaml_doc *doc;
	struct frame *frames;
	size_t depth;
	struct yaml_node **stack;
	size_t used, cap;
	struct anchor *anchors;
	size_t anchor_count;
	int line, column; /* of the node before */
	bool done;        /* one document was read */
	struct yaml_kept *kept;
	struct error *err;
};

void *yaml_alloc(struct yaml_doc *doc, size_t size)
{
	size = (size + 7) & ~(size_t)7;
	struct chunk *chunk = doc->chunks;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = doc->chunks ? ARENA_CHUNK : ARENA_FIRST;
		room = size > room ? size : room;
		chunk = xcalloc(1, sizeof(*chunk) + room);
		chunk->size = room;
		chunk->next = doc->chunks;
		doc->chunks = chunk;
	}
	void *p = chunk->data + chunk->used;
	chunk->used += size;
	return p;
}

static const char *arena_text(struct yaml_doc *doc, const char *text, size_t len)
{
	char *copy = yaml_alloc(doc, len + 1);
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static int fail(struct reader *r, int line, int column, const char *what)
{
	return error_set(r->err, ERROR_INVALID, "%s:%d:%d: %s", r->name, line, column, what);
}

static int fail_at(struct reader *r, const struct yaml_event *event, const char *what)
{
	return fail(r, event->line ? event->line : 1, event->line ? event->column : 1, what);
}

/* --- scalars ------------------------------------------------------------------------- */

static bool word_in(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

static bool read_integer(const char *text, json_int_t *out)
{
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	if (digits == text && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'o')) {
		base = digits[1] == 'x' ? 16 : 8;
		digits += 2;
	}
	const char *set = base == 16  ? "0123456789abcdefABCDEF"
	                  : base == 8 ? "01234567"
	                              : "0123456789";
	if (!*digits || digits[strspn(digits, set)])
		return false;
	errno = 0;
	long long value = strtoll(digits, NULL, base);
	if (errno)
		return false; /* too large: a real number */
	*out = *text == '-' ? -value : value;
	return true;
}

static bool read_real(const char *text, double *out)
{
	const char *p = text + (*text == '-' || *text == '+');
	size_t before = strspn(p, "0123456789"), after = 0;
	p += before;
	if (*p == '.')
		after = strspn(++p, "0123456789");
	p += after;
	if (before + after == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		size_t exponent = strspn(p, "0123456789");
		if (!exponent)
			return false;
		p += exponent;
	}
	if (*p)
		return false;
	*out = strtod(text, NULL); /* the C locale: no command calls setlocale */
	return isfinite(*out);
}

/* The core schema: what a plain scalar is. */
static void resolve(struct yaml_node *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	json_int_t integer;
	double real;
	if (node->len <= 5 && word_in(node->text, nulls)) {
		node->scalar = YAML_NULL;
	} else if (node->len <= 5 && (word_in(node->text, yes) || word_in(node->text, no))) {
		node->scalar = YAML_BOOL;
		node->boolean = word_in(node->text, yes);
	} else if (read_integer(node->text, &integer)) {
		node->scalar = YAML_INT;
		node->integer = integer;
	} else if (read_real(node->text, &real)) {
		node->scalar = YAML_REAL;
		node->real = real;
	}
}

/* --- building ------------------------------------------------------------------------ */

static void push(struct reader *r, struct yaml_node *node)
{
	if (r->used == r->cap) {
		r->cap *= 2;
		r->stack = xrealloc(r->stack, r->cap * sizeof(*r->stack));
	}
	r->stack[r->used++] = node;
}

static int anchor_add(struct reader *r, const char *name, struct yaml_node *node)
{
	if (!name)
		return 0;
	if (r->anchor_count == YAML_ANCHORS_MAX)
		return fail(r, node->line, node->column, "too many anchors (at most 1000)");
	if (!r->anchors)
		r->anchors = xcalloc(YAML_ANCHORS_MAX, sizeof(*r->anchors));
	r->anchors[r->anchor_count++] = (struct anchor){name, node};
	return 0;
}

/* A node is complete: it goes to whom it belongs. */
static int node_done(struct reader *r, struct yaml_node *node, const char *anchor)
{
	if (anchor_add(r, anchor, node))
		return -1;
	if (r->depth) {
		push(r, node);
		return 0;
	}
	r->doc->root = node;
	return 0;
}

static const char *event_anchor(struct reader *r, const struct yaml_event *event)
{
	const struct yaml_text *name = &event->anchor;
	return name->data ? arena_text(r->doc, name->data, name->len) : NULL;
}

/* 0: resolve as usual; 1: it is text; -1: refused. */
static int event_tag(struct reader *r, const struct yaml_event *event)
{
	static const char *const known[] = {"tag:yaml.org,2002:int",
	                                    "tag:yaml.org,2002:float",
	                                    "tag:yaml.org,2002:bool",
	                                    "tag:yaml.org,2002:null",
	                                    "tag:yaml.org,2002:map",
	                                    "tag:yaml.org,2002:seq",
	                                    NULL};
	if (!event->tag.data)
		return 0;
	_cleanup_free_ char *tag = xstrndup(event->tag.data, event->tag.len);
	if (strcmp(tag, "tag:yaml.org,2002:str") == 0 || strcmp(tag, "!") == 0)
		return 1;
	if (word_in(tag, known))
		return 0;
	return fail_at(r, event, "this tag means nothing here (leave it out)");
}

static struct yaml_node *node_new(struct reader *r, const struct yaml_event *event,
                                  enum yaml_type type)
{
	struct yaml_node *node = yaml_alloc(r->doc, sizeof(*node));
	node->type = type;
	if (event->line) { /* nothing at all stands nowhere: where the key stood */
		r->line = event->line;
		r->column = event->column;
	}
	node->line = r->line;
	node->column = r->column;
	node->size = 1;
	node->height = 1;
	return node;
}

static int read_scalar(struct reader *r, const struct yaml_event *event)
{
	int tag = event_tag(r, event);
	if (tag < 0)
		return -1;
	struct yaml_node *node = node_new(r, event, YAML_SCALAR);
	const char *text = event->text.data;
	size_t len = event->text.len;
	if (event->style == YAML_QUOTED && node->column > 1)
		node->column--; /* the mark stands behind the quote */
	if (!text)
		return fail_at(r, event, "this text cannot be read");
	if (memchr(text, '\0', len) || !text_is_utf8(text, len))
		return fail(r, node->line, node->column, "text holds a NUL or broken UTF-8");
	node->text = arena_text(r->doc, text, len);
	node->len = len;
	if (!tag && event->style == YAML_PLAIN)
		resolve(node);
	return node_done(r, node, event_anchor(r, event));
}

static int read_alias(struct reader *r, const struct yaml_event *event)
{
	const struct yaml_text *name = &event->text;
	for (size_t i = r->anchor_count; name->data && i-- > 0;) {
		const struct anchor *a = &r->anchors[i];
		if (strlen(a->name) == name->len && memcmp(a->name, name->data, name->len) == 0)
			return node_done(r, a->node, NULL);
	}
	return fail_at(r, event, "no finished anchor of that name above");
}

static int open_collection(struct reader *r, const struct yaml_event *event, enum yaml_type type)
{
	if (event_tag(r, event) < 0)
		return -1;
	if (r->depth >= r->limits->depth)
		return fail_at(r, event, "nested too deeply");
	struct frame *frame = &r->frames[r->depth++];
	frame->node = node_new(r, event, type);
	frame->anchor = event_anchor(r, event);
	frame->first = r->used;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *x = *(struct yaml_node *const *)a;
	const struct yaml_node *y = *(struct yaml_node *const *)b;
	int order = strcmp(x->text, y->text);
	if (order)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static int check_keys(struct reader *r, struct yaml_node **items, size_t count)
{
	if (count == 0)
		return 0;
	_cleanup_free_ struct yaml_node **keys = xcalloc(count / 2 + 1, sizeof(struct yaml_node *));
	for (size_t i = 0; i < count; i += 2) {
		if (items[i]->type != YAML_SCALAR)
			return fail(r, items[i]->line, items[i]->column, "a key must be a word");
		keys[i / 2] = items[i];
	}
	qsort(keys, count / 2, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < count / 2; i++) {
		if (strcmp(keys[i - 1]->text, keys[i]->text) != 0)
			continue;
		_cleanup_free_ char *shown = text_safe(keys[i]->text, YAML_SHOWN);
		return error_set(r->err, ERROR_INVALID, "%s:%d:%d: key %s again (first on line %d)",
		                 r->name, keys[i]->line, keys[i]->column, shown, keys[i - 1]->line);
	}
	return 0;
}

static bool has_key(const struct reader *r, size_t first, const char *key)
{
	for (size_t i = first; i < r->used; i += 2) {
		if (strcmp(r->stack[i]->text, key) == 0)
			return true;
	}
	return false;
}

static int merge_map(struct reader *r, size_t first, const struct yaml_node *from)
{
	if (from->type != YAML_MAP)
		return fail(r, from->line, from->column, "<< takes a mapping or a list of them");
	for (size_t i = 0; i < from->count; i += 2) {
		if (has_key(r, first, from->items[i]->text))
			continue;
		push(r, from->items[i]);
		push(r, from->items[i + 1]);
	}
	return 0;
}

/* `<<: *base`: what the base has and the map has not. */
static int merge_keys(struct reader *r, size_t first)
{
	if (r->used == first)
		return 0;
	size_t at = first;
	while (at < r->used && strcmp(r->stack[at]->text, "<<") != 0)
		at += 2;
	if (at >= r->used || r->stack[at]->len != 2)
		return 0;
	const struct yaml_node *from = r->stack[at + 1];
	memmove(&r->stack[at], &r->stack[at + 2], (r->used - at - 2) * sizeof(*r->stack));
	r->used -= 2;
	if (from->type != YAML_LIST)
		return merge_map(r, first, from);
	for (size_t i = 0; i < from->count; i++) {
		if (merge_map(r, first, from->items[i]))
			return -1;
	}
	return 0;
}

static int close_collection(struct reader *r)
{
	if (!r->depth)
		return fail(r, 1, 1, "an end without a beginning");
	struct frame frame = r->frames[r->depth - 1];
	struct yaml_node *node = frame.node;
	if (node->type == YAML_MAP) {
		if ((r->used - frame.first) % 2)
			return fail(r, node->line, node->column, "a key without a value");
		if (check_keys(r, r->stack + frame.first, r->used - frame.first) ||
		    merge_keys(r, frame.first))
			return -1;
	}
	size_t size = 1, height = 1;
	node->count = r->used - frame.first;
	node->items = yaml_alloc(r->doc, (node->count + 1) * sizeof(struct yaml_node *));
	for (size_t i = 0; i < node->count; i++) {
		struct yaml_node *item = r->stack[frame.first + i];
		node->items[i] = item;
		size += item->size;
		if (item->height >= height)
			height = item->height + 1u;
		if (size > r->limits->nodes)
			return fail(r, node->line, node->column,
			            "too many values, aliases counted in full");
	}
	if (height + r->depth - 1 > r->limits->depth + 1)
		return fail(r, node->line, node->column, "nested too deeply");
	node->size = (uint32_t)size;
	node->height = (uint16_t)height;
	r->used = frame.first;
	r->depth--;
	return node_done(r, node, frame.anchor);
}

static int read_event(struct reader *r, const struct yaml_event *event)
{
	switch (event->type) {
	case YAML_EVENT_DOCUMENT:
		if (r->done)
			return fail_at(r, event, "a second document (one a file)");
		r->done = true;
		return 0;
	case YAML_EVENT_SCALAR:
		return read_scalar(r, event);
	case YAML_EVENT_ALIAS:
		return read_alias(r, event);
	case YAML_EVENT_LIST:
		return open_collection(r, event, YAML_LIST);
	case YAML_EVENT_MAP:
		return open_collection(r, event, YAML_MAP);
	case YAML_EVENT_END:
		return close_collection(r);
	case YAML_EVENT_BAD:
		break;
	}
	_cleanup_free_ char *text = xstrndup(event->text.data, event->text.len);
	_cleanup_free_ char *shown = text_safe(text, 200);
	return fail_at(r, event, shown);
}

/* --- the file ------------------------------------------------------------------------ */

static int check_bytes(struct reader *r, const char *data, size_t len)
{
	int line = 1, column = 1;
	if (len >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0))
		return fail(r, 1, 1, "not UTF-8 (it looks like UTF-16)");
	if (text_is_utf8(data, len) && !memchr(data, '\0', len))
		return 0;
	for (size_t i = 0; i < len;) {
		size_t n = 1;
		while (n < 4 && i + n < len && ((unsigned char)data[i + n] & 0xc0) == 0x80)
			n++;
		if (data[i] == '\0')
			return fail(r, line, column, "a NUL byte (a plan is UTF-8 text)");
		if (!text_is_utf8(data + i, n))
			return fail(r, line, column, "broken UTF-8");
		column++;
		if (data[i] == '\n') {
			line++;
			column = 1;
		}
		i += n;
	}
	return 0;
}

/* From the parser, and noted for the next time. */
static int take_new(void *context, const struct yaml_event *event)
{
	struct reader *r = context;
	yaml_kept_note(r->kept, event);
	return read_event(r, event);
}

static int take_kept(void *context, const struct yaml_event *event)
{
	return read_event(context, event);
}

static int read_document(struct reader *r, const char *data, size_t len)
{
	r->kept = yaml_kept_find(r->limits->kept, data, len);
	int status = yaml_kept_read(r->kept, take_kept, r);
	if (status > 0) {
		status = yaml_read_events(r->name, data, len, take_new, r, r->err);
		if (status == 0)
			yaml_kept_write(r->kept);
	}
	yaml_kept_free(r->kept);
	return status;
}

int yaml_parse(const char *name, const char *data, size_t len, const struct yaml_limits *limits,
               struct yaml_doc **out, struct error *err)
{
	struct reader r = {.name = name, .limits = limits, .line = 1, .column = 1, .err = err};
	if (check_bytes(&r, data, len))
		return -1;
	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		len -= 3;
	}
	r.doc = xcalloc(1, sizeof(*r.doc));
	r.frames = xcalloc(limits->depth + 1, sizeof(*r.frames));
	r.cap = 256;
	r.stack = xcalloc(r.cap, sizeof(*r.stack));
	int status = len ? read_document(&r, data, len) : 0;
	free(r.frames);
	free(r.stack);
	free(r.anchors);
	if (status) {
		yaml_free(r.doc);
		return -1;
	}
	*out = r.doc;
	return 0;
}

void yaml_free(struct yaml_doc *doc)
{
	if (!doc)
		return;
	while (doc->chunks) {
		struct chunk *next = doc->chunks->next;
		free(doc->chunks);
		doc->chunks = next;
	}
	free(doc);
}

const struct yaml_node *yaml_root(const struct yaml_doc *doc)
{
	return doc->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; i < map->count; i += 2) {
		if (strcmp(map->items[i]->text, key) == 0)
			return map->items[i + 1];
	}
	return NULL;
}

static json_t *scalar_json(const struct yaml_node *node)
{
	switch (node->scalar) {
	case YAML_NULL:
		return json_null();
	case YAML_BOOL:
		return json_boolean(node->boolean);
	case YAML_INT:
		return json_integer(node->integer);
	case YAML_REAL:
		return json_real(node->real);
	default:
		return json_stringn_nocheck(node->text, node->len);
	}
}

json_t *yaml_json(const struct yaml_node *node)
{
	if (node->type == YAML_SCALAR)
		return scalar_json(node);
	json_t *value = node->type == YAML_LIST ? json_array() : json_object();
	for (size_t i = 0; node->type == YAML_LIST && i < node->count; i++)
		json_array_append_new(value, yaml_json(node->items[i]));
	for (size_t i = 0; node->type == YAML_MAP && i < node->count; i += 2)
		json_object_set_new_nocheck(value, node->items[i]->text,
		                            yaml_json(node->items[i + 1]));
	return value;
}
