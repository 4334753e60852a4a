/* A pseudo-terminal on the loop: reading what its programs print, writing what people
 * type. It neither interprets the bytes nor keeps them. */
#ifndef PLEACH_WORKER_TERMINAL_H
#define PLEACH_WORKER_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>
#include <uv.h>

#include "error.h"

#define TERMINAL_COLUMNS   120
#define TERMINAL_ROWS      32
#define TERMINAL_QUEUE_MAX (16u << 20) /* bytes that wait to be read by the agent */

struct terminal;

struct terminal_handler {
	void (*on_data)(void *context, const char *data, size_t len);
	/* The write queue became empty. May be NULL. */
	void (*on_drained)(void *context);
};

/* Makes the next one ahead, while there is nothing else to do: an agent waits for it. Nothing where
 * there is one already. */
void terminal_prepare(uv_loop_t *loop);
/* The next one is closed, where there is one: its loop ends. */
void terminal_forget(void);
/* Errors: EXTERNAL. Ended with terminal_close. */
int terminal_open(uv_loop_t *loop, uint16_t columns, uint16_t rows,
                  const struct terminal_handler *handler, void *context, struct terminal **out,
                  struct error *err);
/* Stops at once; what was not read is lost (terminal_drain first). It is the next one to be opened
 * where nobody else has it any more and it can be made as new. NULL is accepted. */
void terminal_close(struct terminal *terminal);

const char *terminal_path(const struct terminal *terminal); /* borrowed: for the child to open */
/* When its programs have ended: reads everything that is there, at most a few pseudo-terminal
 * buffers. */
void terminal_drain(struct terminal *terminal);
/* Queues bytes; false when the queue is full (nothing was taken). */
bool terminal_write(struct terminal *terminal, const void *data, size_t len);
size_t terminal_queued(const struct terminal *terminal);
void terminal_resize(struct terminal *terminal, uint16_t columns, uint16_t rows);
/* True when a program waits in read(2) for what is typed on it: what a line-wise program does, and
 * one that has not set it up yet does not. */
bool terminal_is_read(const struct terminal *terminal);
/* True when something that was typed has not been read yet (in canonical mode: a whole line). */
bool terminal_is_unread(const struct terminal *terminal);
/* How the programs on it set it at this moment. */
int terminal_modes(const struct terminal *terminal, struct termios *out);

#endif
