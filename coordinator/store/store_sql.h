/* Statements for the store's own files: prepared once, bound, stepped, reset.
 * Static SQL only; the cache's key is the address of the text. */
#ifndef PLEACH_STORE_SQL_H
#define PLEACH_STORE_SQL_H

#include <sqlite3.h>

#include "store.h"

/* The statement, reset and bound. Format: i int64, t text (NULL is null), z text or null for
 * 0-length, b bool, d double, o int64 that is null for 0. Never NULL: after a failure a
 * harmless one that yields no row. */
sqlite3_stmt *sql_bind(struct store *store, const char *sql, const char *format, ...);
/* Runs to its end, for statements whose rows nobody wants. */
void sql_run(struct store *store, const char *sql, const char *format, ...);
/* True while there is a row. Resets at the end. */
bool sql_step(struct store *store, sqlite3_stmt *stmt);
/* Resets a statement that was left early. */
void sql_done(sqlite3_stmt *stmt);
int64_t sql_last_id(struct store *store);
/* First column of the first row, or `otherwise`. */
int64_t sql_int(struct store *store, int64_t otherwise, const char *sql, const char *format, ...);
/* First column of all rows, 0 at the end; caller frees. */
int64_t *sql_ints(struct store *store, const char *sql, const char *format, ...);
/* First column of the first row; caller frees; NULL. */
char *sql_text(struct store *store, const char *sql, const char *format, ...);
/* A column as a copy (NULL stays NULL); caller frees. */
char *sql_column_text(sqlite3_stmt *stmt, int column);
/* A column that holds JSON: new reference, json null when it is null. */
json_t *sql_column_json(sqlite3_stmt *stmt, int column);

/* store_known.c: of rows that rarely change, what was parsed. */
struct known;
struct known *known_new(void);
void known_free(struct known *known);
void known_forget(struct known *known);                                     /* a turn was undone */
void known_forget_plans(struct known *known);                               /* a plan was written */
void known_row_changed(struct known *known, const char *table, int64_t id); /* or removed */
void known_keep_task(struct known *known, const struct task_row *task);
const struct task_row *known_task(const struct known *known, int64_t id); /* NULL: not known */
void known_keep_attempt(struct known *known, const struct attempt_row *attempt);
const struct attempt_row *known_attempt(const struct known *known, int64_t id);
/* What a teammate runs (0: nothing): changed when one of its attempts is added, and with that row.
 */
void known_running_changed(struct known *known, const char *teammate);
void known_keep_running(struct known *known, const char *teammate, int64_t attempt);
bool known_running(const struct known *known, const char *teammate, int64_t *attempt);
/* There is no task of these: changed with any task and any attempt. */
#define KNOWN_NO_BASE_MISSING 1u
#define KNOWN_NONE_READY      2u
void known_keep_none(struct known *known, unsigned which);
unsigned known_none(const struct known *known);
/* More (or less) of a plan's tasks have this status. */
void known_count(struct known *known, int64_t plan, enum task_status status, int64_t more);
/* Adds those of one plan. */
void store_plan_counts(struct store *store, int64_t plan, int64_t counts[task_status_count]);
struct known *store_known(struct store *store);
/* The spec of that number; text: what the row says. New reference. */
json_t *store_spec(struct store *store, int64_t id, const char *text);
/* Its number; stored when it is new. */
int64_t store_spec_id(struct store *store, const json_t *spec);

/* The event that was written last, or that it must be asked for (-1). */
void store_event_is_last(struct store *store, int64_t seq);

/* A status or an edge was written: what was known of stuck tasks is not any more. */
void store_graph_changed(struct store *store);

/* What a query must say so that the index task_status can answer it: of tasks (as t) that are
 * neither pending nor completed. */
#define TASK_IS_FEW(t) t ".status > 0 AND " t ".status <> 3"

extern const char *const store_migrations[STORE_SCHEMA];

#endif
