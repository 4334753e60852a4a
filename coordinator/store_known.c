/* What is read again for every task and rarely changes, parsed once: the agents and limits of
 * plans, specs. Forgotten whenever a plan is written or a turn is undone (a spec's number may then
 * belong to another text), so it never says anything that the store does not. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"

#define PLANS_MAX 16 /* at work at once, mostly one */
#define SPECS_MAX 32

struct known_plan {
	int64_t id; /* 0: free */
	json_t *agents, *limits;
};

struct known_spec {
	int64_t id;
	json_t *spec;
};

struct known {
	struct known_plan plans[PLANS_MAX];
	struct known_spec specs[SPECS_MAX];
	size_t next_plan, next_spec; /* the place that is taken next */
	char *last_text;             /* of the spec that was looked for last */
	int64_t last_id;
};

struct known *known_new(void)
{
	return xcalloc(1, sizeof(struct known));
}

static void plan_forget(struct known_plan *plan)
{
	json_decref(plan->agents);
	json_decref(plan->limits);
	*plan = (struct known_plan){0};
}

void known_forget_plans(struct known *known)
{
	for (size_t i = 0; i < PLANS_MAX; i++)
		plan_forget(&known->plans[i]);
}

void known_forget(struct known *known)
{
	known_forget_plans(known);
	for (size_t i = 0; i < SPECS_MAX; i++) {
		json_decref(known->specs[i].spec);
		known->specs[i] = (struct known_spec){0};
	}
	free(known->last_text);
	known->last_text = NULL;
	known->last_id = 0;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	known_forget(known);
	free(known);
}

static const struct known_plan *plan_of(struct store *store, int64_t id)
{
	struct known *known = store_known(store);
	struct known_plan *plan;
	sqlite3_stmt *row;

	for (size_t i = 0; i < PLANS_MAX; i++)
		if (known->plans[i].id == id)
			return &known->plans[i];
	plan = &known->plans[known->next_plan];
	row = sql_bind(store, "SELECT agents, limits FROM plan WHERE id = ?1", "i", id);
	if (!id || !sql_step(store, row))
		return NULL;
	known->next_plan = (known->next_plan + 1) % PLANS_MAX;
	plan_forget(plan);
	plan->id = id;
	plan->agents = sql_column_json(row, 0);
	plan->limits = sql_column_json(row, 1);
	sql_done(row);
	return plan;
}

const json_t *store_plan_agents(struct store *store, int64_t id)
{
	const struct known_plan *plan = plan_of(store, id);

	return plan ? plan->agents : NULL;
}

const json_t *store_plan_limits(struct store *store, int64_t id)
{
	const struct known_plan *plan = plan_of(store, id);

	return plan ? plan->limits : NULL;
}

json_t *store_spec(struct store *store, int64_t id, const char *text)
{
	struct known *known = store_known(store);
	struct known_spec *spec;

	for (size_t i = 0; i < SPECS_MAX; i++)
		if (known->specs[i].id == id)
			return json_incref(known->specs[i].spec);
	spec = &known->specs[known->next_spec];
	known->next_spec = (known->next_spec + 1) % SPECS_MAX;
	json_decref(spec->spec);
	spec->spec = text ? jsonl_parse(text, strlen(text), NULL) : NULL;
	if (!spec->spec)
		spec->spec = json_null();
	spec->id = id;
	return json_incref(spec->spec);
}

/* The tasks of a plan mostly share one. */
int64_t store_spec_id(struct store *store, const json_t *spec)
{
	struct known *known = store_known(store);
	char *text = jsonl_text(spec);

	if (known->last_text && strcmp(known->last_text, text) == 0) {
		free(text);
		return known->last_id;
	}
	free(known->last_text);
	known->last_text = text;
	known->last_id = sql_int(store, 0, "SELECT id FROM spec WHERE text = ?1", "t", text);
	if (!known->last_id)
		known->last_id =
		    sql_int(store, 0, "INSERT INTO spec(text) VALUES(?1) RETURNING id", "t", text);
	return known->last_id;
}
