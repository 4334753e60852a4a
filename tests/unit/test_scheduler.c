/* The scheduler against a simple model: thousands of random cases, the same answer and the
 * rules that must hold whatever the answer is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler.h"

#define TASKS  12
#define MATES  6
#define LIMITS 3
#define ROUNDS 20000

static const char *const agents[] = {NULL, "claude", "codex"};
static unsigned seed = 1;

static unsigned any(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return seed >> 16 & 0x7fff ? (seed >> 16 & 0x7fff) % below : 0;
}

struct round {
	struct sched_task tasks[TASKS];
	struct sched_teammate mates[MATES];
	struct sched_limit limits[LIMITS];
	size_t n_tasks, n_mates;
};

static struct round make_round(void)
{
	struct round r = {.n_tasks = any(TASKS + 1), .n_mates = any(MATES + 1)};

	for (size_t i = 0; i < LIMITS; i++)
		r.limits[i].left = any(4);
	for (size_t i = 0; i < r.n_tasks; i++)
		r.tasks[i] = (struct sched_task){
		    .id = (int64_t)i + 1,
		    .priority = (int64_t)any(3),
		    .agent = agents[any(3)],
		    .waits = !any(8),
		    .only = any(4) ? 0 : 1 + any(MATES),
		    .total_limit = any(2) ? any(LIMITS) : SIZE_MAX,
		    .agent_limit = any(3) ? SIZE_MAX : any(LIMITS),
		};
	/* in any order: the scheduler sorts */
	for (size_t i = 0; i + 1 < r.n_tasks; i++) {
		size_t j = i + any((unsigned)(r.n_tasks - i));
		struct sched_task t = r.tasks[i];

		r.tasks[i] = r.tasks[j];
		r.tasks[j] = t;
	}
	for (size_t i = 0; i < r.n_mates; i++)
		r.mates[i] = (struct sched_teammate){.number = i, .agent = agents[any(3)]};
	return r;
}

static bool fits(const struct sched_teammate *mate, const struct sched_task *task)
{
	if (!mate->agent && !task->agent)
		return false; /* nobody says what to run */
	return !mate->agent || !task->agent || strcmp(mate->agent, task->agent) == 0;
}

/* What goes on with a session goes on where that is. */
static bool may(const struct round *r, size_t mate, const struct sched_task *task)
{
	return !task->waits && (!task->only || task->only == mate + 1) &&
	       fits(&r->mates[mate], task);
}

static bool better(const struct sched_task *a, const struct sched_task *b)
{
	if (!a->only != !b->only)
		return a->only != 0;
	return a->priority > b->priority || (a->priority == b->priority && a->id < b->id);
}

static bool open_limit(const struct sched_limit *limits, size_t at)
{
	return at >= LIMITS || limits[at].left > 0;
}

/* The model: again and again the best task that anybody could take, one at a time. */
static size_t model(struct round *r, int64_t task_of_mate[MATES])
{
	bool done[TASKS] = {false}, busy[MATES] = {false};
	size_t made = 0;

	memset(task_of_mate, 0, MATES * sizeof *task_of_mate);
	for (;;) {
		size_t best = SIZE_MAX, mate = SIZE_MAX;

		for (size_t i = 0; i < r->n_tasks; i++) {
			const struct sched_task *t = &r->tasks[i];
			bool able = false;

			for (size_t m = 0; m < r->n_mates; m++)
				able = able || (!busy[m] && may(r, m, t));
			if (done[i] || !able || !open_limit(r->limits, t->total_limit) ||
			    !open_limit(r->limits, t->agent_limit))
				continue;
			if (best == SIZE_MAX || better(t, &r->tasks[best]))
				best = i;
		}
		if (best == SIZE_MAX)
			return made;
		for (size_t m = r->n_mates; m-- > 0;)
			if (!busy[m] && may(r, m, &r->tasks[best]) &&
			    (mate == SIZE_MAX || !r->tasks[best].agent || r->mates[m].agent ||
			     !r->mates[mate].agent))
				mate = m;
		done[best] = busy[mate] = true;
		task_of_mate[mate] = r->tasks[best].id;
		if (r->tasks[best].total_limit < LIMITS)
			r->limits[r->tasks[best].total_limit].left--;
		if (r->tasks[best].agent_limit < LIMITS)
			r->limits[r->tasks[best].agent_limit].left--;
		made++;
	}
}

static void test_matches_the_model(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct round r = make_round(), copy = r;
		struct sched_assignment made[MATES];
		int64_t want[MATES];
		size_t n =
		    schedule_assign(r.tasks, r.n_tasks, r.mates, r.n_mates, r.limits, LIMITS, made);

		assert_int_equal(n, model(&copy, want));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(r.tasks[made[i].task].id, want[made[i].teammate]);
		for (size_t i = 0; i < LIMITS; i++)
			assert_int_equal(r.limits[i].left, copy.limits[i].left);
	}
}

static void test_priority_then_id(void **state)
{
	const struct sched_task tasks[] = {
	    {.id = 3, .priority = 0, .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX},
	    {.id = 2, .priority = 0, .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX},
	    {.id = 9, .priority = 5, .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX}};
	const struct sched_teammate mates[] = {{0, "codex"}, {1, "codex"}};
	struct sched_assignment made[2];

	(void)state;
	assert_int_equal(schedule_assign(tasks, 3, mates, 2, NULL, 0, made), 2);
	assert_int_equal(tasks[made[0].task].id, 9);
	assert_int_equal(tasks[made[1].task].id, 2);
}

/* Behind the others of its priority, and still before nothing at all. */
static void test_clashing_last(void **state)
{
	const struct sched_task tasks[] = {
	    {.id = 1, .clashes = true, .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX},
	    {.id = 2, .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX},
	    {.id = 3, .priority = -1, .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX}};
	const struct sched_teammate mates[] = {{0, "codex"}, {1, "codex"}};
	struct sched_assignment made[2];

	(void)state;
	assert_int_equal(schedule_assign(tasks, 3, mates, 2, NULL, 0, made), 2);
	assert_int_equal(tasks[made[0].task].id, 2);
	assert_int_equal(tasks[made[1].task].id, 1);
	assert_int_equal(schedule_assign(tasks, 1, mates, 2, NULL, 0, made), 1);
}

static void test_specialist_first(void **state)
{
	const struct sched_task task = {
	    .id = 1, .agent = "codex", .total_limit = SIZE_MAX, .agent_limit = SIZE_MAX};
	const struct sched_teammate mates[] = {{0, NULL}, {1, "claude"}, {2, "codex"}};
	struct sched_assignment made[3];

	(void)state;
	assert_int_equal(schedule_assign(&task, 1, mates, 3, NULL, 0, made), 1);
	assert_int_equal(made[0].teammate, 2);
}

static void test_nothing_to_do(void **state)
{
	struct sched_assignment made[1];

	(void)state;
	assert_int_equal(schedule_assign(NULL, 0, NULL, 0, NULL, 0, made), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_matches_the_model), cmocka_unit_test(test_priority_then_id),
	    cmocka_unit_test(test_clashing_last),     cmocka_unit_test(test_specialist_first),
	    cmocka_unit_test(test_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
