/* What the worker says about itself on the bus: on change, at most four times a second, and
 * every 30 s to show that it is there. Lossy; nothing waits for it. */
#ifndef PLEACH_WORKER_STATUS_H
#define PLEACH_WORKER_STATUS_H

#include <jansson.h>
#include <uv.h>

struct status;

/* `describe` makes the object that is published (a new reference). The socket is opened with
 * the first message, so that it costs nothing before. */
struct status *status_new(uv_loop_t *loop, const char *name, const char *runtime_dir,
                          json_t *(*describe)(void *context), void *context);
/* Something changed: published within a quarter of a second. */
void status_changed(struct status *status);

#endif
