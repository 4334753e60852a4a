/* A command's end of the control plane, against a server that dies (rpc_fixture.h). */
#include "rpc_fixture.h"

/* ---- the client ---- */

static void test_hello(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *client = connect_to(f, "secret");

	assert_int_equal(json_int(rpc_client_hello(client), "pid", 0), f->server);
	assert_string_equal(json_text(rpc_client_hello(client), "token"), "secret");
	rpc_client_close(client);
	rpc_client_close(NULL);
}

static void test_echo_of_any_size(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 65536, 1 << 20, 16 << 20};
	struct rpc_client *client = connect_to(*state, NULL);

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_cleanup_free_ char *text = xcalloc(1, sizes[i] + 1);
		_cleanup_json_ json_t *result = NULL;
		struct error err = ERROR_INIT;

		memset(text, 'a' + (int)i, sizes[i]);
		assert_ok(rpc_client_ask(client, "echo", json_pack("{s:s}", "t", text), false,
		                         &result, &err));
		assert_string_equal(json_text(result, "t"), text);
	}
	rpc_client_close(client);
}

/* What is asked first goes with the hello, unless it is long. */
static void test_the_first_request(void **state)
{
	static const size_t sizes[] = {5, 1 << 20};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_cleanup_free_ char *text = xcalloc(1, sizes[i] + 1);
		_cleanup_json_ json_t *result = NULL, *other = NULL;
		struct rpc_call first = {"echo", NULL, true, -1, -1, 0};
		struct error err = ERROR_INIT;
		struct rpc_client *client;

		memset(text, 'f', sizes[i]);
		first.params = json_pack("{s:s}", "t", text);
		assert_ok(rpc_client_connect(f->socket, NULL, &first, &client, &err));
		assert_int_equal(first.sent != 0, i == 0);
		assert_int_equal(json_int(rpc_client_hello(client), "pid", 0), f->server);
		assert_ok(rpc_client_call(client, &first, &result, &err));
		assert_string_equal(json_text(result, "t"), text);
		assert_ok(rpc_client_ask(client, "echo", json_pack("{s:i}", "n", 7), false, &other,
		                         &err));
		assert_int_equal(json_int(other, "n", 0), 7);
		rpc_client_close(client);
	}
}

