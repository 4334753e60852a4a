/* The file of the write-ahead log: the moment inside a commit when the change is in it and not
 * synced yet.
 *
 * Owns a method table in front of the log's file, so that SQLite's own commit says when that is,
 * what is to be written there in one piece, how many commits wait for their sync, the one whose
 * sync comes right after it and may take it back, and the mark of a log whose sync failed after
 * somebody had been told. Must not be used to tell anybody who outlives a power cut: what is told
 * then is lost with it. */
#include "store_wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controls.h"
#include "mem.h"

static struct store_wal *wal_of(sqlite3_file *file)
{
	return (struct store_wal *)((char *)file->pMethods - offsetof(struct store_wal, methods));
}

static int write_through(struct store_wal *wal, sqlite3_file *file, const void *data, int len,
                         sqlite3_int64 at)
{
	int rc;

	store_room_enter(&wal->room);
	rc = wal->real->xWrite(file, data, len, at);
	store_room_leave(&wal->room, rc == SQLITE_OK ? at + len : 0);
	return rc;
}

static int write_pending(struct store_wal *wal, sqlite3_file *file)
{
	int rc = SQLITE_OK;

	if (wal->pending_len)
		rc = write_through(wal, file, wal->pending, wal->pending_len, wal->pending_at);
	if (rc == SQLITE_OK)
		wal->pending_len = 0;
	return rc;
}

/* SQLite writes each frame in two pieces, one behind the other, and syncs before it takes them for
 * written: so they go out together, before the sync, or before it reads. Without that sync each is
 * written at once. */
static int wal_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	struct store_wal *wal = wal_of(file);
	bool follows =
	    at == wal->pending_at + wal->pending_len && len <= STORE_WAL_PENDING - wal->pending_len;
	int rc = follows ? SQLITE_OK : write_pending(wal, file);

	wal->written_at = at;
	wal->written_end = at + len;
	if (at > 0 && (!wal->begin || at < wal->begin))
		wal->begin = at;
	if (rc != SQLITE_OK)
		return rc;
	if (len > STORE_WAL_PENDING || control_off("fsync-store"))
		return write_through(wal, file, data, len, at);
	if (!wal->pending_len)
		wal->pending_at = at;
	memcpy(wal->pending + wal->pending_len, data, (size_t)len);
	wal->pending_len += len;
	return SQLITE_OK;
}

/* What is to be written is read from where it is: a full disk must not fail a read, which SQLite
 * takes for less than a write that fails. */
static int wal_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
	struct store_wal *wal = wal_of(file);
	sqlite3_int64 end = wal->pending_at + wal->pending_len;
	int rc;

	if (at >= wal->pending_at && at + len <= end) {
		memcpy(data, wal->pending + (at - wal->pending_at), (size_t)len);
		return SQLITE_OK;
	}
	rc = at < end && at + len > wal->pending_at ? write_pending(wal, file) : SQLITE_OK;
	return rc == SQLITE_OK ? wal->real->xRead(file, data, len, at) : rc;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct store_wal *wal = wal_of(file);
	int rc = write_pending(wal, file);

	return rc == SQLITE_OK ? wal->real->xTruncate(file, size) : rc;
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *size)
{
	struct store_wal *wal = wal_of(file);
	int rc = write_pending(wal, file);

	return rc == SQLITE_OK ? wal->real->xFileSize(file, size) : rc;
}

static int sync_now(struct store_wal *wal, sqlite3_file *file, int flags)
{
	int rc = wal->real->xSync(file, flags);

	/* A later sync would say that all is well. */
	wal->failed = wal->due && rc != SQLITE_OK;
	if (rc != SQLITE_OK && wal->unsynced)
		wal->lost = true;
	else if (rc != SQLITE_OK && wal->fd >= 0)
		fdatasync(wal->fd); /* it would be told of this again, which is nobody's by then */
	if (rc == SQLITE_OK) {
		wal->unsynced = wal->syncing = 0;
		wal->due = false;
	}
	return rc;
}

/* A log that begins anew has its header synced first; behind that nothing is written yet. The one
 * sync of a commit may come later, not those of a checkpoint within it. The disk is told to begin
 * with it at once: until it is waited for, it takes its time beside what else is done. */
static int wal_sync(sqlite3_file *file, int flags)
{
	struct store_wal *wal = wal_of(file);
	store_written_fn written = wal->written;
	int rc = write_pending(wal, file);

	if (rc != SQLITE_OK)
		return rc;
	if (written && wal->written_at > 0) {
		wal->written = NULL;
		wal->told = written(wal->context);
		if (wal->told && wal->may_wait && wal->unsynced < STORE_UNSYNCED_MAX) {
			wal->deferred = false; /* the next is that of a checkpoint */
			wal->unsynced++;
			wal->later++;
			return SQLITE_OK;
		}
	}
	if (wal->deferred && wal->written_at > 0) {
		wal->deferred = false;
		wal->due = true;
		if (wal->fd >= 0)
			sync_file_range(wal->fd, wal->begin, wal->written_end - wal->begin,
			                SYNC_FILE_RANGE_WRITE);
		return SQLITE_OK;
	}
	return sync_now(wal, file, flags);
}

