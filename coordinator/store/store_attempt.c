/* Attempts in the store. */
#include <stdlib.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

/* What of a row is its own memory: freed and copied. */
#define ATTEMPT_ROW_TEXTS(X)                                                                       \
	X(teammate)                                                                                \
	X(branch)                                                                                  \
	X(base)                                                                                    \
	X(head)                                                                                    \
	X(tree)                                                                                    \
	X(agent)                                                                                   \
	X(model)                                                                                   \
	X(slot)                                                                                    \
	X(verify)                                                                                  \
	X(usage)                                                                                   \
	X(changes)                                                                                 \
	X(measures)                                                                                \
	X(kept)                                                                                    \
	X(session)                                                                                 \
	X(continues)                                                                               \
	X(rounds)                                                                                  \
	X(error_message)

void attempt_row_finish(struct attempt_row *row)
{
#define X(field) free(row->field);
	ATTEMPT_ROW_TEXTS(X)
#undef X
	*row = (struct attempt_row){0};
}

void attempt_row_copy(const struct attempt_row *from, struct attempt_row *to)
{
	*to = *from;
#define X(field) to->field = xstrdup(from->field);
	ATTEMPT_ROW_TEXTS(X)
#undef X
}

void cleanup_attempt_row(struct attempt_row *row)
{
	attempt_row_finish(row);
}

bool store_attempt_get(struct store *store, int64_t id, struct attempt_row *out)
{
	const struct attempt_row *known = known_attempt(store_known(store), id);
	sqlite3_stmt *row;

	if (known) {
		attempt_row_copy(known, out);
		return true;
	}
	row = sql_bind(
	    store,
	    "SELECT id, task, teammate, branch, base, head, tree, slot, agent, model, outcome,"
	    " unchanged, error_code, error_message, verify, usage, changes, kept,"
	    " started_at, ended_at, seconds, measures, session, continues, rounds"
	    " FROM attempt WHERE id = ?1",
	    "i", id);

	if (!sql_step(store, row))
		return false;
	*out = (struct attempt_row){
	    .id = sqlite3_column_int64(row, 0),
	    .task = sqlite3_column_int64(row, 1),
	    .teammate = sql_column_text(row, 2),
	    .branch = sql_column_text(row, 3),
	    .base = sql_column_text(row, 4),
	    .head = sql_column_text(row, 5),
	    .tree = sql_column_text(row, 6),
	    .slot = sql_column_text(row, 7),
	    .agent = sql_column_text(row, 8),
	    .model = sql_column_text(row, 9),
	    .outcome = (enum attempt_outcome)sqlite3_column_int(row, 10),
	    .unchanged = sqlite3_column_int(row, 11),
	    .error_code = (enum task_error)sqlite3_column_int(row, 12),
	    .error_message = sql_column_text(row, 13),
	    .verify = sql_column_text(row, 14),
	    .usage = sql_column_text(row, 15),
	    .changes = sql_column_text(row, 16),
	    .kept = sql_column_text(row, 17),
	    .started_at = sqlite3_column_int64(row, 18),
	    .ended_at = sqlite3_column_int64(row, 19),
	    .seconds = sqlite3_column_double(row, 20),
	    .measures = sql_column_text(row, 21),
	    .session = sql_column_text(row, 22),
	    .continues = sql_column_text(row, 23),
	    .rounds = sql_column_text(row, 24),
	};
	sql_done(row);
	known_keep_attempt(store_known(store), out);
	return true;
}

/* It is read again for its assignment, at once. */
int64_t store_attempt_insert(struct store *store, const struct attempt_row *row)
{
	struct attempt_row stored = {.task = row->task,
	                             .teammate = row->teammate,
	                             .branch = row->branch,
	                             .base = row->base,
	                             .slot = row->slot,
	                             .agent = row->agent,
	                             .model = row->model,
	                             .started_at = row->started_at,
	                             .session = row->session,
	                             .continues = row->continues};

	sql_run(store,
	        "INSERT INTO attempt(task, teammate, branch, base, slot, agent, model, started_at,"
	        " session, continues)"
	        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	        "ittttt"
	        "titt",
	        stored.task, stored.teammate, stored.branch, stored.base, stored.slot, stored.agent,
	        stored.model, stored.started_at, stored.session, stored.continues);
	known_running_changed(store_known(store), row->teammate);
	if (store_failed(store, NULL))
		return 0;
	stored.id = sql_last_id(store);
	known_keep_attempt(store_known(store), &stored);
	return stored.id;
}

