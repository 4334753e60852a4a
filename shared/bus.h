/* The status plane: nng pub/sub over ipc, lossy by design; nothing that must happen
 * depends on it. A listener heals itself (nng 1.5.2: an ipc listener dies for good when a
 * peer goes away during the handshake): bus_pub_heal probes it and listens again. */
#ifndef PLEACH_BUS_H
#define PLEACH_BUS_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define BUS_MESSAGE_MAX (1u << 20) /* bytes a message */

struct bus_pub;
struct bus_sub;

/* url: ipc://PATH. The socket file is 0600. */
int bus_pub_open(const char *url, struct bus_pub **out, struct error *err);
/* Never blocks; dropped where a subscriber is slow. */
/* Whether anybody listens. Nobody does that came a moment ago and is not greeted yet. */
bool bus_pub_heard(const struct bus_pub *pub);
void bus_pub_send(struct bus_pub *pub, const void *data, size_t len);
/* Probes the listener and listens again when it is dead: call about once a second while
 * something is published. Returns 1 when it healed, 0 when all was well, -1 on failure. */
int bus_pub_heal(struct bus_pub *pub, struct error *err);

/* Subscribes to everything on any number of urls, dialling in the background. */
int bus_sub_open(struct bus_sub **out, struct error *err);
int bus_sub_dial(struct bus_sub *sub, const char *url, struct error *err);
/* Polls readable when a message waits. Borrowed. */
int bus_sub_fd(const struct bus_sub *sub);
/* 1: a message (caller frees *data, NUL-terminated); 0: none waits; -1: broken. */
int bus_sub_receive(struct bus_sub *sub, char **data, size_t *len, struct error *err);

/* There is no close: nng_close can hang soon after a send. Sockets live as long as the
 * process, and short-lived processes end with _exit. */

#endif
