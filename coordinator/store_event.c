/* The event log and the messages that wait to be typed. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

int64_t store_event_add(struct store *store, const char *kind, int64_t task, int64_t attempt,
                        const char *teammate, const json_t *data)
{
	_cleanup_free_ char *text = data ? jsonl_text(data) : NULL;

	sql_run(store,
	        "INSERT INTO event(at, kind, task, attempt, teammate, data)"
	        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	        "itoott", time_now_ms(), kind, task, attempt, teammate, text);
	return sql_last_id(store);
}

static json_t *event_json(sqlite3_stmt *row)
{
	char at[32];

	text_format_time(sqlite3_column_int64(row, 1), at);
	return json_pack("{s:I, s:s, s:s, s:o, s:s?, s:o, s:s?, s:o}", "seq",
	                 (json_int_t)sqlite3_column_int64(row, 0), "at", at, "kind",
	                 sqlite3_column_text(row, 2), "task",
	                 json_int_or_null(sqlite3_column_int64(row, 3), 0), "key",
	                 sqlite3_column_text(row, 4), "attempt",
	                 json_int_or_null(sqlite3_column_int64(row, 5), 0), "teammate",
	                 sqlite3_column_text(row, 6), "data", sql_column_json(row, 7));
}

json_t *store_event_list(struct store *store, int64_t since, int64_t limit)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT seq, at, event.kind, event.task, task.key, event.attempt,"
	             " teammate, data FROM event LEFT JOIN task ON task.id = event.task"
	             " WHERE seq > ?1 ORDER BY seq LIMIT ?2",
	             "ii", since, limit);
	json_t *events = json_array();

	while (sql_step(store, row))
		json_array_append_new(events, event_json(row));
	return events;
}

int64_t store_event_last(struct store *store)
{
	return sql_int(store, 0, "SELECT max(seq) FROM event", "");
}

int64_t store_message_add(struct store *store, const char *teammate, int64_t task, const char *text)
{
	return sql_int(
	    store, 0,
	    "INSERT INTO message(teammate, task, text, created_at) VALUES(?1, ?2, ?3, ?4)"
	    " RETURNING id",
	    "toti", teammate, task, text, time_now_ms());
}

void store_message_delivered(struct store *store, int64_t id)
{
	sql_run(store,
	        "UPDATE message SET delivered_at = ?2 WHERE id = ?1 AND delivered_at IS NULL", "ii",
	        id, time_now_ms());
}

json_t *store_message_waiting(struct store *store, const char *teammate, int64_t task)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT id, text FROM message WHERE delivered_at IS NULL"
	             " AND (teammate = ?1 OR (teammate IS NULL AND task = ?2)) ORDER BY id",
	             "to", teammate, task);
	json_t *messages = json_array();

	while (sql_step(store, row))
		json_array_append_new(messages, json_pack("{s:I, s:s?}", "id",
		                                          (json_int_t)sqlite3_column_int64(row, 0),
		                                          "text", sqlite3_column_text(row, 1)));
	return messages;
}

void store_event_forget(struct store *store, int64_t seq)
{
	sql_run(store, "DELETE FROM event WHERE seq = ?1 AND kind = 'task.progress'", "i", seq);
}
