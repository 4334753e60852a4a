/* What people see: one pane a teammate on a private tmux server, each showing its worker's
 * terminal. Views only show; nothing that must happen depends on them, and a pane, a client
 * or the whole server may be killed at any time: it is opened again. */
#ifndef PLEACH_VIEWS_H
#define PLEACH_VIEWS_H

#include <jansson.h>
#include <uv.h>

#include "error.h"

struct views;

/* Nothing is started before the first views_set; a server that an earlier coordinator left on
 * the socket is taken over with its panes. worker_program is run as
 * `worker_program --view NAME --socket VIEW_SOCKET`.
 * Errors: EXTERNAL (tmux is not installed, something else stands where the socket goes).
 * End it with views_close. */
int views_open(uv_loop_t *loop, const char *tmux_program, const char *socket_path,
               const char *worker_program, struct views **out, struct error *err);

/* Adds a teammate or updates what its border says. task_key NULL: it has no task. state is a
 * word of enum teammate_state (or "failed"). Cheap: changes are gathered and sent together. */
void views_set(struct views *views, const char *teammate, const char *view_socket,
               const char *task_key, const char *state);
void views_remove(struct views *views, const char *teammate);

/* {ACTION:KEY} of keys.h: what the keys of people at the panes do. Until it is called: as there. */
void views_set_keys(struct views *views, const json_t *keys);

/* tmux's id of the teammate's pane ("%3"), or NULL while there is none. Borrowed until the
 * loop turns. */
const char *views_pane(const struct views *views, const char *teammate);
/* The server's socket, for `tmux -S SOCKET attach`. Borrowed. */
const char *views_socket(const struct views *views);

/* Calls fn from the loop whenever a pane's id has changed. One listener. */
void views_on_change(struct views *views, void (*fn)(void *context), void *context);

/* Ends the private server and everything in it; `done` is called when its process and those of
 * its panes have ended and views is freed. Call once, use views no more. */
void views_close(struct views *views, void (*done)(void *context), void *context);

#endif
