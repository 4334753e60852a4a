/* What list-panes tells about our session, read strictly. Pure.
 *
 * A pane is known by its option @pleach-teammate; one that was opened a moment before the
 * coordinator died has none yet and is known by the command it runs. */
#ifndef PLEACH_TMUX_PANES_H
#define PLEACH_TMUX_PANES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "text.h"

/* The -F of list-panes. What a pane may have put into its option is reduced by tmux itself
 * to the letters of a teammate's name, so that it cannot make up lines. */
#define TMUX_PANES_FORMAT                                                                          \
	"#{pane_id} #{window_id} #{pane_pid} #{s/[^a-z0-9-]//:@pleach-teammate}|"                  \
	"#{pane_start_command}"
#define TMUX_ID_MAX 16

struct tmux_pane {
	char id[TMUX_ID_MAX];     /* "%3" */
	char window[TMUX_ID_MAX]; /* "@1" */
	pid_t pid;
	char teammate[TEXT_TEAMMATE_MAX + 1]; /* "" when it is none of ours */
	bool tagged;                          /* the name came from the option */
};

/* Reads the answer. Lines that do not fit are left out. Caller frees `*out`. */
size_t tmux_panes_read(const char *text, struct tmux_pane **out);

/* True for "%3" with sigil '%', for "@3" with '@'. */
bool tmux_is_id(const char *text, char sigil);

#endif
