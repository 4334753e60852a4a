/* The real worker against a coordinator made for the test: tasks without a slot, and how
 * they end; the connection; views; typing. */
#include "worker_fake.h"

static void assert_error(const json_t *result, const char *code, const char *message)
{
	const json_t *error = json_object_get(result, "error");

	assert_string_equal(json_text(result, "outcome"), "failed");
	assert_string_equal(json_text(error, "code"), code);
	if (message && !strstr(json_text(error, "message"), message))
		fail_msg("%s: not in: %s", message, json_text(error, "message"));
}

/* True when a process still lives; waits for its end by a pidfd. */
static void assert_ends(const char *pid_text)
{
	int fd = (int)syscall(434 /* pidfd_open */, atoi(pid_text), 0);

	if (fd < 0)
		return;
	fake_wait_fd(fd, POLLIN);
	close(fd);
}

static void test_completes(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *prompt = NULL, *log = NULL;
	const json_t *r;

	fake_fifo(f, "go");
	fake_begin(f);
	fake_assign(f, fake_task(5, "read x < $PLEACH_ROOT/../go; "
	                            "printf 'one\\ntwo\\033[1m %s\\n' \"$PLEACH_KEY\"; "
	                            "cat \"$PLEACH_PROMPT_FILE\" > got"));
	fake_wait_phase(f, "working"); /* of one that ends at once nobody is told */
	fake_go(f, "go");
	r = fake_result(f);
	assert_int_equal(json_int(r, "attempt", 0), 5);
	assert_string_equal(json_text(r, "token"), fake_token);
	assert_string_equal(json_text(r, "outcome"), "completed");
	assert_string_equal(json_text(r, "output"), "one\ntwo parser");
	assert_null(json_object_get(r, "head"));
	assert_null(json_object_get(r, "verify"));
	assert_null(json_object_get(r, "error"));
	prompt = fake_file(f, "root/got", NULL);
	assert_string_equal(prompt, "Do \"it\" now.\n");
	log = fake_file(f, "state/attempts/5/output.log", NULL);
	assert_string_equal(log, "one\r\ntwo\033[1m parser\r\n");
}

/* An agent that spoils its prompt file does not spoil the next one's. */
static void test_prompt_file(void **state)
{
	static const char *const prompts[] = {"a long prompt, the first", "short", "", "longer"};
	static const char *const spoils[] = {"true", "echo xxxxxxxxxxxxxx > ", "rm ",
	                                     "ln -sf /etc/passwd "};
	struct fake *f = *state;

	fake_begin(f);
	for (int i = 0; i < 12; i++) {
		_cleanup_free_ char *script = xasprintf(
		    "cat \"$PLEACH_PROMPT_FILE\"; %s \"$PLEACH_PROMPT_FILE\"", spoils[i / 3]);
		json_t *task = fake_task(i + 1, script);

		json_object_set_new(task, "prompt", json_string(prompts[i % 4]));
		fake_assign(f, task);
		assert_string_equal(json_text(fake_result(f), "output"), prompts[i % 4]);
	}
}

