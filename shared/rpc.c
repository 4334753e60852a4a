/* JSON-RPC 2.0 messages. */
#include "rpc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "text.h"

#define CONNECT_SECONDS 10 /* while the queue of who wants to connect is full */

json_t *rpc_request(int64_t id, const char *method, json_t *params)
{
	json_t *message = rpc_notification(method, params);

	json_object_set_new(message, "id", json_integer(id));
	return message;
}

json_t *rpc_notification(const char *method, json_t *params)
{
	json_t *message = json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method", method);

	if (params)
		json_object_set_new(message, "params", params);
	return message;
}

static json_t *rpc_reply(const json_t *id)
{
	json_t *message = json_pack("{s:s}", "jsonrpc", "2.0");

	json_object_set(message, "id", id ? (json_t *)id : json_null());
	return message;
}

json_t *rpc_result(const json_t *id, json_t *result)
{
	json_t *message = rpc_reply(id);

	json_object_set_new(message, "result", result ? result : json_null());
	return message;
}

void rpc_write_result(struct buf *out, const json_t *id, const char *result, size_t len)
{
	jsonl_open(out, NULL, '{');
	jsonl_put_text(out, "jsonrpc", "2.0");
	jsonl_put(out, "id", id);
	jsonl_put_encoded(out, "result", result, len);
	buf_add_str(out, "}\n");
}

json_t *rpc_error(const json_t *id, const struct error *err)
{
	json_t *message = rpc_reply(id);
	json_t *text = json_string(err->text);

	if (!text) { /* the story quotes bytes that are not UTF-8 */
		_cleanup_free_ char *safe = text_safe(err->text, 0);

		text = json_string(safe);
	}
	json_object_set_new(message, "error",
	                    json_pack("{s:i, s:o, s:{s:s}}", "code", -32000, "message", text,
	                              "data", "code", error_code_word(err->code)));
	return message;
}

int rpc_error_read(const json_t *reply, struct error *err)
{
	const json_t *error = json_object_get(reply, "error");
	const char *text = json_text(error, "message");

	return error_set(err,
	                 error_code_from_word(json_text(json_object_get(error, "data"), "code")),
	                 "%s", text ? text : "refused without a reason");
}

/* Whoever finds our socket gone may put his own in its place; what we say is for us alone. */
static int check_peer(int fd, const char *path, struct error *err)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return error_errno(err, "cannot tell who listens at %s", path);
	if (peer.uid != geteuid())
		return error_set(err, ERROR_EXTERNAL, "%s belongs to another user (uid %d)", path,
		                 (int)peer.uid);
	return 0;
}

int rpc_connect(const char *path, struct error *err)
{
	const struct timeval limit = {.tv_sec = CONNECT_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return error_set(err, ERROR_EXTERNAL,
		                 "%s is too long for a socket (set PLEACH_RUNTIME_DIR)", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, "cannot make a socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		bool nobody = errno == ENOENT || errno == ECONNREFUSED;

		error_errno(err, "cannot reach the coordinator at %s", path);
		if (nobody && err)
			err->code = ERROR_NOT_FOUND;
		close(fd);
		return -1;
	}
	if (check_peer(fd, path, err) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
