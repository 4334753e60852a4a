/* The real worker with real slots of a real repository: what reaches the branch, what verify
 * sees, what is kept when an attempt ends badly. */
#include "worker_fake.h"

/* git in a directory; its first line of output (caller frees). */
static char *git(const char *dir, ...)
{
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	_cleanup_strv_ char **argv = NULL, **env = NULL;
	struct buf out = BUF_INIT;
	struct error err = ERROR_INIT;
	const char *argument;
	int status = -1;
	va_list ap;

	strv_push(&argv, xstrdup("git"));
	strv_push(&argv, xstrdup("-C"));
	strv_push(&argv, xstrdup(dir));
	va_start(ap, dir);
	while ((argument = va_arg(ap, const char *)))
		strv_push(&argv, xstrdup(argument));
	va_end(ap);
	for (const char *const *e =
	         (const char *[]){"HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t",
	                          "GIT_AUTHOR_EMAIL=t@t", "GIT_COMMITTER_NAME=t",
	                          "GIT_COMMITTER_EMAIL=t@t", NULL};
	     *e; e++)
		strv_push(&env, xstrdup(*e));
	strv_push(&env, xasprintf("PATH=%s", getenv("PATH")));
	run.spec.argv = (const char *const *)argv;
	run.spec.env = (const char *const *)env;
	run.out = run.err_out = &out;
	if (proc_run(&run, &status, &err) != 0)
		fail_msg("%s", err.text);
	buf_reserve(&out, 0);
	if (status != 0)
		fail_msg("git %s: %s: %s", argv[3], proc_status_text(status), out.data);
	out.data[strcspn(out.data, "\n")] = '\0';
	return out.data;
}

static char *base_of(const struct fake *f)
{
	return git(f->root, "rev-parse", "main", NULL);
}

static int slot_setup(void **state)
{
	struct fake *f;
	_cleanup_free_ char *file = NULL;
	struct error err = ERROR_INIT;

	fake_setup(state);
	f = *state;
	file = xasprintf("%s/root/code", f->dir);
	free(git(f->root, "init", "-q", "-b", "main", NULL));
	assert_int_equal(place_write_file(file, "one\n", 4, &err), 0);
	free(git(f->root, "config", "user.name", "tester", NULL));
	free(git(f->root, "config", "user.email", "t@example.org", NULL));
	free(git(f->root, "add", "code", NULL));
	free(git(f->root, "commit", "-qm", "first", NULL));
	return 0;
}

static json_t *slot_task(const struct fake *f, int attempt, const char *script)
{
	_cleanup_free_ char *base = base_of(f);
	json_t *task = fake_task(attempt, script);

	json_object_set_new(fake_spec(task), "slot", json_string("own"));
	json_object_set_new(task, "base", json_string(base));
	return task;
}

static void set_verify(json_t *task, const char *command)
{
	json_object_set_new(fake_spec(task), "verify",
	                    json_pack("{s:s,s:n}", "command", command, "timeout"));
}

static void assert_code(const json_t *result, const char *code)
{
	assert_string_equal(json_text(result, "outcome"), "failed");
	assert_string_equal(json_text(json_object_get(result, "error"), "code"), code);
}

