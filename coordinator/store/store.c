/* The store's transactions and prepared statements. */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "place.h"
#include "store_sql.h"
#include "store_stuck.h"

static void store_fail(struct store *store)
{
	int rc = sqlite3_extended_errcode(store->db);

	if ((rc & 0xff) == SQLITE_NOMEM)
		die("out of memory (the store)");
	if (store->failed)
		return;
	store->failed = true;
	error_set(&store->why, ERROR_EXTERNAL, "the store: %s%s", sqlite3_errmsg(store->db),
	          (rc & 0xff) == SQLITE_FULL ? " (free some disk space)" : "");
}

void store_graph_changed(struct store *store)
{
	stuck_free(store->stuck);
	store->stuck = NULL;
}

struct known *store_known(struct store *store)
{
	return store->known;
}

void store_event_is_last(struct store *store, int64_t seq)
{
	store->last_event = seq;
}

int64_t store_event_last(struct store *store)
{
	if (store->last_event < 0)
		store->last_event =
		    sql_int(store, -1, "SELECT coalesce(max(seq), 0) FROM event", "");
	return store->last_event < 0 ? 0 : store->last_event;
}

/* Something was undone: nothing that was remembered need be so. */
static void forget_all(struct store *store)
{
	store_graph_changed(store);
	known_forget(store->known);
	store->last_event = -1;
}

static const struct stuck *stuck_now(struct store *store)
{
	if (!store->stuck)
		store->stuck = stuck_make(store);
	return store->stuck;
}

int64_t *store_task_stuck_by(struct store *store, int64_t id)
{
	return stuck_roots(stuck_now(store), id);
}

int64_t store_stuck_count(struct store *store, int64_t plan)
{
	return stuck_count(store, stuck_now(store), plan);
}

int store_begin(struct store *store, struct error *err)
{
	store->failed = false;
	store_wal_reset(&store->wal);
	sql_run(store, "BEGIN IMMEDIATE", "");
	return store_failed(store, err) ? -1 : 0;
}

/* The next process finds the change, and that it was not synced. */
static _Noreturn void end_unsynced(struct store *store, const char *why, const char *when)
{
	if (store_wal_mark(store->file) < 0)
		log_error("store", "cannot mark the log: %s", strerror(errno));
	die("%s, %s", why, when);
}

static const char after_told[] = "after a worker was told";

static int commit(struct store *store, struct error *err)
{
	sql_run(store, "COMMIT", "");
	if (store->wal.lost)
		end_unsynced(store, "the log cannot be synced", after_told);
	if (!store_failed(store, err))
		return 0;
	if (store_wal_told(&store->wal))
		end_unsynced(store, store->why.text, after_told);
	store_rollback(store);
	return -1;
}

/* The last commit is as if it had never been; nobody was told of it. SQLite undoes none that is
 * made: so what it wrote is cut off, and it reads the log anew. */
static void take_back(struct store *store, const char *why)
{
	struct error err = ERROR_INIT;

	if (store_has_moved(store))
		end_unsynced(store, why, "and the store is not where it was");
	if (store_wal_cut(&store->wal) != SQLITE_OK)
		end_unsynced(store, why, "and the log cannot be cut");
	if (store_disconnect(store) < 0)
		end_unsynced(store, why, "and SQLite does not let go of the log");
	if (store_connect(store, 0, &err) < 0)
		end_unsynced(store, why, err.text);
	if (store_wal_watch(&store->wal, store->file, store->db) < 0)
		end_unsynced(store, why, "and SQLite does not say which file the log is");
	store_wal_reset(&store->wal);
	forget_all(store);
	store->failed = false;
}

int store_commit_begin(struct store *store, struct error *err)
{
	store_wal_defer(&store->wal);
	return commit(store, err);
}

