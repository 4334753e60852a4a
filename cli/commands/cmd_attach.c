/* pleach attach and send: a teammate's screen, and typing into it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "proc.h"
#include "prompt.h"
#include "task_view.h"
#include "team_start.h"
#include "text.h"
#include "words.h"

static const struct option attach_options[] = {
    {.name = "next", .help = "the next teammate that needs a person"},
    {.name = "read-only", .help = "look, but type nothing"},
    {.name = "resume", .help = "of a task that has ended: its agent goes on with its session"},
    {0}};

/* The viewer has the terminal to itself; we wait. Its exit status, or -1. */
static int run_viewer(const char *program, const json_t *view, bool read_only, struct error *err)
{
	_cleanup_free_ char *keys = jsonl_text(json_sub(view, "keys"));
	const char *argv[] = {program,
	                      "--view",
	                      json_text(view, "name"),
	                      "--socket",
	                      json_text(view, "socket"),
	                      "--attach",
	                      "--keys",
	                      keys ? keys : "{}",
	                      read_only ? "--read-only" : NULL,
	                      NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc proc;
	int status, rc;

	if (!argv[2] || !argv[4])
		return error_set(err, ERROR_NOT_FOUND, "attach: there is no screen");
	fflush(stdout);
	spec.argv = argv;
	spec.stdin_fd = STDIN_FILENO;
	spec.stdout_fd = STDOUT_FILENO;
	spec.stderr_fd = STDERR_FILENO;
	signal(SIGINT, SIG_IGN); /* what is typed is the viewer's */
	signal(SIGQUIT, SIG_IGN);
	if (proc_spawn(&spec, &proc, err) < 0)
		return error_wrap(err, "attach");
	rc = proc_wait(&proc, &status, err);
	close(proc.pidfd);
	if (rc < 0)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The screen that M-n or a digit asks for; the one that was, where there is no such. New
 * reference. */
static json_t *other_view(struct cli *cli, int place, json_t *view)
{
	_cleanup_json_ json_t *team = NULL;
	json_t *params = json_object(), *found = NULL;
	const char *name = NULL;

	if (!place) {
		json_object_set_new(params, "next", json_true());
	} else {
		if (rpc_client_ask(cli->client, "team.list", NULL, true, &team, NULL) == 0)
			name = json_text(
			    json_array_get(json_object_get(team, "teammates"), (size_t)place - 1),
			    "name");
		json_object_set_new(params, "who", json_text_or_null(name));
	}
	if (place && !name) {
		json_decref(params);
		return json_incref(view);
	}
	if (rpc_client_ask(cli->client, "team.view", params, true, &found, NULL) < 0)
		return json_incref(view);
	return found;
}

int attach_view(struct cli *cli, const json_t *view, bool read_only, struct error *err)
{
	_cleanup_free_ char *program = cli_program("pleach-worker", err);
	json_t *shown = json_incref((json_t *)view), *next;
	int status = -1;

	while (program) {
		status = run_viewer(program, shown, read_only, err);
		if (status < VIEW_SWITCH || status > VIEW_SWITCH + 9)
			break;
		next = other_view(cli, status - VIEW_SWITCH, shown);
		json_decref(shown);
		shown = next;
	}
	json_decref(shown);
	return status;
}

/* Until a teammate has it; an event tells. */
static int wait_for_start(struct cli *cli, json_int_t id, bool *started, struct error *err)
{
	int64_t since;

	if (cli_last_event(cli, &since, err) < 0)
		return -1;
	for (;;) {
		_cleanup_json_ json_t *events = NULL, *task = NULL;

		if (cli_ask(cli, "task.show",
		            json_pack("{s:o}", "task", json_sprintf("%lld", (long long)id)), true,
		            &task, err) < 0)
			return -1;
		*started = json_text(task, "owner") != NULL;
		if (*started || task_is_terminal(task) || task_is_stuck(task) ||
		    task_is(task, "needs_input"))
			return 0;
		if (cli_ask(cli, "event.list",
		            json_pack("{s:I, s:i, s:b}", "since", (json_int_t)since, "limit", 1000,
		                      "wait", 1),
		            true, &events, err) < 0)
			return -1;
		since = json_int(events, "seq", since);
	}
}

int attach_task(struct cli *cli, json_int_t id, struct error *err)
{
	_cleanup_json_ json_t *view = NULL;
	bool started = false;

	if (wait_for_start(cli, id, &started, err) < 0)
		return -1;
	if (!started)
		return error_set(err, ERROR_NEEDS_PERSON,
		                 "%s: the task did not start (pleach show %lld)",
		                 cli->command->name, (long long)id);
	if (cli_ask(cli, "team.view",
	            json_pack("{s:o}", "who", json_sprintf("%lld", (long long)id)), true, &view,
	            err) < 0)
		return -1;
	return attach_view(cli, view, false, err);
}

/* The agent's own session of an attempt that has ended goes on, before our eyes. */
static int attach_again(struct cli *cli, struct error *err)
{
	json_t *params = names_task(cli, 0, "task");
	_cleanup_free_ char *tmux = proc_find_program("tmux", NULL);
	const struct team_start start = {.size = 1, .headless = !tmux};
	_cleanup_json_ json_t *task = NULL, *team = NULL;

	json_object_set_new(params, "resume", json_true());
	if (cli_ask(cli, "task.retry", params, false, &task, err) < 0 ||
	    team_start(cli, &start, &team, err) < 0)
		return -1;
	return attach_task(cli, json_int(task, "id", 0), err);
}

static int attach_exec(struct cli *cli, struct error *err)
{
	json_t *params = names_task(cli, 0, "who");
	_cleanup_json_ json_t *view = NULL;

	if (options_flag(&cli->options, "resume")) {
		json_decref(params);
		if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
			return error_set(
			    err, ERROR_INVALID,
			    "attach: this needs a terminal (pleach retry --resume goes on "
			    "without one)");
		return attach_again(cli, err);
	}
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
	return attach_view(cli, view, options_flag(&cli->options, "read-only"), err);
}

const struct command command_attach = {
    .name = "attach",
    .usage = "[WHO | --next | TASK --resume] [--read-only]",
    .summary = "a teammate's screen; C-q leaves it",
    .options = attach_options,
    .most_args = 1,
    .args = KIND_WHO,
    .exec = attach_exec,
};

static const struct option send_options[] = {{.name = "all", .help = "to every teammate"}, {0}};

/* When it is told: `when` of the coordinator's answer. */
static const char *told(const char *when)
{
	static const char *const words[][2] = {
	    {"now", "sent"},
	    {"turn", "queued: its agent is told when its run ends, as the next turn"},
	    {"start", "queued: its agent is told when it starts"},
	    {"read",
	     "queued, but its agent cannot be told: it is headless, and has no way to go on with a "
	     "session; it sees it only where it runs pleach messages"},
	};

	for (size_t i = 0; when && i < ARRAY_LEN(words); i++)
		if (strcmp(when, words[i][0]) == 0)
			return words[i][1];
	return "queued";
}

static void print_sent(const struct cli *cli, const json_t *result)
{
	json_t *sent;
	size_t i;

	if (cli->quiet)
		return;
	json_array_foreach (json_sub(result, "sent"), i, sent) {
		const char *name = json_text(sent, "teammate"), *key = json_text(sent, "key");
		_cleanup_free_ char *shown = text_safe(name ? name : key ? key : "?", 80);
		bool people = name && strcmp(name, "people") == 0;

		printf("%s: %s\n", shown, told(people ? NULL : json_text(sent, "when")));
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
	if (!json_array_size(json_sub(result, "sent")))
		return error_set(err, ERROR_NOT_FOUND,
		                 "send: there is no teammate to tell it (pleach up starts them)");
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
