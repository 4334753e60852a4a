/* What people see of the store: the Task of the interface, and counts.
 *
 * A Task is written as it is read: a tree of it is more work to make and to free than to write. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

/* Of one Task. */
struct view {
	struct store *store;
	const struct task_row *task;
	struct attempt_row attempt; /* its current one: a choice shows that of what was chosen */
	enum task_view of;
	bool sparse; /* members that say nothing are left out */
	struct buf *out;
};

static void put_text(struct view *v, const char *key, const char *text)
{
	if (text || !v->sparse)
		jsonl_put_text(v->out, key, text);
}

static void put_id(struct view *v, const char *key, int64_t id)
{
	if (id || !v->sparse)
		jsonl_put_id(v->out, key, id);
}

static void put_flag(struct view *v, const char *key, bool flag)
{
	if (flag || !v->sparse)
		jsonl_put(v->out, key, json_boolean(flag));
}

/* Takes the value; NULL: null. */
static void put_json(struct view *v, const char *key, json_t *value)
{
	if (v->sparse)
		jsonl_put_sparse(v->out, key, value);
	else
		jsonl_put(v->out, key, value);
	json_decref(value);
}

/* Takes them. */
static void put_ids(struct view *v, const char *key, int64_t *ids)
{
	if (ids[0] || !v->sparse) {
		jsonl_open(v->out, key, '[');
		for (size_t i = 0; ids[i]; i++)
			jsonl_put_int(v->out, NULL, ids[i]);
		jsonl_close(v->out, ']');
	}
	free(ids);
}

static void put_time(struct view *v, const char *key, int64_t ms)
{
	char text[32];

	if (ms)
		text_format_time(ms, text);
	put_text(v, key, ms ? text : NULL);
}

/* Text of the store that is JSON. */
static json_t *json_of(const char *text)
{
	return text ? jsonl_parse(text, strlen(text), NULL) : NULL;
}

static void put_stored(struct view *v, const char *key, const char *text)
{
	put_json(v, key, json_of(text));
}

static void put_landing(struct view *v)
{
	static const char *const told[] = {"commit",  "at",      "paths",  "with",  "target",
	                                   "resolve", "message", "verify", "after", "head"};
	_cleanup_json_ json_t *detail = json_of(v->task->landing_detail);

	jsonl_open(v->out, "landing", '{');
	put_text(v, "state", landing_state_word(v->task->landing));
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		put_json(v, told[i], json_incref(json_object_get(detail, told[i])));
	jsonl_close(v->out, '}');
}

static void put_error(struct view *v)
{
	if (v->task->error_code == TASK_ERROR_NONE) {
		put_json(v, "error", NULL);
		return;
	}
	jsonl_open(v->out, "error", '{');
	put_text(v, "code", task_error_word(v->task->error_code));
	put_text(v, "message", v->task->error_message);
	jsonl_close(v->out, '}');
}

/* Seconds of work: of the attempt that ended, or since the running one began. */
static json_t *seconds_json(const struct attempt_row *attempt)
{
	if (!attempt->id)
		return NULL;
	if (attempt->outcome != OUTCOME_NONE)
		return json_real(attempt->seconds);
	return json_real((double)(time_now_ms() - attempt->started_at) / 1000.0);
}

/* What the graph says: edges, alternatives, ready, stuck. */
static void put_graph(struct view *v)
{
	const struct task_row *task = v->task;
	bool edges = v->of != TASK_LINE, waits = task->status == TASK_PENDING;
	bool ready = task->kind == KIND_WORK && waits && !task->unfinished && !task->delay_ms;

	put_flag(v, "ready", ready);
	put_ids(v, "stuck_by",
	        waits && !ready ? store_task_stuck_by(v->store, task->id)
	                        : xcalloc(1, sizeof(int64_t)));
	if (edges || waits)
		put_ids(v, "blocked_by", store_task_blockers(v->store, task->id));
	if (edges)
		put_ids(v, "blocks", store_task_blocks(v->store, task->id));
	put_id(v, "parent", task->parent);
	if (edges || task->kind == KIND_CHOICE)
		put_ids(v, "alternatives", store_task_alternatives(v->store, task->id));
	put_id(v, "chosen", task->chosen);
}

