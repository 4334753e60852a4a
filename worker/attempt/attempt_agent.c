/* Running things for an attempt: its files, its environment, the agent on a pseudo-terminal,
 * setup and verify on a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents.h"
#include "attempt_private.h"
#include "buf.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "place.h"

/* Plain files, neither synced nor renamed into place: they are read by this attempt's agent
 * only, and an attempt does not outlive the machine. */
static int write_file(const char *path, const void *data, size_t len, struct error *err)
{
	_cleanup_close_ int fd =
	    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write_all(fd, data, len) != 0)
		return error_errno(err, "cannot write %s", path);
	return 0;
}

int attempt_make_dir(const struct attempt *a, struct error *err)
{
	if (mkdir(a->dir, 0700) == 0 || errno == EEXIST)
		return 0;
	return place_make_private_dir(a->dir, err);
}

void attempt_goes_on(const struct attempt *a)
{
	struct error err = ERROR_INIT;

	if (attempt_make_dir(a, &err) != 0)
		log_warn("attempt", "attempt=%lld %s", (long long)a->id, err.text);
}

/* A file that the worker keeps for all of its attempts: nothing is created for each, which is a
 * fifth of a short attempt's time. Nobody else reads it: one attempt runs at a time, and nothing
 * of the last one lives. */
static int write_kept(struct worker_file *file, const char *path, const void *data, size_t len,
                      struct error *err)
{
	struct stat st;

	if (file->fd >= 0 && (lstat(path, &st) != 0 || st.st_ino != file->inode)) {
		close(file->fd); /* an agent removed or replaced it */
		file->fd = -1;
		unlink(path);
	}
	if (file->fd < 0) {
		file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (file->fd < 0 || fstat(file->fd, &st) != 0)
			return error_errno(err, "cannot write %s", path);
		file->inode = st.st_ino;
	}
	if ((st.st_size > (off_t)len && ftruncate(file->fd, (off_t)len) != 0) ||
	    pwrite(file->fd, data, len, 0) != (ssize_t)len)
		return error_errno(err, "cannot write %s", path);
	return 0;
}

/* Where a task has no inputs, PLEACH_INPUTS is a file that all attempts share. */
static int write_inputs(struct attempt *a, bool kept, struct error *err)
{
	const json_t *inputs = json_sub(a->assignment, "inputs");
	struct worker *w = a->w;
	_cleanup_free_ char *text = NULL;

	if (json_array_size(inputs) == 0) {
		a->inputs_file = xasprintf("%s/workers/no-inputs.json", w->options.state);
		return 0;
	}
	text = jsonl_text(inputs);
	if (kept) {
		a->inputs_file =
		    xasprintf("%s/workers/%s.inputs.json", w->options.state, w->options.name);
		return write_kept(&w->inputs, a->inputs_file, text, strlen(text), err);
	}
	a->inputs_file = xasprintf("%s/inputs.json", a->dir);
	if (attempt_make_dir(a, err) != 0)
		return -1;
	return write_file(a->inputs_file, text, strlen(text), err);
}

int attempt_write_files(struct attempt *a, struct error *err)
{
	const json_t *command = json_sub(a->profile, "command");
	struct worker *w = a->w;

	/* Neither a slot nor the command asks for a file of this attempt. */
	if (!a->has_slot && !agents_mentions(command, "{prompt_file}") &&
	    !json_sub(a->profile, "large")) {
		a->prompt_file =
		    xasprintf("%s/workers/%s.prompt", w->options.state, w->options.name);
		if (write_kept(&w->prompt, a->prompt_file, a->prompt, a->prompt_len, err) != 0)
			return -1;
		return write_inputs(a, true, err);
	}
	a->prompt_file = xasprintf("%s/prompt", a->dir);
	if (attempt_make_dir(a, err) != 0 ||
	    write_file(a->prompt_file, a->prompt, a->prompt_len, err) != 0)
		return -1;
	return write_inputs(a, false, err);
}

