/* pleach try: alternatives of one task, side by side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare_view.h"
#include "connect.h"
#include "follow.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "prompt.h"
#include "report.h"
#include "task_view.h"
#include "team_start.h"
#include "text.h"

static const struct option try_options[] = {
    {.name = "file",
     .letter = 'F',
     .value = "FILE",
     .help = "the prompt from a file (-: stdin)",
     .kind = KIND_FILE},
    {.name = "copies", .letter = 'n', .value = "N", .help = "alternatives per agent"},
    {.name = "agent",
     .value = "NAME[/MODEL]",
     .help = "an agent that tries",
     .repeat = true,
     .kind = KIND_AGENT},
    {.name = "verify", .value = "CMD", .help = "proves a result; none: nothing does"},
    {.name = "choose",
     .value = "HOW",
     .help = "manual (default), first or best",
     .kind = KIND_WORDS,
     .words = "manual first best"},
    {.name = "more",
     .value = "TASK",
     .help = "more alternatives of that task, from the same base",
     .kind = KIND_TASK},
    {.name = "with-changes", .help = "start from your uncommitted work, too"},
    FOLLOW_OPTIONS,
    {0}};

struct try_job {
	struct cli *cli;
	json_t *params, *notes, *task, *ids, *team;
	size_t earlier; /* alternatives that were there before */
	bool headless;
};

static void job_finish(struct try_job *job)
{
	json_decref(job->params);
	json_decref(job->notes);
	json_decref(job->task);
	json_decref(job->ids);
	json_decref(job->team);
}
#define _cleanup_job_ __attribute__((cleanup(job_finish)))

static int make_task(struct try_job *job, struct error *err)
{
	struct cli *cli = job->cli;
	_cleanup_free_ const char **agents = options_list(&cli->options, "agent");
	_cleanup_free_ char *prompt = NULL;
	struct plan_task_options options = {.command = cli->command->name, .detect = true};
	struct plan_context context;
	long copies;

	if (prompt_read(cli, 0, true, &prompt, err) < 0 ||
	    options_number(&cli->options, "copies", 1, 1, &copies, err) < 0 ||
	    team_plan_context(cli, &context, err) < 0)
		return -1;
	if (copies > PLAN_ALTERNATIVES_MAX)
		return error_set(err, ERROR_INVALID, "try: at most %d alternatives",
		                 PLAN_ALTERNATIVES_MAX);
	options.prompt = prompt;
	options.agents = agents;
	options.copies = (int)copies;
	options.verify = options_text(&cli->options, "verify");
	options.choose = options_text(&cli->options, "choose");
	return plan_task_make(&context, &options, &job->params, &job->notes, err);
}

/* What nobody configured is said before anything is done with it. */
static void print_found(const struct try_job *job)
{
	const char *agent = json_text(job->notes, "agent");
	const json_t *verify = json_object_get(job->notes, "verify");
	_cleanup_free_ char *argv = json_is_array(verify) ? jsonl_text(verify) : NULL;
	const char *shown = argv ? argv : json_string_value(verify);
	FILE *out = job->cli->json ? stderr : stdout;

	report_warnings(job->cli, json_sub(job->notes, "warnings"));
	if (job->cli->quiet)
		return;
	if (json_flag(job->notes, "agent_found") && agent) {
		_cleanup_free_ char *safe = text_safe(agent, 80);

		fprintf(out, "agent: %s (the first that is installed)\n", safe);
	}
	if (json_flag(job->notes, "verify_found") && shown) {
		_cleanup_free_ char *safe = text_safe(shown, 200);

		fprintf(out, "verify: %s (the first test command found)\n", safe);
	} else if (!shown) {
		fprintf(out, "verify: none (--verify CMD proves results)\n");
	}
	fflush(out);
}

/* A commit of the files as they are, untracked ones included; index and branch stay. */
static int add_base(struct try_job *job, struct error *err)
{
	_cleanup_json_ json_t *answer = NULL;

	if (!options_flag(&job->cli->options, "with-changes"))
		return 0;
	if (!job->cli->place.worktree)
		return error_set(err, ERROR_INVALID, "try: a bare repository has no changes");
	if (cli_git(job->cli, "worktree_commit",
	            json_pack("{s:o}", "dir", json_text_or_null(job->cli->place.worktree)), &answer,
	            err) < 0)
		return -1;
	json_object_set(job->params, "base", json_object_get(answer, "commit"));
	return 0;
}

/* The task, then its alternatives. */
static void read_ids(struct try_job *job)
{
	json_t *id;
	size_t i;

	job->ids = json_array();
	json_array_append(job->ids, json_object_get(job->task, "id"));
	json_array_foreach (json_object_get(job->task, "alternatives"), i, id)
		json_array_append(job->ids, id);
}

