/* One control-mode connection to a private tmux server, on a libuv loop.
 *
 * It owns the client process and its pipes, pipelines commands and matches answers. It does
 * not reconnect: when the connection is gone it says so once, and its owner opens another. */
#ifndef PLEACH_TMUX_CLIENT_H
#define PLEACH_TMUX_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "error.h"

struct tmux_client;

struct tmux_client_handler {
	/* The name has no %, `rest` is what stands behind it. Borrowed. */
	void (*on_notify)(struct tmux_client *client, const char *name, const char *rest,
	                  void *context);
	/* The connection is gone and nothing more will be answered; `why` is the last thing
	 * that tmux complained of. Close the client from here or later. Called at most once,
	 * never out of a call into this module. */
	void (*on_lost)(struct tmux_client *client, const char *why, void *context);
};

/* The answer to a line. ok false: the text is tmux's error, or NULL when the connection went
 * first (or was closed). Text is borrowed, NUL-terminated. */
typedef void (*tmux_reply_fn)(struct tmux_client *client, bool ok, const char *text, void *context);

/* Starts `argv` (tmux … -C attach …; argv[0] looked up in PATH) from / with the environment
 * `env`. Errors: NOT_FOUND (no such program), EXTERNAL. End it with tmux_client_close. */
int tmux_client_open(uv_loop_t *loop, const char *const *argv, const char *const *env,
                     const struct tmux_client_handler *handler, void *context,
                     struct tmux_client **out, struct error *err);

/* Sends one line of `commands` commands joined by ` ; ` (no newline in it). on_reply may be
 * NULL. It is called once, with the joined output of all of them, or the first error. */
void tmux_client_send(struct tmux_client *client, const char *line, int commands,
                      tmux_reply_fn on_reply, void *context);

/* The client process's pid, as tmux lists it. */
pid_t tmux_client_pid(const struct tmux_client *client);

/* Ends the client process (never the server). Pending replies are called with ok false first.
 * on_closed (may be NULL) is called when the process is reaped and all is freed. */
void tmux_client_close(struct tmux_client *client, void (*on_closed)(void *context), void *context);

#endif
