/* What holds an attempt: its time limits (soft, and without progress), its service's limits, its
 * budget; and what it has used so far. Ends an agent, never an attempt: what becomes of the work is
 * decided where every agent's end is. Times are awake time: the loop's clock stands still while the
 * machine sleeps. */
#include <stdlib.h>
#include <string.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "limits.h"
#include "log.h"
#include "mem.h"
#include "text.h"
#include "touched.h"

#define TELL_MS      1000 /* between two messages of what was used */
#define MESSAGE_MAX  300
#define JUMP_MS      5000 /* the wall clock went another way than ours: it says nothing of files */
#define RECENT_BYTES 4096

static uint64_t ms_of(const struct attempt *a, const char *key)
{
	double seconds = json_num(a->spec, key, 0);

	return seconds > 0 ? (uint64_t)(seconds * 1000) : 0;
}

static bool agent_runs(const struct attempt *a)
{
	return a->command && a->terminal && !a->agent_ran;
}

/* ---- what was used ---- */

static json_t *sum(const json_t *one, const json_t *other, const char *key)
{
	const json_t *a = json_object_get(one, key), *b = json_object_get(other, key);

	if (!json_is_number(a) || !json_is_number(b))
		return json_incref((json_t *)(json_is_number(a)   ? a
		                              : json_is_number(b) ? b
		                                                  : json_null()));
	if (json_is_integer(a) && json_is_integer(b))
		return json_integer(json_integer_value(a) + json_integer_value(b));
	return json_real(json_number_value(a) + json_number_value(b));
}

static json_t *tokens_since(const json_t *now, const json_t *before, const char *key)
{
	int64_t n = json_int(now, key, -1), had = json_int(before, key, 0);

	return n < 0 ? json_null() : json_integer(n > had ? n - had : 0);
}

/* Of the agent that runs, or ran last, alone. */
static json_t *usage_of_run(const struct attempt *a)
{
	_cleanup_json_ json_t *now = report_usage(a->report);
	const json_t *before = a->limits.before;

	if (!before || !json_is_object(now) || !report_counts_session(a->report))
		return json_incref(now);
	return json_pack("{s:o, s:o, s:O}", "input_tokens",
	                 tokens_since(now, before, "input_tokens"), "output_tokens",
	                 tokens_since(now, before, "output_tokens"), "cost_usd",
	                 json_object_get(now, "cost_usd"));
}

json_t *attempt_usage(const struct attempt *a)
{
	_cleanup_json_ json_t *now = usage_of_run(a);

	if (!a->limits.used)
		return json_incref(now);
	if (!json_is_object(now))
		return json_incref(a->limits.used);
	return json_pack("{s:o, s:o, s:o}", "input_tokens",
	                 sum(a->limits.used, now, "input_tokens"), "output_tokens",
	                 sum(a->limits.used, now, "output_tokens"), "cost_usd",
	                 sum(a->limits.used, now, "cost_usd"));
}

/* What the session of the next run has used: as its last run here said, else as was known. */
static void keep_before(struct attempt *a)
{
	json_t *said = report_usage(a->report), *known = json_sub(a->resume.from, "used");
	json_t *before = NULL;

	if (a->resume.going_on && report_counts_session(a->report) && json_is_object(said))
		before = json_incref(said);
	else if (a->resume.going_on)
		before = json_incref(a->limits.before ? a->limits.before : known);
	json_decref(said);
	json_decref(a->limits.before);
	a->limits.before = before;
}

void attempt_usage_keep(struct attempt *a)
{
	json_t *all = attempt_usage(a);

	keep_before(a);
	json_decref(a->limits.used);
	a->limits.used = json_is_object(all) ? all : NULL;
	if (!a->limits.used)
		json_decref(all);
	report_free(a->report);
	a->report = NULL;
	a->limits.seen = 0;
}

/* ---- telling ---- */

static json_t *time_or_null(int64_t ms)
{
	char text[32];

	if (!ms)
		return json_null();
	text_format_time(ms, text);
	return json_string(text);
}

