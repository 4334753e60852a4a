/* Tasks in the store as a graph: what is ready and in which order, how blockers are counted,
 * who is stuck and by whom, and that large plans cost little. */
#include <sqlite3.h>

#include "jsonl.h"
#include "store_fixture.h"
#include "store_sql.h"

#define TEXT_OF(object, key) json_string_value(json_object_get(object, key))

static int64_t *ready_ids(struct store_fixture *f, int64_t limit)
{
	struct ready_row *rows = NULL;
	size_t n = store_tasks_ready(f->store, limit, &rows);
	int64_t *ids = xcalloc(n + 1, sizeof *ids);

	for (size_t i = 0; i < n; i++)
		ids[i] = rows[i].id;
	ready_rows_free(rows, n);
	return ids;
}

static void test_ready_in_order(void **state)
{
	struct store_fixture *f = *state;
	int64_t low = fixture_task(f, "low", KIND_WORK, 0, false, -5),
	        one = fixture_task(f, "one", KIND_WORK, 0, false, 0),
	        high = fixture_task(f, "high", KIND_WORK, 0, false, 9),
	        two = fixture_task(f, "two", KIND_WORK, 0, false, 0),
	        blocked = fixture_task(f, "blocked", KIND_WORK, 0, false, 99),
	        delayed = fixture_task(f, "delayed", KIND_WORK, 0, false, 99);

	fixture_task(f, "choice", KIND_CHOICE, 0, false, 99); /* owned by nobody */
	fixture_block(f, blocked, one);
	store_task_set_delay(f->store, delayed, 1);
	assert_ids(ready_ids(f, 100), high, one, two, low, 0);
	assert_ids(ready_ids(f, 2), high, one, 0);
	assert_int_equal(store_tasks_ready_count(f->store), 4);
	store_task_set_delay(f->store, delayed, 0);
	fixture_status(f, one, TASK_IN_PROGRESS);
	assert_ids(ready_ids(f, 100), delayed, high, two, low, 0);
	fixture_status(f, one, TASK_COMPLETED);
	assert_ids(ready_ids(f, 100), blocked, delayed, high, two, low, 0);
}

/* A task that works in a slot waits for its base to be known. */
static void test_without_a_base(void **state)
{
	struct store_fixture *f = *state;
	json_t *spec = json_pack("{s:s}", "slot", "own");
	const struct task_new task = {.plan = f->plan,
	                              .key = "k",
	                              .subject = "s",
	                              .prompt = "p",
	                              .definition = "d",
	                              .spec = spec};
	int64_t id = store_task_insert(f->store, &task);

	json_decref(spec);
	assert_ids(ready_ids(f, 100), 0);
	assert_ids(store_tasks_without_base(f->store, 10), id, 0);
	store_task_set_next_base(f->store, id, "abc");
	assert_ids(ready_ids(f, 100), id, 0);
	assert_ids(store_tasks_without_base(f->store, 10), 0);
}

/* A task whose earlier attempt has not let go yet is not given away again. */
static void test_one_attempt_at_a_time(void **state)
{
	struct store_fixture *f = *state;
	struct attempt_row attempt = {
	    .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};

	attempt.task = fixture_work(f, "t");
	attempt.id = store_attempt_insert(f->store, &attempt);
	assert_ids(ready_ids(f, 100), 0);
	attempt.outcome = OUTCOME_CANCELLED;
	store_attempt_end(f->store, &attempt);
	assert_ids(ready_ids(f, 100), attempt.task, 0);
}

/* The two ways of counting, through every status that a blocker can have. */
static void test_blockers_are_counted(void **state)
{
	static const enum task_status statuses[] = {
	    TASK_IN_PROGRESS, TASK_NEEDS_INPUT, TASK_PENDING,   TASK_FAILED,
	    TASK_PENDING,     TASK_CANCELLED,   TASK_COMPLETED, TASK_PENDING,
	    TASK_COMPLETED,   TASK_FAILED,      TASK_CANCELLED, TASK_IN_PROGRESS};
	struct store_fixture *f = *state;
	int64_t blocker = fixture_work(f, "blocker"), other = fixture_work(f, "other"),
	        normal = fixture_work(f, "normal"),
	        settled = fixture_task(f, "settled", KIND_WORK, 0, true, 0);

	fixture_block(f, normal, blocker, other);
	fixture_block(f, settled, blocker, other, blocker); /* twice is once */
	assert_int_equal(fixture_unfinished(f, normal), 2);
	assert_int_equal(fixture_unfinished(f, settled), 2);
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		fixture_status(f, blocker, statuses[i]);
		assert_int_equal(fixture_unfinished(f, normal),
		                 1 + (statuses[i] != TASK_COMPLETED));
		assert_int_equal(fixture_unfinished(f, settled),
		                 1 + !task_status_is_terminal(statuses[i]));
	}
	/* counted anew where blockers are replaced */
	fixture_status(f, blocker, TASK_FAILED);
	fixture_block(f, normal, blocker);
	fixture_block(f, settled, blocker);
	assert_int_equal(fixture_unfinished(f, normal), 1);
	assert_int_equal(fixture_unfinished(f, settled), 0);
	store_task_set_blockers(f->store, normal, NULL, 0);
	assert_int_equal(fixture_unfinished(f, normal), 0);
	assert_ids(store_task_blocks(f->store, blocker), settled, 0);
	assert_ids(store_task_blockers(f->store, settled), blocker, 0);
}