static int add_task(struct try_job *job, int64_t *since, struct error *err)
{
	char nonce[33];

	if (cli_last_event(job->cli, since, err) < 0)
		return -1;
	text_random_hex(nonce, 16);
	json_object_set_new(job->params, "nonce", json_string(nonce));
	cli_stand_here(job->cli, job->params);
	if (cli_ask(job->cli, "task.add", json_incref(job->params), true, &job->task, err) < 0)
		return -1;
	read_ids(job);
	return 0;
}

/* ---- --more ---- */

/* The agents that were named, as task.more wants them. */
static json_t *named_agents(const json_t *params)
{
	const json_t *alternatives = json_sub(params, "alternatives");
	size_t n = json_array_size(alternatives);
	json_t *list = json_array();

	for (size_t i = 0; i < (n ? n : 1); i++) {
		const json_t *task = n ? json_array_get(alternatives, i) : json_sub(params, "task");

		json_array_append_new(list, json_pack("{s:O?, s:O?}", "name",
		                                      json_object_get(task, "agent"), "model",
		                                      json_object_get(task, "model")));
	}
	return list;
}

/* Agents that the choice does not have are read from the configuration, as for any task. */
static int read_agents(struct try_job *job, json_t *params, struct error *err)
{
	_cleanup_free_ const char **agents = options_list(&job->cli->options, "agent");
	struct plan_task_options options = {
	    .command = "try", .prompt = "more", .agents = agents, .verify = "none"};
	struct plan_context context;

	if (!agents || !agents[0])
		return 0;
	if (team_plan_context(job->cli, &context, err) < 0 ||
	    plan_task_make(&context, &options, &job->params, &job->notes, err) < 0 ||
	    team_check_agents(job->cli, json_sub(job->params, "agents"), NULL,
	                      json_sub(job->params, "secrets"), err) < 0)
		return -1;
	json_object_set_new(params, "agents", named_agents(job->params));
	json_object_set(params, "profiles", json_sub(job->params, "agents"));
	json_object_set(params, "secrets", json_sub(job->params, "secrets"));
	return 0;
}

/* The task that the alternatives join, as it is before they do. */
static int show_before(struct cli *cli, const char *name, json_t **before, struct error *err)
{
	_cleanup_json_ json_t *task = NULL;
	json_int_t parent;

	if (cli_ask(cli, "task.show", json_pack("{s:s}", "task", name), true, &task, err) < 0)
		return -1;
	parent = json_int(task, "parent", 0);
	if (parent)
		return cli_ask(cli, "task.show",
		               json_pack("{s:o}", "task", json_sprintf("%lld", (long long)parent)),
		               true, before, err);
	*before = json_incref(task);
	return 0;
}

/* What started from a result that is open again keeps it: nobody is to find that out later. */
static int warn_of_dependents(struct cli *cli, const json_t *before, struct error *err)
{
	const json_t *blocks = json_sub(before, "blocks");
	_cleanup_json_ json_t *answer = NULL, *warnings = json_array();
	const char *status = json_text(before, "status");
	json_t *task;
	size_t i;

	if (!status || strcmp(status, "completed") != 0 || !json_array_size(blocks))
		return 0;
	if (cli_ask(cli, "task.list", json_pack("{s:O, s:b}", "ids", blocks, "brief", 1), true,
	            &answer, err) < 0)
		return -1;
	json_array_foreach (json_sub(answer, "tasks"), i, task)
		if (json_int(task, "attempts", 0))
			json_array_append_new(
			    warnings,
			    json_sprintf(
			        "%s started from the result of %s and keeps that, whatever is "
			        "picked now (pleach run --redo %s)",
			        json_text(task, "key"), json_text(before, "key"),
			        task_typed(task)));
	report_warnings(cli, warnings);
	return 0;
}

/* Those that are there, the result of a plain task among them. */
static size_t count_earlier(const json_t *before)
{
	const char *kind = json_text(before, "kind");

	return kind && strcmp(kind, "work") == 0
	           ? 1
	           : json_array_size(json_sub(before, "alternatives"));
}

