/* Messages and answers in the store: queued until their agent has them, then kept. One is handed
 * over once at most: what became of it is written down and never taken back. */
#include <stdlib.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

static const char *const state_words[] = {"queued", "delivered", "unknown", "dropped"};

const char *message_state_word(enum message_state state)
{
	return (size_t)state < ARRAY_LEN(state_words) ? state_words[state] : "unknown";
}

int64_t store_message_add(struct store *store, const struct message_new *m)
{
	return sql_int(store, 0,
	               "INSERT INTO message(teammate, task, text, created_at, sender,"
	               " sender_task, attempt, request)"
	               " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
	               "totitooi", m->to, m->task, m->text, time_now_ms(), m->from, m->from_task,
	               m->attempt, m->request);
}

bool store_message_settle(struct store *store, int64_t id, enum message_state state)
{
	return sql_int(store, 0,
	               "UPDATE message SET delivered_at = ?2, state = ?3"
	               " WHERE id = ?1 AND delivered_at IS NULL RETURNING id",
	               "iii", id, time_now_ms(), (int64_t)state) != 0;
}

/* Those with these ids, in their order, until they have `most` bytes. Takes ids. */
static json_t *messages_of(struct store *store, int64_t *ids, size_t most)
{
	json_t *messages = json_array();
	size_t bytes = 0;

	for (size_t i = 0; ids[i] && bytes < most; i++) {
		sqlite3_stmt *row = sql_bind(store,
		                             "SELECT message.id, text, sender, task.key, request"
		                             " FROM message LEFT JOIN task ON task.id = sender_task"
		                             " WHERE message.id = ?1",
		                             "i", ids[i]);

		if (!sql_step(store, row))
			continue;
		bytes += (size_t)sqlite3_column_bytes(row, 1);
		json_array_append_new(messages,
		                      json_pack("{s:I, s:s?, s:s?, s:s?, s:I}", "id",
		                                (json_int_t)sqlite3_column_int64(row, 0), "text",
		                                sqlite3_column_text(row, 1), "from",
		                                sqlite3_column_text(row, 2), "from_key",
		                                sqlite3_column_text(row, 3), "request",
		                                (json_int_t)sqlite3_column_int64(row, 4)));
		sql_done(row);
	}
	free(ids);
	return messages;
}

json_t *store_message_waiting(struct store *store, const char *teammate, int64_t task,
                              int64_t after, size_t most)
{
	return messages_of(store,
	                   sql_ints(store,
	                            "SELECT id FROM message WHERE delivered_at IS NULL"
	                            " AND attempt IS NULL AND id > ?3"
	                            " AND (teammate = ?1 OR (teammate IS NULL AND task = ?2))"
	                            " ORDER BY id",
	                            "tii", teammate, task, after),
	                   most);
}

json_t *store_message_answers(struct store *store, int64_t attempt)
{
	return messages_of(store,
	                   sql_ints(store,
	                            "SELECT id FROM message WHERE delivered_at IS NULL"
	                            " AND attempt = ?1 ORDER BY id",
	                            "i", attempt),
	                   SIZE_MAX);
}

int64_t store_message_queued_by(struct store *store, int64_t task, int64_t *bytes)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT count(*), sum(length(CAST(text AS BLOB)))"
	             " FROM message WHERE delivered_at IS NULL AND sender_task = ?1",
	             "i", task);
	int64_t count = 0;

	*bytes = 0;
	if (sql_step(store, row)) {
		count = sqlite3_column_int64(row, 0);
		*bytes = sqlite3_column_int64(row, 1);
		sql_done(row);
	}
	return count;
}

bool store_message_answered(struct store *store, int64_t attempt, int64_t request)
{
	return sql_int(store, 0, "SELECT 1 FROM message WHERE attempt = ?1 AND request = ?2", "ii",
	               attempt, request) != 0;
}

bool store_message_any_queued(struct store *store)
{
	return sql_int(store, 0, "SELECT 1 FROM message WHERE delivered_at IS NULL LIMIT 1", "") !=
	       0;
}

void store_message_drop_answers(struct store *store, int64_t attempt)
{
	sql_run(store,
	        "UPDATE message SET delivered_at = ?2, state = ?3"
	        " WHERE attempt = ?1 AND delivered_at IS NULL",
	        "iii", attempt, time_now_ms(), (int64_t)MESSAGE_DROPPED);
}

static json_t *message_json(sqlite3_stmt *row)
{
	bool delivered = sqlite3_column_type(row, 8) != SQLITE_NULL;
	char at[32], then[32];

	text_format_time(sqlite3_column_int64(row, 1), at);
	text_format_time(delivered ? sqlite3_column_int64(row, 8) : 0, then);
	return json_pack(
	    "{s:I, s:s, s:s?, s:s?, s:s?, s:o, s:s?, s:s?, s:s, s:s?, s:b}", "id",
	    (json_int_t)sqlite3_column_int64(row, 0), "at", at, "from", sqlite3_column_text(row, 2),
	    "from_key", sqlite3_column_text(row, 3), "to", sqlite3_column_text(row, 4), "task",
	    json_int_or_null(sqlite3_column_int64(row, 5), 0), "key", sqlite3_column_text(row, 6),
	    "text", sqlite3_column_text(row, 7), "state",
	    message_state_word((enum message_state)sqlite3_column_int(row, 9)), "settled_at",
	    delivered ? then : NULL, "answer", sqlite3_column_type(row, 10) != SQLITE_NULL);
}

json_t *store_message_list(struct store *store, const char *who, int64_t task, int64_t limit,
                           size_t bytes)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT message.id, message.created_at, sender, mine.key,"
	             " message.teammate, message.task, task.key, text, delivered_at, state,"
	             " message.attempt"
	             " FROM message LEFT JOIN task ON task.id = message.task"
	             " LEFT JOIN task AS mine ON mine.id = sender_task"
	             " WHERE ?1 IS NULL OR message.teammate = ?1 OR sender = ?1"
	             "  OR message.task = ?2"
	             " ORDER BY message.id DESC LIMIT ?3",
	             "toi", who, task, limit);
	json_t *messages = json_array();

	for (size_t sum = 0; sum < bytes && sql_step(store, row);) {
		json_array_insert_new(messages, 0, message_json(row));
		sum += (size_t)sqlite3_column_bytes(row, 7);
	}
	sql_done(row);
	return messages;
}

int64_t store_message_unread(struct store *store)
{
	return sql_int(store, 0,
	               "SELECT count(*) FROM message WHERE delivered_at IS NULL"
	               " AND teammate = 'people'",
	               "");
}
