/* A commit whose sync fails is taken out of the log again. */
#include <stdlib.h>

#include "store_fixture.h"
#include "sync_fixture.h"

#define KEYS 40

/* expected: of each key the letter that its value begins with; 0: none. */
static void assert_all(struct store *store, const char *expected)
{
	for (int k = 0; k < KEYS; k++) {
		char key[16];
		_cleanup_free_ char *value = NULL;

		snprintf(key, sizeof key, "k%d", k);
		value = store_setting(store, key);
		assert_int_equal(value ? value[0] : 0, expected[k]);
	}
}

/* What another process would find. */
static void assert_found(struct store_fixture *f, const char *expected)
{
	_cleanup_free_ char *wal = xasprintf("%s-wal", f->file),
	                    *copy = xasprintf("%s/found.db", f->dir),
	                    *copy_wal = xasprintf("%s-wal", copy);
	struct store *store;

	store_settle(f->store);
	copy_file(f->file, copy);
	copy_file(wal, copy_wal);
	store = fixture_open(copy);
	assert_all(store, expected);
	store_close(store);
}

static bool tell_worker(void *context)
{
	(void)context;
	log_written = true;
	return true;
}

/* The sync of a commit fails, in its end or for a checkpoint within it: nothing is left of it, and
 * all that was before, be it one page in the log, more than SQLite keeps in memory, or the first
 * that is written to a log that begins anew. Among them are commits that wait for their sync. */
static void test_a_commit_is_taken_back(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *text = xcalloc(1, 40001);
	char before[KEYS] = "", after[KEYS];
	int undone = 0, made = 0, in_a_checkpoint = 0, first = 0, spilled = 0;

	fixture_commit(f->store);
	srandom(11);
	for (int i = 0; i < 400; i++) {
		int n = random() % 10 == 0 ? KEYS : 1 + (int)random() % 3;
		int times =
		    n == KEYS && random() % 2 ? 4 : 1; /* more than SQLite keeps in memory */
		int fails = (int)random() % 3;         /* 0: not, 1: all of it, 2: in the end */
		struct error err = ERROR_INIT;
		int rc, counted = failed_syncs;

		memcpy(after, before, sizeof after);
		if (fails) /* else it is the end of the process */
			store_settle(f->store);
		fixture_begin(f->store);
		for (int j = 0; j < n * times; j++) {
			int k = n == KEYS ? j % KEYS : (int)random() % KEYS;
			char key[16];

			snprintf(key, sizeof key, "k%d", k);
			memset(text, after[k] = (char)('a' + (i + j) % 26), 40000);
			store_set_setting(f->store, key, text);
		}
		if (!fails && random() % 2)
			store_on_written(f->store, tell_worker, NULL, true);
		syncs_fail = fails == 1;
		rc = store_commit_begin(f->store, &err);
		first += rc < 0;
		if (rc == 0) {
			bool tried = failed_syncs > counted;

			assert_all(f->store, after);
			syncs_fail = fails != 0 && !tried; /* the kernel says it once */
			in_a_checkpoint += tried;
			rc = store_commit_end(f->store, &err);
		}
		syncs_fail = false;
		assert_int_equal(rc, failed_syncs > counted ? -1 : 0);
		assert_int_equal(err.code, rc < 0 ? ERROR_EXTERNAL : ERROR_NONE);
		undone += rc < 0;
		made += rc == 0;
		spilled += rc < 0 && n * times > 100;
		if (rc == 0)
			memcpy(before, after, sizeof before);
		assert_all(f->store, before);
		if (i % 20 == 0)
			assert_found(f, before);
	}
	assert_true(undone > 100 && made > 100 && in_a_checkpoint > 2 && first > 0 && spilled > 2);
	assert_int_equal(database_first, 0);
	assert_found(f, before);
	fixture_begin(f->store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_commit_is_taken_back, store_setup,
	                                    store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
