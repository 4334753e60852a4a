/* `pleach-worker --view` on a pseudo-terminal of the test, against the real worker. */
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "worker_fake.h"

struct screen {
	int fd;
	char *tty;
	struct proc proc;
	struct buf seen;
};

static void screen_open(struct screen *s)
{
	struct winsize size = {.ws_col = 90, .ws_row = 25};
	char name[64];
	int other;

	memset(s, 0, sizeof *s);
	assert_int_equal(openpty(&s->fd, &other, name, NULL, &size), 0);
	fcntl(s->fd, F_SETFD, FD_CLOEXEC);
	fcntl(other, F_SETFD, FD_CLOEXEC); /* stays open: the terminal outlives its programs */
	s->tty = xstrdup(name);
}

static void screen_run(struct screen *s, const struct fake *f, const char *option)
{
	_cleanup_free_ char *program = xasprintf("%s/../../pleach-worker", proc_own_dir());
	_cleanup_free_ char *socket = xasprintf("%s/w-ash.sock", f->runtime);
	const char *argv[] = {program, "--view", "ash", "--socket", socket, option, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;

	spec.argv = argv;
	spec.tty = s->tty;
	if (proc_spawn(&spec, &s->proc, &err) != 0)
		fail_msg("%s", err.text);
}

static void screen_wait(struct screen *s, const char *text)
{
	char *at;

	while (!s->seen.data || !(at = strstr(s->seen.data, text))) {
		fake_wait_fd(s->fd, POLLIN);
		assert_true(buf_read(&s->seen, s->fd, 4096) > 0);
	}
	buf_drop_front(&s->seen, (size_t)(at - s->seen.data) + strlen(text));
}

static void screen_type(const struct screen *s, const char *keys)
{
	assert_int_equal(write_all(s->fd, keys, strlen(keys)), 0);
}

static int screen_status(struct screen *s)
{
	int status = -1;

	fake_wait_fd(s->proc.pidfd, POLLIN);
	assert_int_equal(proc_wait(&s->proc, &status, NULL), 0);
	close(s->proc.pidfd);
	return status;
}

static void screen_close(struct screen *s)
{
	close(s->fd);
	buf_finish(&s->seen);
	free(s->tty);
}

static json_t *tui_task(int attempt, const char *script)
{
	json_t *task = fake_task(attempt, script);

	json_object_set_new(fake_profile(task), "mode", json_string("tui"));
	json_object_set_new(fake_profile(task), "prompt", json_string("none"));
	return task;
}

static void test_attach(void **state)
{
	struct fake *f = *state;
	struct termios before, after;
	struct screen s;

	fake_begin(f);
	screen_open(&s);
	tcgetattr(s.fd, &before);
	screen_run(&s, f, "--attach");
	screen_wait(&s, "ash is idle");
	fake_assign(f, tui_task(1, "stty -echo; echo ready; read a; stty size; echo \"<$a>\"; "
	                           "printf '\\033]52;c;c2VjcmV0\\007'; echo more; read b"));
	screen_wait(&s, "parser");
	screen_wait(&s, "ready");
	screen_type(&s, "hello\r");
	screen_wait(&s, "25 90");
	screen_wait(&s, "<hello>");
	while (!strstr(s.seen.data, "more")) {
		fake_wait_fd(s.fd, POLLIN);
		buf_read(&s.seen, s.fd, 4096);
	}
	assert_null(strstr(s.seen.data, "]52")); /* nobody writes a person's clipboard */
	screen_type(&s, "x\021y");
	screen_wait(&s, "[detached from ash]");
	assert_int_equal(screen_status(&s), 0);
	tcgetattr(s.fd, &after);
	assert_int_equal(before.c_lflag, after.c_lflag);
	assert_int_equal(before.c_oflag, after.c_oflag);
	/* A second one, ended by a signal, leaves the terminal right too. */
	screen_run(&s, f, "--attach");
	screen_wait(&s, "more");
	kill(s.proc.pid, SIGTERM);
	assert_int_equal(WEXITSTATUS(screen_status(&s)), 128 + SIGTERM);
	tcgetattr(s.fd, &after);
	assert_int_equal(before.c_lflag, after.c_lflag);
	screen_close(&s);
}

static void test_read_only(void **state)
{
	struct fake *f = *state;
	struct screen s;

	fake_begin(f);
	fake_assign(f, tui_task(1, "stty -echo; echo ready; read a; echo \"<$a>\""));
	screen_open(&s);
	screen_run(&s, f, "--read-only");
	screen_wait(&s, "ready");
	screen_type(&s, "no\r");
	fake_notify(f, "attempt.message",
	            json_pack("{s:i,s:i,s:s}", "attempt", 1, "id", 1, "text", "yes"));
	screen_wait(&s, "<yes>");
	screen_close(&s);
	screen_status(&s); /* its terminal is gone: it ends */
}

static void test_pane_outlives_worker(void **state)
{
	struct fake *f = *state;
	struct screen s;
	int status;

	screen_open(&s);
	screen_run(&s, f, NULL);
	screen_wait(&s, "ash has not started; waiting for it");
	fake_begin(f);
	screen_wait(&s, "ash is idle");
	kill(f->worker.pid, SIGKILL);
	proc_wait(&f->worker, &status, NULL);
	close(f->worker.pidfd);
	screen_wait(&s, "ash is away; waiting for it");
	fake_hang_up(f);
	fake_begin(f);
	screen_wait(&s, "ash is idle");
	fake_notify(f, "worker.exit", json_object());
	screen_wait(&s, "ash has ended");
	fake_wait_exit(f);
	kill(s.proc.pid, SIGHUP);
	assert_int_equal(WEXITSTATUS(screen_status(&s)), 128 + SIGHUP);
	screen_close(&s);
}

static void test_attach_to_nobody(void **state)
{
	struct fake *f = *state;
	struct screen s;

	screen_open(&s);
	screen_run(&s, f, "--attach");
	screen_wait(&s, "its worker does not run");
	assert_int_equal(WEXITSTATUS(screen_status(&s)), 6);
	screen_close(&s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    T(test_attach),
	    T(test_read_only),
	    T(test_pane_outlives_worker),
	    T(test_attach_to_nobody),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
