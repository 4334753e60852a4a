/* Budgets against sums. Money and tokens are judged each by itself; what nobody told counts as
 * nothing, and is said to be so. */
#include "spend.h"

#include <stdlib.h>
#include <time.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"

#define NEAR 0.9

static double part_of(const json_t *json, const char *key)
{
	double n = json_num(json, key, 0);

	return n > 0 && n < 1e18 ? n : 0;
}

struct budget budget_of(const json_t *json)
{
	return (struct budget){part_of(json, "usd"), part_of(json, "tokens")};
}

bool budget_is_none(const struct budget *budget)
{
	return !(budget->usd > 0) && !(budget->tokens > 0);
}

static enum budget_level level_of(double limit, double used)
{
	if (!(limit > 0))
		return BUDGET_FREE;
	return used >= limit ? BUDGET_OVER : used >= limit * NEAR ? BUDGET_NEAR : BUDGET_FREE;
}

enum budget_level budget_level(const struct budget *budget, const struct usage_sum *used)
{
	enum budget_level money = level_of(budget->usd, used->cost_usd);
	enum budget_level tokens = level_of(budget->tokens, used->input + used->output);

	return money > tokens ? money : tokens;
}

bool budget_is_blind(const struct budget *budget, const struct usage_sum *used)
{
	return (budget->usd > 0 && !used->has_cost) || (budget->tokens > 0 && !used->has_tokens);
}

static void add_tokens(struct buf *out, double n)
{
	if (n >= 1e6)
		buf_printf(out, "%.1fM", n / 1e6);
	else if (n >= 1e4)
		buf_printf(out, "%.0fk", n / 1e3);
	else
		buf_printf(out, "%.0f", n);
}

char *budget_story(const struct budget *budget, const struct usage_sum *used)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (budget->usd > 0)
		buf_printf(&out,
		           used->cost_usd < 0.01 && used->cost_usd > 0 ? "$%.4f of $%.2f"
		                                                       : "$%.2f of $%.2f",
		           used->cost_usd, budget->usd);
	if (budget->tokens > 0) {
		if (out.len)
			buf_add_str(&out, ", ");
		add_tokens(&out, used->input + used->output);
		buf_add_str(&out, " of ");
		add_tokens(&out, budget->tokens);
		buf_add_str(&out, " tokens");
	}
	return buf_take(&out);
}

static bool local(int64_t ms, struct tm *tm)
{
	time_t at = (time_t)(ms / 1000);

	return localtime_r(&at, tm) != NULL;
}

int64_t spend_day(int64_t ms)
{
	struct tm tm;

	if (!local(ms, &tm))
		return 0;
	return (int64_t)(tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
}

int64_t spend_day_end(int64_t ms)
{
	struct tm tm;

	if (!local(ms, &tm))
		return ms + 24 * 3600 * INT64_C(1000);
	tm.tm_mday++;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * 1000;
}

int64_t limit_backoff_ms(int64_t tries)
{
	int64_t ms = LIMIT_BACKOFF_MS;

	while (--tries > 0 && ms < LIMIT_BACKOFF_MAX_MS)
		ms *= 2;
	return ms < LIMIT_BACKOFF_MAX_MS ? ms : LIMIT_BACKOFF_MAX_MS;
}
