/* Agents that their service does not serve for a while. A row each, so that it outlives this
 * process; a timer that looks for those that are over. Nothing of a held agent starts; what runs,
 * runs on. A wait ends by the wall clock or after as long as it was told, whichever is sooner: a
 * clock that is set costs a start too early, never a wait too long. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "spend.h"
#include "text.h"

#define LOOK_MS     30000 /* at least so often: the clock may be set, the machine may sleep */
#define WAIT_MAX_MS (8 * 24 * 3600 * INT64_C(1000))
#define MESSAGE_MAX 300

static int64_t boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_over(const struct coordinator *c, const struct hold_row *row)
{
	if (time_now_ms() >= row->until)
		return true;
	return strcmp(row->boot, c->boot) == 0 && boot_ms() >= row->deadline;
}

static int64_t left_of(const struct coordinator *c, const struct hold_row *row)
{
	int64_t wall = row->until - time_now_ms(), here = row->deadline - boot_ms();

	if (strcmp(row->boot, c->boot) == 0 && here < wall)
		wall = here;
	return wall > 0 ? wall : 0;
}

int64_t limited_until(struct coordinator *c, const char *agent)
{
	_cleanup_hold_ struct hold_row row = {0};

	return agent && store_hold_get(c->store, agent, &row) && row.until && !is_over(c, &row)
	           ? row.until
	           : 0;
}

bool limited_is(struct coordinator *c, const char *agent)
{
	return limited_until(c, agent) != 0;
}

bool limited_by(struct coordinator *c, int64_t attempt)
{
	_cleanup_attempt_ struct attempt_row row = {0};
	_cleanup_hold_ struct hold_row hold = {0};

	return store_hold_any(c->store) && store_attempt_get(c->store, attempt, &row) &&
	       row.agent && store_hold_get(c->store, row.agent, &hold) && hold.until &&
	       hold.attempt == attempt && !is_over(c, &hold);
}

/* ---- the timer ---- */

static void look(uv_timer_t *timer);

void limited_arm(struct coordinator *c)
{
	struct hold_row *rows;
	size_t n = store_hold_list(c->store, &rows);
	int64_t next = LOOK_MS;

	for (size_t i = 0; i < n; i++) {
		int64_t left = left_of(c, &rows[i]);

		if (left < next)
			next = left;
		hold_row_finish(&rows[i]);
	}
	free(rows);
	if (n)
		uv_timer_start(&c->limited_timer, look, (uint64_t)next + 1, 0);
	else
		uv_timer_stop(&c->limited_timer);
}

static void arm_effect(struct coordinator *c, void *context)
{
	(void)context;
	limited_arm(c);
	for (struct teammate *t = c->team.first; t; t = t->next)
		teammate_changed(c, t);
}

static void ended(struct coordinator *c, struct hold_row *row, const char *by)
{
	bool day = !*row->agent;
	json_t *data = day ? json_pack("{s:s, s:s}", "of", "day", "by", by)
	                   : json_pack("{s:s, s:s}", "agent", row->agent, "by", by);

	store_event_add(c->store, day ? "budget.free" : "agent.resumed", 0, 0, NULL, data);
	json_decref(data);
	log_info("limited", "%s goes on (%s)", day ? "the day" : row->agent, by);
	row->until = 0;
	/* Who ends it by hand, or a new day, begins anew; else the next wait is longer. */
	if (day || strcmp(by, "person") == 0 || strcmp(by, "itself") == 0)
		store_hold_remove(c->store, row->agent);
	else
		store_hold_put(c->store, row);
	turn_effect(c, arm_effect, NULL, NULL);
}

static int look_step(struct coordinator *c, void *context, struct error *err)
{
	struct hold_row *rows;
	size_t n = store_hold_list(c->store, &rows);

	(void)context;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		if (is_over(c, &rows[i]))
			ended(c, &rows[i], "time");
		hold_row_finish(&rows[i]);
	}
	free(rows);
	turn_effect(c, arm_effect, NULL, NULL);
	return 0;
}

static void look(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;
	struct error err = ERROR_INIT;

	if (turn_step(c, look_step, NULL, &err) < 0) {
		log_error("limited", "%s", err.text);
		uv_timer_start(timer, look, LOOK_MS, 0);
	}
}

