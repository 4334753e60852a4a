/* Following a run. One connection, three questions under way at once: the held task.wait that
 * ends it, the held run.changes that tells what changed (as JSON: event.list), and short ones for
 * what that may have moved, and for all of it at the start.
 * Nothing is asked on a clock but the teammates' last lines while a screen shows them. */
#include "follow_private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "outcome.h"
#include "print.h"
#include "report.h"
#include "rpc.h"
#include "screen_tty.h"
#include "text.h"

#define REFRESH_MS   200  /* what changed is asked for at most five times a second, */
#define NEAR_MS      30   /* as lines more often: a little at a time keeps nobody waiting */
#define GATHER_MS    10   /* events are gathered for so long where each of them is printed */
#define LINES_MS     1000 /* a teammate's last line, while a screen shows it */
#define SECOND_MS    1000
#define RELEASE_MS   30000
#define EVENTS_LIMIT 50 /* a question, and tasks: what is at work waits for no longer answer */
#define TASKS_LIMIT  16
#define LEAN_LIMIT   128 /* tasks that mostly wait */

/* Makes or changes (fd >= 0) the descriptor that reads these signals. */
static int listen_to(int fd, const int *signals, size_t count)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < count; i++) {
		struct sigaction now;

		/* What nohup made ignored stays so. Not INT: a script's shell ignores that for
		 * whatever it starts with &, and such a run is to be stopped by it, too. */
		if (signals[i] != SIGINT && sigaction(signals[i], NULL, &now) == 0 &&
		    now.sa_handler == SIG_IGN)
			continue;
		sigaddset(&set, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die("no signal descriptor");
	return fd;
}

int follow_catch_signals(void)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT, SIGTSTP};

	return listen_to(-1, caught, ARRAY_LEN(caught));
}

int follow_read_options(const struct cli *cli, struct follow *out, struct error *err)
{
	const char *on_signal = options_text(&cli->options, "on-signal");

	out->signal_detaches =
	    isatty(STDOUT_FILENO) || (on_signal && strcmp(on_signal, "detach") == 0);
	return options_duration(&cli->options, "detach-after", -1, &out->detach_after, err);
}

/* ---- asking ---- */

static int64_t ask(struct run *run, const char *method, json_t *params, struct error *err)
{
	return rpc_client_send(run->cli->client, method, params, err);
}