void store_attempts_skip(struct store *store)
{
	/* Not even the first attempt need have come through. */
	sql_run(store,
	        "INSERT INTO sqlite_sequence(name, seq) SELECT 'attempt', 0 WHERE NOT EXISTS"
	        " (SELECT 1 FROM sqlite_sequence WHERE name = 'attempt')",
	        "");
	sql_run(store,
	        "UPDATE sqlite_sequence SET seq = seq + ?1 * (SELECT count(*) FROM teammate)"
	        " WHERE name = 'attempt'",
	        "i", (int64_t)(STORE_UNSYNCED_MAX + 1));
}

void store_attempt_end(struct store *store, const struct attempt_row *row)
{
	sql_run(store,
	        "UPDATE attempt SET outcome = ?2, head = ?3, tree = ?4, unchanged = ?5, error_code "
	        "= ?6,"
	        " error_message = ?7, verify = ?8, usage = coalesce(?9, usage), changes = ?10, "
	        "kept = ?11,"
	        " ended_at = ?12, seconds = ?13, measures = ?14 WHERE id = ?1",
	        "iittbittttt"
	        "idt",
	        row->id, (int64_t)row->outcome, row->head, row->tree, row->unchanged,
	        (int64_t)row->error_code, row->error_message, row->verify, row->usage, row->changes,
	        row->kept, row->ended_at, row->seconds, row->measures);
}

void store_attempt_set_session(struct store *store, int64_t id, const char *session,
                               const char *continues)
{
	sql_run(store, "UPDATE attempt SET session = ?2, continues = ?3 WHERE id = ?1", "itt", id,
	        session, continues);
}

void store_attempt_set_rounds(struct store *store, int64_t id, const char *rounds)
{
	sql_run(store, "UPDATE attempt SET rounds = ?2 WHERE id = ?1", "it", id, rounds);
}

bool store_session_in_use(struct store *store, const char *session)
{
	return sql_int(store, 0, "SELECT count(*) FROM attempt WHERE outcome = 0 AND session = ?1",
	               "t", session) != 0;
}

int64_t store_attempt_running_of(struct store *store, const char *teammate)
{
	struct known *known = store_known(store);
	int64_t id;

	if (known_running(known, teammate, &id))
		return id;
	id = sql_int(
	    store, 0,
	    "SELECT id FROM attempt WHERE teammate = ?1 AND outcome = 0 ORDER BY id DESC LIMIT 1",
	    "t", teammate);
	if (!store_failed(store, NULL))
		known_keep_running(known, teammate, id);
	return id;
}

int64_t store_attempt_last_of(struct store *store, const char *teammate)
{
	return sql_int(store, 0,
	               "SELECT id FROM attempt WHERE teammate = ?1 ORDER BY id DESC LIMIT 1", "t",
	               teammate);
}

int64_t *store_attempts_running(struct store *store)
{
	/* By the index of those that run; ordered by the key itself, all attempts are read. */
	return sql_ints(store, "SELECT id FROM attempt WHERE outcome = 0 ORDER BY +id", "");
}

int64_t store_attempt_previous(struct store *store, int64_t task, int64_t before)
{
	return sql_int(
	    store, 0, "SELECT id FROM attempt WHERE task = ?1 AND id < ?2 ORDER BY id DESC LIMIT 1",
	    "ii", task, before);
}

int64_t store_attempt_newest_of(struct store *store, const char *teammate)
{
	return sql_int(store, 0,
	               "SELECT id FROM attempt WHERE teammate = ?1 ORDER BY id DESC LIMIT 1", "t",
	               teammate);
}

int64_t store_attempt_running_task(struct store *store, int64_t task)
{
	return sql_int(
	    store, 0,
	    "SELECT id FROM attempt WHERE task = ?1 AND outcome = 0 ORDER BY id DESC LIMIT 1", "i",
	    task);
}

json_t *store_attempt_slots(struct store *store)
{
	sqlite3_stmt *row =
	    sql_bind(store, "SELECT DISTINCT slot FROM attempt WHERE slot IS NOT NULL", "");
	json_t *slots = json_array();

	while (sql_step(store, row))
		json_array_append_new(slots,
		                      json_text_or_null((const char *)sqlite3_column_text(row, 0)));
	return slots;
}
