/* Keeps one pane a teammate alive on the private tmux server, through one control-mode
 * connection. Driven by notifications alone: `pump` compares what is wanted with what the last
 * list-panes told and sends the next step; at most one step is under way, so that any number
 * of views_set calls cost one update. It knows no task and decides nothing. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "tmux_proto.h"
#include "tmux_server.h"
#include "views_private.h"

#define BACKOFF_MAX_MS    5000
#define LIST_EVERY_MS     200 /* at most, while somebody drags a border */
#define FLUSH_EVERY_MS    50
#define LINK_FAILURES_MAX 3
#define ADOPT_LOOK_MS     100  /* for clients of the coordinator before us, */
#define ADOPT_LOOKS       20   /* so often */
#define CREATE_WAIT_MS    3000 /* for a server that is starting while we close */

static void end_server(struct views *views);

struct view *views_find(const struct views *views, const char *name)
{
	for (size_t i = 0; i < views->count; i++)
		if (strcmp(views->items[i]->name, name) == 0)
			return views->items[i];
	return NULL;
}

void views_changed(struct views *views)
{
	if (views->on_change && !views->closing)
		views->on_change(views->change_context);
}

uint64_t views_now(const struct views *views)
{
	return uv_now(views->loop);
}

void views_list_by(struct views *views, uint64_t at)
{
	if (at < views->list_due)
		views->list_due = at;
}

unsigned views_next_backoff(unsigned backoff)
{
	if (!backoff)
		return VIEWS_BACKOFF_FIRST_MS;
	return backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff * 2;
}

void views_free_view(struct views *views, struct view *view)
{
	for (size_t i = 0; i < views->count; i++) {
		if (views->items[i] != view)
			continue;
		memmove(&views->items[i], &views->items[i + 1],
		        (views->count - i - 1) * sizeof views->items[0]);
		views->count--;
		break;
	}
	free(view->socket);
	free(view);
}

void views_forget_pane(struct view *view)
{
	view->pane[0] = view->window[0] = '\0';
	view->pid = 0;
	view->missing = view->tagged = view->told = false;
}

/* --- sending: every answer leads back to pump --- */

static void on_answer(struct tmux_client *client, bool ok, const char *text, void *context)
{
	struct views *views = context;

	(void)client;
	views->under_way--;
	if (!text) /* the connection is gone: on_lost follows */
		return;
	if (!ok) {
		/* Most often a pane that went meanwhile. The list tells what is true. */
		_cleanup_free_ char *safe = text_safe(text, 120);
		log_debug("views", "tmux: %s", safe);
		views_list_by(views, views_now(views) + VIEWS_NOTICE_MS);
	}
	views_pump(views);
}

void views_send_line(struct views *views, const char *line, int commands)
{
	views->under_way++;
	tmux_client_send(views->client, line, commands, on_answer, views);
}

void views_kill_pane(struct views *views, const char *pane)
{
	char line[64];

	snprintf(line, sizeof line, "kill-pane -t %s", pane);
	views_send_line(views, line, 1);
}

/* --- the connection --- */

static void on_notify(struct tmux_client *client, const char *name, const char *rest,
                      void *context);
static void on_lost(struct tmux_client *client, const char *why, void *context);

static const struct tmux_client_handler handler = {on_notify, on_lost};

static struct view *first_wanted(struct views *views, uint64_t *due)
{
	struct view *best = NULL;

	for (size_t i = 0; i < views->count; i++) {
		struct view *view = views->items[i];
		if (!view->pane[0] && (!best || view->due < best->due))
			best = view;
	}
	*due = best ? best->due : VIEWS_NEVER;
	return best;
}

static void link_failed(struct views *views)
{
	views->link = LINK_NONE;
	/* It listens, and neither takes a client nor lets another server in. */
	if (++views->link_failures >= LINK_FAILURES_MAX && tmux_server_kill(views->socket)) {
		log_warn("views", "the tmux server takes no clients: killed");
		views->link_failures = 0;
	}
	views->link_backoff = views_next_backoff(views->link_backoff);
	views->link_due = views_now(views) + views->link_backoff;
}

