/* for_each: a task of the plan becomes one task for each line of a file of JSON objects, with
 * {item.NAME} replaced in all of its strings. Works on the nodes, before anything of a task is
 * read: what comes after sees plain tasks, each where the plan has it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"
#include "text.h"

#define ITEMS_FILE_MAX (16u << 20) /* bytes */
#define ITEMS_TEXT_MAX (64u << 20) /* bytes that all items together make of a plan's strings */
#define PLACEHOLDER    "{item."

/* The items of one file, kept while the plan is read. */
struct plan_items {
	struct plan_item *items;
	size_t count, cap;
	char *file;
	struct plan_items *next;
};

void plan_each_finish(struct plan_each *each)
{
	struct plan_items *next;

	for (struct plan_items *file = each->files; file; file = next) {
		next = file->next;
		for (size_t i = 0; i < file->count; i++)
			json_decref(file->items[i].values);
		free(file->items);
		free(file->file);
		free(file);
	}
	free(each->tasks);
	json_decref(each->groups);
	*each = (struct plan_each){0};
}

/* --- the file ------------------------------------------------------------------------- */

static int read_line(struct plan_reader *r, const struct yaml_node *n, struct plan_items *file,
                     const char *text, size_t len, int number)
{
	struct error err = ERROR_INIT;
	json_t *values;

	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	if (!len)
		return 0;
	values = jsonl_parse(text, len, &err);
	if (!json_is_object(values)) {
		_cleanup_free_ char *why = text_safe(values ? "not an object" : err.text, 120);

		json_decref(values);
		return plan_fail(r, n, "for_each: %s:%d: %s", file->file, number, why);
	}
	if (file->count == PLAN_ITEMS_MAX) {
		json_decref(values);
		return plan_fail(r, n, "for_each: more than %d items", PLAN_ITEMS_MAX);
	}
	if (file->count == file->cap) {
		file->cap = file->cap ? file->cap * 2 : 64;
		file->items = xrealloc(file->items, file->cap * sizeof *file->items);
	}
	file->items[file->count++] = (struct plan_item){values, number, file->file};
	return 0;
}

/* Kept by `each`; NULL: refused. */
static const struct plan_items *read_items(struct plan_reader *r, const struct yaml_node *n,
                                           struct plan_each *each)
{
	struct plan_items *file = xcalloc(1, sizeof *file);
	_cleanup_buf_ struct buf text = BUF_INIT;
	int number = 0;

	file->file = text_safe(n->type == YAML_SCALAR ? n->text : "", PLAN_SHOWN);
	file->next = each->files;
	each->files = file;
	if (plan_file_read(r, n, "for_each", ITEMS_FILE_MAX, &text))
		return NULL;
	for (size_t at = 0; at < text.len;) {
		const char *end = memchr(text.data + at, '\n', text.len - at);
		size_t len = end ? (size_t)(end - text.data) - at : text.len - at;

		if (read_line(r, n, file, text.data + at, len, ++number))
			return NULL;
		at += len + 1;
	}
	if (!file->count)
		plan_fail(r, n, "for_each: %s has no items", file->file);
	return file->count ? file : NULL;
}

/* --- strings -------------------------------------------------------------------------- */

/* The value of NAME or NAME.NAME… Borrowed; NULL: there is none. */
static const json_t *value_of(const struct plan_item *item, const char *path, size_t len)
{
	const json_t *value = item->values;

	while (value && len) {
		const char *dot = memchr(path, '.', len);
		size_t n = dot ? (size_t)(dot - path) : len;
		_cleanup_free_ char *name = xstrndup(path, n);

		value = json_object_get(value, name);
		path += dot ? n + 1 : n;
		len -= dot ? n + 1 : n;
	}
	return json_is_null(value) ? NULL : value;
}

