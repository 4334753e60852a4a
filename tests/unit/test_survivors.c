/* What an attempt left behind is found and ended, however it hid; nobody else is hit. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "proc.h"
#include "shared_fixture.h"

#define TRIES 400

/* A process that says by closing a pipe that it is where it wants to be, then waits. */
struct victim {
	struct proc proc;
	int alive; /* reads end of file when it and all it started are dead */
};

/* Runs a script of the shell: it says `ready` when everything stands. */
/* Of this run alone: the same test may run from another folder at the same time. */
static char mark[40], mark_more[40], mark_empty[40], mark_after[40], mark_within[40], mark_name[40],
    mark_ash[40], mark_elm[40], mark_birch[40];

static void name_marks(void)
{
	static const struct {
		char *mark;
		const char *format;
	} marks[] = {
	    {mark, "MARK%d=7"},        {mark_more, "MARK%d=70"},    {mark_empty, "MARK%d="},
	    {mark_after, "XMARK%d=7"}, {mark_within, "A=MARK%d=7"}, {mark_name, "MARK%d"},
	    {mark_ash, "MARK%d=ash"},  {mark_elm, "MARK%d=elm"},    {mark_birch, "MARK%d=birch"}};

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		snprintf(marks[i].mark, sizeof mark, marks[i].format, (int)getpid());
}

static struct victim start(const char *script, const char *marker, const char *dir)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "OTHER=x", marker, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct victim victim;
	struct pollfd said;
	char ready[8];
	int out[2], alive[2];

	assert_true(pipe2(out, O_CLOEXEC) == 0 && pipe2(alive, O_CLOEXEC) == 0);
	spec.argv = argv;
	spec.env = env;
	spec.cwd = dir;
	spec.stdout_fd = out[1];
	spec.pass_fd = alive[1];
	assert_ok(proc_spawn(&spec, &victim.proc, &err));
	close(out[1]);
	close(alive[1]);
	said = (struct pollfd){.fd = out[0], .events = POLLIN};
	if (poll(&said, 1, WAIT_MS) != 1)
		fail_msg("not ready in %d ms: %s", WAIT_MS, script);
	assert_int_equal(read(out[0], ready, 5), 5);
	assert_memory_equal(ready, "ready", 5);
	close(out[0]);
	victim.alive = alive[0];
	return victim;
}

static bool is_dead(const struct victim *victim, int wait_ms)
{
	struct pollfd fd = {.fd = victim->alive, .events = POLLIN};
	char byte;

	return poll(&fd, 1, wait_ms) == 1 && read(victim->alive, &byte, 1) == 0;
}

static void reap(struct victim *victim)
{
	int status;

	proc_kill_pid(&victim->proc);
	waitpid(victim->proc.pid, &status, 0);
	close(victim->proc.pidfd);
	close(victim->alive);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* orphans come to us: we are the subreaper */
		;
}

static void must_die(const char *script, const char *marker, const char *dir, const char *by_marker,
                     const char *by_dir)
{
	struct victim victim = start(script, marker, dir);
	int killed = proc_kill_survivors(by_marker, by_dir, 0, TRIES);

	if (killed < 1)
		fail_msg("not found: %s", script);
	assert_true(is_dead(&victim, WAIT_MS));
	reap(&victim);
	assert_int_equal(proc_kill_survivors(by_marker, by_dir, 0, TRIES), 0);
}

static void must_live(const char *marker, const char *dir, const char *by_marker,
                      const char *by_dir)
{
	struct victim victim = start("echo ready; exec sleep 1000", marker, dir);

	proc_kill_survivors(by_marker, by_dir, 0, TRIES);
	assert_true(proc_alive(victim.proc.pid, victim.proc.start_time));
	assert_false(is_dead(&victim, 0));
	reap(&victim);
}

#define PLAIN "echo ready; exec sleep 1000"

static void test_by_environment(void **state)
{
	(void)state;
	must_die(PLAIN, mark, "/", mark, NULL);
	must_die("trap '' HUP TERM INT; echo ready; while :; do sleep 1000; done", mark, "/", mark,
	         NULL);
	must_die("setsid sh -c 'echo ready; exec sleep 1000' & wait", mark, "/", mark, NULL);
	/* double fork in a session of its own: nobody's child any more */
	must_die("(setsid sh -c 'echo ready; exec sleep 1000' >&1 &) & exit 0", mark, "/", mark,
	         NULL);
	/* stopped */
	must_die("sh -c 'kill -STOP $$' & p=$!;"
	         " until grep -q '^State:.*T' /proc/$p/status; do :; done; echo ready; wait",
	         mark, "/", mark, NULL);
}

