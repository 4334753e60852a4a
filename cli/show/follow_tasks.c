/* Following a run: its tasks as they were last read, and which have to be read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "follow_private.h"
#include "jsonl.h"
#include "mem.h"
#include "outcome.h"
#include "run_screen.h"
#include "task_view.h"
#include "text.h"

#define WHOLE_MAX 50 /* on a screen all of so few are read again: also what no event tells of */

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

static void mark(json_t *set, json_int_t id)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)id);
	json_object_set_new(set, text, json_true());
}

/* A failure, a question, or that it is over, may make others stuck, or free them. */
static bool shakes(const json_t *task)
{
	return task_is(task, "failed") || task_is(task, "cancelled") ||
	       task_is(task, "needs_input");
}

static void mark_moved(struct run *run, const json_t *task)
{
	json_int_t parent = json_int(task, "parent", 0);
	json_t *other;
	size_t i;

	/* That something can start is no line to tell. */
	json_array_foreach (run->show == SHOW_LINES ? NULL : json_object_get(task, "blocks"), i,
	                    other) {
		if (task_of(run, json_integer_value(other), NULL))
			mark(run->changed, json_integer_value(other));
	}
	if (parent && task_of(run, parent, NULL))
		mark(run->changed, parent);
}

void follow_take_changes(struct run *run, const json_t *tasks)
{
	_cleanup_json_ json_t *ours = json_array();
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		const json_t *before = task_of(run, json_int(task, "id", 0), NULL);

		if (!before)
			continue;
		run->all_changed =
		    run->all_changed || shakes(before) || shakes(task) ||
		    (run->show == SHOW_SCREEN && json_array_size(run->tasks) <= WHOLE_MAX);
		mark_moved(run, task);
		mark(run->fresh, json_int(task, "id", 0));
		json_array_append(ours, task);
		run->team_changed = true;
	}
	follow_take_tasks(run, ours);
}

void follow_take_read(struct run *run)
{
	_cleanup_json_ json_t *read = json_array();
	json_t *task;
	size_t i;

	json_array_foreach (run->got, i, task)
		if (!task_indexed(run->fresh, json_int(task, "id", 0)))
			json_array_append(read, task);
	follow_take_tasks(run, read);
}

json_t *follow_ids_to_read(const struct run *run)
{
	json_t *ids, *item;
	const char *id;
	size_t i;

	if (run->all_changed && (!run->tasks || run->settled || run->show == SHOW_SCREEN))
		return json_incref(run->what->ids);
	ids = json_array();
	json_array_foreach (run->all_changed ? run->tasks : NULL, i, item) {
		if (task_is(item, "pending"))
			json_array_append(ids, json_object_get(item, "id"));
	}
	json_object_foreach (run->changed, id, item)
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

void follow_take_tasks(struct run *run, json_t *tasks)
{
	json_t *task;
	size_t i, at;

	json_decref(run->read);
	json_array_foreach (tasks, i, task)
		task_seen(task, time_mono_ms());
	if (!run->tasks) {
		run->tasks = sorted(tasks);
		run->read = json_copy(run->tasks);
		run->index = task_index(run->tasks);
		run->key_columns = screen_key_columns(run->tasks, run->show != SHOW_SCREEN);
		return;
	}
	run->read = json_incref(tasks);
	json_array_foreach (run->read, i, task) {
		if (!task_of(run, json_int(task, "id", 0), &at))
			continue;
		json_array_set(run->tasks, at, task);
		task_index_put(run->index, task);
	}
}

/* As screen_hint does, where nobody waits and nothing failed: those have their names. */
static const json_t *named_in_hint(const struct run *run)
{
	const json_t *unlanded = outcome_first_unlanded(run->tasks);
	json_t *task;
	size_t i;

	json_array_foreach (run->tasks, i, task)
		if (!unlanded && task_is(task, "completed") && !task_is_choice(task))
			return task;
	return unlanded;
}

void follow_want_name(struct run *run)
{
	const json_t *task = named_in_hint(run);

	if (task && !json_text(task, "name"))
		mark(run->changed, json_int(task, "id", 0));
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