static void test_cycles_are_seen(void **state)
{
	struct store_fixture *f = *state;
	int64_t a = fixture_work(f, "a"), b = fixture_work(f, "b"), c = fixture_work(f, "c"),
	        d = fixture_work(f, "d");

	fixture_block(f, b, a);
	fixture_block(f, c, b);
	assert_true(store_task_reaches(f->store, a, c)); /* a waiting for c would close it */
	assert_true(store_task_reaches(f->store, a, a));
	assert_false(store_task_reaches(f->store, c, a));
	assert_false(store_task_reaches(f->store, d, c));
}

static void test_stuck_through_a_chain(void **state)
{
	struct store_fixture *f = *state;
	int64_t a = fixture_work(f, "a"), b = fixture_work(f, "b"), c = fixture_work(f, "c"),
	        other = fixture_work(f, "other");

	fixture_block(f, b, a);
	fixture_block(f, c, b, other);
	assert_ids(store_task_stuck_by(f->store, c), 0);
	fixture_status(f, a, TASK_IN_PROGRESS);
	assert_ids(store_task_stuck_by(f->store, c), 0);
	fixture_status(f, a, TASK_FAILED);
	assert_ids(store_task_stuck_by(f->store, b), a, 0);
	assert_ids(store_task_stuck_by(f->store, c), a, 0);
	fixture_status(f, other, TASK_NEEDS_INPUT);
	assert_ids(store_task_stuck_by(f->store, c), a, other, 0);
	fixture_status(f, a, TASK_CANCELLED);
	assert_ids(store_task_stuck_by(f->store, c), a, other, 0);
	fixture_status(f, a, TASK_COMPLETED);
	assert_ids(store_task_stuck_by(f->store, b), 0);
	assert_ids(store_task_stuck_by(f->store, c), other, 0);
}

/* when: settled goes on after a failure; whoever waits for it waits for what it waits for. */
static void test_stuck_and_settled(void **state)
{
	struct store_fixture *f = *state;
	int64_t failed = fixture_work(f, "failed"), slow = fixture_work(f, "slow"),
	        settled = fixture_task(f, "settled", KIND_WORK, 0, true, 0),
	        after = fixture_work(f, "after"), normal = fixture_work(f, "normal"),
	        last = fixture_task(f, "last", KIND_WORK, 0, true, 0);

	fixture_block(f, settled, failed, slow);
	fixture_block(f, after, settled);
	fixture_block(f, normal, failed);
	fixture_block(f, last, normal);
	fixture_status(f, failed, TASK_FAILED);
	fixture_status(f, slow, TASK_IN_PROGRESS);
	assert_ids(store_task_stuck_by(f->store, settled), 0);
	assert_ids(store_task_stuck_by(f->store, after), 0);
	/* `last` would take normal's failure, but normal never ends */
	assert_ids(store_task_stuck_by(f->store, normal), failed, 0);
	assert_ids(store_task_stuck_by(f->store, last), failed, 0);
	fixture_status(f, slow, TASK_NEEDS_INPUT);
	assert_ids(store_task_stuck_by(f->store, settled), slow, 0);
	assert_ids(store_task_stuck_by(f->store, after), slow, 0);
}

