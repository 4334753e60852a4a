/* Two ends of a connection on one loop: what they ask each other, what happens when one goes
 * away, does not read, or says what is no request. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "jsonl.h"
#include "rpc_peer.h"
#include "shared_fixture.h"

static void reply_error(struct rpc_peer *peer, const json_t *id, const json_t *params)
{
	struct error err = ERROR_INIT;

	error_set(&err, error_code_from_word(json_text(params, "code")), "%s",
	          json_text(params, "text"));
	rpc_peer_reply_error(peer, id, &err);
}

/* ---- two peers on one loop ---- */

struct end {
	struct rpc_peer *peer;
	int calls, closed, answers, lost;
	char last[64];
	json_t *got;
};

struct pair {
	uv_loop_t loop;
	struct end a, b;
};

static void end_call(struct rpc_peer *peer, const json_t *id, const char *method,
                     const json_t *params, void *context)
{
	struct end *end = context;

	end->calls++;
	snprintf(end->last, sizeof end->last, "%s", method);
	if (strcmp(method, "close") == 0)
		rpc_peer_close(peer);
	else if (strcmp(method, "refuse") == 0)
		reply_error(peer, id, params);
	else if (id && strcmp(method, "hold") != 0)
		rpc_peer_reply(peer, id, json_incref((json_t *)params));
}

static void end_closed(struct rpc_peer *peer, void *context)
{
	struct end *end = context;

	(void)peer;
	end->closed++;
	end->peer = NULL;
}

static const struct rpc_peer_handler end_handler = {end_call, end_closed, NULL};

static void end_answer(struct rpc_peer *peer, const json_t *result, const struct error *err,
                       void *context)
{
	struct end *end = context;

	(void)peer;
	end->answers++;
	json_decref(end->got);
	end->got = NULL;
	if (result) {
		end->got = json_incref((json_t *)result);
	} else {
		end->lost++;
		snprintf(end->last, sizeof end->last, "%s", error_code_word(err->code));
	}
}

static int pair_setup(void **state)
{
	struct pair *p = xcalloc(1, sizeof *p);
	int fds[2];

	uv_loop_init(&p->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->a.peer = rpc_peer_new(&p->loop, fds[0], JSONL_WORKER_MAX, &end_handler, &p->a);
	p->b.peer = rpc_peer_new(&p->loop, fds[1], JSONL_WORKER_MAX, &end_handler, &p->b);
	*state = p;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *p = *state;

	if (p->a.peer)
		rpc_peer_close(p->a.peer);
	while (uv_run(&p->loop, UV_RUN_NOWAIT))
		if (p->b.peer && !p->a.peer)
			rpc_peer_close(p->b.peer);
	assert_int_equal(p->a.closed, 1);
	assert_int_equal(p->b.closed, 1);
	assert_int_equal(uv_loop_close(&p->loop), 0);
	json_decref(p->a.got);
	json_decref(p->b.got);
	free(p);
	return 0;
}

#define turn_until(p, condition) wait_until((uv_run(&(p)->loop, UV_RUN_NOWAIT), (condition)))

static void test_peers_ask_each_other(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 500; i++) {
		rpc_peer_ask(p->a.peer, "echo", json_pack("{s:i}", "a", i), end_answer, &p->a);
		rpc_peer_ask(p->b.peer, "echo", json_pack("{s:i}", "b", i), end_answer, &p->b);
	}
	turn_until(p, p->a.answers == 500 && p->b.answers == 500);
	assert_int_equal(p->a.lost + p->b.lost, 0);
	assert_int_equal(json_int(p->a.got, "a", 0), 499);
	assert_int_equal(json_int(p->b.got, "b", 0), 499);
	rpc_peer_ask(p->a.peer, "refuse", json_pack("{s:s, s:s}", "code", "stale", "text", "old"),
	             end_answer, &p->a);
	turn_until(p, p->a.lost == 1);
	assert_string_equal(p->a.last, "stale");
}

/* One that is prepared is not sent with anything else, and may be taken back. */
static void test_a_reply_in_two_steps(void **state)
{
	_cleanup_json_ json_t *text = json_string("{\"n\":7}"), *id = json_integer(1);
	struct pair *p = *state;
	size_t len;

	rpc_peer_defer(p->a.peer);
	rpc_peer_ask(p->b.peer, "hold", NULL, end_answer, &p->b);
	turn_until(p, p->a.calls == 1);
	rpc_peer_take_back(p->a.peer, rpc_peer_prepare_text(p->a.peer, id, text));
	len = rpc_peer_prepare_text(p->a.peer, id, text);
	assert_int_equal(len, strlen("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":7}}\n"));
	rpc_peer_flush_deferred();
	for (int i = 0; i < 100; i++)
		uv_run(&p->loop, UV_RUN_NOWAIT);
	assert_int_equal(p->b.answers, 0);
	rpc_peer_send_prepared(p->a.peer);
	rpc_peer_flush_deferred();
	turn_until(p, p->b.answers == 1);
	assert_int_equal(json_int(p->b.got, "n", 0), 7);
	assert_int_equal(p->a.calls, 1); /* and once */
}

