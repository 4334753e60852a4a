/* Teammates in the store. */
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
	             " removing, keep_session"
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
		    .keep_session = sqlite3_column_int(row, 9),
		};
	}
	*out = rows;
	return n;
}

void store_team_put(struct store *store, const struct teammate_row *row)
{
	sql_run(
	    store,
	    "INSERT INTO teammate(name, number, agent, profile, paused, removing, keep_session)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	    " ON CONFLICT(name) DO UPDATE SET agent = ?3, profile = ?4, paused = ?5, removing = ?6,"
	    " keep_session = ?7",
	    "tittbbb", row->name, row->number, row->agent, row->profile, row->paused, row->removing,
	    row->keep_session);
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
