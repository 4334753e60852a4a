/* pleach help: the help of a command, or of all of them. */
#include "command.h"
#include "mem.h"
#include "text.h"

static int help_exec(struct cli *cli, struct error *err)
{
	const char *const *words = (const char *const *)cli->options.args;
	size_t count = cli->options.arg_count;
	_cleanup_free_ char *name = count == 2 ? xasprintf("%s %s", words[0], words[1])
	                            : count    ? xstrdup(words[0])
	                                       : NULL;
	const struct command *command = name ? command_find(name) : NULL;

	if (name && !command && command_is_group(name)) {
		help_print_group(name);
		return 0;
	}
	if (name && !command) {
		_cleanup_free_ char *shown = text_safe(name, 80);
		const char *near = command_nearest(name);

		return error_set(err, ERROR_NOT_FOUND, "help: there is no command %s%s%s%s", shown,
		                 near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
	help_print(command);
	return 0;
}

static const struct option no_options[] = {{0}};

const struct command command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .summary = "how a command is used",
    .options = no_options,
    .most_args = 2,
    .args = KIND_COMMAND,
    .exec = help_exec,
};
