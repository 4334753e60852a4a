/* Room that is made in the log while commits are made: none of them is written over, whoever comes
 * first, and where there is no room all goes on without. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "store_fixture.h"
#include "store_room.h"
#include "sync_fixture.h"

#define KEYS  60
#define VALUE 40000 /* bytes: ten pages */

ssize_t pwrite(int fd, const void *data, size_t len, off_t at);

static atomic_int pieces, piece_ms, room_errno, free_mb;

/* In front of libc's. SQLite calls pwrite64: these are the pieces of the room. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	pieces++;
	usleep((useconds_t)piece_ms * 1000);
	if (room_errno) {
		errno = room_errno;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

int fstatvfs(int fd, struct statvfs *st)
{
	(void)fd;
	*st = (struct statvfs){.f_bavail = atomic_load(&free_mb), .f_frsize = 1 << 20};
	return 0;
}

static int setup(void **state)
{
	pieces = piece_ms = room_errno = 0;
	free_mb = 100;
	return store_setup(state);
}

static off_t log_size(const struct store_fixture *f)
{
	_cleanup_free_ char *log = xasprintf("%s-wal", f->file);
	struct stat st;

	return stat(log, &st) < 0 ? 0 : st.st_size;
}

static void await_room(const struct store_fixture *f)
{
	for (int i = 0; log_size(f) < STORE_ROOM_BYTES; i++) {
		assert_true(i < 10000);
		usleep(1000);
	}
}

static void put(struct store *store, int k, char letter)
{
	_cleanup_free_ char *text = xcalloc(1, VALUE + 1);
	char key[16];

	snprintf(key, sizeof key, "k%d", k);
	memset(text, letter, VALUE);
	store_set_setting(store, key, text);
}

static int count(struct store *store, char letter)
{
	int n = 0;

	for (int k = 0; k < KEYS; k++) {
		_cleanup_free_ char *value = NULL;
		char key[16];

		snprintf(key, sizeof key, "k%d", k);
		value = store_setting(store, key);
		n += value && value[0] == letter && value[VALUE - 1] == letter;
	}
	return n;
}

/* What another process would find if this one died now. */
static int count_found(const struct store_fixture *f, char letter)
{
	_cleanup_free_ char *wal = xasprintf("%s-wal", f->file),
	                    *copy = xasprintf("%s/found.db", f->dir),
	                    *copy_wal = xasprintf("%s-wal", copy);
	struct store *store;
	int n;

	copy_file(f->file, copy);
	copy_file(wal, copy_wal);
	store = fixture_open(copy);
	n = count(store, letter);
	store_close(store);
	return n;
}

static void commit_one(struct store_fixture *f, int k, char letter)
{
	put(f->store, k, letter);
	fixture_commit(f->store);
	fixture_begin(f->store);
}

/* Both come to the end of the file again and again: a piece takes longer than a commit. */
static void test_commits_are_not_written_over(void **state)
{
	struct store_fixture *f = *state;

	piece_ms = 10;
	fixture_commit(f->store);
	store_make_room(f->store);
	fixture_begin(f->store);
	for (int k = 0; k < KEYS; k++) {
		commit_one(f, k, 'a');
		if (k % 10 == 0)
			assert_int_equal(count_found(f, 'a'), k + 1);
	}
	assert_true(pieces > 1);
	await_room(f);
	assert_int_equal(count_found(f, 'a'), KEYS);
	for (int k = 0; k < KEYS; k++) /* into it, and beyond, and anew */
		commit_one(f, k, 'b');
	assert_int_equal(count_found(f, 'b'), KEYS);
	assert_int_equal(count(f->store, 'b'), KEYS);
}

static void test_it_is_made_once(void **state)
{
	struct store_fixture *f = *state;
	int made;

	fixture_commit(f->store);
	store_make_room(f->store);
	await_room(f);
	assert_int_equal(log_size(f), STORE_ROOM_BYTES);
	made = pieces;
	store_make_room(f->store);
	fixture_begin(f->store);
	commit_one(f, 0, 'a');
	assert_int_equal(log_size(f), STORE_ROOM_BYTES); /* it is written into it */
	usleep(20000);
	assert_int_equal(pieces, made);
	assert_int_equal(count_found(f, 'a'), 1);
}

