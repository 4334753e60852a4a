/* A duplex JSON-RPC connection on a libuv loop.
 *
 * Raw descriptor and uv_poll rather than a uv stream: the bytes of all messages of one
 * turn leave in one write, and nothing is allocated for a write that succeeds at once. */
#include "rpc_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "rpc.h"

#define READ_CHUNK (64u << 10)

struct pending {
	int64_t id;
	rpc_reply_fn on_reply;
	void *context;
	struct pending *next;
};

struct rpc_peer {
	uv_poll_t poll;
	int fd;
	bool closing; /* no more reading; close when `out` is gone */
	bool closed;  /* uv_close was called */
	bool watching_write;
	bool deferred; /* its owner flushes it, rather than the loop when it is writable */
	bool unsent;   /* in the list of those that rpc_peer_flush_deferred looks at */
	struct rpc_peer *next_unsent;
	const struct rpc_peer_handler *handler;
	void *context;
	struct jsonl_reader reader;
	struct buf out;
	size_t sent; /* bytes of `out` that have left: moved away only now and then */
	struct ucred credentials;
	int64_t last_id;
	struct pending *pending;
};

/* Deferred peers with something to send: one loop a process. */
static struct rpc_peer *unsent_peers;

static void peer_is_unsent(struct rpc_peer *peer)
{
	if (peer->unsent)
		return;
	peer->unsent = true;
	peer->next_unsent = unsent_peers;
	unsent_peers = peer;
}

static void peer_forget_unsent(struct rpc_peer *peer)
{
	for (struct rpc_peer **at = &unsent_peers; peer->unsent; at = &(*at)->next_unsent) {
		if (*at != peer)
			continue;
		*at = peer->next_unsent;
		peer->unsent = false;
		return;
	}
}

static void peer_closed(uv_handle_t *handle)
{
	struct rpc_peer *peer = handle->data;
	struct error gone = ERROR_INIT;
	struct pending *p;

	error_set(&gone, ERROR_EXTERNAL, "the connection ended");
	/* Who is told may ask again, and is told again. */
	while ((p = peer->pending)) {
		peer->pending = p->next;
		p->on_reply(peer, NULL, &gone, p->context);
		free(p);
	}
	if (peer->handler->on_close)
		peer->handler->on_close(peer, peer->context);
	jsonl_reader_finish(&peer->reader);
	buf_finish(&peer->out);
	free(peer);
}

static void peer_end(struct rpc_peer *peer)
{
	if (peer->closed)
		return;
	peer->closed = peer->closing = true;
	peer_forget_unsent(peer);
	uv_poll_stop(&peer->poll);
	uv_close((uv_handle_t *)&peer->poll, peer_closed);
	/* Last: until then the loop may still name the descriptor to the kernel. */
	close(peer->fd);
	peer->fd = -1;
}

static void peer_take_reply(struct rpc_peer *peer, const json_t *message)
{
	int64_t id = json_int(message, "id", -1);

	for (struct pending **at = &peer->pending; *at; at = &(*at)->next) {
		struct pending *p = *at;
		struct error err = ERROR_INIT;

		if (p->id != id)
			continue;
		*at = p->next;
		if (json_object_get(message, "error")) {
			rpc_error_read(message, &err);
			p->on_reply(peer, NULL, &err, p->context);
		} else {
			json_t *result = json_object_get(message, "result");

			p->on_reply(peer, result ? result : json_null(), NULL, p->context);
		}
		free(p);
		return;
	}
}

static void peer_take(struct rpc_peer *peer, const json_t *message)
{
	const char *method = json_text(message, "method");
	struct error err = ERROR_INIT;

	if (method) {
		peer->handler->on_call(peer, json_object_get(message, "id"), method,
		                       json_object_get(message, "params"), peer->context);
	} else if (json_object_get(message, "id") &&
	           (json_object_get(message, "result") || json_object_get(message, "error"))) {
		peer_take_reply(peer, message);
	} else if (peer->handler->on_noise) {
		peer->handler->on_noise(peer, "neither a request nor a reply", peer->context);
	} else {
		error_set(&err, ERROR_INVALID, "neither a JSON-RPC request nor a reply");
		rpc_peer_reply_error(peer, NULL, &err);
	}
}

