/* Turns: what becomes of effects whose step or commit fails, and of those that their drop callbacks
 * queue. */
#include "turn_fixture.h"

static int failing_step(struct coordinator *c, void *context, struct error *err)
{
	word_step(c, context, err);
	return error_set(err, ERROR_CONFLICT, "refused");
}

/* Whoever hears that it was dropped writes that down, and asks for something in turn. */
static void drop_and_write(struct coordinator *c, void *context, const struct error *why)
{
	drop_word(c, context, why);
	assert_int_equal(in_step(c, word_step, "after"), 0);
}

static int writer_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_effect(c, run_word, drop_and_write, xstrdup(context));
	return 0;
}

/* In a step that is undone nothing may be opened, but something may be asked for. */
static void drop_and_ask(struct coordinator *c, void *context, const struct error *why)
{
	drop_word(c, context, why);
	turn_effect(c, run_word, drop_word, xstrdup("asked"));
}

static int asking_step(struct coordinator *c, void *context, struct error *err)
{
	turn_effect(c, run_word, drop_and_ask, xstrdup(context));
	return error_set(err, ERROR_CONFLICT, "refused");
}

/* The next turn is open when the effects after it come. */
static void run_and_write(struct coordinator *c, void *context)
{
	run_word(c, context);
	assert_int_equal(in_step(c, word_step, "next"), 0);
}

static int opening_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_effect(c, run_and_write, drop_word, xstrdup(context));
	return 0;
}

static void run_alone(struct coordinator *c, void *context)
{
	assert_false(c->turn.open);
	run_word(c, context);
}

static int alone_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_alone(c, run_alone, drop_word, xstrdup(context));
	return 0;
}

static void prepare_word(struct coordinator *c, void *context)
{
	_cleanup_free_ char *text = xasprintf("(%s)", (char *)context);

	assert_false(c->turn.open);
	say(text);
}

static int prepared_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_prepared_effect(c, prepare_word, run_word, drop_word, xstrdup(context));
	return 0;
}

/* The disk goes with it. */
static int gone_step(struct coordinator *c, void *context, struct error *err)
{
	begin_fails = true;
	return failing_step(c, context, err);
}

/* ---- tests ---- */

static void what_a_sync_is_waited_for_is_prepared_and_told_after_it(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, prepared_step, "b"), 0);
	assert_int_equal(in_step(c, word_step, "c"), 0);
	turn_close(c);
	failing = 1;
	assert_int_equal(in_step(c, prepared_step, "d"), 0);
	turn_close(c);
	assert_string_equal(said, "(b) b c (d) -d!");
}

/* Nothing but their answers is made before the sync. */
static void who_waits_is_told_before_who_changed_something(void **state)
{
	struct coordinator *c = *state;

	tells_held = true;
	assert_int_equal(in_step(c, prepared_step, "b"), 0);
	assert_int_equal(in_step(c, word_step, "c"), 0);
	turn_close(c);
	failing = 1;
	assert_int_equal(in_step(c, prepared_step, "d"), 0);
	turn_close(c);
	assert_string_equal(said, "held told (b) b c held not-held -d!");
}

static int quiet_step(struct coordinator *c, void *context, struct error *err)
{
	(void)c, (void)context, (void)err;
	return 0;
}

/* Its sync is put off: what was made for who waits may not leave. */
static void what_only_a_worker_hears_of_is_taken_back(void **state)
{
	struct coordinator *c = *state;

	tells_held = early = true;
	assert_int_equal(turn_step(c, quiet_step, NULL, &(struct error)ERROR_INIT), 0);
	turn_close(c);
	assert_int_equal(unsynced, 1);
	assert_string_equal(said, "held not-held");
}

static void alone_is_outside_of_every_transaction(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, opening_step, "a"), 0);
	assert_int_equal(in_step(c, alone_step, "b"), 0);
	turn_close(c);
	assert_string_equal(said, "a next b");
	assert_int_equal(commits, 2);
}

static void alone_is_dropped_with_its_turn(void **state)
{
	struct coordinator *c = *state;

	failing = 1;
	assert_int_equal(in_step(c, alone_step, "a"), 0);
	turn_close(c);
	assert_string_equal(said, "-a!");
}

static void effects_wait_for_the_commit(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, word_step, "a"), 0);
	assert_int_equal(in_step(c, failing_step, "b"), -1);
	assert_int_equal(in_step(c, word_step, "c"), 0);
	assert_string_equal(said, "-b");
	turn_close(c);
	assert_string_equal(said, "-b a c");
	assert_int_equal(commits, 1);
}

