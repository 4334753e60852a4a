/* Agents that can be talked to live on while their result is proven, so that a failed verify is
 * told to the very process that made it. They are held still meanwhile, every process of theirs:
 * what is proven is what was committed, and hidden tests are seen by nobody. */
#include "agents.h"
#include "attempt_private.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "session.h"
#include "sweep.h"

#define QUIET_MS 500   /* it says that it is done in the middle of its turn: till that is over */
#define WAIT_MS  10000 /* but not for ever */

bool attempt_hold_wanted(const struct attempt *a)
{
	return a->mode != MODE_EXEC && a->verify && a->command && (a->typing || a->acp) &&
	       a->resume.round < json_int(a->spec, "verify_retries", 0);
}

static void hold_now(struct attempt *a)
{
	log_info("attempt", "attempt=%lld its agent is held while verify runs", (long long)a->id);
	attempt_limits_end(a);
	command_hold(a->command);
	sweep_hold();
	a->living = a->command;
	a->command = NULL;
	a->agent_ran = a->resume.ran = true;
	a->outcome = OUTCOME_COMPLETED;
	attempt_advance(a);
}

static void hold_due(uv_timer_t *timer)
{
	struct worker *w = timer->data;
	struct attempt *a = w->attempt;
	uint64_t now = uv_now(timer->loop), quiet;

	if (!a || !a->done || !a->command || a->agent_ran || a->stopping || a->stale)
		return;
	quiet = now - a->resume.heard;
	if (a->typing && quiet < QUIET_MS && now - a->resume.asked < WAIT_MS) {
		uv_timer_start(timer, hold_due, QUIET_MS - quiet, 0);
		return;
	}
	hold_now(a);
}

void attempt_hold(struct attempt *a)
{
	if (a->done)
		return;
	a->done = true;
	a->resume.asked = uv_now(&a->w->loop);
	uv_timer_start(&a->w->hold_timer, hold_due, a->typing ? QUIET_MS : 0, 0);
}

bool attempt_hold_let_go(struct attempt *a)
{
	const char *text;
	size_t len;

	if (!a->living)
		return false;
	a->command = a->living;
	a->living = NULL;
	a->agent_ran = false;
	sweep_let_go(false);
	command_go_on(a->command);
	if (a->typing) /* verify's lines stood on its screen */
		attempt_size(a, a->w->columns, a->w->rows, true);
	text = resume_prompt(a, &len);
	if (a->acp)
		acp_go_on(a->acp);
	attempt_say(a, text, len);
	return true;
}

bool attempt_hold_end(struct attempt *a)
{
	if (!a->living)
		return false;
	a->command = a->living;
	a->living = NULL;
	a->ending = true;
	sweep_let_go(false);
	command_go_on(a->command);
	command_stop(a->command, a->stop_grace);
	return true;
}

bool attempt_hold_ended(struct attempt *a)
{
	uv_timer_stop(&a->w->hold_timer);
	if (!a->living)
		return false;
	log_warn("attempt", "attempt=%lld its agent ended while it was held", (long long)a->id);
	a->living = NULL;
	sweep_let_go(true);
	return true;
}