int store_commit_end(struct store *store, struct error *err)
{
	int rc = store_wal_end(&store->wal);
	bool told = store_wal_told(&store->wal);

	if (rc == SQLITE_OK)
		return 0;
	if (told || store->wal.lost)
		end_unsynced(store, sqlite3_errstr(rc), after_told);
	take_back(store, sqlite3_errstr(rc));
	return error_set(err, ERROR_EXTERNAL, "the store: %s", sqlite3_errstr(rc));
}

int store_commit(struct store *store, struct error *err)
{
	return store_commit_begin(store, err) < 0 ? -1 : store_commit_end(store, err);
}

void store_on_written(struct store *store, store_written_fn written, void *context, bool may_wait)
{
	store_wal_on_written(&store->wal, written, context, may_wait);
}

void store_settle(struct store *store)
{
	int rc = store_wal_settle(&store->wal);

	if (rc != SQLITE_OK)
		end_unsynced(store, sqlite3_errstr(rc), after_told);
}

void store_make_room(struct store *store)
{
	store_wal_make_room(&store->wal, store->file);
}

bool store_sync_begin(struct store *store)
{
	return store_wal_sync_begin(&store->wal);
}

int store_sync_beside(const struct store *store)
{
	return store_wal_sync_beside(&store->wal, store->file);
}

void store_sync_end(struct store *store, int error)
{
	/* Where that was synced meanwhile, the error is of a write whose own sync says so. */
	if (error && store->wal.syncing)
		end_unsynced(store, strerror(error), after_told);
	store_wal_sync_end(&store->wal);
}

int64_t store_synced_later(const struct store *store)
{
	return store->wal.later;
}

int store_unsynced(const struct store *store)
{
	return store->wal.unsynced;
}

void store_rollback(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	store_wal_reset(&store->wal);
	forget_all(store);
	store->failed = false;
}

void store_savepoint(struct store *store)
{
	store->failed = false;
	/* A full disk can end the whole transaction. Outside of one, each savepoint would be
	 * committed by itself, while everybody is told that nothing was. */
	if (sqlite3_get_autocommit(store->db)) {
		store->failed = true;
		error_set(&store->why, ERROR_EXTERNAL, "the store: its transaction was undone");
	}
	sql_run(store, "SAVEPOINT request", "");
}

void store_release(struct store *store)
{
	sql_run(store, "RELEASE request", "");
}

void store_rollback_to(struct store *store)
{
	store->failed = false;
	forget_all(store);
	sql_run(store, "ROLLBACK TO request", "");
	sql_run(store, "RELEASE request", "");
}

bool store_failed(const struct store *store, struct error *err)
{
	if (store->failed && err)
		*err = store->why;
	return store->failed;
}

/* SQLite syncs neither what it vacuums into nor its name. */
static int sync_file(const char *file)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -1 : place_sync_name(file);
}

int store_snapshot(struct store *store, const char *file, struct error *err)
{
	struct error why = ERROR_INIT;
	struct stat st;

	if (lstat(file, &st) == 0)
		return error_set(err, ERROR_CONFLICT, "cannot write %s: it is there already", file);
	store->failed = false;
	sql_run(store, "VACUUM INTO ?1", "t", file);
	if (!store_failed(store, &why)) {
		if (sync_file(file) == 0)
			return 0;
		error_errno(&why, "it cannot be synced");
	}
	store->failed = false;
	unlink(file); /* half a copy is none */
	if (err)
		*err = why;
	return error_wrap(err, "cannot write %s", file);
}

char *store_setting(struct store *store, const char *key)
{
	return sql_text(store, "SELECT value FROM setting WHERE key = ?1", "t", key);
}

void store_set_setting(struct store *store, const char *key, const char *value)
{
	sql_run(store,
	        "INSERT INTO setting(key, value) VALUES(?1, ?2)"
	        " ON CONFLICT(key) DO UPDATE SET value = ?2",
	        "tt", key, value);
}

/* ---- statements ---- */

