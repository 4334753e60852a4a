/* The life of a worker: connect, hello, ask for work, run it, and stay while the coordinator
 * is away: an agent is never stopped because its coordinator restarts. */
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "place.h"
#include "proc.h"
#include "sweep.h"
#include "terminal.h"
#include "text.h"

#define RETRY_FIRST_MS 10
#define RETRY_MAX_MS   1000
#define UPKEEP_MS      30000
#define START_IDLE_MS  50 /* nothing to do since the start */
#define TRIM_MS        1000
#define EXIT_WAIT_MS   5000
#define IDLE_AWAY_MAX  (60u * 60 * 1000) /* idle, and no coordinator for an hour: end */
#define IDLE_LINE      "\033[2m— %s is idle —\033[0m\r\n"

static void connect_now(struct worker *w);

static json_t *describe(void *context)
{
	struct worker *w = context;
	_cleanup_free_ char *line = w->attempt ? attempt_last_line(w->attempt) : NULL;
	enum attempt_phase phase = w->attempt ? attempt_phase(w->attempt) : PHASE_IDLE;
	char now[32];

	text_format_time(time_now_ms(), now);
	return json_pack("{s:s, s:o, s:s, s:o, s:n, s:s}", "name", w->options.name, "attempt",
	                 json_int_or_null(w->attempt ? attempt_id(w->attempt) : 0, 0), "phase",
	                 attempt_phase_word(phase), "last_output", json_text_or_null(line),
	                 "progress", "at", now);
}

static void retitle(struct worker *w)
{
	_cleanup_free_ char *title = NULL, *key = NULL;

	if (!w->views)
		return;
	key = w->attempt ? text_safe(attempt_key(w->attempt), 64) : NULL;
	title = key ? xasprintf("%s · %s · %s", w->options.name, key,
	                        attempt_phase_word(attempt_phase(w->attempt)))
	            : xasprintf("%s · idle", w->options.name);
	views_title(w->views, title);
}

void worker_changed(struct worker *w)
{
	status_changed(w->status);
	if (w->views && views_count(w->views))
		retitle(w);
}

/* Ends the process. Not by returning: nng's sockets must not be closed (shared/bus.h), and
 * the slot's lock goes with the process. */
static _Noreturn void leave(struct worker *w, const char *why)
{
	log_info("worker", "ends: %s", why);
	if (w->views)
		views_end(w->views);
	proc_end(0);
}

static void exit_waited(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (w->attempt)
		return;
	control_save_result(w);
	leave(w, "told to; the coordinator does not answer");
}

void worker_maybe_exit(struct worker *w)
{
	if (!w->exit_wanted || w->exiting || w->attempt || w->keep_head)
		return;
	if (w->result && !w->exit_unheard) {
		/* Sent with worker.next or not at all: only a reply tells that it arrived. */
		if (w->link == LINK_READY || w->link == LINK_ASKING) {
			uv_timer_start(&w->exit_timer, exit_waited, EXIT_WAIT_MS, 0);
			control_finish(w);
		}
		if (w->link == LINK_FINISHING)
			return;
		control_save_result(w);
	}
	w->exiting = true;
	leave(w, "told to");
}

void worker_ask(struct worker *w)
{
	if (w->exit_wanted) {
		worker_maybe_exit(w);
		return;
	}
	if (w->link != LINK_READY || w->attempt || w->keep_head)
		return;
	control_next(w);
}

static void idle_for_a_while(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (w->attempt)
		return;
	malloc_trim(0);
	slots_load(w->slots);
	if (views_count(w->views)) {
		_cleanup_free_ char *line = xasprintf(IDLE_LINE, w->options.name);

		views_data(w->views, line, strlen(line));
	}
}

static void idle_since_start(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (!w->attempt)
		slots_load(w->slots);
}

