/* Processes: wait, run to the end, find a program. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "text.h"

#define PROC_OUTPUT_MAX (64u << 20)
#define RUN_CHUNK       (64u << 10)

char *proc_find_program(const char *name, const char *path)
{
	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	if (!*name)
		return NULL;
	if (!path)
		path = getenv("PATH");
	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");
		char *full = n ? xasprintf("%.*s/%s", (int)n, path, name) : xasprintf("./%s", name);

		/* A folder of that name is executable too. */
		if (access(full, X_OK) == 0) {
			int fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);

			if (fd < 0)
				return full;
			close(fd);
		}
		free(full);
		path += n + (path[n] == ':');
	}
	return NULL;
}

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define PROC_LEAK_CHECK 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define PROC_LEAK_CHECK 1
#endif
#ifdef PROC_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

void proc_end(int status)
{
#ifdef PROC_LEAK_CHECK
	__lsan_do_leak_check();
#endif
	_exit(status);
}

const char *proc_own_dir(void)
{
	static char dir[PATH_MAX];

	if (!dir[0]) {
		ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
		char *slash;

		if (n <= 0)
			die("cannot read /proc/self/exe");
		dir[n] = '\0';
		slash = strrchr(dir, '/');
		if (slash)
			*slash = '\0';
	}
	return dir;
}

void proc_guard_std(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(6);
}

void proc_reset_realtime(void)
{
	for (int n = SIGRTMIN; n <= SIGRTMAX; n++)
		signal(n, SIG_DFL);
}

int proc_wait(const struct proc *proc, int *status, struct error *err)
{
	pid_t pid;

	do {
		pid = waitpid(proc->pid, status, 0);
	} while (pid < 0 && errno == EINTR);
	return pid < 0 ? error_errno(err, "cannot wait for process %d", proc->pid) : 0;
}

/* What a helper says: our end of the pipe (-1 when done) and how much more of it is kept. */
struct run_pipe {
	int fd;
	struct buf *into;
	size_t room;
};

/* One helper being run: what is still open. */
struct run_state {
	struct proc proc;
	int in; /* -1 when all is written */
	struct run_pipe out, err_out;
	size_t written;
};

static int pipe_pair(bool wanted, int ours_is, int *ours, int *theirs)
{
	int fds[2];

	*ours = *theirs = -1;
	if (!wanted)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	*ours = fds[ours_is];
	*theirs = fds[!ours_is];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	return 0;
}

static void run_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Reads once, at most `max` bytes; what there is no room for is dropped. How many came. */
static size_t run_read(struct run_pipe *pipe, size_t max)
{
	_cleanup_buf_ struct buf dropped = BUF_INIT;
	size_t most = pipe->room && pipe->room < max ? pipe->room : max;
	ssize_t n = buf_read(pipe->room ? pipe->into : &dropped, pipe->fd, most);

	if (n > 0) {
		pipe->room -= pipe->room ? (size_t)n : 0;
		return (size_t)n;
	}
	if (n == 0 || errno != EAGAIN)
		run_close(&pipe->fd);
	return 0;
}

/* The helper has ended: only what is in the pipe now counts. Whatever it left behind may hold
 * the pipe open, or write into it, for ever. */
static void run_drain(struct run_pipe *pipe)
{
	int waiting = 0;

	if (pipe->fd < 0 || ioctl(pipe->fd, FIONREAD, &waiting) < 0)
		waiting = 0;
	for (size_t left = (size_t)waiting, n; left > 0; left -= n) {
		n = run_read(pipe, left < RUN_CHUNK ? left : RUN_CHUNK);
		if (n == 0)
			break;
	}
	run_close(&pipe->fd);
}

static void run_write(struct run_state *state, const struct proc_run *run)
{
	ssize_t n =
	    write(state->in, (const char *)run->in + state->written, run->in_len - state->written);

	if (n > 0)
		state->written += (size_t)n;
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || state->written == run->in_len)
		run_close(&state->in);
}

