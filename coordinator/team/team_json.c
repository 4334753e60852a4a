/* Teammates as people see them: states, the Teammate of the interface, views. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

#define SILENCE_MS 90000 /* three keep-alives */

enum teammate_state teammate_state(struct coordinator *c, const struct teammate *t)
{
	_cleanup_task_ struct task_row task = {0};

	if (t->sweeping || (!t->proc.pid && t->attempt))
		return TEAMMATE_LOST;
	/* A stopped process does not die and does not answer: only its state tells. */
	if (proc_stopped(t->proc.pid, t->proc.start_time) ||
	    (t->conn && t->heard_ms && time_mono_ms() - t->heard_ms > SILENCE_MS))
		return TEAMMATE_UNRESPONSIVE;
	if (t->attempt) {
		if (store_task_get(c->store, t->task, &task) && task.status == TASK_NEEDS_INPUT)
			return TEAMMATE_NEEDS_INPUT;
		if (t->phase && strcmp(t->phase, "verifying") == 0)
			return TEAMMATE_VERIFYING;
		if (t->says == TEAMMATE_LIMITED || t->says == TEAMMATE_IDLE)
			return t->says;
		if (limited_by(c, t->attempt))
			return TEAMMATE_LIMITED;
		return TEAMMATE_WORKING;
	}
	if (!t->conn)
		return TEAMMATE_STARTING;
	return t->paused                 ? TEAMMATE_PAUSED
	       : limited_is(c, t->agent) ? TEAMMATE_LIMITED
	                                 : TEAMMATE_IDLE;
}

/* slots: where all of them have theirs. */
static json_t *teammate_in(struct coordinator *c, const struct teammate *t, const char *slots)
{
	_cleanup_free_ char *slot = xasprintf("%s/%s", slots, t->name), *branch = NULL;
	_cleanup_attempt_ struct attempt_row attempt = {0};
	char since[32], until[32];
	int64_t until_ms;

	until_ms = t->attempt && t->until_ms ? t->until_ms : limited_until(c, t->agent);
	text_format_time(until_ms, until);
	if (t->attempt && store_attempt_get(c->store, t->attempt, &attempt))
		branch = xstrdup(attempt.branch);
	text_format_time(t->since_ms, since);
	return json_pack(
	    "{s:s, s:s?, s:s, s:o, s:s?, s:o, s:s?, s:o, s:o, s:s?, s:o, s:o, s:s, s:s?}", "name",
	    t->name, "agent", attempt.agent ? attempt.agent : t->agent, "state",
	    teammate_state_word(teammate_state(c, t)), "task", json_int_or_null(t->task, 0), "key",
	    t->key, "attempt", json_int_or_null(t->attempt, 0), "pane",
	    c->views ? views_pane(c->views, t->name) : NULL, "pid",
	    json_int_or_null(t->proc.pid, 0), "slot", json_text_or_null(slot), "branch", branch,
	    "last_output", json_text_or_null(t->last_output), "progress",
	    json_text_or_null(t->progress), "since", since, "until", until_ms ? until : NULL);
}

json_t *teammate_json(struct coordinator *c, const struct teammate *t)
{
	_cleanup_free_ char *slots = team_slots_dir(c);

	return teammate_in(c, t, slots);
}

json_t *team_json(struct coordinator *c)
{
	_cleanup_free_ char *slots = team_slots_dir(c);
	json_t *teammates = json_array();

	for (const struct teammate *t = c->team.first; t; t = t->next)
		if (!t->removing || t->attempt) /* it leaves, and is not lost */
			json_array_append_new(teammates, teammate_in(c, t, slots));
	return teammates;
}

void teammate_changed(struct coordinator *c, struct teammate *t)
{
	_cleanup_free_ char *socket = NULL;

	if (!c->views || t->removing)
		return;
	socket = teammate_view_socket(c, t->name);
	views_set(c->views, t->name, socket, t->key, teammate_state_word(teammate_state(c, t)));
}
