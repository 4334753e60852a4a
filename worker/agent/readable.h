/* What a headless agent prints for programs, as text for people: its words, its tools and what came
 * of them in short, errors, what it used. A pure function of the stream: nothing is looked up, no
 * clock. */
#ifndef PLEACH_WORKER_READABLE_H
#define PLEACH_WORKER_READABLE_H

#include <jansson.h>

#include "buf.h"

struct readable;

/* kind: a profile's `output`. NULL where there is nothing to make readable. Caller frees. */
struct readable *readable_new(const char *kind);
void readable_free(struct readable *readable); /* NULL is accepted */

/* Appends what one line of the stream says, if anything: whole lines that end in CR LF, safe for a
 * terminal. The words of a message that goes on may be without their line's end. */
void readable_line(struct readable *readable, const json_t *line, struct buf *out);
/* What the agent printed as it is (its own stderr) follows: ends a line that is open. */
void readable_plain(struct readable *readable, struct buf *out);
/* The stream has ended. usage: as of report_usage; null is accepted. */
void readable_end(struct readable *readable, const json_t *usage, struct buf *out);

/* "Edit src/tok.c": a tool and the first telling thing of its input. Not made safe. Caller frees.
 */
char *readable_tool(const char *name, const json_t *input, size_t max);

#endif