/* As after a kill: the log is there, with all its room. */
static void test_a_log_that_has_it(void **state)
{
	struct store_fixture *f = *state;
	int status, made;
	pid_t pid;

	commit_one(f, 0, 'a');
	store_rollback(f->store);
	store_close(f->store);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		f->store = fixture_open(f->file);
		store_make_room(f->store);
		await_room(f);
		fixture_begin(f->store);
		commit_one(f, 1, 'a');
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(log_size(f), STORE_ROOM_BYTES);
	made = pieces;
	f->store = fixture_open(f->file);
	assert_int_equal(count(f->store, 'a'), 2);
	store_make_room(f->store);
	usleep(20000);
	assert_int_equal(pieces, made);
	fixture_begin(f->store);
}

static void test_the_last_space_is_not_for_it(void **state)
{
	struct store_fixture *f = *state;

	free_mb = 63;
	fixture_commit(f->store);
	store_make_room(f->store);
	usleep(20000);
	fixture_begin(f->store);
	commit_one(f, 0, 'a');
	assert_int_equal(pieces, 0);
	assert_true(log_size(f) < STORE_ROOM_BYTES / 2);
}

static void test_no_space_for_it(void **state)
{
	struct store_fixture *f = *state;

	room_errno = ENOSPC;
	fixture_commit(f->store);
	store_make_room(f->store);
	fixture_begin(f->store);
	for (int k = 0; k < KEYS; k++)
		commit_one(f, k, 'a');
	assert_int_equal(pieces, 1);
	assert_int_equal(count_found(f, 'a'), KEYS);
}

/* The default of SIGXFSZ is to end the process. */
static void test_a_limit_of_the_file_ends_nobody(void **state)
{
	struct store_fixture *f = *state;
	int status;
	pid_t pid;

	fixture_commit(f->store);
	store_close(f->store);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = {1 << 20, 1 << 20};

		f->store = fixture_open(f->file);
		setrlimit(RLIMIT_FSIZE, &limit);
		store_make_room(f->store);
		for (int i = 0; log_size(f) < 1 << 20 && i < 5000; i++)
			usleep(1000);
		usleep(20000); /* it has gone on and met the limit */
		fixture_begin(f->store);
		commit_one(f, 0, 'a');
		raise(log_size(f) == 1 << 20 ? SIGKILL : SIGTERM);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* by itself */
	f->store = fixture_open(f->file);
	assert_int_equal(count(f->store, 'a'), 1);
	fixture_begin(f->store);
}

/* A commit whose sync fails is cut off the log while that grows. */
static void test_commits_are_taken_back_meanwhile(void **state)
{
	struct store_fixture *f = *state;
	int taken_back = 0;

	piece_ms = 10;
	fixture_commit(f->store);
	store_make_room(f->store);
	for (int k = 0; k < KEYS; k++) {
		struct error err = ERROR_INIT;

		fixture_begin(f->store);
		put(f->store, k, 'a');
		fixture_commit(f->store);
		fixture_begin(f->store);
		put(f->store, k, 'x');
		assert_ok(store_commit_begin(f->store, &err));
		syncs_fail = true;
		taken_back += store_commit_end(f->store, &err) < 0;
		syncs_fail = false;
		if (k % 10 == 0)
			assert_int_equal(count_found(f, 'a'), k + 1);
	}
	assert_true(taken_back > KEYS / 2);
	assert_true(pieces > 1);
	assert_int_equal(count_found(f, 'a') + count_found(f, 'x'), KEYS);
	assert_int_equal(count_found(f, 'x'), KEYS - taken_back);
	fixture_begin(f->store);
}

static void test_closed_meanwhile(void **state)
{
	struct store_fixture *f = *state;

	piece_ms = 5;
	fixture_commit(f->store);
	store_make_room(f->store);
	fixture_begin(f->store);
	commit_one(f, 0, 'a');
	store_rollback(f->store);
	store_close(f->store);
	assert_true(pieces < 8); /* of 15 or 16 */
	assert_int_equal(log_size(f), 0);
	usleep(20000);
	assert_int_equal(log_size(f), 0);
	f->store = fixture_open(f->file);
	assert_int_equal(count(f->store, 'a'), 1);
	fixture_begin(f->store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_commits_are_not_written_over),
	    TEST(test_it_is_made_once),
	    TEST(test_a_log_that_has_it),
	    TEST(test_the_last_space_is_not_for_it),
	    TEST(test_no_space_for_it),
	    TEST(test_a_limit_of_the_file_ends_nobody),
	    TEST(test_commits_are_taken_back_meanwhile),
	    TEST(test_closed_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
