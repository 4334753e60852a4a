/* Questions to pleach-git that cannot be started just now: there is none beside this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinator.h"
#include "text.h"

#define FIRST_PAUSE_MS 100
#define PAUSES_MS      (FIRST_PAUSE_MS + 200 + 400 + 800) /* between five tries */

/* One for each test: what it dropped stays its own. */
static struct coordinator coordinators[5];
static size_t used;
static int told;
static bool told_killed;
static char told_why[ERROR_TEXT_MAX];

void turn_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	(void)drop;
	run(c, context);
}

static void done(struct coordinator *c, const json_t *result, const struct error *why,
                 void *context)
{
	(void)c;
	(void)context;
	assert_null(result);
	told++;
	told_killed = gitq_was_killed(why);
	snprintf(told_why, sizeof told_why, "%s", why->text);
}

static int set_up(void **state)
{
	static char root[] = "/", id[] = "id", pinned[] = "/none";
	struct coordinator *c = &coordinators[used++];

	uv_loop_init(&c->loop);
	c->place.root = root;
	c->place.id = id;
	c->pinned_file = pinned;
	gitq_init(c);
	told = 0;
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct coordinator *c = *state;

	assert_int_equal(uv_loop_close(&c->loop), 0);
	return 0;
}

static void test_five_tries(void **state)
{
	struct coordinator *c = *state;
	int64_t start = time_mono_ms();

	gitq_ask(c, "prove", json_object(), done, c);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(told, 1);
	assert_false(told_killed);
	assert_non_null(strstr(told_why, "pleach-git"));
	assert_true(time_mono_ms() - start >= PAUSES_MS);
}

/* It is over at once, as if it had been killed in the midst of its work. */
static void test_cancelled_in_a_pause(void **state)
{
	struct coordinator *c = *state;
	int other;

	gitq_ask(c, "prove", json_object(), done, c);
	gitq_cancel(c, &other);
	uv_run(&c->loop, UV_RUN_NOWAIT);
	assert_int_equal(told, 0);
	gitq_cancel(c, c);
	gitq_cancel(c, c);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(told, 1);
	assert_true(told_killed);
	assert_non_null(strstr(told_why, "before it began"));
}

static void cancel_now(uv_prepare_t *prepare)
{
	uv_close((uv_handle_t *)prepare, NULL);
	gitq_cancel(prepare->data, prepare->data);
}

/* The moment that its timer is over, before it is started again. */
static void test_cancelled_as_a_pause_ends(void **state)
{
	struct coordinator *c = *state;
	uv_prepare_t prepare;

	gitq_ask(c, "prove", json_object(), done, c);
	usleep((FIRST_PAUSE_MS + 50) * 1000);
	uv_prepare_init(&c->loop, &prepare); /* comes after the timers */
	prepare.data = c;
	uv_prepare_start(&prepare, cancel_now);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(told, 1);
	assert_true(told_killed);
}

/* What only asks is asked again all the same: whoever waits for it needs the answer. */
static void test_a_short_one_is_not_cancelled(void **state)
{
	struct coordinator *c = *state;

	gitq_ask(c, "compare", json_object(), done, c);
	gitq_cancel(c, c);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(told, 1);
	assert_false(told_killed);
}

/* On the way down nobody hears of it. */
static void test_closed_in_a_pause(void **state)
{
	struct coordinator *c = *state;

	gitq_ask(c, "prove", json_object(), done, c);
	gitq_cancel(c, c);
	gitq_close(c);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(told, 0);
	assert_true(gitq_is_idle(c));
}

#define gitq_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    gitq_test(test_five_tries),
	    gitq_test(test_cancelled_in_a_pause),
	    gitq_test(test_cancelled_as_a_pause_ends),
	    gitq_test(test_a_short_one_is_not_cancelled),
	    gitq_test(test_closed_in_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
