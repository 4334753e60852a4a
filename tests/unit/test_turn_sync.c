/* Syncs that come after their commits: when, by whom, and who is told what before and after. */
#include "turn_fixture.h"

static int inner_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	early = true;
	turn_inner_effect(c, run_word, drop_word, xstrdup(context));
	return 0;
}

static int patient_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_patient_effect(c, run_word, drop_word, xstrdup(context));
	return 0;
}

/* ---- tests ---- */

/* Whoever hears of something after it hears of what is on the disk. */
static void what_only_workers_know_is_synced_before_others_hear(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, inner_step, "a"), 0);
	turn_close(c);
	assert_string_equal(said, "a");
	assert_int_equal(in_step(c, word_step, "b"), 0);
	turn_close(c);
	assert_string_equal(said, "a settled b");
	assert_int_equal(in_step(c, inner_step, "c"), 0);
	turn_close(c);
	turn_inner_effect(c, run_word, drop_word, xstrdup("d"));
	turn_effect(c, run_word, drop_word, xstrdup("e"));
	assert_string_equal(said, "a settled b c d settled e");
}

static void what_only_workers_know_is_synced_a_moment_later(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, inner_step, "a"), 0);
	turn_close(c);
	assert_int_equal(in_step(c, inner_step, "b"), 0);
	turn_close(c);
	assert_string_equal(said, "a b");
	uv_ref((uv_handle_t *)&c->turn.sync.timer);
	uv_run(&c->loop, UV_RUN_ONCE);
	assert_string_equal(said, "a b settled"); /* both at once */
	assert_int_equal(unsynced, 0);
}

static void with_others_in_its_turn_nothing_waits(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(in_step(c, inner_step, "a"), 0);
	assert_int_equal(in_step(c, word_step, "b"), 0);
	turn_close(c);
	assert_string_equal(said, "a b");
	assert_int_equal(unsynced, 0);
}

/* A pane's border is for people. */
static void with_panes_nothing_is_inner(void **state)
{
	struct coordinator *c = *state;

	c->views = (void *)c;
	assert_int_equal(in_step(c, inner_step, "a"), 0);
	turn_close(c);
	c->views = NULL;
	assert_string_equal(said, "a");
	assert_int_equal(unsynced, 0);
}

/* Until the sync beside the loop has ended, however long that takes here. */
static void await_sync(struct coordinator *c)
{
	while (c->turn.sync.behind) {
		uv_timer_stop(&c->turn.sync.timer);
		uv_run(&c->loop, UV_RUN_ONCE);
	}
}

static void the_sync_is_beside_the_loop(void **state)
{
	struct coordinator *c = *state;

	has_log = true;
	assert_int_equal(in_step(c, inner_step, "a"), 0);
	turn_close(c);
	uv_ref((uv_handle_t *)&c->turn.sync.timer);
	while (!c->turn.sync.behind)
		uv_run(&c->loop, UV_RUN_ONCE);
	/* What comes meanwhile is of the next one. */
	assert_int_equal(in_step(c, inner_step, "b"), 0);
	turn_close(c);
	await_sync(c);
	assert_string_equal(said, "a begun b ended");
	assert_int_equal(unsynced, 1);
	while (!c->turn.sync.behind)
		uv_run(&c->loop, UV_RUN_ONCE);
	await_sync(c);
	assert_string_equal(said, "a begun b ended begun ended");
	assert_int_equal(unsynced, 0);
	assert_false(uv_is_active((uv_handle_t *)&c->turn.sync.timer));
}

static void a_sync_that_hangs_is_not_waited_for(void **state)
{
	struct coordinator *c = *state;

	has_log = true;
	assert_int_equal(in_step(c, inner_step, "a"), 0);
	turn_close(c);
	c->turn.sync.behind = true;
	uv_timer_start(&c->turn.sync.timer, c->turn.sync.timer.timer_cb, 1, 0);
	uv_ref((uv_handle_t *)&c->turn.sync.timer);
	uv_run(&c->loop, UV_RUN_ONCE);
	assert_string_equal(said, "a settled");
	/* Nor the next time. */
	assert_int_equal(in_step(c, inner_step, "b"), 0);
	turn_close(c);
	assert_true(uv_is_active((uv_handle_t *)&c->turn.sync.timer));
	uv_run(&c->loop, UV_RUN_ONCE);
	assert_string_equal(said, "a settled b settled");
	c->turn.sync.behind = false;
}

