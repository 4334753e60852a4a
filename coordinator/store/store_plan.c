/* Plans in the store. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

#define PLAN_COLUMNS "id, name, source, base, target, agents, limits, policy, lands"

void plan_row_finish(struct plan_row *row)
{
	free(row->name);
	free(row->source);
	free(row->base);
	free(row->target);
	free(row->agents);
	free(row->limits);
	free(row->landing);
	*row = (struct plan_row){0};
}

static bool plan_take(struct store *store, sqlite3_stmt *stmt, struct plan_row *out)
{
	if (!sql_step(store, stmt))
		return false;
	*out = (struct plan_row){
	    .id = sqlite3_column_int64(stmt, 0),
	    .name = sql_column_text(stmt, 1),
	    .source = sql_column_text(stmt, 2),
	    .base = sql_column_text(stmt, 3),
	    .target = sql_column_text(stmt, 4),
	    .agents = sql_column_text(stmt, 5),
	    .limits = sql_column_text(stmt, 6),
	    .landing = sql_column_text(stmt, 7),
	    .lands = (unsigned)sqlite3_column_int(stmt, 8),
	};
	sql_done(stmt);
	return true;
}

bool store_plan_find(struct store *store, const char *name, struct plan_row *out)
{
	return plan_take(
	    store, sql_bind(store, "SELECT " PLAN_COLUMNS " FROM plan WHERE name = ?1", "t", name),
	    out);
}

bool store_plan_get(struct store *store, int64_t id, struct plan_row *out)
{
	return plan_take(
	    store, sql_bind(store, "SELECT " PLAN_COLUMNS " FROM plan WHERE id = ?1", "i", id),
	    out);
}

bool store_plan_is_empty(struct store *store, int64_t id)
{
	return !sql_int(store, 0, "SELECT 1 FROM task WHERE plan = ?1 LIMIT 1", "i", id);
}

bool plan_row_same(const struct plan_row *a, const struct plan_row *b)
{
	return text_is_same(a->name, b->name) && text_is_same(a->source, b->source) &&
	       text_is_same(a->base, b->base) && text_is_same(a->target, b->target) &&
	       text_is_same(a->agents, b->agents) && text_is_same(a->limits, b->limits) &&
	       text_is_same(a->landing, b->landing) && a->lands == b->lands;
}

int64_t store_plan_put(struct store *store, const struct plan_row *row)
{
	known_forget_plans(store_known(store));
	return sql_int(store, 0,
	               "INSERT INTO plan(name, source, base, target, agents, limits, created_at,"
	               " policy, lands) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
	               " ON CONFLICT(name) DO UPDATE SET source = ?2, base = ?3, target = ?4,"
	               " agents = ?5, limits = ?6, policy = ?8, lands = ?9 RETURNING id",
	               "ttttttiti", row->name, row->source, row->base, row->target, row->agents,
	               row->limits, time_now_ms(), row->landing, (int64_t)row->lands);
}

void store_plan_add_agents(struct store *store, int64_t id, const json_t *profiles)
{
	struct plan_row plan = {0}, row;
	_cleanup_json_ json_t *agents = NULL;
	_cleanup_free_ char *text = NULL;

	if (!json_object_size(profiles) || !store_plan_get(store, id, &plan))
		return;
	agents = jsonl_parse(plan.agents, strlen(plan.agents), NULL);
	if (json_is_object(agents)) {
		json_object_update_missing(agents, (json_t *)profiles);
		text = jsonl_text(agents);
		row = plan;
		row.agents = text;
		store_plan_put(store, &row);
	}
	plan_row_finish(&plan);
}

unsigned store_plan_lands(struct store *store, int64_t plan)
{
	return (unsigned)sql_int(store, 0, "SELECT lands FROM plan WHERE id = ?1", "i", plan);
}

json_t *store_plan_list(struct store *store)
{
	json_t *plans = json_array();
	int64_t *ids = sql_ints(store, "SELECT id FROM plan ORDER BY id", "");

	for (size_t i = 0; ids[i]; i++) {
		struct plan_row row;

		if (!store_plan_get(store, ids[i], &row))
			continue;
		json_array_append_new(plans, json_pack("{s:s, s:s?, s:s?, s:s?, s:o}", "name",
		                                       row.name, "source", row.source, "base",
		                                       row.base, "target", row.target, "tasks",
		                                       store_status_counts(store, row.id)));
		plan_row_finish(&row);
	}
	free(ids);
	return plans;
}
