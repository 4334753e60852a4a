/* The store as a file: what it is made as, what it refuses, what a full disk and a killed process
 * leave behind, what a snapshot holds. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store_fixture.h"

/* One value of a query by another connection: the store must be closed. Caller frees. */
static char *ask(const char *file, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	char *text = NULL;

	assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		text = xstrdup((const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

static void change(const char *file, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static unsigned mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return st.st_mode & 07777;
}

static void test_files_are_private(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *wal = xasprintf("%s-wal", f->file), *journal = NULL;
	mode_t before = umask(0);
	_cleanup_free_ char *other = xasprintf("%s/other.db", f->dir);
	struct store *store = fixture_open(other);

	umask(before);
	assert_int_equal(mode_of(other), 0600);
	store_close(store);
	fixture_commit(f->store);
	assert_int_equal(mode_of(f->file), 0600);
	assert_int_equal(mode_of(wal), 0600);
	store_close(f->store);
	journal = ask(f->file, "PRAGMA journal_mode");
	assert_string_equal(journal, "wal");
	f->store = fixture_open(f->file);
}

/* HOME is a symbolic link on many a machine; the file itself must not be one. */
static void test_links(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *real = xasprintf("%s/real", f->dir),
	                    *link = xasprintf("%s/link", f->dir);
	_cleanup_free_ char *file = xasprintf("%s/s.db", link),
	                    *planted = xasprintf("%s/p.db", real);
	_cleanup_free_ char *victim = xasprintf("%s/victim", f->dir);
	struct store *store = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, link), 0);
	store_close(fixture_open(file));
	assert_int_equal(symlink(victim, planted), 0);
	assert_int_equal(store_open(planted, &store, &err), -1);
	assert_int_equal(access(victim, F_OK), -1);
}

static void refused(const char *file, const char *reason)
{
	struct store *store = (struct store *)file;
	struct error err = ERROR_INIT;

	assert_int_equal(store_open(file, &store, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_null(strchr(err.text, '\n'));
	if (!strstr(err.text, reason))
		fail_msg("'%s' does not say '%s'", err.text, reason);
	assert_ptr_equal(store, file); /* untouched */
}

static void test_a_newer_store_is_refused(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *version = NULL;
	_cleanup_free_ char *restore = xasprintf("PRAGMA user_version = %d", STORE_SCHEMA);

	fixture_commit(f->store);
	store_close(f->store);
	change(f->file, "PRAGMA user_version = 999");
	refused(f->file, "newer pleach");
	refused(f->file, "999");
	version = ask(f->file, "PRAGMA user_version"); /* and is left as it was */
	assert_string_equal(version, "999");
	change(f->file, restore);
	f->store = fixture_open(f->file);
}

static void put(const char *file, const char *text, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void test_what_is_no_store(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *garbage = xasprintf("%s/garbage", f->dir),
	                    *folder = xasprintf("%s/folder", f->dir),
	                    *cut = xasprintf("%s/cut.db", f->dir),
	                    *missing = xasprintf("%s/no/such.db", f->dir);
	char text[8192];

	memset(text, 'g', sizeof text);
	put(garbage, text, sizeof text);
	refused(garbage, "not a database");
	put(garbage, "short", 5);
	refused(garbage, "not a database");
	assert_int_equal(mkdir(folder, 0700), 0);
	refused(folder, "cannot open");
	refused(missing, "cannot open");
	/* the header of a database and nothing behind it */
	store_close(fixture_open(cut));
	assert_int_equal(truncate(cut, 100), 0);
	refused(cut, "");
}

static void test_only_one_opens_it(void **state)
{
	struct store_fixture *f = *state;

	refused(f->file, "locked");
}

/* Opened again: the same content, and not migrated twice. */
static void test_opened_again(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *setting = NULL, *none = NULL;

	store_set_setting(f->store, "k", "one");
	store_set_setting(f->store, "k", "two");
	fixture_commit(f->store);
	for (int i = 0; i < 3; i++) {
		store_close(f->store);
		f->store = fixture_open(f->file);
	}
	setting = store_setting(f->store, "k");
	none = store_setting(f->store, "other");
	assert_string_equal(setting, "two");
	assert_null(none);
	store_close(NULL);
}

/* ---- the disk ---- */

/* Grows the store until it fails; what was committed before is all there, then it goes on. */
static bool survives_a_full_disk(struct store_fixture *f, void (*make_room)(struct store_fixture *))
{
	struct error err = ERROR_INIT;
	char *text = xcalloc(1, 20001), *setting;
	int committed = 0;
	char key[32];

	memset(text, 'x', 20000);
	for (; committed < 10000; committed++) {
		if (store_begin(f->store, &err) < 0)
			break;
		store_savepoint(f->store);
		snprintf(key, sizeof key, "k%d", committed);
		store_set_setting(f->store, key, text);
		if (store_failed(f->store, &err))
			store_rollback_to(f->store);
		else
			store_release(f->store);
		if (store_commit(f->store, &err) < 0 || err.code)
			break;
	}
	store_rollback(f->store);
	if (!err.code || committed < 5)
		return false;
	make_room(f);
	if (store_begin(f->store, &err) < 0)
		return false;
	store_set_setting(f->store, "after", "room");
	if (store_commit(f->store, &err) < 0)
		return false;
	store_close(f->store);
	f->store = NULL;
	if (store_open(f->file, &f->store, &err) < 0)
		return false;
	for (int i = 0; i < committed; i++) {
		snprintf(key, sizeof key, "k%d", i);
		setting = store_setting(f->store, key);
		if (!setting || strcmp(setting, text) != 0)
			return false;
		free(setting);
	}
	snprintf(key, sizeof key, "k%d", committed); /* what was not acknowledged is not there */
	if (store_setting(f->store, key))
		return false;
	free(text);
	setting = store_setting(f->store, "after");
	free(setting);
	return setting != NULL;
}

static void lift_limit(struct store_fixture *f)
{
	struct rlimit limit;

	(void)f;
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void test_a_file_that_may_not_grow(void **state)
{
	struct store_fixture *f = *state;
	struct rlimit limit;
	bool survived;

	fixture_commit(f->store);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	survived = survives_a_full_disk(f, lift_limit);
	lift_limit(f);
	assert_true(survived);
	fixture_begin(f->store);
}

static void grow_disk(struct store_fixture *f)
{
	mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=64m");
}

/* A real full disk, in a mount namespace of its own: 0 survived, 1 not, 77 cannot be had. */
static int on_a_small_disk(void)
{
	struct store_fixture f = {.dir = temp_new()};
	int rc;

	alarm(patience(60));
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", f.dir, "tmpfs", 0, "size=1m") < 0) {
		temp_finish(f.dir);
		return 77;
	}
	f.file = xasprintf("%s/store.db", f.dir);
	f.store = fixture_open(f.file);
	rc = survives_a_full_disk(&f, grow_disk) ? 0 : 1;
	store_close(f.store);
	free(f.file);
	umount(f.dir);
	temp_finish(f.dir);
	return rc;
}

static void test_a_full_disk(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(on_a_small_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Killed at any moment: what was acknowledged is there, all of it and nothing half. */
static void test_killed(void **state)
{
	struct store_fixture *f = *state;

	fixture_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	for (int round = 0; round < 20; round++) {
		int acked = 0, out[2];
		char byte;
		pid_t pid;

		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct store *store = NULL;
			char key[32];

			alarm(patience(60));
			if (store_open(f->file, &store, NULL) < 0)
				_exit(1);
			for (int i = 0;; i++) {
				store_begin(store, NULL);
				snprintf(key, sizeof key, "r%d-%d-a", round, i);
				store_set_setting(store, key, key);
				key[strlen(key) - 1] = 'b';
				store_set_setting(store, key, key);
				if (store_commit(store, NULL) < 0 || write(out[1], "x", 1) != 1)
					_exit(1);
			}
		}
		close(out[1]);
		while (acked < 5 + round && read(out[0], &byte, 1) == 1)
			acked++;
		kill(pid, SIGKILL);
		while (read(out[0], &byte, 1) == 1)
			acked++;
		close(out[0]);
		waitpid(pid, NULL, 0);
		assert_true(acked >= 5);
		f->store = fixture_open(f->file);
		for (int i = 0; i <= acked; i++) {
			_cleanup_free_ char *a = xasprintf("r%d-%d-a", round, i),
			                    *b = xasprintf("r%d-%d-b", round, i);
			_cleanup_free_ char *one = store_setting(f->store, a),
			                    *two = store_setting(f->store, b);

			assert_true((one == NULL) == (two == NULL));
			if (i < acked)
				assert_non_null(one);
		}
		store_close(f->store);
		f->store = NULL;
	}
	f->store = fixture_open(f->file);
	fixture_begin(f->store);
}

/* ---- snapshots ---- */

static void test_snapshot(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *file = xasprintf("%s/it's a copy.db", f->dir),
	                    *inside = xasprintf("%s/no/such/folder.db", f->dir);
	_cleanup_free_ char *row = NULL, *check = NULL, *before = NULL, *after = NULL;
	struct attempt_row attempt = {
	    .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};
	struct task_state_change now = {.status = TASK_IN_PROGRESS,
	                                .failures = -1,
	                                .losses = -1,
	                                .started_at = -1,
	                                .finished_at = -1};
	struct error err = ERROR_INIT;

	now.id = attempt.task = fixture_work(f, "parser");
	now.attempt = store_attempt_insert(f->store, &attempt);
	store_task_write_state(f->store, &now);
	fixture_work(f, "docs");
	fixture_commit(f->store);
	assert_ok(store_snapshot(f->store, file, &err));
	/* live: the store is still open and exclusive */
	row = ask(file, "SELECT group_concat(key || ' ' || plan || ' ' || status || ' ' ||"
	                " coalesce(owner, '-') || ' ' || coalesce(attempt, '-') || ' ' ||"
	                " coalesce(head, '-'), '; ') FROM (SELECT * FROM task_v ORDER BY id)");
	before = xasprintf("parser p in_progress ash %d -; docs p pending - - -", (int)now.attempt);
	assert_string_equal(row, before);
	check = ask(file, "PRAGMA integrity_check");
	assert_string_equal(check, "ok");
	assert_int_equal(store_snapshot(f->store, inside, &err), -1);
	assert_non_null(strstr(err.text, inside));
	/* what is there is not overwritten */
	assert_int_equal(store_snapshot(f->store, file, &err), -1);
	after = ask(file, "SELECT count(*) FROM task_v");
	assert_string_equal(after, "2");
	/* and a failed one is no failure of the store */
	assert_false(store_failed(f->store, &err));
	fixture_begin(f->store);
	fixture_work(f, "more");
	fixture_commit(f->store);
}

static void test_snapshot_without_room(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *file = xasprintf("%s/copy.db", f->dir),
	                    *large = xcalloc(1, (2 << 20) + 1);
	struct error err = ERROR_INIT;
	struct rlimit limit;
	int rc;

	memset(large, 'x', 2 << 20);
	store_set_setting(f->store, "large", large);
	fixture_commit(f->store);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rc = store_snapshot(f->store, file, &err);
	lift_limit(f);
	assert_int_equal(rc, -1);
	assert_int_equal(access(file, F_OK), -1); /* half a copy is none */
	assert_ok(store_snapshot(f->store, file, &err));
	fixture_begin(f->store);
}

/* SQLite would give NULL for a column's text, as if the row had none. */
static void test_want_of_memory_is_the_end(void **state)
{
	const struct rlimit none = {1, 1};
	int status;
	pid_t pid;

	(void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
	skip(); /* they end by themselves */
#endif
	pid = fork();
	if (pid == 0)
		_exit(setrlimit(RLIMIT_AS, &none) < 0 || sqlite3_malloc(1 << 30) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* The power took even the first one from the log. */
static void test_numbers_before_the_first(void **state)
{
	struct store_fixture *f = *state;
	int64_t task = fixture_work(f, "t");
	const struct attempt_row row = {
	    .task = task, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};

	store_team_put(f->store, &(struct teammate_row){.name = (char *)"ash", .number = 1});
	store_attempts_skip(f->store);
	assert_int_equal(store_attempt_insert(f->store, &row), STORE_UNSYNCED_MAX + 2);
}

/* For each teammate as many as there are commits that may wait: it may have been told of one by
 * each. */
static void test_numbers_that_are_left_out(void **state)
{
	struct store_fixture *f = *state;
	int64_t task = fixture_work(f, "t");
	const struct attempt_row row = {
	    .task = task, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};
	int64_t first = store_attempt_insert(f->store, &row);

	assert_true(first > 0);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *name = xasprintf("t%d", i);

		store_team_put(f->store, &(struct teammate_row){.name = name, .number = i + 1});
	}
	store_attempts_skip(f->store);
	assert_int_equal(store_attempt_insert(f->store, &row),
	                 first + 3 * (STORE_UNSYNCED_MAX + 1) + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_files_are_private),
	    TEST(test_links),
	    TEST(test_a_newer_store_is_refused),
	    TEST(test_what_is_no_store),
	    TEST(test_only_one_opens_it),
	    TEST(test_opened_again),
	    TEST(test_a_file_that_may_not_grow),
	    cmocka_unit_test(test_a_full_disk),
	    TEST(test_killed),
	    TEST(test_numbers_before_the_first),
	    TEST(test_numbers_that_are_left_out),
	    TEST(test_snapshot),
	    TEST(test_snapshot_without_room),
	    TEST(test_want_of_memory_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
