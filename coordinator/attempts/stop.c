/* Ending attempts from outside: cancel at once, release when the worker has let go. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "transition.h"

#define DOOM_AFTER_MS ((STOP_GRACE_S + 5) * 1000) /* the worker's own grace comes first */

struct stop {
	int64_t attempt;
	const char *outcome;
};

static int lost_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	finish_lost(c, *(int64_t *)context, NULL, true);
	return 0;
}

/* The teammate may have finished meanwhile: then there is nothing to stop. */
static void stop_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ struct stop *stop = context;
	_cleanup_attempt_ struct attempt_row row = {0};
	struct teammate *t;

	if (!store_attempt_get(c->store, stop->attempt, &row) || row.outcome != OUTCOME_NONE)
		return;
	t = team_find(c, row.teammate);
	if (!t) { /* nobody is left who could let go of it */
		struct error err = ERROR_INIT;

		if (turn_step(c, lost_step, &stop->attempt, &err) < 0)
			log_error("stop", "attempt=%lld: %s", (long long)stop->attempt, err.text);
		return;
	}
	if (strcmp(stop->outcome, "released") == 0)
		t->released = stop->attempt;
	stop_tell(c, t, stop->attempt, stop->outcome);
}

void stop_tell(struct coordinator *c, struct teammate *t, int64_t attempt, const char *outcome)
{
	teammate_notify(t, "attempt.stop",
	                json_pack("{s:I, s:s, s:i}", "attempt", (json_int_t)attempt, "outcome",
	                          outcome, "grace", STOP_GRACE_S));
	team_doom(c, t, attempt, DOOM_AFTER_MS);
	log_info("stop", "attempt=%lld teammate=%s told to end: %s", (long long)attempt, t->name,
	         outcome);
}

static void tell(struct coordinator *c, int64_t attempt, const char *outcome)
{
	struct stop *stop = xcalloc(1, sizeof *stop);

	stop->attempt = attempt;
	stop->outcome = outcome;
	turn_effect(c, stop_effect, NULL, stop);
}

int stop_task(struct coordinator *c, int64_t task, struct error *err)
{
	const struct transition t = {.task = task, .verb = VERB_CANCEL};
	_cleanup_task_ struct task_row row = {0};

	if (!store_task_get(c->store, task, &row))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %lld", (long long)task);
	if (row.status == TASK_CANCELLED)
		return 0; /* asked twice, done once */
	if (task_change(c, &t, err) < 0)
		return -1;
	if (row.attempt)
		tell(c, row.attempt, "cancelled");
	return 0;
}

void stop_release(struct coordinator *c, int64_t attempt)
{
	tell(c, attempt, "released");
}
