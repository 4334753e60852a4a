/* Each task is looked at once, whoever waits for it. */
#include "plan_select.h"

#include "jsonl.h"
#include "mem.h"

static void want(json_t *selected, json_t *queue, const char *key)
{
	if (!key || json_object_get(selected, key))
		return;
	json_object_set_new(selected, key, json_true());
	json_array_append_new(queue, json_string(key));
}

static void want_all(json_t *selected, json_t *queue, const json_t *keys)
{
	json_t *key;
	size_t i;

	json_array_foreach (keys, i, key)
		want(selected, queue, json_string_value(key));
}

/* {KEY:PLANTASK}, borrowing, and {PARENT:[KEY]}. */
static void read_tasks(const json_t *plan, json_t *index, json_t *children)
{
	json_t *task;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *key = json_text(task, "key"), *parent = json_text(task, "parent");

		json_object_set(index, key, task);
		if (!parent || !key)
			continue;
		if (!json_object_get(children, parent))
			json_object_set_new(children, parent, json_array());
		json_array_append_new(json_object_get(children, parent), json_string(key));
	}
}

json_t *plan_select(const json_t *plan, const json_t *keys)
{
	_cleanup_json_ json_t *index = json_object(), *children = json_object();
	_cleanup_json_ json_t *queue = json_array();
	json_t *selected = json_object(), *item;
	const char *key;
	size_t i;

	read_tasks(plan, index, children);
	if (!json_array_size(keys)) {
		json_object_foreach (index, key, item)
			json_object_set_new(selected, key, json_true());
		return selected;
	}
	want_all(selected, queue, keys);
	json_array_foreach (queue, i, item) {
		const json_t *task = json_object_get(index, json_string_value(item));

		want(selected, queue, json_text(task, "parent"));
		want_all(selected, queue, json_sub(task, "blocked_by"));
		want_all(selected, queue, json_object_get(children, json_string_value(item)));
	}
	return selected;
}
