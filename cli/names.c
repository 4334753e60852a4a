/* Small things that several commands do with tasks named on the command line. */
#include "names.h"

#include <stdio.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "task_view.h"
#include "text.h"

int names_json(struct cli *cli, size_t from, json_t **out, struct error *err)
{
	bool given = from < cli->options.arg_count;
	_cleanup_free_ char *here = given ? NULL : cli_task_here(cli);
	_cleanup_json_ json_t *list = json_array();

	if (here || (cli->in_slot && !given)) /* null: the caller's own */
		json_array_append_new(list, json_text_or_null(here));
	for (size_t i = from; i < cli->options.arg_count; i++)
		if (json_array_append_new(list, json_string(cli->options.args[i])) < 0) {
			_cleanup_free_ char *shown = text_safe(cli->options.args[i], 40);

			return error_set(err, ERROR_NOT_FOUND, "%s: no task %s", cli->command->name,
			                 shown);
		}
	*out = json_incref(list);
	return 0;
}

json_t *names_params(const struct cli *cli, size_t at, const char *field)
{
	json_t *params = json_object();

	if (at < cli->options.arg_count) {
		_cleanup_free_ char *safe = text_safe(cli->options.args[at], 0);

		json_object_set_new(params, field, json_string(safe));
	}
	return params;
}

json_t *names_task(struct cli *cli, size_t at, const char *field)
{
	_cleanup_free_ char *here = at < cli->options.arg_count ? NULL : cli_task_here(cli);
	json_t *params = names_params(cli, at, field);

	if (here)
		json_object_set_new(params, field, json_text_or_null(here));
	return params;
}

/* Those of the list that are not known yet: once each. */
static void add_missing(json_t *missing, json_t *index, const json_t *ids)
{
	json_t *id;
	size_t i;
	char text[32];

	json_array_foreach (ids, i, id) {
		snprintf(text, sizeof text, "%lld", (long long)json_integer_value(id));
		if (!json_is_integer(id) || json_object_get(index, text))
			continue;
		json_object_set_new(index, text, json_null());
		json_array_append(missing, id);
	}
}

static void add_missing_of(json_t *missing, json_t *index, const json_t *task, bool all)
{
	if (all || task_is(task, "pending")) {
		add_missing(missing, index, json_object_get(task, "stuck_by"));
		add_missing(missing, index, json_object_get(task, "blocked_by"));
	}
	if (all || task_is_choice(task))
		add_missing(missing, index, json_object_get(task, "alternatives"));
	if (all)
		add_missing(missing, index, json_object_get(task, "blocks"));
}

int names_read_index(struct cli *cli, const json_t *tasks, bool all, json_t **index,
                     struct error *err)
{
	_cleanup_json_ json_t *known = task_index(tasks), *missing = json_array(), *result = NULL;
	_cleanup_json_ json_t *found = NULL;
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		add_missing_of(missing, known, task, all);
	if (json_array_size(missing) &&
	    cli_list_tasks(cli, json_pack("{s:O}", "ids", missing), true, &result, err) < 0)
		return -1;
	found = task_index(json_sub(result, "tasks"));
	json_object_update(known, found);
	*index = json_incref(known);
	return 0;
}

json_t *names_index(struct cli *cli, const json_t *tasks, bool all)
{
	struct error ignored = ERROR_INIT;
	json_t *index;

	if (names_read_index(cli, tasks, all, &index, &ignored) < 0)
		index = task_index(tasks);
	return index;
}

void names_print_task(struct cli *cli, const json_t *task, const json_t *index)
{
	_cleanup_json_ json_t *alone = json_pack("[O]", task);
	_cleanup_json_ json_t *made = index ? NULL : names_index(cli, alone, false);
	const json_t *among = index ? index : made;
	_cleanup_free_ char *story = task_story(task, among);
	struct task_mark mark = task_mark_among(task, among);
	struct line line;

	line_begin(&line, print_width(cli), cli->colored);
	line_addf(&line, mark.style, "%s ", mark.sign);
	line_addf(&line, STYLE_BOLD, "%s", json_text(task, "key"));
	line_addf(&line, STYLE_DIM, " (%lld)", (long long)json_int(task, "id", 0));
	/* A stuck or cancelled one's story begins with that word. */
	if (strncmp(story, mark.word, strlen(mark.word)) != 0)
		line_addf(&line, STYLE_PLAIN, "  %s", mark.word);
	if (*story)
		line_addf(&line, STYLE_DIM, "  %s", story);
	line_print(&line);
	line_finish(&line);
}