void worker_attempt_over(struct worker *w, int64_t attempt, json_t *finish)
{
	(void)attempt;
	if (finish) {
		json_decref(w->result);
		w->result = finish;
		w->result_saved = false;
	}
	worker_changed(w);
	uv_timer_start(&w->trim, idle_for_a_while, TRIM_MS, 0);
	if (w->link < LINK_READY)
		control_save_result(w);
	worker_ask(w);
}

void worker_unwanted(struct worker *w, const char *why)
{
	log_warn("worker", "not wanted: %s", why);
	w->exit_wanted = true;
	if (w->attempt) {
		attempt_stale(w->attempt);
		return;
	}
	control_save_result(w);
	leave(w, "not wanted");
}

static void retry(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (w->link == LINK_DOWN)
		connect_now(w);
	else
		worker_ask(w);
}

static void connect_later(struct worker *w)
{
	uv_timer_start(&w->retry, retry, w->retry_ms, 0);
	w->retry_ms = w->retry_ms ? w->retry_ms * 2 : RETRY_FIRST_MS;
	if (w->retry_ms > RETRY_MAX_MS)
		w->retry_ms = RETRY_MAX_MS;
}

static void disconnected(struct rpc_peer *peer, void *context)
{
	struct worker *w = context;

	if (peer != w->peer)
		return;
	if (w->link >= LINK_READY)
		log_info("worker", "the coordinator is away");
	w->peer = NULL;
	w->link = LINK_DOWN;
	w->away_since = uv_now(&w->loop);
	control_save_result(w);
	worker_maybe_exit(w);
	connect_later(w);
}

/* The repository and our state are gone: nobody will ever take a result. */
static bool nothing_left(const struct worker *w)
{
	return access(w->options.state, F_OK) != 0 && errno == ENOENT &&
	       access(w->options.root, F_OK) != 0 && errno == ENOENT;
}

static void connect_now(struct worker *w)
{
	static const struct rpc_peer_handler handler = {control_call, disconnected, NULL};
	struct error err = ERROR_INIT;

	if (rpc_peer_connect(&w->loop, w->options.socket, JSONL_PERSON_MAX, &handler, w, &w->peer,
	                     &err) == 0) {
		rpc_peer_defer(w->peer);
		control_hello(w);
		return;
	}
	log_debug("worker", "%s", err.text);
	w->peer = NULL;
	if (nothing_left(w)) {
		w->exit_wanted = true;
		if (!w->attempt)
			leave(w, "the repository is gone");
		attempt_stale(w->attempt);
	}
	if (!w->attempt && !w->result && uv_now(&w->loop) - w->away_since > IDLE_AWAY_MAX)
		leave(w, "idle, and no coordinator for an hour");
	connect_later(w);
}

static void upkeep(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (!slots_busy(w->slots))
		sweep_reap(w->attempt ? attempt_child(w->attempt) : 0);
	views_heal(w->views);
}

static void terminated(uv_signal_t *handle, int number)
{
	struct worker *w = handle->data;

	log_info("worker", "signal %d", number);
	w->exit_wanted = true;
	if (w->attempt)
		attempt_stop(w->attempt, OUTCOME_RELEASED, attempt_grace(w->attempt));
	else
		worker_ask(w);
}

static void view_keys(void *context, const char *keys, size_t len)
{
	struct worker *w = context;

	if (w->attempt)
		attempt_keys(w->attempt, keys, len);
}

static void view_size(void *context, uint16_t columns, uint16_t rows, bool joined)
{
	struct worker *w = context;

	w->columns = columns;
	w->rows = rows;
	if (w->attempt)
		attempt_size(w->attempt, columns, rows, joined);
}

static void view_recent(void *context, struct buf *out)
{
	struct worker *w = context;

	retitle(w);
	if (w->attempt)
		attempt_add_recent(w->attempt, out);
	else
		buf_printf(out, IDLE_LINE, w->options.name);
}