void limited_init(struct coordinator *c)
{
	uv_timer_init(&c->loop, &c->limited_timer);
	c->limited_timer.data = c;
	uv_unref((uv_handle_t *)&c->limited_timer);
}

/* ---- beginning and end ---- */

void limited_hold(struct coordinator *c, const char *agent, int64_t attempt, int64_t until,
                  int64_t tries, const char *message)
{
	_cleanup_free_ char *text = message ? text_safe(message, MESSAGE_MAX) : NULL;
	int64_t now = time_now_ms();
	struct hold_row row = {.agent = (char *)agent,
	                       .until = until,
	                       .since = now,
	                       .deadline = boot_ms() + (until - now),
	                       .boot = c->boot,
	                       .tries = tries,
	                       .attempt = attempt,
	                       .message = text};
	char when[32];
	json_t *data;

	store_hold_put(c->store, &row);
	text_format_time(until, when);
	data = *agent ? json_pack("{s:s, s:s, s:o, s:I}", "agent", agent, "until", when, "message",
	                          json_text_or_null(text), "tries", (json_int_t)tries)
	              : json_pack("{s:s, s:s, s:o}", "of", "day", "until", when, "message",
	                          json_text_or_null(text));
	store_event_add(c->store, *agent ? "agent.limited" : "budget.reached", 0, attempt, NULL,
	                data);
	json_decref(data);
	log_warn("limited", "%s is held until %s", *agent ? agent : "everything", when);
	turn_effect(c, arm_effect, NULL, NULL);
}

void limited_note(struct coordinator *c, const struct attempt_row *attempt, int64_t until,
                  const char *message)
{
	_cleanup_hold_ struct hold_row old = {0};
	bool known = attempt->agent && store_hold_get(c->store, attempt->agent, &old);
	bool holds = known && old.until && !is_over(c, &old);
	int64_t now = time_now_ms(), tries = known ? old.tries : 0;

	if (!attempt->agent)
		return;
	if (until > now + WAIT_MAX_MS)
		until = now + WAIT_MAX_MS;
	/* Several attempts run into the same wall: it is one. */
	if (holds && until <= old.until)
		return;
	if (until <= now) {
		tries++;
		until = now + limit_backoff_ms(tries);
	}
	limited_hold(c, attempt->agent, attempt->id, until, tries, message);
}

void limited_over(struct coordinator *c, const struct attempt_row *attempt)
{
	_cleanup_hold_ struct hold_row row = {0};

	if (!attempt->agent || !store_hold_get(c->store, attempt->agent, &row))
		return;
	if (row.until && row.attempt == attempt->id)
		ended(c, &row, "itself");
	else if (!row.until) /* it is served again: the next wait is short */
		store_hold_remove(c->store, attempt->agent);
}

void limited_end_day(struct coordinator *c)
{
	_cleanup_hold_ struct hold_row row = {0};

	if (store_hold_get(c->store, "", &row))
		ended(c, &row, "budget");
}

bool limited_end(struct coordinator *c, const char *agent)
{
	struct hold_row *rows;
	size_t n = store_hold_list(c->store, &rows);
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		/* The day's budget is raised, not waited out by hand. */
		if (*rows[i].agent && (!agent || strcmp(rows[i].agent, agent) == 0)) {
			ended(c, &rows[i], "person");
			any = true;
		}
		hold_row_finish(&rows[i]);
	}
	free(rows);
	return any;
}

json_t *limited_json(struct coordinator *c)
{
	json_t *list = json_array();
	struct hold_row *rows;
	size_t n = store_hold_list(c->store, &rows);

	for (size_t i = 0; i < n; i++) {
		char until[32], since[32];

		text_format_time(rows[i].until, until);
		text_format_time(rows[i].since, since);
		json_array_append_new(list, json_pack("{s:s?, s:s, s:s, s:o}", "agent",
		                                      *rows[i].agent ? rows[i].agent : NULL,
		                                      "until", until, "since", since, "message",
		                                      json_text_or_null(rows[i].message)));
		hold_row_finish(&rows[i]);
	}
	free(rows);
	return list;
}
