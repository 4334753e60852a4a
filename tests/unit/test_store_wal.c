/* What is told inside a commit, before its sync: it is in the log by then, whatever the log went
 * through before; and a sync that fails after it was told undoes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "store_fixture.h"
#include "store_sql.h"
#include "sync_fixture.h"

struct told {
	struct store_fixture *f;
	const char *key;
	int times, looked, begun_anew;
	char salt[8]; /* of the log: another one when it begins anew */
	int synced;   /* before */
	bool anybody;
};

/* What another process would find if this one died now. */
static void look(struct told *told)
{
	_cleanup_free_ char *wal = xasprintf("%s-wal", told->f->file),
	                    *copy = xasprintf("%s/copy.db", told->f->dir),
	                    *copy_wal = xasprintf("%s-wal", copy);
	_cleanup_free_ char *value = NULL;
	const bool fail = syncs_fail;
	const int counted = syncs, before = database_first;
	const bool written = log_written;
	struct store *store;

	syncs_fail = false;
	copy_file(told->f->file, copy);
	copy_file(wal, copy_wal);
	store = fixture_open(copy);
	value = store_setting(store, told->key);
	assert_non_null(value);
	store_close(store);
	syncs_fail = fail;
	syncs = counted;
	database_first = before;
	log_written = written;
	told->looked++;
}

static bool on_written(void *context)
{
	struct told *told = context;
	_cleanup_free_ char *wal = xasprintf("%s-wal", told->f->file);
	_cleanup_close_ int fd = open(wal, O_RDONLY | O_CLOEXEC);
	char salt[8] = "";

	told->times++;
	told->synced = syncs;
	log_written = true;
	assert_int_equal(pread(fd, salt, sizeof salt, 16), sizeof salt);
	if (memcmp(salt, told->salt, sizeof salt) != 0) {
		told->begun_anew++;
		memcpy(told->salt, salt, sizeof salt);
		look(told);
	} else if (told->times % 50 == 0) {
		look(told);
	}
	return told->anybody;
}

static void test_told_when_it_is_in_the_log(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *text = xcalloc(1, 40001);
	struct told told = {.f = f, .anybody = true};

	fixture_commit(f->store);
	for (int i = 1; i <= 400; i++) {
		char key[32];

		snprintf(key, sizeof key, "k%d", i % 20);
		told.key = key;
		fixture_begin(f->store);
		memset(text, 'a' + i % 26, 40000); /* SQLite writes no page that is the same */
		store_set_setting(f->store, key, text);
		store_on_written(f->store, on_written, &told, false);
		assert_int_equal(told.times, i - 1);
		fixture_commit(f->store);
		assert_int_equal(told.times, i);
		assert_true(syncs > told.synced); /* the sync came after it */
	}
	assert_true(told.begun_anew > 1); /* the log was used up, and more */
	fixture_begin(f->store);
	store_set_setting(f->store, "k", "v");
	fixture_commit(f->store);
	assert_int_equal(told.times, 400); /* of one commit each */
	fixture_begin(f->store);
}

static void commit_that_waits(struct store_fixture *f, struct told *told, const char *value)
{
	store_set_setting(f->store, told->key, value);
	store_on_written(f->store, on_written, told, true);
	fixture_commit(f->store);
	fixture_begin(f->store);
}

static void test_a_sync_that_waits(void **state)
{
	struct store_fixture *f = *state;
	struct told told = {.f = f, .key = "k", .anybody = true};
	int before;

	commit_that_waits(f, &told, "begun");
	store_settle(f->store);
	before = syncs;
	for (int i = 0; i < STORE_UNSYNCED_MAX; i++) {
		char value[16];

		snprintf(value, sizeof value, "v%d", i);
		commit_that_waits(f, &told, value);
		assert_int_equal(syncs, before);
	}
	assert_int_equal(store_unsynced(f->store), STORE_UNSYNCED_MAX);
	commit_that_waits(f, &told, "one too many");
	assert_int_equal(syncs, before + 1);
	assert_int_equal(store_unsynced(f->store), 0);
	store_settle(f->store); /* nothing waits */
	assert_int_equal(syncs, before + 1);
}

