/* coordinator/views against a real private tmux server: opened, adopted, killed in every
 * way, closed. The panes run a program of the test's own in the worker's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "buf.h"
#include "mem.h"
#include "proc.h"
#include "tmux_panes.h"
#include "tmux_proto.h"
#include "tmux_server.h"
#include "views.h"

#define LIMIT_MS 60000

struct world {
	uv_loop_t loop;
	uv_timer_t limit;
	char dir[64], socket[96], program[96];
	struct views *views;
	int changes;
	bool open, closed;
};

static void ask(struct world *w, const char *const *words, struct buf *out)
{
	char **argv = NULL;
	int status;
	const char *const head[] = {"tmux", "-N", "-S", w->socket};

	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		strv_push(&argv, xstrdup(head[i]));
	for (; *words; words++)
		strv_push(&argv, xstrdup(*words));
	struct proc_run run = {.spec = PROC_SPEC_INIT, .out = out, .timeout_ms = LIMIT_MS};
	run.spec.argv = (const char *const *)argv;
	assert_int_equal(proc_run(&run, &status, NULL), 0);
	strv_free(argv);
}

static size_t panes_of(struct world *w, struct tmux_pane **panes)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *const words[] = {"list-panes", "-a", "-F", TMUX_PANES_FORMAT, NULL};

	ask(w, words, &out);
	return tmux_panes_read(out.data ? out.data : "", panes);
}

static void limit_passed(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("waited too long");
}

/* Turns the loop until `met`. A loop in which nothing is open runs no timer, so the clock is looked
 * at, too. */
