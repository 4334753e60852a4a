/* What the store remembers is never another thing than what it holds: after each write, and after
 * something was undone. */
#include "store_fixture.h"

static int64_t put(struct store_fixture *f, const char *key, const char *setup)
{
	json_t *spec = json_pack("{s:s, s:s}", "slot", "none", "setup", setup);
	const struct task_new task = {.plan = f->plan,
	                              .key = key,
	                              .subject = key,
	                              .prompt = key,
	                              .definition = "d",
	                              .slot_none = true,
	                              .spec = spec};
	int64_t id = store_task_insert(f->store, &task);

	json_decref(spec);
	return id;
}

static void is_setup(struct store_fixture *f, int64_t id, const char *want)
{
	json_t *spec = store_task_spec(f->store, id);

	assert_string_equal(json_string_value(json_object_get(spec, "setup")), want);
	json_decref(spec);
}

static int64_t count(struct store_fixture *f, const char *status)
{
	json_t *counts = store_status_counts(f->store, f->plan);
	int64_t n = json_integer_value(json_object_get(counts, status));

	json_decref(counts);
	return n;
}

static void a_row_that_was_written_is_read_again(void **state)
{
	struct store_fixture *f = *state;
	int64_t id = fixture_work(f, "a");
	_cleanup_task_ struct task_row before = {0}, after = {0};

	assert_true(store_task_get(f->store, id, &before));
	assert_int_equal(before.priority, 0);
	store_task_set_priority(f->store, id, 7);
	store_task_set_answer(f->store, id, "yes");
	assert_true(store_task_get(f->store, id, &after));
	assert_int_equal(after.priority, 7);
	assert_string_equal(after.answer, "yes");
}

static void a_dependent_that_was_told_is_read_again(void **state)
{
	struct store_fixture *f = *state;
	int64_t a = fixture_work(f, "a"), b = fixture_work(f, "b");

	fixture_block(f, b, a);
	assert_int_equal(fixture_unfinished(f, b), 1);
	fixture_status(f, a, TASK_COMPLETED);
	assert_int_equal(fixture_unfinished(f, b), 0);
	fixture_status(f, a, TASK_PENDING);
	assert_int_equal(fixture_unfinished(f, b), 1);
}

static void what_was_undone_is_not_remembered(void **state)
{
	struct store_fixture *f = *state;
	int64_t kept = put(f, "kept", "one"), events, id, again;
	_cleanup_task_ struct task_row row = {0};

	store_event_add(f->store, "x", 0, 0, NULL, NULL);
	events = store_event_last(f->store);
	assert_int_equal(count(f, "pending"), 1);
	store_savepoint(f->store);
	id = put(f, "gone", "two");
	is_setup(f, id, "two");
	store_task_set_priority(f->store, kept, 9);
	fixture_status(f, kept, TASK_COMPLETED);
	assert_int_equal(count(f, "completed"), 1);
	assert_true(store_task_get(f->store, kept, &row));
	store_event_add(f->store, "y", 0, 0, NULL, NULL);
	store_rollback_to(f->store);
	/* Its number belongs to another text now. */
	again = put(f, "new", "three");
	is_setup(f, again, "three");
	is_setup(f, kept, "one");
	task_row_finish(&row);
	assert_true(store_task_get(f->store, kept, &row));
	assert_int_equal(row.priority, 0);
	assert_int_equal(row.status, TASK_PENDING);
	assert_int_equal(count(f, "pending"), 2);
	assert_int_equal(count(f, "completed"), 0);
	assert_int_equal(store_event_last(f->store), events);
}

static int64_t begin_attempt(struct store_fixture *f, int64_t task, const char *teammate)
{
	const struct attempt_row row = {
	    .task = task, .teammate = (char *)teammate, .branch = (char *)"b", .started_at = 1};
	int64_t id = store_attempt_insert(f->store, &row);

	assert_true(id > 0);
	return id;
}

static void end_attempt(struct store_fixture *f, int64_t id)
{
	_cleanup_attempt_ struct attempt_row row = {0};

	assert_true(store_attempt_get(f->store, id, &row));
	row.outcome = OUTCOME_COMPLETED;
	store_attempt_end(f->store, &row);
}

