/* pleach hook: for an agent's hooks. The work is done by pleach-hook, which starts quicker; this
 * becomes it. */
#include <unistd.h>

#include "connect.h"
#include "mem.h"

static int hook_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ char *program = cli_program("pleach-hook", err);
	const char *json = cli->options.arg_count ? cli->options.args[0] : NULL;
	bool decide = options_flag(&cli->options, "decide");
	const char *argv[] = {program, decide ? "--decide" : json, decide ? json : NULL, NULL};

	if (!program)
		return -1;
	execv(program, (char *const *)argv);
	return error_errno(err, "cannot run %s", program);
}

static const struct option hook_options[] = {
    {.name = "decide", .help = "wait for a decision, and print it"}, {0}};

const struct command command_hook = {
    .name = "hook",
    .usage = "[--decide] [EVENT]",
    .summary = "for an agent's hooks: report an event (JSON)",
    .options = hook_options,
    .most_args = 1,
    .exec = hook_exec,
};
