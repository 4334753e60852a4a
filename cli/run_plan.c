/* Questions about a plan that `run` answers before anybody is asked. */
#include "run_plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "jsonl.h"
#include "mem.h"
#include "plan_select.h"
#include "print.h"
#include "text.h"

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

bool run_is_plan_file(const char *argument)
{
	struct stat st;

	return strcmp(argument, "-") == 0 || strchr(argument, '/') || ends_in(argument, ".yaml") ||
	       ends_in(argument, ".yml") || ends_in(argument, ".json") ||
	       (stat(argument, &st) == 0 && !S_ISDIR(st.st_mode));
}

/* {KEY:PLANTASK}, borrowing. New reference. */
static json_t *tasks_by_key(const json_t *plan)
{
	json_t *index = json_object(), *task;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, task)
		json_object_set(index, json_text(task, "key"), task);
	return index;
}

int run_check_keys(const json_t *plan, const json_t *keys, struct error *err)
{
	_cleanup_json_ json_t *index = tasks_by_key(plan);
	json_t *key, *task;
	const char *name;
	size_t i;

	json_array_foreach (keys, i, key) {
		_cleanup_free_ const char **names = NULL;
		size_t n = 0;

		if (json_object_get(index, json_string_value(key)))
			continue;
		names = xcalloc(json_object_size(index) + 1, sizeof *names);
		json_object_foreach (index, name, task)
			names[n++] = name;
		_cleanup_free_ char *shown = text_safe(json_string_value(key), 64);
		_cleanup_free_ char *instead = text_did_you_mean(json_string_value(key), names);
		return error_set(err, ERROR_NOT_FOUND, "run: the plan has no task %s%s", shown,
		                 instead);
	}
	return 0;
}

/* Appends to the list under the key. */
static void add_to(json_t *lists, const char *key, json_t *item)
{
	json_t *list = json_object_get(lists, key);

	if (!list) {
		list = json_array();
		json_object_set_new(lists, key, list);
	}
	json_array_append(list, item);
}

json_t *run_used_agents(const json_t *plan, const json_t *keys)
{
	_cleanup_json_ json_t *selected = plan_select(plan, keys);
	const char *resolver = json_text(json_sub(plan, "landing"), "resolve");
	json_t *used = json_object(), *item;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, item) {
		if (json_text(item, "agent") && json_object_get(selected, json_text(item, "key")))
			json_object_set_new(used, json_text(item, "agent"), json_true());
	}
	if (resolver) { /* NAME or NAME/MODEL */
		_cleanup_free_ char *name = xstrndup(resolver, strcspn(resolver, "/"));

		json_object_set_new(used, name, json_true());
	}
	json_array_foreach (json_sub(json_sub(plan, "team"), "teammates"), i, item) {
		if (json_text(item, "agent"))
			json_object_set_new(used, json_text(item, "agent"), json_true());
	}
	return used;
}

/* Counts what each task waits for, and who waits for it. An alternative stands behind its
 * choice. */
static void count_edges(const json_t *plan, const json_t *selected, json_t *waits, json_t *waiters)
{
	json_t *task, *other;
	size_t i, j;

	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *key = json_text(task, "key"), *parent = json_text(task, "parent");
		json_int_t count = 0;

		if (!json_object_get(selected, key))
			continue;
		json_array_foreach (json_sub(task, "blocked_by"), j, other) {
			add_to(waiters, json_string_value(other), json_object_get(task, "key"));
			count++;
		}
		if (parent) {
			add_to(waiters, parent, json_object_get(task, "key"));
			count++;
		}
		json_object_set_new(waits, key, json_integer(count));
	}
}

json_t *run_order(const json_t *plan, const json_t *keys)
{
	_cleanup_json_ json_t *selected = plan_select(plan, keys), *waits = json_object();
	_cleanup_json_ json_t *waiters = json_object();
	json_t *order = json_array(), *count, *other;
	const char *name;
	size_t i;

	count_edges(plan, selected, waits, waiters);
	json_object_foreach (waits, name, count)
		if (!json_integer_value(count))
			json_array_append_new(order, json_string(name));
	for (size_t at = 0; at < json_array_size(order); at++) {
		name = json_string_value(json_array_get(order, at));
		json_array_foreach (json_object_get(waiters, name), i, other) {
			count = json_object_get(waits, json_string_value(other));
			json_integer_set(count, json_integer_value(count) - 1);
			if (!json_integer_value(count))
				json_array_append(order, other);
		}
	}
	return order;
}

long run_default_size(const json_t *plan, const json_t *keys)
{
	_cleanup_json_ json_t *selected = plan_select(plan, keys), *index = tasks_by_key(plan);
	long ready = 0;
	json_t *task;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *kind = json_text(task, "kind"), *parent = json_text(task, "parent");
		const json_t *waits = parent ? json_object_get(index, parent) : task;

		if (kind && strcmp(kind, "choice") == 0)
			continue;
		ready += json_object_get(selected, json_text(task, "key")) &&
		         !json_array_size(json_object_get(waits, "blocked_by"));
	}
	return ready < RUN_TEAM_MAX ? ready : RUN_TEAM_MAX;
}

void run_print_order(const struct cli *cli, const json_t *plan, const json_t *order)
{
	_cleanup_json_ json_t *index = tasks_by_key(plan);
	struct line line;
	json_t *key, *other;
	size_t i, j;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (order, i, key) {
		const json_t *task = json_object_get(index, json_string_value(key));
		const char *agent = json_text(task, "agent"), *kind = json_text(task, "kind");
		json_t *blockers = json_object_get(task, "blocked_by");

		line_addf(&line, STYLE_DIM, "%3zu  ", i + 1);
		line_cell(&line, STYLE_BOLD, json_string_value(key), 14);
		line_cell(&line, STYLE_PLAIN,
		          kind && strcmp(kind, "choice") == 0 ? "choice"
		          : agent                             ? agent
		                                              : "any agent",
		          12);
		line_add(&line, STYLE_PLAIN, json_text(task, "subject"));
		json_array_foreach (blockers, j, other)
			line_addf(&line, STYLE_DIM, "%s%s", j ? ", " : "   after ",
			          json_string_value(other));
		line_print(&line);
	}
	line_finish(&line);
}
