/* An attempt waits for the disk. While that takes nothing, work can neither be committed nor kept,
 * and the slot cannot let go of its branch: the attempt is not over, so that nobody else is given
 * its task. Nor can one begin: it waits before its agent, who would only fail. Ends with the fault,
 * or with the worker. */
#include <stdlib.h>

#include "attempt_private.h"
#include "log.h"
#include "mem.h"

#define AGAIN_MS 1000

static void disk_waited(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	attempt_again(w->attempt);
}

bool attempt_waits(struct attempt *a)
{
	bool was = a->waits_for != NULL;

	free(a->waits_for);
	a->waits_for = NULL;
	/* A worker that is to end leaves the work in its slot: it is kept before that is used. What
	 * had not begun is given back. */
	if (!a->job.unwritable || a->w->exit_wanted) {
		if (a->job.unwritable && a->phase == PHASE_PREPARING && !a->stopping)
			attempt_stop(a, OUTCOME_RELEASED, 0);
		if (was)
			log_info("attempt", "attempt=%lld no longer waits for the disk",
			         (long long)a->id);
		return false;
	}
	a->waits_for = xasprintf("waits: %s", a->job.err.text);
	if (!was) {
		log_warn("attempt", "attempt=%lld %s", (long long)a->id, a->waits_for);
		attempt_show_line(a, a->waits_for);
	}
	worker_changed(a->w);
	uv_timer_start(&a->w->disk_timer, disk_waited, AGAIN_MS, 0);
	return true;
}