static void test_environment(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *text = NULL;
	json_t *task = fake_task(6, "env > \"$PLEACH_ROOT\"/env; cat \"$PLEACH_INPUTS\"");

	fake_write_environment(
	    f, "{\"base\":{\"PATH\":\"/usr/bin:/bin\",\"A\":\"base\",\"B\":\"base\",\"C\":\"base\","
	       "\"D\":\"base\",\"TMUX\":\"x\",\"GIT_DIR\":\"/nowhere\",\"GIT_AUTHOR_NAME\":\"n\","
	       "\"PLEACH_WORKER_TOKEN\":\"x\"},\"plans\":{\"fix\":{\"plan\":{\"B\":\"plan\","
	       "\"C\":\"plan\",\"D\":\"plan\"},\"agents\":{\"fixer\":{\"C\":\"agent\","
	       "\"D\":\"agent\"}},\"tasks\":{\"parser\":{\"D\":\"task\"}}}}}");
	json_object_set_new(fake_profile(task), "env",
	                    json_pack("{s:s,s:s}", "C", "profile", "E", "p"));
	json_object_set_new(task, "inputs",
	                    json_pack("[{s:s,s:n,s:s}]", "key", "lexer", "head", "output", "done"));
	fake_begin(f);
	fake_assign(f, task);
	assert_string_equal(json_text(fake_result(f), "output"),
	                    "[{\"key\":\"lexer\",\"head\":null,\"output\":\"done\"}]");
	text = fake_file(f, "root/env", NULL);
	assert_non_null(strstr(text, "A=base\n"));
	assert_non_null(strstr(text, "B=plan\n"));
	assert_non_null(strstr(text, "C=profile\n"));
	assert_non_null(strstr(text, "D=task\n"));
	assert_non_null(strstr(text, "E=p\n"));
	assert_non_null(strstr(text, "TERM=xterm-256color\n"));
	assert_non_null(strstr(text, "GIT_AUTHOR_NAME=n\n"));
	assert_non_null(strstr(text, "PLEACH_TASK=7\n"));
	assert_non_null(strstr(text, "PLEACH_ATTEMPT=6\n"));
	assert_non_null(strstr(text, "PLEACH_SLOT=3\n"));
	assert_non_null(strstr(text, fake_token));
	assert_non_null(strstr(text, "PATH=/usr/bin:/bin:/"));
	assert_null(strstr(text, "TMUX="));
	assert_null(strstr(text, "GIT_DIR="));
	assert_null(strstr(text, "WORKER_TOKEN"));
}

static void test_failures(void **state)
{
	struct fake *f = *state;
	json_t *task;

	fake_begin(f);
	fake_assign(f, fake_task(1, "echo boom; exit 3"));
	assert_error(fake_result(f), "agent_exit", "exit 3: boom");
	fake_assign(f, fake_task(2, "kill -KILL $$"));
	assert_error(fake_result(f), "agent_signal", "signal 9");
	task = fake_task(3, "");
	json_object_set_new(fake_profile(task), "command", json_pack("[s]", "no-such-agent"));
	fake_assign(f, task);
	assert_error(fake_result(f), "agent_exit", "no-such-agent: no such program");
	task = fake_task(4, "");
	json_object_del(task, "spec");
	fake_assign(f, task);
	assert_error(fake_result(f), "internal", "incomplete");
	fake_assign(f, fake_task(5, "exit 0"));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
}

static void test_prompt_ways(void **state)
{
	struct fake *f = *state;
	json_t *task = fake_task(1, "cat");
	char *large = malloc(200001);

	memset(large, 'x', 200000);
	large[200000] = '\0';
	json_object_set_new(fake_profile(task), "prompt", json_string("stdin"));
	fake_begin(f);
	fake_assign(f, task);
	assert_string_equal(json_text(fake_result(f), "output"), "Do \"it\" now.");
	task = fake_task(2, "");
	json_object_set_new(
	    fake_profile(task), "command",
	    json_pack("[s,s,s,s]", "/bin/echo", "{key}:{prompt}", "{worktree}", "{prompt_file}"));
	fake_assign(f, task);
	fake_result(f);
	{
		_cleanup_free_ char *want =
		    xasprintf("parser:Do \"it\" now.\n %s %s/attempts/2/prompt", f->root, f->state);

		assert_string_equal(json_text(f->result, "output"), want);
	}
	task = fake_task(3, "");
	json_object_set_new(task, "prompt", json_string(large));
	json_object_set_new(fake_profile(task), "command", json_pack("[s,s]", "echo", "{prompt}"));
	fake_assign(f, task);
	assert_error(fake_result(f), "internal", "does not fit into an argument");
	task = fake_task(4, "wc -c");
	json_object_set_new(task, "prompt", json_string(large));
	json_object_set_new(fake_profile(task), "prompt", json_string("stdin"));
	fake_assign(f, task);
	assert_string_equal(json_text(fake_result(f), "output"), "200000");
	free(large);
}

