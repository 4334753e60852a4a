/* Running one command: spawn, watch its pidfd, end it, sweep up, read the rest.
 *
 * The order at the end is fixed: the leader is reaped, then its survivors are ended (only
 * then nobody can write any more), then the pipe is read empty, then the caller hears. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controls.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "sweep.h"

#define READ_CHUNK     (16u << 10)
#define READS_PER_TURN 8
#define FIRST_FREE_FD  16 /* proc_spawn copies lower ones out of the way of 0..3 */

struct command {
	uv_poll_t ended, readable;
	uv_timer_t timer; /* the time limit, then the grace */
	struct sweep sweep;
	int handles; /* not closed yet */
	struct proc proc;
	int pipe;
	struct command_end end;
	uint64_t started, kill_at;
	uint64_t left;    /* of its time limit, while that is held */
	unsigned held;    /* by so many */
	uint64_t held_at; /* uv_hrtime */
	double grace;
	bool stopping, reaped;
	char *marker;
	void (*on_data)(void *context, const char *data, size_t len);
	void (*on_end)(void *context, const struct command_end *end);
	void *context;
};

/* /dev/null for reading, opened once for all. */
static int null_input(void)
{
	static int fd = -1;

	if (fd < 0) {
		_cleanup_close_ int low = open("/dev/null", O_RDONLY | O_CLOEXEC);

		fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	}
	return fd;
}

static void command_closed(uv_handle_t *handle)
{
	struct command *c = handle->data;

	if (--c->handles)
		return;
	free(c->marker);
	free(c);
}

/* Both at once: libuv takes the number of the descriptor out of the kernel's list once more when
 * its handle is closed, and somebody else, our own connection even, may have that number by then.
 */
static void handle_close(uv_handle_t *handle, int fd, uv_close_cb closed)
{
	uv_close(handle, closed);
	close(fd);
}

static void sweep_closed(uv_handle_t *handle)
{
	struct sweep *s = handle->data;

	handle->data = (char *)s - offsetof(struct command, sweep);
	command_closed(handle);
}