static void test_commits_and_proves(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *head = NULL, *tree = NULL, *parent = NULL, *base = base_of(f);
	json_t *task = slot_task(f, 1,
	                         "git rev-parse HEAD --abbrev-ref HEAD; pwd; echo two >> code; "
	                         "echo new > new; read x < ../../go");
	const json_t *r, *v;

	set_verify(task,
	           "read x < ../../go; grep -q two code && test -f new && echo dirt > dirt && "
	           "echo 3 >> code");
	fake_fifo(f, "go");
	fake_begin(f);
	fake_assign(f, task);
	fake_wait_phase(f, "working");
	fake_go(f, "go");
	fake_wait_phase(f, "verifying");
	fake_go(f, "go");
	r = fake_result(f);
	v = json_object_get(r, "verify");
	head = git(f->root, "rev-parse", "pleach/fix/parser", NULL);
	tree = git(f->root, "rev-parse", "pleach/fix/parser^{tree}", NULL);
	parent = git(f->root, "rev-parse", "pleach/fix/parser^", NULL);
	assert_string_equal(json_text(r, "outcome"), "completed");
	assert_string_equal(json_text(r, "head"), head);
	assert_string_equal(json_text(r, "tree"), tree);
	assert_string_equal(parent, base);
	assert_false(json_flag(r, "unchanged"));
	assert_int_equal(json_int(json_object_get(r, "changes"), "files", -1), 2);
	assert_int_equal(json_int(json_object_get(r, "changes"), "insertions", -1), 2);
	assert_int_equal(json_int(json_object_get(r, "changes"), "deletions", -1), 0);
	assert_int_equal(json_int(v, "exit_code", -1), 0);
	assert_string_equal(json_text(v, "head"), head);
	assert_string_equal(json_text(v, "tree"), tree);
	assert_non_null(strstr(json_text(r, "output"), base));
	assert_non_null(strstr(json_text(r, "output"), "pleach/fix/parser"));
	assert_non_null(strstr(json_text(r, "output"), f->slot));
	/* What verify left is neither on the branch nor in the next attempt. */
	task = slot_task(f, 2, "test ! -e dirt && test ! -e new && cat code");
	json_object_set_new(task, "branch", json_string("pleach/fix/other"));
	fake_assign(f, task);
	r = fake_result(f);
	assert_string_equal(json_text(r, "outcome"), "completed");
	assert_string_equal(json_text(r, "output"), "one");
	assert_true(json_flag(r, "unchanged"));
}

static void test_refusals(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *head = NULL;
	json_t *task = slot_task(f, 1, "echo two >> code");

	set_verify(task, "echo bad; exit 4");
	fake_begin(f);
	fake_assign(f, task);
	assert_code(fake_result(f), "verify_failed");
	head = git(f->root, "rev-parse", "pleach/fix/parser", NULL);
	assert_string_equal(json_text(f->result, "head"), head);

	task = slot_task(f, 2, "true");
	json_object_set_new(fake_spec(task), "expect_changes", json_true());
	fake_assign(f, task);
	assert_code(fake_result(f), "unchanged");

	fake_assign(f, slot_task(f, 3,
	                         "git checkout -q --orphan x && git -c user.name=a "
	                         "-c user.email=a@a commit -qm lost"));
	assert_code(fake_result(f), "not_descendant");

	/* The work of an agent that failed is on its branch all the same. */
	fake_assign(f, slot_task(f, 4, "echo half > half; exit 1"));
	assert_code(fake_result(f), "agent_exit");
	assert_non_null(json_text(f->result, "head"));
	free(git(f->root, "cat-file", "-e", "pleach/fix/parser:half", NULL));
}

static void test_setup(void **state)
{
	struct fake *f = *state;
	json_t *task;

	fake_begin(f);
	task = slot_task(f, 1, "true");
	json_object_set_new(fake_spec(task), "setup", json_string("echo no; exit 7"));
	fake_assign(f, task);
	assert_code(fake_result(f), "setup_failed");
	assert_string_equal(json_text(json_object_get(f->result, "error"), "message"),
	                    "setup exit 7: no");
	for (int i = 2; i < 4; i++) {
		task = slot_task(f, i, "cat ../../setups");
		json_object_set_new(fake_spec(task), "setup",
		                    json_string("echo ran >> ../../setups"));
		fake_assign(f, task);
		assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
		assert_string_equal(json_text(f->result, "output"), "ran");
	}
}