static void what_a_teammate_runs_is_known(void **state)
{
	struct store_fixture *f = *state;
	int64_t task = fixture_work(f, "a"), one, two;
	_cleanup_attempt_ struct attempt_row row = {0};

	assert_int_equal(store_attempt_running_of(f->store, "ash"), 0);
	one = begin_attempt(f, task, "ash");
	assert_int_equal(store_attempt_running_of(f->store, "ash"), one);
	assert_int_equal(store_attempt_running_of(f->store, "birch"), 0);
	end_attempt(f, one);
	assert_int_equal(store_attempt_running_of(f->store, "ash"), 0);
	assert_true(store_attempt_get(f->store, one, &row));
	assert_int_equal(row.outcome, OUTCOME_COMPLETED);
	attempt_row_finish(&row);
	store_attempt_set_rounds(f->store, one, "[1]");
	assert_true(store_attempt_get(f->store, one, &row));
	assert_string_equal(row.rounds, "[1]");
	attempt_row_finish(&row);
	store_savepoint(f->store);
	two = begin_attempt(f, task, "ash");
	assert_int_equal(store_attempt_running_of(f->store, "ash"), two);
	assert_true(store_attempt_get(f->store, two, &row));
	store_rollback_to(f->store);
	assert_int_equal(store_attempt_running_of(f->store, "ash"), 0);
	attempt_row_finish(&row);
	assert_false(store_attempt_get(f->store, two, &row));
	/* more of them than are kept, and names that are too long to be */
	for (int i = 0; i < 100; i++) {
		char name[64];

		snprintf(name, sizeof name, i % 2 ? "t%d" : "t%d-0123456789-0123456789-0123456789",
		         i);
		assert_int_equal(store_attempt_running_of(f->store, name), 0);
		one = begin_attempt(f, task, name);
		assert_int_equal(store_attempt_running_of(f->store, name), one);
	}
}

/* What is kept of a new one is what is stored of it. */
static void a_new_attempt_is_known(void **state)
{
	struct store_fixture *f = *state;
	const struct attempt_row given = {.task = fixture_work(f, "a"),
	                                  .teammate = (char *)"ash",
	                                  .branch = (char *)"pleach/p/a",
	                                  .base = (char *)"1234",
	                                  .slot = (char *)"/slot",
	                                  .agent = (char *)"agent",
	                                  .model = (char *)"model",
	                                  .started_at = 77,
	                                  .session = (char *)"s",
	                                  .continues = (char *)"{}",
	                                  .head = (char *)"not stored"};
	_cleanup_attempt_ struct attempt_row kept = {0}, stored = {0};
	int64_t id = store_attempt_insert(f->store, &given);

	assert_true(store_attempt_get(f->store, id, &kept));
	store_attempt_set_session(f->store, id, given.session, given.continues);
	assert_true(store_attempt_get(f->store, id, &stored));
	assert_int_equal(kept.id, stored.id);
	assert_int_equal(kept.task, stored.task);
	assert_string_equal(kept.teammate, stored.teammate);
	assert_string_equal(kept.branch, stored.branch);
	assert_string_equal(kept.base, stored.base);
	assert_string_equal(kept.slot, stored.slot);
	assert_string_equal(kept.agent, stored.agent);
	assert_string_equal(kept.model, stored.model);
	assert_string_equal(kept.session, stored.session);
	assert_string_equal(kept.continues, stored.continues);
	assert_int_equal(kept.started_at, stored.started_at);
	assert_int_equal(kept.outcome, stored.outcome);
	assert_int_equal(kept.error_code, stored.error_code);
	assert_null(kept.head);
	assert_null(stored.head);
	assert_null(stored.rounds);
	assert_int_equal(stored.ended_at, kept.ended_at);
}

static void counts_follow_every_status(void **state)
{
	struct store_fixture *f = *state;
	int64_t a = fixture_work(f, "a"), b = fixture_work(f, "b");

	assert_int_equal(count(f, "pending"), 2);
	fixture_status(f, a, TASK_IN_PROGRESS);
	fixture_status(f, b, TASK_FAILED);
	fixture_work(f, "c");
	assert_int_equal(count(f, "pending"), 1);
	assert_int_equal(count(f, "in_progress"), 1);
	assert_int_equal(count(f, "failed"), 1);
	fixture_status(f, b, TASK_PENDING);
	assert_int_equal(count(f, "pending"), 2);
	assert_int_equal(count(f, "failed"), 0);
}

