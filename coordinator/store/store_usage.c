/* What attempts used: written as the total so far, so that telling it twice counts once; read as
 * sums, which are never stored. Sums are floating: no number that an agent prints can overflow. */
#include <stdlib.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

#define TOKENS_MAX (INT64_C(1) << 50)
#define COST_MAX   1e9

static int64_t bounded_tokens(const json_t *usage, const char *key)
{
	int64_t n = json_int(usage, key, -1);

	return n < 0 ? -1 : n < TOKENS_MAX ? n : TOKENS_MAX;
}

static double bounded_cost(const json_t *usage)
{
	double cost = json_num(usage, "cost_usd", -1);

	return !(cost >= 0) ? -1 : cost < COST_MAX ? cost : COST_MAX;
}

void store_usage_put(struct store *store, const struct attempt_row *row, int64_t day,
                     const json_t *usage)
{
	int64_t input = bounded_tokens(usage, "input_tokens");
	int64_t output = bounded_tokens(usage, "output_tokens");
	_cleanup_free_ char *text = NULL;
	double cost = bounded_cost(usage);

	if (input < 0 && output < 0 && cost < 0)
		return;
	sql_run(
	    store,
	    "INSERT OR REPLACE INTO usage(attempt, day, task, plan, input_tokens,"
	    " output_tokens, cost_usd) SELECT ?1, ?2, task.id, task.plan,"
	    " CASE WHEN ?4 < 0 THEN NULL ELSE max(0, ?4 - (SELECT coalesce(sum(input_tokens), 0)"
	    "  FROM usage WHERE attempt = ?1 AND day <> ?2)) END,"
	    " CASE WHEN ?5 < 0 THEN NULL ELSE max(0, ?5 - (SELECT coalesce(sum(output_tokens), 0)"
	    "  FROM usage WHERE attempt = ?1 AND day <> ?2)) END,"
	    " CASE WHEN ?6 < 0 THEN NULL ELSE max(0.0, ?6 - (SELECT total(cost_usd)"
	    "  FROM usage WHERE attempt = ?1 AND day <> ?2)) END"
	    " FROM task WHERE task.id = ?3",
	    "iiiiid", row->id, day, row->task, input, output, cost);
	text = jsonl_text(usage);
	sql_run(store, "UPDATE attempt SET usage = ?2 WHERE id = ?1", "it", row->id, text);
}

#define SUMS                                                                                       \
	"total(input_tokens), total(output_tokens), total(cost_usd),"                              \
	" count(input_tokens) + count(output_tokens), count(cost_usd)"

static struct usage_sum take_sum(sqlite3_stmt *row, int at)
{
	return (struct usage_sum){
	    .has_tokens = sqlite3_column_int64(row, at + 3) > 0,
	    .has_cost = sqlite3_column_int64(row, at + 4) > 0,
	    .input = sqlite3_column_double(row, at),
	    .output = sqlite3_column_double(row, at + 1),
	    .cost_usd = sqlite3_column_double(row, at + 2),
	};
}

static struct usage_sum one_sum(struct store *store, sqlite3_stmt *row)
{
	struct usage_sum sum = {0};

	if (sql_step(store, row)) {
		sum = take_sum(row, 0);
		sql_done(row);
	}
	return sum;
}

struct usage_sum store_usage_of_task(struct store *store, int64_t task)
{
	return one_sum(store,
	               sql_bind(store, "SELECT " SUMS " FROM usage WHERE task = ?1", "i", task));
}

struct usage_sum store_usage_of_plan(struct store *store, int64_t plan)
{
	return one_sum(store,
	               sql_bind(store, "SELECT " SUMS " FROM usage WHERE plan = ?1", "i", plan));
}

struct usage_sum store_usage_of_session(struct store *store, const char *session, int64_t before)
{
	return one_sum(store, sql_bind(store,
	                               "SELECT " SUMS " FROM usage WHERE attempt IN"
	                               " (SELECT id FROM attempt WHERE session = ?1 AND id < ?2)",
	                               "ti", session, before));
}

struct usage_sum store_usage_of_day(struct store *store, int64_t day)
{
	return one_sum(store,
	               sql_bind(store, "SELECT " SUMS " FROM usage WHERE day = ?1", "i", day));
}

static json_t *tokens_json(bool has, double n)
{
	if (!has)
		return json_null();
	return json_integer((json_int_t)(n < 9e15 ? n : 9e15));
}

json_t *store_usage_json(const struct usage_sum *sum)
{
	if (!sum->has_tokens && !sum->has_cost)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "input_tokens",
	                 tokens_json(sum->has_tokens, sum->input), "output_tokens",
	                 tokens_json(sum->has_tokens, sum->output), "cost_usd",
	                 sum->has_cost ? json_real(sum->cost_usd) : json_null());
}

