/* What an attempt knows of its agent's state, and what it says to it: reports of all sources in,
 * `attempt.state` out; texts in, one at a time and in order, to whoever runs. Decides nothing
 * about the task. */
#include <stdlib.h>
#include <string.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

static json_t *input_json(const struct state_view *v)
{
	json_t *input;

	if (v->state != AGENT_NEEDS_INPUT)
		return NULL;
	input = json_pack("{s:s, s:o, s:o, s:I}", "reason", v->reason ? v->reason : "question",
	                  "text", json_text_or_null(v->text), "options",
	                  v->options ? json_incref(v->options) : json_null(), "request",
	                  (json_int_t)v->request);
	return input;
}

void attempt_tell(struct attempt *a)
{
	const struct state_view *v = state_now(a->state);
	pid_t pid = a->phase == PHASE_WORKING ? attempt_child(a) : 0;
	json_t *said;
	char until[32];

	if (a->stale)
		return;
	said = json_pack("{s:I, s:s, s:o, s:o}", "attempt", (json_int_t)a->id, "phase",
	                 attempt_phase_word(a->phase), "agent_pid", json_int_or_null(pid, 0),
	                 "slot", json_text_or_null(a->has_slot ? a->cwd : NULL));
	if (v->state != AGENT_UNKNOWN && a->phase == PHASE_WORKING) {
		json_object_set_new(said, "state", json_string(agent_state_word(v->state)));
		if (v->state == AGENT_LIMITED && v->until_ms) {
			text_format_time(v->until_ms, until);
			json_object_set_new(said, "until", json_string(until));
		}
		if (v->state == AGENT_NEEDS_INPUT)
			json_object_set_new(said, "input", input_json(v));
	}
	attempt_limits_say(a, said);
	resume_say(a, said);
	control_state(a->w, said);
	worker_changed(a->w);
}

static void state_due_now(uv_timer_t *timer);

static void arm(struct attempt *a)
{
	int64_t due = state_due(a->state), now = time_now_ms();

	if (!due)
		uv_timer_stop(&a->w->agent_timer);
	else
		uv_timer_start(&a->w->agent_timer, state_due_now,
		               due > now ? (uint64_t)(due - now) : 0, 0);
}

static void state_due_now(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (!w->attempt)
		return;
	if (state_tick(w->attempt->state, time_now_ms()))
		attempt_tell(w->attempt);
	arm(w->attempt);
}

void attempt_report(struct attempt *a, const struct state_report *report)
{
	if (report->state == AGENT_WORKING)
		attempt_progress(a);
	if (state_report(a->state, report, time_now_ms()))
		attempt_tell(a);
	arm(a);
}