static void agents_of_a_plan_that_was_written_are_read_again(void **state)
{
	struct store_fixture *f = *state;
	const struct plan_row row = {.name = (char *)"p",
	                             .agents = (char *)"{\"new\":{}}",
	                             .limits = (char *)"{\"total\":3}"};

	assert_null(json_object_get(store_plan_agents(f->store, f->plan), "new"));
	store_plan_put(f->store, &row);
	assert_non_null(json_object_get(store_plan_agents(f->store, f->plan), "new"));
	assert_int_equal(
	    json_integer_value(json_object_get(store_plan_limits(f->store, f->plan), "total")), 3);
	assert_null(store_plan_agents(f->store, 4711));
}

static size_t ready(struct store_fixture *f)
{
	struct ready_row *rows;
	size_t n = store_tasks_ready(f->store, 100, &rows);

	ready_rows_free(rows, n);
	return n;
}

static size_t without_base(struct store_fixture *f)
{
	int64_t *tasks = store_tasks_without_base(f->store, 100);
	size_t n = 0;

	while (tasks[n])
		n++;
	free(tasks);
	return n;
}

static void that_none_starts_is_known_until_one_may(void **state)
{
	struct store_fixture *f = *state;
	int64_t id;

	assert_false(store_tasks_none_starts(f->store));
	assert_int_equal(without_base(f), 0);
	assert_false(store_tasks_none_starts(f->store)); /* half of it */
	assert_int_equal(ready(f), 0);
	assert_true(store_tasks_none_starts(f->store));
	store_event_add(f->store, "x", 0, 0, NULL, NULL);
	assert_true(store_tasks_none_starts(f->store));
	id = fixture_work(f, "a");
	assert_false(store_tasks_none_starts(f->store));
	assert_int_equal(ready(f), 1);
	store_task_set_priority(f->store, id, 3);
	assert_int_equal(ready(f), 1);
	fixture_status(f, id, TASK_COMPLETED);
	assert_int_equal(ready(f) + without_base(f), 0);
	store_task_set_priority(f->store, id, 4);
	assert_true(store_tasks_none_starts(f->store));
	store_savepoint(f->store);
	store_rollback_to(f->store);
	assert_false(store_tasks_none_starts(f->store));
}

/* One of the writes that decide whether a task may start. */
static void change_some(struct store_fixture *f, const int64_t *tasks, unsigned seed)
{
	int64_t id = tasks[seed / 16 % 4];

	switch (seed % 8) {
	case 0:
		store_task_set_delay(f->store, id, seed / 64 % 2 ? 0 : 50);
		break;
	case 1:
		store_task_stop(f->store, id);
		break;
	case 2:
		store_task_go_on(f->store, id);
		break;
	case 3:
		store_task_set_next_base(f->store, id, seed / 64 % 2 ? "c0ffee" : NULL);
		break;
	case 4:
		store_task_set_priority(f->store, id, seed / 64 % 5);
		break;
	case 5:
		end_attempt(f, begin_attempt(f, id, "ash"));
		break;
	default:
		fixture_status(f, id, seed / 64 % 3 ? TASK_COMPLETED : TASK_PENDING);
	}
}

static void what_may_start_is_never_overlooked(void **state)
{
	struct store_fixture *f = *state;
	int64_t tasks[4];
	unsigned known = 0, seed = 1;

	for (int i = 0; i < 4; i++) {
		char key[2] = {(char)('a' + i), '\0'};

		tasks[i] = fixture_work(f, key);
	}
	fixture_block(f, tasks[1], tasks[0]);
	for (int i = 0; i < 5000; i++) {
		size_t now, fresh;

		seed = seed * 1103515245 + 12345;
		change_some(f, tasks, seed >> 8);
		now = ready(f);
		known += store_tasks_none_starts(f->store) || without_base(f) + now == 0;
		store_savepoint(f->store);
		store_rollback_to(f->store); /* nothing is remembered */
		fresh = ready(f);
		assert_int_equal(now, fresh);
		assert_int_equal(without_base(f), 0);
	}
	assert_in_range(known, 100, 4900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_row_that_was_written_is_read_again, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(a_dependent_that_was_told_is_read_again, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(what_was_undone_is_not_remembered, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(what_a_teammate_runs_is_known, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(a_new_attempt_is_known, store_setup, store_teardown),
	    cmocka_unit_test_setup_teardown(counts_follow_every_status, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(agents_of_a_plan_that_was_written_are_read_again,
	                                    store_setup, store_teardown),
	    cmocka_unit_test_setup_teardown(that_none_starts_is_known_until_one_may, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(what_may_start_is_never_overlooked, store_setup,
	                                    store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