static void peer_parse(struct rpc_peer *peer)
{
	while (!peer->closing) {
		json_t *message = NULL;
		struct error err = ERROR_INIT;
		size_t before = peer->reader.in.len;
		int rc = jsonl_next(&peer->reader, &message, &err);

		if (rc == 0)
			return;
		if (rc > 0) {
			peer_take(peer, message);
			json_decref(message);
			continue;
		}
		/* A line that is too long stays: behind it nothing can be found. */
		if (peer->handler->on_noise && peer->reader.in.len < before) {
			peer->handler->on_noise(peer, err.text, peer->context);
			continue;
		}
		/* After a broken line nothing that follows can be trusted. */
		rpc_peer_reply_error(peer, NULL, &err);
		rpc_peer_close(peer);
	}
}

static void peer_watch(struct rpc_peer *peer);

static void peer_event(uv_poll_t *poll, int status, int events)
{
	struct rpc_peer *peer = poll->data;

	if (status < 0) {
		peer_end(peer);
		return;
	}
	if (events & UV_WRITABLE)
		rpc_peer_flush(peer);
	if (peer->closed || !(events & UV_READABLE) || peer->closing)
		return;
	ssize_t n = buf_read(&peer->reader.in, peer->fd, READ_CHUNK);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		peer_end(peer);
		return;
	}
	if (n > 0)
		peer_parse(peer);
}

static void peer_watch(struct rpc_peer *peer)
{
	int events = 0;

	if (peer->closed)
		return;
	if (!peer->closing)
		events |= UV_READABLE;
	if (peer->watching_write)
		events |= UV_WRITABLE;
	uv_poll_start(&peer->poll, events, peer_event);
}

struct rpc_peer *rpc_peer_new(uv_loop_t *loop, int fd, size_t max_line,
                              const struct rpc_peer_handler *handler, void *context)
{
	struct rpc_peer *peer = xcalloc(1, sizeof *peer);
	socklen_t len = sizeof peer->credentials;

	peer->fd = fd;
	peer->handler = handler;
	peer->context = context;
	peer->credentials.uid = (uid_t)-1;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->credentials, &len);
	jsonl_reader_init(&peer->reader, max_line);
	uv_poll_init(loop, &peer->poll, fd);
	peer->poll.data = peer;
	peer_watch(peer);
	return peer;
}

int rpc_peer_connect(uv_loop_t *loop, const char *socket_path, size_t max_line,
                     const struct rpc_peer_handler *handler, void *context, struct rpc_peer **out,
                     struct error *err)
{
	int fd = rpc_connect(socket_path, err);

	if (fd < 0)
		return -1;
	*out = rpc_peer_new(loop, fd, max_line, handler, context);
	return 0;
}

void rpc_peer_close(struct rpc_peer *peer)
{
	if (peer->closing)
		return;
	peer->closing = true;
	rpc_peer_flush(peer);
	if (!peer->closed)
		peer_watch(peer);
}

void rpc_peer_set_context(struct rpc_peer *peer, void *context)
{
	peer->context = context;
}

void *rpc_peer_context(const struct rpc_peer *peer)
{
	return peer->context;
}

void rpc_peer_credentials(const struct rpc_peer *peer, struct ucred *out)
{
	*out = peer->credentials;
}

/* Something was added to `out`. */
static void peer_has_more(struct rpc_peer *peer)
{
	if (peer->out.len - peer->sent > RPC_PEER_OUT_MAX) {
		peer_end(peer);
	} else if (peer->deferred && !peer->watching_write) {
		peer_is_unsent(peer);
	} else if (!peer->watching_write) {
		peer->watching_write = true;
		peer_watch(peer);
	}
}

