/* Targets on which nothing lands for a while: the disk, git, a program that does not start, a
 * target that a person is at work in. What would land by itself stays in the queue and is tried
 * again on a clock; why is told once, and shown. Kept in memory: a new process tries at once. */
#include <stdlib.h>
#include <string.h>

#include "landing.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define HOLD_FIRST_MS 1000 /* doubling */
#define HOLD_MOST_MS  60000

struct hold {
	char *target;
	struct error why;
	bool person; /* only a person can end it */
	bool told;
	int64_t since; /* by the clock on the wall */
	int64_t pause_ms, due_ms;
	struct hold *next;
};

static struct hold **hold_at(struct landings *landings, const char *target)
{
	struct hold **at = &landings->holds;

	while (*at && strcmp((*at)->target, target) != 0)
		at = &(*at)->next;
	return at;
}

/* ---- the clock ---- */

static void try_again(uv_timer_t *timer);

static void arm(struct coordinator *c)
{
	const struct hold *first = NULL;
	int64_t left;

	for (const struct hold *hold = c->landings->holds; hold; hold = hold->next)
		if (!first || hold->due_ms < first->due_ms)
			first = hold;
	if (!first) {
		uv_timer_stop(&c->landings->timer);
		return;
	}
	left = first->due_ms - time_mono_ms();
	uv_timer_start(&c->landings->timer, try_again, left > 0 ? (uint64_t)left : 0, 0);
}

static int kick_step(struct coordinator *c, void *context, struct error *err)
{
	int64_t now = time_mono_ms();

	(void)context;
	(void)err;
	for (struct hold *hold = c->landings->holds; hold; hold = hold->next) {
		if (hold->due_ms > now)
			continue;
		hold->due_ms = now + hold->pause_ms;
		landing_kick(c, hold->target);
	}
	return 0;
}

static void try_again(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;
	struct error err = ERROR_INIT;

	if (turn_step(c, kick_step, NULL, &err) < 0)
		log_error("landing", "%s", err.text);
	arm(c);
}

void holds_init(struct coordinator *c)
{
	uv_timer_init(&c->loop, &c->landings->timer);
	c->landings->timer.data = c;
	uv_unref((uv_handle_t *)&c->landings->timer);
}

/* ---- beginning and end ---- */

void hold_begin(struct coordinator *c, const char *target, const struct error *why, bool person)
{
	struct hold **at = hold_at(c->landings, target), *hold = *at;

	if (!hold) {
		*at = hold = xcalloc(1, sizeof *hold);
		hold->target = xstrdup(target);
		hold->since = time_now_ms();
	}
	hold->told = hold->told && strcmp(hold->why.text, why->text) == 0;
	hold->why = *why;
	hold->person = person;
	hold->pause_ms = !hold->pause_ms                     ? HOLD_FIRST_MS
	                 : hold->pause_ms < HOLD_MOST_MS / 2 ? hold->pause_ms * 2
	                                                     : HOLD_MOST_MS;
	hold->due_ms = time_mono_ms() + hold->pause_ms;
	arm(c);
}

static char *story(const char *target, const char *why)
{
	return xasprintf("nothing lands on %s: %s (it is tried again by itself)", target, why);
}

static void add_event(struct coordinator *c, const char *target, const char *message)
{
	json_t *data = json_pack("{s:s, s:b, s:s?}", "target", target, "held", message != NULL,
	                         "message", message);

	store_event_add(c->store, "landing.changed", 0, 0, NULL, data);
	json_decref(data);
}

static void is_told(struct coordinator *c, void *context)
{
	_cleanup_free_ char *target = context;
	struct hold *hold = *hold_at(c->landings, target);

	if (hold)
		hold->told = true;
}

void hold_tell(struct coordinator *c, const char *target)
{
	const struct hold *hold = *hold_at(c->landings, target);
	_cleanup_free_ char *text = NULL;

	if (!hold || hold->told)
		return;
	text = story(target, hold->why.text);
	add_event(c, target, text);
	turn_effect(c, is_told, NULL, xstrdup(target));
}

void hold_end(struct coordinator *c, const char *target)
{
	struct hold **at = hold_at(c->landings, target), *hold = *at;

	if (!hold)
		return;
	*at = hold->next;
	log_info("landing", "target=%s goes on", target);
	if (hold->told)
		add_event(c, target, NULL);
	free(hold->target);
	free(hold);
	arm(c);
}

/* ---- what it means ---- */

bool hold_wants_person(const struct coordinator *c, const char *target)
{
	const struct hold *hold = *hold_at(c->landings, target);

	return hold && hold->person;
}

bool hold_is_on(const struct coordinator *c, const char *target)
{
	return *hold_at(c->landings, target) != NULL;
}

json_t *landing_holds_json(const struct coordinator *c)
{
	json_t *list = json_array();

	for (const struct hold *hold = c->landings->holds; hold; hold = hold->next) {
		_cleanup_free_ char *text = story(hold->target, hold->why.text);
		char since[32];

		text_format_time(hold->since, since);
		json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "target", hold->target,
		                                      "message", json_text_or_null(text), "since",
		                                      since));
	}
	return list;
}
