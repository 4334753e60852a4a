/* Landings in the store: what moved a target, and what waits to. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "store_sql.h"
#include "text.h"

#define LANDING_COLUMNS "id, target, before_commit, after_commit, tasks, undoes"

void landing_row_finish(struct landing_row *row)
{
	free(row->target);
	free(row->before);
	free(row->after);
	free(row->tasks);
	free(row->undoes);
	*row = (struct landing_row){0};
}

static bool landing_take(struct store *store, sqlite3_stmt *row, struct landing_row *out)
{
	if (!sql_step(store, row))
		return false;
	*out = (struct landing_row){
	    .id = sqlite3_column_int64(row, 0),
	    .target = sql_column_text(row, 1),
	    .before = sql_column_text(row, 2),
	    .after = sql_column_text(row, 3),
	    .tasks = sql_column_text(row, 4),
	    .undoes = sql_column_text(row, 5),
	};
	sql_done(row);
	return true;
}

int64_t store_landing_open(struct store *store, const struct landing_row *row)
{
	return sql_int(store, 0,
	               "INSERT INTO landing(target, before_commit, after_commit, tasks, undoes,"
	               " created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
	               "ttttti", row->target, row->before, row->after, row->tasks, row->undoes,
	               time_now_ms());
}

void store_landing_close(struct store *store, int64_t id, bool landed)
{
	sql_run(store, "UPDATE landing SET state = ?2, closed_at = ?3 WHERE id = ?1", "iii", id,
	        (int64_t)(landed ? 1 : 2), time_now_ms());
}

void store_landing_undone(struct store *store, int64_t id)
{
	sql_run(store, "UPDATE landing SET state = 3 WHERE id = ?1", "i", id);
}

bool store_landing_pending(struct store *store, int64_t after, struct landing_row *out)
{
	return landing_take(store,
	                    sql_bind(store,
	                             "SELECT " LANDING_COLUMNS " FROM landing"
	                             " WHERE state = 0 AND id > ?1 ORDER BY id LIMIT 1",
	                             "i", after),
	                    out);
}

bool store_landing_last(struct store *store, const char *target, int64_t before,
                        struct landing_row *out)
{
	return landing_take(store,
	                    sql_bind(store,
	                             "SELECT " LANDING_COLUMNS " FROM landing WHERE target = ?1"
	                             " AND state = 1 AND undoes IS NULL AND (?2 = 0 OR id < ?2)"
	                             " ORDER BY id DESC LIMIT 1",
	                             "ti", target, before),
	                    out);
}

char *store_landing_newest_target(struct store *store)
{
	return sql_text(store,
	                "SELECT target FROM landing WHERE state = 1 AND undoes IS NULL"
	                " ORDER BY id DESC LIMIT 1",
	                "");
}

void queue_row_finish(struct queue_row *row)
{
	free(row->target);
	*row = (struct queue_row){0};
}

void store_queue_add(struct store *store, const struct queue_row *row)
{
	sql_run(store,
	        "INSERT INTO landing_queue(task, target, squash, priority, created_at)"
	        " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(task) DO NOTHING",
	        "itbii", row->task, row->target, row->squash, row->priority, time_now_ms());
}

void store_queue_raise(struct store *store, int64_t task, int64_t priority)
{
	sql_run(store, "UPDATE landing_queue SET priority = ?2 WHERE task = ?1 AND priority < ?2",
	        "ii", task, priority);
}

void store_queue_remove(struct store *store, int64_t task)
{
	sql_run(store, "DELETE FROM landing_queue WHERE task = ?1", "i", task);
}

bool store_queue_get(struct store *store, int64_t task, struct queue_row *out)
{
	sqlite3_stmt *row = sql_bind(
	    store, "SELECT id, task, target, squash, priority FROM landing_queue WHERE task = ?1",
	    "i", task);

	if (!sql_step(store, row))
		return false;
	*out = (struct queue_row){
	    .id = sqlite3_column_int64(row, 0),
	    .task = sqlite3_column_int64(row, 1),
	    .target = sql_column_text(row, 2),
	    .squash = sqlite3_column_int(row, 3),
	    .priority = sqlite3_column_int64(row, 4),
	};
	sql_done(row);
	return true;
}

int64_t *store_queue_tasks(struct store *store, const char *target, int64_t limit)
{
	return sql_ints(store,
	                "SELECT task FROM landing_queue WHERE target = ?1"
	                " ORDER BY priority DESC, id LIMIT ?2",
	                "ti", target, limit);
}

json_t *store_queue_json(struct store *store)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT queue.task, task.key, queue.target FROM landing_queue queue"
	             " JOIN task ON task.id = queue.task ORDER BY queue.target, queue.priority "
	             "DESC, queue.id",
	             "");
	json_t *list = json_array();

	while (sql_step(store, row)) {
		_cleanup_free_ char *key = sql_column_text(row, 1);
		_cleanup_free_ char *target = sql_column_text(row, 2);

		json_array_append_new(list, json_pack("{s:I, s:s, s:s}", "task",
		                                      (json_int_t)sqlite3_column_int64(row, 0),
		                                      "key", key, "target", target));
	}
	return list;
}

char **store_queue_targets(struct store *store)
{
	sqlite3_stmt *row = sql_bind(
	    store, "SELECT target FROM landing_queue GROUP BY target ORDER BY min(id)", "");
	char **targets = xcalloc(1, sizeof *targets);

	while (sql_step(store, row))
		strv_push(&targets, sql_column_text(row, 0));
	return targets;
}

bool store_queue_any(struct store *store)
{
	return sql_int(store, 0, "SELECT EXISTS(SELECT 1 FROM landing_queue)", "");
}

/* From the plans, for mostly none lands by itself: hence CROSS JOIN, which keeps this order. */
int64_t *store_queue_candidates(struct store *store, int64_t plan)
{
	return sql_ints(store,
	                "SELECT task.id FROM plan CROSS JOIN task ON task.plan = plan.id"
	                " WHERE plan.lands & 1 = 1 AND (?1 = 0 OR plan.id = ?1) AND task.status = 3"
	                " AND task.head IS NOT NULL AND task.landing = 0 AND task.parent IS NULL"
	                " AND coalesce(json_extract(task.landing_detail, '$.undone'), 0) = 0"
	                " ORDER BY task.id",
	                "i", plan);
}