static int add_more(struct try_job *job, const char *name, int64_t *since, struct error *err)
{
	static const char *const others[] = {"verify", "choose"};
	_cleanup_json_ json_t *params = NULL, *before = NULL;
	_cleanup_free_ char *prompt = NULL;
	char nonce[33];
	long copies;

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (options_text(&job->cli->options, others[i]))
			return error_set(err, ERROR_INVALID,
			                 "try: --%s with --more (alternatives share their task's)",
			                 others[i]);
	if (options_flag(&job->cli->options, "with-changes"))
		return error_set(err, ERROR_INVALID,
		                 "try: --with-changes with --more (alternatives share their base)");
	if (prompt_read(job->cli, 0, false, &prompt, err) < 0 ||
	    options_number(&job->cli->options, "copies", 1, 1, &copies, err) < 0)
		return -1;
	text_random_hex(nonce, 16);
	params = json_pack("{s:s, s:i, s:s?, s:s}", "task", name, "copies", (int)copies, "prompt",
	                   prompt, "nonce", nonce);
	if (!params)
		return error_set(err, ERROR_INVALID, "try: the prompt is not UTF-8 text");
	if (read_agents(job, params, err) < 0 || cli_last_event(job->cli, since, err) < 0 ||
	    show_before(job->cli, name, &before, err) < 0 ||
	    cli_ask(job->cli, "task.more", json_incref(params), true, &job->task, err) < 0 ||
	    warn_of_dependents(job->cli, before, err) < 0)
		return -1;
	job->earlier = count_earlier(before);
	read_ids(job);
	return 0;
}

static int start_team(struct try_job *job, struct error *err)
{
	size_t alternatives = json_array_size(job->ids) - 1 - job->earlier;
	struct team_start start = {.profiles = json_sub(job->params, "agents"),
	                           .headless = job->headless};

	if (options_number(&job->cli->options, "team", 1, 0, &start.size, err) < 0)
		return -1;
	if (!start.size)
		start.size = alternatives > 4 ? 4 : alternatives ? (long)alternatives : 1;
	return team_start(job->cli, &start, &job->team, err);
}

/* The table, and what to type: after the screen, where there was something to compare. */
static int show_comparison(struct try_job *job, struct error *err)
{
	_cleanup_json_ json_t *comparison = NULL;

	if (job->cli->json || job->cli->quiet || json_array_size(job->ids) < 2)
		return 0;
	if (cli_ask(job->cli, "task.compare",
	            json_pack("{s:[o]}", "tasks",
	                      json_sprintf("%lld", (long long)json_int(job->task, "id", 0))),
	            true, &comparison, err) < 0)
		return -1;
	putchar('\n');
	return compare_print(job->cli, comparison, err);
}

static int tell_detached(const struct try_job *job)
{
	if (job->cli->json)
		return print_json(job->task);
	if (!job->cli->quiet)
		printf("%s: pleach status (to look), pleach wait %s, pleach compare %s\n",
		       json_text(job->task, "key"), task_typed(job->task), task_typed(job->task));
	return 0;
}

/* What is to be tried is stored; nothing was started but what stores it. */
static int store_job(struct try_job *job, struct follow *follow, int *signals, struct error *err)
{
	const char *more = options_text(&job->cli->options, "more");

	if (!more) {
		if (make_task(job, err) < 0)
			return -1;
		print_found(job);
	}
	if (team_check_tmux(job->cli, job->headless, err) < 0)
		return -1;
	if (!more && (team_check_agents(job->cli, json_sub(job->params, "agents"), NULL,
	                                json_sub(job->params, "secrets"), err) < 0 ||
	              add_base(job, err) < 0))
		return -1;
	*signals = follow_catch_signals();
	return more ? add_more(job, more, &follow->since, err) : add_task(job, &follow->since, err);
}

static int try_exec(struct cli *cli, struct error *err)
{
	_cleanup_job_ struct try_job job = {.cli = cli};
	_cleanup_json_ json_t *tasks = NULL;
	_cleanup_free_ char *again = NULL;
	struct follow follow = {.plan = NULL};
	int signals = -1, status;

	job.headless = options_flag(&cli->options, "headless");
	if (follow_read_options(cli, &follow, err) < 0 ||
	    store_job(&job, &follow, &signals, err) < 0 || start_team(&job, err) < 0)
		return -1;
	if (options_flag(&cli->options, "detach"))
		return tell_detached(&job);
	follow.plan = json_text(job.task, "key");
	follow.of = json_text(job.task, "plan");
	again = xasprintf("wait %s", task_typed(job.task));
	follow.again = again;
	follow.go_on = "up"; /* who only waits starts nothing */
	follow.ids = job.ids;
	follow.started = json_object_get(job.team, "started");
	status = follow_run(cli, &follow, signals, &tasks, err);
	if (status < 0 || !tasks)
		return status;
	return show_comparison(&job, err) < 0 ? -1 : status;
}

const struct command command_try = {
    .name = "try",
    .usage = "[PROMPT] [-F FILE] [-n N] [--agent NAME[/MODEL]]… [--verify CMD|none] [--more TASK] "
             "[OPTION…]",
    .summary = "let several agents, or one several times, try the same task",
    .options = try_options,
    .most_args = ARGS_ANY,
    .exec = try_exec,
};