void attempt_limits_say(struct attempt *a, json_t *state)
{
	json_t *usage = attempt_usage(a);

	if (json_is_object(usage))
		json_object_set(state, "usage", usage);
	json_decref(usage);
	if (a->limits.limited)
		json_object_set_new(state, "message", json_text_or_null(a->limits.limited));
	a->limits.untold = false;
	a->limits.told = uv_now(&a->w->loop);
}

json_t *attempt_limited(const struct attempt *a)
{
	if (!a->limits.limited || (a->error != TASK_ERROR_LIMIT && !a->turns.limited))
		return json_null();
	return json_pack("{s:o, s:o}", "until", time_or_null(a->limits.until), "message",
	                 json_text_or_null(a->limits.limited));
}

/* ---- its service ---- */

static bool is_limit(const struct attempt *a, const char *text, int status, int64_t told,
                     int64_t *until)
{
	struct limits_found found = {0};
	int64_t now = time_now_ms();

	if (!limits_match(json_sub(a->profile, "limits"), text, now, &found) &&
	    !limits_of_service(text, status, now, &found))
		return false;
	*until = told > now && told < now + LIMITS_WAIT_MAX_MS ? told : found.until;
	return true;
}

static void set_limited(struct attempt *a, const char *text, int64_t until)
{
	free(a->limits.limited);
	a->limits.limited = text ? text_safe(text, MESSAGE_MAX) : NULL;
	a->limits.until = until;
}

static void look_at_report(struct attempt *a)
{
	struct attempt_limits *l = &a->limits;
	struct state_report report = {.source = STATE_STREAM, .state = AGENT_WORKING};
	bool was = l->limited != NULL;
	int64_t told = 0, until = 0;
	const char *problem;
	int status = 0;

	if (report_version(a->report) == l->seen)
		return;
	l->seen = report_version(a->report);
	l->untold = true;
	problem = report_problem(a->report, &status, &told);
	if (problem && is_limit(a, problem, status, told, &until))
		set_limited(a, problem, until);
	else
		set_limited(a, NULL, 0);
	if (l->limited) {
		report.state = AGENT_LIMITED;
		report.text = l->limited;
		report.until_ms = l->until;
	}
	if (l->limited || was)
		attempt_report(a, &report);
}

/* A plain agent's own words, where its profile names what they look like, and only after a failure:
 * nobody is fooled by one that works on the code of a rate limiter. */
static bool printed_limit(struct attempt *a)
{
	_cleanup_free_ char *text = output_text(a->output);
	size_t len = text ? strlen(text) : 0;
	struct limits_found found = {0};
	const char *end;

	if (!len || a->report)
		return false;
	end = text + (len > RECENT_BYTES ? len - RECENT_BYTES : 0);
	if (!limits_match(json_sub(a->profile, "limits"), end, time_now_ms(), &found))
		return false;
	end = strrchr(text, '\n');
	set_limited(a, end && end[1] ? end + 1 : text, found.until);
	return true;
}

bool attempt_limits_failed(struct attempt *a, bool ok)
{
	struct attempt_limits *l = &a->limits;
	int64_t told = 0, until = 0;
	const char *problem;
	int status = 0;

	if (l->cut != TASK_ERROR_NONE) {
		attempt_fail(a, l->cut, "%s", l->cut_text);
		return true;
	}
	if (a->done)
		return false;
	problem = a->acp_problem ? a->acp_problem : report_problem(a->report, &status, &told);
	if (problem && is_limit(a, problem, status, told, &until))
		set_limited(a, problem, until);
	else if (problem || ok || !printed_limit(a))
		set_limited(a, NULL, 0);
	if (l->limited) {
		attempt_fail(a, TASK_ERROR_LIMIT, "%s", l->limited);
		return true;
	}
	if (!problem || !ok || a->acp_problem)
		return false;
	attempt_fail(a, TASK_ERROR_AGENT_EXIT, "exit 0, but it ended in an error: %s", problem);
	return true;
}

/* ---- the clock ---- */

static void arm(struct attempt *a);