static void test_stop_keeps_work(void **state)
{
	struct fake *f = *state;
	json_t *task = slot_task(f, 1, "echo half > half; echo x > ../../said; tail -f /dev/null");

	fake_fifo(f, "said");
	fake_begin(f);
	fake_assign(f, task);
	free(fake_fifo_line(f, "said"));
	fake_notify(f, "attempt.stop",
	            json_pack("{s:i,s:s,s:f}", "attempt", 1, "outcome", "released", "grace", 0.2));
	assert_string_equal(json_text(fake_result(f), "outcome"), "released");
	assert_non_null(json_text(f->result, "head"));
	free(git(f->root, "cat-file", "-e", "pleach/fix/parser:half", NULL));

	/* In verify, too. */
	task = slot_task(f, 2, "echo whole > whole");
	set_verify(task, "echo x > ../../said; tail -f /dev/null");
	fake_assign(f, task);
	free(fake_fifo_line(f, "said"));
	fake_notify(f, "attempt.stop",
	            json_pack("{s:i,s:s,s:f}", "attempt", 2, "outcome", "cancelled", "grace", 0.0));
	assert_string_equal(json_text(fake_result(f), "outcome"), "cancelled");
	assert_null(json_object_get(f->result, "verify"));
	/* And while it is being prepared: whenever the order comes, it holds. */
	fake_assign(f, slot_task(f, 3, "tail -f /dev/null"));
	fake_notify(f, "attempt.stop",
	            json_pack("{s:i,s:s,s:f}", "attempt", 3, "outcome", "cancelled", "grace", 0.0));
	assert_string_equal(json_text(fake_result(f), "outcome"), "cancelled");
}

static void test_stale_keeps_work(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *base = base_of(f), *branch = NULL;

	fake_fifo(f, "said");
	fake_begin(f);
	fake_assign(f, slot_task(f, 1, "echo mine > mine; echo x > ../../said; tail -f /dev/null"));
	free(fake_fifo_line(f, "said"));
	fake_hang_up(f);
	fake_greet(f, "stale");
	json_decref(fake_wait(f, "worker.next"));
	assert_null(f->result);
	free(git(f->root, "cat-file", "-e", "refs/pleach/kept/1:mine", NULL));
	branch = git(f->root, "rev-parse", "pleach/fix/parser", NULL);
	assert_string_equal(branch, base); /* the next attempt's: not moved */
	/* A result that came too late: its head is kept. */
	fake_assign(f, slot_task(f, 2, "echo late > late"));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	fake_send(f, rpc_result(f->next_id, json_pack("{s:{s:b,s:s}}", "finish", "accepted", 0,
	                                              "status", "cancelled")));
	json_decref(f->next_id);
	f->next_id = NULL;
	json_decref(fake_wait(f, "worker.next"));
	free(git(f->root, "cat-file", "-e", "refs/pleach/kept/2:late", NULL));
}

static void test_killed_worker(void **state)
{
	struct fake *f = *state;
	int status;

	fake_fifo(f, "said");
	fake_fifo(f, "go"); /* nobody ever writes to it: the agent must not end by itself */
	fake_begin(f);
	fake_assign(f, slot_task(f, 1, "echo mine > mine; echo x > ../../said; read x < ../../go"));
	free(fake_fifo_line(f, "said"));
	kill(f->worker.pid, SIGKILL);
	assert_int_equal(proc_wait(&f->worker, &status, NULL), 0);
	close(f->worker.pidfd);
	fake_hang_up(f);
	fake_begin(f);
	fake_assign(f, slot_task(f, 2, "ls"));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	assert_string_equal(json_text(f->result, "output"), "code");
	free(git(f->root, "cat-file", "-e", "refs/pleach/kept/1:mine", NULL));
}

static void test_slot_removed(void **state)
{
	struct fake *f = *state;

	fake_begin(f);
	fake_assign(f, slot_task(f, 1, "true"));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	fake_run((const char *[]){"/bin/rm", "-rf", f->slot, NULL});
	fake_assign(f, slot_task(f, 2, "cat code"));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	assert_string_equal(json_text(f->result, "output"), "one");
}

#define T(name) cmocka_unit_test_setup_teardown(name, slot_setup, fake_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    T(test_commits_and_proves), T(test_refusals),         T(test_setup),
	    T(test_stop_keeps_work),    T(test_stale_keeps_work), T(test_killed_worker),
	    T(test_slot_removed),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
