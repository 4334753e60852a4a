/* pleach run: reads a plan, checks what can be checked without changing anything, submits it,
 * starts the team, follows it to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "follow.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "report.h"
#include "run_plan.h"
#include "task_view.h"
#include "team_start.h"
#include "text.h"

static const struct option run_options[] = {
    FOLLOW_OPTIONS,
    {.name = "dry-run", .help = "say what would happen; nothing is stored or started"},
    {.name = "retry", .help = "failed and cancelled tasks are tried again"},
    {.name = "redo",
     .value = "KEY",
     .help = "run a completed task again",
     .repeat = true,
     .kind = KIND_TASK},
    {.name = "prune", .help = "cancel tasks that the plan no longer has"},
    {.name = "name", .value = "N", .help = "the plan's name, instead of the file's"},
    {0}};

struct run_job {
	struct cli *cli;
	json_t *plan, *secrets, *keys;
	json_t *submitted; /* result of plan.submit */
	json_t *team;      /* result of team.up, or NULL */
	bool headless;
};

/* The plan's file: the first argument when it looks like one, else pleach.yaml, here or at the
 * top of the repository. Caller frees. */
static char *plan_file(const struct cli *cli, size_t *first_key)
{
	const char *first = cli->options.arg_count ? cli->options.args[0] : NULL;

	*first_key = 0;
	if (first && run_is_plan_file(first)) {
		*first_key = 1;
		return xstrdup(first);
	}
	if (access("pleach.yaml", F_OK) == 0 || cli->place.bare)
		return xstrdup("pleach.yaml");
	return xasprintf("%s/pleach.yaml", cli->place.root);
}

/* Only a pleach.yaml without tasks holds defaults for other plans. */
static void tell_left_out(struct run_job *job, const char *plan)
{
	const char *file = json_text(job->plan, "left_out");

	if (file && !job->cli->json)
		report_note(job->cli, "%s has tasks of its own: its defaults are not taken for %s",
		            file, strcmp(plan, "-") == 0 ? "stdin" : plan);
	json_object_del(job->plan, "left_out");
}

static int read_plan(struct run_job *job, struct error *err)
{
	struct cli *cli = job->cli;
	_cleanup_json_ json_t *warnings = NULL;
	_cleanup_free_ char *file = NULL;
	struct plan_context context;
	size_t first_key;
	long team;

	if (team_plan_context(cli, &context, err) < 0 ||
	    options_number(&cli->options, "team", 1, 0, &team, err) < 0 ||
	    team_check_size(team, err) < 0)
		return -1;
	context.name = options_text(&cli->options, "name");
	context.team = (int)team;
	file = plan_file(cli, &first_key);
	if (!first_key && access(file, F_OK) < 0)
		return error_set(err, ERROR_INVALID,
		                 "pleach.yaml:1:1: no such file (pleach init writes one)");
	if (plan_read(file, &context, &job->plan, &job->secrets, &warnings, err) < 0)
		return -1;
	report_warnings(cli, warnings);
	tell_left_out(job, file);
	cli_stand_here(cli, job->plan);
	job->keys = json_array();
	for (size_t i = first_key; i < cli->options.arg_count; i++)
		if (json_array_append_new(job->keys, json_string(cli->options.args[i])) < 0)
			return error_set(err, ERROR_NOT_FOUND, "run: no such task");
	return run_check_keys(job->plan, job->keys, err);
}

static json_t *submit_params(const struct run_job *job, bool dry_run)
{
	const struct options *options = &job->cli->options;
	_cleanup_free_ const char **redo = options_list(options, "redo");
	json_t *list = json_array();

	for (size_t i = 0; redo[i]; i++)
		json_array_append_new(list, json_text_or_null(redo[i]));
	return json_pack("{s:O, s:O, s:b, s:o, s:b, s:O, s:b}", "plan", job->plan, "secrets",
	                 job->secrets, "retry", options_flag(options, "retry"), "redo", list,
	                 "prune", options_flag(options, "prune"), "keys", job->keys, "dry_run",
	                 dry_run);
}

/* ---- --dry-run ---- */

static void print_list(const char *what, const json_t *keys)
{
	json_t *key;
	size_t i;

	json_array_foreach (keys, i, key) {
		_cleanup_free_ char *shown = text_safe(json_string_value(key), 80);

		printf("%s%s", i ? ", " : what, shown);
	}
	if (json_array_size(keys))
		putchar('\n');
}

/* Nothing is started for it: a coordinator that runs already says what it would keep. */
static void add_base(json_t *revs, json_t *places, const json_t *of)
{
	if (!json_text(of, "base"))
		return;
	json_array_append(revs, json_object_get(of, "base"));
	json_array_append_new(places, json_text_or_null(json_text(of, "base_at")));
}

