/* Text: what people read and type. UTF-8, safe to display, names, times, durations. */
#ifndef PLEACH_TEXT_H
#define PLEACH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

bool text_is_utf8(const char *text, size_t len);
bool text_is_same(const char *a, const char *b); /* NULL is the same as NULL */
/* Appends `text` made safe for a terminal: control characters, escape sequences, bidi
 * controls and broken UTF-8 become visible replacements; newlines and tabs become a
 * space unless keep_lines. At most max_width columns (0: no limit), an ellipsis marks
 * what was cut. */
void text_add_safe(struct buf *out, const char *text, size_t len, size_t max_width,
                   bool keep_lines);
char *text_safe(const char *text, size_t max_width); /* caller frees; one line */
/* Columns a terminal needs for safe UTF-8 text. */
size_t text_width(const char *text);

/* First line of a prompt, trimmed, at most 72 columns. Caller frees. */
char *text_subject(const char *prompt);

#define TEXT_KEY_MAX      64
#define TEXT_TEAMMATE_MAX 32
bool text_is_key(const char *text);      /* [A-Za-z_][A-Za-z0-9_-]{0,63} */
bool text_is_teammate(const char *text); /* [a-z][a-z0-9-]{0,31} */

/* What belongs to no plan is in one of these, one a target: adhoc, adhoc-BRANCH. */
#define TEXT_ADHOC "adhoc"
bool text_is_adhoc(const char *plan);

/* "90s 30m 2h 1d" or a plain number of seconds (fractions allowed). */
bool text_parse_duration(const char *text, double *seconds);
/* "12m04s", "48s", "2h10m", "3d4h": what tables show. */
void text_format_duration(double seconds, char out[32]);
/* RFC 3339 UTC with milliseconds from milliseconds since the epoch. */
void text_format_time(int64_t ms, char out[32]);

/* And back; -1 where it is none. NULL is accepted. */
int64_t text_parse_time(const char *text);

int64_t time_now_ms(void);  /* wall clock */
int64_t time_mono_ms(void); /* CLOCK_MONOTONIC: awake time */

/* The nearest of `names` (NULL-terminated) within a sensible edit distance, or NULL. */
const char *text_nearest(const char *word, const char *const *names);
/* " (did you mean NAME?)" of that, or "". Caller frees. */
char *text_did_you_mean(const char *word, const char *const *names);

/* n random bytes as 2n hex characters and a NUL. */
void text_random_hex(char *out, size_t n);

#endif