static void add_value(struct buf *out, const json_t *value)
{
	_cleanup_free_ char *text = NULL;

	if (json_is_string(value)) {
		buf_add_str(out, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	buf_add_str(out, text ? text : "");
}

int plan_each_text(struct plan_reader *r, const struct yaml_node *n, const char *text,
                   const struct plan_item *item, struct buf *out)
{
	for (const char *at; (at = strstr(text, PLACEHOLDER));) {
		const char *name = at + strlen(PLACEHOLDER), *end = strchr(name, '}');
		const json_t *value;

		if (!end)
			break;
		value = value_of(item, name, (size_t)(end - name));
		if (!value) {
			_cleanup_free_ char *raw = xstrndup(name, (size_t)(end - name));
			_cleanup_free_ char *shown = text_safe(raw, PLAN_SHOWN);

			return plan_fail(r, n, "{item.%s}: %s:%d has no %s", shown, item->file,
			                 item->line, shown);
		}
		buf_add(out, text, (size_t)(at - text));
		add_value(out, value);
		if (out->len > ITEMS_TEXT_MAX)
			return plan_fail(r, n, "for_each: more than %u MiB of text",
			                 ITEMS_TEXT_MAX >> 20);
		text = end + 1;
	}
	buf_add_str(out, text);
	return 0;
}

/* --- nodes ---------------------------------------------------------------------------- */

static struct yaml_node *copy_node(struct plan_reader *r, const struct yaml_node *n)
{
	struct yaml_node *copy = yaml_alloc(r->at->doc, sizeof *copy);

	*copy = *n;
	return copy;
}

static void set_text(struct plan_reader *r, struct yaml_node *n, const char *text, size_t len)
{
	char *copy = yaml_alloc(r->at->doc, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	n->text = copy;
	n->len = len;
	n->scalar = YAML_TEXT;
}

/* `priority: "{item.n}"` is the number. */
static void set_number(struct yaml_node *n, const struct plan_item *item)
{
	size_t prefix = strlen(PLACEHOLDER);
	const json_t *value;

	if (strncmp(n->text, PLACEHOLDER, prefix) != 0 ||
	    strchr(n->text, '}') != n->text + n->len - 1)
		return;
	value = value_of(item, n->text + prefix, n->len - prefix - 1);
	if (json_is_integer(value)) {
		n->scalar = YAML_INT;
		n->integer = json_integer_value(value);
	} else if (json_is_boolean(value)) {
		n->scalar = YAML_BOOL;
		n->boolean = json_is_true(value);
	}
}

static bool is_number_key(const char *key)
{
	static const char *const keys[] = {"priority", "retries",        "repeat",
	                                   "timeout",  "expect_changes", "fresh"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static int expand(struct plan_reader *r, const struct yaml_node *n, const struct plan_item *item,
                  struct plan_each *each, struct yaml_node **out);

static int expand_scalar(struct plan_reader *r, const struct yaml_node *n,
                         const struct plan_item *item, struct plan_each *each,
                         struct yaml_node **out)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	*out = (struct yaml_node *)n;
	if (n->scalar != YAML_TEXT || !strstr(n->text, PLACEHOLDER))
		return 0;
	if (plan_each_text(r, n, n->text, item, &text))
		return -1;
	each->text += text.len;
	if (each->text > ITEMS_TEXT_MAX || ++each->nodes > PLAN_NODES_MAX)
		return plan_fail(r, n, "for_each: more than %u MiB of text", ITEMS_TEXT_MAX >> 20);
	*out = copy_node(r, n);
	set_text(r, *out, text.len ? text.data : "", text.len);
	(*out)->filled = true;
	return 0;
}

/* What holds nothing of an item is shared by all of them. */
static int expand_items(struct plan_reader *r, const struct yaml_node *n,
                        const struct plan_item *item, struct plan_each *each,
                        struct yaml_node **out)
{
	bool map = n->type == YAML_MAP;
	struct yaml_node *copy = NULL;

	for (size_t i = 0; i < n->count; i++) {
		struct yaml_node *one = n->items[i];

		if (!map || i % 2) {
			if (expand(r, n->items[i], item, each, &one))
				return -1;
		}
		if (one == n->items[i])
			continue;
		if (map && n->items[i]->type == YAML_SCALAR &&
		    is_number_key(n->items[i - 1]->text)) {
			struct yaml_node number = *n->items[i];

			set_number(&number, item);
			one->scalar = number.scalar;
			if (number.scalar == YAML_INT)
				one->integer = number.integer;
			else if (number.scalar == YAML_BOOL)
				one->boolean = number.boolean;
		}
		if (!copy) {
			each->nodes += n->count + 1;
			if (each->nodes > PLAN_NODES_MAX)
				return plan_fail(r, n, "for_each: more than %d values",
				                 PLAN_NODES_MAX);
			copy = copy_node(r, n);
			copy->items = yaml_alloc(r->at->doc, n->count * sizeof(struct yaml_node *));
			memcpy(copy->items, n->items, n->count * sizeof(struct yaml_node *));
		}
		copy->items[i] = one;
	}
	*out = copy ? copy : (struct yaml_node *)n;
	return 0;
}

static int expand(struct plan_reader *r, const struct yaml_node *n, const struct plan_item *item,
                  struct plan_each *each, struct yaml_node **out)
{
	if (n->type == YAML_SCALAR)
		return expand_scalar(r, n, item, each, out);
	return expand_items(r, n, item, each, out);
}

/* --- tasks ---------------------------------------------------------------------------- */

static void add_task(struct plan_each *each, const struct yaml_node *node,
                     const struct plan_item *item)
{
	if (each->count == each->cap) {
		each->cap = each->cap ? each->cap * 2 : 256;
		each->tasks = xrealloc(each->tasks, each->cap * sizeof *each->tasks);
	}
	each->tasks[each->count++] = (struct plan_each_task){node, item};
}

/* The key of one item's task: what the item made of the id, fit for a key; or a number. */
static void set_key(struct plan_reader *r, const struct yaml_node *id, struct yaml_node *own,
                    size_t number)
{
	_cleanup_free_ char *key = strcmp(id->text, own->text) == 0
	                               ? xasprintf("%s-%zu", id->text, number)
	                               : xstrdup(own->text);
	_cleanup_free_ char *fit = NULL;

	for (char *c = key; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
			*c = '-';
	fit = xasprintf("%s%s", isalpha((unsigned char)*key) || *key == '_' ? "" : "_", key);
	set_text(r, own, fit, strlen(fit));
}

static struct yaml_node **slot_of(struct yaml_node *map, const char *key)
{
	for (size_t i = 0; i < map->count; i += 2)
		if (strcmp(map->items[i]->text, key) == 0)
			return &map->items[i + 1];
	return NULL;
}

static int add_item(struct plan_reader *r, const struct yaml_node *node,
                    const struct plan_item *item, size_t number, json_t *group,
                    struct plan_each *each)
{
	const struct yaml_node *id = yaml_get(node, "id");
	struct yaml_node *made = NULL, **own;

	if (expand(r, node, item, each, &made) || !made)
		return -1;
	if (made == node) {
		made = copy_node(r, node);
		made->items = yaml_alloc(r->at->doc, node->count * sizeof(struct yaml_node *));
		memcpy(made->items, node->items, node->count * sizeof(struct yaml_node *));
	}
	own = slot_of(made, "id");
	if (!own)
		return plan_fail(r, node, "a task with for_each needs an id");
	if (*own == id)
		*own = copy_node(r, id);
	set_key(r, id, *own, number);
	json_array_append_new(group, json_text_or_null((*own)->text));
	add_task(each, made, item);
	return 0;
}

static int add_group(struct plan_reader *r, const struct yaml_node *node,
                     const struct yaml_node *from, struct plan_each *each)
{
	const struct yaml_node *id = yaml_get(node, "id");
	const struct plan_items *file;
	json_t *group;

	if (!id || id->type != YAML_SCALAR)
		return plan_fail(r, id ? id : node, "a task with for_each needs an id");
	if (plan_refuse_null(r, id, "id"))
		return -1;
	if (json_object_get(each->groups, id->text)) {
		_cleanup_free_ char *shown = text_safe(id->text, PLAN_SHOWN);

		return plan_fail(r, id, "task %s again", shown);
	}
	file = read_items(r, from, each);
	if (!file)
		return -1;
	group = json_array();
	json_object_set_new_nocheck(each->groups, id->text, group);
	for (size_t i = 0; i < file->count; i++)
		if (add_item(r, node, &file->items[i], i + 1, group, each))
			return -1;
	return 0;
}

int plan_each_read(struct plan_reader *r, const struct yaml_node *list, struct plan_each *out)
{
	out->groups = json_object();
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml_node *node = list->items[i];
		const struct yaml_node *from =
		    node->type == YAML_MAP ? yaml_get(node, "for_each") : NULL;

		if (!from || plan_is_null(from))
			add_task(out, node, NULL);
		else if (add_group(r, node, from, out))
			return -1;
	}
	return 0;
}