static int worker_files(const struct worker *w, struct error *err)
{
	_cleanup_free_ char *workers = xasprintf("%s/workers", w->options.state);
	_cleanup_free_ char *attempts = xasprintf("%s/attempts", w->options.state);
	_cleanup_free_ char *none = xasprintf("%s/no-inputs.json", workers);
	_cleanup_free_ char *log = xasprintf("%s/%s.log", workers, w->options.name);

	if (place_make_private_dir(workers, err) != 0 || place_make_private_dir(attempts, err) != 0)
		return -1;
	log_open(log);
	if (access(none, R_OK) != 0)
		return place_write_file(none, "[]\n", 3, err);
	return 0;
}

static void before_waiting(uv_prepare_t *prepare)
{
	struct worker *w = prepare->data;

	rpc_peer_flush_deferred();
	if (!w->attempt)
		terminal_prepare(&w->loop);
}

static void start_timers(struct worker *w)
{
	uv_timer_t *timers[] = {&w->retry,        &w->state_timer, &w->upkeep,     &w->trim,
	                        &w->exit_timer,   &w->disk_timer,  &w->hold_timer, &w->agent_timer,
	                        &w->screen_timer, &w->limits_timer};

	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		uv_timer_init(&w->loop, timers[i]);
		timers[i]->data = w;
	}
	w->on_retry = retry;
	uv_timer_start(&w->upkeep, upkeep, UPKEEP_MS, UPKEEP_MS);
	uv_timer_start(&w->trim, idle_since_start, START_IDLE_MS, 0);
	uv_prepare_init(&w->loop, &w->before_waiting);
	w->before_waiting.data = w;
	uv_prepare_start(&w->before_waiting, before_waiting);
	uv_unref((uv_handle_t *)&w->before_waiting);
	uv_signal_init(&w->loop, &w->terminate);
	uv_signal_init(&w->loop, &w->interrupt);
	w->terminate.data = w->interrupt.data = w;
	uv_signal_start(&w->terminate, terminated, SIGTERM);
	uv_signal_start(&w->interrupt, terminated, SIGINT);
}

static int worker_start(struct worker *w, struct error *err)
{
	static const struct views_handler handler = {view_keys, view_size, view_recent};
	const struct worker_options *o = &w->options;
	_cleanup_free_ char *socket = xasprintf("%s/w-%s.sock", o->runtime, o->name);
	_cleanup_free_ char *pinned = xasprintf("%s/pinned.json", o->state);

	if (worker_files(w, err) != 0)
		return -1;
	/* Whatever an agent leaves behind becomes our child (sweep.c depends on it). */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return error_errno(err, "cannot become a subreaper");
	if (uv_loop_init(&w->loop) != 0)
		return error_set(err, ERROR_EXTERNAL, "cannot make an event loop");
	start_timers(w);
	proc_own_dir(); /* found once, before other threads ask for it */
	proc_boot_id(w->boot);
	if (proc_start_time(getpid(), &w->start_time) != 0)
		w->start_time = 0;
	w->environment = environment_new(o->runtime);
	w->slots = slots_new(&w->loop, o->root, o->slot, o->name, pinned);
	if (views_open(&w->loop, socket, &handler, w, &w->views, err) != 0)
		return -1;
	w->status = status_new(&w->loop, o->name, o->runtime, describe, w);
	return 0;
}

int worker_run(const struct worker_options *options, char *token)
{
	struct worker *w = xcalloc(1, sizeof *w);
	struct error err = ERROR_INIT;

	w->options = *options;
	w->token = token;
	w->prompt.fd = w->inputs.fd = -1;
	w->columns = TERMINAL_COLUMNS;
	w->rows = TERMINAL_ROWS;
	if (worker_start(w, &err) != 0) {
		log_error("worker", "%s", err.text);
		fprintf(stderr, "pleach-worker: %s\n", err.text);
		return error_exit_status(err.code);
	}
	w->away_since = uv_now(&w->loop);
	connect_now(w);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	leave(w, "nothing to wait for");
}