/* The sync beside is for what was committed before it was begun. */
static void test_a_sync_beside(void **state)
{
	struct store_fixture *f = *state;
	struct told told = {.f = f, .key = "k", .anybody = true};
	int before;

	commit_that_waits(f, &told, "begun");
	store_settle(f->store);
	assert_false(store_sync_begin(f->store));
	before = syncs;
	commit_that_waits(f, &told, "a");
	commit_that_waits(f, &told, "b");
	assert_true(store_sync_begin(f->store));
	commit_that_waits(f, &told, "c");
	assert_int_equal(store_sync_beside(f->store), 0);
	store_sync_end(f->store, 0);
	assert_int_equal(store_unsynced(f->store), 1);
	assert_int_equal(store_synced_later(f->store), 4);
	/* What was synced here meanwhile needs none of it. */
	assert_true(store_sync_begin(f->store));
	store_settle(f->store);
	assert_int_equal(store_unsynced(f->store), 0);
	commit_that_waits(f, &told, "d");
	store_sync_end(f->store, 0);
	assert_int_equal(store_unsynced(f->store), 1);
	store_settle(f->store);
	assert_int_equal(syncs, before + 3);
}

static bool writes_fail;
static int refused;
static bool wrote_refused; /* later, what a full disk had kept out */

static ssize_t write_or_not(int fd, const void *data, size_t len, off_t at)
{
	if (!writes_fail) {
		wrote_refused |= memmem(data, len, "refused", 7) != NULL;
		return pwrite(fd, data, len, at);
	}
	refused++;
	errno = ENOSPC;
	return -1;
}

/* Somebody's large request is in the log in part; the next one's meets a full disk, and is refused
 * alone or with all of its turn. What is committed is whole, here and for the next process. */
static void test_a_full_disk_in_the_midst_of_a_turn(void **state)
{
	struct store_fixture *f = *state;
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr real = vfs->xGetSystemCall(vfs, "pwrite64");
	_cleanup_free_ char *text = xcalloc(1, 40001);
	struct told told = {.f = f, .key = "k0000"};
	struct error err = ERROR_INIT;
	bool committed;

	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)write_or_not);
	store_savepoint(f->store);
	for (int i = 0; i < 150; i++) { /* more than SQLite keeps in memory */
		char key[16];

		snprintf(key, sizeof key, "k%04d", i);
		memset(text, 'a' + i % 26, 40000);
		store_set_setting(f->store, key, text);
	}
	store_release(f->store);
	store_savepoint(f->store);
	writes_fail = true;
	sql_run(f->store,
	        "UPDATE setting SET value = value || 'x' WHERE key BETWEEN 'k0000' AND 'k0050'",
	        "");
	writes_fail = false;
	assert_true(refused > 0);
	store_rollback_to(f->store);
	committed = store_commit(f->store, &err) == 0;
	vfs->xSetSystemCall(vfs, "pwrite64", real);
	fixture_begin(f->store);
	assert_int_equal(sql_int(f->store, -1, "SELECT count(*) FROM setting", ""),
	                 committed ? 150 : 0);
	assert_int_equal(sql_int(f->store, -1,
	                         "SELECT count(*) FROM pragma_integrity_check"
	                         " WHERE integrity_check = 'ok'",
	                         ""),
	                 1);
	if (committed)
		look(&told);
}

/* All of it was to be written in one piece, with its end: a whole commit, if that came later. */
static void test_what_a_full_disk_refused_is_never_written(void **state)
{
	struct store_fixture *f = *state;
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr real = vfs->xGetSystemCall(vfs, "pwrite64");
	_cleanup_free_ char *value = NULL;
	struct error err = ERROR_INIT;

	fixture_commit(f->store);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)write_or_not);
	fixture_begin(f->store);
	store_set_setting(f->store, "k", "refused");
	writes_fail = true;
	assert_int_equal(store_commit(f->store, &err), -1);
	writes_fail = wrote_refused = false;
	fixture_begin(f->store);
	store_set_setting(f->store, "other", "made");
	fixture_commit(f->store);
	vfs->xSetSystemCall(vfs, "pwrite64", real);
	assert_false(wrote_refused);
	value = store_setting(f->store, "k");
	assert_null(value);
	fixture_begin(f->store);
}

