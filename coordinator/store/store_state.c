/* The one place where a task's status is written, and who is told by it: dependents that wait for
 * fewer, the counts of its plan. Decides nothing: transition.c does. */
#include <stdlib.h>

#include "mem.h"
#include "store_sql.h"

/* Whoever ends, or is redone, tells its dependents: a completed blocker counts for all, a settled
 * one for those with when: settled. */
static void tell_dependents(struct store *store, int64_t id, enum task_status old,
                            enum task_status now)
{
	bool settled = task_status_is_terminal(now), completed = now == TASK_COMPLETED;
	int64_t any = task_status_is_terminal(old) - settled;
	int64_t plain = (old == TASK_COMPLETED) - completed;
	_cleanup_free_ int64_t *dependents = NULL;

	if (!any && !plain)
		return;
	dependents = store_task_blocks(store, id);
	for (size_t i = 0; dependents[i]; i++)
		sql_run(store,
		        "UPDATE task SET unfinished = unfinished"
		        " + CASE settled_blockers WHEN 1 THEN ?2 ELSE ?3 END WHERE id = ?1",
		        "iii", dependents[i], any, plain);
}

void store_task_write_state(struct store *store, const struct task_state_change *change)
{
	_cleanup_task_ struct task_row old = {0};

	if (!store_task_get(store, change->id, &old))
		return;
	store_graph_changed(store);
	sql_run(store,
	        "UPDATE task SET status = ?2, attempt = CASE WHEN ?3 < 0 THEN attempt ELSE "
	        "nullif(?3, 0) END,"
	        " attempts = attempts + ?4, failures = CASE WHEN ?5 < 0 THEN failures ELSE ?5 END,"
	        " losses = CASE WHEN ?6 < 0 THEN losses ELSE ?6 END, delay_ms = ?7,"
	        " next_base = CASE WHEN ?3 > 0 THEN NULL ELSE next_base END,"
	        " base = coalesce(?8, base), input = ?9,"
	        " started_at = CASE WHEN ?10 < 0 THEN started_at ELSE nullif(?10, 0) END,"
	        " finished_at = CASE WHEN ?11 < 0 THEN finished_at ELSE nullif(?11, 0) END,"
	        " head = CASE ?12 WHEN 1 THEN ?13 ELSE head END,"
	        " tree = CASE ?12 WHEN 1 THEN ?14 ELSE tree END,"
	        " unchanged = CASE ?12 WHEN 1 THEN ?15 ELSE unchanged END,"
	        " error_code = CASE ?12 WHEN 1 THEN ?16 ELSE error_code END,"
	        " error_message = CASE ?12 WHEN 1 THEN ?17 ELSE error_message END"
	        " WHERE id = ?1",
	        "iiiiiiittii"
	        "bttbit",
	        change->id, (int64_t)change->status, change->attempt, change->attempts_more,
	        change->failures, change->losses, change->delay_ms, change->base, change->input,
	        change->started_at, change->finished_at, change->set_result, change->head,
	        change->tree, change->unchanged, (int64_t)change->error_code,
	        change->error_message);
	known_count(store_known(store), old.plan, old.status, -1);
	known_count(store_known(store), old.plan, change->status, 1);
	tell_dependents(store, change->id, old.status, change->status);
}
