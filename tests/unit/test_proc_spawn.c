/* A child in our memory until its exec: what it must leave alone while others of our threads go on,
 * signals come and descriptors are where they are wanted. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proc.h"
#include "shared_fixture.h"

#define SIGNALLED_STARTS 1000
#define STARTERS         4
#define STARTS           100

static pid_t ours;
static atomic_int heard, heard_elsewhere;
static atomic_bool over;

static void on_signal(int number)
{
	(void)number;
	if (syscall(SYS_getpid) == ours)
		atomic_fetch_add(&heard, 1);
	else
		atomic_fetch_add(&heard_elsewhere, 1);
}

static void *signal_everybody(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		kill(0, SIGUSR1);
		usleep(20);
	}
	return NULL;
}

static int start_true(int *status)
{
	const char *argv[] = {"/bin/true", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct proc proc;

	spec.argv = argv;
	assert_ok(proc_spawn(&spec, &proc, &err));
	assert_ok(proc_wait(&proc, status, &err));
	return close(proc.pidfd);
}

/* What is sent to all of our group reaches the child too; our handler must not be what takes it
 * there.
 */
static void test_no_handler_runs_in_the_child(void **state)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, now;
	pid_t group = getpgrp();
	sigset_t before, after;
	pthread_t sender;
	int died = 0;

	(void)state;
	ours = getpid();
	assert_int_equal(setpgid(0, 0), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	assert_int_equal(pthread_create(&sender, NULL, signal_everybody, NULL), 0);
	for (int i = 0; i < SIGNALLED_STARTS; i++) {
		int status = -1;

		start_true(&status);
		died += WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
	}
	atomic_store(&over, true);
	pthread_join(sender, NULL);
	assert_int_equal(setpgid(0, group), 0);
	assert_true(atomic_load(&heard) > 0 && died > 0);
	assert_int_equal(atomic_load(&heard_elsewhere), 0);
	assert_int_equal(sigaction(SIGUSR1, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, on_signal);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_memory_equal(&before, &after, _NSIG / 8); /* what the kernel wrote */
	signal(SIGUSR1, SIG_DFL);
}

/* Each child says its own words on its own pipe, or that there is no such program. */
static void *start_many(void *context)
{
	_cleanup_free_ char *word = xasprintf("word %zd", (ssize_t)(intptr_t)context);
	const char *argv[] = {"/bin/echo", "-n", word, NULL}, *none[] = {"/no/such", NULL};
	const char *failed = NULL;

	for (int i = 0; i < STARTS && !failed; i++) {
		struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS};
		_cleanup_buf_ struct buf out = BUF_INIT;
		struct error err = ERROR_INIT;
		int status = -1;

		run.spec.argv = argv;
		run.out = &out;
		if (proc_run(&run, &status, &err) != 0 || status != 0 ||
		    strcmp(out.data, word) != 0)
			failed = "a child said what another one was to say";
		run.spec.argv = none;
		if (proc_run(&run, &status, &err) == 0 || err.code != ERROR_NOT_FOUND)
			failed = "a program that is not there was started";
	}
	return (void *)failed;
}

static void test_threads_start_at_once(void **state)
{
	pthread_t starters[STARTERS];

	(void)state;
	for (intptr_t i = 0; i < STARTERS; i++)
		assert_int_equal(pthread_create(&starters[i], NULL, start_many, (void *)i), 0);
	for (int i = 0; i < STARTERS; i++) {
		void *failed;

		pthread_join(starters[i], &failed);
		if (failed)
			fail_msg("%s", (const char *)failed);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void refused(struct proc_spec spec, enum error_code code)
{
	const char *argv[] = {"/bin/true", NULL};
	struct error err = ERROR_INIT;
	struct proc proc;

	spec.argv = argv;
	assert_int_equal(proc_spawn(&spec, &proc, &err), -1);
	assert_int_equal(err.code, code);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_what_cannot_be_given(void **state)
{
	struct proc_spec no_terminal = PROC_SPEC_INIT, no_output = PROC_SPEC_INIT,
	                 no_fourth = PROC_SPEC_INIT;

	(void)state;
	no_terminal.tty = "/dev/pts/no-such";
	refused(no_terminal, ERROR_EXTERNAL);
	no_output.stdout_fd = 1000; /* open nowhere */
	refused(no_output, ERROR_EXTERNAL);
	no_fourth.pass_fd = 12;
	refused(no_fourth, ERROR_EXTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_handler_runs_in_the_child),
	    cmocka_unit_test(test_threads_start_at_once),
	    cmocka_unit_test(test_what_cannot_be_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