static void test_by_directory(void **state)
{
	_cleanup_free_ char *below = xasprintf("%s/a b/deep", (char *)*state);
	_cleanup_free_ char *middle = xasprintf("%s/a b", (char *)*state);

	assert_int_equal(mkdir(middle, 0755), 0);
	assert_int_equal(mkdir(below, 0755), 0);
	must_die(PLAIN, NULL, *state, NULL, *state);
	must_die(PLAIN, NULL, below, NULL, *state);
	/* nothing of its environment is left, but it stands there */
	must_die("exec env -i /bin/sh -c 'echo ready; sleep 1000 & wait'", mark, below, mark,
	         *state);
	/* the folder is gone from under it */
	must_die("rmdir ../deep; echo ready; exec sleep 1000", NULL, below, NULL, *state);
}

static void test_the_folder_itself_is_gone(void **state)
{
	_cleanup_free_ char *slot = xasprintf("%s/slot", (char *)*state);

	assert_int_equal(mkdir(slot, 0755), 0);
	must_die("rmdir ../slot; echo ready; exec sleep 1000", NULL, slot, NULL, slot);
}

static void test_one_that_forks_meanwhile(void **state)
{
	/* each generation starts the next before it ends */
	static const char script[] =
	    "f() { echo ready; n=0; while [ $n -lt 300 ]; do n=$((n+1)); (exec sleep 1000) & done;"
	    " wait; }; f";

	(void)state;
	must_die(script, mark, "/", mark, NULL);
}

static void test_nobody_else(void **state)
{
	static const char *const near[] = {"slotx", "slot x", "slo", "slot (deleted)", "Slot"};
	_cleanup_free_ char *slot = xasprintf("%s/slot", (char *)*state);

	assert_int_equal(mkdir(slot, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(near); i++) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", (char *)*state, near[i]);

		assert_int_equal(mkdir(dir, 0755), 0);
		must_live(NULL, dir, NULL, slot);
	}
	must_live(mark_more, "/", mark, slot);
	must_live(mark_empty, "/", mark, slot);
	must_live(mark_after, "/", mark, slot);
	must_live(mark_within, "/", mark, slot);
	must_live(NULL, *state, mark, slot); /* above it */
}

/* A question that is empty, or that everything answers, is answered by nobody. */
static void test_empty_questions(void **state)
{
	static const char *const dirs[] = {"", "/", "//", ".", "relative"};

	must_live(mark, *state, NULL, NULL);
	must_live(mark, *state, "", NULL);
	must_live(mark, *state, mark_name, NULL);
	must_live(mark, *state, "=7", NULL);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		must_live(mark, *state, NULL, dirs[i]);
		must_live(mark, "/", NULL, dirs[i]);
	}
}

static void test_keep_is_kept(void **state)
{
	struct victim kept = start(PLAIN, mark, *state);
	struct victim other = start(PLAIN, mark, *state);

	/* at least: one that is slow to die is met twice */
	assert_true(proc_kill_survivors(mark, *state, kept.proc.pid, TRIES) >= 1);
	assert_true(is_dead(&other, WAIT_MS));
	assert_true(proc_alive(kept.proc.pid, kept.proc.start_time));
	reap(&other);
	reap(&kept);
}

/* This process is never asked, wherever it stands and whatever it carries. */
static void test_not_myself(void **state)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(chdir(*state), 0);
	assert_int_equal(proc_kill_survivors(NULL, *state, 0, TRIES), 0);
	assert_int_equal(fchdir(fd), 0);
	close(fd);
}

/* The folder is named as the kernel names it: with its links resolved, without a slash at its
 * end. Asked otherwise it is still that folder. */
static void test_other_names_of_the_folder(void **state)
{
	_cleanup_free_ char *slot = xasprintf("%s/slot", (char *)*state);
	_cleanup_free_ char *link = xasprintf("%s/link", (char *)*state);
	_cleanup_free_ char *slash = xasprintf("%s/slot/", (char *)*state);

	assert_int_equal(mkdir(slot, 0755), 0);
	assert_int_equal(symlink(slot, link), 0);
	must_die(PLAIN, NULL, slot, NULL, link);
	must_die(PLAIN, NULL, slot, NULL, slash);
}

