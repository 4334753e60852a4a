/* A blocking client of the coordinator. */
#include "rpc_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "rpc.h"
#include "text.h"

#define RECONNECT_MS 10000 /* how long a restarting coordinator is waited for */

struct rpc_client {
	int fd;
	char *socket;
	char *token;
	int64_t last_id;
	struct jsonl_reader reader;
	json_t *hello;
	bool gone; /* the connection broke: what was under way may be sent again */
};

static int socket_connect(const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return error_set(err, ERROR_EXTERNAL,
		                 "%s is too long for a socket (set PLEACH_RUNTIME_DIR)", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		bool nobody = errno == ENOENT || errno == ECONNREFUSED;

		error_errno(err, "cannot reach the coordinator at %s", path);
		if (nobody && err)
			err->code = ERROR_NOT_FOUND;
		close(fd);
		return -1;
	}
	return fd;
}

/* All of it, whatever a signal handler interrupts. EPIPE: -1 with errno. */
static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int64_t rpc_client_send(struct rpc_client *client, const char *method, json_t *params,
                        struct error *err)
{
	json_t *message = rpc_request(++client->last_id, method, params);
	_cleanup_buf_ struct buf out = BUF_INIT;

	jsonl_add(&out, message);
	json_decref(message);
	if (out.len > JSONL_PERSON_MAX)
		return error_set(err, ERROR_INVALID, "the request is larger than %u bytes",
		                 JSONL_PERSON_MAX);
	if (send_all(client->fd, out.data, out.len) < 0) {
		client->gone = true;
		return error_errno(err, "the coordinator went away");
	}
	return client->last_id;
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

/* Waits for the reply to `id`. As rpc_client_call. */
static int await_reply(struct rpc_client *client, int64_t id, int stop_fd, int64_t deadline,
                       json_t **result, struct error *err)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = client->fd, .events = POLLIN},
		                        {.fd = stop_fd, .events = POLLIN}};
		_cleanup_json_ json_t *reply = NULL;
		int rc = rpc_client_next(client, &reply, err), wait = -1;

		if (rc < 0)
			return -1;
		if (rc > 0) {
			if (json_int(reply, "id", -1) != id)
				continue; /* late answer to a call that was given up */
			if (json_object_get(reply, "error"))
				return rpc_error_read(reply, err);
			*result = json_incref(json_object_get(reply, "result"));
			return 0;
		}
		if (deadline) {
			int64_t left = deadline - time_mono_ms();

			if (left <= 0)
				return error_set(err, ERROR_TIMEOUT, "time limit passed");
			wait = left > 1000000 ? 1000000 : (int)left;
		}
		if (poll(fds, 2, wait) > 0 && fds[1].revents)
			return error_set(err, ERROR_BUSY, "interrupted");
	}
}

static int say_hello(struct rpc_client *client, struct error *err)
{
	json_t *params = json_pack("{s:i, s:s, s:s}", "protocol", RPC_PROTOCOL, "role", "cli",
	                           "version", PLEACH_VERSION);
	json_t *hello = NULL;
	int64_t id;

	if (client->token)
		json_object_set_new(params, "token", json_text_or_null(client->token));
	id = rpc_client_send(client, "hello", params, err);
	if (id < 0 || await_reply(client, id, -1, time_mono_ms() + RECONNECT_MS, &hello, err) < 0)
		return -1;
	json_decref(client->hello);
	client->hello = hello;
	return 0;
}

static int client_open(struct rpc_client *client, struct error *err)
{
	int fd = socket_connect(client->socket, err);

	if (fd < 0)
		return -1;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = fd;
	client->gone = false;
	jsonl_reader_finish(&client->reader);
	jsonl_reader_init(&client->reader, JSONL_PERSON_MAX);
	return say_hello(client, err);
}

int rpc_client_connect(const char *socket, const char *token, struct rpc_client **out,
                       struct error *err)
{
	struct rpc_client *client = xcalloc(1, sizeof *client);

	client->fd = -1;
	client->socket = xstrdup(socket);
	client->token = xstrdup(token);
	if (client_open(client, err) < 0) {
		rpc_client_close(client);
		return -1;
	}
	*out = client;
	return 0;
}

int rpc_client_reconnect(struct rpc_client *client, struct error *err)
{
	int64_t end = time_mono_ms() + RECONNECT_MS;
	int pause_ms = 1;

	for (;;) {
		if (client_open(client, err) == 0)
			return 0;
		if (time_mono_ms() >= end || (err && err->code == ERROR_INVALID))
			return -1;
		poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < 100 ? pause_ms * 2 : 100;
	}
}

void rpc_client_close(struct rpc_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	jsonl_reader_finish(&client->reader);
	json_decref(client->hello);
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
	int64_t deadline = call->timeout_ms >= 0 ? time_mono_ms() + call->timeout_ms + 1 : 0;
	_cleanup_json_ json_t *params = call->params ? call->params : json_object();

	for (;;) {
		struct error why = ERROR_INIT;
		int64_t id = rpc_client_send(client, call->method, json_incref(params), &why);

		if (id > 0 && await_reply(client, id, call->stop_fd, deadline, result, &why) == 0)
			return 0;
		/* Only a broken connection is worth another try; an answer is an answer. */
		if (!call->again || !client->gone) {
			if (err)
				*err = why;
			return -1;
		}
		if (rpc_client_reconnect(client, err) < 0)
			return -1;
	}
}

int rpc_client_ask(struct rpc_client *client, const char *method, json_t *params, bool again,
                   json_t **result, struct error *err)
{
	const struct rpc_call call = {method, params, again, -1, -1};

	return rpc_client_call(client, &call, result, err);
}
