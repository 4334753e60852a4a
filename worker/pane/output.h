/* What an agent printed: a log file with a limit, the recent bytes for new views, the
 * last line for the status, the final text for the result. Memory is bounded whatever
 * an agent prints. */
#ifndef PLEACH_WORKER_OUTPUT_H
#define PLEACH_WORKER_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#define OUTPUT_CAP_DEFAULT ((uint64_t)64 << 20)
#define OUTPUT_RECENT      (64u << 10) /* bytes kept in memory for new views */
#define OUTPUT_TEXT_MAX    (16u << 10) /* bytes of the final text */

struct output;

/* The file is made (0600, and its folder) with its first byte; one that exists is continued. When
 * `cap` bytes are reached the first half stays, a marker line says how much was left out, and the
 * rest of the room holds the newest bytes, in order: the file then shrinks from time to
 * time (a reader that follows it starts again after the marker). path NULL: no file.
 * Caller frees with output_free. */
struct output *output_new(const char *path, uint64_t cap);
void output_free(struct output *output); /* NULL is accepted */

/* Never fails: what the disk does not take is counted, said once in the log, and skipped. */
void output_add(struct output *output, const void *data, size_t len);
uint64_t output_total(const struct output *output); /* bytes added */
/* The newest bytes, at most OUTPUT_RECENT, from a line's start where there is one. Borrowed
 * until the next output_add. */
const char *output_recent(const struct output *output, size_t *len);
/* The last line with something on it, safe for a terminal. Caller frees; NULL: none. */
char *output_last_line(const struct output *output, size_t max_width);
/* The last bytes as plain, safe UTF-8 lines, at most OUTPUT_TEXT_MAX. Caller frees. */
char *output_text(const struct output *output);

#endif