static void run_kill(const struct run_state *state)
{
	kill(-state->proc.pid, SIGKILL);
	kill(state->proc.pid, SIGKILL);
}

/* Moves bytes until the child has ended. 0, or the reason to stop early. */
static enum error_code run_pump(struct run_state *state, const struct proc_run *run)
{
	int64_t end = run->timeout_ms > 0 ? time_mono_ms() + run->timeout_ms : 0;
	int64_t tell = run->on_long ? time_mono_ms() + run->long_ms : 0;

	for (;;) {
		struct pollfd fds[5] = {
		    {.fd = state->in, .events = POLLOUT},
		    {.fd = state->out.fd, .events = POLLIN},
		    {.fd = state->err_out.fd, .events = POLLIN},
		    {.fd = state->proc.pidfd, .events = POLLIN},
		    {.fd = run->cancel_fd ? *run->cancel_fd : -1, .events = POLLIN},
		};
		int64_t left = end ? end - time_mono_ms() : -1;
		int n;

		if (end && left <= 0)
			return ERROR_TIMEOUT;
		if (tell && time_mono_ms() >= tell) {
			run->on_long(run->context);
			tell = time_mono_ms() + run->long_ms;
		}
		if (tell && (!end || tell < end))
			left = tell - time_mono_ms() > 0 ? tell - time_mono_ms() : 0;
		n = poll(fds, 5, left > INT_MAX ? INT_MAX : (int)left);
		if (n < 0 && errno != EINTR)
			return ERROR_EXTERNAL;
		if (n <= 0)
			continue;
		if (fds[3].revents) {
			run_drain(&state->out);
			run_drain(&state->err_out);
			return ERROR_NONE;
		}
		if (fds[4].revents)
			return ERROR_CONFLICT;
		if (fds[0].revents)
			run_write(state, run);
		if (fds[1].revents)
			run_read(&state->out, RUN_CHUNK);
		if (fds[2].revents)
			run_read(&state->err_out, RUN_CHUNK);
	}
}

int proc_run(const struct proc_run *run, int *status, struct error *err)
{
	size_t max = run->max_out ? run->max_out : PROC_OUTPUT_MAX;
	struct run_state state = {
	    .in = -1, .out = {-1, run->out, max}, .err_out = {-1, run->err_out, max}};
	struct proc_spec spec = run->spec;
	int theirs[3] = {-1, -1, -1};
	enum error_code why;
	int rc;

	if (pipe_pair(run->in_len > 0, 1, &state.in, &theirs[0]) < 0 ||
	    pipe_pair(run->out != NULL, 0, &state.out.fd, &theirs[1]) < 0 ||
	    pipe_pair(run->err_out != NULL, 0, &state.err_out.fd, &theirs[2]) < 0) {
		rc = error_errno(err, "cannot make a pipe");
	} else {
		if (theirs[0] >= 0)
			spec.stdin_fd = theirs[0];
		if (theirs[1] >= 0)
			spec.stdout_fd = theirs[1];
		if (theirs[2] >= 0)
			spec.stderr_fd = theirs[2];
		/* Its own session, so that a time limit can end all of it. */
		spec.new_session = spec.child_only = true;
		rc = proc_spawn(&spec, &state.proc, err);
	}
	for (int i = 0; i < 3; i++)
		run_close(&theirs[i]);
	if (rc == 0) {
		why = run_pump(&state, run);
		if (why != ERROR_NONE)
			run_kill(&state);
		rc = proc_wait(&state.proc, status, err);
		if (why != ERROR_NONE)
			rc = error_set(err, why, "%s: %s", spec.argv[0],
			               why == ERROR_TIMEOUT ? "time limit passed" : "stopped");
		close(state.proc.pidfd);
	}
	run_close(&state.in);
	run_close(&state.out.fd);
	run_close(&state.err_out.fd);
	return rc;
}

const char *proc_status_text(int status)
{
	static _Thread_local char text[64];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	return text;
}

void proc_signal_group(const struct proc *proc, int signal)
{
	if (proc->pid > 1)
		kill(-proc->pid, signal);
}
