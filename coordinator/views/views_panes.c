/* Panes of the private server: what list-panes tells of them and opening one. A pane is gone
 * when two looks did not find it; an error is not an answer; a pane that cannot be opened is
 * tried again with a growing pause. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"
#include "mem.h"
#include "tmux_proto.h"
#include "tmux_server.h"
#include "views_private.h"

#define PANES_A_WINDOW 6
#define ORPHAN_MS      5000 /* after a restart teammates are named one by one */

static void take_pane(struct view *view, const struct tmux_pane *pane)
{
	if (strcmp(view->pane, pane->id) != 0 || !pane->tagged)
		view->tagged = view->told = false;
	if (pane->tagged)
		view->tagged = true;
	memcpy(view->pane, pane->id, sizeof view->pane);
	memcpy(view->window, pane->window, sizeof view->window);
	view->pid = pane->pid;
	view->missing = false;
}

static const struct tmux_pane *find_pane(const struct tmux_pane *panes, size_t count,
                                         const struct view *view)
{
	const struct tmux_pane *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(panes[i].teammate, view->name) != 0)
			continue;
		if (strcmp(panes[i].id, view->pane) == 0)
			return &panes[i];
		if (!found)
			found = &panes[i];
	}
	return found;
}

/* A pane counts as gone when two looks did not find it: one answer may be of a moment. */
static void miss_pane(struct views *views, struct view *view, bool *change)
{
	uint64_t t = views_now(views);

	if (!view->pane[0])
		return;
	if (!view->missing) {
		view->missing = true;
		view->backoff = t - view->opened >= VIEWS_STABLE_MS
		                    ? VIEWS_BACKOFF_FIRST_MS
		                    : views_next_backoff(view->backoff);
		view->due = t + view->backoff;
		views_list_by(views, view->due);
	} else if (t < view->due) {
		views_list_by(views, view->due);
	} else {
		views_forget_pane(view);
		*change = true;
	}
}

static void count_windows(struct views *views, const struct tmux_pane *panes, size_t count)
{
	struct window *windows = xcalloc(count + 1, sizeof *windows);
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		size_t w = 0;
		while (w < n && strcmp(windows[w].id, panes[i].window) != 0)
			w++;
		if (w == n) {
			memcpy(windows[n].id, panes[i].window, sizeof windows[n].id);
			for (size_t old = 0; old < views->window_count; old++)
				if (strcmp(views->windows[old].id, windows[n].id) == 0)
					windows[n] = views->windows[old];
			windows[n++].panes = 0;
		}
		windows[w].panes++;
	}
	free(views->windows);
	views->windows = windows;
	views->window_count = n;
}

/* Panes that carry a teammate's name but are not its pane: a second one goes at once, one of
 * a teammate that nobody named goes when nobody has for a while. */
static void drop_strays(struct views *views, const struct tmux_pane *panes, size_t count)
{
	bool orphans = false;
	bool due = views->orphans_since && views_now(views) - views->orphans_since >= ORPHAN_MS;

	for (size_t i = 0; i < count; i++) {
		if (!panes[i].teammate[0])
			continue;
		const struct view *view = views_find(views, panes[i].teammate);
		if (view && strcmp(view->pane, panes[i].id) != 0)
			views_kill_pane(views, panes[i].id);
		else if (!view && due)
			views_kill_pane(views, panes[i].id);
		else if (!view)
			orphans = true;
	}
	if (!orphans) {
		views->orphans_since = 0;
	} else {
		if (!views->orphans_since)
			views->orphans_since = views_now(views);
		views_list_by(views, views->orphans_since + ORPHAN_MS);
	}
}

static void on_list(struct tmux_client *client, bool ok, const char *text, void *context)
{
	struct views *views = context;
	_cleanup_free_ struct tmux_pane *panes = NULL;
	bool change = false;

	(void)client;
	views->under_way--;
	if (!text)
		return;
	if (!ok) {
		/* An error is not an empty list. Without its session the connection ends too. */
		views_list_by(views, views_now(views) + VIEWS_BACKOFF_FIRST_MS);
		views_pump(views);
		return;
	}
	size_t count = tmux_panes_read(text, &panes);
	for (size_t i = 0; i < views->count; i++) {
		struct view *view = views->items[i];
		const struct tmux_pane *pane = find_pane(panes, count, view);
		if (!pane) {
			miss_pane(views, view, &change);
			continue;
		}
		if (strcmp(view->pane, pane->id) != 0) {
			change = true;
			view->opened = views_now(views);
		}
		take_pane(view, pane);
	}
	count_windows(views, panes, count);
	drop_strays(views, panes, count);
	views->listed = views->dirty = true;
	if (change)
		views_changed(views);
	views_pump(views);
}

