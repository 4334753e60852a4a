/* The worker's view socket: panes and `attach` connect to it, see the terminal, type into
 * it. Nothing here waits for a view: who does not read loses output, then the connection. */
#ifndef PLEACH_WORKER_VIEWS_H
#define PLEACH_WORKER_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "buf.h"
#include "error.h"

struct views;

struct views_handler {
	void (*on_keys)(void *context, const char *keys, size_t len);
	/* The newest view that says its size decides. `joined`: it just came. */
	void (*on_size)(void *context, uint16_t columns, uint16_t rows, bool joined);
	/* Appends what a new view is to see. */
	void (*recent)(void *context, struct buf *out);
};

/* Listens at `path` (0600; what is there is replaced). Errors: EXTERNAL. */
int views_open(uv_loop_t *loop, const char *path, const struct views_handler *handler,
               void *context, struct views **out, struct error *err);
/* Tells the views that the worker ends, and removes the socket. */
void views_end(struct views *views);
/* Listens again when the socket file has vanished: call it now and then. */
void views_heal(struct views *views);

size_t views_count(const struct views *views);
void views_data(struct views *views, const void *data, size_t len);
/* Kept for views that come later; sent when it changes. */
void views_title(struct views *views, const char *title);

#endif
