/* The part of a plan that was asked for, by keys. Knows nothing of the store. */
#include "submit_keys.h"

#include "jsonl.h"
#include "mem.h"
#include "plan_select.h"
#include "text.h"

json_t *submit_keys_closure(const json_t *plan, const json_t *keys)
{
	_cleanup_json_ json_t *selected = plan_select(plan, keys);
	json_t *chosen = json_array(), *task;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *key = json_text(task, "key");

		if (key && json_object_get(selected, key))
			json_array_append(chosen, task);
	}
	return chosen;
}

static int no_such_task(const json_t *plan, const char *key, struct error *err)
{
	const json_t *tasks = json_sub(plan, "tasks"), *task;
	_cleanup_free_ const char **names = xcalloc(json_array_size(tasks) + 1, sizeof *names);
	_cleanup_free_ char *instead = NULL;
	size_t i, n = 0;

	json_array_foreach ((json_t *)tasks, i, task)
		if (json_text(task, "key"))
			names[n++] = json_text(task, "key");
	instead = text_did_you_mean(key ? key : "", names);
	return error_set(err, ERROR_NOT_FOUND, "the plan has no task %.80s%s", key ? key : "?",
	                 instead);
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
			return no_such_task(plan, json_string_value(key), err);
	}
	return 0;
}
