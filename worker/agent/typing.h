/* Typing texts into an interactive agent: when it is ready, whole, in order, and submitted
 * exactly once. Keys that a person types meanwhile wait until a text is through. */
#ifndef PLEACH_WORKER_TYPING_H
#define PLEACH_WORKER_TYPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "terminal.h"

struct typing;

struct typing_handler {
	/* The first byte of that text goes to the terminal next; false: not yet, asked again. */
	bool (*on_begin)(void *context, int64_t id);
	/* The text and its carriage return went to the terminal. */
	void (*on_typed)(void *context, int64_t id);
};

struct typing *typing_new(uv_loop_t *loop, struct terminal *terminal,
                          const struct typing_handler *handler, void *context);
/* To be called before the terminal is closed; texts that were not typed are forgotten. NULL
 * is accepted. */
void typing_free(struct typing *typing);

/* Queues a text. The first one is typed when the agent's first output has settled. */
void typing_add(struct typing *typing, const char *text, size_t len, int64_t id);
/* Takes back the only text when nothing of it was written yet: true, and it will not be typed. */
bool typing_take_back(struct typing *typing);
/* What it shows is another screen from now on: the next text waits until that has settled, as the
 * first one did. */
void typing_settle(struct typing *typing);
/* Keys of a person. */
void typing_keys(struct typing *typing, const char *keys, size_t len);
/* The agent printed this. */
void typing_output(struct typing *typing, const char *data, size_t len);
/* Answers what the agent asked its terminal, where no person's terminal is there to do so. */
void typing_answer_queries(struct typing *typing, bool alone);
/* The terminal's queue is empty. */
void typing_drained(struct typing *typing);

#endif
