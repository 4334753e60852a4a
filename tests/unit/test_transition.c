/* The transition table on a real store: every cell, the fence, retries, poison, and a long
 * random walk whose counters must agree with what a query finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mem.h"
#include "store.h"
#include "transition.h"

static char dir[] = "/tmp/test-transition-XXXXXX";
static struct store *store;
static int64_t plan;

static int open_store(void **state)
{
	_cleanup_free_ char *file = NULL;
	struct error err = ERROR_INIT;
	const struct plan_row row = {
	    .name = (char *)"p", .agents = (char *)"{}", .limits = (char *)"{}"};

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test-transition-XXXXXX");
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/store.db", dir);
	if (store_open(file, &store, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(store_begin(store, &err), 0);
	plan = store_plan_put(store, &row);
	return 0;
}

static int close_store(void **state)
{
	_cleanup_free_ char *file = xasprintf("%s/store.db", dir), *wal = xasprintf("%s-wal", file);
	struct error err = ERROR_INIT;

	(void)state;
	if (store_failed(store, &err))
		fail_msg("%s", err.text);
	assert_int_equal(store_commit(store, &err), 0);
	store_close(store);
	unlink(file);
	unlink(wal);
	rmdir(dir);
	return 0;
}

static int64_t add_task(const char *key, enum task_kind kind, int retries)
{
	json_t *spec = json_pack("{s:i, s:s}", "retries", retries, "slot", "none");
	const struct task_new task = {.plan = plan,
	                              .key = key,
	                              .subject = key,
	                              .prompt = key,
	                              .definition = "x",
	                              .kind = kind,
	                              .slot_none = true,
	                              .spec = spec};
	int64_t id = store_task_insert(store, &task);

	json_decref(spec);
	return id;
}

static int64_t add_attempt(int64_t task)
{
	const struct attempt_row row = {
	    .task = task, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};

	return store_attempt_insert(store, &row);
}

static enum task_status status_of(int64_t id)
{
	_cleanup_task_ struct task_row row = {0};

	assert_true(store_task_get(store, id, &row));
	return row.status;
}

static int change(int64_t task, int64_t attempt, enum task_verb verb)
{
	json_t *input = json_pack("{s:s}", "text", "?");
	const struct transition t = {
	    .task = task, .attempt = attempt, .verb = verb, .input = input};
	struct error err = ERROR_INIT;
	int rc = task_transition(store, &t, NULL, &err);

	json_decref(input);
	if (rc < 0)
		assert_true(err.code == ERROR_CONFLICT || err.code == ERROR_STALE);
	return rc < 0 ? -(int)err.code : 0;
}

/* The table of the design, written down a second time: rows are statuses, columns verbs. */
static const char *const expected[task_status_count] = {
    /* assign ask answer complete fail cancel release lose retry redo */
    [TASK_PENDING] = "iN..."
                     "c"
                     "....",
    [TASK_IN_PROGRESS] = ".N.CFcpL..",
    [TASK_NEEDS_INPUT] = "..aCFcpLp.",
    [TASK_COMPLETED] = ".........p",
    [TASK_FAILED] = "........p.",
    [TASK_CANCELLED] = "........p.",
};

static void test_every_cell(void **state)
{
	(void)state;
	for (int s = 0; s < (int)task_status_count; s++)
		for (int v = 0; v < (int)task_verb_count; v++)
			assert_int_equal(
			    transition_allowed((enum task_status)s, (enum task_verb)v, KIND_WORK),
			    expected[s][v] != '.');
}

static void test_choice_cells(void **state)
{
	(void)state;
	assert_true(transition_allowed(TASK_PENDING, VERB_COMPLETE, KIND_CHOICE));
	assert_true(transition_allowed(TASK_PENDING, VERB_FAIL, KIND_CHOICE));
	assert_true(transition_allowed(TASK_NEEDS_INPUT, VERB_COMPLETE, KIND_CHOICE));
	assert_false(transition_allowed(TASK_PENDING, VERB_ASSIGN, KIND_CHOICE));
	assert_false(transition_allowed(TASK_NEEDS_INPUT, VERB_LOSE, KIND_CHOICE));
}