static void until(struct world *w, bool (*met)(struct world *w, void *arg), void *arg)
{
	uint64_t end = uv_hrtime() + (uint64_t)LIMIT_MS * 1000000;

	uv_timer_start(&w->limit, limit_passed, LIMIT_MS, 0);
	while (!met(w, arg)) {
		if (uv_hrtime() > end)
			limit_passed(&w->limit);
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	uv_timer_stop(&w->limit);
}

static bool has_changed(struct world *w, void *before)
{
	return w->changes != *(const int *)before;
}

static bool is_served_by(struct world *w, void *pid)
{
	return tmux_server_pid(w->socket) == *(const pid_t *)pid;
}

static bool all_open(struct world *w, void *names)
{
	for (const char *const *n = names; *n; n++)
		if (!views_pane(w->views, *n))
			return false;
	return true;
}

struct differs {
	const char *name;
	char pane[16];
};

static bool pane_differs(struct world *w, void *arg)
{
	const struct differs *d = arg;
	const char *pane = views_pane(w->views, d->name);

	return pane && strcmp(pane, d->pane) != 0;
}

struct option {
	const char *pane, *format, *value;
};

/* Each look is one turn of the loop or a command to the server: no clock. */
static bool shows(struct world *w, void *arg)
{
	const struct option *o = arg;
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *const words[] = {"display-message", "-p", "-t", o->pane, o->format, NULL};

	uv_run(&w->loop, UV_RUN_NOWAIT);
	ask(w, words, &out);
	return out.len == strlen(o->value) + 1 && strncmp(out.data, o->value, out.len - 1) == 0;
}

static bool is_closed(struct world *w, void *arg)
{
	(void)arg;
	return w->closed;
}

static void on_closed(void *context)
{
	((struct world *)context)->closed = true;
}

static void on_change(void *context)
{
	((struct world *)context)->changes++;
}

static void set(struct world *w, const char *name, const char *task, const char *state)
{
	char socket[128];

	snprintf(socket, sizeof socket, "%s/w-%s.sock", w->dir, name);
	views_set(w->views, name, socket, task, state);
}

static void open_views(struct world *w)
{
	struct error err = ERROR_INIT;

	if (views_open(&w->loop, "tmux", w->socket, w->program, &w->views, &err) < 0)
		fail_msg("%s", err.text);
	w->open = true;
	views_on_change(w->views, on_change, w);
}

static void close_views(struct world *w)
{
	w->closed = false;
	views_close(w->views, on_closed, w);
	until(w, is_closed, NULL);
	w->open = false;
	assert_int_equal(access(w->socket, F_OK), -1);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	static const char script[] = "#!/bin/sh\nexec cat\n";

	signal(SIGPIPE, SIG_IGN);
	snprintf(w->dir, sizeof w->dir, "/tmp/pleach-views-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->socket, sizeof w->socket, "%s/tmux", w->dir);
	snprintf(w->program, sizeof w->program, "%s/it's a; $work;", w->dir);
	int fd = open(w->program, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_int_equal(write_all(fd, script, sizeof script - 1), 0);
	close(fd);
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->limit);
	uv_unref((uv_handle_t *)&w->limit);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	/* A test that failed left its views open: their loop would never end. */
	if (w->open) {
		tmux_server_kill(w->socket);
		return 0;
	}
	uv_close((uv_handle_t *)&w->limit, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	unlink(w->program);
	unlink(w->socket);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static void test_borders(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", "oak", NULL};
	struct tmux_pane *panes;

	open_views(w);
	set(w, "ash", "speed.1", "working");
	set(w, "oak", NULL, "idle");
	for (int i = 0; i < 1000; i++)
		set(w, "ash", "speed.1", i % 2 ? "working" : "needs_input");
	until(w, all_open, names);
	assert_true(w->changes >= 2);
	char pane[16];
	snprintf(pane, sizeof pane, "%s", views_pane(w->views, "ash"));
	struct option border = {
	    pane, "#{@pleach-teammate}/#{@pleach-task}/#{@pleach-state}/#{@pleach-colour}",
	    "ash/speed.1/working/green"};
	until(w, shows, &border);
	struct option name = {pane, "#W", "ash_oak"};
	until(w, shows, &name);
	set(w, "ash", "a#(touch x);\"b\n", "needs_input");
	border.value = "ash/a--touch-x---b-/needs_input/yellow";
	until(w, shows, &border);
	set(w, "ash", "speed.1", "limited");
	border.value = "ash/speed.1/limited/cyan";
	until(w, shows, &border);
	struct option counts = {pane, "#{@pleach-counts}",
	                        "2 teammates  0 working  0 need input  some limited"};
	until(w, shows, &counts);
	/* The first pane keeps the focus. */
	struct option active = {pane, "#{pane_active}", "1"};
	until(w, shows, &active);
	assert_int_equal(panes_of(w, &panes), 2);
	free(panes);
	close_views(w);
}

static void test_six_a_window(void **state)
{
	struct world *w = *state;
	const char *names[15] = {NULL};
	char text[14][8];
	struct tmux_pane *panes;

	open_views(w);
	for (int i = 0; i < 14; i++) {
		snprintf(text[i], sizeof text[i], "t%d", i);
		names[i] = text[i];
		set(w, text[i], NULL, "idle");
	}
	until(w, all_open, names);
	size_t n = panes_of(w, &panes);
	assert_int_equal(n, 14);
	for (size_t i = 0; i < n; i++) {
		int beside = 0;
		for (size_t j = 0; j < n; j++)
			beside += strcmp(panes[i].window, panes[j].window) == 0;
		assert_true(beside <= 6);
	}
	free(panes);
	views_remove(w->views, "t3");
	views_remove(w->views, "nobody");
	assert_null(views_pane(w->views, "t3"));
	struct option count = {"%0", "#{window_panes}", "5"};
	until(w, shows, &count);
	close_views(w);
}

static void test_killed_pane_returns(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", "oak", NULL};
	struct differs d = {.name = "oak"};
	_cleanup_buf_ struct buf out = BUF_INIT;

	open_views(w);
	set(w, "ash", NULL, "idle");
	set(w, "oak", NULL, "idle");
	until(w, all_open, names);
	snprintf(d.pane, sizeof d.pane, "%s", views_pane(w->views, "oak"));
	const char *const words[] = {"kill-pane", "-t", d.pane, NULL};
	ask(w, words, &out);
	until(w, pane_differs, &d);
	struct option tag = {views_pane(w->views, "oak"), "#{@pleach-teammate}", "oak"};
	until(w, shows, &tag);
	/* The only pane that is left goes with the whole server, and both come back. */
	const char *const all[] = {"kill-session", "-t", "=team", NULL};
	int before = w->changes;
	ask(w, all, &out);
	until(w, has_changed, &before);
	until(w, all_open, names);
	close_views(w);
}

static void test_killed_server_returns(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", "oak", "elm", NULL};

	open_views(w);
	for (int i = 0; names[i]; i++)
		set(w, names[i], "x", "working");
	for (int round = 0; round < 3; round++) {
		until(w, all_open, names);
		pid_t server = tmux_server_pid(w->socket);
		assert_true(server > 0);
		int before = w->changes;
		kill(server, round == 1 ? SIGTERM : SIGKILL);
		until(w, has_changed, &before);
	}
	until(w, all_open, names);
	close_views(w);
}

/* Views of a process that died with them: the server and the panes stay. */
static void leave_views(struct world *w, const char **names)
{
	struct option attached = {"=team:", "#{session_attached}", "0"};
	int status;

	pid_t child = fork();
	if (child == 0) {
		alarm(LIMIT_MS / 2000); /* before `until` would go on with the tests here */
		uv_loop_fork(&w->loop);
		open_views(w);
		for (int i = 0; names[i]; i++)
			set(w, names[i], NULL, "idle");
		until(w, all_open, names);
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (status != 0)
		fail_msg("who was to leave them: %s", proc_status_text(status));
	until(w, shows, &attached);
}

static void test_adopted(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", "oak", NULL};
	struct tmux_pane *before, *after;

	leave_views(w, names);
	size_t n = panes_of(w, &before);
	assert_int_equal(n, 2);
	open_views(w);
	set(w, "oak", "y", "working");
	set(w, "ash", NULL, "idle");
	until(w, all_open, names);
	assert_int_equal(panes_of(w, &after), 2);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(before[i].pid, after[i].pid);
	free(before);
	free(after);
	struct option tag = {views_pane(w->views, "oak"), "#{@pleach-teammate} #{@pleach-task}",
	                     "oak y"};
	until(w, shows, &tag);
	close_views(w);
}

/* A control client that the test holds: as a coordinator that was killed leaves it, or a
 * person's. */
static struct proc control_client(struct world *w, const char *flags, int pipes[2])
{
	const char *const argv[] = {
	    "tmux",           "-N", "-S",    w->socket, "-f",  "/dev/null", "-C",
	    "attach-session", "-t", "=team", "-f",      flags, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc proc;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	spec.argv = argv;
	spec.stdin_fd = pipes[0];
	assert_int_equal(proc_spawn(&spec, &proc, NULL), 0);
	return proc;
}

/* The end of a process that is no part of the views: watched, or nothing would turn the loop. */
struct watched {
	uv_poll_t poll;
	bool ended;
};

static void on_watched(uv_poll_t *poll, int status, int events)
{
	struct watched *watched = poll->data;

	(void)status;
	(void)events;
	watched->ended = true;
	uv_close((uv_handle_t *)poll, NULL);
}

static bool has_ended(struct world *w, void *arg)
{
	(void)w;
	return ((const struct watched *)arg)->ended;
}

static void test_left_over_clients_end(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", NULL};
	struct watched watched = {.ended = false};
	int ours[2], theirs[2], status;

	leave_views(w, names);
	/* One after the other: a server that tells one control client of another while a third is
	 * half connected dies of it (tmux 3.3a, its pull request 4980). */
	struct proc left = control_client(w, "ignore-size,no-output", ours);
	struct option attached = {"=team:", "#{session_attached}", "1"};
	until(w, shows, &attached);
	struct proc person = control_client(w, "ignore-size", theirs);
	attached.value = "2";
	until(w, shows, &attached);
	assert_int_equal(uv_poll_init(&w->loop, &watched.poll, left.pidfd), 0);
	watched.poll.data = &watched;
	uv_poll_start(&watched.poll, UV_READABLE, on_watched);
	open_views(w);
	set(w, "ash", NULL, "idle");
	until(w, has_ended, &watched);
	until(w, all_open, names);
	assert_true(proc_alive(person.pid, person.start_time));
	proc_wait(&left, &status, NULL);
	close_views(w);
	proc_wait(&person, &status, NULL);
	for (int i = 0; i < 2; i++) {
		close(ours[i]);
		close(theirs[i]);
	}
	close(left.pidfd);
	close(person.pidfd);
}

static void test_server_that_serves_nobody(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", NULL};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int status;

	memcpy(address.sun_path, w->socket, strlen(w->socket) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_NAME, "tmux: server");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		listen(fd, 8);
		for (;;)
			close(accept(fd, NULL, NULL));
	}
	close(fd);
	until(w, is_served_by, &child);
	open_views(w);
	set(w, "ash", NULL, "idle");
	until(w, all_open, names);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	close_views(w);
}

static void test_closed_in_the_middle(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", "oak", NULL};

	/* After 0, 1, 2, … turns of the loop: before the client runs, while the server starts,
	 * while panes open. With both open nothing more need come. */
	for (int turns = 0; turns < 12; turns++) {
		open_views(w);
		set(w, "ash", NULL, "idle");
		set(w, "oak", NULL, "idle");
		for (int i = 0; i < turns && !all_open(w, names); i++)
			uv_run(&w->loop, UV_RUN_ONCE);
		close_views(w);
		assert_int_equal(tmux_server_pid(w->socket), 0);
	}
}

/* As between a server's fork and the exec of the pane's program: the child has the server's socket
 * still, and the server itself, ended, waits for init. */
static void test_dead_server_whose_child_listens(void **state)
{
	struct world *w = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int status, life[2];

	memcpy(address.sun_path, w->socket, strlen(w->socket) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	pid_t server = fork();
	if (server == 0) {
		char byte;
		close(life[1]);
		if (fork() == 0)
			_exit(read(life[0], &byte, 1) != 0);
		prctl(PR_SET_NAME, "tmux: server");
		listen(fd, 8);
		for (;;)
			pause();
	}
	close(fd);
	close(life[0]);
	until(w, is_served_by, &server);
	tmux_server_end(&w->loop, w->socket, NULL, 0, on_closed, w);
	until(w, is_closed, NULL);
	assert_int_equal(access(w->socket, F_OK), -1);
	close(life[1]);
	waitpid(server, &status, 0);
	assert_true(WIFSIGNALED(status));
}

static void test_stopped_server_is_closed(void **state)
{
	struct world *w = *state;
	const char *names[] = {"ash", NULL};

	open_views(w);
	set(w, "ash", NULL, "idle");
	until(w, all_open, names);
	kill(tmux_server_pid(w->socket), SIGSTOP);
	close_views(w);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	struct views *views = NULL;
	int fd = open(w->socket, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	close(fd);
	assert_int_equal(views_open(&w->loop, "tmux", w->socket, w->program, &views, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_int_equal(views_open(&w->loop, "no-such-tmux", w->socket, w->program, &views, &err),
	                 -1);
	assert_non_null(strstr(err.text, "--headless"));
	assert_null(views);
	assert_int_equal(access(w->socket, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_borders, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_six_a_window, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_killed_pane_returns, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_killed_server_returns, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_adopted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_left_over_clients_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_server_that_serves_nobody, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_closed_in_the_middle, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_dead_server_whose_child_listens, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stopped_server_is_closed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
