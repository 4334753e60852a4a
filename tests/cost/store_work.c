/* A fixed piece of the store's work, to be counted in instructions by cost.py: a plan of N tasks
 * behind three others each is written, then each of them is assigned, looked at as its assignment
 * is, and completed, a transaction each. No clock, no processes, nothing random.
 *   cost_store FILE N */
#include <stdio.h>
#include <stdlib.h>

#include "jsonl.h"
#include "mem.h"
#include "store.h"
#include "transition.h"

#define BLOCKERS 3

static void must(int rc, const struct error *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "cost_store: %s\n", err->text);
	exit(1);
}

static void put_task(struct store *store, int64_t plan, int64_t number, const json_t *spec)
{
	_cleanup_free_ char *key = xasprintf("t%lld", (long long)number);
	struct edge edges[BLOCKERS];
	int64_t id;
	size_t n = 0;

	for (int64_t before = number - 1; before > 0 && n < BLOCKERS; before--)
		edges[n++].blocker = before;
	id = store_task_insert(store, &(struct task_new){.plan = plan,
	                                                 .key = key,
	                                                 .subject = key,
	                                                 .prompt = "do nothing",
	                                                 .agent = "a",
	                                                 .definition = "d",
	                                                 .slot_none = true,
	                                                 .unfinished = (int64_t)n,
	                                                 .spec = spec});
	for (size_t i = 0; i < n; i++)
		edges[i].task = id;
	store_edges_add(store, edges, n);
}

static void put_plan(struct store *store, int64_t count)
{
	const struct plan_row row = {
	    .name = (char *)"p", .agents = (char *)"{\"a\":{}}", .limits = (char *)"{}"};
	_cleanup_json_ json_t *spec = json_pack("{s:s, s:i}", "slot", "none", "retries", 0);
	struct error err = ERROR_INIT;
	int64_t plan;

	must(store_begin(store, &err), &err);
	plan = store_plan_put(store, &row);
	for (int64_t i = 1; i <= count; i++)
		put_task(store, plan, i, spec);
	must(store_commit(store, &err), &err);
}

static void do_task(struct store *store)
{
	struct transition t = {.verb = VERB_ASSIGN};
	struct attempt_row attempt = {
	    .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};
	_cleanup_json_ json_t *spec = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct ready_row *ready;
	struct error err = ERROR_INIT;

	must(store_begin(store, &err), &err);
	if (store_tasks_ready(store, 8, &ready) < 1)
		die("nothing is ready");
	t.task = attempt.task = ready[0].id;
	ready_rows_free(ready, 1);
	t.attempt = store_attempt_insert(store, &attempt);
	must(task_transition(store, &t, NULL, &err), &err);
	spec = store_task_put_text(store, t.task, &text);
	store_task_put_inputs(store, t.task, "inputs", &text);
	attempt =
	    (struct attempt_row){.id = t.attempt, .outcome = OUTCOME_COMPLETED, .ended_at = 2};
	store_attempt_end(store, &attempt);
	t.verb = VERB_COMPLETE;
	must(task_transition(store, &t, NULL, &err), &err);
	store_task_set_output(store, t.task, NULL);
	must(store_commit(store, &err), &err);
}

int main(int argc, char **argv)
{
	int64_t count = argc == 3 ? atoll(argv[2]) : 0;
	struct error err = ERROR_INIT;
	struct store *store;

	if (count < 1)
		return fprintf(stderr, "usage: cost_store FILE N\n"), 2;
	must(store_open(argv[1], &store, &err), &err);
	put_plan(store, count);
	for (int64_t i = 0; i < count; i++)
		do_task(store);
	store_close(store);
	return 0;
}