/* Of all its attempts; a choice shows that of what was chosen. */
static void put_usage(struct view *v)
{
	const struct task_row *task = v->task;
	struct usage_sum sum = {0};

	if (task->kind == KIND_WORK ? task->attempt : task->chosen)
		sum = store_usage_of_task(v->store, task->chosen ? task->chosen : task->id);
	put_json(v, "usage", store_usage_json(&sum));
}

static void put_waiting_for(struct view *v, const char *what, const char *agent, int64_t until,
                            const char *message)
{
	jsonl_open(v->out, "waits", '{');
	put_text(v, "for", what);
	put_text(v, "agent", agent);
	put_time(v, "until", until);
	put_text(v, "message", message);
	jsonl_close(v->out, '}');
}

/* Why a ready task does not start: its run was stopped, its agent is not served, or the day's
 * budget is used up. False: it does. */
static bool put_waits(struct view *v)
{
	const struct task_row *task = v->task;
	_cleanup_hold_ struct hold_row row = {0};
	const char *what = "budget";

	if (task->kind != KIND_WORK || task->status != TASK_PENDING || task->unfinished)
		return false;
	if (task->stopped) {
		put_waiting_for(v, "run", NULL, 0,
		                "its run was stopped: pleach run, or pleach up, goes on");
		return true;
	}
	if (!store_hold_any(v->store))
		return false;
	if (!store_hold_get(v->store, "", &row) || !row.until) {
		hold_row_finish(&row);
		what = "limit";
		if (!task->agent || !store_hold_get(v->store, task->agent, &row) || !row.until)
			return false;
	}
	put_waiting_for(v, what, *row.agent ? row.agent : NULL, row.until, row.message);
	return true;
}

/* Of its current attempt: what a line shows. */
static void put_attempt(struct view *v)
{
	const struct attempt_row *attempt = &v->attempt;
	const struct task_row *task = v->task;
	bool live = attempt->id && attempt->outcome == OUTCOME_NONE &&
	            (task->status == TASK_IN_PROGRESS || task->status == TASK_NEEDS_INPUT);

	put_text(v, "owner", live ? attempt->teammate : NULL);
	put_text(v, "agent", attempt->agent ? attempt->agent : task->agent);
	put_text(v, "model", attempt->model ? attempt->model : task->model);
	put_id(v, "attempt", task->attempt);
	put_stored(v, "verify", attempt->verify);
	put_usage(v);
	put_stored(v, "changes", attempt->changes);
	put_json(v, "seconds", seconds_json(attempt));
}

/* What it came to: what a line shows. */
static void put_outcome(struct view *v)
{
	const struct task_row *task = v->task;

	put_flag(v, "unchanged", task->unchanged);
	put_stored(v, "input", task->input);
	put_error(v);
	if (task->landing != LANDING_NONE || task->landing_detail || v->of != TASK_LINE)
		put_landing(v);
}

static void put_evidence(struct view *v)
{
	const struct attempt_row *attempt = &v->attempt;

	jsonl_put_int(v->out, "attempts", v->task->attempts);
	put_text(v, "teammate", attempt->teammate);
	put_stored(v, "measures", attempt->measures);
	put_stored(v, "kept", attempt->kept);
	put_text(v, "session", attempt->session);
	put_stored(v, "continues", attempt->continues);
	put_stored(v, "rounds", attempt->rounds);
}

static void put_result(struct view *v)
{
	const struct task_row *task = v->task;
	_cleanup_free_ char *branch = NULL, *output = NULL;

	if (!task->slot_none && task->kind == KIND_WORK)
		branch = xasprintf("pleach/%s/%s", task->plan_name, task->key);
	put_text(v, "branch", branch);
	put_text(v, "base", task->base);
	put_text(v, "head", task->head);
	if (v->of == TASK_WHOLE) {
		output = store_task_output(v->store, task->id);
		put_text(v, "output", output);
	}
	put_time(v, "created_at", task->created_at);
	put_time(v, "started_at", task->started_at);
	put_time(v, "finished_at", task->finished_at);
}

/* What was written of it. */
static void put_written(struct view *v)
{
	const struct task_row *task = v->task;
	bool whole = v->of == TASK_WHOLE;
	sqlite3_stmt *row =
	    sql_bind(v->store,
	             whole ? "SELECT subject, metadata, prompt FROM task_text WHERE task = ?1"
	                   : "SELECT subject, metadata FROM task_text WHERE task = ?1",
	             "i", task->id);

	if (!sql_step(v->store, row))
		return;
	put_text(v, "subject", (const char *)sqlite3_column_text(row, 0));
	if (whole)
		put_text(v, "prompt", (const char *)sqlite3_column_text(row, 2));
	jsonl_put_int(v->out, "priority", task->priority);
	put_json(v, "metadata", sql_column_json(row, 1));
	put_text(v, "source", text_is_adhoc(task->plan_name) ? "add" : "plan");
	sql_done(row);
}

