/* What a store is. Of store.c and store_open.c alone: the rest goes by statements (store_sql.h). */
#ifndef PLEACH_STORE_PRIVATE_H
#define PLEACH_STORE_PRIVATE_H

#include <sqlite3.h>

#include "store.h"
#include "store_wal.h"

#define STATEMENTS_MAX 256

struct store {
	sqlite3 *db;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} cache[STATEMENTS_MAX];
	sqlite3_stmt *nothing; /* yields no row: what a failed store answers */
	bool failed;
	struct error why;    /* the first failure since the savepoint */
	struct stuck *stuck; /* NULL: to be found out anew */
	struct known *known;
	int64_t last_event; /* -1: to be asked for */
	struct store_wal wal;
	char *file;
};

/* Connects to store->file, as if no statement of this process had ever been; what is in the log is
 * read again. Syncs and migrates nothing. flags: SQLITE_OPEN_CREATE, or none. */
int store_connect(struct store *store, int flags, struct error *err);
/* store->file is not the file that is open, or nobody knows. */
bool store_has_moved(struct store *store);
/* The log and the file stay as they are. -1: SQLite will not. */
int store_disconnect(struct store *store);

#endif
