/* What a person would see of an agent: a small terminal that takes its output and keeps the
 * characters, and what a profile's patterns find on it. Colours and keys are not its business. */
#ifndef PLEACH_WORKER_SCREEN_H
#define PLEACH_WORKER_SCREEN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "state.h"

struct screen;

struct screen *screen_new(uint16_t columns, uint16_t rows);
void screen_free(struct screen *screen); /* NULL is accepted */
void screen_add(struct screen *screen, const char *data, size_t len);
/* What no longer fits is gone; programs draw again. */
void screen_resize(struct screen *screen, uint16_t columns, uint16_t rows);
/* Its lines, without the blanks at their ends, a newline behind each. */
void screen_text(const struct screen *screen, struct buf *out);

/* {"needs_input":[ERE],"working":[ERE],"idle":[ERE]}, each held against every line. */
struct screen_patterns;
/* NULL where there are none; patterns that are none are passed over. */
struct screen_patterns *screen_patterns_new(const json_t *patterns);
void screen_patterns_free(struct screen_patterns *patterns); /* NULL is accepted */
/* Busy beats a question beats idle; UNKNOWN: nothing matches. *asked (caller frees): the line that
 * asks, and what stands below it. */
enum agent_state screen_state(const struct screen *screen, const struct screen_patterns *patterns,
                              char **asked);

#endif