static void link_start(struct views *views, enum link link)
{
	_cleanup_strv_ char **argv = NULL;
	_cleanup_strv_ char **env = tmux_server_env();
	struct error err = ERROR_INIT;
	uint64_t due;
	struct view *view = first_wanted(views, &due);

	if (link == LINK_CREATING && !view) {
		views->link = LINK_NONE;
		views->adopt = false;
		return;
	}
	if (link == LINK_CREATING) {
		_cleanup_strv_ char **command = views_command(views, view);
		argv = tmux_server_create_argv(views->tmux_program, views->socket,
		                               (const char *const *)command);
		view->opened = views_now(views);
	} else {
		argv = tmux_server_attach_argv(views->tmux_program, views->socket);
	}
	if (tmux_server_check_socket(views->socket, &err) < 0 ||
	    tmux_client_open(views->loop, (const char *const *)argv, (const char *const *)env,
	                     &handler, views, &views->client, &err) < 0) {
		log_warn("views", "%s", err.text);
		link_failed(views);
		return;
	}
	views->link = link;
}

/* Clients of a coordinator that was killed may hang on; they are ended. People's stay. */
static void on_clients(struct tmux_client *client, bool ok, const char *text, void *context)
{
	struct views *views = context;

	views->under_way--;
	if (!text)
		return;
	for (const char *line = text; ok && *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		int pid, control;
		if (sscanf(line, "%9d %1d", &pid, &control) == 2 && control == 1 && pid > 1 &&
		    pid != tmux_client_pid(client) && tmux_server_drop_client(views->socket, pid))
			log_info("views", "tmux client %d of an earlier coordinator ended", pid);
	}
	views_pump(views);
}

static void link_up(struct views *views)
{
	const char *const *settings = tmux_server_settings();

	log_info("views", "tmux server %s", views->link == LINK_CREATING ? "started" : "attached");
	views->link = LINK_UP;
	views->server.pid = tmux_server_pid(views->socket);
	if (proc_start_time(views->server.pid, &views->server.start_time) < 0)
		views->server.pid = 0;
	views->link_failures = 0;
	views->link_since = views_now(views);
	views->listed = false;
	views->under_way = 0;
	views->list_due = 0;
	views->counts[0] = '\0';
	memset(views->bound, 0, sizeof views->bound);
	for (; *settings; settings++)
		views_send_line(views, *settings, 1);
	views->under_way++;
	tmux_client_send(views->client, "list-clients -F \"#{client_pid} #{client_control_mode}\"",
	                 1, on_clients, views);
}

static void on_notify(struct tmux_client *client, const char *name, const char *rest, void *context)
{
	struct views *views = context;
	uint64_t at;

	(void)client;
	(void)rest;
	if (strcmp(name, "session-changed") == 0 && views->link != LINK_UP) {
		if (views->closing)
			end_server(views);
		else
			link_up(views);
	}
	if (views->link != LINK_UP || views->closing)
		return;
	if (!strstr(name, "layout-change") && !strstr(name, "window-close") &&
	    !strstr(name, "window-add") && strcmp(name, "session-changed") != 0)
		return;
	at = views_now(views) + VIEWS_NOTICE_MS;
	if (views->listed && at < views->last_list + LIST_EVERY_MS)
		at = views->last_list + LIST_EVERY_MS;
	views_list_by(views, at);
	views_pump(views);
}

static void forget_server(struct views *views)
{
	bool change = false;

	for (size_t i = 0; i < views->count; i++) {
		change |= views->items[i]->pane[0] != '\0';
		views_forget_pane(views->items[i]);
		views->items[i]->due = 0; /* the connection has a back-off of its own */
	}
	free(views->windows);
	views->windows = NULL;
	views->window_count = 0;
	views->under_way = 0;
	views->orphans_since = 0;
	if (change)
		views_changed(views);
}

