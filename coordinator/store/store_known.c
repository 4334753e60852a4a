/* What is read again and again, kept: the agents and limits of plans and specs, parsed; how many
 * tasks of a plan have which status; the rows of tasks and attempts that are at work, which
 * attempt a teammate runs, and that no task may start. A row is dropped when SQLite says that it
 * was written, and everything when a turn is undone (a spec's number may then belong to another
 * text), so this never says anything that the store does not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

#define SPECS_MAX    32
#define TASKS_MAX    32 /* rows, by their number */
#define ATTEMPTS_MAX 16
#define RUNNING_MAX  32 /* teammates */

struct known_plan {
	int64_t id;
	json_t *agents, *limits;
	bool counted;
	int64_t counts[task_status_count]; /* of its tasks, once counted */
};

struct known_spec {
	int64_t id;
	json_t *spec;
};

struct known {
	struct known_plan *plans;
	size_t n_plans;
	struct known_spec specs[SPECS_MAX];
	size_t next_spec; /* the place that is taken next */
	struct task_row tasks[TASKS_MAX];
	struct attempt_row attempts[ATTEMPTS_MAX];
	struct known_running {
		char teammate[TEXT_TEAMMATE_MAX + 1]; /* "": a free place */
		int64_t attempt;
	} running[RUNNING_MAX];
	size_t next_running; /* the place that is taken next where none is free */
	unsigned none;       /* KNOWN_… */
	json_t *last_spec;   /* the one that was looked for last: our own copy */
	int64_t last_id;
};

struct known *known_new(void)
{
	return xcalloc(1, sizeof(struct known));
}

void known_forget_plans(struct known *known)
{
	for (size_t i = 0; i < known->n_plans; i++) {
		json_decref(known->plans[i].agents);
		json_decref(known->plans[i].limits);
	}
	free(known->plans);
	known->plans = NULL;
	known->n_plans = 0;
}

static void task_changed(struct known *known, int64_t id)
{
	struct task_row *row = &known->tasks[(size_t)id % TASKS_MAX];

	if (row->id == id)
		task_row_finish(row);
}

void known_keep_task(struct known *known, const struct task_row *task)
{
	struct task_row *row = &known->tasks[(size_t)task->id % TASKS_MAX];

	task_row_finish(row);
	task_row_copy(task, row);
}

const struct task_row *known_task(const struct known *known, int64_t id)
{
	const struct task_row *row = &known->tasks[(size_t)id % TASKS_MAX];

	return id > 0 && row->id == id ? row : NULL;
}

static void attempt_changed(struct known *known, int64_t id)
{
	struct attempt_row *row = &known->attempts[(size_t)id % ATTEMPTS_MAX];

	if (row->id == id)
		attempt_row_finish(row);
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (known->running[i].attempt == id)
			known->running[i] = (struct known_running){0};
}

void known_keep_attempt(struct known *known, const struct attempt_row *attempt)
{
	struct attempt_row *row = &known->attempts[(size_t)attempt->id % ATTEMPTS_MAX];

	attempt_row_finish(row);
	attempt_row_copy(attempt, row);
}

const struct attempt_row *known_attempt(const struct known *known, int64_t id)
{
	const struct attempt_row *row = &known->attempts[(size_t)id % ATTEMPTS_MAX];

	return id > 0 && row->id == id ? row : NULL;
}

static struct known_running *running_of(const struct known *known, const char *teammate)
{
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (strcmp(known->running[i].teammate, teammate) == 0)
			return (struct known_running *)&known->running[i];
	return NULL;
}

void known_running_changed(struct known *known, const char *teammate)
{
	struct known_running *running = *teammate ? running_of(known, teammate) : NULL;

	if (running)
		*running = (struct known_running){0};
}

void known_keep_running(struct known *known, const char *teammate, int64_t attempt)
{
	struct known_running *place = running_of(known, "");

	if (!*teammate || strlen(teammate) > TEXT_TEAMMATE_MAX)
		return;
	if (!place)
		place = &known->running[known->next_running++ % RUNNING_MAX];
	snprintf(place->teammate, sizeof place->teammate, "%s", teammate);
	place->attempt = attempt;
}

