/* Budgets, days and waits: properties that hold for any numbers; and that what attempts used is
 * counted once, however often and in whatever order it is told. */
#include "store_fixture.h"

#include <math.h>
#include <time.h>

#include "jsonl.h"
#include "mem.h"
#include "spend.h"

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 8;
}

static void test_levels(void **state)
{
	static const double limits[] = {0, 1, 0.001, 2.5, 1e12, -1, NAN, INFINITY};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		_cleanup_json_ json_t *json =
		    isfinite(limits[i]) ? json_pack("{s:f}", "usd", limits[i]) : json_object();
		struct budget budget = budget_of(json);
		enum budget_level last = BUDGET_FREE;
		bool none = !(limits[i] > 0) || !isfinite(limits[i]);

		assert_int_equal(budget_is_none(&budget), none);
		for (int k = 0; k <= 200; k++) {
			double part = (double)k / 100;
			struct usage_sum used = {.has_cost = true,
			                         .cost_usd = none ? k * 1e6 : limits[i] * part};
			enum budget_level level = budget_level(&budget, &used);

			assert_true(level >= last); /* more use is never more room */
			assert_int_equal(level == BUDGET_OVER, !none && k >= 100);
			assert_int_equal(level == BUDGET_FREE, none || k < 90);
			last = level;
		}
	}
}

/* Each part by itself: the fuller one decides. */
static void test_parts(void **state)
{
	struct budget budget = {.usd = 2, .tokens = 1000};
	struct usage_sum used = {.has_tokens = true, .input = 600, .output = 399};
	char *story;

	(void)state;
	assert_int_equal(budget_level(&budget, &used), BUDGET_NEAR);
	assert_true(budget_is_blind(&budget, &used));
	used.output = 400;
	assert_int_equal(budget_level(&budget, &used), BUDGET_OVER);
	used = (struct usage_sum){.has_cost = true, .has_tokens = true, .cost_usd = 2};
	assert_int_equal(budget_level(&budget, &used), BUDGET_OVER);
	assert_false(budget_is_blind(&budget, &used));
	story = budget_story(&budget, &used);
	assert_string_equal(story, "$2.00 of $2.00, 0 of 1000 tokens");
	free(story);
}

static void test_backoff(void **state)
{
	int64_t last = 0;

	(void)state;
	assert_int_equal(limit_backoff_ms(1), 30000);
	assert_int_equal(limit_backoff_ms(2), 60000);
	assert_int_equal(limit_backoff_ms(7), 30 * 60000);
	for (int64_t n = -3; n < 2000; n++) {
		int64_t ms = limit_backoff_ms(n);

		assert_true(ms >= last && ms >= 30000 && ms <= 30 * 60000);
		last = ms;
	}
	assert_int_equal(limit_backoff_ms(INT64_MAX), 30 * 60000);
}

/* A day ends once, after it began, whatever the clocks of a country do in it. */
static void test_days(void **state)
{
	static const char *const zones[] = {"UTC", "Europe/Berlin", "America/St_Johns",
	                                    "Pacific/Apia", "Asia/Kathmandu"};
	unsigned seed = 5;

	(void)state;
	for (size_t z = 0; z < ARRAY_LEN(zones); z++) {
		setenv("TZ", zones[z], 1);
		tzset();
		for (int i = 0; i < 4000; i++) {
			int64_t at = INT64_C(1700000000000) + (int64_t)next_random(&seed) * 20000;
			int64_t end = spend_day_end(at);

			assert_true(end > at && end - at <= 26 * 3600 * INT64_C(1000));
			assert_int_equal(spend_day(end - 1), spend_day(at));
			assert_int_not_equal(spend_day(end), spend_day(at));
		}
	}
	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(spend_day(INT64_C(1755806400000)), 20250821);
}

static int64_t new_attempt(struct store_fixture *f, int64_t task)
{
	const struct attempt_row row = {
	    .task = task, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};

	return store_attempt_insert(f->store, &row);
}

static json_t *told(int64_t input, int64_t output, double cost)
{
	return json_pack("{s:I, s:I, s:f}", "input_tokens", (json_int_t)input, "output_tokens",
	                 (json_int_t)output, "cost_usd", cost);
}

static void put(struct store *store, int64_t attempt, int64_t task, int64_t day, int64_t n)
{
	const struct attempt_row row = {.id = attempt, .task = task};
	_cleanup_json_ json_t *usage = told(n, 2 * n, (double)n / 8);

	store_usage_put(store, &row, day, usage);
}

/* Any number of reports, repeated, over several days: the sum is the last total of each attempt. */
static void test_usage_counts_once(void **state)
{
	struct store_fixture *f = *state;
	int64_t task = fixture_work(f, "a"), attempts[5], totals[5] = {0}, all = 0;
	struct usage_sum sum;
	unsigned seed = 9;

	for (int i = 0; i < 5; i++)
		attempts[i] = new_attempt(f, task);
	for (int64_t day = 20260101; day < 20260106; day++) {
		for (int i = 0; i < 200; i++) {
			int k = (int)(next_random(&seed) % 5);

			totals[k] += next_random(&seed) % 3 * 8;
			for (unsigned again = next_random(&seed) % 3; again < 3; again++)
				put(f->store, attempts[k], task, day, totals[k]);
		}
		all = 0;
		for (int i = 0; i < 5; i++)
			all += totals[i];
		sum = store_usage_of_task(f->store, task);
		assert_true(sum.has_tokens && sum.has_cost);
		assert_true(sum.input == (double)all && sum.output == 2.0 * (double)all &&
		            sum.cost_usd == (double)all / 8);
	}
	/* The days make up the whole, and none of them takes from another. */
	sum = (struct usage_sum){0};
	for (int64_t day = 20260101; day < 20260106; day++)
		sum.input += store_usage_of_day(f->store, day).input;
	assert_true(sum.input == (double)all);
	assert_true(store_usage_of_day(f->store, 20251231).has_tokens == false);
}

/* The end of an agent may say less than it said on the way: what it says last counts. */
static void test_usage_corrected(void **state)
{
	struct store_fixture *f = *state;
	int64_t task = fixture_work(f, "b"), attempt = new_attempt(f, task);
	const struct attempt_row row = {.id = attempt, .task = task};
	_cleanup_json_ json_t *nothing = json_object();
	_cleanup_json_ json_t *hostile = json_pack("{s:f, s:s, s:f}", "input_tokens", 1e300,
	                                           "output_tokens", "many", "cost_usd", -5.0);
	struct usage_sum sum;

	put(f->store, attempt, task, 20260101, 1000);
	put(f->store, attempt, task, 20260101, 800);
	assert_true(store_usage_of_task(f->store, task).input == 800);
	put(f->store, attempt, task, 20260102,
	    700); /* less than was told yesterday: nothing today */
	assert_true(store_usage_of_day(f->store, 20260102).input == 0);
	store_usage_put(f->store, &row, 20260103, nothing);
	store_usage_put(f->store, &row, 20260103, hostile);
	sum = store_usage_of_task(f->store, task);
	assert_true(sum.input == 800 && sum.cost_usd == 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_backoff),
	    cmocka_unit_test(test_days),
	    cmocka_unit_test_setup_teardown(test_usage_counts_once, store_setup, store_teardown),
	    cmocka_unit_test_setup_teardown(test_usage_corrected, store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