static void cut(struct attempt *a, enum task_error error, const char *text)
{
	struct attempt_limits *l = &a->limits;

	if (l->cut != TASK_ERROR_NONE || a->agent_ran || a->stopping || a->stale)
		return;
	l->cut = error;
	l->cut_text = text_safe(text, 0);
	attempt_show_line(a, l->cut_text);
	if (agent_runs(a))
		command_stop(a->command, a->stop_grace);
}

void attempt_uncut(struct attempt *a)
{
	struct attempt_limits *l = &a->limits;

	if (l->cut != TASK_ERROR_TIMEOUT && l->cut != TASK_ERROR_LIMIT)
		return;
	l->cut = TASK_ERROR_NONE;
	free(l->cut_text);
	l->cut_text = NULL;
}

void attempt_cut(struct attempt *a, enum task_error error, const char *text)
{
	cut(a, error, text);
}

void attempt_wrap_up(struct attempt *a, const char *text)
{
	if (a->limits.wrapped || !agent_runs(a) || a->stopping || a->stale)
		return;
	a->limits.wrapped = true;
	log_info("attempt", "attempt=%lld told to wrap up%s", (long long)a->id,
	         a->typing || a->acp ? "" : " (nothing can be told to a headless agent)");
	if (a->acp)
		acp_interrupt(a->acp, text, strlen(text));
	else if (a->typing)
		attempt_message(a, 0, text, strlen(text));
}

void attempt_progress(struct attempt *a)
{
	a->limits.progress = uv_now(&a->w->loop);
	a->limits.progress_wall = time_now_ms();
}

bool attempt_asked(struct attempt *a)
{
	if (a->limits.asked || !agent_runs(a))
		return false;
	a->limits.asked = true;
	a->limits.asked_at = uv_now(&a->w->loop);
	command_hold(a->command);
	return true;
}

void attempt_answered(struct attempt *a)
{
	if (!a->limits.asked)
		return;
	a->limits.asked = false;
	a->limits.started += uv_now(&a->w->loop) - a->limits.asked_at;
	attempt_progress(a);
	if (a->living || a->command)
		command_go_on(a->living ? a->living : a->command);
	arm(a);
}

static uint64_t wait_of_progress(const struct attempt *a, uint64_t now)
{
	const struct attempt_limits *l = &a->limits;
	uint64_t limit = ms_of(a, "no_progress"), due = l->progress + limit;
	const struct state_view *v = state_now(a->state);
	int64_t wall = time_now_ms();

	if (!limit || l->looking || l->cut != TASK_ERROR_NONE)
		return UINT64_MAX;
	/* While a person or its service has to act first, nobody expects anything of it. */
	if (l->asked || v->state == AGENT_NEEDS_INPUT)
		return limit;
	if (v->state == AGENT_LIMITED && v->until_ms > wall)
		return limit + (uint64_t)(v->until_ms - wall);
	return due > now ? due - now : 0;
}

static void no_progress(struct attempt *a)
{
	char time[32];
	_cleanup_free_ char *text = NULL;

	text_format_duration(json_num(a->spec, "no_progress", 0), time);
	text = xasprintf("no progress for %s: no output%s (no_progress)", time,
	                 a->has_slot ? ", no file changed" : "");
	cut(a, a->limits.limited ? TASK_ERROR_LIMIT : TASK_ERROR_TIMEOUT,
	    a->limits.limited ? a->limits.limited : text);
}

struct looking {
	uv_work_t work;
	struct worker *w;
	int64_t attempt;
	uint64_t progress;
	char *dir;
	int64_t newest;
};

static void look_run(uv_work_t *work)
{
	struct looking *looking = work->data;

	looking->newest = touched_last(looking->dir);
}