void views_send_list(struct views *views)
{
	struct buf line = BUF_INIT;

	views->list_due = VIEWS_NEVER;
	views->last_list = views_now(views);
	buf_add_str(&line, "list-panes -s -t =" TMUX_SESSION " -F ");
	tmux_add_word(&line, TMUX_PANES_FORMAT);
	views->under_way++;
	tmux_client_send(views->client, line.data, 1, on_list, views);
	buf_finish(&line);
}

char **views_command(const struct views *views, const struct view *view)
{
	char **argv = NULL;
	const char *const words[] = {views->worker_program, "--view", view->name, "--socket",
	                             view->socket};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		strv_push(&argv, xstrdup(words[i]));
	return argv;
}

static void note_opened(struct views *views, struct view *view)
{
	size_t w = 0;

	while (w < views->window_count && strcmp(views->windows[w].id, view->window) != 0)
		w++;
	if (w == views->window_count) {
		views->windows = xrealloc(views->windows, (w + 1) * sizeof *views->windows);
		memset(&views->windows[w], 0, sizeof views->windows[w]);
		memcpy(views->windows[w].id, view->window, sizeof view->window);
		views->window_count++;
	}
	/* The line that opened it laid it out too. */
	views->windows[w].laid_out = ++views->windows[w].panes;
}

static void on_opened(struct tmux_client *client, bool ok, const char *text, void *context)
{
	struct views *views = context;
	struct view *view = views->opening;
	struct tmux_pane *panes = NULL;

	(void)client;
	views->under_way--;
	views->opening = NULL;
	if (!text || !ok || tmux_panes_read(text, &panes) != 1) {
		view->backoff = views_next_backoff(view->backoff);
		view->due = views_now(views) + view->backoff;
		/* A window that people made small has no room: the next try is a window. */
		view->own_window = true;
	} else {
		take_pane(view, &panes[0]);
		view->own_window = false;
		note_opened(views, view);
		views->dirty = true;
		log_info("views", "teammate=%s pane %s opened", view->name, view->pane);
	}
	free(panes);
	if (view->gone) {
		if (view->pane[0])
			views_kill_pane(views, view->pane);
		views_free_view(views, view);
	} else if (view->pane[0]) {
		views_changed(views);
	}
	if (text) {
		if (!ok)
			views_list_by(views, views_now(views));
		views_pump(views);
	}
}

/* The pane of the window that was opened last: a new one comes behind it, so that panes stand
 * in the order in which teammates came. */
static const char *split_target(const struct views *views, const struct window *window)
{
	const char *target = window->id;
	int last = -1;

	for (size_t i = 0; i < views->count; i++) {
		const struct view *view = views->items[i];
		if (strcmp(view->window, window->id) == 0 && !view->missing &&
		    atoi(view->pane + 1) > last) {
			last = atoi(view->pane + 1);
			target = view->pane;
		}
	}
	return target;
}

void views_open_pane(struct views *views, struct view *view)
{
	_cleanup_buf_ struct buf line = BUF_INIT;
	_cleanup_strv_ char **command = views_command(views, view);
	const struct window *room = NULL;

	for (size_t i = 0; i < views->window_count && !view->own_window && !room; i++)
		if (views->windows[i].panes > 0 && views->windows[i].panes < PANES_A_WINDOW)
			room = &views->windows[i];
	if (room)
		buf_printf(&line, "split-window -d -c / -t %s -P -F ", split_target(views, room));
	else
		buf_add_str(&line, "new-window -d -c / -t =" TMUX_SESSION ": -P -F ");
	tmux_add_word(&line, TMUX_PANES_FORMAT);
	buf_add_str(&line, " --");
	for (size_t i = 0; command[i]; i++) {
		buf_add_str(&line, " ");
		tmux_add_word(&line, command[i]);
	}
	if (room)
		buf_printf(&line, " ; select-layout -t %s tiled", room->id);
	views->opening = view;
	view->opened = views_now(views);
	views->under_way++;
	tmux_client_send(views->client, line.data, room ? 2 : 1, on_opened, views);
}
