/* The parts of views.c and views_show.c that they share. Nobody else includes it. */
#ifndef PLEACH_VIEWS_PRIVATE_H
#define PLEACH_VIEWS_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "keys.h"
#include "proc.h"
#include "text.h"
#include "tmux_client.h"
#include "tmux_panes.h"
#include "views.h"

#define KEYS_MAX     9 /* M-1…M-9 */
#define KEY_WORD_MAX 8
#define VIEWS_KEYS   (KEYS_MAX + KEY_TEAMMATE) /* and one for each other action */

/* A key as tmux was told of it; what "": it does nothing. */
struct bound {
	char key[KEY_WORD_MAX], what[80];
};

struct view {
	char name[TEXT_TEAMMATE_MAX + 1];
	char *socket;
	char task[TEXT_KEY_MAX + 16]; /* "" when idle */
	char state[16];
	char sent_task[TEXT_KEY_MAX + 16], sent_state[16];
	bool tagged, told; /* its pane carries the name; carries what sent_… say */
	char pane[TMUX_ID_MAX], window[TMUX_ID_MAX]; /* "" while there is none */
	pid_t pid;
	bool missing;     /* its pane was not in the last list */
	bool own_window;  /* there was no room beside others */
	bool gone;        /* removed while it was being opened */
	uint64_t opened;  /* loop time of the last opening */
	uint64_t due;     /* not opened before */
	uint64_t waiting; /* loop time since when it needs a person; 0: it does not */
	unsigned backoff;
};

struct window {
	char id[TMUX_ID_MAX];
	char name[80]; /* the one that was sent */
	size_t panes, laid_out;
};

enum link { LINK_NONE, LINK_ATTACHING, LINK_CREATING, LINK_UP };

struct views {
	uv_loop_t *loop;
	char *tmux_program, *socket, *worker_program;
	struct tmux_client *client; /* NULL: LINK_NONE */
	enum link link;
	struct proc server; /* as of the last connection; pid 0: not known */
	bool adopt;         /* look for a server even if nothing is to be shown */
	unsigned adopt_looks;
	uint64_t link_since, link_due;
	unsigned link_backoff;
	unsigned link_failures; /* in a row, without a connection between them */
	uv_timer_t timer;
	struct view **items;
	size_t count;
	struct window *windows;
	size_t window_count;
	struct view *opening;
	int under_way; /* lines that wait for an answer */
	bool listed;   /* since the connection came up */
	bool dirty;    /* something may have to be shown */
	uint64_t list_due, last_list, flush_due, orphans_since;
	char counts[128];
	char wanted[key_action_count][KEY_WORD_MAX]; /* by action, as a person chose */
	struct bound bound[VIEWS_KEYS];
	void (*on_change)(void *context);
	void *change_context;
	bool closing, ending;
	int closing_parts;
	void (*done)(void *context);
	void *done_context;
};

#define VIEWS_NEVER            UINT64_MAX
#define VIEWS_BACKOFF_FIRST_MS 100
#define VIEWS_STABLE_MS        10000 /* what lived this long starts with the first back-off again */
#define VIEWS_NOTICE_MS        20    /* a notification is followed by others of the same change */

/* Does the next step that is due, or sets the timer for it. */
void views_pump(struct views *views);
uint64_t views_now(const struct views *views); /* loop time, ms */
void views_changed(struct views *views);       /* tells the owner that a pane's id changed */
void views_list_by(struct views *views, uint64_t at);
unsigned views_next_backoff(unsigned backoff);
struct view *views_find(const struct views *views, const char *name); /* or NULL; borrowed */
void views_forget_pane(struct view *view);
void views_free_view(struct views *views, struct view *view);

/* views_panes.c */
void views_send_list(struct views *views);
void views_open_pane(struct views *views, struct view *view);
/* argv of the program in a view's pane. Caller frees with strv_free. */
char **views_command(const struct views *views, const struct view *view);
void views_kill_pane(struct views *views, const char *pane);

/* Sends one line whose answer matters only if it is an error. */
void views_send_line(struct views *views, const char *line, int commands);

/* Sends what borders, window names, layouts, keys and the status line should say and do not
 * say yet (views_show.c). */
void views_show(struct views *views);

#endif
