/* Small things that several commands do with tasks named on the command line. */
#include "names.h"

#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "task_view.h"
#include "text.h"

int names_json(const struct cli *cli, size_t from, json_t **out, struct error *err)
{
	_cleanup_json_ json_t *list = json_array();

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

static const json_t *find_task(void *others, json_int_t id)
{
	json_t *task;
	size_t i;

	json_array_foreach ((json_t *)others, i, task) {
		if (json_int(task, "id", 0) == id)
			return task;
	}
	return NULL;
}

void names_print_task(const struct cli *cli, const json_t *task, const json_t *others)
{
	_cleanup_free_ char *story = task_story(task, find_task, (void *)others);
	struct task_mark mark = task_mark_among(task, find_task, (void *)others);
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
