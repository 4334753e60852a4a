/* Methods over a store and a git that say what the test says: `task.more` of a task that goes on
 * while git is asked, and how often what budgets stand against is summed up. */
#include "coordinator.h"
#include "jsonl.h"
#include "store_fixture.h"

/* ---- what they stand on ---- */

static git_done_fn git_done;
static void *git_context;
static json_t *git_request;
static struct error failure;
static int replies, plan_sums, day_sums;
static struct later later;

void gitq_ask(struct coordinator *c, const char *verb, json_t *request, git_done_fn done,
              void *context)
{
	(void)c;
	assert_string_equal(verb, "name");
	json_decref(git_request);
	git_request = request;
	git_done = done;
	git_context = context;
}

struct later *request_later(struct request *r)
{
	(void)r;
	return &later;
}

void later_reply_task(struct coordinator *c, struct later *to, int64_t task)
{
	(void)c, (void)to, (void)task;
	replies++;
}

void later_fail(struct coordinator *c, struct later *to, const struct error *err)
{
	(void)c, (void)to;
	failure = *err;
}

void request_reply_task(struct request *r, int64_t task)
{
	(void)r, (void)task;
	replies++;
}

int turn_step(struct coordinator *c, turn_step_fn step, void *context, struct error *err)
{
	return step(c, context, err);
}

void turn_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	(void)run;
	drop(c, context, NULL);
}

int resolve_task(struct request *r, const char *ref, int64_t *out, struct error *err)
{
	*out = store_task_find(r->c->store, "p", ref);
	return *out ? 0 : error_set(err, ERROR_NOT_FOUND, "no %s", ref);
}

char *task_typed(struct coordinator *c, const struct task_row *row)
{
	(void)c;
	return xstrdup(row->key);
}

char *task_branch(const char *plan, const char *key)
{
	return xasprintf("pleach/%s/%s", plan, key);
}

int task_change(struct coordinator *c, const struct transition *t, struct error *err)
{
	(void)c, (void)t, (void)err;
	return 0;
}

bool landing_is_under_way(struct coordinator *c, const struct task_row *task)
{
	(void)c, (void)task;
	return false;
}

bool landing_is_resolver(struct coordinator *c, int64_t task)
{
	(void)c, (void)task;
	return false;
}

void landing_forget(struct coordinator *c, int64_t task)
{
	(void)c, (void)task;
}

int environment_set_plan(struct coordinator *c, const char *plan, const json_t *secrets, bool part,
                         struct error *err)
{
	(void)c, (void)plan, (void)secrets, (void)part, (void)err;
	return 0;
}

json_t *environment_of_task(struct coordinator *c, const char *plan, const char *key)
{
	(void)c, (void)plan, (void)key;
	return NULL;
}

void limited_hold(struct coordinator *c, const char *agent, int64_t attempt, int64_t until,
                  int64_t tries, const char *message)
{
	(void)c, (void)agent, (void)attempt, (void)until, (void)tries, (void)message;
}

void limited_end_day(struct coordinator *c)
{
	(void)c;
}

void teammate_notify(struct teammate *t, const char *method, json_t *params)
{
	(void)t, (void)method;
	json_decref(params);
}

/* The store's own, counted (tests/unit/CMakeLists.txt). */
struct usage_sum counted_usage_of_plan(struct store *store, int64_t plan);
struct usage_sum counted_usage_of_day(struct store *store, int64_t day);

struct usage_sum counted_usage_of_plan(struct store *store, int64_t plan)
{
	plan_sums++;
	return store_usage_of_plan(store, plan);
}

struct usage_sum counted_usage_of_day(struct store *store, int64_t day)
{
	day_sums++;
	return store_usage_of_day(store, day);
}

/* ---- tests ---- */

