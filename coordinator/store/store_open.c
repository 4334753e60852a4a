/* Opening the store: SQLite's settings, the connection, migrations; and the connection once more,
 * when a commit has to be taken back. */
#include "store_private.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controls.h"
#include "mem.h"
#include "store_sql.h"
#include "store_stuck.h"

static int exec(struct store *store, const char *sql, struct error *err)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return error_set(err, ERROR_EXTERNAL, "the store: %s", sqlite3_errmsg(store->db));
	return 0;
}

static int store_version(struct store *store)
{
	return (int)sql_int(store, -1, "PRAGMA user_version", "");
}

/* Each migration and its number are one transaction: a death between leaves either. */
static int store_migrate(struct store *store, const char *file, struct error *err)
{
	int version = store_version(store);

	if (version < 0)
		return error_set(err, ERROR_EXTERNAL, "cannot read %s: %s", file, store->why.text);
	if (version > STORE_SCHEMA)
		return error_set(err, ERROR_EXTERNAL,
		                 "%s was written by a newer pleach (schema %d, this one knows %d): "
		                 "install that version",
		                 file, version, STORE_SCHEMA);
	for (int i = version; i < STORE_SCHEMA; i++) {
		_cleanup_free_ char *sql =
		    xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;",
		              store_migrations[i], i + 1);

		if (exec(store, sql, err) < 0)
			return error_wrap(err, "migrating %s to schema %d", file, i + 1);
	}
	return 0;
}

/* The file with the links of its folder resolved: a home may be one, the store itself must not
 * (SQLite refuses links anywhere on the way). Caller frees. */
static char *real_file(const char *file)
{
	const char *slash = strrchr(file, '/');
	_cleanup_free_ char *folder = slash ? xstrndup(file, (size_t)(slash - file) + 1) : NULL;
	_cleanup_free_ char *real = folder ? realpath(folder, NULL) : NULL;

	return real ? xasprintf("%s/%s", real, slash + 1) : xstrdup(file);
}

static void row_written(void *context, int op, const char *base, const char *table,
                        sqlite3_int64 id)
{
	struct store *store = context;

	(void)op;
	(void)base;
	known_row_changed(store->known, table, id);
}

static void *memory_take(int size)
{
	return xrealloc(NULL, (size_t)size);
}

static void *memory_change(void *at, int size)
{
	return xrealloc(at, (size_t)size);
}

static int memory_size(void *at)
{
	return (int)malloc_usable_size(at);
}

static int memory_round(int size)
{
	return (size + 7) & ~7;
}

static int memory_begin(void *context)
{
	(void)context;
	return SQLITE_OK;
}

static void memory_end(void *context)
{
	(void)context;
}

/* For want of memory a column of text would be NULL, as if the row had none: we die of it, as
 * everywhere. Counting what it allocates takes a lock each time, and nobody asks. */
static void configure(void)
{
	static const sqlite3_mem_methods memory = {memory_take, free,         memory_change,
	                                           memory_size, memory_round, memory_begin,
	                                           memory_end,  NULL};
	static bool done;

	if (!done) {
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
		sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
	}
	done = true;
}

int store_connect(struct store *store, int flags, struct error *err)
{
	if (sqlite3_open_v2(store->file, &store->db,
	                    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
	                        flags,
	                    NULL) != SQLITE_OK)
		return error_set(err, ERROR_EXTERNAL, "cannot open %s: %s", store->file,
		                 sqlite3_errmsg(store->db));
	chmod(store->file, 0600);
	sqlite3_busy_timeout(store->db, 0);
	sqlite3_update_hook(store->db, row_written, store);
	if (exec(store,
	         "PRAGMA locking_mode = EXCLUSIVE;"
	         "PRAGMA journal_mode = WAL;"
	         "PRAGMA synchronous = FULL;"
	         "PRAGMA foreign_keys = ON;"
	         "PRAGMA temp_store = MEMORY;",
	         err) < 0)
		return -1;
	if (control_off("fsync-store") && exec(store, "PRAGMA synchronous = NORMAL;", err) < 0)
		return -1;
	if (sqlite3_prepare_v2(store->db, "SELECT 1 WHERE 0", -1, &store->nothing, NULL) !=
	    SQLITE_OK)
		return error_set(err, ERROR_EXTERNAL, "cannot read %s: %s", store->file,
		                 sqlite3_errmsg(store->db));
	return 0;
}

static void finalize_all(struct store *store)
{
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(store->cache[i].stmt);
	memset(store->cache, 0, sizeof store->cache);
	sqlite3_finalize(store->nothing);
	store->nothing = NULL;
}

bool store_has_moved(struct store *store)
{
	int moved = 0;

	return sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) !=
	           SQLITE_OK ||
	       moved;
}

int store_disconnect(struct store *store)
{
	finalize_all(store);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (sqlite3_close(store->db) != SQLITE_OK)
		return -1;
	store->db = NULL;
	return 0;
}

static void say_damaged(struct store *store, struct error *err)
{
	int rc = sqlite3_errcode(store->db);

	if (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT)
		error_set(
		    err, ERROR_EXTERNAL,
		    "%s is damaged: %s (put a copy of it back; sqlite3's .recover saves what can "
		    "be read)",
		    store->file, sqlite3_errmsg(store->db));
}

int store_open(const char *file, struct store **out, struct error *err)
{
	struct store *store = xcalloc(1, sizeof *store);

	configure();
	store->known = known_new();
	store->last_event = -1;
	store->wal.fd = -1;
	store_room_init(&store->wal.room);
	store->file = real_file(file);
	if (store_connect(store, SQLITE_OPEN_CREATE, err) < 0 ||
	    store_wal_mend(store->file, store->db, err) < 0 ||
	    store_migrate(store, file, err) < 0) {
		say_damaged(store, err);
		store_close(store);
		return -1;
	}
	store_wal_watch(&store->wal, store->file, store->db);
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_settle(store);
	store_wal_finish(&store->wal);
	finalize_all(store);
	stuck_free(store->stuck);
	known_free(store->known);
	sqlite3_close(store->db);
	free(store->file);
	free(store);
}