static void on_lost(struct tmux_client *client, const char *why, void *context)
{
	struct views *views = context;
	enum link was = views->link;
	_cleanup_free_ char *safe = text_safe(why, 120);

	if (views->closing) {
		end_server(views);
		return;
	}
	tmux_client_close(client, NULL, NULL);
	views->client = NULL;
	views->link = LINK_NONE;
	if (was == LINK_ATTACHING) {
		views->adopt = false;
		link_start(views, LINK_CREATING); /* nobody there: the usual first start */
	} else {
		if (was == LINK_UP && views_now(views) - views->link_since >= VIEWS_STABLE_MS)
			views->link_backoff = 0;
		log_warn("views", "tmux server lost%s%s", *safe ? ": " : "", safe);
		link_failed(views);
		forget_server(views);
	}
	views_pump(views);
}

/* --- one step at a time --- */

static void on_timer(uv_timer_t *timer)
{
	views_pump(timer->data);
}

static void wake_at(struct views *views, uint64_t at)
{
	uint64_t t = views_now(views);

	if (at == VIEWS_NEVER)
		uv_timer_stop(&views->timer);
	else
		uv_timer_start(&views->timer, on_timer, at > t ? at - t : 0, 0);
}

/* The client of the coordinator before us may be leaving just now. A tmux 3.3a that tells us of
 * that while we are half connected dies of it, and all panes with it. One that hangs on is ended
 * when we are connected. */
static void wait_for_leaving(struct views *views)
{
	views->adopt_looks++;
	uv_update_time(views->loop);
	views->link_due = views_now(views) + ADOPT_LOOK_MS;
	wake_at(views, views->link_due);
}

void views_pump(struct views *views)
{
	uint64_t wake, t = views_now(views);
	struct view *view;

	if (views->closing)
		return;
	if (views->link == LINK_NONE && views->adopt && t >= views->link_due &&
	    views->adopt_looks < ADOPT_LOOKS && tmux_server_has_client(views->socket)) {
		wait_for_leaving(views);
		return;
	}
	if (views->link == LINK_NONE && (views->adopt || views->count > 0) && t >= views->link_due)
		link_start(views, LINK_ATTACHING);
	if (views->link == LINK_NONE) {
		wake_at(views, views->adopt || views->count > 0 ? views->link_due : VIEWS_NEVER);
		return;
	}
	/* Waiting for tmux: its answer or its end comes back here. */
	if (views->link != LINK_UP || views->under_way > 0) {
		wake_at(views, VIEWS_NEVER);
		return;
	}
	if (views->list_due <= t) {
		views_send_list(views);
		return;
	}
	view = first_wanted(views, &wake);
	if (views->listed && view && wake <= t) {
		views_open_pane(views, view);
		return;
	}
	if (views->listed && views->dirty && views->flush_due <= t) {
		views->dirty = false;
		views_show(views);
		views->flush_due = t + FLUSH_EVERY_MS;
		if (views->under_way > 0)
			return;
	}
	if (views->dirty && views->flush_due < wake)
		wake = views->flush_due;
	if (views->list_due < wake)
		wake = views->list_due;
	wake_at(views, wake);
}

static void touch(struct views *views)
{
	views->dirty = true;
	if (!views->closing && (views->link == LINK_NONE || views->under_way == 0))
		wake_at(views, views->link == LINK_NONE ? views->link_due : 0);
}

/* --- what the coordinator calls --- */

void views_set_keys(struct views *views, const json_t *keys)
{
	for (unsigned action = 0; action < key_action_count; action++)
		snprintf(views->wanted[action], sizeof views->wanted[action], "%s",
		         key_of(keys, action));
	touch(views);
}

int views_open(uv_loop_t *loop, const char *tmux_program, const char *socket_path,
               const char *worker_program, struct views **out, struct error *err)
{
	struct views *views;
	_cleanup_free_ char *program = proc_find_program(tmux_program, NULL);

	if (!program)
		return error_set(err, ERROR_EXTERNAL,
		                 "%s: not found (install tmux, or go without panes: --headless)",
		                 tmux_program);
	if (tmux_server_check_socket(socket_path, err) < 0)
		return -1;
	views = xcalloc(1, sizeof *views);
	views->loop = loop;
	views->tmux_program = program;
	program = NULL;
	views->socket = xstrdup(socket_path);
	views->worker_program = xstrdup(worker_program);
	views->list_due = VIEWS_NEVER;
	uv_timer_init(loop, &views->timer);
	views->timer.data = views;
	views_set_keys(views, NULL);
	views->adopt = tmux_server_pid(socket_path) > 0;
	if (views->adopt)
		wait_for_leaving(views);
	*out = views;
	return 0;
}