static json_t *ids_as_text(const json_t *ids)
{
	json_t *list = json_array(), *id;
	char text[32];
	size_t i;

	json_array_foreach (ids, i, id) {
		snprintf(text, sizeof text, "%lld", (long long)json_integer_value(id));
		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* On a screen or as lines: tasks are read as they change. Else the end alone is of interest: what
 * JSON says of it comes whole with the answer, and where nothing is shown it is read then. */
static bool shows_tasks(const struct run *run)
{
	return run->show == SHOW_SCREEN || run->show == SHOW_LINES;
}

static int ask_wait(struct run *run, struct error *err)
{
	run->settled = false;
	run->wait_id = ask(run, "task.wait",
	                   json_pack("{s:o, s:b, s:b}", "tasks", ids_as_text(run->what->ids),
	                             "brief", 1, "unlisted", run->show != SHOW_JSON),
	                   err);
	return run->wait_id > 0 ? 0 : -1;
}

static int ask_changes(struct run *run, struct error *err)
{
	json_t *params = run->show == SHOW_JSON
	                     ? json_pack("{s:i, s:b}", "limit", EVENTS_LIMIT, "wait", 1)
	                     : json_pack("{s:i, s:s, s:b}", "limit", TASKS_LIMIT, "plan",
	                                 run->what->of, "lean", run->show == SHOW_LINES);

	json_object_set_new(params, "since", json_integer(run->since));
	run->changes_id =
	    ask(run, run->show == SHOW_JSON ? "event.list" : "run.changes", params, err);
	return run->changes_id > 0 ? 0 : -1;
}

/* As lines nothing is said of what waits for its turn; for the end alone a line is enough. */
static int ask_more_tasks(struct run *run, struct error *err)
{
	bool lean = run->show == SHOW_NOTHING || (run->show == SHOW_LINES && !run->settled);
	size_t to = run->at + (lean ? LEAN_LIMIT : TASKS_LIMIT);
	json_t *ids = json_array();

	for (; run->at < to && run->at < json_array_size(run->asked); run->at++)
		json_array_append(ids, json_array_get(run->asked, run->at));
	run->tasks_id = ask(
	    run, "task.list",
	    json_pack("{s:o, s:b, s:b, s:b}", "ids", ids, "brief", 1, "sparse", 1, "lean", lean),
	    err);
	return run->tasks_id > 0 ? 0 : -1;
}

static int ask_tasks(struct run *run, struct error *err)
{
	json_decref(run->asked);
	json_decref(run->got);
	run->asked = follow_ids_to_read(run);
	run->got = json_array();
	run->at = 0;
	json_object_clear(run->changed);
	json_object_clear(run->fresh);
	run->all_changed = false;
	run->read_ms = time_mono_ms();
	return ask_more_tasks(run, err);
}

static int ask_team(struct run *run, struct error *err)
{
	run->team_id = ask(run, "team.list", NULL, err);
	run->team_changed = false;
	run->team_ms = time_mono_ms();
	return run->team_id > 0 ? 0 : -1;
}

/* ---- what came ---- */

static bool is_ours(const struct run *run, const json_t *event)
{
	json_int_t task = json_int(event, "task", 0);
	const char *plan = json_text(json_sub(event, "data"), "plan");
	char id[32];

	if (!task)
		return !plan || strcmp(plan, run->what->plan) == 0;
	snprintf(id, sizeof id, "%lld", (long long)task);
	return json_object_get(run->ours, id) != NULL;
}

/* Nothing starts for want of disk, nothing lands; or it does again. */
static void take_notice(struct run *run, const json_t *event, const char *over)
{
	const char *story = json_text(json_sub(event, "data"), "message");

	free(run->notice);
	run->notice = xstrdup(story);
	if (run->show == SHOW_LINES)
		report_note(run->cli, "%s", story ? story : over);
}

/* It is so from then on: on a screen it is no reason to hide what can be typed. */
static void tell_near(struct run *run, const json_t *event)
{
	const char *story = json_text(json_sub(event, "data"), "message");

	if (run->show == SHOW_LINES && story)
		report_note(run->cli, "%s", story);
}

/* Why tasks that could start do not, or no longer: no event names them. */
static bool moves_many(const json_t *event)
{
	static const char *const kinds[] = {"agent.limited", "agent.resumed", "budget.reached",
	                                    "budget.free"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(json_text(event, "kind"), kinds[i]) == 0)
			return true;
	return false;
}

void follow_take_events(struct run *run, const json_t *result)
{
	json_t *events = json_sub(result, "events"), *event;
	size_t i;

	json_array_foreach (events, i, event) {
		if (!is_ours(run, event))
			continue;
		if (run->show == SHOW_JSON) {
			print_json(event);
			continue;
		}
		if (strcmp(json_text(event, "kind"), "disk.changed") == 0)
			take_notice(run, event, "there is room on the disk again");
		else if (strcmp(json_text(event, "kind"), "landing.changed") == 0 &&
		         run->what->lands)
			take_notice(run, event, "landing goes on");
		else if (strcmp(json_text(event, "kind"), "budget.near") == 0)
			tell_near(run, event);
		else if (run->show == SHOW_SCREEN && moves_many(event))
			run->all_changed = true;
		run->team_changed = true;
	}
	if (json_int(result, "seq", 0) > run->since)
		run->since = json_int(result, "seq", 0);
	if (run->show == SHOW_JSON)
		fflush(stdout);
}

/* ---- the loop ---- */

static int take_reply(struct run *run, const json_t *reply, struct error *err)
{
	json_int_t id = json_int(reply, "id", 0);
	const json_t *result = json_object_get(reply, "result");

	if (json_object_get(reply, "error") &&
	    (id == run->wait_id || id == run->changes_id || id == run->tasks_id))
		return rpc_error_read(reply, err);
	if (id == run->wait_id) {
		run->settled = true;
		run->last = json_int(result, "last", 0);
		/* What frees the one, and why the other waits, is not said of each task. */
		if (json_flag(result, "stuck") || json_array_size(json_sub(result, "lands")) ||
		    !run->last)
			run->all_changed = true;
		if (run->show == SHOW_JSON)
			follow_take_tasks(run, json_sub(result, "tasks"));
	} else if (id == run->changes_id) {
		run->changes_id = 0;
		follow_take_events(run, result);
		run->changes_ms = run->since < json_int(result, "last", 0) ? 0 : time_mono_ms();
		if (run->show != SHOW_JSON) {
			follow_take_changes(run, json_sub(result, "tasks"));
			if (run->changes_ms || run->show == SHOW_LINES)
				follow_show(run);
		}
	} else if (id == run->tasks_id) {
		run->tasks_id = 0;
		json_array_extend(run->got, json_sub(result, "tasks"));
		if (run->at < json_array_size(run->asked))
			return ask_more_tasks(run, err);
		follow_take_read(run);
		follow_show(run);
	} else if (id == run->team_id) {
		run->team_id = 0;
		json_decref(run->teammates);
		run->teammates = json_incref(json_sub(result, "teammates"));
		if (run->show == SHOW_SCREEN)
			follow_show(run);
	}
	return 0;
}

static bool wants_tasks(const struct run *run)
{
	return (shows_tasks(run) || (run->show == SHOW_NOTHING && run->settled)) &&
	       !run->tasks_id && (run->all_changed || json_object_size(run->changed));
}

/* Not before all of it was read once: what changes since is taken into that. */
static bool wants_changes(const struct run *run)
{
	return !run->changes_id && (run->show == SHOW_JSON || (shows_tasks(run) && run->tasks));
}

/* All are settled, and how they came to be so is known. */
static bool knows_the_end(const struct run *run)
{
	return run->settled && (run->show == SHOW_NOTHING || run->since >= run->last) &&
	       !run->tasks_id && !wants_tasks(run);
}

/* A question for changes waits for so long after the last one: with many changes, one for many. */
static int64_t gap_ms(const struct run *run)
{
	return run->show == SHOW_JSON ? GATHER_MS : run->show == SHOW_LINES ? NEAR_MS : REFRESH_MS;
}

/* Asks what is due; returns how long poll may wait. -1: for ever. */
static int due(struct run *run, struct error *err)
{
	int64_t now = time_mono_ms(), wait = -1;

	if (wants_changes(run)) {
		wait = run->settled ? 0 : run->changes_ms + gap_ms(run) - now;
		if (wait <= 0 && ask_changes(run, err) < 0)
			return -2;
		if (wait <= 0)
			wait = -1;
	}
	if (wants_tasks(run)) {
		int64_t left = run->settled ? 0 : run->read_ms + REFRESH_MS - now;

		if (left <= 0) {
			if (ask_tasks(run, err) < 0)
				return -2;
		} else if (wait < 0 || left < wait) {
			wait = left;
		}
	}
	if (run->show == SHOW_SCREEN) {
		int64_t gap = run->team_changed ? REFRESH_MS : LINES_MS;

		if (!run->team_id && now - run->team_ms >= gap && ask_team(run, err) < 0)
			return -2;
		if (wait < 0 || wait > SECOND_MS)
			wait = SECOND_MS;
		if (run->team_changed && wait > REFRESH_MS)
			wait = REFRESH_MS;
	}
	if (run->what->detach_after >= 0 && !run->settled) {
		int64_t left = run->began_ms + (int64_t)(run->what->detach_after * 1000) - now;

		if (wait < 0 || left < wait)
			wait = left < 0 ? 0 : left;
	}
	return wait > 1000000 ? 1000000 : (int)wait;
}

static int start_questions(struct run *run, struct error *err)
{
	run->tasks_id = run->team_id = run->changes_id = run->changes_ms = 0;
	run->all_changed = run->team_changed = true;
	run->read_ms = run->team_ms = 0;
	return ask_wait(run, err);
}

static int read_replies(struct run *run, struct error *err)
{
	for (;;) {
		_cleanup_json_ json_t *reply = NULL;
		int rc = rpc_client_next(run->cli->client, &reply, err);

		if (rc < 0)
			return rpc_client_reconnect(run->cli->client, err) < 0 ||
			               start_questions(run, err) < 0
			           ? -1
			           : 0;
		if (rc == 0)
			return 0;
		if (take_reply(run, reply, err) < 0)
			return -1;
	}
}

/* Gives back what this run took: its attempts, its teammates, its coordinator. */
static void release(struct run *run)
{
	static const int enough[] = {SIGINT, SIGTERM, SIGHUP};
	struct error err = ERROR_INIT;
	_cleanup_json_ json_t *result = NULL, *down = NULL;
	struct rpc_call call = {
	    .method = "run.release",
	    .params =
	        json_pack("{s:O, s:o}", "ids", run->what->ids, "team",
	                  run->what->started ? json_incref(run->what->started) : json_array()),
	    .again = true,
	    .stop_fd = run->signals,
	    .timeout_ms = RELEASE_MS};

	/* Another of these breaks it off; a window's or job control's signals do not. */
	listen_to(run->signals, enough, ARRAY_LEN(enough));
	if (rpc_client_call(run->cli->client, &call, &result, &err) < 0)
		report_error(run->cli, &err);
	else
		follow_tell_released(run);
	if (!run->cli->started)
		return;
	call.method = "coordinator.down";
	call.params = json_pack("{s:b}", "now", 1);
	if (rpc_client_call(run->cli->client, &call, &down, &err) < 0)
		report_error(run->cli, &err);
	else
		cli_await_down(run->cli, &err);
}

/* 0 to go on, or the exit status. */
static int take_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		int signal = (int)info.ssi_signo;

		if (signal == SIGTSTP) {
			screen_tty_stop();
			strv_free(run->frame); /* it scrolled away; SIGCONT draws anew */
			run->frame = NULL;
			continue;
		}
		if (signal == SIGWINCH || signal == SIGCONT) {
			run->resized = true;
			if (run->show == SHOW_SCREEN) {
				screen_tty_hold();
				follow_show(run);
			}
			continue;
		}
		if (run->what->signal_detaches)
			follow_tell_detached(run);
		else
			release(run);
		return 128 + signal;
	}
	return 0;
}