/* Neither its environment nor its directory, its session or its parent tell whose it is. */
static void test_by_family(void **state)
{
	static const char script[] = "(cd /; exec setsid env -i sh -c 'echo ready; exec sleep 1000'"
	                             " >&1 &) & exit 0";
	struct victim victim, other;
	int status;

	(void)state;
	while (waitpid(-1, &status, 0) > 0) /* of the tests before: all dead, not all reaped */
		;
	assert_int_equal(proc_family_join(mark_ash), 0);
	victim = start(script, NULL, "/");
	/* Both shells between have ended: one is left. */
	assert_int_equal(waitpid(victim.proc.pid, &status, 0), victim.proc.pid);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(proc_family_join(mark_elm), 0);
	other = start(PLAIN, NULL, "/");
	assert_int_equal(proc_kill_family(mark_birch, NULL, NULL, 0, TRIES), 0);
	assert_false(is_dead(&victim, 0));
	/* at least: one that is slow to die is met twice */
	assert_true(proc_kill_family(mark_ash, NULL, NULL, 0, TRIES) >= 1);
	assert_true(is_dead(&victim, WAIT_MS));
	assert_false(is_dead(&other, 0));
	reap(&victim);
	reap(&other);
}

static void becomes(pid_t pid, bool stopped)
{
	uint64_t start;

	assert_int_equal(proc_start_time(pid, &start), 0);
	assert_int_equal(kill(pid, stopped ? SIGSTOP : SIGCONT), 0);
	for (int ms = 0; ms < WAIT_MS && (proc_state(pid) == 'T') != stopped; ms++)
		usleep(1000);
	for (int i = 0; i < 3; i++) /* it is asked more than once */
		assert_int_equal(proc_stopped(pid, start), stopped);
}

static void test_stopped(void **state)
{
	const char *argv[] = {"sh", "-c", "sleep 1000 & echo $!; wait", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct proc proc;
	char text[32] = "";
	pid_t grandchild;
	int out[2];

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	spec.argv = argv;
	spec.stdout_fd = out[1];
	assert_ok(proc_spawn(&spec, &proc, &err));
	assert_true(read(out[0], text, sizeof text - 1) > 0);
	grandchild = (pid_t)strtol(text, NULL, 10);
	assert_true(grandchild > 0);
	assert_false(proc_stopped(proc.pid, proc.start_time));
	assert_false(proc_stopped(0, 0));
	assert_false(proc_stopped(-1, 0));
	becomes(proc.pid, true);
	becomes(grandchild, true);
	becomes(proc.pid, false);
	becomes(grandchild, false);
	becomes(proc.pid, true);
	assert_false(proc_stopped(grandchild, 1)); /* somebody else's pid */
	kill(grandchild, SIGKILL);
	proc_kill_pid(&proc);
	assert_ok(proc_wait(&proc, &(int){0}, &err));
	assert_false(proc_stopped(proc.pid, proc.start_time));
	close(proc.pidfd);
	close(out[0]);
	close(out[1]);
}

static int64_t awaited_ms(const char *dir, const char *name, int ms)
{
	int64_t began = time_mono_ms();

	proc_await_in(dir, name, ms);
	return time_mono_ms() - began;
}

static struct proc sleep_in(const char *dir, const char *seconds)
{
	const char *argv[] = {"sleep", seconds, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct proc proc;

	spec.argv = argv;
	spec.cwd = dir;
	assert_ok(proc_spawn(&spec, &proc, &err));
	return proc;
}

static void test_await_in(void **state)
{
	const char *dir = *state;
	_cleanup_free_ char *beside = xstrndup(dir, strlen(dir) - 1);
	struct proc lasting = sleep_in(dir, "1000"), brief;
	int status;

	assert_true(awaited_ms(dir, "slee", WAIT_MS) < WAIT_MS / 2);
	assert_true(awaited_ms(beside, "sleep", WAIT_MS) < WAIT_MS / 2);
	assert_true(awaited_ms(dir, "sleep", 1000) >= 990);
	assert_true(awaited_ms(dir, "sleep", 1000) < 900); /* older than that by now */
	proc_kill_pid(&lasting);
	proc_wait(&lasting, &status, NULL);
	close(lasting.pidfd);

	brief = sleep_in(dir, "0.2");
	assert_true(awaited_ms(dir, "sleep", WAIT_MS) < WAIT_MS / 2);
	assert_int_equal(waitpid(brief.pid, &status, WNOHANG), brief.pid);
	close(brief.pidfd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_by_environment),
	    TEST(test_by_directory),
	    TEST(test_the_folder_itself_is_gone),
	    TEST(test_one_that_forks_meanwhile),
	    TEST(test_nobody_else),
	    TEST(test_empty_questions),
	    TEST(test_keep_is_kept),
	    TEST(test_not_myself),
	    TEST(test_other_names_of_the_folder),
	    TEST(test_by_family),
	    TEST(test_stopped),
	    TEST(test_await_in),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	name_marks();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