void attempt_make_env(struct attempt *a)
{
	const struct worker_options *o = &a->w->options;
	const char *answer = json_text(a->assignment, "answer");
	_cleanup_json_ json_t *profile_env = NULL;
	char task[24], attempt[24], number[16];
	const char *ours[] = {"PLEACH_TASK",
	                      task,
	                      "PLEACH_KEY",
	                      a->key,
	                      "PLEACH_ATTEMPT",
	                      attempt,
	                      "PLEACH_PROMPT_FILE",
	                      a->prompt_file,
	                      "PLEACH_WORKTREE",
	                      a->cwd,
	                      "PLEACH_ROOT",
	                      o->root,
	                      "PLEACH_BRANCH",
	                      a->has_slot ? a->branch : "",
	                      "PLEACH_BASE",
	                      a->base ? a->base : "",
	                      "PLEACH_SLOT",
	                      number,
	                      "PLEACH_INPUTS",
	                      a->inputs_file,
	                      "PLEACH_SOCKET",
	                      o->socket,
	                      "PLEACH_TOKEN",
	                      a->token,
	                      "PLEACH_TEAMMATE",
	                      o->name,
	                      "PLEACH_ANSWER",
	                      answer && strlen(answer) < ATTEMPT_ARGUMENT_MAX / 2 ? answer : NULL,
	                      "PLEACH_PREVIOUS_HEAD",
	                      json_text(a->assignment, "previous_head"),
	                      NULL};

	if (a->env)
		return;
	snprintf(task, sizeof task, "%lld", (long long)a->task);
	snprintf(attempt, sizeof attempt, "%lld", (long long)a->id);
	snprintf(number, sizeof number, "%d", o->number);
	profile_env = attempt_hooks_env(a);
	a->env = environment_make(a->w->environment, &(struct environment_want){
	                                                 .plan = a->plan,
	                                                 .agent = a->agent,
	                                                 .key = a->key,
	                                                 .profile_env = profile_env,
	                                                 .cwd = a->cwd,
	                                                 .ours = ours,
	                                             });
	environment_add_git(&a->env, (const char *const *)a->git_env);
}

char **attempt_command_argv(const json_t *command)
{
	char **argv = NULL;

	if (json_is_string(command)) {
		strv_push(&argv, xstrdup("/bin/sh"));
		strv_push(&argv, xstrdup("-c"));
		strv_push(&argv, xstrdup(json_string_value(command)));
	} else if (json_array_size(command) > 0) {
		argv = json_strv(command);
	}
	if (argv && !argv[0]) {
		strv_free(argv);
		argv = NULL;
	}
	return argv;
}

char *attempt_command_text(const json_t *command)
{
	struct buf text = BUF_INIT;
	json_t *argument;
	size_t i;

	if (json_is_string(command))
		return xstrdup(json_string_value(command));
	json_array_foreach ((json_t *)command, i, argument) {
		if (i)
			buf_add_str(&text, " ");
		if (json_is_string(argument))
			buf_add_str(&text, json_string_value(argument));
	}
	return buf_take(&text);
}

/* How one agent is started: the usual way, or to go on with a session. */
struct start {
	const json_t *way; /* borrowed: the profile, or its `resume` */
	const char *prompt;
	size_t len;
	char *file; /* of the prompt */
};

static void start_finish(struct start *start)
{
	free(start->file);
}

static int start_read(struct attempt *a, struct start *out, struct error *err)
{
	const json_t *way = resume_way(a);

	out->way = way ? way : a->profile;
	out->prompt = resume_prompt(a, &out->len);
	if (resume_write_prompt(a, &out->file, err) != 0)
		return -1;
	if (!out->file)
		out->file = xstrdup(a->prompt_file);
	return 0;
}

static char **agent_argv(const struct attempt *a, const struct start *start, struct error *err)
{
	char task[24];
	char **argv;
	const struct agents_values values = {
	    .prompt = start->prompt,
	    .prompt_file = start->file,
	    .worktree = a->cwd,
	    .task = task,
	    .key = a->key,
	    .branch = a->has_slot ? a->branch : NULL,
	    .base = a->base,
	    .session = resume_session(a),
	    .model = a->model,
	    .hook = a->hook,
	    .hooks_file = a->hooks_file,
	};

	snprintf(task, sizeof task, "%lld", (long long)a->task);
	argv = start->way == a->profile
	           ? agents_command(a->profile, &values)
	           : agents_arguments(a->profile, json_sub(start->way, "command"), &values);
	if (!argv || !argv[0] || !*argv[0]) {
		strv_free(argv);
		error_set(err, ERROR_INVALID, "agent %s: no command", a->agent ? a->agent : "?");
		return NULL;
	}
	for (size_t i = 0; argv[i]; i++) {
		if (strlen(argv[i]) < ATTEMPT_ARGUMENT_MAX)
			continue;
		strv_free(argv);
		error_set(err, ERROR_INVALID,
		          "agent %s: the prompt of %zu bytes does not fit into an argument (use "
		          "{prompt_file}, or prompt: stdin)",
		          a->agent ? a->agent : "?", start->len);
		return NULL;
	}
	return argv;
}

static void agent_data(void *context, const char *data, size_t len)
{
	struct attempt *a = context;
	bool shown;

	a->resume.heard = uv_now(&a->w->loop);
	shown = attempt_stream_data(a, data, len);
	if (!shown)
		output_add(a->output, data, len);
	resume_heard(a, report_session(a->report));
	attempt_limits_data(a);
	attempt_turn_data(a);
	attempt_talk_output(a, data, len);
	if (a->typing) {
		typing_output(a->typing, data, len);
		typing_answer_queries(a->typing, views_count(a->w->views) == 0);
	}
	if (!shown && views_count(a->w->views))
		views_data(a->w->views, data, len);
	worker_changed(a->w);
}

