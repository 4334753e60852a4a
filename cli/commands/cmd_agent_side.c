/* pleach done, ask, progress: what an agent types in its pane, or its script runs. The
 * connection speaks as the attempt whose token is in the environment. */
#include <stdio.h>
#include <stdlib.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "prompt.h"

static int check_slot(const struct cli *cli, struct error *err)
{
	if (cli->in_slot)
		return 0;
	return error_set(err, ERROR_INVALID,
	                 "%s: this is for agents in their pane (outside: task stop, answer, send)",
	                 cli->command->name);
}

static int done_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *task = NULL;

	if (check_slot(cli, err) < 0 || cli_ask(cli, "agent.done", NULL, true, &task, err) < 0)
		return -1;
	if (cli->json)
		return print_json(task);
	if (!cli->quiet)
		printf("the result is proven now\n");
	return 0;
}

static int ask_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *result = NULL;

	if (check_slot(cli, err) < 0)
		return -1;
	text = prompt_words(cli, 0);
	if (cli_ask(cli, "agent.ask", json_pack("{s:o}", "text", json_text_or_null(text)), true,
	            &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	/* The asker is a program: it gets the answer as it was given. */
	printf("%s\n", json_text(result, "answer") ? json_text(result, "answer") : "");
	return 0;
}

static int progress_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *result = NULL;

	if (check_slot(cli, err) < 0)
		return -1;
	text = prompt_words(cli, 0);
	if (cli_ask(cli, "agent.progress", json_pack("{s:o}", "text", json_text_or_null(text)),
	            true, &result, err) < 0)
		return -1;
	return cli->json ? print_json(result) : 0;
}

static const struct option no_options[] = {{0}};

const struct command command_done = {
    .name = "done",
    .usage = "",
    .summary = "in a pane: the task is done, prove the result",
    .options = no_options,
    .exec = done_exec,
};

const struct command command_ask = {
    .name = "ask",
    .usage = "TEXT",
    .summary = "in a pane: ask a person, print the answer",
    .options = no_options,
    .least_args = 1,
    .most_args = ARGS_ANY,
    .exec = ask_exec,
};

const struct command command_progress = {
    .name = "progress",
    .usage = "TEXT",
    .summary = "in a pane: say what is being done",
    .options = no_options,
    .least_args = 1,
    .most_args = ARGS_ANY,
    .exec = progress_exec,
};
