/* A blocking client of the coordinator. */
#include "rpc_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "rpc.h"
#include "text.h"

#define RECONNECT_MS 10000 /* how long a restarting coordinator is waited for */
#define FIRST_MAX    65536 /* of a request that goes with the hello */

struct rpc_client {
	int fd;
	char *socket;
	char *token;
	int64_t last_id;
	struct jsonl_reader reader;
	json_t *hello;
	int64_t first;       /* the request that went with the hello */
	json_t *first_reply; /* that came before that of the hello, as a refusal may */
	bool gone;           /* the connection broke: what was under way may be sent again */
};

/* What ends waiting early: a descriptor that polls readable (-1: none), a time (0: none). */
struct limits {
	int stop_fd;
	int64_t deadline;
};

static const struct limits no_limits = {-1, 0};

/* Waits for `events` on fd. 0, or -1: BUSY or TIMEOUT. */
static int wait_for(int fd, short events, const struct limits *limits, struct error *err)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events},
	                        {.fd = limits->stop_fd, .events = POLLIN}};
	int wait = -1;

	if (limits->deadline) {
		int64_t left = limits->deadline - time_mono_ms();

		if (left <= 0)
			return error_set(err, ERROR_TIMEOUT, "time limit passed");
		wait = left > 1000000 ? 1000000 : (int)left;
	}
	if (poll(fds, 2, wait) > 0 && fds[1].revents)
		return error_set(err, ERROR_BUSY, "interrupted");
	return 0;
}

/* All of it, whatever a signal handler interrupts. On a connection that broke it is lost, which
 * is no error here: reading tells it, after what the other end still had to say. A line that is
 * given up in its middle leaves a connection that nobody can use any more. */
static int send_all(struct rpc_client *client, const struct buf *out, const struct limits *limits,
                    struct error *err)
{
	size_t done = 0;

	while (done < out->len) {
		ssize_t n = send(client->fd, out->data + done, out->len - done,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (wait_for(client->fd, POLLOUT, limits, err) < 0) {
				if (done > 0)
					shutdown(client->fd, SHUT_RDWR);
				return -1;
			}
		} else if (errno != EINTR) {
			return 0;
		}
	}
	return 0;
}

/* Its id. */
static int64_t add_request(struct rpc_client *client, const char *method, json_t *params,
                           struct buf *out)
{
	json_t *message = rpc_request(++client->last_id, method, params);

	jsonl_add(out, message);
	json_decref(message);
	return client->last_id;
}

static int64_t send_request(struct rpc_client *client, const char *method, json_t *params,
                            const struct limits *limits, struct error *err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int64_t id = add_request(client, method, params, &out);

	if (out.len > JSONL_PERSON_MAX)
		return error_set(err, ERROR_INVALID, "the request is larger than %u bytes",
		                 JSONL_PERSON_MAX);
	return send_all(client, &out, limits, err) < 0 ? -1 : id;
}

int64_t rpc_client_send(struct rpc_client *client, const char *method, json_t *params,
                        struct error *err)
{
	return send_request(client, method, params, &no_limits, err);
}

