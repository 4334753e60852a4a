/* Bytes of an agent or a repository on their way to a terminal: escape sequences are taken out
 * (colours may stay), the rest becomes safe text. In a pipe nothing is changed. */
#ifndef PLEACH_CLI_SAFE_STREAM_H
#define PLEACH_CLI_SAFE_STREAM_H

#include <stdbool.h>

#include "buf.h"

struct safe_stream {
	struct buf line; /* what came since the last newline */
	bool raw;        /* hand everything on as it is */
	bool keep_colors;
};

void safe_stream_finish(struct safe_stream *stream);
/* Appends to `out` what can be shown of it by now: whole lines. */
void safe_stream_add(struct safe_stream *stream, const char *data, size_t len, struct buf *out);
/* Appends what is left. */
void safe_stream_end(struct safe_stream *stream, struct buf *out);

#endif