static sqlite3_stmt *sql_prepare(struct store *store, const char *sql)
{
	size_t at = ((uintptr_t)sql >> 3) % STATEMENTS_MAX;

	for (size_t i = 0; i < STATEMENTS_MAX; i++, at = (at + 1) % STATEMENTS_MAX) {
		if (store->cache[at].sql == sql)
			return store->cache[at].stmt;
		if (store->cache[at].sql)
			continue;
		if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
		                       &store->cache[at].stmt, NULL) != SQLITE_OK) {
			store_fail(store);
			return NULL;
		}
		store->cache[at].sql = sql;
		return store->cache[at].stmt;
	}
	die("more than %d SQL statements", STATEMENTS_MAX);
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(stmt, at);
}

static sqlite3_stmt *bind_all(struct store *store, const char *sql, const char *format, va_list ap)
{
	sqlite3_stmt *stmt = store->failed ? NULL : sql_prepare(store, sql);
	int at = 1;

	if (!stmt)
		return store->nothing;
	sqlite3_reset(stmt);
	for (const char *f = format; *f; f++, at++) {
		int64_t number;

		switch (*f) {
		case 'i':
			sqlite3_bind_int64(stmt, at, va_arg(ap, int64_t));
			break;
		case 'o':
			number = va_arg(ap, int64_t);
			if (number)
				sqlite3_bind_int64(stmt, at, number);
			else
				sqlite3_bind_null(stmt, at);
			break;
		case 'b':
			sqlite3_bind_int(stmt, at, va_arg(ap, int));
			break;
		case 'd':
			sqlite3_bind_double(stmt, at, va_arg(ap, double));
			break;
		case 't':
			bind_text(stmt, at, va_arg(ap, const char *));
			break;
		default:
			die("sql format '%c'", *f);
		}
	}
	return stmt;
}

sqlite3_stmt *sql_bind(struct store *store, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, format);
	stmt = bind_all(store, sql, format, ap);
	va_end(ap);
	return stmt;
}

bool sql_step(struct store *store, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		store_fail(store);
	sqlite3_reset(stmt);
	return false;
}

void sql_done(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
}

void sql_run(struct store *store, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, format);
	stmt = bind_all(store, sql, format, ap);
	va_end(ap);
	while (sql_step(store, stmt))
		;
}

int64_t sql_last_id(struct store *store)
{
	return sqlite3_last_insert_rowid(store->db);
}

int64_t sql_int(struct store *store, int64_t otherwise, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt;
	int64_t value = otherwise;
	va_list ap;

	va_start(ap, format);
	stmt = bind_all(store, sql, format, ap);
	va_end(ap);
	if (sql_step(store, stmt)) {
		if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
			value = sqlite3_column_int64(stmt, 0);
		sqlite3_reset(stmt);
	}
	return value;
}

int64_t *sql_ints(struct store *store, const char *sql, const char *format, ...)
{
	size_t n = 0, cap = 8;
	int64_t *values = xcalloc(cap, sizeof *values);
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, format);
	stmt = bind_all(store, sql, format, ap);
	va_end(ap);
	while (sql_step(store, stmt)) {
		if (n + 2 > cap)
			values = xrealloc(values, (cap *= 2) * sizeof *values);
		values[n++] = sqlite3_column_int64(stmt, 0);
	}
	values[n] = 0;
	return values;
}

char *sql_text(struct store *store, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt;
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	stmt = bind_all(store, sql, format, ap);
	va_end(ap);
	if (sql_step(store, stmt)) {
		text = sql_column_text(stmt, 0);
		sqlite3_reset(stmt);
	}
	return text;
}

char *sql_column_text(sqlite3_stmt *stmt, int column)
{
	return xstrdup((const char *)sqlite3_column_text(stmt, column));
}

json_t *sql_column_json(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	json_t *value = text ? jsonl_parse(text, strlen(text), NULL) : NULL;

	return value ? value : json_null();
}
