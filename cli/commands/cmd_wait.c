/* pleach task wait: until every one of the tasks is terminal or stuck. A held request: no
 * polling, and a restarting coordinator is waited for. */
#include <stdlib.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "outcome.h"
#include "print.h"
#include "task_view.h"

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