static bool time_is_up(const struct run *run)
{
	return run->what->detach_after >= 0 &&
	       time_mono_ms() - run->began_ms >= (int64_t)(run->what->detach_after * 1000);
}

static int loop(struct run *run, struct error *err)
{
	if (start_questions(run, err) < 0)
		return -1;
	while (!knows_the_end(run)) {
		int wait = due(run, err), status;
		struct pollfd fds[2] = {{.fd = rpc_client_fd(run->cli->client), .events = POLLIN},
		                        {.fd = run->signals, .events = POLLIN}};

		if (wait < -1)
			return -1;
		if (poll(fds, 2, wait) == 0 && run->show == SHOW_SCREEN)
			follow_show(run); /* the clock */
		if ((status = take_signals(run)))
			return status;
		if (read_replies(run, err) < 0)
			return -1;
		if (!run->settled && time_is_up(run)) {
			follow_tell_detached(run);
			return 0;
		}
		/* One of them was tried again before its end was read. */
		if (knows_the_end(run) && follow_goes_on(run)) {
			run->all_changed = true;
			if (ask_wait(run, err) < 0)
				return -1;
		}
		if (knows_the_end(run) && shows_tasks(run))
			follow_want_name(run);
	}
	run->over = true;
	return -2;
}

static json_t *set_of(const json_t *ids)
{
	json_t *set = json_object(), *id;
	char text[32];
	size_t i;

	json_array_foreach (ids, i, id) {
		snprintf(text, sizeof text, "%lld", (long long)json_integer_value(id));
		json_object_set_new(set, text, json_true());
	}
	return set;
}