int64_t *store_queue_refused(struct store *store, int64_t plan)
{
	return sql_ints(store,
	                "SELECT id FROM task WHERE plan = ?1 AND status = 3 AND landing = 0"
	                " AND head IS NOT NULL AND parent IS NULL AND landing_detail IS NOT NULL"
	                " AND json_extract(landing_detail, '$.message') IS NOT NULL ORDER BY id",
	                "i", plan);
}

int64_t *store_tasks_unlanded(struct store *store, int64_t limit)
{
	return sql_ints(store,
	                "SELECT id FROM task WHERE landing_detail IS NOT NULL AND landing <> 2"
	                " AND status = 3 AND (landing IN (3, 4) OR (landing = 0"
	                "  AND json_extract(landing_detail, '$.message') IS NOT NULL))"
	                " ORDER BY id LIMIT ?1",
	                "i", limit);
}

int64_t *store_tasks_conflicting(struct store *store, const char *target)
{
	return sql_ints(store,
	                "SELECT id FROM task WHERE landing_detail IS NOT NULL AND landing <> 2"
	                " AND landing = 3 AND json_extract(landing_detail, '$.target') = ?1"
	                " ORDER BY id",
	                "t", target);
}

json_t *store_landed_on(struct store *store, const char *target, int64_t limit)
{
	sqlite3_stmt *row = sql_bind(
	    store,
	    "SELECT key, base, COALESCE(json_extract(landing_detail, '$.head'), head) FROM task"
	    " WHERE landing = 2 AND base IS NOT NULL"
	    " AND json_extract(landing_detail, '$.target') = ?1 ORDER BY finished_at DESC LIMIT ?2",
	    "ti", target, limit);
	json_t *list = json_array();

	while (sql_step(store, row)) {
		_cleanup_free_ char *key = sql_column_text(row, 0);
		_cleanup_free_ char *base = sql_column_text(row, 1);
		_cleanup_free_ char *head = sql_column_text(row, 2);

		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s}", "key", key, "base", base, "head", head));
	}
	return list;
}
