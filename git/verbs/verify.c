/* Running the user's commands: output through a pipe into the log, bounded; a time limit;
 * and afterwards the end of everything that they left behind. */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "proc.h"
#include "repo.h"
#include "text.h"

#define LOG_MAX  (64u << 20)
#define TAIL_MAX 4096u
#define MARKER   "PLEACH_VERIFY"
#define TRIES    50

char *verify_command_text(const json_t *command)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	json_t *item;
	size_t i;

	if (json_is_string(command))
		return xstrdup(json_string_value(command));
	json_array_foreach (command, i, item) {
		if (i)
			buf_add_str(&out, " ");
		buf_add_str(&out, json_is_string(item) ? json_string_value(item) : "");
	}
	return buf_take(&out);
}

char **verify_argv(const json_t *command)
{
	char **argv = NULL;

	if (json_is_array(command))
		return json_strv(command);
	if (!json_is_string(command))
		return NULL;
	strv_push(&argv, xstrdup("/bin/sh"));
	strv_push(&argv, xstrdup("-c"));
	strv_push(&argv, xstrdup(json_string_value(command)));
	return argv;
}

char **verify_environment(const json_t *env, const char *marker)
{
	static const char *const gone[] = {"GIT_DIR",        "GIT_WORK_TREE", "GIT_INDEX_FILE",
	                                   "GIT_COMMON_DIR", "GIT_PREFIX",    "TMUX",
	                                   "TMUX_PANE"};
	char **out = strv_copy((const char *const *)environ);
	const char *name;
	json_t *value;

	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		env_set(&out, gone[i], NULL);
	json_object_foreach ((json_t *)env, name, value)
		if (json_is_string(value) && *name && !strchr(name, '='))
			env_set(&out, name, json_string_value(value));
	if (marker)
		env_set(&out, MARKER, marker);
	return out;
}

struct output {
	int log; /* -1: none */
	size_t written;
	struct buf tail;
};

static void take_output(struct output *output, const char *data, size_t len)
{
	static const char cut[] = "\n[pleach: the rest of the output was dropped]\n";

	if (output->log >= 0 && output->written < LOG_MAX) {
		size_t room = LOG_MAX - output->written;

		output->written += len < room ? len : room;
		if (write_all(output->log, data, len < room ? len : room) < 0)
			output->written = LOG_MAX; /* a full disk fails no proof */
		else if (output->written == LOG_MAX)
			(void)!write(output->log, cut, sizeof cut - 1);
	}
	buf_add(&output->tail, data, len);
	if (output->tail.len > 2 * TAIL_MAX)
		buf_drop_front(&output->tail, output->tail.len - TAIL_MAX);
}

/* Reads what there is. False at its end. */
static bool drain(int fd, struct output *output)
{
	_cleanup_buf_ struct buf chunk = BUF_INIT;
	ssize_t n = buf_read(&chunk, fd, 64u << 10);

	if (n > 0)
		take_output(output, chunk.data, chunk.len);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static volatile sig_atomic_t told_to_end;
static sigset_t while_waiting; /* SIGTERM comes in only there */
static bool heeds;

static void on_term(int signal_number)
{
	(void)signal_number;
	told_to_end = 1;
}

void verify_heed_term(void)
{
	struct sigaction action = {.sa_handler = on_term};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigaction(SIGTERM, &action, NULL);
	sigprocmask(SIG_BLOCK, &term, &while_waiting);
	sigdelset(&while_waiting, SIGTERM);
	heeds = true;
}

/* Until the program has ended; what it left behind may hold the pipe open for ever. */
static bool watch(const struct proc *proc, int fd, double timeout_s, struct output *output)
{
	int64_t end = timeout_s > 0 ? time_mono_ms() + (int64_t)(timeout_s * 1000) : 0;
	struct pollfd polls[2] = {{.fd = proc->pidfd, .events = POLLIN},
	                          {.fd = fd, .events = POLLIN}};

	for (;;) {
		int64_t left = end ? end - time_mono_ms() : -1;
		struct timespec most = {.tv_sec = 60};
		int n;

		if (told_to_end || (end && left <= 0))
			return false;
		if (left >= 0 && left < 60000)
			most = (struct timespec){left / 1000, left % 1000 * 1000000};
		n = ppoll(polls, 2, &most, heeds ? &while_waiting : NULL);
		if (n < 0 && errno != EINTR)
			return false;
		if (n <= 0)
			continue;
		if (polls[1].revents && !drain(fd, output))
			polls[1].fd = -1;
		if (polls[0].revents)
			return true;
	}
}

static int open_pipe(int out[2], struct error *err)
{
	if (pipe2(out, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	if (fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "cannot set up a pipe");
	return 0;
}

static void finish_output(int fd, struct output *output, struct verify_result *out)
{
	_cleanup_buf_ struct buf safe = BUF_INIT;
	size_t skip = output->tail.len > TAIL_MAX ? output->tail.len - TAIL_MAX : 0;

	for (int i = 0; i < 1000; i++) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

		if (poll(&poll_fd, 1, 0) <= 0 || !drain(fd, output))
			break;
	}
	buf_add(&output->tail, "", 0);
	text_add_safe(&safe, output->tail.data + skip, output->tail.len - skip, 0, true);
	out->tail = buf_take(&safe);
}

int verify_run(const struct verify_run *run, struct verify_result *out, struct error *err)
{
	_cleanup_strv_ char **argv = verify_argv(run->command), **env = NULL;
	struct output output = {.log = -1, .tail = BUF_INIT};
	struct proc_spec spec = PROC_SPEC_INIT;
	_cleanup_free_ char *marker = NULL;
	int64_t start = time_mono_ms();
	char random[33];
	struct proc proc;
	int pipes[2], status = 0;
	bool ended;

	if (!argv || !argv[0])
		return error_set(err, ERROR_INVALID, "verify: no command");
	if (open_pipe(pipes, err) < 0)
		return -1;
	text_random_hex(random, 16);
	marker = xasprintf("%s=%s", MARKER, random);
	env = verify_environment(run->env, random);
	if (run->log)
		output.log =
		    open(run->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	spec.argv = (const char *const *)argv;
	spec.env = (const char *const *)env;
	spec.cwd = run->dir;
	spec.stdout_fd = spec.stderr_fd = pipes[1];
	spec.new_session = true;
	if (proc_spawn(&spec, &proc, err) < 0) {
		close(pipes[0]);
		close(pipes[1]);
		if (output.log >= 0)
			close(output.log);
		return error_wrap(err, "cannot run %s", argv[0]);
	}
	close(pipes[1]);
	ended = watch(&proc, pipes[0], run->timeout_s, &output);
	/* The group first, while its leader is not reaped and its number is still its own. */
	kill(-proc.pid, SIGKILL);
	proc_kill_survivors(marker, NULL, proc.pid, TRIES);
	proc_wait(&proc, &status, NULL);
	finish_output(pipes[0], &output, out);
	close(proc.pidfd);
	close(pipes[0]);
	if (output.log >= 0)
		close(output.log);
	buf_finish(&output.tail);
	if (told_to_end) {
		free(out->tail);
		out->tail = NULL;
		return error_set(err, ERROR_BUSY, "told to end");
	}
	out->seconds = (double)(time_mono_ms() - start) / 1000.0;
	out->exit_code = !ended                ? VERIFY_TIMED_OUT
	                 : WIFEXITED(status)   ? WEXITSTATUS(status)
	                 : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
	                                       : 1;
	return 0;
}
