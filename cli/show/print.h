/* Lines for people: parts with a style, cut to a width. Everything from outside becomes safe
 * here, and nowhere else. */
#ifndef PLEACH_CLI_PRINT_H
#define PLEACH_CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "command.h"

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW, STYLE_CYAN };

/* One line being made. `width` 0: as long as it gets. */
struct line {
	struct buf text;
	size_t width; /* columns it may have */
	size_t used;  /* columns it has */
	bool colored;
	bool full; /* something did not fit: nothing more is added */
};

void line_begin(struct line *line, size_t width, bool colored);
/* Adds text, made safe. */
void line_add(struct line *line, enum style style, const char *text);
void line_addf(struct line *line, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds text in a cell of `columns` (cut or padded), and two spaces. */
void line_cell(struct line *line, enum style style, const char *text, size_t columns);
/* Blanks up to that column, at least one. */
void line_pad_to(struct line *line, size_t column);
void line_finish(struct line *line);

/* A line to stdout, and its end. Empties it. */
void line_print(struct line *line);

/* One object as one line of JSON on stdout. Returns 0, the exit status. */
int print_json(const json_t *value);
/* The line that goes to fd: on a terminal all but ASCII is escaped. */
void print_add_json(struct buf *out, const json_t *value, int fd);
/* Text of any length, its lines kept, made safe; a newline at its end. */
void print_text(const char *text);
/* Columns of the terminal; 0 where stdout is none. */
size_t print_width(const struct cli *cli);
size_t print_height(void);
const char *style_code(enum style style); /* escape sequence; "" for PLAIN */

/* Milliseconds since the epoch of an RFC 3339 time, or -1. */
int64_t print_time_ms(const char *text);
/* "just now", "4m10s ago". */
void print_ago(const char *time, char out[48]);

#endif
