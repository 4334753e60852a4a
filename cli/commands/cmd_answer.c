/* pleach answer: answers what waits for a person; without arguments, lists it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "prompt.h"
#include "task_view.h"
#include "text.h"

static int list(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *result = NULL;
	struct line line;
	json_t *task;
	size_t i;

	if (cli_ask(cli, "task.waiting", NULL, true, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (json_sub(result, "tasks"), i, task) {
		_cleanup_free_ char *story = task_story(task, NULL);
		char ago[48];

		print_ago(json_text(json_sub(task, "input"), "since"), ago);
		line_add(&line, STYLE_YELLOW, "! ");
		line_cell(&line, STYLE_BOLD, task_typed(task), 12);
		line_cell(&line, STYLE_DIM, ago, 10);
		line_add(&line, STYLE_PLAIN, story);
		line_print(&line);
	}
	line_finish(&line);
	if (!json_array_size(json_sub(result, "tasks")) && !cli->quiet)
		printf("nothing waits for a person\n");
	return 0;
}

/* "Bash: git push (1 Allow, 2 Deny)". Caller frees. */
static char *question_text(const char *question, const json_t *options)
{
	struct buf out = BUF_INIT;
	const json_t *option;
	size_t i;

	buf_add_str(&out, question ? question : "what is your answer?");
	json_array_foreach ((json_t *)options, i, option) {
		const char *name = json_text(option, "name");

		buf_printf(&out, "%s%zu %s", i ? ", " : " (", i + 1, name ? name : "?");
	}
	if (json_array_size(options))
		buf_add_str(&out, ")");
	return buf_take(&out);
}

/* The text from the arguments, or typed after the question was shown. */
static int read_answer(struct cli *cli, char **text, struct error *err)
{
	_cleanup_json_ json_t *task = NULL;
	_cleanup_free_ char *with_options = NULL, *budget = NULL;
	const char *question, *reason;

	*text = prompt_words(cli, 1);
	if (*text)
		return 0;
	if (cli_ask(cli, "task.show", names_params(cli, 0, "task"), true, &task, err) < 0)
		return -1;
	question = json_text(json_sub(task, "input"), "text");
	if (!task_is(task, "needs_input"))
		return error_set(err, ERROR_CONFLICT, "answer: %s asks nothing", task_typed(task));
	reason = json_text(json_sub(task, "input"), "reason");
	if (reason && strcmp(reason, "choice") == 0)
		return error_set(
		    err, ERROR_CONFLICT,
		    "answer: %s waits for a choice (pleach compare %s, pleach pick TASK)",
		    task_typed(task), task_typed(task));
	budget = task_budget_hint(task);
	if (budget)
		return error_set(err, ERROR_CONFLICT,
		                 "answer: %s waits for its budget, not for an answer (%s)",
		                 task_typed(task), budget);
	with_options = question_text(question, json_sub(json_sub(task, "input"), "options"));
	return prompt_ask(cli, with_options, text, err);
}

static int answer_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *task = NULL;
	json_t *params;

	if (!cli->options.arg_count)
		return list(cli, err);
	if (read_answer(cli, &text, err) < 0)
		return -1;
	if (!text_is_utf8(text, strlen(text)))
		return error_set(err, ERROR_INVALID, "answer: the text is not UTF-8");
	params = names_params(cli, 0, "task");
	json_object_set_new(params, "text", json_string(text));
	if (cli_ask(cli, "task.answer", params, false, &task, err) < 0)
		return -1;
	if (cli->json)
		return print_json(task);
	if (!cli->quiet)
		names_print_task(cli, task, NULL);
	return 0;
}

static const struct option no_options[] = {{0}};

const struct command command_answer = {
    .name = "answer",
    .aliases = "task answer",
    .usage = "[TASK [TEXT]]",
    .summary = "answer what waits for a person; alone, list it",
    .options = no_options,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = answer_exec,
};