bool known_running(const struct known *known, const char *teammate, int64_t *attempt)
{
	const struct known_running *running = *teammate ? running_of(known, teammate) : NULL;

	if (running)
		*attempt = running->attempt;
	return running != NULL;
}

void known_row_changed(struct known *known, const char *table, int64_t id)
{
	if (strcmp(table, "task") == 0)
		task_changed(known, id);
	else if (strcmp(table, "attempt") == 0)
		attempt_changed(known, id);
	else
		return;
	known->none = 0;
}

void known_keep_none(struct known *known, unsigned which)
{
	known->none |= which;
}

unsigned known_none(const struct known *known)
{
	return known->none;
}

void known_forget(struct known *known)
{
	known_forget_plans(known);
	for (size_t i = 0; i < SPECS_MAX; i++) {
		json_decref(known->specs[i].spec);
		known->specs[i] = (struct known_spec){0};
	}
	for (size_t i = 0; i < TASKS_MAX; i++)
		task_row_finish(&known->tasks[i]);
	for (size_t i = 0; i < ATTEMPTS_MAX; i++)
		attempt_row_finish(&known->attempts[i]);
	memset(known->running, 0, sizeof known->running);
	known->none = 0;
	json_decref(known->last_spec);
	known->last_spec = NULL;
	known->last_id = 0;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	known_forget(known);
	free(known);
}

static struct known_plan *plan_of(struct store *store, int64_t id)
{
	struct known *known = store_known(store);
	struct known_plan *plan;
	sqlite3_stmt *row;

	for (size_t i = 0; i < known->n_plans; i++)
		if (known->plans[i].id == id)
			return &known->plans[i];
	row = sql_bind(store, "SELECT agents, limits FROM plan WHERE id = ?1", "i", id);
	if (!id || !sql_step(store, row))
		return NULL;
	known->plans = xrealloc(known->plans, (known->n_plans + 1) * sizeof *known->plans);
	plan = &known->plans[known->n_plans++];
	*plan = (struct known_plan){
	    .id = id, .agents = sql_column_json(row, 0), .limits = sql_column_json(row, 1)};
	sql_done(row);
	return plan;
}

/* Counted here: SQLite would sort them all for a GROUP BY, at four times the cost. */
static void count_tasks(struct store *store, struct known_plan *plan)
{
	sqlite3_stmt *row =
	    sql_bind(store, "SELECT status FROM task WHERE plan = ?1", "i", plan->id);

	while (sql_step(store, row)) {
		int status = sqlite3_column_int(row, 0);

		if (status >= 0 && status < (int)task_status_count)
			plan->counts[status]++;
	}
	plan->counted = true;
}

void store_plan_counts(struct store *store, int64_t id, int64_t counts[task_status_count])
{
	struct known_plan *plan = plan_of(store, id);

	if (plan && !plan->counted)
		count_tasks(store, plan);
	for (size_t i = 0; plan && i < task_status_count; i++)
		counts[i] += plan->counts[i];
}

void known_count(struct known *known, int64_t plan, enum task_status status, int64_t more)
{
	for (size_t i = 0; i < known->n_plans; i++)
		if (known->plans[i].id == plan && known->plans[i].counted)
			known->plans[i].counts[status] += more;
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
	_cleanup_free_ char *text = NULL;

	if (known->last_spec && json_equal(known->last_spec, spec))
		return known->last_id;
	text = jsonl_text(spec);
	known->last_id = sql_int(store, 0, "SELECT id FROM spec WHERE text = ?1", "t", text);
	if (!known->last_id)
		known->last_id =
		    sql_int(store, 0, "INSERT INTO spec(text) VALUES(?1) RETURNING id", "t", text);
	json_decref(known->last_spec);
	known->last_spec = known->last_id ? json_deep_copy(spec) : NULL;
	return known->last_id;
}