/* Keeps letters, digits and `_.-/`; all else could mean something to a format. */
static void set_word(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text && text[n] && n + 1 < size; n++) {
		unsigned char c = (unsigned char)text[n];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		             (c >= '0' && c <= '9') || strchr("_.-/", c);
		out[n] = plain ? (char)c : '-';
	}
	memset(out + n, 0, size - n);
}

void views_set(struct views *views, const char *teammate, const char *view_socket,
               const char *task_key, const char *state)
{
	struct view *view = views_find(views, teammate);

	if (!view) {
		if (!text_is_teammate(teammate))
			return;
		view = xcalloc(1, sizeof *view);
		snprintf(view->name, sizeof view->name, "%s", teammate);
		views->items = xrealloc(views->items, (views->count + 1) * sizeof views->items[0]);
		views->items[views->count++] = view;
	}
	view->gone = false;
	if (!view->socket || strcmp(view->socket, view_socket) != 0) {
		free(view->socket);
		view->socket = xstrdup(view_socket);
	}
	set_word(view->task, sizeof view->task, task_key);
	set_word(view->state, sizeof view->state, state);
	if (strcmp(view->state, "needs_input") != 0)
		view->waiting = 0;
	else if (!view->waiting)
		view->waiting = views_now(views) + 1;
	touch(views);
}

void views_remove(struct views *views, const char *teammate)
{
	struct view *view = views_find(views, teammate);

	if (!view)
		return;
	if (view == views->opening) {
		view->gone = true; /* its pane is closed when the answer names it */
		return;
	}
	if (view->pane[0] && views->link == LINK_UP)
		views_kill_pane(views, view->pane);
	views_free_view(views, view);
	touch(views);
}

const char *views_pane(const struct views *views, const char *teammate)
{
	const struct view *view = views_find(views, teammate);

	return view && view->pane[0] && !view->gone ? view->pane : NULL;
}

const char *views_socket(const struct views *views)
{
	return views->socket;
}

void views_on_change(struct views *views, void (*fn)(void *context), void *context)
{
	views->on_change = fn;
	views->change_context = context;
}

/* --- the end --- */

static void part_ended(void *context)
{
	struct views *views = context;
	void (*done)(void *) = views->done;
	void *done_context = views->done_context;

	if (--views->closing_parts > 0)
		return;
	while (views->count > 0)
		views_free_view(views, views->items[0]);
	free(views->items);
	free(views->windows);
	free(views->tmux_program);
	free(views->socket);
	free(views->worker_program);
	free(views);
	if (done)
		done(done_context);
}

static void on_timer_closed(uv_handle_t *handle)
{
	part_ended(handle->data);
}

static void end_server(struct views *views)
{
	_cleanup_free_ pid_t *pids = xcalloc(views->count + 1, sizeof *pids);
	size_t n = 0;

	if (views->ending)
		return;
	views->ending = true;
	for (size_t i = 0; i < views->count; i++)
		if (views->items[i]->pid > 0)
			pids[n++] = views->items[i]->pid;
	views->closing_parts = 2 + (views->client != NULL);
	if (views->client)
		tmux_client_close(views->client, part_ended, views);
	views->client = NULL;
	uv_close((uv_handle_t *)&views->timer, on_timer_closed);
	/* Its socket may have vanished: then nobody would find it by that. */
	if (views->server.pid && access(views->socket, F_OK) < 0)
		proc_kill_pid(&views->server);
	tmux_server_end(views->loop, views->socket, pids, n, part_ended, views);
}

static void on_close_wait(uv_timer_t *timer)
{
	end_server(timer->data);
}

void views_close(struct views *views, void (*done)(void *context), void *context)
{
	if (views->closing)
		return;
	views->closing = true;
	views->done = done;
	views->done_context = context;
	/* A server that is just starting has no socket yet and would outlive us: it is awaited. */
	if (views->link == LINK_CREATING)
		uv_timer_start(&views->timer, on_close_wait, CREATE_WAIT_MS, 0);
	else
		end_server(views);
}
