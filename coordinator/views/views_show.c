/* What the private tmux server shows beside the terminals: borders, window names, layouts,
 * keys and the status line. Compares what was sent with what should be there and sends only
 * the difference. All words come from views_set, which let no other letters in. */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "tmux_proto.h"
#include "tmux_server.h"
#include "views_private.h"

static const char *state_colour(const char *state)
{
	static const char *const colours[][2] = {
	    {"needs_input", "yellow"}, {"working", "green"}, {"verifying", "green"},
	    {"failed", "red"},         {"lost", "red"},      {"unresponsive", "red"},
	    {"limited", "cyan"},
	};

	for (size_t i = 0; i < ARRAY_LEN(colours); i++)
		if (strcmp(state, colours[i][0]) == 0)
			return colours[i][1];
	return "brightblack";
}

static int add_option(struct buf *line, int commands, const char *pane, const char *option,
                      const char *value)
{
	buf_printf(line, "%sset -p -t %s @pleach-%s ", commands ? " ; " : "", pane, option);
	tmux_add_word(line, value);
	return commands + 1;
}

static void flush_view(struct views *views, struct view *view)
{
	_cleanup_buf_ struct buf line = BUF_INIT;
	int n = 0;

	if (!view->pane[0] || view->missing)
		return;
	if (!view->tagged)
		n = add_option(&line, n, view->pane, "teammate", view->name);
	if (!view->told || strcmp(view->task, view->sent_task) != 0)
		n = add_option(&line, n, view->pane, "task", view->task);
	if (!view->told || strcmp(view->state, view->sent_state) != 0) {
		n = add_option(&line, n, view->pane, "state", view->state);
		n = add_option(&line, n, view->pane, "colour", state_colour(view->state));
	}
	if (!n)
		return;
	view->tagged = view->told = true;
	memcpy(view->sent_task, view->task, sizeof view->task);
	memcpy(view->sent_state, view->state, sizeof view->state);
	views_send_line(views, line.data, n);
}

/* The only one's `ash-parser-working`; of several their names; `team` when that is too long. */
static void window_name(const struct views *views, const struct window *window, char *out,
                        size_t size)
{
	_cleanup_buf_ struct buf name = BUF_INIT;

	for (size_t i = 0; i < views->count; i++) {
		const struct view *view = views->items[i];
		if (strcmp(view->window, window->id) != 0)
			continue;
		if (name.len)
			buf_add_str(&name, "_");
		buf_add_str(&name, view->name);
		if (window->panes == 1 && view->task[0]) {
			buf_add_str(&name, "-");
			tmux_add_name(&name, view->task, 24);
		}
		if (window->panes == 1)
			buf_printf(&name, "-%s", view->state);
	}
	snprintf(out, size, "%s", name.len && name.len < 70 ? name.data : TMUX_SESSION);
}

static void flush_windows(struct views *views)
{
	for (size_t i = 0; i < views->window_count; i++) {
		struct window *window = &views->windows[i];
		char name[sizeof window->name], line[160];

		if (window->panes != window->laid_out) {
			snprintf(line, sizeof line, "select-layout -t %s tiled", window->id);
			if (window->laid_out > 0 || window->panes > 1)
				views_send_line(views, line, 1);
			window->laid_out = window->panes;
		}
		window_name(views, window, name, sizeof name);
		if (strcmp(name, window->name) == 0)
			continue;
		memcpy(window->name, name, sizeof name);
		snprintf(line, sizeof line, "rename-window -t %s %s", window->id, name);
		views_send_line(views, line, 1);
	}
}

/* Selects that pane; nothing where there is none. */
static void want_pane(struct bound *bound, const struct view *view)
{
	if (view && view->pane[0])
		snprintf(bound->what, sizeof bound->what,
		         "select-window -t %s \\; select-pane -t %s", view->window, view->pane);
}

static void want_keys(const struct views *views, struct bound wanted[VIEWS_KEYS])
{
	const struct view *first_waiting = NULL;
	struct bound *next = &wanted[KEYS_MAX + KEY_NEXT];

	memset(wanted, 0, VIEWS_KEYS * sizeof *wanted);
	for (size_t i = 0; i < views->count; i++) {
		const struct view *view = views->items[i];
		if (view->waiting && view->pane[0] &&
		    (!first_waiting || view->waiting < first_waiting->waiting))
			first_waiting = view;
	}
	for (size_t i = 0; i < KEYS_MAX; i++) {
		snprintf(wanted[i].key, sizeof wanted[i].key, "M-%zu", i + 1);
		if (i < views->count && strcmp(views->wanted[KEY_TEAMMATE], "none") != 0)
			want_pane(&wanted[i], views->items[i]);
	}
	snprintf(next->what, sizeof next->what, "display-message \"nobody waits for you\"");
	want_pane(next, first_waiting);
	snprintf(wanted[KEYS_MAX + KEY_DETACH].what, sizeof next->what, "detach-client");
	snprintf(wanted[KEYS_MAX + KEY_ZOOM].what, sizeof next->what, "resize-pane -Z");
	for (size_t i = KEYS_MAX; i < VIEWS_KEYS; i++) {
		const char *key = views->wanted[i - KEYS_MAX];
		snprintf(wanted[i].key, sizeof wanted[i].key, "%s", key);
		if (strcmp(key, "none") == 0)
			wanted[i].what[0] = '\0';
	}
}

/* All old ones go before the first new one comes: two actions may have changed their keys. */
static void flush_keys(struct views *views)
{
	struct bound wanted[VIEWS_KEYS];
	char line[192];

	want_keys(views, wanted);
	for (size_t i = 0; i < VIEWS_KEYS; i++) {
		struct bound *bound = &views->bound[i];
		if (!bound->what[0] ||
		    (wanted[i].what[0] && strcmp(wanted[i].key, bound->key) == 0))
			continue;
		snprintf(line, sizeof line, "unbind -n %s", bound->key);
		views_send_line(views, line, 1);
		bound->what[0] = '\0';
	}
	for (size_t i = 0; i < VIEWS_KEYS; i++) {
		struct bound *bound = &views->bound[i];
		if (strcmp(wanted[i].what, bound->what) == 0)
			continue;
		*bound = wanted[i];
		snprintf(line, sizeof line, "bind -n %s %s", bound->key, bound->what);
		views_send_line(views, line, 1);
	}
}

static void flush_counts(struct views *views)
{
	size_t working = 0, waiting = 0, limited = 0, bad = 0;
	char text[sizeof views->counts];
	_cleanup_buf_ struct buf line = BUF_INIT;

	for (size_t i = 0; i < views->count; i++) {
		const char *colour = state_colour(views->items[i]->state);
		working += strcmp(colour, "green") == 0;
		waiting += strcmp(colour, "yellow") == 0;
		limited += strcmp(colour, "cyan") == 0;
		bad += strcmp(colour, "red") == 0;
	}
	snprintf(text, sizeof text, "%zu teammates  %zu working  %zu need input%s%s", views->count,
	         working, waiting, limited ? "  some limited" : "", bad ? "  some lost" : "");
	if (strcmp(text, views->counts) == 0)
		return;
	memcpy(views->counts, text, sizeof text);
	buf_add_str(&line, "set -g @pleach-counts ");
	tmux_add_word(&line, text);
	views_send_line(views, line.data, 1);
}

void views_show(struct views *views)
{
	for (size_t i = 0; i < views->count; i++)
		flush_view(views, views->items[i]);
	flush_windows(views);
	flush_keys(views);
	flush_counts(views);
}