/* Nobody was told: nothing may wait. */
static void test_a_sync_for_nobody(void **state)
{
	struct store_fixture *f = *state;
	struct told told = {.f = f, .key = "k", .anybody = false};
	int before;

	commit_that_waits(f, &told, "a");
	before = syncs;
	commit_that_waits(f, &told, "b");
	assert_true(syncs > before);
	assert_int_equal(store_unsynced(f->store), 0);
}

/* What goes into the database is on the disk in the log before, though the commits that it came
 * from waited: the log is synced, then the database. */
static void test_a_log_that_is_used_up(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *text = xcalloc(1, 40001);
	struct told told = {.f = f, .key = "k", .anybody = true};
	int times = 0;

	database_first = 0;
	for (int i = 0; i < 400; i++) {
		int begun_anew = told.begun_anew, before = syncs;

		memset(text, 'a' + i % 26, 40000);
		commit_that_waits(f, &told, text);
		times += store_unsynced(f->store) == 0 && syncs >= before + 2;
		if (told.begun_anew > begun_anew && i > 0)
			assert_true(times >= told.begun_anew - 1);
	}
	assert_true(told.begun_anew > 1);
	assert_int_equal(database_first, 0);
}

static void commit_that_fails(struct store_fixture *f, bool anybody)
{
	struct told told = {.f = f, .key = "k", .anybody = anybody};
	struct error err = ERROR_INIT;

	f->store = fixture_open(f->file);
	fixture_begin(f->store); /* a new log has its header synced first */
	store_set_setting(f->store, "before", "v");
	fixture_commit(f->store);
	fixture_begin(f->store);
	store_set_setting(f->store, "k", "v");
	store_on_written(f->store, on_written, &told, false);
	syncs_fail = true;
	assert_int_equal(store_commit(f->store, &err), -1);
	syncs_fail = false;
}

static void in_its_commit(struct store_fixture *f)
{
	commit_that_fails(f, true);
}

static void settle_that_fails(struct store_fixture *f)
{
	struct told told = {.f = f, .key = "k", .anybody = true};

	f->store = fixture_open(f->file);
	fixture_begin(f->store);
	commit_that_waits(f, &told, "v");
	syncs_fail = true;
	store_settle(f->store);
}

/* Nobody was told of the commit whose sync fails, but of the one before. */
static void next_commit_that_fails(struct store_fixture *f)
{
	struct told told = {.f = f, .key = "k", .anybody = true};
	struct error err = ERROR_INIT;

	f->store = fixture_open(f->file);
	fixture_begin(f->store);
	commit_that_waits(f, &told, "v");
	store_set_setting(f->store, "other", "v");
	syncs_fail = true;
	store_commit(f->store, &err);
}

static void begin_a_sync_that_fails(struct store_fixture *f)
{
	struct told told = {.f = f, .key = "k", .anybody = true};

	f->store = fixture_open(f->file);
	fixture_begin(f->store);
	commit_that_waits(f, &told, "v");
	assert_true(store_sync_begin(f->store));
	syncs_fail = true;
}

static void sync_beside_that_fails(struct store_fixture *f)
{
	begin_a_sync_that_fails(f);
	store_sync_end(f->store, store_sync_beside(f->store));
}

/* Who dies before the loop hears of it. */
static void sync_beside_that_nobody_hears_of(struct store_fixture *f)
{
	begin_a_sync_that_fails(f);
	assert_int_equal(store_sync_beside(f->store), EIO);
	abort();
}

static void close_that_fails(struct store_fixture *f)
{
	struct told told = {.f = f, .key = "k", .anybody = true};

	f->store = fixture_open(f->file);
	fixture_begin(f->store);
	commit_that_waits(f, &told, "v");
	fixture_commit(f->store);
	syncs_fail = true;
	store_close(f->store);
}

