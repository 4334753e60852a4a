/* Processes: what a child gets and what it must not get, running a helper to its end, its
 * time limit, its output and what it leaves behind. This program is its own child: with an
 * argument it says what it sees. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "proc.h"
#include "shared_fixture.h"

static char self[4096];

/* ---- the child ---- */

static int child_fds(void)
{
	for (int fd = 0; fd < 2048; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	return 0;
}

static int child_signals(void)
{
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int n = 1; n < 32; n++) {
		struct sigaction action;

		if (sigismember(&blocked, n))
			printf("blocked %d ", n);
		if (sigaction(n, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf("ignored %d ", n);
	}
	return 0;
}

static int child_terminal(void)
{
	int tty = open("/dev/tty", O_RDWR);
	char name[64] = "";

	if (tty < 0 || ttyname_r(0, name, sizeof name) != 0)
		return 1;
	return !(getsid(0) == getpid() && tcgetpgrp(tty) == getpid() && isatty(1) && isatty(2));
}

static int child_main(char **argv)
{
	if (strcmp(argv[1], "fds") == 0)
		return child_fds();
	if (strcmp(argv[1], "signals") == 0)
		return child_signals();
	if (strcmp(argv[1], "terminal") == 0)
		return child_terminal();
	if (strcmp(argv[1], "session") == 0)
		return getsid(0) != getpid();
	if (strcmp(argv[1], "pass") == 0)
		return write(3, "passed", 6) != 6;
	return 99;
}

/* ---- the tests ---- */

static int run(const char *const *argv, struct buf *out, int *status, struct error *err)
{
	struct proc_run run = {.spec = PROC_SPEC_INIT, .out = out, .timeout_ms = WAIT_MS};

	run.spec.argv = argv;
	return proc_run(&run, status, err);
}

static int run_self(const char *what, struct buf *out)
{
	const char *argv[] = {self, what, NULL};
	struct error err = ERROR_INIT;
	int status = -1;

	assert_ok(run(argv, out, &status, &err));
	return status;
}

/* Starts it and waits for its end. */
static int spawn_and_wait(const struct proc_spec *spec)
{
	struct error err = ERROR_INIT;
	struct proc proc;
	int status = -1;

	assert_ok(proc_spawn(spec, &proc, &err));
	assert_true(proc.pidfd >= 0 && proc.start_time > 0);
	assert_ok(proc_wait(&proc, &status, &err));
	close(proc.pidfd);
	return status;
}

static void test_descriptors_do_not_leak(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int fds[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) /* without O_CLOEXEC, as a library would */
		assert_true((fds[i] = open("/dev/null", O_RDONLY)) >= 0);
	assert_int_equal(run_self("fds", &out), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	assert_string_equal(out.data, "0 1 2 ");
}

static void test_signals_are_reset(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	sigset_t all, before;
	int status;

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	status = run_self("signals", &out);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(status, 0);
	assert_int_equal(out.len, 0); /* SIGPIPE is ignored here and still not there */
}

static void test_terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	const char *argv[] = {self, "terminal", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char name[64];

	(void)state;
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	assert_int_equal(ptsname_r(master, name, sizeof name), 0);
	spec.argv = argv;
	spec.tty = name;
	assert_int_equal(spawn_and_wait(&spec), 0);
	/* and it has not become ours */
	assert_int_not_equal(tcgetpgrp(master), getpgrp());
	close(master);
}

static void test_own_session(void **state)
{
	const char *argv[] = {self, "session", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	(void)state;
	spec.argv = argv;
	assert_int_not_equal(spawn_and_wait(&spec), 0);
	spec.new_session = true;
	assert_int_equal(spawn_and_wait(&spec), 0);
}

static void read_whole(int fd, struct buf *into)
{
	while (buf_read(into, fd, 4096) > 0)
		;
	close(fd);
}

static void test_passed_descriptor(void **state)
{
	_cleanup_buf_ struct buf got = BUF_INIT;
	const char *argv[] = {self, "pass", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spec.argv = argv;
	spec.pass_fd = fds[1];
	assert_int_equal(spawn_and_wait(&spec), 0);
	close(fds[1]);
	read_whole(fds[0], &got);
	assert_string_equal(got.data, "passed");
	spec.pass_fd = -1;
	assert_int_not_equal(spawn_and_wait(&spec), 0); /* closed where none is passed */
}

/* The descriptors may be given in any order, in each other's places. */
static void test_descriptors_crosswise(void **state)
{
	const char *argv[] = {"sh", "-c", "cat; echo err >&2; echo three >&3", NULL};
	_cleanup_buf_ struct buf out = BUF_INIT, errors = BUF_INIT, three = BUF_INIT;
	struct proc_spec spec = PROC_SPEC_INIT;
	int in[2], a[2], b[2], c[2], saved[4];

	(void)state;
	assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(a, O_CLOEXEC) == 0 &&
	            pipe2(b, O_CLOEXEC) == 0 && pipe2(c, O_CLOEXEC) == 0);
	assert_int_equal(write(in[1], "in", 2), 2);
	close(in[1]);
	/* stdout on 2, stderr on 1, stdin on 3, the fourth on 0 */
	for (int i = 0; i < 4; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
	dup2(a[1], 2);
	dup2(b[1], 1);
	dup2(in[0], 3);
	dup2(c[1], 0);
	spec = (struct proc_spec){
	    .argv = argv, .stdin_fd = 3, .stdout_fd = 2, .stderr_fd = 1, .pass_fd = 0};
	int status = spawn_and_wait(&spec);
	for (int i = 0; i < 4; i++) {
		if (saved[i] >= 0) {
			dup2(saved[i], i);
			close(saved[i]);
		} else {
			close(i);
		}
	}
	assert_int_equal(status, 0);
	/* descriptor 3 may have been one of the pipes' own */
	const int ours[] = {in[0], a[1], b[1], c[1]};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		close(ours[i]);
	read_whole(a[0], &out);
	read_whole(b[0], &errors);
	read_whole(c[0], &three);
	assert_string_equal(out.data, "in");
	assert_string_equal(errors.data, "err\n");
	assert_string_equal(three.data, "three\n");
}

static void test_directory_and_environment(void **state)
{
	const char *argv[] = {"sh", "-c", "pwd; printf '%s|' \"$ONE\" \"$HOME\"", NULL};
	const char *env[] = {"PATH=/usr/bin:/bin", "ONE=1 2", NULL};
	_cleanup_free_ char *want = xasprintf("%s\n1 2||", (char *)*state);
	struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct error err = ERROR_INIT;
	int status;

	run.spec.argv = argv;
	run.spec.env = env;
	run.spec.cwd = *state;
	run.out = &out;
	assert_ok(proc_run(&run, &status, &err));
	assert_string_equal(out.data, want);
}

static void refused(const char *program, const char *cwd, enum error_code code)
{
	const char *argv[] = {program, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct proc proc = {.pid = 77};

	spec.argv = argv;
	spec.cwd = cwd;
	assert_int_equal(proc_spawn(&spec, &proc, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, cwd ? cwd : program));
	assert_int_equal(proc.pid, 77); /* untouched */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD); /* nothing is left to be reaped */
}

static void test_missing_programs(void **state)
{
	_cleanup_free_ char *plain = xasprintf("%s/plain", (char *)*state);
	int fd = open(plain, O_CREAT | O_WRONLY, 0644);

	assert_true(fd >= 0);
	close(fd);
	if (under_valgrind()) /* there a child that cannot exec cannot tell why */
		skip();
	refused("no-such-program-at-all", NULL, ERROR_NOT_FOUND);
	refused("/no/such/program", NULL, ERROR_NOT_FOUND);
	refused(plain, NULL, ERROR_NOT_FOUND);  /* not executable */
	refused(*state, NULL, ERROR_NOT_FOUND); /* a folder */
	refused("true", "/no/such/folder", ERROR_EXTERNAL);
}

static void test_finding_programs(void **state)
{
	_cleanup_free_ char *folder = xasprintf("%s/tool", (char *)*state);
	_cleanup_free_ char *path = xasprintf("/no/such:%s:/usr/bin:/bin", (char *)*state);
	_cleanup_free_ char *found = NULL, *slash = NULL;

	assert_int_equal(mkdir(folder, 0755), 0);
	assert_null(proc_find_program("tool", path)); /* a folder of that name is no program */
	found = proc_find_program("sh", path);
	assert_non_null(found);
	slash = proc_find_program(found, "/nowhere");
	assert_string_equal(slash, found);
	assert_null(proc_find_program("", path));
	assert_null(proc_find_program("sh", ""));
	assert_true(strncmp(self, proc_own_dir(), strlen(proc_own_dir())) == 0);
}

static void test_run_in_out_err(void **state)
{
	const char *argv[] = {"sh", "-c", "cat; echo bad >&2; exit 3", NULL};
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT, errors = BUF_INIT;
	struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS};
	struct error err = ERROR_INIT;
	int status;

	(void)state;
	for (int i = 0; i < 100000; i++) /* more than a pipe holds, both ways */
		buf_printf(&in, "line %d\n", i);
	buf_add_str(&out, "kept ");
	run.spec.argv = argv;
	run.in = in.data;
	run.in_len = in.len;
	run.out = &out;
	run.err_out = &errors;
	assert_ok(proc_run(&run, &status, &err));
	assert_string_equal(proc_status_text(status), "exit 3");
	assert_int_equal(out.len, in.len + 5);
	assert_memory_equal(out.data, "kept ", 5);
	assert_memory_equal(out.data + 5, in.data, in.len);
	assert_string_equal(errors.data, "bad\n");
}

/* A helper that does not read what it is given is no failure of ours. */
static void test_run_unread_input(void **state)
{
	const char *argv[] = {"true", NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS};
	char *in = xcalloc(1, 1 << 20);
	struct error err = ERROR_INIT;
	int status = -1;

	(void)state;
	run.spec.argv = argv;
	run.in = in;
	run.in_len = 1 << 20;
	assert_ok(proc_run(&run, &status, &err));
	assert_int_equal(status, 0);
	free(in);
}

static void test_run_output_is_capped(void **state)
{
	const char *argv[] = {"sh", "-c", "head -c 30000000 /dev/zero; echo end >&2", NULL};
	_cleanup_buf_ struct buf out = BUF_INIT, errors = BUF_INIT;
	struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS, .max_out = 100000};
	struct error err = ERROR_INIT;
	int status = -1;

	(void)state;
	buf_add_str(&out, "12345");
	run.spec.argv = argv;
	run.out = &out;
	run.err_out = &errors;
	assert_ok(proc_run(&run, &status, &err));
	assert_int_equal(status, 0); /* it could write all of it */
	assert_int_equal(out.len, 100005);
	assert_true(out.cap < 1 << 20);
	assert_string_equal(errors.data, "end\n");
}

/* Its orphans come to us (we are the subreaper): as zombies they are still of the group. */
static bool group_is_gone(pid_t pid)
{
	while (waitpid(-pid, NULL, WNOHANG) > 0)
		;
	return kill(-pid, 0) < 0 && errno == ESRCH;
}

/* The limit ends the helper and what it started, TERM ignored or not. */
static void test_run_time_limit(void **state)
{
	const char *argv[] = {"sh", "-c", "trap '' TERM HUP; echo $$; sleep 1000 & wait", NULL};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	run.spec.argv = argv;
	run.out = &out;
	/* A busy machine may end it before it has said anything: again, with twice the limit. */
	for (int limit = 1000; limit <= 16000 && out.len == 0; limit *= 2) {
		struct error err = ERROR_INIT;
		int64_t start = time_mono_ms();

		run.timeout_ms = limit;
		assert_int_equal(proc_run(&run, &status, &err), -1);
		assert_int_equal(err.code, ERROR_TIMEOUT);
		assert_true(time_mono_ms() - start >= limit);
		assert_true(time_mono_ms() - start < limit + WAIT_MS);
	}
	assert_true(out.len > 0);
	pid = (pid_t)strtol(out.data, NULL, 10);
	assert_true(pid > 1);
	wait_until(group_is_gone(pid));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void test_run_cancel(void **state)
{
	const char *argv[] = {"sleep", "1000", NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	struct error err = ERROR_INIT;
	int fds[2], status;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run.spec.argv = argv;
	run.cancel_fd = &fds[0];
	assert_int_equal(proc_run(&run, &status, &err), -1);
	assert_int_equal(err.code, ERROR_CONFLICT);
	close(fds[0]);
	close(fds[1]);
}

/* What a helper leaves behind holds its pipes: they are not waited for. */
static void test_run_grandchild_holds_the_pipe(void **state)
{
	const char *argv[] = {"sh", "-c", "sleep 1000 & echo $$; echo said", NULL};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	struct error err = ERROR_INIT;
	int status = -1;

	(void)state;
	run.spec.argv = argv;
	run.out = &out;
	assert_ok(proc_run(&run, &status, &err)); /* no limit: it would hang here */
	assert_int_equal(status, 0);
	assert_non_null(strstr(out.data, "said\n"));
	kill(-(pid_t)strtol(out.data, NULL, 10), SIGKILL);
}

static void test_run_grandchild_writes_for_ever(void **state)
{
	const char *argv[] = {"sh", "-c", "echo $$; (exec yes) & exit 0", NULL};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct proc_run run = {.spec = PROC_SPEC_INIT, .max_out = 1000};
	struct error err = ERROR_INIT;
	int status = -1;

	(void)state;
	run.spec.argv = argv;
	run.out = &out;
	assert_ok(proc_run(&run, &status, &err));
	assert_int_equal(status, 0);
	kill(-(pid_t)strtol(out.data, NULL, 10), SIGKILL);
}

static void test_run_signal(void **state)
{
	const char *argv[] = {"sh", "-c", "kill -9 $$", NULL};
	struct error err = ERROR_INIT;
	int status = -1;

	(void)state;
	assert_ok(run(argv, NULL, &status, &err));
	assert_string_equal(proc_status_text(status), "signal 9 (Killed)");
}

/* A thousand helpers: no descriptor and no zombie is left. */
static void test_run_leaves_nothing(void **state)
{
	const char *argv[] = {"true", NULL}, *missing[] = {"/no/such", NULL};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct error err = ERROR_INIT;
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after, status;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_ok(run(argv, &out, &status, &err));
		if (!under_valgrind())
			assert_int_equal(run(missing, &out, &status, &err), -1);
	}
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* There a thread closes what stands in for a pidfd, a little later. */
	if (!under_valgrind())
		assert_int_equal(after, before + 1);
	close(before);
	close(after);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_alive_is_pid_and_start_time(void **state)
{
	const char *argv[] = {"sleep", "1000", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct pollfd ended;
	struct proc proc;
	uint64_t start;

	(void)state;
	spec.argv = argv;
	assert_ok(proc_spawn(&spec, &proc, &err));
	assert_true(proc_alive(proc.pid, proc.start_time));
	assert_false(proc_alive(proc.pid, proc.start_time + 1)); /* somebody else's pid */
	assert_false(proc_alive(0, 0));
	assert_false(proc_alive(-1, 0));
	assert_int_equal(proc_start_time(proc.pid, &start), 0);
	assert_true(start == proc.start_time);

	proc.start_time++;
	proc_kill_pid(&proc); /* not the one that we mean */
	proc.start_time--;
	assert_true(proc_alive(proc.pid, proc.start_time));
	proc_kill_pid(&proc);
	ended = (struct pollfd){.fd = proc.pidfd, .events = POLLIN};
	assert_int_equal(poll(&ended, 1, WAIT_MS), 1);
	assert_false(proc_alive(proc.pid, proc.start_time)); /* dead, though not reaped */
	assert_ok(proc_wait(&proc, &(int){0}, &err));
	assert_int_equal(proc_start_time(proc.pid, &start), -1);
	close(proc.pidfd);
}

static void test_boot_id(void **state)
{
	char one[37], two[37];

	(void)state;
	proc_boot_id(one);
	proc_boot_id(two);
	assert_string_equal(one, two);
	assert_int_equal(strlen(one), 36);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_descriptors_do_not_leak),
	    cmocka_unit_test(test_signals_are_reset),
	    cmocka_unit_test(test_terminal),
	    cmocka_unit_test(test_own_session),
	    cmocka_unit_test(test_passed_descriptor),
	    cmocka_unit_test(test_descriptors_crosswise),
	    cmocka_unit_test_setup_teardown(test_directory_and_environment, temp_setup,
	                                    temp_teardown),
	    cmocka_unit_test_setup_teardown(test_missing_programs, temp_setup, temp_teardown),
	    cmocka_unit_test_setup_teardown(test_finding_programs, temp_setup, temp_teardown),
	    cmocka_unit_test(test_run_in_out_err),
	    cmocka_unit_test(test_run_unread_input),
	    cmocka_unit_test(test_run_output_is_capped),
	    cmocka_unit_test(test_run_time_limit),
	    cmocka_unit_test(test_run_cancel),
	    cmocka_unit_test(test_run_grandchild_holds_the_pipe),
	    cmocka_unit_test(test_run_grandchild_writes_for_ever),
	    cmocka_unit_test(test_run_signal),
	    cmocka_unit_test(test_run_leaves_nothing),
	    cmocka_unit_test(test_alive_is_pid_and_start_time),
	    cmocka_unit_test(test_boot_id),
	};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (argc > 1)
		return child_main(argv);
	assert_true(n > 0);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
