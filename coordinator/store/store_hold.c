/* Agents of which nothing starts for a while: rows, nothing else. What they mean is limited.c's. */
#include <stdlib.h>

#include "mem.h"
#include "store_sql.h"

void hold_row_finish(struct hold_row *row)
{
	free(row->agent);
	free(row->boot);
	free(row->message);
	*row = (struct hold_row){0};
}

void cleanup_hold_row(struct hold_row *row)
{
	hold_row_finish(row);
}

#define COLUMNS "agent, until, since, deadline, boot, tries, attempt, message"

static struct hold_row take(sqlite3_stmt *row)
{
	return (struct hold_row){
	    .agent = sql_column_text(row, 0),
	    .until = sqlite3_column_int64(row, 1),
	    .since = sqlite3_column_int64(row, 2),
	    .deadline = sqlite3_column_int64(row, 3),
	    .boot = sql_column_text(row, 4),
	    .tries = sqlite3_column_int64(row, 5),
	    .attempt = sqlite3_column_int64(row, 6),
	    .message = sql_column_text(row, 7),
	};
}

bool store_hold_get(struct store *store, const char *agent, struct hold_row *out)
{
	sqlite3_stmt *row =
	    sql_bind(store, "SELECT " COLUMNS " FROM hold WHERE agent = ?1", "t", agent);

	if (!sql_step(store, row))
		return false;
	*out = take(row);
	sql_done(row);
	return true;
}

void store_hold_put(struct store *store, const struct hold_row *row)
{
	sql_run(store,
	        "INSERT OR REPLACE INTO hold(" COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	        "tiiitiot", row->agent, row->until, row->since, row->deadline, row->boot,
	        row->tries, row->attempt, row->message);
}

void store_hold_remove(struct store *store, const char *agent)
{
	sql_run(store, "DELETE FROM hold WHERE agent = ?1", "t", agent);
}

bool store_hold_any(struct store *store)
{
	return sql_int(store, 0, "SELECT 1 FROM hold WHERE until > 0 LIMIT 1", "") != 0;
}

size_t store_hold_list(struct store *store, struct hold_row **out)
{
	sqlite3_stmt *row = sql_bind(
	    store, "SELECT " COLUMNS " FROM hold WHERE until > 0 ORDER BY until, agent", "");
	struct hold_row *rows = NULL;
	size_t n = 0;

	while (sql_step(store, row)) {
		rows = xrealloc(rows, (n + 1) * sizeof *rows);
		rows[n++] = take(row);
	}
	*out = rows;
	return n;
}