void rpc_peer_send(struct rpc_peer *peer, json_t *message)
{
	if (!peer->closed) {
		jsonl_add(&peer->out, message);
		peer_has_more(peer);
	}
	json_decref(message);
}

void rpc_peer_defer(struct rpc_peer *peer)
{
	peer->deferred = true;
}

void rpc_peer_flush_deferred(void)
{
	while (unsent_peers)
		rpc_peer_flush(unsent_peers);
}

/* Gives back what has left: at once when it is all, else when it is more than half, so that a
 * large reply to a slow reader is not moved again for each piece. */
static void peer_drop_sent(struct rpc_peer *peer)
{
	if (peer->sent == peer->out.len) {
		peer->out.len = 0;
		peer->sent = 0;
		if (peer->out.cap > (1u << 20)) {
			buf_finish(&peer->out);
			malloc_trim(0); /* a large answer is rare: its memory goes back */
		}
	} else if (peer->sent > peer->out.len / 2) {
		buf_drop_front(&peer->out, peer->sent);
		peer->sent = 0;
	}
}

void rpc_peer_flush(struct rpc_peer *peer)
{
	if (peer->closed)
		return;
	peer_forget_unsent(peer);
	while (peer->sent < peer->out.len) {
		ssize_t n = send(peer->fd, peer->out.data + peer->sent, peer->out.len - peer->sent,
		                 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			peer_end(peer);
			return;
		}
		peer->sent += (size_t)n;
	}
	peer_drop_sent(peer);
	if (!peer->out.len && peer->closing) {
		peer_end(peer);
		return;
	}
	if ((peer->out.len > 0) != peer->watching_write) {
		peer->watching_write = peer->out.len > 0;
		peer_watch(peer);
	}
}

bool rpc_peer_send_first(struct rpc_peer *peer, const char *line, size_t len)
{
	ssize_t n;

	if (peer->closing || peer->watching_write || peer->out.len > peer->sent)
		return false;
	n = send(peer->fd, line, len, MSG_NOSIGNAL);
	if (n <= 0)
		return false;
	if ((size_t)n < len) {
		buf_add(&peer->out, line + n, len - (size_t)n);
		peer_is_unsent(peer);
	}
	return true;
}

void rpc_peer_reply(struct rpc_peer *peer, const json_t *id, json_t *result)
{
	rpc_peer_send(peer, rpc_result(id, result));
}

size_t rpc_peer_prepare_text(struct rpc_peer *peer, const json_t *id, const json_t *text)
{
	size_t before = peer->out.len;

	if (peer->closed || before - peer->sent > RPC_PEER_OUT_MAX)
		return 0;
	rpc_write_result(&peer->out, id, json_string_value(text), json_string_length(text));
	return peer->out.len - before;
}

void rpc_peer_send_prepared(struct rpc_peer *peer)
{
	if (!peer->closed)
		peer_has_more(peer);
}

void rpc_peer_take_back(struct rpc_peer *peer, size_t len)
{
	peer->out.len -= len;
}

void rpc_peer_reply_text(struct rpc_peer *peer, const json_t *id, const json_t *text)
{
	if (peer->closed)
		return;
	rpc_peer_prepare_text(peer, id, text);
	peer_has_more(peer);
}

void rpc_peer_reply_error(struct rpc_peer *peer, const json_t *id, const struct error *err)
{
	rpc_peer_send(peer, rpc_error(id, err));
}

void rpc_peer_notify(struct rpc_peer *peer, const char *method, json_t *params)
{
	rpc_peer_send(peer, rpc_notification(method, params));
}

void rpc_peer_ask(struct rpc_peer *peer, const char *method, json_t *params, rpc_reply_fn on_reply,
                  void *context)
{
	struct pending *p = xcalloc(1, sizeof *p);

	p->id = ++peer->last_id;
	p->on_reply = on_reply;
	p->context = context;
	p->next = peer->pending;
	peer->pending = p;
	rpc_peer_send(peer, rpc_request(p->id, method, params));
}