/* SQLite goes on where a checkpoint fails. */
static void checkpoint_that_fails(struct store_fixture *f)
{
	_cleanup_free_ char *text = xcalloc(1, 40001);
	struct told told = {.f = f, .key = "k", .anybody = true};

	f->store = fixture_open(f->file);
	fixture_begin(f->store);
	for (int i = 0; i < STORE_UNSYNCED_MAX; i++) {
		for (int k = 0; k < 30; k++) { /* 16 of these use the log up */
			char key[16];

			snprintf(key, sizeof key, "k%d", k);
			memset(text, 'a' + i, 40000);
			store_set_setting(f->store, key, text);
		}
		commit_that_waits(f, &told, "v");
		syncs_fail = true; /* of the first the log's header was synced */
	}
}

static void ends_unsynced(struct store_fixture *f, void (*end)(struct store_fixture *f))
{
	_cleanup_free_ char *mark = xasprintf("%s-unsynced", f->file),
	                    *wal = xasprintf("%s-wal", f->file), *value = NULL;
	int status = 0, null;
	struct stat st;
	pid_t pid;

	fixture_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL); /* cmocka's would go on with the tests */
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, STDERR_FILENO);
		end(f);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(access(mark, F_OK), 0);
	f->store = fixture_open(f->file);
	value = store_setting(f->store, "k");
	assert_string_equal(value, "v");
	assert_int_equal(access(mark, F_OK), -1);
	assert_true(stat(wal, &st) < 0 || st.st_size == 0); /* nothing hangs on the log any more */
	fixture_begin(f->store);
	store_set_setting(f->store, "k", "for the next time");
}

static void test_a_sync_that_fails_after_it_was_told(void **state)
{
	ends_unsynced(*state, in_its_commit);
	ends_unsynced(*state, settle_that_fails);
	ends_unsynced(*state, next_commit_that_fails);
	ends_unsynced(*state, sync_beside_that_fails);
	ends_unsynced(*state, sync_beside_that_nobody_hears_of);
	ends_unsynced(*state, close_that_fails);
	ends_unsynced(*state, checkpoint_that_fails);
}

static void test_a_sync_that_fails_before_anybody_knows(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *mark = xasprintf("%s-unsynced", f->file), *value = NULL;

	fixture_commit(f->store);
	store_close(f->store);
	commit_that_fails(f, false);
	value = store_setting(f->store, "k");
	assert_null(value);
	assert_int_equal(access(mark, F_OK), -1);
	fixture_begin(f->store);
}

/* Somebody wrote and died before the sync: what is read from the log is told to people. */
static void test_opened_is_synced(void **state)
{
	struct store_fixture *f = *state;
	struct error err = ERROR_INIT;
	_cleanup_free_ char *mark = xasprintf("%s-unsynced", f->file), *value = NULL;
	int status, before;
	pid_t pid;

	fixture_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		f->store = fixture_open(f->file);
		fixture_begin(f->store);
		store_set_setting(f->store, "k", "v");
		fixture_commit(f->store);
		_exit(0); /* the log stays */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	syncs_fail = true;
	assert_int_equal(store_open(f->file, &f->store, &err), -1);
	syncs_fail = false;
	assert_int_equal(access(mark, F_OK), 0); /* the next sync alone is not believed */
	before = syncs;
	f->store = fixture_open(f->file);
	assert_true(syncs > before);
	value = store_setting(f->store, "k");
	assert_string_equal(value, "v");
	fixture_begin(f->store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	    T(test_told_when_it_is_in_the_log),
	    T(test_a_sync_that_fails_after_it_was_told),
	    T(test_a_sync_that_fails_before_anybody_knows),
	    T(test_a_sync_that_waits),
	    T(test_a_sync_beside),
	    T(test_a_full_disk_in_the_midst_of_a_turn),
	    T(test_what_a_full_disk_refused_is_never_written),
	    T(test_a_sync_for_nobody),
	    T(test_a_log_that_is_used_up),
	    T(test_opened_is_synced),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
