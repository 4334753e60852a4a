/* The control plane's peer, fed by a stranger: whatever comes, in whatever pieces, it answers every
 * request at most once, each answer is a line of JSON-RPC, and the connection ends without a leak.
 * The first byte chooses how the bytes are cut. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "fuzz.h"
#include "jsonl.h"
#include "mem.h"
#include "rpc_peer.h"

struct seen {
	int calls, closed, answered, asked;
	struct rpc_peer *peer;
};

static void answer(struct rpc_peer *peer, const json_t *result, const struct error *err,
                   void *context)
{
	struct seen *seen = context;

	(void)peer;
	(void)result;
	seen->answered++;
	promise(seen->answered <= seen->asked);
	promise(result || (err && err->text[0]));
}

static void call(struct rpc_peer *peer, const json_t *id, const char *method, const json_t *params,
                 void *context)
{
	struct seen *seen = context;
	struct error err = ERROR_INIT;

	seen->calls++;
	promise(method);
	if (!id) {
		if (strcmp(method, "ask") == 0) {
			seen->asked++;
			rpc_peer_ask(peer, "you", json_incref((json_t *)params), answer, seen);
		} else if (strcmp(method, "close") == 0) {
			rpc_peer_close(peer);
		}
	} else if (strcmp(method, "fail") == 0) {
		error_set(&err, ERROR_CONFLICT, "no: %s", json_text(params, "text"));
		rpc_peer_reply_error(peer, id, &err);
	} else {
		rpc_peer_reply(peer, id, json_incref((json_t *)params));
	}
}

static void closed(struct rpc_peer *peer, void *context)
{
	struct seen *seen = context;

	(void)peer;
	seen->closed++;
	seen->peer = NULL;
}

static const struct rpc_peer_handler handler = {call, closed, NULL};

/* What came back is lines that our own reader takes, answers or questions. */
static void check_answers(int fd)
{
	struct jsonl_reader reader;
	char bytes[4096];
	ssize_t n;

	jsonl_reader_init(&reader, JSONL_PERSON_MAX);
	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buf_add(&reader.in, bytes, (size_t)n);
	for (;;) {
		_cleanup_json_ json_t *line = NULL;
		struct error err = ERROR_INIT;
		int rc = jsonl_next(&reader, &line, &err);

		promise(rc >= 0);
		if (!rc)
			break;
		promise(json_is_object(line) && json_text(line, "jsonrpc"));
		promise(json_text(line, "method") || json_object_get(line, "result") ||
		        json_sub(line, "error"));
	}
	promise(reader.in.len == 0);
	jsonl_reader_finish(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {0};
	unsigned seed;
	uv_loop_t loop;
	int fds[2];

	if (!size)
		return 0;
	seed = data[0];
	promise(uv_loop_init(&loop) == 0);
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	seen.peer = rpc_peer_new(&loop, fds[1], 2048, &handler, &seen);
	for (size_t at = 1; at < size && seen.peer;) {
		size_t n = seed ? fuzz_piece(&seed, size - at) : size - at;
		ssize_t sent = send(fds[0], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0)
			at += (size_t)sent;
		uv_run(&loop, UV_RUN_NOWAIT);
		if (sent < 0 && errno != EAGAIN)
			break;
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	check_answers(fds[0]);
	close(fds[0]);
	uv_run(&loop, UV_RUN_DEFAULT);
	promise(seen.closed == 1 && !seen.peer);
	promise(seen.answered == seen.asked);
	promise(uv_loop_close(&loop) == 0);
	return 0;
}
