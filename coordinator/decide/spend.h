/* The arithmetic of budgets and waits. Pure: no store, no clock of its own. */
#ifndef PLEACH_SPEND_H
#define PLEACH_SPEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store.h"

/* 0: none */
struct budget {
	double usd, tokens;
};

/* {"usd","tokens"}; what is no positive number is none. */
struct budget budget_of(const json_t *json);
bool budget_is_none(const struct budget *budget);

enum budget_level {
	BUDGET_FREE,
	BUDGET_NEAR, /* nine tenths are used */
	BUDGET_OVER  /* all of it is: nothing more may start, what runs is ended */
};
enum budget_level budget_level(const struct budget *budget, const struct usage_sum *used);
/* It has parts that nobody's word can hold: money where no attempt told a cost. */
bool budget_is_blind(const struct budget *budget, const struct usage_sum *used);
/* "$1.02 of $1.00", "2.1M of 2.0M tokens". Caller frees. */
char *budget_story(const struct budget *budget, const struct usage_sum *used);

/* The local day of a moment (yyyymmdd), and when the next one begins (ms since the epoch). */
int64_t spend_day(int64_t ms);
int64_t spend_day_end(int64_t ms);

/* How long an agent waits that was not told how long: 30 s, doubling, at most 30 minutes. */
#define LIMIT_BACKOFF_MS     30000
#define LIMIT_BACKOFF_MAX_MS (30 * 60 * 1000)
int64_t limit_backoff_ms(int64_t tries); /* tries: 1 for the first */

#endif