static void test_peers_notify(void **state)
{
	struct pair *p = *state;
	struct ucred who;

	rpc_peer_notify(p->a.peer, "one", NULL);
	rpc_peer_notify(p->a.peer, "two", json_pack("{s:i}", "n", 2));
	rpc_peer_flush(p->a.peer); /* now, without a turn of the loop */
	turn_until(p, p->b.calls == 2);
	assert_string_equal(p->b.last, "two");
	assert_int_equal(p->a.calls, 0); /* a notification is never answered */
	rpc_peer_credentials(p->a.peer, &who);
	assert_int_equal(who.uid, geteuid());
	assert_int_equal(who.pid, getpid());
}

static void test_connection_loss_answers_everything(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 10; i++)
		rpc_peer_ask(p->a.peer, "hold", NULL, end_answer, &p->a);
	turn_until(p, p->b.calls == 10);
	rpc_peer_close(p->b.peer);
	turn_until(p, p->a.closed && p->b.closed);
	assert_int_equal(p->a.lost, 10);
	assert_string_equal(p->a.last, "external");
}

static void ask_again(struct rpc_peer *peer, const json_t *result, const struct error *err,
                      void *context)
{
	end_answer(peer, result, err, context);
	if (((struct end *)context)->answers == 1)
		rpc_peer_ask(peer, "again", NULL, end_answer, context);
}

static void test_asking_a_connection_that_ended(void **state)
{
	struct pair *p = *state;

	rpc_peer_ask(p->a.peer, "hold", NULL, ask_again, &p->a);
	turn_until(p, p->b.calls == 1);
	rpc_peer_close(p->b.peer);
	turn_until(p, p->a.closed);
	assert_int_equal(p->a.lost, 2); /* the second question is answered too */
}

static void test_closed_from_inside_a_call(void **state)
{
	struct pair *p = *state;

	rpc_peer_notify(p->a.peer, "close", NULL);
	rpc_peer_notify(p->a.peer, "after", NULL);
	rpc_peer_ask(p->a.peer, "after", NULL, end_answer, &p->a);
	turn_until(p, p->a.closed && p->b.closed);
	assert_int_equal(p->b.calls, 1); /* nothing behind it is looked at */
	assert_int_equal(p->a.lost, 1);
}

/* One peer and a bare descriptor that says what it likes. */
struct bare {
	uv_loop_t loop;
	struct end end;
	int fd;
};

static int bare_setup(void **state)
{
	struct bare *b = xcalloc(1, sizeof *b);
	int fds[2];

	uv_loop_init(&b->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	b->end.peer = rpc_peer_new(&b->loop, fds[0], JSONL_WORKER_MAX, &end_handler, &b->end);
	b->fd = fds[1];
	*state = b;
	return 0;
}

static int bare_teardown(void **state)
{
	struct bare *b = *state;

	close(b->fd);
	while (uv_run(&b->loop, UV_RUN_NOWAIT))
		;
	assert_int_equal(b->end.closed, 1);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	json_decref(b->end.got);
	free(b);
	return 0;
}

/* Reads what the peer said until it holds `want`. */
static void hears(struct bare *b, struct buf *in, const char *want)
{
	turn_until(b, (buf_read(in, b->fd, 4096), in->len && strstr(in->data, want)));
}

static void test_what_is_no_request(void **state)
{
	static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}\n"
	                           "[1,2]\n"
	                           "{}\n"
	                           "{\"id\":99,\"result\":1}\n" /* an answer to nothing */
	                           "{\"id\":\"x\",\"error\":{}}\n"
	                           "{\"id\":{\"a\":[]},\"method\":\"echo\",\"params\":[1]}\n";
	_cleanup_buf_ struct buf in = BUF_INIT;
	struct bare *b = *state;

	assert_int_equal(write(b->fd, text, sizeof text - 1), sizeof text - 1);
	/* the last one is odd but a request: its id comes back as it was */
	hears(b, &in, "\"id\":{\"a\":[]}");
	assert_int_equal(b->end.calls, 1);
	assert_non_null(strstr(in.data, "\"result\":[1]"));
	assert_non_null(strstr(in.data, "\"code\":\"invalid\""));
	assert_int_equal(b->end.closed, 0);
}