/* What a coordinator would look up of the repository, where none runs: bases and target. */
static int look_up(struct run_job *job, struct error *err)
{
	_cleanup_json_ json_t *places = json_array(), *result = NULL;
	const char *target = json_text(job->plan, "target"), *at;
	json_t *revs = json_array(), *item;
	size_t i;

	add_base(revs, places, job->plan);
	json_array_foreach (json_sub(job->plan, "tasks"), i, item)
		add_base(revs, places, item);
	if (!json_array_size(revs) && !target) {
		json_decref(revs);
		return 0;
	}
	if (cli_git(job->cli, "resolve",
	            json_pack("{s:o, s:[s*]}", "revs", revs, "branches", target), &result, err) < 0)
		return -1;
	json_array_foreach (json_sub(result, "commits"), i, item) {
		at = json_string_value(json_array_get(places, i));
		if (!json_text(item, "commit"))
			return error_set(
			    err, ERROR_INVALID,
			    "%s: base: %s is no commit of this repository (a branch, a "
			    "tag or a commit)",
			    at ? at : "base", json_text(item, "rev"));
	}
	item = json_array_get(json_sub(result, "branches"), 0);
	at = json_text(job->plan, "target_at");
	if (target && !json_text(item, "commit"))
		return error_set(err, ERROR_INVALID,
		                 "%s: target: %s is no branch of this repository",
		                 at ? at : "target", target);
	return 0;
}

static int dry_run(struct run_job *job, struct error *err)
{
	_cleanup_json_ json_t *order = run_order(job->plan, job->keys), *result = NULL,
	                      *answer = NULL;
	int running = cli_connect_running(job->cli, err);

	if (running < 0 || (!running && look_up(job, err) < 0) ||
	    (running && rpc_client_ask(job->cli->client, "plan.submit", submit_params(job, true),
	                               true, &result, err) < 0))
		return -1;
	if (job->cli->json) {
		answer = json_pack("{s:O, s:O}", "plan", json_object_get(job->plan, "name"),
		                   "order", order);
		json_object_update_missing(answer, result);
		return print_json(answer);
	}
	run_print_order(job->cli, job->plan, order);
	report_warnings(job->cli, json_sub(result, "warnings"));
	print_list("new: ", json_sub(result, "created"));
	print_list("changed: ", json_sub(result, "updated"));
	print_list("kept as they are: ", json_sub(result, "kept"));
	print_list("tried again: ", json_sub(result, "retried"));
	print_list("no longer in the plan: ", json_sub(result, "removed"));
	return 0;
}

/* ---- for real ---- */

/* Agents and tmux, before anything is stored or started. */
static int check_surroundings(struct run_job *job, struct error *err)
{
	_cleanup_json_ json_t *used = run_used_agents(job->plan, job->keys);

	if (team_check_tmux(job->cli, job->headless, err) < 0)
		return -1;
	return team_check_agents(job->cli, json_sub(job->plan, "agents"), used, job->secrets, err);
}

/* Tasks that the plan no longer has, and what becomes of them. */
static void tell_removed(const struct run_job *job)
{
	const json_t *removed = json_sub(job->submitted, "removed");
	size_t ended = json_array_size(json_sub(job->submitted, "ended"));
	size_t n = json_array_size(removed);
	_cleanup_free_ char *first = NULL;
	const char *fate;

	if (!n)
		return;
	if (ended == n)
		fate = n == 1 ? "kept, for it has ended" : "kept, for they have ended";
	else if (options_flag(&job->cli->options, "prune"))
		fate = ended ? "cancelled, but for what had ended" : "cancelled";
	else
		fate = ended ? "kept (--prune cancels what has not ended)"
		             : "kept (--prune cancels them)";
	first = text_safe(json_string_value(json_array_get(removed, 0)), 80);
	report_note(job->cli, "%zu task%s no longer in the plan: %s%s: %s", n,
	            n == 1 ? " is" : "s are", first, n > 1 ? " …" : "", fate);
}

static int submit(struct run_job *job, struct error *err)
{
	if (cli_ask(job->cli, "plan.submit", submit_params(job, false), true, &job->submitted,
	            err) < 0)
		return -1;
	report_warnings(job->cli, json_sub(job->submitted, "warnings"));
	tell_removed(job);
	return 0;
}

