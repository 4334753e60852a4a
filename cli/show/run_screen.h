/* The screen of `run` and `try`: Tasks and Teammates made into lines, and frames of lines made
 * into the bytes that change a terminal from one to the next. Pure: no clock, no I/O. */
#ifndef PLEACH_CLI_RUN_SCREEN_H
#define PLEACH_CLI_RUN_SCREEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct screen {
	const char *plan;        /* its name */
	const char *base;        /* as the plan calls it; NULL: HEAD */
	const json_t *tasks;     /* [Task] in order of ids */
	const json_t *index;     /* task_index of them */
	const json_t *teammates; /* [Teammate] or NULL */
	size_t key_columns;      /* screen_key_columns of them */
	int64_t now_ms;          /* time_mono_ms */
	double seconds;          /* since the run began */
	size_t width, height;    /* of the terminal; 0: no limit */
	const char *notice;      /* why nothing starts, or NULL */
	bool colored;
	bool flat;  /* lines one after the other, not a screen: whole keys, no indent */
	bool final; /* nothing moves any more: what to type next, no Ctrl-C */
};

size_t screen_key_columns(const json_t *tasks, bool flat);
/* The whole frame. Caller frees with strv_free. */
char **screen_render(const struct screen *screen);
/* One task's line; caller frees. */
char *screen_row(const struct screen *screen, const json_t *task);
/* "2 completed, 1 failed   $1.84". Caller frees. */
char *screen_counts(const struct screen *screen);
/* What to type next; caller frees; "" for nothing. */
char *screen_hint(const struct screen *screen);

/* Appends what turns `before` (NULL: nothing was drawn; the cursor stands below it) into
 * `after`. Only changed lines are written. */
void screen_paint(struct buf *out, char *const *before, char *const *after);
/* Appends what wipes a frame off a terminal that is now `width` columns wide. */
void screen_wipe(struct buf *out, char *const *before, size_t width, size_t height);

#endif
