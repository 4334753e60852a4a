/* The part of a plan that was asked for. Knows nothing of the store. */
#include "submit_keys.h"

#include "jsonl.h"
#include "mem.h"

static void want(json_t *wanted, json_t *queue, const char *key)
{
	if (!key || json_object_get(wanted, key))
		return;
	json_object_set_new(wanted, key, json_true());
	json_array_append_new(queue, json_string(key));
}

json_t *submit_keys_closure(const json_t *plan, const json_t *keys)
{
	_cleanup_json_ json_t *wanted = json_object(), *queue = json_array();
	_cleanup_json_ json_t *index = json_object(), *children = json_object();
	const json_t *tasks = json_sub(plan, "tasks");
	json_t *chosen = json_array(), *task, *item;
	size_t i, j;

	json_array_foreach (tasks, i, task) {
		const char *key = json_text(task, "key"), *parent = json_text(task, "parent");

		json_object_set(index, key ? key : "", task);
		if (!parent || !key)
			continue;
		if (!json_object_get(children, parent))
			json_object_set_new(children, parent, json_array());
		json_array_append_new(json_object_get(children, parent), json_string(key));
	}
	json_array_foreach (keys, i, item)
		want(wanted, queue, json_string_value(item));
	for (i = 0; i < json_array_size(queue); i++) {
		const char *key = json_string_value(json_array_get(queue, i));

		task = json_object_get(index, key);
		want(wanted, queue, json_text(task, "parent"));
		json_array_foreach (json_sub(task, "blocked_by"), j, item)
			want(wanted, queue, json_string_value(item));
		json_array_foreach (json_object_get(children, key), j, item)
			want(wanted, queue, json_string_value(item));
	}
	json_array_foreach (tasks, i, task) {
		const char *key = json_text(task, "key");

		if (key && json_object_get(wanted, key))
			json_array_append(chosen, task);
	}
	return chosen;
}

int submit_keys_check(const json_t *plan, const json_t *keys, struct error *err)
{
	json_t *task, *key;
	size_t i, j;

	json_array_foreach (keys, i, key) {
		bool found = false;

		json_array_foreach (json_sub(plan, "tasks"), j, task)
			found = found || json_equal(json_object_get(task, "key"), key);
		if (!found)
			return error_set(err, ERROR_NOT_FOUND, "the plan has no task %.80s",
			                 json_string_value(key) ? json_string_value(key) : "?");
	}
	return 0;
}