/* One query for all groupings but the day's: of each attempt one row, with its sum. `at` (?1): the
 * plan, ?2: since. */
#define EACH                                                                                       \
	"WITH each AS (SELECT a.id, a.task, a.agent, a.seconds, a.model, t.key, t.plan,"           \
	"  p.name AS plan_name, sum(u.input_tokens) AS input_tokens,"                              \
	"  sum(u.output_tokens) AS output_tokens, sum(u.cost_usd) AS cost_usd"                     \
	"  FROM attempt AS a JOIN task AS t ON t.id = a.task JOIN plan AS p ON p.id = t.plan"      \
	"  LEFT JOIN usage AS u ON u.attempt = a.id"                                               \
	"  WHERE (?1 = 0 OR t.plan = ?1) AND (a.ended_at IS NULL OR a.ended_at >= ?2)"             \
	"  GROUP BY a.id) SELECT count(*), total(seconds),"                                        \
	" sum(input_tokens IS NULL AND output_tokens IS NULL AND cost_usd IS NULL),"               \
	" sum(cost_usd IS NULL), " SUMS

static sqlite3_stmt *list_rows(struct store *store, enum usage_by by, int64_t plan, int64_t since)
{
	switch (by) {
	case USAGE_BY_TASK:
		return sql_bind(store,
		                EACH ", task, key, plan_name, NULL, NULL FROM each GROUP BY task"
		                     " ORDER BY task",
		                "ii", plan, since);
	case USAGE_BY_AGENT:
		return sql_bind(store,
		                EACH ", NULL, NULL, NULL, agent, model FROM each"
		                     " GROUP BY agent, model ORDER BY agent, model",
		                "ii", plan, since);
	case USAGE_BY_PLAN:
		return sql_bind(store,
		                EACH ", NULL, NULL, plan_name, NULL, NULL FROM each GROUP BY plan"
		                     " ORDER BY plan",
		                "ii", plan, since);
	case USAGE_BY_DAY:
		break;
	}
	return sql_bind(
	    store,
	    "WITH each AS (SELECT a.id, coalesce(u.day, CAST(strftime('%Y%m%d',"
	    "  a.started_at / 1000, 'unixepoch', 'localtime') AS INTEGER)) AS day,"
	    "  CASE WHEN u.day IS NULL OR u.day = (SELECT min(day) FROM usage"
	    "   WHERE attempt = a.id) THEN a.seconds END AS seconds,"
	    "  u.input_tokens, u.output_tokens, u.cost_usd"
	    "  FROM attempt AS a JOIN task AS t ON t.id = a.task"
	    "  LEFT JOIN usage AS u ON u.attempt = a.id"
	    "  WHERE (?1 = 0 OR t.plan = ?1) AND (a.ended_at IS NULL OR a.ended_at >= ?2))"
	    " SELECT count(*), total(seconds),"
	    " sum(input_tokens IS NULL AND output_tokens IS NULL AND cost_usd IS NULL),"
	    " sum(cost_usd IS NULL), " SUMS ", NULL, NULL, NULL, NULL, NULL, day"
	    " FROM each GROUP BY day ORDER BY day",
	    "ii", plan, since);
}

static json_t *day_json(sqlite3_stmt *row, int column)
{
	int64_t day = sqlite3_column_int64(row, column);

	return json_sprintf("%04d-%02d-%02d", (int)(day / 10000), (int)(day / 100 % 100),
	                    (int)(day % 100));
}

json_t *store_usage_list(struct store *store, enum usage_by by, int64_t plan, int64_t since)
{
	sqlite3_stmt *row = list_rows(store, by, plan, since);
	json_t *rows = json_array();

	while (sql_step(store, row)) {
		const struct usage_sum sum = take_sum(row, 4);
		_cleanup_json_ json_t *usage = store_usage_json(&sum);

		json_array_append_new(
		    rows,
		    json_pack("{s:o, s:s?, s:s?, s:s?, s:s?, s:o, s:I, s:f, s:I, s:I, s:O}", "task",
		              json_int_or_null(sqlite3_column_int64(row, 9), 0), "key",
		              sqlite3_column_text(row, 10), "plan", sqlite3_column_text(row, 11),
		              "agent", sqlite3_column_text(row, 12), "model",
		              sqlite3_column_text(row, 13), "day",
		              by == USAGE_BY_DAY ? day_json(row, 14) : json_null(), "attempts",
		              (json_int_t)sqlite3_column_int64(row, 0), "seconds",
		              sqlite3_column_double(row, 1), "untold",
		              (json_int_t)sqlite3_column_int64(row, 2), "without_cost",
		              (json_int_t)sqlite3_column_int64(row, 3), "usage", usage));
	}
	return rows;
}