/* Reads the pipe; false at its end. */
static bool pipe_read(struct command *c, int reads)
{
	char chunk[READ_CHUNK];

	while (reads-- > 0) {
		ssize_t n = read(c->pipe, chunk, sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		c->on_data(c->context, chunk, (size_t)n);
	}
	return true;
}

static void pipe_close(struct command *c)
{
	if (c->pipe < 0)
		return;
	handle_close((uv_handle_t *)&c->readable, c->pipe, command_closed);
	c->pipe = -1;
}

static void pipe_event(uv_poll_t *poll, int status, int events)
{
	struct command *c = poll->data;

	(void)events;
	if (status < 0 || !pipe_read(c, READS_PER_TURN))
		pipe_close(c);
}

static void command_clean(void *context)
{
	struct command *c = context;

	if (c->pipe >= 0)
		pipe_read(c, 1024); /* bounded: a process that cannot be killed may still print */
	pipe_close(c);
	handle_close((uv_handle_t *)&c->ended, c->proc.pidfd, command_closed);
	uv_close((uv_handle_t *)&c->timer, command_closed);
	uv_close((uv_handle_t *)&c->sweep.timer, sweep_closed);
	c->on_end(c->context, &c->end);
}

static void command_ended(uv_poll_t *poll, int status, int events)
{
	struct command *c = poll->data;
	struct error err = ERROR_INIT;

	(void)events;
	(void)status;
	uv_poll_stop(poll);
	uv_timer_stop(&c->timer);
	if (proc_wait(&c->proc, &c->end.status, &err) != 0) {
		log_error("command", "%s", err.text);
		c->end.status = SIGKILL;
	}
	c->reaped = true;
	c->end.seconds = seconds_since(c->started);
	if (c->held)
		c->end.held += seconds_since(c->held_at);
	if (c->held)
		command_clean(c); /* what runs beside it is not its own */
	else
		sweep_start(&c->sweep, c->marker, c->stopping, command_clean, c);
}

static void send_signal(const struct command *c, int signal)
{
	proc_signal_group(&c->proc, signal);
	if (signal == SIGTERM)
		proc_signal_group(&c->proc, SIGCONT);
}

static void time_passed(uv_timer_t *timer)
{
	struct command *c = timer->data;

	if (c->stopping) {
		send_signal(c, SIGKILL);
		return;
	}
	c->end.timed_out = true;
	command_stop(c, c->grace);
}

void command_stop(struct command *c, double grace)
{
	uint64_t ms = grace > 0 ? (uint64_t)(grace * 1000) : 0;
	uint64_t at;

	if (c->reaped)
		return;
	uv_update_time(c->timer.loop);
	at = uv_now(c->timer.loop) + ms;
	if (c->stopping && at >= c->kill_at)
		return;
	c->kill_at = at;
	if (!c->stopping && ms)
		send_signal(c, SIGTERM);
	c->stopping = true;
	if (ms)
		uv_timer_start(&c->timer, time_passed, ms, 0);
	else
		send_signal(c, SIGKILL);
}

void command_hold(struct command *c)
{
	if (c->held++)
		return;
	c->held_at = uv_hrtime();
	if (c->stopping) /* its timer is that of the grace */
		return;
	c->left = uv_is_active((uv_handle_t *)&c->timer) ? uv_timer_get_due_in(&c->timer) : 0;
	uv_timer_stop(&c->timer);
}

void command_go_on(struct command *c)
{
	if (!c->held || --c->held)
		return;
	c->end.held += seconds_since(c->held_at);
	if (c->left && !c->stopping)
		uv_timer_start(&c->timer, time_passed, c->left, 0);
	c->left = 0;
}

pid_t command_pid(const struct command *c)
{
	return c->proc.pid;
}

/* Only where a test of costs wants one process more for each command. */
static void start_another(void)
{
	static const char *const argv[] = {"/bin/true", NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	int status;

	run.spec.argv = argv;
	proc_run(&run, &status, NULL);
}

static int spawn(struct command *c, const struct command_spec *spec, struct error *err)
{
	struct proc_spec p = PROC_SPEC_INIT;
	_cleanup_close_ int write_end = -1;
	int fds[2], rc;

	if (control_off("lone-agent"))
		start_another();

	p.argv = spec->argv;
	p.env = spec->env;
	p.cwd = spec->cwd;
	p.tty = spec->tty;
	p.new_session = true;
	p.child_only = true;
	p.stdin_fd = spec->stdin_fd;
	if (p.stdin_fd < 0 && spec->tty && !spec->tty_stdin)
		p.stdin_fd = null_input();
	if (spec->tty)
		p.stdout_fd = spec->stdout_fd;
	if (!spec->tty) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return error_errno(err, "cannot make a pipe");
		c->pipe = fds[0];
		write_end = fds[1];
		fcntl(c->pipe, F_SETFL, O_NONBLOCK);
		p.stdout_fd = p.stderr_fd = write_end;
	}
	rc = proc_spawn(&p, &c->proc, err);
	if (rc != 0 && c->pipe >= 0)
		close(c->pipe);
	return rc;
}

int command_start(uv_loop_t *loop, const struct command_spec *spec, struct command **out,
                  struct error *err)
{
	struct command *c = xcalloc(1, sizeof *c);

	c->pipe = -1;
	if (spawn(c, spec, err) != 0) {
		free(c);
		return -1;
	}
	c->started = uv_hrtime();
	c->grace = spec->grace;
	c->marker = xstrdup(spec->marker);
	c->on_data = spec->on_data;
	c->on_end = spec->on_end;
	c->context = spec->context;
	uv_timer_init(loop, &c->timer);
	sweep_init(&c->sweep, loop);
	uv_poll_init(loop, &c->ended, c->proc.pidfd);
	c->ended.data = c->timer.data = c;
	c->handles = 3;
	uv_poll_start(&c->ended, UV_READABLE, command_ended);
	if (c->pipe >= 0) {
		uv_poll_init(loop, &c->readable, c->pipe);
		c->readable.data = c;
		c->handles++;
		uv_poll_start(&c->readable, UV_READABLE, pipe_event);
	}
	if (spec->timeout > 0) {
		uv_update_time(loop);
		uv_timer_start(&c->timer, time_passed, (uint64_t)(spec->timeout * 1000), 0);
	}
	*out = c;
	return 0;
}

double seconds_since(uint64_t started)
{
	uint64_t ms = (uv_hrtime() - started) / 1000000;

	return (double)ms / 1000;
}