static void test_too_large_a_request(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	char *text = xcalloc(1, JSONL_PERSON_MAX + 1);
	_cleanup_json_ json_t *result = NULL;
	struct error err = ERROR_INIT;

	memset(text, 'x', JSONL_PERSON_MAX);
	assert_int_equal(
	    rpc_client_ask(client, "echo", json_pack("{s:s}", "t", text), true, &result, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	free(text);
	/* nothing of it was sent */
	assert_ok(rpc_client_ask(client, "echo", json_pack("{s:i}", "n", 1), false, &result, &err));
	rpc_client_close(client);
}

static void test_pipelined(void **state)
{
	enum { N = 2000 };
	struct rpc_client *client = connect_to(*state, NULL);
	struct error err = ERROR_INIT;
	int64_t first = 0;

	for (int i = 0; i < N; i++) {
		int64_t id = rpc_client_send(client, "echo", json_pack("{s:i}", "n", i), &err);

		assert_true(id > 0);
		first = first ? first : id;
	}
	for (int i = 0; i < N; i++) {
		_cleanup_json_ json_t *reply = NULL;

		wait_until(rpc_client_next(client, &reply, &err) == 1);
		assert_int_equal(json_int(reply, "id", 0), first + i);
		assert_int_equal(json_int(json_object_get(reply, "result"), "n", -1), i);
	}
	rpc_client_close(client);
}

static void test_answers_in_another_order(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	_cleanup_json_ json_t *result = NULL, *reply = NULL;
	struct error err = ERROR_INIT;
	int64_t first = rpc_client_send(client, "first", NULL, &err);

	assert_true(first > 0);
	assert_ok(rpc_client_ask(client, "second", NULL, false, &result, &err));
	assert_string_equal(json_string_value(result), "second");
	wait_until(rpc_client_next(client, &reply, &err) == 1);
	assert_int_equal(json_int(reply, "id", 0), first);
	rpc_client_close(client);
}

static void test_notifications_are_passed_over(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	_cleanup_json_ json_t *result = NULL;
	struct error err = ERROR_INIT;

	assert_ok(rpc_client_ask(client, "noise", NULL, false, &result, &err));
	assert_true(json_is_null(result));
	rpc_client_close(client);
}

static void test_error_codes_round_trip(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	json_t *result = NULL;
	struct error err;

#define CASE(name, word, status)                                                                   \
	err = (struct error)ERROR_INIT;                                                            \
	assert_int_equal(                                                                          \
	    rpc_client_ask(client, "error",                                                        \
	                   json_pack("{s:s, s:s}", "code", word, "text", "what: why (" word ")"),  \
	                   true, &result, &err),                                                   \
	    -1);                                                                                   \
	assert_int_equal(err.code, ERROR_##name);                                                  \
	assert_int_equal(error_exit_status(err.code), status);                                     \
	assert_string_equal(err.text, "what: why (" word ")");
	ERROR_CODES(CASE)
#undef CASE
	/* a word from a newer coordinator */
	assert_int_equal(rpc_client_ask(client, "error",
	                                json_pack("{s:s, s:s}", "code", "flooded", "text", "t"),
	                                true, &result, &err),
	                 -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	/* a story that quotes bytes from outside is told, made safe */
	assert_int_equal(rpc_client_ask(client, "broken text", NULL, true, &result, &err), -1);
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_string_equal(err.text, "bad \xef\xbf\xbd\xe2\x90\x9b text");
	assert_null(result);
	rpc_client_close(client);
}

static void test_time_limit(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	const struct rpc_call hold = {"hold", NULL, true, -1, 50, 0};
	json_t *result = NULL;
	struct error err = ERROR_INIT;
	int64_t start = time_mono_ms();

	assert_int_equal(rpc_client_call(client, &hold, &result, &err), -1);
	assert_int_equal(err.code, ERROR_TIMEOUT);
	assert_true(time_mono_ms() - start >= 50);
	/* the connection goes on */
	assert_ok(rpc_client_ask(client, "echo", json_pack("{s:i}", "n", 1), false, &result, &err));
	assert_int_equal(json_int(result, "n", 0), 1);
	json_decref(result);
	rpc_client_close(client);
}

static void test_stopped_by_a_descriptor(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	struct rpc_call hold = {"hold", NULL, true, -1, -1, 0};
	struct error err = ERROR_INIT;
	json_t *result = NULL;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	hold.stop_fd = fds[0];
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(rpc_client_call(client, &hold, &result, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	close(fds[0]);
	close(fds[1]);
	rpc_client_close(client);
}

/* A stopped coordinator reads nothing: a request larger than the socket's buffer must not
 * hang its sender for ever. */
static void test_nobody_reads(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *client = connect_to(f, NULL);
	char *text = xcalloc(1, (8 << 20) + 1);
	struct rpc_call call = {"echo", NULL, true, -1, 50, 0};
	struct error err = ERROR_INIT;
	json_t *result = NULL;

	memset(text, 'x', 8 << 20);
	kill(f->server, SIGSTOP);
	call.params = json_pack("{s:s}", "t", text);
	assert_int_equal(rpc_client_call(client, &call, &result, &err), -1);
	assert_int_equal(err.code, ERROR_TIMEOUT);
	kill(f->server, SIGCONT);
	/* half a line was sent: a new connection, not the rest of it */
	assert_ok(rpc_client_reconnect(client, &err));
	call.params = json_pack("{s:s}", "t", text);
	call.timeout_ms = WAIT_MS;
	assert_ok(rpc_client_call(client, &call, &result, &err));
	assert_int_equal(strlen(json_text(result, "t")), 8 << 20);
	json_decref(result);
	free(text);
	rpc_client_close(client);
}

static void test_nobody_listens(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *missing = xasprintf("%s/none", f->dir);
	char too_long[300];
	struct rpc_client *client;
	struct error err = ERROR_INIT;

	assert_int_equal(rpc_client_connect(missing, NULL, NULL, &client, &err), -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	memset(too_long, 'x', sizeof too_long);
	too_long[sizeof too_long - 1] = '\0';
	assert_int_equal(rpc_client_connect(too_long, NULL, NULL, &client, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	/* a socket file whose process is dead */
	server_kill(f);
	close(f->listener);
	f->listener = -1;
	assert_int_equal(rpc_client_connect(f->socket, NULL, NULL, &client, &err), -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void test_another_users_socket(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *theirs = xasprintf("%s/theirs", f->dir);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rpc_client *client;
	struct error err = ERROR_INIT;
	int ready[2], status;
	char byte;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	memcpy(address.sun_path, theirs, strlen(theirs) + 1);
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		alarm(patience(60));
		if (setgid(12345) || setuid(12345) ||
		    bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8) ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(rpc_client_connect(theirs, NULL, NULL, &client, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_non_null(strstr(err.text, "another user"));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ready[0]);
	close(ready[1]);
}

static void test_sent_again_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *client = connect_to(f, "token");
	struct error err = ERROR_INIT;
	json_t *result = NULL;

	/* the connection is dead before anything is sent on it */
	server_kill(f);
	server_start(f);
	assert_ok(rpc_client_ask(client, "echo", json_pack("{s:i}", "n", 5), true, &result, &err));
	assert_int_equal(json_int(result, "n", 0), 5);
	json_decref(result);
	assert_int_equal(json_int(rpc_client_hello(client), "pid", 0), f->server);
	assert_string_equal(json_text(rpc_client_hello(client), "token"), "token");
	rpc_client_close(client);
}

/* The server dies of the request, five times, each time another is started; then it is held. */
static void test_a_held_request_outlives_servers(void **state)
{
	struct fixture *f = *state;
	struct rpc_call once = {"mortal", NULL, true, -1, WAIT_MS, 0};
	struct rpc_client *client;
	struct error err = ERROR_INIT;
	json_t *result = NULL;

	server_kill(f);
	f->server = fork();
	assert_true(f->server >= 0);
	if (f->server == 0) {
		alarm(patience(60));
		for (int life = 0; life < 6; life++) {
			pid_t pid = fork();

			if (pid == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				lives_left = 5 - life;
				serve(f->listener);
			}
			waitpid(pid, NULL, 0);
		}
		_exit(0);
	}
	client = connect_to(f, NULL);
	assert_ok(rpc_client_call(client, &once, &result, &err));
	assert_string_equal(json_string_value(result), "at last");
	json_decref(result);
	rpc_client_close(client);
}

static void test_never_sent_twice_without_leave(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *client = connect_to(f, NULL);
	struct error err = ERROR_INIT;
	json_t *result = NULL;

	assert_int_equal(rpc_client_ask(client, "die", NULL, false, &result, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_non_null(strstr(err.text, "went away"));
	waitpid(f->server, NULL, 0);
	server_start(f);
	assert_ok(rpc_client_reconnect(client, &err));
	assert_ok(rpc_client_ask(client, "echo", json_pack("{s:i}", "n", 1), false, &result, &err));
	json_decref(result);
	rpc_client_close(client);
}

/* Who watches several things at once learns of the loss in one place: where he reads. */
static void test_sent_on_a_broken_connection(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *client = connect_to(f, NULL);
	struct error err = ERROR_INIT;
	json_t *reply = NULL;

	server_kill(f);
	for (int i = 0; i < 3; i++)
		assert_true(rpc_client_send(client, "echo", NULL, &err) > 0);
	assert_int_equal(rpc_client_next(client, &reply, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_null(reply);
	server_start(f);
	assert_ok(rpc_client_reconnect(client, &err));
	assert_true(rpc_client_send(client, "echo", NULL, &err) > 0);
	wait_until(rpc_client_next(client, &reply, &err) == 1);
	json_decref(reply);
	rpc_client_close(client);
}

/* While nobody serves, a person's Ctrl-C and a time limit still count. */
static void test_stopped_while_reconnecting(void **state)
{
	struct fixture *f = *state;
	struct rpc_client *client = connect_to(f, NULL);
	struct rpc_call call = {"echo", NULL, true, -1, 100, 0};
	struct error err = ERROR_INIT;
	json_t *result = NULL;
	int64_t start;
	int fds[2];

	server_kill(f); /* the socket still queues whoever connects */
	start = time_mono_ms();
	assert_int_equal(rpc_client_call(client, &call, &result, &err), -1);
	assert_int_equal(err.code, ERROR_TIMEOUT);
	assert_true(time_mono_ms() - start < 5000);

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	call = (struct rpc_call){"echo", NULL, true, fds[0], -1, 0};
	start = time_mono_ms();
	assert_int_equal(rpc_client_call(client, &call, &result, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_true(time_mono_ms() - start < 5000);
	close(fds[0]);
	close(fds[1]);
	rpc_client_close(client);
}

/* A line that the server cannot read is answered without an id, and closes the connection:
 * that is an answer, not a reason to send it again for ever. */
static void test_a_refused_line_is_an_answer(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	json_t *deep = json_array(), *result = NULL;
	struct error err = ERROR_INIT;

	for (int i = 0; i < 100; i++) {
		json_t *outer = json_array();

		json_array_append_new(outer, deep);
		deep = outer;
	}
	assert_int_equal(
	    rpc_client_ask(client, "echo", json_pack("{s:o}", "d", deep), true, &result, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_non_null(strstr(err.text, "nested deeper"));
	rpc_client_close(client);
}

static void test_reply_before_close(void **state)
{
	struct rpc_client *client = connect_to(*state, NULL);
	_cleanup_json_ json_t *result = NULL, *none = NULL;
	struct error err = ERROR_INIT;

	assert_ok(rpc_client_ask(client, "close", NULL, false, &result, &err));
	assert_string_equal(json_string_value(result), "closing");
	assert_int_equal(rpc_client_ask(client, "echo", NULL, false, &none, &err), -1);
	rpc_client_close(client);
}

int main(void)
{
#define SERVED(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)
	const struct CMUnitTest tests[] = {
	    SERVED(test_hello),
	    SERVED(test_echo_of_any_size),
	    SERVED(test_the_first_request),
	    SERVED(test_too_large_a_request),
	    SERVED(test_pipelined),
	    SERVED(test_answers_in_another_order),
	    SERVED(test_notifications_are_passed_over),
	    SERVED(test_error_codes_round_trip),
	    SERVED(test_time_limit),
	    SERVED(test_stopped_by_a_descriptor),
	    SERVED(test_nobody_reads),
	    SERVED(test_nobody_listens),
	    SERVED(test_another_users_socket),
	    SERVED(test_sent_again_after_a_restart),
	    SERVED(test_a_held_request_outlives_servers),
	    SERVED(test_never_sent_twice_without_leave),
	    SERVED(test_sent_on_a_broken_connection),
	    SERVED(test_stopped_while_reconnecting),
	    SERVED(test_a_refused_line_is_an_answer),
	    SERVED(test_reply_before_close),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
