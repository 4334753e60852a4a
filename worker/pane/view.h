/* `pleach-worker --view`: a teammate's terminal on this one. */
#ifndef PLEACH_WORKER_VIEW_H
#define PLEACH_WORKER_VIEW_H

#include <jansson.h>
#include <stdbool.h>

struct view_options {
	const char *name, *socket;
	bool read_only;     /* keys do nothing */
	bool attach;        /* for a person who wants to leave: its keys work */
	const json_t *keys; /* {ACTION:KEY} of keys.h; NULL: as there */
};

/* Runs until it is detached, the terminal goes away, or (attach) the worker ends. The exit
 * status of the process; the terminal is as it was before on every way out. */
int view_run(const struct view_options *options);

#endif