static void test_verify_without_slot(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *log = NULL;
	const json_t *v, *r;
	json_t *task = fake_task(1, "echo made > made");

	json_object_set_new(
	    fake_spec(task), "verify",
	    json_pack("{s:s,s:n}", "command", "cat made; test \"$PLEACH_TASK\" = 7", "timeout"));
	fake_begin(f);
	fake_assign(f, task);
	r = fake_result(f);
	v = json_object_get(r, "verify");
	assert_string_equal(json_text(r, "outcome"), "completed");
	assert_int_equal(json_int(v, "exit_code", -1), 0);
	assert_string_equal(json_text(v, "command"), "cat made; test \"$PLEACH_TASK\" = 7");
	assert_true(json_is_null(json_object_get(v, "head")));
	log = fake_file(f, "state/attempts/1/verify.log", NULL);
	assert_string_equal(log, "made\n");

	task = fake_task(2, "true");
	json_object_set_new(fake_spec(task), "verify",
	                    json_pack("{s:[s,s,s],s:n}", "command", "sh", "-c",
	                              "echo want 3, got 2; exit 5", "timeout"));
	fake_assign(f, task);
	r = fake_result(f);
	assert_error(r, "verify_failed", "verify exit 5: want 3, got 2");
	assert_int_equal(json_int(json_object_get(r, "verify"), "exit_code", -1), 5);

	task = fake_task(3, "true");
	json_object_set_new(
	    fake_spec(task), "verify",
	    json_pack("{s:s,s:f}", "command", "cat /dev/zero > /dev/null", "timeout", 0.2));
	fake_assign(f, task);
	assert_error(fake_result(f), "timeout", "verify: time limit");

	task = fake_task(4, "exit 1");
	json_object_set_new(fake_spec(task), "verify",
	                    json_pack("{s:s,s:n}", "command", "touch verified", "timeout"));
	fake_assign(f, task);
	assert_error(fake_result(f), "agent_exit", NULL);
	assert_false(fake_exists(f, "root/verified"));
}

/* Ignores what is polite, forks, calls setsid, and says its pids. */
#define TOUGH                                                                                      \
	"trap '' TERM HUP INT; "                                                                   \
	"setsid sh -c 'trap \"\" TERM HUP; (setsid sh -c \"trap \\\"\\\" TERM HUP; echo \\$\\$ > " \
	"'$PLEACH_ROOT'/../said; exec tail -f /dev/null\" &) ; exec tail -f /dev/null' & "         \
	"tail -f /dev/null"

/* Runs TOUGH into its time limit. The pid of the process that it left behind; NULL where the limit
 * came before that could say it. */
static char *tough_pid(struct fake *f, double timeout)
{
	_cleanup_free_ char *path = fake_path(f, "said");
	_cleanup_close_ int said = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	json_t *task = fake_task(1, TOUGH);
	struct buf line = BUF_INIT;

	json_object_set_new(fake_spec(task), "timeout", json_real(timeout));
	fake_assign(f, task);
	assert_error(fake_result(f), "timeout", "time limit");
	if (buf_read(&line, said, 256) > 0)
		return line.data;
	buf_finish(&line);
	return NULL;
}

static void test_timeout_kills_all(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *pid = NULL;

	fake_fifo(f, "said");
	fake_begin(f);
	for (double timeout = 0.5; !pid; timeout *= 2)
		pid = tough_pid(f, timeout);
	assert_ends(pid);
	assert_int_equal(kill(atoi(pid), 0), -1);
}

static void test_stop_kills_all(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *pid = NULL;
	const json_t *r;

	fake_fifo(f, "said");
	fake_begin(f);
	fake_assign(f, fake_task(1, TOUGH));
	pid = fake_fifo_line(f, "said");
	fake_notify(
	    f, "attempt.stop",
	    json_pack("{s:i,s:s,s:f}", "attempt", 99, "outcome", "cancelled", "grace", 0.0));
	fake_notify(f, "attempt.stop",
	            json_pack("{s:i,s:s,s:f}", "attempt", 1, "outcome", "cancelled", "grace", 0.1));
	r = fake_result(f);
	assert_string_equal(json_text(r, "outcome"), "cancelled");
	assert_null(json_object_get(r, "error"));
	assert_int_equal(kill(atoi(pid), 0), -1);
}

/* Processes that start processes, each in a session of its own, faster than one by one they
 * could be ended. */
