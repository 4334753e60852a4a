/* The private tmux server: how it is reached and started, what it looks like, how it ends.
 *
 * The server is a daemon of its own on a socket that is ours; nobody's child. Its pid is what
 * the kernel says about the socket (SO_PEERCRED of a listener), never what a file claims. */
#ifndef PLEACH_TMUX_SERVER_H
#define PLEACH_TMUX_SERVER_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "error.h"

#define TMUX_SESSION "team"

/* The environment of every tmux process: ours without TMUX and TMUX_PANE. Caller frees. */
char **tmux_server_env(void);

/* argv of a control client that attaches to a running server and never starts one.
 * Caller frees with strv_free. */
char **tmux_server_attach_argv(const char *tmux_program, const char *socket);
/* argv of a control client that starts the server (or uses the one that runs) and makes the
 * session with `command` in its first pane. Caller frees with strv_free. */
char **tmux_server_create_argv(const char *tmux_program, const char *socket,
                               const char *const *command);

/* The commands that give a server its look and keys, one a string, for a connection.
 * NULL-terminated; borrowed for ever. */
const char *const *tmux_server_settings(void);

/* Something that is not a socket of ours stands at the path: EXTERNAL. Nothing there: fine. */
int tmux_server_check_socket(const char *socket, struct error *err);

/* pid of the tmux server that listens there; 0 when there is none. */
pid_t tmux_server_pid(const char *socket);

/* Ends the server at once (KILL): for one that listens but serves nobody any more. tmux 3.3a
 * gets there when a control client's owner was killed while there was something to write to
 * it: that client never ends, and a server whose last session went waits for it for ever,
 * turning every new client away. True when there was one. */
bool tmux_server_kill(const char *socket);
/* Ends such a left-over client: `pid` (as list-clients tells it) if it is a control client
 * of ours on this socket. True when it was. Only the holder of the lock may ask. */
bool tmux_server_drop_client(const char *socket, pid_t pid);
/* A control client of ours is there still, of whichever coordinator. */
bool tmux_server_has_client(const char *socket);

/* Ends the server that listens on the socket (TERM, KILL after two seconds) and calls done
 * when it and those of its children that are named have ended; at once from the loop when
 * there is none. The socket file is removed. `panes` is copied. */
void tmux_server_end(uv_loop_t *loop, const char *socket, const pid_t *panes, size_t count,
                     void (*done)(void *context), void *context);

#endif
