/* pleach pick: chooses one alternative, or none. */
#include <stdio.h>
#include <stdlib.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "task_view.h"

static const struct option pick_options[] = {
    {.name = "none", .help = "choose none: the parent fails, everything is kept"}, {0}};

static int pick_exec(struct cli *cli, struct error *err)
{
	bool none = options_flag(&cli->options, "none");
	json_t *params = names_task(cli, 0, "task");
	_cleanup_json_ json_t *task = NULL;

	json_object_set_new(params, "none", json_boolean(none));
	if (cli_ask(cli, "task.pick", params, true, &task, err) < 0)
		return -1;
	if (cli->json)
		return print_json(task);
	if (cli->quiet)
		return 0;
	names_print_task(cli, task, NULL);
	if (!none)
		printf("pleach merge %s\n", task_typed(task) ? task_typed(task) : "");
	return 0;
}

const struct command command_pick = {
    .name = "pick",
    .usage = "[TASK] [--none]",
    .summary = "choose this alternative",
    .options = pick_options,
    .most_args = 1,
    .args = KIND_TASK,
    .exec = pick_exec,
};
