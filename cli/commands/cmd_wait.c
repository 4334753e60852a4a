/* pleach task wait: until every one of the tasks is terminal or stuck. A held request: no
 * polling, and a restarting coordinator is waited for. */
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "outcome.h"
#include "print.h"
#include "report.h"
#include "task_view.h"

#define LOOKED_AT 20 /* of the tasks, before they are waited for */

static const struct option wait_options[] = {
    {.name = "timeout", .value = "DUR", .help = "give up after that long (exit status 124)"}, {0}};

/* What they are stuck behind decides the exit status; what else they speak of is only told. */
static int read_index(struct cli *cli, const json_t *tasks, json_t **index, struct error *err)
{
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		if (task_is_stuck(task))
			return names_read_index(cli, tasks, false, index, err);
	*index = cli->json || cli->quiet ? task_index(tasks) : names_index(cli, tasks, false);
	return 0;
}

static void print_tasks(struct cli *cli, const json_t *result, const json_t *index)
{
	const json_t *tasks = json_sub(result, "tasks");
	json_t *task;
	size_t i;

	if (cli->json) {
		print_json(json_array_size(tasks) == 1 ? json_array_get(tasks, 0) : result);
		return;
	}
	if (cli->quiet)
		return;
	json_array_foreach (tasks, i, task)
		names_print_task(cli, task, index);
}

static bool all_paused(const json_t *teammates)
{
	json_t *teammate;
	size_t i;

	json_array_foreach (teammates, i, teammate) {
		const char *state = json_text(teammate, "state");

		if (!state || strcmp(state, "paused") != 0)
			return false;
	}
	return true;
}

/* Neither it nor what it waits for is worked on or waits for a person. `stopped`: what is typed for
 * one of them whose run was stopped, or NULL; borrowed. */
static bool task_rests(const json_t *task, const json_t *index, const char **stopped)
{
	_cleanup_json_ json_t *ids = json_pack("[O]", json_object_get(task, "id"));
	json_t *id;
	size_t i;

	*stopped = NULL;
	if (!task_is(task, "pending") || task_is_stuck(task))
		return false;
	json_array_extend(ids, json_object_get(task, "blocked_by"));
	json_array_extend(ids, json_object_get(task, "alternatives"));
	json_array_foreach (ids, i, id) {
		const json_t *other = task_indexed(index, json_integer_value(id));
		const char *waits = json_text(json_sub(other, "waits"), "for");

		if (task_is(other, "in_progress"))
			return false;
		if (waits && strcmp(waits, "run") == 0 && !*stopped)
			*stopped = task_typed(task_is_choice(task) ? task : other);
	}
	return true;
}

/* Whoever waits for what nobody is going to do is told so, once, and how that changes. */
static void tell_why_still(struct cli *cli, const json_t *names)
{
	_cleanup_json_ json_t *looked_at = json_array(), *list = NULL, *index = NULL, *team = NULL;
	struct error ignored = ERROR_INIT; /* the question itself says it */
	const char *still = NULL, *stopped = NULL;
	const json_t *teammates;
	json_t *task;
	size_t i;

	for (i = 0; i < json_array_size(names) && i < LOOKED_AT; i++)
		json_array_append(looked_at, json_array_get(names, i));
	if (cli_list_tasks(cli, json_pack("{s:O}", "ids", looked_at), true, &list, &ignored) < 0)
		return;
	index = names_index(cli, json_sub(list, "tasks"), false);
	json_array_foreach (json_sub(list, "tasks"), i, task)
		if (!still && task_rests(task, index, &stopped))
			still = task_typed(task);
	if (!still || cli_ask(cli, "team.list", NULL, true, &team, &ignored) < 0)
		return;
	teammates = json_sub(team, "teammates");
	if (!json_array_size(teammates))
		report_note(cli, "%s waits: %s (pleach up)", still,
		            stopped ? "its run was stopped" : "nobody is there to do it");
	else if (all_paused(teammates))
		report_note(cli, "%s waits: the team is paused (pleach team resume)", still);
	else if (stopped)
		report_note(cli, "%s waits: its run was stopped (pleach up, or pleach retry %s)",
		            still, stopped);
}

static int wait_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *names = NULL, *result = NULL, *index = NULL;
	struct rpc_call call = {
	    .method = "task.wait", .again = true, .stop_fd = -1, .timeout_ms = -1};
	const json_t *tasks;
	double timeout;
	int status, landing;

	if (options_duration(&cli->options, "timeout", -1, &timeout, err) < 0 ||
	    names_json(cli, 0, &names, err) < 0 || cli_connect(cli, err) < 0)
		return -1;
	if (!cli->json && !cli->quiet)
		tell_why_still(cli, names);
	if (timeout >= 0)
		call.timeout_ms = timeout < 2000000 ? (int)(timeout * 1000) : 2000000000;
	call.params = json_pack("{s:O, s:b}", "tasks", names, "brief", !cli->json);
	if (rpc_client_call(cli->client, &call, &result, err) < 0)
		return err->code == ERROR_TIMEOUT ? error_wrap(err, "task wait") : -1;
	tasks = json_sub(result, "tasks");
	if (read_index(cli, tasks, &index, err) < 0)
		return -1;
	print_tasks(cli, result, index);
	status = outcome_exit_status(tasks, index);
	landing = outcome_landing_status(index, json_sub(result, "lands"));
	return status == 3 || landing == 0 ? status : landing;
}

const struct command command_task_wait = {
    .name = "task wait",
    .aliases = "wait",
    .usage = "[--timeout DUR] TASK…",
    .summary = "until these tasks are settled or stuck",
    .options = wait_options,
    .least_args = 1,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = wait_exec,
};
