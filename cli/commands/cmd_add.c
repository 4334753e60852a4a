/* pleach add: one task more, in the plan adhoc or another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "proc.h"
#include "prompt.h"
#include "report.h"
#include "task_view.h"
#include "team_start.h"
#include "text.h"

static const struct option add_options[] = {
    {.name = "file",
     .letter = 'F',
     .value = "FILE",
     .help = "the prompt from a file (-: stdin)",
     .kind = KIND_FILE},
    {.name = "key", .value = "KEY", .help = "its name; without, one is made from the prompt"},
    {.name = "agent",
     .value = "NAME[/MODEL]",
     .help = "the agent that does it",
     .kind = KIND_AGENT},
    {.name = "blocked-by",
     .value = "TASK",
     .help = "waits for this task",
     .repeat = true,
     .kind = KIND_TASK},
    {.name = "verify", .value = "CMD", .help = "proves the result; none: nothing does"},
    {.name = "base", .value = "REV", .help = "where the work starts", .kind = KIND_BRANCH},
    {.name = "priority", .value = "N", .help = "higher first"},
    {.name = "when",
     .value = "WHEN",
     .help = "completed (default) or settled",
     .kind = KIND_WORDS,
     .words = "completed settled"},
    {.name = "timeout", .value = "DUR", .help = "time limit of an attempt"},
    {.name = "plan", .value = "NAME", .help = "the plan it belongs to (adhoc)", .kind = KIND_PLAN},
    {.name = "interactive", .letter = 'i', .help = "an interactive agent; attach at once"},
    {0}};

static int make_params(struct cli *cli, json_t **params, struct error *err)
{
	const char *agent = options_text(&cli->options, "agent");
	const char *agents[] = {agent, NULL};
	_cleanup_json_ json_t *notes = NULL;
	_cleanup_free_ char *prompt = NULL;
	struct plan_context context;
	struct plan_task_options options = {
	    .command = cli->command->name,
	    .key = options_text(&cli->options, "key"),
	    .agents = agents,
	    .copies = 1,
	    .verify = options_text(&cli->options, "verify"),
	    .when = options_text(&cli->options, "when"),
	    .timeout = options_text(&cli->options, "timeout"),
	    .priority = options_text(&cli->options, "priority"),
	    .interactive = options_flag(&cli->options, "interactive"),
	};

	if (prompt_read(cli, 0, false, &prompt, err) < 0 ||
	    team_plan_context(cli, &context, err) < 0)
		return -1;
	options.prompt = prompt;
	if (plan_task_make(&context, &options, params, &notes, err) < 0)
		return -1;
	report_warnings(cli, json_sub(notes, "warnings"));
	return 0;
}

static void add_names(const struct cli *cli, json_t *params)
{
	_cleanup_free_ const char **blockers = options_list(&cli->options, "blocked-by");
	const char *base = options_text(&cli->options, "base");
	const char *plan = options_text(&cli->options, "plan");
	json_t *list = json_array();
	char nonce[33];

	for (size_t i = 0; blockers[i]; i++)
		json_array_append_new(list, json_text_or_null(blockers[i]));
	json_object_set_new(params, "blocked_by", list);
	if (base)
		json_object_set_new(params, "base", json_text_or_null(base));
	if (plan)
		json_object_set_new(params, "plan", json_text_or_null(plan));
	text_random_hex(nonce, 16);
	json_object_set_new(params, "nonce", json_string(nonce));
}

/* ---- -i ---- */

/* Somebody idle, or one teammate more. */
static int start_teammate(struct cli *cli, const json_t *params, struct error *err)
{
	_cleanup_json_ json_t *team = NULL, *result = NULL;
	struct team_start start = {.profiles = json_sub(params, "agents")};
	_cleanup_free_ char *tmux = proc_find_program("tmux", NULL);
	const json_t *teammates;
	json_t *teammate;
	size_t i;

	if (cli_ask(cli, "team.list", NULL, true, &team, err) < 0)
		return -1;
	teammates = json_sub(team, "teammates");
	start.size = (long)json_array_size(teammates) + 1;
	start.headless = !tmux;
	json_array_foreach (teammates, i, teammate) {
		const char *state = json_text(teammate, "state");

		if (state && strcmp(state, "idle") == 0)
			start.size = (long)json_array_size(teammates);
	}
	return team_start(cli, &start, &result, err);
}

static void print_added(struct cli *cli, const json_t *task)
{
	const char *branch = json_text(task, "branch");
	_cleanup_json_ json_t *team = NULL;

	if (cli->json) {
		print_json(task);
		return;
	}
	printf("%lld  %s", (long long)json_int(task, "id", 0), json_text(task, "key"));
	if (branch) {
		_cleanup_free_ char *shown = text_safe(branch, 0);

		printf("  %s", shown);
	}
	putchar('\n');
	if (!cli->in_slot && !cli->quiet && !options_flag(&cli->options, "interactive") &&
	    cli_ask(cli, "team.list", NULL, true, &team, NULL) == 0 &&
	    !json_array_size(json_sub(team, "teammates")))
		report_note(cli, "no teammate is there to do it (pleach up)");
}

static int add_exec(struct cli *cli, struct error *err)
{
	bool interactive = options_flag(&cli->options, "interactive");
	_cleanup_json_ json_t *params = NULL, *task = NULL;

	if (interactive && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return error_set(err, ERROR_INVALID, "add: -i needs a terminal");
	if (make_params(cli, &params, err) < 0 ||
	    team_check_agents(cli, json_sub(params, "agents"), NULL, json_sub(params, "secrets"),
	                      err) < 0)
		return -1;
	add_names(cli, params);
	cli_stand_here(cli, params);
	if (cli_ask(cli, "task.add", json_incref(params), true, &task, err) < 0)
		return -1;
	print_added(cli, task);
	if (!interactive)
		return 0;
	fflush(stdout);
	if (start_teammate(cli, params, err) < 0)
		return -1;
	return attach_task(cli, json_int(task, "id", 0), err);
}

const struct command command_add = {
    .name = "add",
    .aliases = "task add",
    .usage = "[PROMPT] [-F FILE] [--key K] [--agent A] [--blocked-by T]… [OPTION…]",
    .summary = "one task more; prints id, key and branch",
    .options = add_options,
    .most_args = ARGS_ANY,
    .exec = add_exec,
};