static void test_a_broken_line_ends_the_connection(void **state)
{
	static const char text[] = "{\"method\":\"one\"}\nnonsense\n{\"method\":\"two\"}\n";
	_cleanup_buf_ struct buf in = BUF_INIT;
	struct bare *b = *state;

	assert_int_equal(write(b->fd, text, sizeof text - 1), sizeof text - 1);
	hears(b, &in, "\n");
	turn_until(b, b->end.closed);
	assert_non_null(strstr(in.data, "\"id\":null"));
	assert_non_null(strstr(in.data, "not JSON"));
	assert_int_equal(b->end.calls, 1);
	assert_string_equal(b->end.last, "one");
}

static void test_an_endless_line_ends_the_connection(void **state)
{
	_cleanup_buf_ struct buf in = BUF_INIT;
	struct bare *b = *state;
	char chunk[65536];
	size_t sent = 0;

	memset(chunk, '[', sizeof chunk);
	turn_until(b, ({
		           ssize_t n = send(b->fd, chunk, sizeof chunk, MSG_NOSIGNAL);

		           sent += n > 0 ? (size_t)n : 0;
		           buf_read(&in, b->fd, 4096);
		           b->end.closed;
	           }));
	assert_true(sent > JSONL_WORKER_MAX);
	assert_true(sent < 2 * JSONL_WORKER_MAX);
	assert_non_null(strstr(in.data, "longer than"));
}

/* Who does not read is closed when what waits for him reaches the limit, not before. */
static void test_a_peer_that_does_not_read(void **state)
{
	struct bare *b = *state;
	char *text = xcalloc(1, (1 << 20) + 1);
	int sent = 0;

	memset(text, 'x', 1 << 20);
	rpc_peer_ask(b->end.peer, "hold", NULL, end_answer, &b->end);
	turn_until(b, ({
		           if (b->end.peer) {
			           rpc_peer_notify(b->end.peer, "m", json_pack("{s:s}", "t", text));
			           sent++;
		           }
		           b->end.closed;
	           }));
	free(text);
	assert_true(sent >= (int)(RPC_PEER_OUT_MAX >> 20));
	assert_true(sent < (int)(RPC_PEER_OUT_MAX >> 20) + 8);
	assert_int_equal(b->end.lost, 1);
}

/* Who reads slowly gets all of it, in order. */
static void test_a_slow_reader(void **state)
{
	enum { N = 12 };
	_cleanup_buf_ struct buf in = BUF_INIT;
	struct bare *b = *state;
	char *text = xcalloc(1, (1 << 20) + 1);
	int found = 0;

	memset(text, 'y', 1 << 20);
	for (int i = 0; i < N; i++)
		rpc_peer_notify(b->end.peer, "m", json_pack("{s:i, s:s}", "n", i, "t", text));
	free(text);
	turn_until(b, ({
		           char *end;

		           buf_read(&in, b->fd, 100000);
		           while ((end = in.len ? memchr(in.data, '\n', in.len) : NULL)) {
			           size_t len = (size_t)(end - in.data);
			           json_t *message = jsonl_parse(in.data, len, NULL);

			           assert_int_equal(
			               json_int(json_object_get(message, "params"), "n", -1),
			               found++);
			           json_decref(message);
			           buf_drop_front(&in, len + 1);
		           }
		           found == N;
	           }));
	assert_int_equal(b->end.closed, 0);
}

static void test_connecting(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/s", (char *)*state);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct end end = {0}, other = {0};
	struct error err = ERROR_INIT;
	uv_loop_t loop;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	uv_loop_init(&loop);
	assert_int_equal(
	    rpc_peer_connect(&loop, path, JSONL_PERSON_MAX, &end_handler, &end, &end.peer, &err),
	    -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_ok(
	    rpc_peer_connect(&loop, path, JSONL_PERSON_MAX, &end_handler, &end, &end.peer, &err));
	rpc_peer_ask(end.peer, "echo", json_pack("{s:i}", "n", 3), end_answer, &end);
	other.peer = rpc_peer_new(&loop, accept4(listener, NULL, NULL, SOCK_CLOEXEC),
	                          JSONL_WORKER_MAX, &end_handler, &other);
	wait_until((uv_run(&loop, UV_RUN_NOWAIT), end.answers == 1));
	assert_int_equal(json_int(end.got, "n", 0), 3);
	rpc_peer_close(other.peer);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(end.closed + other.closed, 2);
	json_decref(end.got);
	close(listener);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
#define PAIR(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, bare_setup, bare_teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_connecting, temp_setup, temp_teardown),
	    PAIR(test_peers_ask_each_other),
	    PAIR(test_a_reply_in_two_steps),
	    PAIR(test_peers_notify),
	    PAIR(test_connection_loss_answers_everything),
	    PAIR(test_asking_a_connection_that_ended),
	    PAIR(test_closed_from_inside_a_call),
	    BARE(test_what_is_no_request),
	    BARE(test_a_broken_line_ends_the_connection),
	    BARE(test_an_endless_line_ends_the_connection),
	    BARE(test_a_peer_that_does_not_read),
	    BARE(test_a_slow_reader),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