/* How many teammates its tasks are worth. A plan that is all new answers that by itself. */
static int default_size(struct run_job *job, long *size, struct error *err)
{
	const json_t *ids = json_object_get(job->submitted, "ids");
	_cleanup_json_ json_t *tasks = NULL;

	if (json_array_size(json_object_get(job->submitted, "created")) == json_array_size(ids) &&
	    json_array_size(ids)) {
		*size = run_default_size(job->plan, job->keys);
		return 0;
	}
	if (cli_list_tasks(
	        job->cli,
	        json_pack("{s:O, s:[s, s]}", "ids", ids, "status", "pending", "in_progress"), true,
	        &tasks, err) < 0)
		return -1;
	*size = team_default_size(json_sub(tasks, "tasks"));
	return 0;
}

static int start_team(struct run_job *job, struct error *err)
{
	const json_t *team = json_sub(job->plan, "team");
	struct team_start start = {.size = (long)json_int(team, "size", 0),
	                           .teammates = json_sub(team, "teammates"),
	                           .profiles = json_sub(job->plan, "agents"),
	                           .keys = json_sub(job->plan, "keys"),
	                           .headless = job->headless};
	long wanted;

	if (default_size(job, &wanted, err) < 0)
		return -1;
	if (!wanted)
		return 0; /* all is settled or waits for a person */
	if (!start.size && !json_array_size(start.teammates))
		start.size = wanted;
	return team_start(job->cli, &start, &job->team, err);
}

/* What came that way is gone. */
static bool from_stdin(const struct cli *cli)
{
	return cli->options.arg_count && strcmp(cli->options.args[0], "-") == 0;
}

/* The command that watches this run again. Caller frees. */
static char *typed_again(const struct cli *cli)
{
	const char *name = options_text(&cli->options, "name");
	struct buf out = BUF_INIT;

	if (from_stdin(cli)) {
		buf_add_str(&out, "status");
		return buf_take(&out);
	}
	buf_add_str(&out, "run");
	for (size_t i = 0; i < cli->options.arg_count; i++)
		buf_printf(&out, " %s", cli->options.args[i]);
	if (name)
		buf_printf(&out, " --name %s", name);
	return buf_take(&out);
}

static int tell_detached(const struct run_job *job, const char *again)
{
	size_t n = json_array_size(json_object_get(job->submitted, "ids"));
	const char *plan = json_text(job->submitted, "plan");

	if (job->cli->json)
		return print_json(job->submitted);
	if (!job->cli->quiet) {
		_cleanup_free_ char *watch = from_stdin(job->cli)
		                                 ? xstrdup("")
		                                 : xasprintf("pleach %s (to return), ", again);
		_cleanup_free_ char *shown = text_safe(watch, 0);

		printf("%s: %zu task%s submitted; pleach status (to look), %spleach down (to "
		       "stop)\n",
		       plan, n, n == 1 ? "" : "s", shown);
	}
	return 0;
}

static int run_exec(struct cli *cli, struct error *err)
{
	/* The process ends with it: freeing a large plan takes longer than that. */
	static struct run_job job;
	_cleanup_json_ json_t *tasks = NULL;
	_cleanup_free_ char *again = typed_again(cli);
	struct follow follow = {.again = again, .go_on = from_stdin(cli) ? "up" : NULL};
	int signals;

	job.cli = cli;
	job.headless = options_flag(&cli->options, "headless");
	if (follow_read_options(cli, &follow, err) < 0 || read_plan(&job, err) < 0)
		return -1;
	if (options_flag(&cli->options, "dry-run"))
		return dry_run(&job, err);
	if (check_surroundings(&job, err) < 0)
		return -1;
	signals = follow_catch_signals();
	/* Who reads events gets those of the submit, too. */
	if ((cli->json && cli_last_event(cli, &follow.since, err) < 0) || submit(&job, err) < 0 ||
	    start_team(&job, err) < 0)
		return -1;
	if (options_flag(&cli->options, "detach"))
		return tell_detached(&job, again);
	follow.plan = follow.of = json_text(job.submitted, "plan");
	follow.base = json_text(job.plan, "base");
	follow.ids = json_object_get(job.submitted, "ids");
	follow.lands = json_flag(json_sub(job.plan, "landing"), "auto");
	follow.started = json_object_get(job.team, "started");
	if (!cli->json)
		follow.since = json_int(job.submitted, "seq", 0);
	return follow_run(cli, &follow, signals, &tasks, err);
}

const struct command command_run = {
    .name = "run",
    .usage = "[PLAN] [KEY…] [OPTION…]",
    .summary = "do the tasks of a plan (pleach.yaml; - is stdin)",
    .options = run_options,
    .most_args = ARGS_ANY,
    .args = KIND_FILE,
    .exec = run_exec,
};
