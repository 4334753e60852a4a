/* What a task starts from, over a git that cannot write and a store that takes nothing: it is asked
 * again until both can, by one job, which ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "transition.h"

#define TASK 7

/* ---- what base.c stands on ---- */

static int asked, steps, refused; /* questions to git; steps; those that are refused next */
static git_done_fn answer_to;
static void *answer_context;
static char *next_base;

int turn_step(struct coordinator *c, turn_step_fn step, void *context, struct error *err)
{
	steps++;
	if (refused > 0) {
		refused--;
		return error_set(err, ERROR_BUSY, "the disk is full");
	}
	return step(c, context, err);
}

void gitq_ask(struct coordinator *c, const char *verb, json_t *request, git_done_fn done,
              void *context)
{
	(void)c;
	assert_string_equal(verb, "base");
	json_decref(request);
	asked++;
	answer_to = done;
	answer_context = context;
}

bool gitq_is_unasked(const struct error *why)
{
	(void)why;
	return false;
}

int64_t *store_tasks_without_base(struct store *store, int64_t limit)
{
	int64_t *ids = xcalloc(2, sizeof *ids);

	(void)store;
	(void)limit;
	ids[0] = next_base ? 0 : TASK;
	return ids;
}

bool store_task_get(struct store *store, int64_t id, struct task_row *out)
{
	(void)store;
	*out = (struct task_row){.id = id, .status = TASK_PENDING, .next_base = next_base};
	return true;
}

void cleanup_task_row(struct task_row *row)
{
	(void)row;
}

int64_t *store_task_blockers(struct store *store, int64_t id)
{
	(void)store;
	(void)id;
	return xcalloc(1, sizeof(int64_t));
}

void store_task_set_next_base(struct store *store, int64_t id, const char *base)
{
	(void)store;
	assert_int_equal(id, TASK);
	next_base = xstrdup(base);
}

int task_change(struct coordinator *c, const struct transition *t, struct error *err)
{
	(void)c;
	(void)t;
	return error_set(err, ERROR_CONFLICT, "nobody is asked here");
}

/* ---- time ---- */

/* The job's timer, if it will run: then at once. */
static void hurry(uv_handle_t *handle, void *context)
{
	int *armed = context;

	if (handle->type != UV_TIMER || !uv_is_active(handle))
		return;
	++*armed;
	uv_timer_set_repeat((uv_timer_t *)handle, 1);
	uv_timer_again((uv_timer_t *)handle);
	uv_timer_set_repeat((uv_timer_t *)handle, 0);
}

/* How many waited; they have looked again. */
static int look(struct coordinator *c)
{
	int armed = 0, before = steps;

	uv_walk(&c->loop, hurry, &armed);
	while (armed && steps == before) /* a millisecond */
		uv_run(&c->loop, UV_RUN_NOWAIT);
	return armed;
}

static void answer(struct coordinator *c, const char *key, const char *value)
{
	_cleanup_json_ json_t *result = json_pack("{s:s}", key, value);

	answer_to(c, result, NULL, answer_context);
}

static void test_full_disk(void **state)
{
	struct coordinator c = {0};

	(void)state;
	uv_loop_init(&c.loop);
	base_turn(&c);
	base_turn(&c);
	assert_int_equal(asked, 1);
	answer(&c, "unwritable", "no space left");
	refused = 2; /* the store's disk is the same one */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(asked, 1);
		assert_int_equal(look(&c), 1);
	}
	assert_int_equal(refused, 0);
	assert_int_equal(asked, 2);
	answer(&c, "commit", "abc");
	assert_string_equal(next_base, "abc");
	assert_null(base_story());
	assert_int_equal(look(&c), 0);
	uv_run(&c.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c.loop), 0);
	free(next_base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