static void test_stuck_by_choices(void **state)
{
	struct store_fixture *f = *state;
	int64_t before = fixture_work(f, "before"),
	        choice = fixture_task(f, "speed", KIND_CHOICE, 0, false, 0),
	        one = fixture_task(f, "speed.1", KIND_WORK, choice, false, 0),
	        two = fixture_task(f, "speed.2", KIND_WORK, choice, false, 0),
	        after = fixture_work(f, "after");

	fixture_block(f, choice, before);
	fixture_block(f, one, before);
	fixture_block(f, two, before);
	fixture_block(f, after, choice);
	assert_ids(store_task_alternatives(f->store, choice), one, two, 0);
	fixture_status(f, before, TASK_FAILED);
	assert_ids(store_task_stuck_by(f->store, choice), before, 0);
	assert_ids(store_task_stuck_by(f->store, two), before, 0);
	assert_ids(store_task_stuck_by(f->store, after), before, 0);
	fixture_status(f, before, TASK_COMPLETED);
	assert_ids(store_task_stuck_by(f->store, after), 0);
	/* an alternative that failed leaves the other to be chosen */
	fixture_status(f, one, TASK_FAILED);
	assert_ids(store_task_stuck_by(f->store, choice), 0);
	assert_ids(store_task_stuck_by(f->store, after), 0);
	/* one that asks is what everybody waits for */
	fixture_status(f, two, TASK_NEEDS_INPUT);
	assert_ids(store_task_stuck_by(f->store, choice), two, 0);
	assert_ids(store_task_stuck_by(f->store, after), two, 0);
	/* and then the choice itself */
	fixture_status(f, two, TASK_COMPLETED);
	fixture_status(f, choice, TASK_NEEDS_INPUT);
	assert_ids(store_task_stuck_by(f->store, after), choice, 0);
}

static int64_t count(struct store_fixture *f, int64_t plan, const char *what)
{
	_cleanup_json_ json_t *counts = store_status_counts(f->store, plan);

	return json_int(counts, what, -1);
}

static void test_counts(void **state)
{
	struct store_fixture *f = *state;
	int64_t first = f->plan, a = fixture_work(f, "a"), b = fixture_work(f, "b"),
	        c = fixture_work(f, "c"), choice, alternative;

	fixture_block(f, b, a);
	fixture_block(f, c, b);
	fixture_status(f, a, TASK_FAILED);
	f->plan = fixture_plan(f->store, "second");
	choice = fixture_task(f, "x", KIND_CHOICE, 0, false, 0);
	alternative = fixture_task(f, "x.1", KIND_WORK, choice, false, 0);
	fixture_block(f, fixture_work(f, "y"), choice);
	assert_int_equal(count(f, 0, "stuck"), 2);
	fixture_status(f, alternative, TASK_NEEDS_INPUT);
	assert_int_equal(count(f, 0, "stuck"), 4); /* b, c, the choice and y */
	assert_int_equal(count(f, first, "stuck"), 2);
	assert_int_equal(count(f, first, "failed"), 1);
	assert_int_equal(count(f, f->plan, "needs_input"), 1);
	assert_int_equal(count(f, f->plan, "pending"), 2);
	assert_int_equal(count(f, 0, "ready"), 0);
	assert_int_equal(count(f, 0, "blocked"), 4);
}

static void test_finding(void **state)
{
	struct store_fixture *f = *state;
	int64_t old = fixture_work(f, "parser"), newer;
	char **keys;

	f->plan = fixture_plan(f->store, "second");
	newer = fixture_work(f, "parser");
	fixture_work(f, "docs");
	assert_int_equal(store_task_find(f->store, NULL, "parser"), newer); /* the newest plan's */
	assert_int_equal(store_task_find(f->store, "p", "parser"), old);
	assert_int_equal(store_task_find(f->store, "p", "docs"), 0);
	assert_int_equal(store_task_find(f->store, "none", "docs"), 0);
	keys = store_task_keys(f->store, 10);
	assert_int_equal(strv_len((const char *const *)keys), 2);
	strv_free(keys);
}

/* More than one statement takes, and what is there twice. */
static void test_many_edges(void **state)
{
	struct store_fixture *f = *state;
	int64_t ids[41];
	struct edge edges[41];
	_cleanup_free_ int64_t *blockers = NULL;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char key[8];

		snprintf(key, sizeof key, "m%zu", i);
		ids[i] = fixture_work(f, key);
		edges[i] = (struct edge){ids[0], ids[i]};
	}
	edges[0].blocker = ids[40];
	store_edges_add(f->store, edges, ARRAY_LEN(edges));
	blockers = store_task_blockers(f->store, ids[0]);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(blockers[i], ids[i + 1]);
	assert_int_equal(blockers[40], 0);
	assert_false(store_failed(f->store, NULL));
}

