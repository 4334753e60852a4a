/* A duplex JSON-RPC connection on a libuv loop: for the coordinator and the workers. */
#ifndef PLEACH_RPC_PEER_H
#define PLEACH_RPC_PEER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "error.h"

struct rpc_peer;

struct rpc_peer_handler {
	/* A request or (id NULL) a notification. Both borrowed. Answer a request now or later
	 * with rpc_peer_reply; keep the id with json_incref. */
	void (*on_call)(struct rpc_peer *peer, const json_t *id, const char *method,
	                const json_t *params, void *context);
	/* The connection ended; the peer is freed after this returns. */
	void (*on_close)(struct rpc_peer *peer, void *context);
	/* A line that is no message; NULL: such a line ends the connection. For programs of
	 * others, which print what they like between their messages. */
	void (*on_noise)(struct rpc_peer *peer, const char *why, void *context);
};

/* Takes the connected descriptor. max_line: see jsonl.h. Freed by itself after on_close.
 * The bytes that may wait to be sent are limited (RPC_PEER_OUT_MAX): a peer that does not
 * read is closed. */
#define RPC_PEER_OUT_MAX (128u << 20)
struct rpc_peer *rpc_peer_new(uv_loop_t *loop, int fd, size_t max_line,
                              const struct rpc_peer_handler *handler, void *context);
/* Connects to a Unix socket. Errors as rpc_client_connect. */
int rpc_peer_connect(uv_loop_t *loop, const char *socket, size_t max_line,
                     const struct rpc_peer_handler *handler, void *context, struct rpc_peer **out,
                     struct error *err);
void rpc_peer_close(
    struct rpc_peer *peer); /* sends what is queued first, as far as it goes at once */
void rpc_peer_set_context(struct rpc_peer *peer, void *context);
void *rpc_peer_context(const struct rpc_peer *peer);
/* uid and pid of the other end, as the kernel says. */
void rpc_peer_credentials(const struct rpc_peer *peer, struct ucred *out);

/* Queues a message; `message` is taken. Written when the loop next turns or at
 * rpc_peer_flush, so that several messages share one write. */
void rpc_peer_send(struct rpc_peer *peer, json_t *message);
void rpc_peer_flush(struct rpc_peer *peer);
/* From now on what is queued waits for rpc_peer_flush_deferred, which its owner calls before the
 * loop waits: one write a turn, and the kernel need not be told to watch for room first. */
void rpc_peer_defer(struct rpc_peer *peer);
void rpc_peer_flush_deferred(void);
/* Sends a whole line at once. False, and nothing is sent: something waits before it, or it cannot
 * be sent now. */
bool rpc_peer_send_first(struct rpc_peer *peer, const char *line, size_t len);
void rpc_peer_reply(struct rpc_peer *peer, const json_t *id, json_t *result); /* takes result */
/* The same of a result that was encoded before, for many: text is a string that holds it. */
void rpc_peer_reply_text(struct rpc_peer *peer, const json_t *id, const json_t *text);
/* The same in two steps: the line is made, and then sent, or taken back by its length, which the
 * first returns (0: it is not made, the peer has gone or too much waits for it already). Nothing
 * may be sent to that peer before it is known whether it is taken back; behind it, anything. */
size_t rpc_peer_prepare_text(struct rpc_peer *peer, const json_t *id, const json_t *text);
void rpc_peer_send_prepared(struct rpc_peer *peer);
void rpc_peer_take_back(struct rpc_peer *peer, size_t len);
void rpc_peer_reply_error(struct rpc_peer *peer, const json_t *id, const struct error *err);
void rpc_peer_notify(struct rpc_peer *peer, const char *method, json_t *params); /* takes params */
/* Asks; `on_reply` gets the result (borrowed) or NULL with the error; it is called with an
 * EXTERNAL error when the connection ends first. takes params. */
typedef void (*rpc_reply_fn)(struct rpc_peer *peer, const json_t *result, const struct error *err,
                             void *context);
void rpc_peer_ask(struct rpc_peer *peer, const char *method, json_t *params, rpc_reply_fn on_reply,
                  void *context);

#endif