static void test_storm(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *marker = xasprintf("PLEACH_TOKEN=%s", fake_token);
	json_t *task = fake_task(1, "trap '' TERM HUP; b='while :; do setsid tail -f /dev/null & "
	                            "read -t 0.01 x < fifo; done'; "
	                            "mkfifo fifo; exec 9<>fifo; for i in 1 2 3 4; do setsid bash "
	                            "-c \"trap '' TERM HUP; $b\" & done; "
	                            "exec bash -c \"$b\"");

	json_object_set_new(fake_spec(task), "timeout", json_real(0.7));
	fake_begin(f);
	fake_assign(f, task);
	assert_error(fake_result(f), "timeout", NULL);
	assert_int_equal(proc_kill_survivors(marker, NULL, 0, 3), 0);
}

static void test_exit_leaves_nothing(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *pid = NULL;

	fake_fifo(f, "said");
	fake_fifo(f, "go");
	fake_begin(f);
	fake_assign(f, fake_task(1, "setsid sh -c 'trap \"\" HUP TERM; echo $$ > "
	                            "'$PLEACH_ROOT'/../said; exec tail -f /dev/null' & "
	                            "read x < $PLEACH_ROOT/../go"));
	pid = fake_fifo_line(f, "said");
	{
		_cleanup_free_ char *go = fake_path(f, "go");
		_cleanup_close_ int fd = open(go, O_RDWR | O_CLOEXEC);

		assert_int_equal(write_all(fd, "x\n", 2), 0);
		assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	}
	assert_int_equal(kill(atoi(pid), 0), -1);
}

static void test_flood(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *log = NULL;
	size_t len;

	setenv("PLEACH_LOG_CAP", "1048576", 1);
	fake_begin(f);
	unsetenv("PLEACH_LOG_CAP");
	fake_assign(f, fake_task(1, "echo first; head -c 200000000 /dev/zero | tr '\\0' x; "
	                            "echo; echo last"));
	fake_result(f);
	assert_string_equal(json_text(f->result, "outcome"), "completed");
	assert_int_equal(
	    strcmp(json_text(f->result, "output") + strlen(json_text(f->result, "output")) - 4,
	           "last"),
	    0);
	log = fake_file(f, "state/attempts/1/output.log", &len);
	assert_in_range(len, 700000, 1048576 + 128);
	assert_memory_equal(log, "first\r\n", 7);
	assert_memory_equal(log + len - 6, "last\r\n", 6);
	assert_non_null(strstr(log, "bytes of output left out here]"));
}

static void test_reconnect(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *saved = NULL;

	fake_fifo(f, "go");
	fake_begin(f);
	fake_assign(f, fake_task(1, "read x < $PLEACH_ROOT/../go; echo $x"));
	fake_wait_phase(f, "working");
	fake_hang_up(f);
	fake_greet(f, "resume");
	assert_int_equal(json_int(f->hello, "attempt", 0), 1);
	assert_string_equal(json_text(f->hello, "phase"), "working");
	fake_wait_phase(f, "working"); /* said again: the first may be lost */
	{
		_cleanup_free_ char *go = fake_path(f, "go");
		_cleanup_close_ int fd = open(go, O_RDWR | O_CLOEXEC);

		assert_int_equal(write_all(fd, "still here\n", 11), 0);
		assert_string_equal(json_text(fake_result(f), "output"), "still here");
	}
	/* Unconfirmed: the connection goes before the reply. It is saved, and said again. */
	fake_hang_up(f);
	fake_greet(f, "resume");
	assert_int_equal(json_int(f->hello, "attempt", 0), 1);
	assert_string_equal(json_text(f->hello, "phase"), "finishing");
	saved = fake_file(f, "state/attempts/1/result.json", NULL);
	assert_non_null(strstr(saved, "still here"));
	assert_int_equal(json_int(fake_result(f), "attempt", 0), 1);
	fake_assign(f, fake_task(2, "true"));
	assert_int_equal(json_int(fake_result(f), "attempt", 0), 2);
	assert_false(fake_exists(f, "state/attempts/1/result.json"));
}

/* The worker has nothing under way any more: its title says so. */
static void wait_idle(int view)
{
	struct buf seen = BUF_INIT;

	do {
		fake_wait_fd(view, POLLIN);
		assert_true(buf_read(&seen, view, 4096) > 0);
	} while (!memmem(seen.data, seen.len, "ash · idle", strlen("ash · idle")));
	buf_finish(&seen);
}

