/* pleach attach and send: a teammate's screen, and typing into it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "prompt.h"
#include "text.h"

static const struct option attach_options[] = {
    {.name = "next", .help = "the next teammate that needs a person"},
    {.name = "read-only", .help = "look, but type nothing"},
    {0}};

int attach_view(const json_t *view, bool read_only, struct error *err)
{
	_cleanup_free_ char *program = cli_program("pleach-worker", err);
	const char *argv[] = {program,
	                      "--view",
	                      json_text(view, "name"),
	                      "--socket",
	                      json_text(view, "socket"),
	                      "--attach",
	                      NULL,
	                      NULL};

	if (!program)
		return -1;
	if (!argv[2] || !argv[4])
		return error_set(err, ERROR_NOT_FOUND, "attach: there is no screen");
	if (read_only)
		argv[6] = "--read-only";
	fflush(stdout);
	/* It becomes the viewer: the terminal is its own from here on. */
	execv(program, (char *const *)argv);
	return error_errno(err, "attach: cannot start %s", program);
}

static int attach_exec(struct cli *cli, struct error *err)
{
	json_t *params = names_params(cli, 0, "who");
	_cleanup_json_ json_t *view = NULL;

	if (options_flag(&cli->options, "next"))
		json_object_set_new(params, "next", json_true());
	if (cli_ask(cli, "team.view", params, true, &view, err) < 0)
		return -1;
	if (cli->json)
		return print_json(view);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return error_set(err, ERROR_INVALID,
		                 "attach: this needs a terminal (pleach logs -f shows output in a "
		                 "pipe)");
	return attach_view(view, options_flag(&cli->options, "read-only"), err);
}

const struct command command_attach = {
    .name = "attach",
    .usage = "[WHO | --next] [--read-only]",
    .summary = "a teammate's screen; C-q leaves it",
    .options = attach_options,
    .most_args = 1,
    .args = KIND_WHO,
    .exec = attach_exec,
};

static const struct option send_options[] = {{.name = "all", .help = "to every teammate"}, {0}};

static void print_sent(const struct cli *cli, const json_t *result)
{
	json_t *sent;
	size_t i;

	if (cli->quiet)
		return;
	json_array_foreach (json_sub(result, "sent"), i, sent) {
		const char *name = json_text(sent, "teammate"), *state = json_text(sent, "state");
		_cleanup_free_ char *shown = text_safe(name ? name : "?", 40);

		printf("%s: %s\n", shown,
		       state && strcmp(state, "typed") == 0 ? "typed" : "queued");
	}
}

static int send_exec(struct cli *cli, struct error *err)
{
	bool all = options_flag(&cli->options, "all");
	_cleanup_free_ char *text = prompt_words(cli, all ? 0 : 1);
	_cleanup_json_ json_t *result = NULL;
	json_t *params;

	if (!text)
		return error_set(err, ERROR_INVALID,
		                 "send: no text (pleach send WHO TEXT, or --all TEXT)");
	if (!text_is_utf8(text, strlen(text)))
		return error_set(err, ERROR_INVALID, "send: the text is not UTF-8");
	params = all ? json_object() : names_params(cli, 0, "who");
	json_object_set_new(params, "all", json_boolean(all));
	json_object_set_new(params, "text", json_string(text));
	/* Not asked twice: a message that arrived would be typed twice. */
	if (cli_ask(cli, "message.send", params, false, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	print_sent(cli, result);
	return 0;
}

const struct command command_send = {
    .name = "send",
    .usage = "WHO TEXT | --all TEXT",
    .summary = "type a line to a teammate, or queue it",
    .options = send_options,
    .least_args = 1,
    .most_args = ARGS_ANY,
    .args = KIND_WHO,
    .exec = send_exec,
};
