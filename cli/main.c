/* pleach: a command typed. Reads the command line, finds the command, runs it, says how it
 * ended. Owns nothing: the coordinator does. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "mem.h"
#include "print.h"
#include "proc.h"
#include "report.h"
#include "text.h"

/* What must be known before the rest can be told: whether errors are JSON. */
static void early_json(struct cli *cli, char **argv)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, "--json") == 0)
			cli->json = true;
}

static int unknown_command(const char *name, struct error *err)
{
	_cleanup_free_ char *shown = text_safe(name, 40);
	const char *nearest = command_nearest(name);

	if (nearest)
		return error_set(err, ERROR_INVALID, "unknown command %s (did you mean %s?)", shown,
		                 nearest);
	return error_set(err, ERROR_INVALID, "unknown command %s (pleach --help lists them)",
	                 shown);
}

/* The word or two words that name the command. Moves *argv behind them. */
static int find_command(struct cli *cli, char ***argv, struct error *err)
{
	static const struct option *const tables[] = {global_options, NULL};
	size_t used = 0;
	const char *first;

	if (options_parse(tables, *argv, true, &cli->options, &used, err) < 0)
		return -1;
	*argv += used;
	first = **argv;
	if (!first || strcmp(first, "--") == 0)
		return 0;
	++*argv;
	if (command_is_group(first)) {
		if (options_parse(tables, *argv, true, &cli->options, &used, err) < 0)
			return -1;
		*argv += used;
		if (**argv && strcmp(**argv, "--") != 0) {
			_cleanup_free_ char *both = xasprintf("%s %s", first, **argv);

			++*argv;
			cli->command = command_find(both);
			return cli->command ? 0 : unknown_command(both, err);
		}
		if (options_flag(&cli->options, "help")) {
			cli->group = first;
			return 0;
		}
	}
	cli->command = command_find(first);
	if (!cli->command && command_is_group(first))
		return error_set(err, ERROR_INVALID, "%s: which? (pleach %s -h lists them)", first,
		                 first);
	return cli->command ? 0 : unknown_command(first, err);
}

static int read_command_line(struct cli *cli, char **argv, struct error *err)
{
	const struct option *tables[] = {global_options, NULL, NULL};
	const struct command *command;

	if (find_command(cli, &argv, err) < 0)
		return -1;
	command = cli->command ? cli->command : &command_home;
	tables[1] = command->options;
	if (options_parse(tables, argv, false, &cli->options, NULL, err) < 0) {
		if (cli->command)
			error_wrap(err, "%s", command->name);
		return -1;
	}
	if (options_flag(&cli->options, "help") || options_flag(&cli->options, "version"))
		return 0;
	if (!command->takes_rest)
		options_take_rest(&cli->options);
	if ((int)cli->options.arg_count < command->least_args)
		return error_set(err, ERROR_INVALID,
		                 "%s: an argument is missing (usage: pleach %s %s)", command->name,
		                 command->name, command->usage);
	if ((int)cli->options.arg_count > command->most_args) {
		_cleanup_free_ char *extra = text_safe(cli->options.args[command->most_args], 40);

		return error_set(err, ERROR_INVALID,
		                 "%s: %s is one argument too many (pleach %s -h)", command->name,
		                 extra, command->name);
	}
	return 0;
}

static void read_globals(struct cli *cli)
{
	const char *color = options_text(&cli->options, "color"), *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR"), *socket = getenv("PLEACH_SOCKET");
	bool terminal = isatty(STDOUT_FILENO);

	cli->json = options_flag(&cli->options, "json");
	cli->quiet = options_flag(&cli->options, "quiet");
	cli->verbose = options_flag(&cli->options, "verbose");
	cli->no_input = options_flag(&cli->options, "no-input");
	cli->dir = options_text(&cli->options, "dir");
	cli->color = !color || strcmp(color, "auto") == 0 ? COLOR_AUTO
	             : strcmp(color, "always") == 0       ? COLOR_ALWAYS
	                                                  : COLOR_NEVER;
	cli->on_terminal = terminal && term && *term && strcmp(term, "dumb") != 0;
	cli->colored = cli->color == COLOR_ALWAYS ||
	               (cli->color == COLOR_AUTO && cli->on_terminal && !(no_color && *no_color));
	cli->in_slot = socket && *socket;
}

static int run_command(struct cli *cli, struct error *err)
{
	const struct command *command = cli->command ? cli->command : &command_home;

	if (options_flag(&cli->options, "help")) {
		if (cli->group)
			help_print_group(cli->group);
		else
			help_print(cli->command);
		return 0;
	}
	if (options_flag(&cli->options, "version"))
		command = command_find("version");
	/* Every path that is given is then relative to it. */
	if (cli->dir && chdir(cli->dir) < 0) {
		_cleanup_free_ char *shown = text_safe(cli->dir, 200);

		error_errno(err, "cannot enter %s", shown);
		err->code = ERROR_NOT_FOUND;
		return -1;
	}
	cli->dir = NULL;
	cli->command = command;
	return command->exec(cli, err);
}

int main(int argc, char **argv)
{
	struct cli cli = {.color = COLOR_AUTO};
	struct error err = ERROR_INIT;
	int status;

	(void)argc;
	proc_guard_std();
	signal(SIGPIPE, SIG_DFL);
	early_json(&cli, argv + 1);
	status = read_command_line(&cli, argv + 1, &err);
	if (status == 0) {
		read_globals(&cli);
		status = run_command(&cli, &err);
	}
	if (status < 0)
		status = report_error(&cli, &err);
	status = report_finish(&cli, status);
	rpc_client_close(cli.client);
	if (cli.has_place)
		place_finish(&cli.place);
	free(cli.socket);
	options_finish(&cli.options);
	return status;
}
