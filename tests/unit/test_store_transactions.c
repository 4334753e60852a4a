/* The store as transactions: what a rollback undoes, what a failure keeps from being written, and
 * that a text comes back as it was. */
#include "store_fixture.h"

static void test_a_savepoint_undoes_one_request(void **state)
{
	struct store_fixture *f = *state;
	struct error err = ERROR_INIT;
	int64_t first, second;

	store_savepoint(f->store);
	first = fixture_work(f, "first");
	store_release(f->store);
	store_savepoint(f->store);
	second = fixture_work(f, "second");
	store_set_setting(f->store, "k", "v");
	store_rollback_to(f->store);
	store_savepoint(f->store);
	fixture_work(f, "third");
	store_release(f->store);
	assert_false(store_failed(f->store, &err));
	fixture_commit(f->store);
	assert_true(first > 0 && second > first);
	assert_int_equal(store_task_find(f->store, "p", "first"), first);
	assert_int_equal(store_task_find(f->store, "p", "second"), 0);
	assert_null(store_setting(f->store, "k"));
	assert_true(store_task_find(f->store, "p", "third") > 0);
}

/* The first failure sticks: what follows does nothing, until somebody rolls back. */
static void test_a_failure_sticks(void **state)
{
	struct store_fixture *f = *state;
	struct error err = ERROR_INIT, first = ERROR_INIT;

	fixture_work(f, "before");
	store_savepoint(f->store);
	fixture_work(f, "twice");
	fixture_work(f, "twice"); /* UNIQUE(plan, key) */
	assert_true(store_failed(f->store, &first));
	assert_int_equal(first.code, ERROR_EXTERNAL);
	assert_non_null(strstr(first.text, "UNIQUE"));
	fixture_work(f, "after"); /* ignored */
	store_set_setting(f->store, "k", "v");
	assert_int_equal(store_task_find(f->store, "p", "before"), 0); /* and nothing is read */
	assert_true(store_failed(f->store, &err));
	assert_string_equal(err.text, first.text);
	store_rollback_to(f->store);
	assert_false(store_failed(f->store, &err));
	assert_true(store_task_find(f->store, "p", "before") > 0);
	assert_int_equal(store_task_find(f->store, "p", "twice"), 0);
	assert_int_equal(store_task_find(f->store, "p", "after"), 0);
	fixture_commit(f->store);
	assert_true(store_task_find(f->store, "p", "before") > 0);
}

static void test_a_failed_transaction_is_not_committed(void **state)
{
	struct store_fixture *f = *state;
	struct error err = ERROR_INIT;

	fixture_work(f, "one");
	fixture_work(f, "one");
	assert_int_equal(store_commit(f->store, &err), -1);
	assert_false(store_failed(f->store, &err));
	assert_int_equal(store_task_find(f->store, NULL, "one"), 0);
	fixture_begin(f->store);
	f->plan = fixture_plan(f->store, "p");
	assert_true(fixture_work(f, "one") > 0);
	fixture_commit(f->store);
}

/* What points nowhere is refused, whichever way it is written (edges apart: their schema says why).
 */
static void test_rows_that_point_nowhere(void **state)
{
	struct store_fixture *f = *state;
	const struct attempt_row attempt = {
	    .task = 4711, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};
	int64_t task = fixture_work(f, "t");
	struct error err = ERROR_INIT;

	store_savepoint(f->store);
	store_attempt_insert(f->store, &attempt); /* INSERT … RETURNING */
	assert_true(store_failed(f->store, &err));
	assert_non_null(strstr(err.text, "FOREIGN KEY"));
	store_rollback_to(f->store);
	store_savepoint(f->store);
	store_task_set_chosen(f->store, task, 4711);
	assert_true(store_failed(f->store, &err));
	store_rollback_to(f->store);
	fixture_commit(f->store);
}

/* When the whole transaction is gone, what follows must not be committed by itself. */
static void test_a_request_without_a_transaction(void **state)
{
	struct store_fixture *f = *state;
	struct error err = ERROR_INIT;

	store_rollback(f->store);
	store_savepoint(f->store);
	store_set_setting(f->store, "k", "v");
	assert_true(store_failed(f->store, &err));
	store_rollback_to(f->store);
	assert_int_equal(store_commit(f->store, &err), -1);
	assert_null(store_setting(f->store, "k"));
	fixture_begin(f->store);
	store_set_setting(f->store, "k", "v");
	fixture_commit(f->store);
}

static void test_hostile_text(void **state)
{
	static const char text[] =
	    "'; DROP TABLE task; -- %s %n \x01\x1b[31m \xf0\x9f\x8c\xb3 \"\\";
	struct store_fixture *f = *state;
	_cleanup_free_ char *setting = NULL, *large = NULL, *again = NULL;

	store_set_setting(f->store, text, text);
	setting = store_setting(f->store, text);
	assert_string_equal(setting, text);
	large = xcalloc(1, (16 << 20) + 1);
	memset(large, 'x', 16 << 20);
	store_set_setting(f->store, "large", large);
	again = store_setting(f->store, "large");
	assert_string_equal(again, large);
	fixture_commit(f->store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_savepoint_undoes_one_request),        TEST(test_a_failure_sticks),
	    TEST(test_a_failed_transaction_is_not_committed), TEST(test_rows_that_point_nowhere),
	    TEST(test_a_request_without_a_transaction),       TEST(test_hostile_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
