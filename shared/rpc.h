/* JSON-RPC 2.0 messages: building and telling apart; and reaching who speaks it. */
#ifndef PLEACH_RPC_H
#define PLEACH_RPC_H

#include <jansson.h>

#include "buf.h"
#include "error.h"

#define RPC_PROTOCOL        1
#define RPC_PROTOCOL_OLDEST 1 /* that a coordinator still speaks: its own and the one before */

/* New references; params and result are taken (NULL: absent / null). */
json_t *rpc_request(int64_t id, const char *method, json_t *params);
json_t *rpc_notification(const char *method, json_t *params);
json_t *rpc_result(const json_t *id, json_t *result);
json_t *rpc_error(const json_t *id, const struct error *err);
/* Appends the line of a result that is encoded. */
void rpc_write_result(struct buf *out, const json_t *id, const char *result, size_t len);

/* Reads an error reply into err (code from data.code). Returns -1. */
int rpc_error_read(const json_t *reply, struct error *err);

/* A connected descriptor (close-on-exec) to a Unix socket of our own user.
 * Errors: NOT_FOUND (nobody listens there), EXTERNAL (another user's socket, too long a path,
 * nobody takes the connection within 10 s). */
int rpc_connect(const char *path, struct error *err);

#endif