static void agent_drained(void *context)
{
	struct attempt *a = context;

	if (a->typing)
		typing_drained(a->typing);
}

int attempt_start_agent(struct attempt *a, struct error *err)
{
	static const struct terminal_handler handler = {agent_data, agent_drained};
	__attribute__((cleanup(start_finish))) struct start start = {0};
	_cleanup_strv_ char **argv = NULL;
	const char *way;
	_cleanup_close_ int prompt = -1, ours = -1, theirs = -1;
	int pair[2] = {-1, -1};
	struct worker *w = a->w;
	bool tui = a->mode == MODE_TUI;

	if (start_read(a, &start, err) != 0 || attempt_hooks_install(a, err) != 0)
		return -1;
	way = agents_prompt_way(start.way, start.len);
	argv = agent_argv(a, &start, err);
	if (!argv)
		return -1;
	attempt_make_env(a);
	if (way && strcmp(way, "stdin") == 0) {
		prompt = open(start.file, O_RDONLY | O_CLOEXEC);
		if (prompt < 0)
			return error_errno(err, "cannot read %s", start.file);
	}
	if (a->mode == MODE_ACP && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return error_errno(err, "cannot make a socket");
	ours = pair[0];
	theirs = pair[1];
	terminal_close(a->terminal); /* of its last start: nothing else ended that one */
	a->terminal = NULL;
	if (terminal_open(&w->loop, w->columns, w->rows, &handler, a, &a->terminal, err) != 0)
		return -1;
	if (!attempt_turn_begins(a)) {
		terminal_close(a->terminal);
		a->terminal = NULL;
		return error_set(err, ERROR_EXTERNAL, "cannot write down what it is told");
	}
	if (command_start(&w->loop,
	                  &(struct command_spec){
	                      .argv = (const char *const *)argv,
	                      .env = (const char *const *)a->env,
	                      .cwd = a->cwd,
	                      .tty = terminal_path(a->terminal),
	                      .tty_stdin = tui,
	                      .stdin_fd = theirs >= 0 ? theirs : prompt,
	                      .stdout_fd = theirs,
	                      .timeout = resume_time_left(a),
	                      .grace = a->stop_grace,
	                      .marker = a->marker,
	                      .on_end = attempt_agent_ended,
	                      .context = a,
	                  },
	                  &a->command, err) != 0) {
		terminal_close(a->terminal);
		a->terminal = NULL;
		return -1;
	}
	attempt_turn_started(a);
	attempt_usage_keep(a);
	if (ours >= 0) {
		a->report = report_new("acp");
		attempt_talk_acp(a, ours);
		ours = -1;
	} else if (!tui) {
		attempt_stream_begin(a, json_text(a->profile, "output"));
	}
	if (tui)
		attempt_talk_terminal(a, way && strcmp(way, "type") == 0);
	return 0;
}

static void pipe_data(void *context, const char *data, size_t len)
{
	struct attempt *a = context;

	output_add(a->verified ? a->verified : a->output, data, len);
	attempt_show_pipe(a, data, len);
	worker_changed(a->w);
}

int attempt_start_command(struct attempt *a, const json_t *command, double timeout,
                          void (*on_end)(void *, const struct command_end *), struct error *err)
{
	_cleanup_strv_ char **argv = attempt_command_argv(command);

	if (!argv)
		return error_set(err, ERROR_INVALID, "neither a text nor a list of texts");
	attempt_make_env(a);
	return command_start(&a->w->loop,
	                     &(struct command_spec){
	                         .argv = (const char *const *)argv,
	                         .env = (const char *const *)a->env,
	                         .cwd = a->cwd,
	                         .stdin_fd = -1,
	                         .timeout = timeout,
	                         .grace = a->stop_grace,
	                         .marker = a->marker,
	                         .on_data = pipe_data,
	                         .on_end = on_end,
	                         .context = a,
	                     },
	                     &a->command, err);
}

void attempt_keys(struct attempt *a, const char *keys, size_t len)
{
	if (!a->terminal)
		return;
	if (a->typing)
		typing_keys(a->typing, keys, len);
	if (a->typing)
		attempt_talk_keys(a, keys, len);
	else
		terminal_write(a->terminal, keys, len);
}

void attempt_size(struct attempt *a, uint16_t columns, uint16_t rows, bool redraw)
{
	if (!a->terminal)
		return;
	/* A new view has seen only the recent output: another size makes a full-screen program
	 * draw everything again. */
	if (redraw && a->mode == MODE_TUI && rows > 1)
		terminal_resize(a->terminal, columns, (uint16_t)(rows - 1));
	terminal_resize(a->terminal, columns, rows);
	if (a->screen)
		screen_resize(a->screen, columns, rows);
}
