/* Which tasks there are of a kind: those that ask, failed, wait, may start, run. */
#include <stdlib.h>

#include "mem.h"
#include "store_sql.h"

int64_t *store_task_ids(struct store *store, int64_t plan)
{
	if (plan)
		return sql_ints(store, "SELECT id FROM task WHERE plan = ?1 ORDER BY id", "i",
		                plan);
	return sql_ints(store, "SELECT id FROM task ORDER BY id", "");
}

int64_t *store_tasks_that_ask(struct store *store)
{
	return sql_ints(store,
	                "SELECT id FROM task WHERE " TASK_IS_FEW("task") " AND status = 2"
	                                                                 " ORDER BY id",
	                "");
}

#define FAILED                                                                                     \
	" FROM task WHERE kind = 0 AND status = 4 AND (parent IS NULL OR (SELECT status"           \
	"  FROM task AS choice WHERE choice.id = task.parent) NOT IN (3, 5))"                      \
	" AND " TASK_IS_FEW("task")

int64_t *store_tasks_failed(struct store *store, int64_t limit)
{
	return sql_ints(store, "SELECT id" FAILED " ORDER BY finished_at DESC, id DESC LIMIT ?1",
	                "i", limit);
}

int64_t store_tasks_failed_count(struct store *store)
{
	return sql_int(store, 0, "SELECT count(*)" FAILED, "");
}

int64_t *store_tasks_delayed(struct store *store)
{
	return sql_ints(store, "SELECT id FROM task WHERE status = 0 AND delay_ms > 0", "");
}

int64_t *store_tasks_landable(struct store *store)
{
	return sql_ints(store,
	                "SELECT id FROM task WHERE status = 3 AND head IS NOT NULL AND landing <> 2"
	                " AND parent IS NULL ORDER BY id",
	                "");
}

static void keep_none(struct store *store, unsigned which)
{
	if (!store_failed(store, NULL)) /* which answers nothing at all */
		known_keep_none(store_known(store), which);
}

bool store_tasks_none_starts(struct store *store)
{
	return known_none(store_known(store)) == (KNOWN_NO_BASE_MISSING | KNOWN_NONE_READY);
}

int64_t *store_tasks_without_base(struct store *store, int64_t limit)
{
	int64_t *tasks;

	if (known_none(store_known(store)) & KNOWN_NO_BASE_MISSING)
		return xcalloc(1, sizeof *tasks);
	tasks = sql_ints(store,
	                 "SELECT id FROM task WHERE kind = 0 AND status = 0 AND unfinished = 0"
	                 " AND delay_ms = 0 AND slot_none = 0 AND next_base IS NULL"
	                 " ORDER BY priority DESC, id LIMIT ?1",
	                 "i", limit);
	if (!tasks[0])
		keep_none(store, KNOWN_NO_BASE_MISSING);
	return tasks;
}

size_t store_tasks_ready(struct store *store, int64_t limit, struct ready_row **out)
{
	sqlite3_stmt *row;
	struct ready_row *rows = NULL;
	size_t n = 0, cap = 0;

	*out = NULL;
	if (known_none(store_known(store)) & KNOWN_NONE_READY)
		return 0;
	row = sql_bind(store,
	               "SELECT id, plan, priority, agent, attempt, budgeted FROM task"
	               " WHERE kind = 0 AND status = 0 AND unfinished = 0 AND delay_ms = 0"
	               " AND stopped = 0 AND (slot_none = 1 OR next_base IS NOT NULL)"
	               " AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.task = task.id"
	               "  AND attempt.outcome = 0)"
	               " ORDER BY priority DESC, id LIMIT ?1",
	               "i", limit);
	while (sql_step(store, row)) {
		if (n == cap)
			rows = xrealloc(rows, (cap = cap ? cap * 2 : 16) * sizeof *rows);
		rows[n++] = (struct ready_row){
		    .id = sqlite3_column_int64(row, 0),
		    .plan = sqlite3_column_int64(row, 1),
		    .priority = sqlite3_column_int64(row, 2),
		    .agent = sql_column_text(row, 3),
		    .attempt = sqlite3_column_int64(row, 4),
		    .budgeted = sqlite3_column_int(row, 5),
		};
	}
	if (!n)
		keep_none(store, KNOWN_NONE_READY);
	*out = rows;
	return n;
}

void ready_rows_free(struct ready_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].agent);
	free(rows);
}

int64_t store_tasks_ready_count(struct store *store)
{
	return sql_int(store, 0,
	               "SELECT count(*) FROM task WHERE kind = 0 AND status = 0 AND unfinished = 0"
	               " AND delay_ms = 0",
	               "");
}

int64_t store_tasks_running(struct store *store, int64_t plan, const char *agent)
{
	return sql_int(store, 0,
	               "SELECT count(*) FROM task JOIN attempt ON attempt.id = task.attempt"
	               " WHERE " TASK_IS_FEW("task") " AND task.status <= 2 AND attempt.outcome = 0"
	                                             " AND task.plan = ?1"
	                                             " AND (?2 IS NULL OR attempt.agent = ?2)",
	               "it", plan, agent);
}

int64_t *store_tasks_orphaned(struct store *store)
{
	return sql_ints(
	    store,
	    "SELECT task.id FROM task JOIN attempt ON attempt.id = task.attempt"
	    " WHERE " TASK_IS_FEW("task") " AND task.status = 1 AND attempt.outcome <> 0",
	    "");
}
