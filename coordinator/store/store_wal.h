/* See store_wal.c. Of the store alone. */
#ifndef PLEACH_STORE_WAL_H
#define PLEACH_STORE_WAL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store.h"
#include "store_room.h"

#define STORE_WAL_PENDING (64 << 10)

struct store_wal {
	sqlite3_io_methods methods; /* in front of `real` */
	const sqlite3_io_methods *real;
	sqlite3_int64 written_at, written_end; /* the last write */
	struct store_room room;
	store_written_fn written; /* NULL: nobody is to be told */
	void *context;
	bool told;
	bool may_wait;       /* the sync of this commit, if somebody was told */
	int unsynced;        /* commits whose sync did not happen yet */
	int64_t later;       /* commits whose sync came or comes later, ever */
	int syncing;         /* of the unsynced, those that the sync beside us is for */
	int fd;              /* of that sync, and to begin others; -1: none */
	bool lost;           /* a sync failed that was theirs, too */
	bool deferred;       /* the sync of the next commit comes after it: store_wal_end */
	bool due;            /* it has been put off, and did not happen yet */
	bool failed;         /* it was tried, by a checkpoint in that commit or in the end */
	sqlite3_int64 begin; /* of what this transaction wrote; 0: nothing yet */
	sqlite3_file *file;
	sqlite3_int64 pending_at; /* what is to be written here, in one piece */
	int pending_len;
	char pending[STORE_WAL_PENDING];
};

/* Once the log of that database is open. The structure must outlive the connection. -1: SQLite does
 * not say which file it is; nobody is told early then. */
int store_wal_watch(struct store_wal *wal, const char *db_file, sqlite3 *db);
/* See store_make_room. */
void store_wal_make_room(struct store_wal *wal, const char *db);
void store_wal_finish(struct store_wal *wal);
void store_wal_on_written(struct store_wal *wal, store_written_fn written, void *context,
                          bool may_wait);
/* After the commit: whether somebody was told; forgets it. */
bool store_wal_told(struct store_wal *wal);

/* Before each transaction, and when one is undone: nothing of it is left to be written. */
void store_wal_reset(struct store_wal *wal);
/* The disk is told to begin with what the next commit writes, which ends without its sync. */
void store_wal_defer(struct store_wal *wal);
/* After it: its sync, where that was put off. SQLite's result. */
int store_wal_end(struct store_wal *wal);
/* The last commit is no part of the log any more; SQLite, which does not know, is to let go of it
 * next. SQLite's result. */
int store_wal_cut(struct store_wal *wal);

/* Syncs what waits for that. SQLite's result. */
int store_wal_settle(struct store_wal *wal);
/* See store_sync_begin. */
bool store_wal_sync_begin(struct store_wal *wal);
int store_wal_sync_beside(const struct store_wal *wal, const char *db);
void store_wal_sync_end(struct store_wal *wal);
/* Somebody was told, and the sync failed: the kernel takes the log for clean, whatever the disk
 * has of it. Whoever opens the store next brings all of it into the database itself first, or
 * does not open it. -1 with errno. */
int store_wal_mark(const char *db);
/* At each opening, before anything is read for anybody: all that the log holds is on the disk. */
int store_wal_mend(const char *file, sqlite3 *db, struct error *err);

#endif
