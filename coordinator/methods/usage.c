/* `usage`: what was used, by task, agent, plan or day, and what budgets there are. Reads only. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "spend.h"
#include "text.h"

static const char *const by_words[] = {"task", "agent", "plan", "day"};

static int read_by(const char *word, enum usage_by *out, struct error *err)
{
	*out = USAGE_BY_TASK;
	for (size_t i = 0; word && i < ARRAY_LEN(by_words); i++)
		if (strcmp(by_words[i], word) == 0) {
			*out = (enum usage_by)i;
			return 0;
		}
	return word ? error_set(err, ERROR_INVALID, "by task, agent, plan or day") : 0;
}

static json_t *total_of(const json_t *rows)
{
	struct usage_sum sum = {0};
	int64_t attempts = 0, untold = 0, without_cost = 0;
	json_t *row;
	size_t i;

	json_array_foreach ((json_t *)rows, i, row) {
		const json_t *usage = json_sub(row, "usage");

		attempts += json_int(row, "attempts", 0);
		untold += json_int(row, "untold", 0);
		without_cost += json_int(row, "without_cost", 0);
		sum.has_tokens |= json_is_integer(json_object_get(usage, "input_tokens"));
		sum.has_cost |= json_is_real(json_object_get(usage, "cost_usd"));
		sum.input += json_num(usage, "input_tokens", 0);
		sum.output += json_num(usage, "output_tokens", 0);
		sum.cost_usd += json_num(usage, "cost_usd", 0);
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "attempts", (json_int_t)attempts, "untold",
	                 (json_int_t)untold, "without_cost", (json_int_t)without_cost, "usage",
	                 store_usage_json(&sum));
}

static json_t *plan_budget(struct coordinator *c, int64_t plan)
{
	_cleanup_json_ json_t *limits = NULL;
	struct plan_row row = {0};
	json_t *budget;

	if (plan && store_plan_get(c->store, plan, &row) && row.limits)
		limits = jsonl_parse(row.limits, strlen(row.limits), NULL);
	plan_row_finish(&row);
	budget = json_sub(limits, "budget");
	return json_object_size(budget) ? json_incref(budget) : json_null();
}

static json_t *today(struct coordinator *c)
{
	int64_t day = spend_day(time_now_ms());
	struct usage_sum sum = store_usage_of_day(c->store, day);

	return json_pack("{s:o, s:o}", "usage", store_usage_json(&sum), "budget",
	                 budget_day_json(c));
}

int method_usage(struct request *r, struct error *err)
{
	const char *name = json_text(r->params, "plan");
	struct usage_sum spent;
	int64_t plan = 0;
	enum usage_by by;
	json_t *rows;

	if (read_by(json_text(r->params, "by"), &by, err) < 0)
		return -1;
	if (name && resolve_plan(r->c, name, &plan, err) < 0)
		return -1;
	rows = store_usage_list(r->c->store, by, plan, json_int(r->params, "since", 0));
	spent = store_usage_of_plan(r->c->store, plan);
	request_reply(r, json_pack("{s:s, s:s?, s:o, s:o, s:o, s:o, s:o}", "by", by_words[by],
	                           "plan", name, "rows", rows, "total", total_of(rows), "budget",
	                           plan_budget(r->c, plan), "spent", store_usage_json(&spent),
	                           "today", today(r->c)));
	return 0;
}