/* A command that closes its output early gives back a descriptor whose number the connection gets
 * when it is made anew. The command's end must not take that from the loop: it comes while the
 * worker waits for the answer to its hello. */
static void test_hello_outlives_a_command(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *views = fake_path(f, "run/w-ash.sock"), *go = fake_path(f, "go");
	_cleanup_free_ char *line = NULL;
	_cleanup_close_ int view = -1, fd = -1;
	_cleanup_json_ json_t *hello = NULL;
	json_t *task = fake_task(1, "true");
	struct error err = ERROR_INIT;

	fake_fifo(f, "said");
	fake_fifo(f, "go");
	json_object_set_new(
	    fake_spec(task), "verify",
	    json_pack(
	        "{s:s}", "command",
	        "exec >/dev/null 2>&1; echo > $PLEACH_ROOT/../said; read x < $PLEACH_ROOT/../go"));
	fake_begin(f);
	fake_assign(f, task);
	line = fake_fifo_line(f, "said");
	close(f->listener);
	unlink(f->socket);
	shutdown(f->fd, SHUT_WR);
	while (buf_read(&f->in.in, f->fd, 4096) > 0) /* until it has let go of it */
		;
	fake_hang_up(f);
	view = rpc_connect(views, &err); /* takes the number that the connection had */
	assert_true(view >= 0);
	fake_wait_fd(view, POLLIN);
	f->listener = fake_listen(f->socket);
	hello = fake_take_hello(f);
	fd = open(go, O_RDWR | O_CLOEXEC);
	assert_int_equal(write_all(fd, "x\n", 2), 0);
	wait_idle(view);
	fake_answer_hello(f, hello, "resume");
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
}

static void test_stale(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *pid = NULL;

	fake_fifo(f, "said");
	fake_begin(f);
	fake_assign(f, fake_task(1, "echo $$ > $PLEACH_ROOT/../said; exec tail -f /dev/null"));
	pid = fake_fifo_line(f, "said");
	fake_hang_up(f);
	fake_greet(f, "stale");
	json_decref(fake_wait(f, "worker.next"));
	assert_null(f->result);
	assert_int_equal(kill(atoi(pid), 0), -1);
	fake_assign(f, fake_task(2, "true"));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
}

static void test_exits(void **state)
{
	struct fake *f = *state;

	fake_begin(f);
	fake_notify(f, "worker.exit", json_object());
	fake_wait_exit(f);
	assert_false(fake_exists(f, "run/w-ash.sock"));
	fake_hang_up(f);

	fake_begin(f);
	fake_assign(f, fake_task(1, "tail -f /dev/null"));
	fake_wait_phase(f, "working");
	kill(f->worker.pid, SIGTERM);
	json_decref(fake_wait(f, "attempt.finish"));
	assert_string_equal(json_text(f->result, "outcome"), "released");
	fake_wait_exit(f);
	fake_hang_up(f);

	/* Nobody to tell: the result is on disk. */
	fake_begin(f);
	fake_assign(f, fake_task(2, "tail -f /dev/null"));
	fake_wait_phase(f, "working");
	close(f->listener);
	unlink(f->socket);
	fake_hang_up(f);
	kill(f->worker.pid, SIGTERM);
	fake_wait_exit(f);
	assert_true(fake_exists(f, "state/attempts/2/result.json"));
	f->listener = fake_listen(f->socket);
}

static void test_done(void **state)
{
	struct fake *f = *state;

	fake_begin(f);
	fake_assign(f, fake_task(1, "tail -f /dev/null"));
	fake_wait_phase(f, "working");
	fake_notify(f, "attempt.done", json_pack("{s:i}", "attempt", 1));
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    T(test_completes),
	    T(test_environment),
	    T(test_prompt_file),
	    T(test_failures),
	    T(test_prompt_ways),
	    T(test_verify_without_slot),
	    T(test_timeout_kills_all),
	    T(test_stop_kills_all),
	    T(test_storm),
	    T(test_exit_leaves_nothing),
	    T(test_flood),
	    T(test_reconnect),
	    T(test_hello_outlives_a_command),
	    T(test_stale),
	    T(test_exits),
	    T(test_done),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