static void test_fence(void **state)
{
	int64_t task = add_task("fence", KIND_WORK, 0), first = add_attempt(task), second;

	(void)state;
	assert_int_equal(change(task, first, VERB_ASSIGN), 0);
	assert_int_equal(change(task, 0, VERB_CANCEL), 0);
	assert_int_equal(change(task, 0, VERB_RETRY), 0);
	second = add_attempt(task);
	assert_int_equal(change(task, second, VERB_ASSIGN), 0);
	assert_int_equal(change(task, first, VERB_COMPLETE), -ERROR_STALE);
	assert_int_equal(status_of(task), TASK_IN_PROGRESS);
	assert_int_equal(change(task, second, VERB_COMPLETE), 0);
	assert_int_equal(change(task, second, VERB_COMPLETE), -ERROR_CONFLICT);
}

static void test_retries_then_failed(void **state)
{
	int64_t task = add_task("retry", KIND_WORK, 2);
	_cleanup_task_ struct task_row row = {0};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(change(task, add_attempt(task), VERB_ASSIGN), 0);
		assert_int_equal(change(task, 0, VERB_FAIL), 0);
		assert_int_equal(status_of(task), i < 2 ? TASK_PENDING : TASK_FAILED);
	}
	assert_true(store_task_get(store, task, &row));
	assert_int_equal(row.attempts, 3);
	assert_int_equal(row.delay_ms, 0);
	assert_true(transition_backoff_ms(1) < transition_backoff_ms(2));
	assert_int_equal(transition_backoff_ms(1000), TRANSITION_BACKOFF_MAX_MS);
}

static void test_poison(void **state)
{
	int64_t task = add_task("poison", KIND_WORK, 9);
	_cleanup_task_ struct task_row row = {0};

	(void)state;
	for (int i = 0; i < TRANSITION_LOSSES_MAX; i++) {
		assert_int_equal(change(task, add_attempt(task), VERB_ASSIGN), 0);
		assert_int_equal(change(task, 0, VERB_LOSE), 0);
	}
	assert_true(store_task_get(store, task, &row));
	assert_int_equal(row.status, TASK_FAILED);
	assert_int_equal(row.error_code, TASK_ERROR_POISON);
}

static void test_release_is_never_counted(void **state)
{
	int64_t task = add_task("release", KIND_WORK, 0);

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(change(task, add_attempt(task), VERB_ASSIGN), 0);
		assert_int_equal(change(task, 0, VERB_RELEASE), 0);
		assert_int_equal(status_of(task), TASK_PENDING);
	}
}

/* Blockers that end, are redone, fail and are retried in any order: the counter of every
 * dependent equals what counting anew gives. */
static void test_counters_on_a_random_walk(void **state)
{
	enum { N = 20, STEPS = 4000 };
	int64_t tasks[N];
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < N; i++) {
		char key[16];
		int64_t blockers[2] = {i > 1 ? tasks[i / 2] : 0, i > 2 ? tasks[i / 3] : 0};

		snprintf(key, sizeof key, "w%d", i);
		tasks[i] = add_task(key, KIND_WORK, 1);
		if (i > 2)
			store_task_set_blockers(store, tasks[i], blockers,
			                        blockers[0] == blockers[1] ? 1 : 2);
	}
	for (int step = 0; step < STEPS; step++) {
		int64_t task = tasks[(seed = seed * 1103515245u + 12345u) / 65536 % N];
		enum task_verb verb = (enum task_verb)((seed = seed * 1103515245u + 12345u) /
		                                       65536 % task_verb_count);
		int64_t attempt = verb == VERB_ASSIGN ? add_attempt(task) : 0;

		change(task, attempt, verb);
		for (int i = 0; i < N; i++) {
			_cleanup_task_ struct task_row row = {0};
			_cleanup_free_ int64_t *blockers = store_task_blockers(store, tasks[i]);
			int64_t open = 0;

			for (size_t j = 0; blockers[j]; j++)
				open += status_of(blockers[j]) != TASK_COMPLETED;
			assert_true(store_task_get(store, tasks[i], &row));
			assert_int_equal(row.unfinished, open);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cell),
	    cmocka_unit_test(test_choice_cells),
	    cmocka_unit_test_setup_teardown(test_fence, open_store, close_store),
	    cmocka_unit_test_setup_teardown(test_retries_then_failed, open_store, close_store),
	    cmocka_unit_test_setup_teardown(test_poison, open_store, close_store),
	    cmocka_unit_test_setup_teardown(test_release_is_never_counted, open_store, close_store),
	    cmocka_unit_test_setup_teardown(test_counters_on_a_random_walk, open_store,
	                                    close_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
