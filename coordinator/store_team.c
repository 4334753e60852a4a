/* Teammates and landings in the store. */
#include <stdlib.h>

#include "mem.h"
#include "store_sql.h"
#include "text.h"

void teammate_row_finish(struct teammate_row *row)
{
	free(row->name);
	free(row->agent);
	free(row->profile);
	free(row->boot);
	*row = (struct teammate_row){0};
}

size_t store_team_list(struct store *store, struct teammate_row **out)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT name, number, agent, profile, paused, pid, start_time, boot,"
	             " removing"
	             " FROM teammate ORDER BY number",
	             "");
	struct teammate_row *rows = NULL;
	size_t n = 0;

	while (sql_step(store, row)) {
		rows = xrealloc(rows, (n + 1) * sizeof *rows);
		rows[n++] = (struct teammate_row){
		    .name = sql_column_text(row, 0),
		    .number = sqlite3_column_int64(row, 1),
		    .agent = sql_column_text(row, 2),
		    .profile = sql_column_text(row, 3),
		    .paused = sqlite3_column_int(row, 4),
		    .pid = sqlite3_column_int64(row, 5),
		    .start_time = sqlite3_column_int64(row, 6),
		    .boot = sql_column_text(row, 7),
		    .removing = sqlite3_column_int(row, 8),
		};
	}
	*out = rows;
	return n;
}

void store_team_put(struct store *store, const struct teammate_row *row)
{
	sql_run(
	    store,
	    "INSERT INTO teammate(name, number, agent, profile, paused, removing)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
	    " ON CONFLICT(name) DO UPDATE SET agent = ?3, profile = ?4, paused = ?5, removing = ?6",
	    "tittbb", row->name, row->number, row->agent, row->profile, row->paused, row->removing);
}

void store_team_set_process(struct store *store, const char *name, int64_t pid, int64_t start_time,
                            const char *boot)
{
	sql_run(store, "UPDATE teammate SET pid = ?2, start_time = ?3, boot = ?4 WHERE name = ?1",
	        "toot", name, pid, start_time, boot);
}

void store_team_remove(struct store *store, const char *name)
{
	sql_run(store, "DELETE FROM teammate WHERE name = ?1", "t", name);
}

void landing_row_finish(struct landing_row *row)
{
	free(row->target);
	free(row->before);
	free(row->after);
	free(row->tasks);
	*row = (struct landing_row){0};
}

int64_t store_landing_open(struct store *store, const struct landing_row *row)
{
	return sql_int(store, 0,
	               "INSERT INTO landing(target, before_commit, after_commit, tasks, created_at)"
	               " VALUES(?1, ?2, ?3, ?4, ?5) RETURNING id",
	               "tttti", row->target, row->before, row->after, row->tasks, time_now_ms());
}

void store_landing_close(struct store *store, int64_t id, bool landed)
{
	sql_run(store, "UPDATE landing SET state = ?2, closed_at = ?3 WHERE id = ?1", "iii", id,
	        (int64_t)(landed ? 1 : 2), time_now_ms());
}

bool store_landing_pending(struct store *store, struct landing_row *out)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT id, target, before_commit, after_commit, tasks FROM landing"
	             " WHERE state = 0 ORDER BY id LIMIT 1",
	             "");

	if (!sql_step(store, row))
		return false;
	*out = (struct landing_row){
	    .id = sqlite3_column_int64(row, 0),
	    .target = sql_column_text(row, 1),
	    .before = sql_column_text(row, 2),
	    .after = sql_column_text(row, 3),
	    .tasks = sql_column_text(row, 4),
	};
	sql_done(row);
	return true;
}