/* What was to land by itself counts, too. */
static int landing_status(const struct run *run, int status)
{
	const char *why = outcome_waits_to_land(run->tasks);

	if (!why)
		return !status && outcome_first_unlanded(run->tasks) ? 1 : status;
	report_note(run->cli, "not landed yet: %s (once that is over it lands by itself)", why);
	return 3;
}

int follow_run(struct cli *cli, const struct follow *follow, int signals, json_t **tasks,
               struct error *err)
{
	/* The process ends with it: freeing thousands of tasks takes longer than that. */
	static struct run run;
	_cleanup_json_ json_t *index = NULL;
	int status;

	run = (struct run){.cli = cli, .what = follow, .signals = signals, .since = follow->since};
	run.show = cli->json          ? SHOW_JSON
	           : cli->quiet       ? SHOW_NOTHING
	           : cli->on_terminal ? SHOW_SCREEN
	                              : SHOW_LINES;
	if (run.show == SHOW_SCREEN)
		screen_tty_hold();
	run.began_ms = time_mono_ms();
	run.told = json_object();
	run.changed = json_object();
	run.fresh = json_object();
	run.ours = set_of(follow->ids);
	status = loop(&run, err);
	if (status == -2) {
		follow_show_end(&run);
		/* What a stuck task waits for may be outside of this run. */
		index = names_index(cli, run.tasks, false);
		status = outcome_exit_status(run.tasks, index);
		if (follow->lands)
			status = landing_status(&run, status);
		*tasks = json_incref(run.tasks);
	}
	screen_tty_release();
	return status;
}
