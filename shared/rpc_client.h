/* A blocking client of the coordinator: for commands, which have nothing else to do
 * than wait. Reconnects by itself while the coordinator's serving process restarts. */
#ifndef PLEACH_RPC_CLIENT_H
#define PLEACH_RPC_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"

struct rpc_client;

/* A request. `params` is taken where it is called. `again`: it may be sent again when the
 * connection breaks (reads, held requests, submits).
 * stop_fd >= 0: returns BUSY when it polls readable first (the request stays under way).
 * timeout_ms < 0: none; when it passes: TIMEOUT. Both also end reconnecting and a request
 * that nobody reads; the connection may then be broken (rpc_client_reconnect). */
struct rpc_call {
	const char *method;
	json_t *params;
	bool again;
	int stop_fd;
	int timeout_ms;
	int64_t sent; /* its id, where rpc_client_connect has sent it; 0: it has not */
};

/* Connects and says hello (token may be NULL). `first` (NULL: none): what will be called next goes
 * with the hello unless it is long: one round trip instead of two. It must be a question that
 * changes nothing: it may be heard though we gave up waiting. Errors: NOT_FOUND (nobody listens
 * there), EXTERNAL, INVALID (protocol). Caller frees with rpc_client_close. */
int rpc_client_connect(const char *socket, const char *token, struct rpc_call *first,
                       struct rpc_client **out, struct error *err);
void rpc_client_close(struct rpc_client *client);                /* NULL is accepted */
const json_t *rpc_client_hello(const struct rpc_client *client); /* borrowed: the hello result */
int rpc_client_fd(const struct rpc_client *client);

/* Sends and waits for the reply. On 0 `*result` is a new reference. Errors of the coordinator come
 * with its code and text. */
int rpc_client_call(struct rpc_client *client, const struct rpc_call *call, json_t **result,
                    struct error *err);
/* The short form: no stop_fd, no limit. */
int rpc_client_ask(struct rpc_client *client, const char *method, json_t *params, bool again,
                   json_t **result, struct error *err);

/* For programs that watch several things at once (run): send without waiting, then poll
 * rpc_client_fd and take replies as they come. rpc_client_send returns the request's id
 * (> 0), or -1 (too large); on a connection that broke the request is lost and rpc_client_next
 * says so. rpc_client_next: 1 with `*reply` a new reference (a whole JSON-RPC reply),
 * 0 nothing yet, -1 broken (reconnect with rpc_client_reconnect; what was under way is gone). */
int64_t rpc_client_send(struct rpc_client *client, const char *method, json_t *params,
                        struct error *err);
int rpc_client_next(struct rpc_client *client, json_t **reply, struct error *err);
/* Tries for up to 10 s, then EXTERNAL. */
int rpc_client_reconnect(struct rpc_client *client, struct error *err);

#endif
