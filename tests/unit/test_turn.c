/* Turns, over a store that does what the test says: what becomes of effects whose step or
 * commit fails, and of those that their drop callbacks queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinator.h"
#include "mem.h"

/* ---- what turn.c stands on ---- */

static int commits, failing, scheduled;
static int unsynced; /* commits that wait for their sync */
static int waited;   /* commits that ever did */
static int beside;   /* of the unsynced, those of the sync beside the loop */
static bool has_log; /* that can be synced there */
static bool early;   /* the next commit is one that may wait */
static char said[256];

static void say(const char *word)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof said - n, "%s%s", n ? " " : "", word);
}

int store_begin(struct store *store, struct error *err)
{
	(void)store;
	(void)err;
	return 0;
}

int store_commit(struct store *store, struct error *err)
{
	(void)store;
	commits++;
	unsynced += early;
	waited += early;
	early = false;
	if (!failing)
		return 0;
	failing--;
	return error_set(err, ERROR_EXTERNAL, "the disk is full");
}

void store_settle(struct store *store)
{
	(void)store;
	if (unsynced)
		say("settled");
	unsynced = beside = 0;
}

bool store_sync_begin(struct store *store)
{
	(void)store;
	if (!has_log || !unsynced)
		return false;
	say("begun");
	beside = unsynced;
	return true;
}

static bool synced_beside; /* by a thread */

int store_sync_beside(const struct store *store)
{
	(void)store;
	usleep(20000);
	synced_beside = true;
	return 0;
}

void store_sync_end(struct store *store, int error)
{
	(void)store;
	assert_int_equal(error, 0);
	say("ended");
	unsynced -= beside;
	beside = 0;
}

int64_t store_synced_later(const struct store *store)
{
	(void)store;
	return waited;
}

int store_unsynced(const struct store *store)
{
	(void)store;
	return unsynced;
}

void store_savepoint(struct store *store)
{
	(void)store;
}

void store_release(struct store *store)
{
	(void)store;
}

void store_rollback_to(struct store *store)
{
	(void)store;
}

bool store_failed(const struct store *store, struct error *err)
{
	(void)store;
	(void)err;
	return false;
}

json_t *store_event_list(struct store *store, int64_t since, int64_t limit)
{
	(void)store;
	(void)since;
	(void)limit;
	return json_array();
}

void base_turn(struct coordinator *c)
{
	(void)c;
	scheduled++;
}

void worker_tell_early(struct coordinator *c, bool may_wait)
{
	(void)c;
	early = may_wait && early;
}

void schedule_turn(struct coordinator *c)
{
	(void)c;
}

void held_check(struct coordinator *c)
{
	(void)c;
}

void serve_published(struct coordinator *c)
{
	(void)c;
}

int64_t store_event_last(struct store *store)
{
	(void)store;
	return 0;
}

bool bus_pub_heard(const struct bus_pub *pub)
{
	(void)pub;
	return true;
}

void bus_pub_send(struct bus_pub *pub, const void *data, size_t len)
{
	(void)pub;
	(void)data;
	(void)len;
}

/* ---- effects that say what became of them ---- */

static void run_word(struct coordinator *c, void *context)
{
	(void)c;
	say(context);
	free(context);
}

static void drop_word(struct coordinator *c, void *context, const struct error *why)
{
	_cleanup_free_ char *text = xasprintf("-%s%s", (char *)context, why ? "!" : "");

	(void)c;
	say(text);
	free(context);
}

static int word_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_effect(c, run_word, drop_word, xstrdup(context));
	return 0;
}

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

static int failing_step(struct coordinator *c, void *context, struct error *err)
{
	word_step(c, context, err);
	return error_set(err, ERROR_CONFLICT, "refused");
}

static int in_step(struct coordinator *c, turn_step_fn fn, const char *word)
{
	_cleanup_free_ char *copy = xstrdup(word);
	struct error err = ERROR_INIT;

	return turn_step(c, fn, copy, &err);
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

static int world(void **state)
{
	struct coordinator *c = xcalloc(1, sizeof *c);

	uv_loop_init(&c->loop);
	turn_init(c);
	commits = failing = scheduled = 0;
	unsynced = waited = beside = 0;
	early = false;
	has_log = false;
	said[0] = '\0';
	*state = c;
	return 0;
}

static int end(void **state)
{
	struct coordinator *c = *state;

	uv_close((uv_handle_t *)&c->turn.timer, NULL);
	uv_close((uv_handle_t *)&c->turn.sync.timer, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->loop), 0);
	free(c->turn.effects);
	free(c->turn.sync.patient);
	free(c);
	return 0;
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

/* ---- tests ---- */

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
	    cmocka_unit_test_setup_teardown(effects_wait_for_the_commit, world, end),
	    cmocka_unit_test_setup_teardown(what_a_failed_commit_drops_may_open_the_next_turn,
	                                    world, end),
	    cmocka_unit_test_setup_teardown(each_turn_has_the_fate_of_its_own_commit, world, end),
	    cmocka_unit_test_setup_teardown(what_an_undone_step_asks_for_is_of_its_turn, world,
	                                    end),
	    cmocka_unit_test_setup_teardown(after_a_failed_commit_a_turn_looks_again, world, end),
	    cmocka_unit_test_setup_teardown(alone_is_outside_of_every_transaction, world, end),
	    cmocka_unit_test_setup_teardown(alone_is_dropped_with_its_turn, world, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