int rpc_client_next(struct rpc_client *client, json_t **reply, struct error *err)
{
	for (;;) {
		int rc = jsonl_next(&client->reader, reply, err);
		ssize_t n;

		if (rc != 0)
			return rc;
		buf_reserve(&client->reader.in, 64u << 10);
		n = recv(client->fd, client->reader.in.data + client->reader.in.len, 64u << 10,
		         MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return 0;
		if (n <= 0) {
			client->gone = true;
			return error_set(err, ERROR_EXTERNAL, "the coordinator went away");
		}
		client->reader.in.len += (size_t)n;
		client->reader.in.data[client->reader.in.len] = '\0';
	}
}

/* A reply, waited for; new reference. 0 or -1. */
static int next_reply(struct rpc_client *client, const struct limits *limits, json_t **reply,
                      struct error *err)
{
	int rc;

	while ((rc = rpc_client_next(client, reply, err)) == 0)
		if (wait_for(client->fd, POLLIN, limits, err) < 0)
			return -1;
	return rc < 0 ? -1 : 0;
}

/* Waits for the reply to `id`. As rpc_client_call. */
static int await_reply(struct rpc_client *client, int64_t id, const struct limits *limits,
                       json_t **result, struct error *err)
{
	for (;;) {
		_cleanup_json_ json_t *reply = NULL;
		const json_t *error;

		if (id == client->first && client->first_reply) {
			reply = client->first_reply;
			client->first_reply = NULL;
		} else if (next_reply(client, limits, &reply, err) < 0) {
			return -1;
		}
		/* Without an id it is about a line that could not be read: what was sent last. */
		error = json_object_get(reply, "error");
		if (json_int(reply, "id", -1) != id &&
		    !(error && json_is_null(json_object_get(reply, "id")))) {
			/* Else the late answer to a call that was given up. */
			if (json_int(reply, "id", -1) == client->first && !client->first_reply)
				client->first_reply = json_incref(reply);
			continue;
		}
		if (error)
			return rpc_error_read(reply, err);
		*result = json_incref(json_object_get(reply, "result"));
		return 0;
	}
}

static void add_first(struct rpc_client *client, struct rpc_call *first, struct buf *out)
{
	size_t before = out->len;
	int64_t id = add_request(client, first->method, json_incref(first->params), out);

	first->sent = 0;
	if (out->len - before > FIRST_MAX)
		out->len = before;
	else
		first->sent = client->first = id;
}

static int say_hello(struct rpc_client *client, struct rpc_call *first, const struct limits *limits,
                     struct error *err)
{
	json_t *params = json_pack("{s:i, s:s, s:s}", "protocol", RPC_PROTOCOL, "role", "cli",
	                           "version", PLEACH_VERSION);
	struct limits hello_limits = {limits->stop_fd, time_mono_ms() + RECONNECT_MS};
	_cleanup_buf_ struct buf out = BUF_INIT;
	json_t *hello = NULL;
	int64_t id;

	if (limits->deadline && limits->deadline < hello_limits.deadline)
		hello_limits.deadline = limits->deadline;
	if (client->token)
		json_object_set_new(params, "token", json_text_or_null(client->token));
	id = add_request(client, "hello", params, &out);
	json_decref(client->first_reply);
	client->first_reply = NULL;
	client->first = 0;
	if (first)
		add_first(client, first, &out);
	if (send_all(client, &out, &hello_limits, err) < 0 ||
	    await_reply(client, id, &hello_limits, &hello, err) < 0)
		return -1;
	json_decref(client->hello);
	client->hello = hello;
	return 0;
}

static int client_open(struct rpc_client *client, struct rpc_call *first,
                       const struct limits *limits, struct error *err)
{
	int fd = rpc_connect(client->socket, err);

	if (fd < 0)
		return -1;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = fd;
	client->gone = false;
	jsonl_reader_finish(&client->reader);
	jsonl_reader_init(&client->reader, JSONL_PERSON_MAX);
	return say_hello(client, first, limits, err);
}

int rpc_client_connect(const char *socket, const char *token, struct rpc_call *first,
                       struct rpc_client **out, struct error *err)
{
	struct rpc_client *client = xcalloc(1, sizeof *client);
	int64_t end = time_mono_ms() + RECONNECT_MS;
	struct error why = ERROR_INIT;

	client->fd = -1;
	client->socket = xstrdup(socket);
	client->token = xstrdup(token);
	/* A connection that breaks before it said anything was one to a coordinator that was
	 * about to die: the next one is to its successor, or finds nobody. */
	while (client_open(client, first, &no_limits, &why) < 0) {
		if (!client->gone || time_mono_ms() >= end) {
			rpc_client_close(client);
			if (first)
				first->sent = 0;
			if (err)
				*err = why;
			return -1;
		}
		client->gone = false;
		why.code = ERROR_NONE;
		poll(NULL, 0, 1);
	}
	*out = client;
	return 0;
}

static int reconnect(struct rpc_client *client, const struct limits *limits, struct error *err)
{
	int64_t end = time_mono_ms() + RECONNECT_MS;
	struct error why = ERROR_INIT;
	int pause_ms = 1;

	for (;;) {
		struct pollfd stop = {.fd = limits->stop_fd, .events = POLLIN};

		if (client_open(client, NULL, limits, &why) == 0)
			return 0;
		if (limits->deadline && time_mono_ms() >= limits->deadline)
			error_set(&why, ERROR_TIMEOUT, "time limit passed");
		else if (poll(&stop, 1, pause_ms) > 0)
			error_set(&why, ERROR_BUSY, "interrupted");
		else if (time_mono_ms() < end && why.code != ERROR_INVALID)
			why.code = ERROR_NONE; /* once more */
		if (why.code != ERROR_NONE) {
			if (err)
				*err = why;
			return -1;
		}
		pause_ms = pause_ms < 100 ? pause_ms * 2 : 100;
	}
}

int rpc_client_reconnect(struct rpc_client *client, struct error *err)
{
	return reconnect(client, &no_limits, err);
}

void rpc_client_close(struct rpc_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	jsonl_reader_finish(&client->reader);
	json_decref(client->hello);
	json_decref(client->first_reply);
	free(client->socket);
	free(client->token);
	free(client);
}

const json_t *rpc_client_hello(const struct rpc_client *client)
{
	return client->hello;
}

int rpc_client_fd(const struct rpc_client *client)
{
	return client->fd;
}

int rpc_client_call(struct rpc_client *client, const struct rpc_call *call, json_t **result,
                    struct error *err)
{
	const struct limits limits = {
	    call->stop_fd, call->timeout_ms >= 0 ? time_mono_ms() + call->timeout_ms + 1 : 0};
	_cleanup_json_ json_t *params = call->params ? call->params : json_object();
	int64_t id = call->sent;

	for (;; id = 0) {
		struct error why = ERROR_INIT;

		if (!id)
			id = send_request(client, call->method, json_incref(params), &limits, &why);
		if (id > 0 && await_reply(client, id, &limits, result, &why) == 0)
			return 0;
		/* Only a broken connection is worth another try; an answer is an answer. */
		if (!call->again || !client->gone || why.code == ERROR_BUSY ||
		    why.code == ERROR_TIMEOUT) {
			if (err)
				*err = why;
			return -1;
		}
		if (reconnect(client, &limits, err) < 0)
			return -1;
	}
}

int rpc_client_ask(struct rpc_client *client, const char *method, json_t *params, bool again,
                   json_t **result, struct error *err)
{
	const struct rpc_call call = {method, params, again, -1, -1, 0};

	return rpc_client_call(client, &call, result, err);
}