static void make_old(const char *file)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	for (int i = 0; i < 9; i++)
		assert_int_equal(sqlite3_exec(db, store_migrations[i], NULL, NULL, NULL),
		                 SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(
	        db,
	        "INSERT INTO plan(id, name, agents, limits, created_at) VALUES(1, 'p', '{}', '{}', "
	        "1);"
	        "INSERT INTO spec VALUES(1, '{}');"
	        "INSERT INTO task(id, plan, key, kind, created_at, unfinished) VALUES"
	        " (1, 1, 'a', 0, 1, 0), (2, 1, 'b', 0, 1, 1);"
	        "INSERT INTO task_text(task, subject, prompt, spec, definition, nonce, output) "
	        "VALUES"
	        " (1, 's', 'one', 1, 'd', 'n1', 'last words'), (2, 's', 'two', 1, 'd', NULL, NULL);"
	        "INSERT INTO dependency VALUES(2, 1); PRAGMA user_version = 9",
	        NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
}

static void test_an_older_store(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_free_ char *file = xasprintf("%s/old.db", f->dir);
	_cleanup_free_ int64_t *blockers = NULL;
	_cleanup_json_ json_t *text = NULL;
	_cleanup_buf_ struct buf inputs = BUF_INIT;
	struct store *store;

	make_old(file);
	store = fixture_open(file);
	assert_int_equal(store_begin(store, NULL), 0);
	blockers = store_task_blockers(store, 2);
	assert_int_equal(blockers[0], 1);
	assert_int_equal(blockers[1], 0);
	text = store_task_text(store, 2);
	assert_string_equal(TEXT_OF(text, "prompt"), "two");
	assert_int_equal(store_task_by_nonce(store, "n1"), 1);
	store_task_put_inputs(store, 2, NULL, &inputs);
	assert_string_equal(inputs.data, "[{\"id\":1,\"key\":\"a\",\"status\":\"pending\","
	                                 "\"head\":null,\"output\":\"last words\"}]");
	store_rollback(store);
	store_close(store);
}

static void test_the_same_add_twice(void **state)
{
	struct store_fixture *f = *state;
	json_t *spec = json_object();
	struct task_new task = {.plan = f->plan,
	                        .key = "a",
	                        .subject = "s",
	                        .prompt = "p",
	                        .definition = "d",
	                        .nonce = "n-1",
	                        .spec = spec};
	int64_t id = store_task_insert(f->store, &task);
	struct error err = ERROR_INIT;

	assert_int_equal(store_task_by_nonce(f->store, "n-1"), id);
	assert_int_equal(store_task_by_nonce(f->store, "n-2"), 0);
	task.key = "b";
	store_savepoint(f->store);
	store_task_insert(f->store, &task);
	assert_true(store_failed(f->store, &err)); /* the store itself refuses it */
	store_rollback_to(f->store);
	task.nonce = NULL; /* none is no nonce: any number of them */
	task.key = "c";
	store_task_insert(f->store, &task);
	task.key = "d";
	store_task_insert(f->store, &task);
	assert_false(store_failed(f->store, &err));
	json_decref(spec);
}

/* 10,000 tasks, 50,000 edges: stored, counted and asked about without delay. The limits are
 * ten times what it takes, for busy machines and sanitizers. */
static void test_a_large_plan(void **state)
{
	enum { TASKS = 10000, EDGES = 5 };
	struct store_fixture *f = *state;
	int64_t *ids = xcalloc(TASKS, sizeof *ids), start = time_mono_ms(), took;
	struct error err = ERROR_INIT;
	unsigned seed = 5;

	for (int i = 0; i < TASKS; i++) {
		int64_t blockers[EDGES];
		size_t n = 0;
		char key[16];

		snprintf(key, sizeof key, "t%d", i);
		ids[i] = fixture_work(f, key);
		for (int j = 0; j < EDGES && i > EDGES; j++) {
			seed = seed * 1103515245u + 12345u;
			blockers[n++] = ids[seed / 65536 % (unsigned)i];
		}
		store_task_set_blockers(f->store, ids[i], blockers, n);
	}
	fixture_commit(f->store);
	took = time_mono_ms() - start;
	print_message("stored in %d ms\n", (int)took);
	start = time_mono_ms();
	fixture_begin(f->store);
	for (int i = 0; i < 1000; i++)
		free(ready_ids(f, 16));
	fixture_status(f, ids[0], TASK_FAILED);
	for (int i = 0; i < 100; i++)
		free(store_task_stuck_by(f->store, ids[TASKS - 1]));
	count(f, 0, "stuck");
	took = time_mono_ms() - start;
	print_message("asked in %d ms\n", (int)took);
	assert_false(store_failed(f->store, &err));
	free(ids);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_ready_in_order),
	    TEST(test_without_a_base),
	    TEST(test_one_attempt_at_a_time),
	    TEST(test_blockers_are_counted),
	    TEST(test_cycles_are_seen),
	    TEST(test_stuck_through_a_chain),
	    TEST(test_stuck_and_settled),
	    TEST(test_stuck_by_choices),
	    TEST(test_counts),
	    TEST(test_finding),
	    TEST(test_many_edges),
	    TEST(test_an_older_store),
	    TEST(test_the_same_add_twice),
	    TEST(test_a_large_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