static void looked(uv_work_t *work, int status)
{
	struct looking *looking = work->data;
	struct attempt *a = looking->w->attempt;
	int64_t awake, wall;

	(void)status;
	if (a && a->id == looking->attempt && agent_runs(a)) {
		struct attempt_limits *l = &a->limits;

		l->looking = false;
		awake = (int64_t)(uv_now(&a->w->loop) - l->progress);
		wall = time_now_ms() - l->progress_wall;
		if (l->progress != looking->progress) {
			/* it said something meanwhile */
		} else if (wall - awake > JUMP_MS || awake - wall > JUMP_MS) {
			attempt_progress(a); /* asleep, or the clock was set: once more */
		} else if (looking->newest > l->progress_wall &&
		           looking->newest <= l->progress_wall + wall) {
			l->progress += (uint64_t)(looking->newest - l->progress_wall);
			l->progress_wall = looking->newest;
		} else {
			no_progress(a);
		}
		arm(a);
	}
	free(looking->dir);
	free(looking);
}

static void look_at_files(struct attempt *a)
{
	struct looking *looking = xcalloc(1, sizeof *looking);

	looking->w = a->w;
	looking->attempt = a->id;
	looking->progress = a->limits.progress;
	looking->dir = xstrdup(a->cwd);
	looking->work.data = looking;
	a->limits.looking = true;
	uv_queue_work(&a->w->loop, &looking->work, look_run, looked);
}

static void wrap_up_due(struct attempt *a)
{
	double timeout = json_num(a->spec, "timeout", 0), soft = json_num(a->spec, "wrap_up", 0);
	_cleanup_free_ char *text = NULL;
	char left[32] = "";

	if (timeout > soft)
		text_format_duration(timeout - soft, left);
	text = xasprintf("The time for this task is nearly over%s%s. Finish what you are doing, "
	                 "leave the work in a state that can be tested, and end.",
	                 *left ? ": it ends in " : "", left);
	attempt_wrap_up(a, text);
}

static uint64_t wait_of_wrap_up(const struct attempt *a, uint64_t now)
{
	uint64_t limit = ms_of(a, "wrap_up"), due = a->limits.started + limit;

	if (!limit || a->limits.wrapped)
		return UINT64_MAX;
	if (a->limits.asked)
		return limit;
	return due > now ? due - now : 0;
}

static uint64_t wait_of_tell(const struct attempt *a, uint64_t now)
{
	uint64_t due = a->limits.told + TELL_MS;

	if (!a->limits.untold)
		return UINT64_MAX;
	return due > now ? due - now : 0;
}

static void limits_due(uv_timer_t *timer)
{
	struct worker *w = timer->data;
	struct attempt *a = w->attempt;
	uint64_t now = uv_now(&w->loop);

	if (!a || !agent_runs(a) || a->stopping || a->stale)
		return;
	if (wait_of_tell(a, now) == 0)
		attempt_tell(a);
	if (wait_of_wrap_up(a, now) == 0)
		wrap_up_due(a);
	if (wait_of_progress(a, now) == 0) {
		if (a->has_slot)
			look_at_files(a);
		else
			no_progress(a);
	}
	arm(a);
}

static void arm(struct attempt *a)
{
	uint64_t now = uv_now(&a->w->loop), next = wait_of_tell(a, now);

	if (wait_of_wrap_up(a, now) < next)
		next = wait_of_wrap_up(a, now);
	if (wait_of_progress(a, now) < next)
		next = wait_of_progress(a, now);
	if (next != UINT64_MAX)
		uv_timer_start(&a->w->limits_timer, limits_due, next, 0);
	else
		uv_timer_stop(&a->w->limits_timer);
}

void attempt_limits_begin(struct attempt *a)
{
	uv_update_time(&a->w->loop);
	if (!a->limits.started) /* its time is that of all its rounds */
		a->limits.started = uv_now(&a->w->loop);
	a->turns.limited = false;
	attempt_progress(a);
	arm(a);
}

void attempt_limits_data(struct attempt *a)
{
	/* The timer that runs finds out by itself that it is not due yet. */
	attempt_progress(a);
	if (!a->report || report_version(a->report) == a->limits.seen)
		return;
	look_at_report(a);
	arm(a);
}

void attempt_limits_end(struct attempt *a)
{
	uv_timer_stop(&a->w->limits_timer);
	look_at_report(a);
}

void attempt_limits_free(struct attempt *a)
{
	json_decref(a->limits.used);
	json_decref(a->limits.before);
	free(a->limits.limited);
	free(a->limits.cut_text);
}
