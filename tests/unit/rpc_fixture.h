/* A server in a process of its own, that is killed and started again behind a socket that stays. */
#ifndef PLEACH_RPC_FIXTURE_H
#define PLEACH_RPC_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "jsonl.h"
#include "rpc.h"
#include "rpc_client.h"
#include "rpc_peer.h"
#include "shared_fixture.h"

static int lives_left; /* how many servers still die of `mortal` */

struct server {
	uv_loop_t loop;
	uv_poll_t listener;
	json_t *held; /* the id of `first`, answered by `second` */
};

static void reply_error(struct rpc_peer *peer, const json_t *id, const json_t *params)
{
	struct error err = ERROR_INIT;

	error_set(&err, error_code_from_word(json_text(params, "code")), "%s",
	          json_text(params, "text"));
	rpc_peer_reply_error(peer, id, &err);
}

static void server_call(struct rpc_peer *peer, const json_t *id, const char *method,
                        const json_t *params, void *context)
{
	struct server *server = context;

	if (strcmp(method, "hello") == 0) {
		rpc_peer_reply(peer, id,
		               json_pack("{s:i, s:i, s:O?}", "protocol", 1, "pid", (int)getpid(),
		                         "token", json_object_get(params, "token")));
	} else if (strcmp(method, "echo") == 0) {
		rpc_peer_reply(peer, id, json_incref((json_t *)params));
	} else if (strcmp(method, "error") == 0) {
		reply_error(peer, id, params);
	} else if (strcmp(method, "broken text") == 0) {
		struct error err = {ERROR_CONFLICT, "bad \xff\x1b text"};

		rpc_peer_reply_error(peer, id, &err);
	} else if (strcmp(method, "first") == 0) {
		server->held = json_incref((json_t *)id);
	} else if (strcmp(method, "second") == 0) {
		rpc_peer_reply(peer, id, json_string("second"));
		rpc_peer_reply(peer, server->held, json_string("first"));
		json_decref(server->held);
	} else if (strcmp(method, "die") == 0) {
		_exit(0);
	} else if (strcmp(method, "mortal") == 0) {
		if (lives_left)
			_exit(0);
		rpc_peer_reply(peer, id, json_string("at last"));
	} else if (strcmp(method, "close") == 0) {
		rpc_peer_reply(peer, id, json_string("closing"));
		rpc_peer_close(peer);
	} else if (strcmp(method, "noise") == 0) {
		for (int i = 0; i < 5; i++)
			rpc_peer_notify(peer, "noise", json_pack("{s:i}", "n", i));
		rpc_peer_reply(peer, id, NULL);
	} /* "hold": never */
}

static const struct rpc_peer_handler server_handler = {.on_call = server_call};

static void server_accept(uv_poll_t *poll, int status, int events)
{
	struct server *server = poll->data;
	int listener, fd;

	(void)status;
	(void)events;
	uv_fileno((uv_handle_t *)poll, &listener);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		rpc_peer_new(&server->loop, fd, JSONL_PERSON_MAX, &server_handler, server);
}

_Noreturn static void serve(int listener)
{
	struct server server = {0};

	alarm(patience(60));
	uv_loop_init(&server.loop);
	uv_poll_init(&server.loop, &server.listener, listener);
	server.listener.data = &server;
	uv_poll_start(&server.listener, UV_READABLE, server_accept);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	_exit(0);
}

struct fixture {
	char *dir, *socket;
	int listener; /* held by the test, as by a supervisor: connections queue */
	pid_t server;
};

static void server_start(struct fixture *f)
{
	f->server = fork();
	assert_true(f->server >= 0);
	if (f->server == 0)
		serve(f->listener);
}

static void server_kill(struct fixture *f)
{
	kill(f->server, SIGKILL);
	waitpid(f->server, NULL, 0);
	f->server = 0;
}

static int server_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	f->dir = temp_new();
	f->socket = xasprintf("%s/control", f->dir);
	memcpy(address.sun_path, f->socket, strlen(f->socket) + 1);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(f->listener, 64), 0);
	server_start(f);
	*state = f;
	return 0;
}

static int server_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->server)
		server_kill(f);
	close(f->listener);
	free(f->socket);
	temp_finish(f->dir);
	free(f);
	return 0;
}

static struct rpc_client *connect_to(struct fixture *f, const char *token)
{
	struct error err = ERROR_INIT;
	struct rpc_client *client;

	assert_ok(rpc_client_connect(f->socket, token, NULL, &client, &err));
	return client;
}

#endif
