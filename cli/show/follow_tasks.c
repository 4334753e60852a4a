/* Following a run: its tasks as they were last read, and which have to be read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "follow_private.h"
#include "jsonl.h"
#include "mem.h"
#include "run_screen.h"
#include "task_view.h"

#define WHOLE_MAX 50 /* up to so many tasks all are read again, else the changed ones */

static json_t *task_of(const struct run *run, json_int_t id, size_t *at)
{
	size_t low = 0, high = json_array_size(run->tasks);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		json_t *task = json_array_get(run->tasks, middle);
		json_int_t is = json_int(task, "id", 0);

		if (is == id) {
			if (at)
				*at = middle;
			return task;
		}
		if (is < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void mark_changed(struct run *run, json_int_t id)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)id);
	json_object_set_new(run->changed, text, json_true());
}

void follow_mark_event(struct run *run, const json_t *event)
{
	json_int_t id = json_int(event, "task", 0);
	const char *status = json_text(json_sub(event, "data"), "status");
	const json_t *task = task_of(run, id, NULL);
	json_t *other;
	size_t i;

	run->team_changed = true;
	if (!id)
		return;
	mark_changed(run, id);
	if (status && strcmp(status, "in_progress") != 0 && strcmp(status, "completed") != 0)
		run->all_changed = true;
	/* That something can start is no line to tell. */
	json_array_foreach (run->show == SHOW_LINES ? NULL : json_object_get(task, "blocks"), i,
	                    other) {
		if (task_of(run, json_integer_value(other), NULL))
			mark_changed(run, json_integer_value(other));
	}
	if (json_int(task, "parent", 0))
		mark_changed(run, json_int(task, "parent", 0));
}

json_t *follow_ids_to_read(struct run *run)
{
	json_t *ids, *unused;
	const char *id;

	if (run->all_changed || json_array_size(run->what->ids) <= WHOLE_MAX)
		return json_incref(run->what->ids);
	ids = json_array();
	json_object_foreach (run->changed, id, unused)
		json_array_append_new(ids, json_integer(atoll(id)));
	return ids;
}

static int by_id(const void *a, const void *b)
{
	json_int_t x = json_int(*(json_t *const *)a, "id", 0);
	json_int_t y = json_int(*(json_t *const *)b, "id", 0);

	return (x > y) - (x < y);
}

/* [Task] in order of ids. New reference. */
static json_t *sorted(const json_t *tasks)
{
	size_t n = json_array_size(tasks), i;
	_cleanup_free_ json_t **items = xcalloc(n, sizeof(json_t *));
	json_t *list = json_array(), *task;

	json_array_foreach (tasks, i, task)
		items[i] = task;
	qsort(items, n, sizeof *items, by_id);
	for (i = 0; i < n; i++)
		json_array_append(list, items[i]);
	return list;
}

void follow_take_tasks(struct run *run, const json_t *tasks)
{
	json_t *task;
	size_t i, at;

	json_decref(run->read);
	run->read = sorted(tasks);
	if (!run->tasks || json_array_size(run->read) >= json_array_size(run->tasks)) {
		json_decref(run->tasks);
		json_decref(run->index);
		run->tasks = json_copy(run->read);
		run->index = task_index(run->tasks);
		run->key_columns = screen_key_columns(run->tasks, run->show != SHOW_SCREEN);
		return;
	}
	json_array_foreach (run->read, i, task) {
		if (!task_of(run, json_int(task, "id", 0), &at))
			continue;
		json_array_set(run->tasks, at, task);
		task_index_put(run->index, task);
	}
}

bool follow_goes_on(const struct run *run)
{
	json_t *task;
	size_t i;

	json_array_foreach (run->tasks, i, task)
		if (task_is(task, "in_progress") || json_flag(task, "ready"))
			return true;
	return false;
}