static void read_attempt(struct view *v)
{
	const struct task_row *task = v->task;
	int64_t id = task->attempt;

	if (task->kind == KIND_CHOICE && task->chosen)
		id = sql_int(v->store, 0, "SELECT attempt FROM task WHERE id = ?1", "i",
		             task->chosen);
	if (id)
		store_attempt_get(v->store, id, &v->attempt);
}

void store_task_put(struct store *store, const struct task_row *task, enum task_view of,
                    bool sparse, struct buf *out)
{
	struct view v = {.store = store, .task = task, .of = of, .sparse = sparse, .out = out};

	read_attempt(&v);
	jsonl_put_int(out, "id", task->id);
	put_text(&v, "key", task->key);
	put_text(&v, "plan", task->plan_name);
	put_text(&v, "kind", task_kind_word(task->kind));
	put_text(&v, "status", task_status_word(task->status));
	if (of != TASK_LINE)
		put_written(&v);
	if (of != TASK_LINE || task->delay_ms)
		put_json(&v, "delay_seconds", json_real((double)task->delay_ms / 1000.0));
	if (!put_waits(&v))
		put_json(&v, "waits", NULL);
	put_graph(&v);
	put_attempt(&v);
	put_outcome(&v);
	if (of != TASK_LINE) {
		put_evidence(&v);
		put_result(&v);
	}
	attempt_row_finish(&v.attempt);
}

bool store_task_put_waiting(struct store *store, int64_t id, struct buf *out)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT key, parent, unfinished = 0 FROM task"
	             " WHERE id = ?1 AND status = 0 AND kind = 0 AND attempt IS NULL"
	             " AND delay_ms = 0 AND stopped = 0",
	             "i", id);
	_cleanup_free_ int64_t *stuck = NULL;
	size_t before = out->len;
	int64_t parent;

	if (!sql_step(store, row))
		return false;
	jsonl_put_int(out, "id", id);
	jsonl_put_text(out, "key", (const char *)sqlite3_column_text(row, 0));
	jsonl_put_text(out, "kind", task_kind_word(KIND_WORK));
	parent = sqlite3_column_int64(row, 1);
	if (parent)
		jsonl_put_int(out, "parent", parent);
	jsonl_put_text(out, "status", task_status_word(TASK_PENDING));
	if (sqlite3_column_int(row, 2))
		jsonl_put(out, "ready", json_true());
	sql_done(row);
	stuck = store_task_stuck_by(store, id);
	if (stuck[0])
		out->len = before;
	return !stuck[0];
}

/* By way of what is ready, which is little, not of all tasks of the plan: hence +plan. */
static int64_t count_ready(struct store *store, int64_t plan, int64_t pending)
{
	if (!plan || !pending)
		return pending ? store_tasks_ready_count(store) : 0;
	return sql_int(store, 0,
	               "SELECT count(*) FROM task WHERE kind = 0 AND status = 0 AND unfinished = 0"
	               " AND delay_ms = 0 AND +plan = ?1",
	               "i", plan);
}

json_t *store_status_counts(struct store *store, int64_t plan)
{
	int64_t stuck = store_stuck_count(store, plan), ready;
	int64_t counted[task_status_count] = {0};
	json_t *counts = json_object();

	if (plan) {
		store_plan_counts(store, plan, counted);
	} else {
		_cleanup_free_ int64_t *plans = sql_ints(store, "SELECT id FROM plan", "");

		for (size_t i = 0; plans[i]; i++)
			store_plan_counts(store, plans[i], counted);
	}
	ready = count_ready(store, plan, counted[TASK_PENDING]);
	for (int status = 0; status < (int)task_status_count; status++)
		json_object_set_new(counts, task_status_word((enum task_status)status),
		                    json_integer(counted[status]));
	json_object_set_new(counts, "ready", json_integer(ready));
	json_object_set_new(counts, "blocked", json_integer(counted[TASK_PENDING] - ready));
	json_object_set_new(counts, "stuck", json_integer(stuck));
	return counts;
}
