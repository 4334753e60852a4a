/* pleach up and down: the team and its coordinator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "report.h"
#include "team_start.h"
#include "text.h"

static const struct option up_options[] = {
    {.name = "team", .value = "N", .help = "that many teammates"},
    {.name = "headless", .help = "without tmux panes"},
    {0}};

/* What pleach.yaml says of the team. */
static int read_defaults(struct cli *cli, int team, json_t **defaults, json_t **secrets,
                         struct error *err)
{
	_cleanup_json_ json_t *warnings = NULL;
	struct plan_context context;

	if (team_plan_context(cli, &context, err) < 0)
		return -1;
	context.team = team;
	if (plan_defaults_read(&context, defaults, secrets, &warnings, err) < 0)
		return -1;
	report_warnings(cli, warnings);
	return 0;
}

/* The agents that teammates are tied to. New reference. */
static json_t *used_agents(const json_t *teammates)
{
	json_t *used = json_object(), *teammate;
	size_t i;

	json_array_foreach (teammates, i, teammate) {
		if (json_text(teammate, "agent"))
			json_object_set_new(used, json_text(teammate, "agent"), json_true());
	}
	return used;
}

/* min(4, ready tasks), and at least one. */
static int default_size(struct cli *cli, long *size, struct error *err)
{
	_cleanup_json_ json_t *result = NULL;

	if (cli_list_tasks(cli, json_pack("{s:[s, s]}", "status", "pending", "in_progress"), true,
	                   &result, err) < 0)
		return -1;
	*size = team_default_size(json_sub(result, "tasks"));
	if (*size < 1)
		*size = 1;
	return 0;
}

static void print_up(const struct cli *cli, const json_t *result, long asked)
{
	size_t n = json_array_size(json_object_get(result, "teammates"));
	json_t *teammate;
	size_t i;

	if (cli->quiet)
		return;
	printf("team of %zu:", n);
	json_array_foreach (json_sub(result, "teammates"), i, teammate) {
		_cleanup_free_ char *name = text_safe(json_text(teammate, "name"), 40);

		printf(" %s", name);
	}
	if (asked && (size_t)asked < n) /* who works is not sent away */
		printf("\nmore than %ld were there already (pleach team remove NAME)", asked);
	printf("\npleach attach (to look) · pleach status · pleach down (to stop)\n");
}

static int up_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *defaults = NULL, *secrets = NULL, *used = NULL, *result = NULL;
	struct team_start start = {.headless = options_flag(&cli->options, "headless"),
	                           .accept = true};
	const json_t *team;
	long asked;

	if (options_number(&cli->options, "team", 1, 0, &asked, err) < 0 ||
	    team_check_size(asked, err) < 0 || team_check_tmux(cli, start.headless, err) < 0 ||
	    read_defaults(cli, (int)asked, &defaults, &secrets, err) < 0)
		return -1;
	team = json_sub(defaults, "team");
	start.size = asked ? asked : (long)json_int(team, "size", 0);
	start.teammates = asked ? NULL : json_sub(team, "teammates");
	start.profiles = json_sub(defaults, "agents");
	start.keys = json_sub(defaults, "keys");
	start.budget_day = json_sub(defaults, "budget_day");
	used = used_agents(start.teammates);
	if (team_check_agents(cli, start.profiles, used, secrets, err) < 0)
		return -1;
	if (!start.size && !json_array_size(start.teammates) &&
	    default_size(cli, &start.size, err) < 0)
		return -1;
	if (team_start(cli, &start, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	print_up(cli, result, asked);
	return 0;
}

const struct command command_up = {
    .name = "up",
    .usage = "[--team N] [--headless]",
    .summary = "start the team",
    .options = up_options,
    .exec = up_exec,
};

static const struct option down_options[] = {
    {.name = "now",
     .help = "do not wait for running attempts: snapshot, stop, tasks are pending again"},
    {0}};

static void print_down(const struct cli *cli, const json_t *result)
{
	json_t *key;
	size_t i;

	if (cli->quiet)
		return;
	printf("stopped");
	json_array_foreach (json_sub(result, "released"), i, key) {
		_cleanup_free_ char *shown = text_safe(json_string_value(key), 80);

		printf("%s%s", i ? ", " : "; pending again: ", shown);
	}
	putchar('\n');
}

/* A coordinator that ended by itself removed its socket. One that was killed left it, and with
 * it its team: another takes that over first. */
static bool left_behind(struct cli *cli)
{
	return !cli->in_slot && cli->has_place && cli->place.socket &&
	       access(cli->place.socket, F_OK) == 0;
}

/* `down` lets running attempts end: for whom it waits is said first. */
static void say_who_runs(struct cli *cli)
{
	_cleanup_json_ json_t *list = NULL;
	json_t *tasks, *task;
	size_t i;

	if (cli_list_tasks(cli, json_pack("{s:[s, s]}", "status", "in_progress", "needs_input"),
	                   true, &list, NULL) < 0)
		return;
	tasks = json_object_get(list, "tasks");
	json_array_foreach (tasks, i, task) {
		_cleanup_free_ char *key = text_safe(json_text(task, "key"), 80);

		if (json_is_string(json_object_get(task, "owner")))
			report_note(cli, "waits for %s, which %s (down --now does not)", key,
			            strcmp(json_text(task, "status"), "needs_input") == 0
			                ? "waits for an answer"
			                : "runs");
	}
}

static int down_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *result = NULL;
	int running = cli_connect_running(cli, err);

	if (running < 0)
		return -1;
	if (!running && left_behind(cli)) {
		if (cli_connect(cli, err) < 0)
			return -1;
		running = 1;
	}
	if (!running) {
		/* One that is just ending holds its lock a little longer. */
		if (cli_wait_for_end(&cli->place, err) < 0)
			return -1;
		result = json_pack("{s:[]}", "released");
		if (cli->json)
			return print_json(result);
		if (!cli->quiet)
			printf("nothing runs\n");
		return 0;
	}
	if (!options_flag(&cli->options, "now"))
		say_who_runs(cli);
	if (rpc_client_ask(cli->client, "coordinator.down",
	                   json_pack("{s:b}", "now", options_flag(&cli->options, "now")), true,
	                   &result, err) < 0 ||
	    cli_await_down(cli, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	print_down(cli, result);
	return 0;
}

const struct command command_down = {
    .name = "down",
    .usage = "[--now]",
    .summary = "stop the team and the coordinator, after what runs",
    .options = down_options,
    .exec = down_exec,
};