static void what_a_failed_commit_drops_may_open_the_next_turn(void **state)
{
	struct coordinator *c = *state;

	failing = 1;
	assert_int_equal(in_step(c, writer_step, "a"), 0);
	assert_int_equal(in_step(c, word_step, "b"), 0);
	turn_close(c);
	/* The effect of the turn that was committed ran; it was not dropped with the others. */
	assert_string_equal(said, "-a! -b! after");
	assert_int_equal(commits, 2);
}

static void each_turn_has_the_fate_of_its_own_commit(void **state)
{
	struct coordinator *c = *state;

	failing = 2;
	assert_int_equal(in_step(c, writer_step, "a"), 0);
	turn_close(c);
	assert_string_equal(said, "-a! -after!");
	assert_int_equal(commits, 2);
	assert_false(c->turn.open);
}

static void the_first_step_is_undone_with_its_transaction(void **state)
{
	struct coordinator *c = *state;

	none_starts = true;
	assert_int_equal(in_step(c, failing_step, "a"), -1);
	assert_string_equal(store_did, "BUB");
	assert_int_equal(in_step(c, failing_step, "b"), -1);
	assert_int_equal(in_step(c, word_step, "c"), 0);
	assert_string_equal(store_did, "BUBSTSR");
	turn_close(c);
	assert_string_equal(said, "-a -b c");
	store_did[0] = '\0';
	assert_int_equal(in_step(c, word_step, "d"), 0);
	turn_close(c);
	assert_string_equal(store_did, "B");
	none_starts = false;
}

static void without_a_transaction_there_is_no_turn(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, gone_step, "a"), -1);
	assert_false(c->turn.open);
	assert_int_equal(in_step(c, word_step, "b"), -1);
	turn_close(c);
	assert_int_equal(commits, 0);
	begin_fails = false;
	assert_int_equal(in_step(c, word_step, "c"), 0);
	turn_close(c);
	assert_string_equal(said, "-a c");
}

static void what_an_undone_step_asks_for_is_of_its_turn(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, word_step, "a"), 0);
	assert_int_equal(in_step(c, asking_step, "b"), -1);
	assert_string_equal(said, "-b");
	turn_close(c);
	assert_string_equal(said, "-b a asked");
}

static void after_a_failed_commit_a_turn_looks_again(void **state)
{
	struct coordinator *c = *state;

	failing = 1;
	assert_int_equal(in_step(c, word_step, "a"), 0);
	turn_close(c);
	assert_int_equal(scheduled, 1);
	uv_ref((uv_handle_t *)&c->turn.timer);
	uv_run(&c->loop, UV_RUN_ONCE);
	assert_true(c->turn.open);
	turn_close(c);
	assert_int_equal(scheduled, 2);
	assert_false(uv_is_active((uv_handle_t *)&c->turn.timer));
}

static void where_none_starts_nobody_looks(void **state)
{
	struct coordinator *c = *state;

	scheduled = 0;
	none_starts = true;
	assert_int_equal(in_step(c, word_step, "a"), 0);
	turn_close(c);
	assert_int_equal(scheduled, 0);
	assert_string_equal(said, "a");
	none_starts = false;
	assert_int_equal(in_step(c, word_step, "b"), 0);
	turn_close(c);
	assert_int_equal(scheduled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(effects_wait_for_the_commit, world, end),
	    cmocka_unit_test_setup_teardown(what_a_failed_commit_drops_may_open_the_next_turn,
	                                    world, end),
	    cmocka_unit_test_setup_teardown(each_turn_has_the_fate_of_its_own_commit, world, end),
	    cmocka_unit_test_setup_teardown(what_an_undone_step_asks_for_is_of_its_turn, world,
	                                    end),
	    cmocka_unit_test_setup_teardown(where_none_starts_nobody_looks, world, end),
	    cmocka_unit_test_setup_teardown(what_only_a_worker_hears_of_is_taken_back, world, end),
	    cmocka_unit_test_setup_teardown(after_a_failed_commit_a_turn_looks_again, world, end),
	    cmocka_unit_test_setup_teardown(alone_is_outside_of_every_transaction, world, end),
	    cmocka_unit_test_setup_teardown(the_first_step_is_undone_with_its_transaction, world,
	                                    end),
	    cmocka_unit_test_setup_teardown(without_a_transaction_there_is_no_turn, world, end),
	    cmocka_unit_test_setup_teardown(who_waits_is_told_before_who_changed_something, world,
	                                    end),
	    cmocka_unit_test_setup_teardown(what_a_sync_is_waited_for_is_prepared_and_told_after_it,
	                                    world, end),
	    cmocka_unit_test_setup_teardown(alone_is_dropped_with_its_turn, world, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
