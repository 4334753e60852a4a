/* The event log. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

#define CHANGES_LOOKED_AT 1000 /* events, for one answer */

int64_t store_event_add(struct store *store, const char *kind, int64_t task, int64_t attempt,
                        const char *teammate, const json_t *data)
{
	_cleanup_free_ char *text = data ? jsonl_text(data) : NULL;

	sql_run(store,
	        "INSERT INTO event(at, kind, task, attempt, teammate, data)"
	        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	        "itoott", time_now_ms(), kind, task, attempt, teammate, text);
	store_event_is_last(store, sql_last_id(store));
	return sql_last_id(store);
}

void store_event_created(struct store *store, int64_t first, int64_t last)
{
	sql_run(store,
	        "INSERT INTO event(at, kind, task, data)"
	        " SELECT ?1, 'task.created', id, CASE kind WHEN 0 THEN ?4 ELSE ?5 END"
	        " FROM task WHERE id BETWEEN ?2 AND ?3 ORDER BY id",
	        "iiitt", time_now_ms(), first, last, "{\"status\":\"pending\",\"kind\":\"work\"}",
	        "{\"status\":\"pending\",\"kind\":\"choice\"}");
	store_event_is_last(store, sql_last_id(store));
}

static void put_event(sqlite3_stmt *row, struct buf *out)
{
	_cleanup_json_ json_t *data = sql_column_json(row, 7);
	int64_t task = sqlite3_column_int64(row, 3), attempt = sqlite3_column_int64(row, 5);
	char at[32];

	text_format_time(sqlite3_column_int64(row, 1), at);
	jsonl_open(out, NULL, '{');
	jsonl_put_int(out, "seq", sqlite3_column_int64(row, 0));
	jsonl_put_text(out, "at", at);
	jsonl_put_text(out, "kind", (const char *)sqlite3_column_text(row, 2));
	jsonl_put_id(out, "task", task);
	jsonl_put_text(out, "key", (const char *)sqlite3_column_text(row, 4));
	jsonl_put_id(out, "attempt", attempt);
	jsonl_put_text(out, "teammate", (const char *)sqlite3_column_text(row, 6));
	jsonl_put(out, "data", data);
	jsonl_close(out, '}');
}

int64_t store_events(struct store *store, int64_t since, int64_t limit, store_event_fn take,
                     void *context)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT seq, at, event.kind, event.task, task.key, event.attempt,"
	             " teammate, data FROM event LEFT JOIN task ON task.id = event.task"
	             " WHERE seq > ?1 ORDER BY seq LIMIT ?2",
	             "ii", since, limit);
	_cleanup_buf_ struct buf event = BUF_INIT;
	int64_t n;

	for (n = 0; sql_step(store, row); n++) {
		event.len = 0;
		put_event(row, &event);
		take(context, sqlite3_column_int64(row, 0),
		     (const char *)sqlite3_column_text(row, 2), &event);
	}
	return n;
}

struct listing {
	struct buf *out;
	int64_t last;
};

static void list_event(void *context, int64_t seq, const char *kind, const struct buf *event)
{
	struct listing *listing = context;

	(void)kind;
	jsonl_put_encoded(listing->out, NULL, event->data, event->len);
	listing->last = seq;
}

int64_t store_events_put(struct store *store, int64_t since, int64_t limit, struct buf *out)
{
	struct listing listing = {out, since};

	store_events(store, since, limit, list_event, &listing);
	return listing.last;
}

static bool contains(const int64_t *ids, size_t n, int64_t id)
{
	while (n)
		if (ids[--n] == id)
			return true;
	return false;
}

/* That it is near its budget is not said of a task. */
static bool says_more(const char *kind)
{
	return strcmp(kind, "budget.near") == 0;
}

void store_changes(struct store *store, int64_t plan, int64_t since, size_t limit,
                   struct changes *out)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT seq, event.kind, task.id, task.plan FROM event LEFT JOIN task"
	             " ON task.id = event.task WHERE seq > ?1 ORDER BY seq LIMIT ?2",
	             "ii", since, (int64_t)CHANGES_LOOKED_AT);
	int64_t told[CHANGES_LOOKED_AT];
	size_t n = 0, n_told = 0;

	*out = (struct changes){
	    .tasks = xcalloc(limit + 1, sizeof *out->tasks), .events = BUF_INIT, .seq = since};
	while (sql_step(store, row)) {
		int64_t seq = sqlite3_column_int64(row, 0), task = sqlite3_column_int64(row, 2);
		bool ours = !task || sqlite3_column_int64(row, 3) == plan;

		if (ours && task && !contains(out->tasks, n, task)) {
			if (n == limit)
				break;
			out->tasks[n++] = task;
		}
		if (ours && (!task || says_more((const char *)sqlite3_column_text(row, 1))))
			told[n_told++] = seq;
		out->seq = seq;
	}
	sql_done(row);
	for (size_t i = 0; i < n_told; i++)
		store_events_put(store, told[i] - 1, 1, &out->events);
}

void changes_finish(struct changes *changes)
{
	free(changes->tasks);
	buf_finish(&changes->events);
}

void store_event_forget(struct store *store, int64_t seq)
{
	sql_run(store, "DELETE FROM event WHERE seq = ?1 AND kind = 'task.progress'", "i", seq);
}