void store_wal_reset(struct store_wal *wal)
{
	wal->pending_len = 0;
	wal->begin = 0;
	wal->deferred = wal->due = wal->failed = false;
}

void store_wal_defer(struct store_wal *wal)
{
	wal->deferred = !control_off("fsync-store");
}

int store_wal_end(struct store_wal *wal)
{
	wal->deferred = false;
	if (wal->failed)
		return SQLITE_IOERR_FSYNC;
	return wal->due ? sync_now(wal, wal->file, SQLITE_SYNC_NORMAL) : SQLITE_OK;
}

/* The sync is for the length: without it a power cut may bring back what was refused. It may fail
 * like the one before it. */
int store_wal_cut(struct store_wal *wal)
{
	int rc = wal->begin > 0 ? wal->real->xTruncate(wal->file, wal->begin) : SQLITE_IOERR;

	if (rc == SQLITE_OK)
		wal->real->xSync(wal->file, SQLITE_SYNC_NORMAL);
	return rc;
}

int store_wal_settle(struct store_wal *wal)
{
	return wal->unsynced ? sync_now(wal, wal->file, SQLITE_SYNC_NORMAL) : SQLITE_OK;
}

bool store_wal_sync_begin(struct store_wal *wal)
{
	if (wal->fd < 0 || !wal->unsynced)
		return false;
	wal->syncing = wal->unsynced;
	return true;
}

/* Nobody is told of that error again: whoever dies before it is heard of leaves the mark. */
int store_wal_sync_beside(const struct store_wal *wal, const char *db)
{
	int why = fdatasync(wal->fd) < 0 ? errno : 0;

	if (why)
		store_wal_mark(db);
	return why;
}

void store_wal_sync_end(struct store_wal *wal)
{
	wal->unsynced -= wal->syncing;
	wal->syncing = 0;
}

int store_wal_watch(struct store_wal *wal, const char *db_file, sqlite3 *db)
{
	_cleanup_free_ char *log = xasprintf("%s-wal", db_file);
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	int fd;

	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK ||
	    !file || !file->pMethods)
		return -1;
	wal->real = file->pMethods;
	wal->methods = *wal->real;
	wal->methods.xRead = wal_read;
	wal->methods.xWrite = wal_write;
	wal->methods.xTruncate = wal_truncate;
	wal->methods.xSync = wal_sync;
	wal->methods.xFileSize = wal_size;
	wal->real->xFileSize(file, &size);
	store_room_is(&wal->room, size);
	wal->file = file;
	file->pMethods = &wal->methods;
	/* A descriptor of its own: each is told of an error by itself. No lock is on this file that
	 * its end could take away. It keeps its number, for a sync beside us may be using it. */
	fd = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (wal->fd < 0) {
		wal->fd = fd;
	} else if (fd >= 0) {
		dup3(fd, wal->fd, O_CLOEXEC);
		close(fd);
	}
	return 0;
}

void store_wal_make_room(struct store_wal *wal, const char *db)
{
	_cleanup_free_ char *log = xasprintf("%s-wal", db);

	if (wal->file)
		store_room_make(&wal->room, log);
}

void store_wal_finish(struct store_wal *wal)
{
	store_room_finish(&wal->room);
	if (wal->fd >= 0)
		close(wal->fd);
	wal->fd = -1;
}

void store_wal_on_written(struct store_wal *wal, store_written_fn written, void *context,
                          bool may_wait)
{
	wal->may_wait = may_wait;
	wal->written = written;
	wal->context = context;
	wal->written_at = 0;
	wal->told = false;
}

bool store_wal_told(struct store_wal *wal)
{
	bool told = wal->told;

	wal->written = NULL;
	wal->told = false;
	return told;
}

static char *mark_of(const char *db)
{
	return xasprintf("%s-unsynced", db);
}

/* Made while all is well, to become the mark by its name alone: a full disk has no room for more.
 */
static char *blank_of(const char *db)
{
	return xasprintf("%s-blank", db);
}

int store_wal_mark(const char *db)
{
	_cleanup_free_ char *mark = mark_of(db), *blank = blank_of(db);
	_cleanup_close_ int fd = -1;

	if (rename(blank, mark) == 0)
		return 0;
	fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -1 : 0;
}

/* What a process wrote and did not live to sync is read from the log like the rest, and would be
 * told to people as if it were. */
static int sync_log(const char *db)
{
	_cleanup_free_ char *log = xasprintf("%s-wal", db);
	_cleanup_close_ int fd = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	return control_off("fsync-store") ? 0 : fdatasync(fd);
}

int store_wal_mend(const char *file, sqlite3 *db, struct error *err)
{
	_cleanup_free_ char *mark = mark_of(file), *blank = blank_of(file);
	_cleanup_close_ int fd = -1;

	if (access(mark, F_OK) == 0) {
		if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
		    SQLITE_OK)
			return error_set(err, ERROR_EXTERNAL, "cannot sync %s: %s", file,
			                 sqlite3_errmsg(db));
		if (unlink(mark) < 0)
			return error_errno(err, "cannot remove %s", mark);
	}
	if (sync_log(file) < 0) {
		error_errno(err, "cannot sync the log of %s", file);
		store_wal_mark(file); /* the next sync would say that all is well */
		return -1;
	}
	fd = open(blank, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return 0;
}