/* An attempt of it ended, and it completed with that head. */
static int64_t complete(struct store_fixture *f, int64_t task, const char *head)
{
	struct attempt_row row = {
	    .task = task, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};
	struct task_state_change change = {.id = task,
	                                   .status = TASK_COMPLETED,
	                                   .failures = -1,
	                                   .losses = -1,
	                                   .started_at = -1,
	                                   .finished_at = -1,
	                                   .set_result = true,
	                                   .head = head,
	                                   .tree = head};

	row.id = change.attempt = store_attempt_insert(f->store, &row);
	row.outcome = OUTCOME_COMPLETED;
	row.head = (char *)head;
	row.ended_at = 2;
	store_attempt_end(f->store, &row);
	store_task_write_state(f->store, &change);
	return row.id;
}

static void ask_more(struct coordinator *c)
{
	_cleanup_json_ json_t *params = json_pack("{s:s}", "task", "plain");
	struct request request = {.c = c, .params = params};
	struct error err = ERROR_INIT;

	assert_ok(method_task_more(&request, &err));
}

static void git_answers(struct coordinator *c)
{
	_cleanup_json_ json_t *answer = json_pack("{s:b}", "created", 1);

	git_done(c, answer, NULL, git_context);
}

/* The branch was named after a result that is no longer the task's: that is said, and asked again
 * git is told whose name it finds there. */
static void test_result_named_too_late(void **state)
{
	struct store_fixture *f = *state;
	struct coordinator c = {.store = f->store};
	const struct task_new new = {
	    .plan = f->plan, .key = "plain", .subject = "s", .prompt = "p", .definition = "d"};
	int64_t task = store_task_insert(f->store, &new), first = complete(f, task, "1111");
	_cleanup_task_ struct task_row row = {0};
	const json_t *earlier;

	ask_more(&c);
	complete(f, task, "2222");
	git_answers(&c);
	assert_int_equal(failure.code, ERROR_BUSY);
	assert_int_equal(replies, 0);
	ask_more(&c);
	assert_string_equal(json_text(git_request, "commit"), "2222");
	earlier = json_array_get(json_sub(git_request, "earlier"), 1);
	assert_int_equal(json_int(earlier, "attempt", 0), first);
	assert_string_equal(json_text(earlier, "commit"), "1111");
	git_answers(&c);
	assert_int_equal(replies, 1);
	assert_true(store_task_get(f->store, task, &row));
	assert_int_equal(row.kind, KIND_CHOICE);
	json_decref(git_request);
}

/* However many run: a plan's use and the day's are summed up once for all that they do. */
static void test_budgets_are_summed_once(void **state)
{
	struct store_fixture *f = *state;
	struct coordinator c = {.store = f->store};
	int64_t plans[2];
	_cleanup_json_ json_t *list = NULL, *usage = json_pack("{s:f}", "cost_usd", 1.9);

	store_set_setting(f->store, "budget.day", "{\"usd\": 1000}");
	for (int i = 0; i < 2; i++) {
		const struct plan_row plan = {.name = (char *)(i ? "q" : "o"),
		                              .agents = (char *)"{}",
		                              .limits = (char *)"{\"budget\": {\"usd\": 10}}"};

		plans[i] = f->plan = store_plan_put(f->store, &plan);
		for (int k = 0; k < 5; k++) {
			_cleanup_free_ char *key = xasprintf("t%d", k);
			struct attempt_row row = {.task = fixture_work(f, key),
			                          .teammate = (char *)"ash",
			                          .branch = (char *)"b",
			                          .started_at = 1};

			row.id = store_attempt_insert(f->store, &row);
			if (i)
				store_usage_put(f->store, &row, 1, usage);
		}
	}
	assert_int_not_equal(plans[0], plans[1]);
	plan_sums = day_sums = 0;
	list = budget_near_json(&c);
	assert_int_equal(plan_sums, 2);
	assert_int_equal(day_sums, 1);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_text(json_array_get(list, 0), "of"), "plan");
	assert_non_null(strstr(json_text(json_array_get(list, 0), "message"), "(q)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_result_named_too_late, store_setup,
	                                    store_teardown),
	    cmocka_unit_test_setup_teardown(test_budgets_are_summed_once, store_setup,
	                                    store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