/* No thread has the store after that. */
static void the_end_waits_for_the_sync_beside(void **state)
{
	struct coordinator *c = *state;

	has_log = true;
	synced_beside = false;
	assert_int_equal(in_step(c, inner_step, "a"), 0);
	assert_int_equal(in_step(c, patient_step, "y"), 0);
	turn_close(c);
	usleep(5000); /* so that it is most likely under way */
	turn_sync_finish(c);
	assert_true(synced_beside || strstr(said, "settled"));
	assert_int_equal(unsynced, 0);
	assert_string_equal(said + strlen(said) - 2, " y");
	if (synced_beside) /* the loop of a coordinator is not run any more */
		uv_sem_post(&c->turn.sync.ended);
}

/* At once where all is synced; else after a sync that was begun behind what they tell of, in their
 * order; none of them keeps workers waiting. */
static void the_patient_wait_for_their_sync(void **state)
{
	struct coordinator *c = *state;

	has_log = true;
	assert_int_equal(in_step(c, patient_step, "x"), 0);
	turn_close(c);
	assert_string_equal(said, "x");
	assert_int_equal(in_step(c, inner_step, "a"), 0);
	assert_int_equal(in_step(c, patient_step, "y"), 0);
	turn_close(c);
	assert_string_equal(said, "x a begun");
	assert_int_equal(in_step(c, inner_step, "b"), 0);
	assert_int_equal(in_step(c, patient_step, "z"), 0);
	turn_close(c);
	turn_patient_effect(c, run_word, drop_word, xstrdup("w"));
	assert_string_equal(said, "x a begun b");
	await_sync(c); /* and the next, which is begun at once */
	assert_string_equal(said, "x a begun b ended y begun ended z w");
	assert_int_equal(unsynced, 0);
}

/* Whoever else has it synced meanwhile: they are told at the end of that turn, and the sync under
 * way is for nobody any more. */
static void the_patient_take_any_sync(void **state)
{
	struct coordinator *c = *state;

	has_log = true;
	assert_int_equal(in_step(c, inner_step, "a"), 0);
	assert_int_equal(in_step(c, patient_step, "y"), 0);
	turn_close(c);
	assert_true(c->turn.sync.behind);
	assert_int_equal(in_step(c, word_step, "b"), 0);
	turn_close(c);
	assert_string_equal(said, "a begun settled b y");
	assert_int_equal(in_step(c, inner_step, "c"), 0);
	turn_close(c);
	await_sync(c);
	assert_string_equal(said, "a begun settled b y c ended");
	assert_int_equal(unsynced, 1);
	turn_patient_effect(c, run_word, drop_word, xstrdup("z"));
	turn_sync_finish(c);
	assert_string_equal(said, "a begun settled b y c ended settled z");
	assert_int_equal(c->turn.sync.n, 0);
}

static void the_patient_are_dropped_with_their_turn(void **state)
{
	struct coordinator *c = *state;

	failing = 1;
	assert_int_equal(in_step(c, patient_step, "a"), 0);
	turn_close(c);
	assert_string_equal(said, "-a!");
	assert_int_equal(c->turn.sync.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_only_workers_know_is_synced_before_others_hear,
	                                    world, end),
	    cmocka_unit_test_setup_teardown(what_only_workers_know_is_synced_a_moment_later, world,
	                                    end),
	    cmocka_unit_test_setup_teardown(with_others_in_its_turn_nothing_waits, world, end),
	    cmocka_unit_test_setup_teardown(the_sync_is_beside_the_loop, world, end),
	    cmocka_unit_test_setup_teardown(a_sync_that_hangs_is_not_waited_for, world, end),
	    cmocka_unit_test_setup_teardown(the_end_waits_for_the_sync_beside, world, end),
	    cmocka_unit_test_setup_teardown(the_patient_wait_for_their_sync, world, end),
	    cmocka_unit_test_setup_teardown(the_patient_take_any_sync, world, end),
	    cmocka_unit_test_setup_teardown(the_patient_are_dropped_with_their_turn, world, end),
	    cmocka_unit_test_setup_teardown(with_panes_nothing_is_inner, world, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
