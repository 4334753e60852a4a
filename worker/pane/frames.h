/* The frames of a worker's view socket: one byte kind, four bytes little-endian
 * length (at most FRAME_MAX), payload. Both ends use these; no I/O here. */
#ifndef PLEACH_WORKER_FRAMES_H
#define PLEACH_WORKER_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define FRAME_MAX    (1u << 20) /* bytes of payload */
#define FRAME_HEADER 5

/* To the worker. */
#define FRAME_RESIZE   'r' /* u16 columns, u16 rows */
#define FRAME_KEYS     'k' /* bytes for the pseudo-terminal */
#define FRAME_OBSERVER 'o' /* this view is read-only */
/* From the worker. */
#define FRAME_DATA  'd' /* terminal bytes */
#define FRAME_TITLE 't' /* text */
#define FRAME_END   'e' /* the worker ends */

struct frame {
	char kind;
	const char *data; /* borrowed until the buffer changes */
	size_t len;
};

/* Appends one frame; what is longer than FRAME_MAX becomes several (of data or keys only). */
void frame_add(struct buf *out, char kind, const void *data, size_t len);
void frame_add_resize(struct buf *out, uint16_t columns, uint16_t rows);
/* Looks at the bytes from `*offset` on. 1: a frame, `*offset` moved past it; 0: more bytes are
 * needed; -1: longer than allowed, the stream is broken. */
int frame_next(const struct buf *in, size_t *offset, struct frame *out);
/* 0, or -1 when the payload is not a sensible size. */
int frame_read_resize(const struct frame *frame, uint16_t *columns, uint16_t *rows);

#endif
