/* What people see of the store: the Task of the interface, and counts. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

enum detail {
	DETAIL_LINE,  /* what is shown in a line of `run` */
	DETAIL_BRIEF, /* without prompt and output */
	DETAIL_WHOLE
};

static json_t *ids_json(int64_t *ids)
{
	json_t *array = json_array();

	for (size_t i = 0; ids[i]; i++)
		json_array_append_new(array, json_integer(ids[i]));
	free(ids);
	return array;
}

static json_t *time_json(int64_t ms)
{
	char text[32];

	if (!ms)
		return json_null();
	text_format_time(ms, text);
	return json_string(text);
}

static json_t *json_of(const char *text)
{
	json_t *value = text ? jsonl_parse(text, strlen(text), NULL) : NULL;

	return value ? value : json_null();
}

static json_t *landing_json(const struct task_row *task)
{
	_cleanup_json_ json_t *detail = json_of(task->landing_detail);
	json_t *paths = json_object_get(detail, "paths");

	return json_pack(
	    "{s:s, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?}", "state",
	    landing_state_word(task->landing), "commit", json_object_get(detail, "commit"), "at",
	    json_object_get(detail, "at"), "paths", paths, "with", json_object_get(detail, "with"),
	    "target", json_object_get(detail, "target"), "resolve",
	    json_object_get(detail, "resolve"), "message", json_object_get(detail, "message"),
	    "verify", json_object_get(detail, "verify"), "after", json_object_get(detail, "after"),
	    "head", json_object_get(detail, "head"));
}

static json_t *error_json(const struct task_row *task)
{
	if (task->error_code == TASK_ERROR_NONE)
		return json_null();
	return json_pack("{s:s, s:o}", "code", task_error_word(task->error_code), "message",
	                 json_text_or_null(task->error_message));
}

/* Seconds of work: of the attempt that ended, or since the running one began. */
static json_t *seconds_json(const struct attempt_row *attempt)
{
	if (!attempt->id)
		return json_null();
	if (attempt->outcome != OUTCOME_NONE)
		return json_real(attempt->seconds);
	return json_real((double)(time_now_ms() - attempt->started_at) / 1000.0);
}

/* What the graph says: edges, alternatives, ready, stuck. */
static void add_graph(struct store *store, const struct task_row *task, enum detail detail,
                      json_t *json)
{
	bool edges = detail != DETAIL_LINE, waits = task->status == TASK_PENDING;
	bool ready = task->kind == KIND_WORK && task->status == TASK_PENDING && !task->unfinished &&
	             !task->delay_ms;
	int64_t *stuck = task->status == TASK_PENDING && !ready
	                     ? store_task_stuck_by(store, task->id)
	                     : xcalloc(1, sizeof *stuck);

	json_object_set_new(json, "ready", json_boolean(ready));
	json_object_set_new(json, "stuck_by", ids_json(stuck));
	if (edges || waits)
		json_object_set_new(json, "blocked_by",
		                    ids_json(store_task_blockers(store, task->id)));
	if (edges)
		json_object_set_new(json, "blocks", ids_json(store_task_blocks(store, task->id)));
	json_object_set_new(json, "parent", json_int_or_null(task->parent, 0));
	if (edges || task->kind == KIND_CHOICE)
		json_object_set_new(json, "alternatives",
		                    ids_json(store_task_alternatives(store, task->id)));
	json_object_set_new(json, "chosen", json_int_or_null(task->chosen, 0));
}

/* Of all its attempts; a choice shows that of what was chosen. */
static json_t *usage_json(struct store *store, const struct task_row *task)
{
	struct usage_sum sum = {0};

	if (task->kind == KIND_WORK ? task->attempt : task->chosen)
		sum = store_usage_of_task(store, task->chosen ? task->chosen : task->id);
	return store_usage_json(&sum);
}

/* Why a ready task does not start: its run was stopped, its agent is not served, or the day's
 * budget is used up. */
static json_t *waits_json(struct store *store, const struct task_row *task)
{
	_cleanup_hold_ struct hold_row row = {0};
	const char *what = "budget";

	if (task->kind != KIND_WORK || task->status != TASK_PENDING || task->unfinished)
		return json_null();
	if (task->stopped)
		return json_pack("{s:s, s:n, s:n, s:s}", "for", "run", "agent", "until", "message",
		                 "its run was stopped: pleach run, or pleach up, goes on");
	if (!store_hold_any(store))
		return json_null();
	if (!store_hold_get(store, "", &row) || !row.until) {
		hold_row_finish(&row);
		what = "limit";
		if (!task->agent || !store_hold_get(store, task->agent, &row) || !row.until)
			return json_null();
	}
	return json_pack("{s:s, s:s?, s:o, s:o}", "for", what, "agent",
	                 *row.agent ? row.agent : NULL, "until", time_json(row.until), "message",
	                 json_text_or_null(row.message));
}

/* Of its current attempt: what a line shows. */
static void add_attempt(struct store *store, const struct task_row *task,
                        const struct attempt_row *attempt, json_t *json)
{
	bool live = attempt->id && attempt->outcome == OUTCOME_NONE &&
	            (task->status == TASK_IN_PROGRESS || task->status == TASK_NEEDS_INPUT);

	json_object_set_new(json, "owner", json_text_or_null(live ? attempt->teammate : NULL));
	json_object_set_new(json, "agent",
	                    json_text_or_null(attempt->agent ? attempt->agent : task->agent));
	json_object_set_new(json, "model",
	                    json_text_or_null(attempt->model ? attempt->model : task->model));
	json_object_set_new(json, "attempt", json_int_or_null(task->attempt, 0));
	json_object_set_new(json, "verify", json_of(attempt->verify));
	json_object_set_new(json, "usage", usage_json(store, task));
	json_object_set_new(json, "changes", json_of(attempt->changes));
	json_object_set_new(json, "seconds", seconds_json(attempt));
}

static void add_evidence(const struct task_row *task, const struct attempt_row *attempt,
                         json_t *json)
{
	json_object_set_new(json, "attempts", json_integer(task->attempts));
	json_object_set_new(json, "teammate", json_text_or_null(attempt->teammate));
	json_object_set_new(json, "measures", json_of(attempt->measures));
	json_object_set_new(json, "kept", json_of(attempt->kept));
	json_object_set_new(json, "session", json_text_or_null(attempt->session));
	json_object_set_new(json, "continues", json_of(attempt->continues));
	json_object_set_new(json, "rounds", json_of(attempt->rounds));
}

/* What it came to: what a line shows. */
static void add_outcome(const struct task_row *task, enum detail detail, json_t *json)
{
	bool landing = task->landing != LANDING_NONE || task->landing_detail;

	json_object_set_new(json, "unchanged", json_boolean(task->unchanged));
	json_object_set_new(json, "input", json_of(task->input));
	json_object_set_new(json, "error", error_json(task));
	if (landing || detail != DETAIL_LINE)
		json_object_set_new(json, "landing", landing_json(task));
}

static void add_result(struct store *store, const struct task_row *task, bool brief, json_t *json)
{
	_cleanup_free_ char *output = brief ? NULL : store_task_output(store, task->id);
	_cleanup_free_ char *branch = NULL;

	if (!task->slot_none && task->kind == KIND_WORK)
		branch = xasprintf("pleach/%s/%s", task->plan_name, task->key);
	json_object_set_new(json, "branch", json_text_or_null(branch));
	json_object_set_new(json, "base", json_text_or_null(task->base));
	json_object_set_new(json, "head", json_text_or_null(task->head));
	if (!brief)
		json_object_set_new(json, "output", json_text_or_null(output));
	json_object_set_new(json, "created_at", time_json(task->created_at));
	json_object_set_new(json, "started_at", time_json(task->started_at));
	json_object_set_new(json, "finished_at", time_json(task->finished_at));
}

static json_t *member(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return value ? json_incref(value) : json_null();
}

/* What was written of it. */
static void add_text(struct store *store, const struct task_row *task, bool brief, json_t *json)
{
	_cleanup_json_ json_t *text =
	    brief ? store_task_title(store, task->id) : store_task_text(store, task->id);

	json_object_set_new(json, "subject", member(text, "subject"));
	if (!brief)
		json_object_set_new(json, "prompt", member(text, "prompt"));
	json_object_set_new(json, "priority", json_integer(task->priority));
	json_object_set_new(json, "metadata", member(text, "metadata"));
	json_object_set_new(json, "source",
	                    json_text_or_null(text_is_adhoc(task->plan_name) ? "add" : "plan"));
}

static json_t *task_json(struct store *store, int64_t id, enum detail detail)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	json_t *json;

	if (!store_task_get(store, id, &task))
		return NULL;
	/* A choice shows the evidence of what was chosen. */
	if (task.kind == KIND_CHOICE && task.chosen)
		store_attempt_get(
		    store,
		    sql_int(store, 0, "SELECT attempt FROM task WHERE id = ?1", "i", task.chosen),
		    &attempt);
	else if (task.attempt)
		store_attempt_get(store, task.attempt, &attempt);
	json = json_pack("{s:I, s:s, s:s, s:s, s:s}", "id", (json_int_t)task.id, "key", task.key,
	                 "plan", task.plan_name, "kind", task_kind_word(task.kind), "status",
	                 task_status_word(task.status));
	if (detail != DETAIL_LINE)
		add_text(store, &task, detail == DETAIL_BRIEF, json);
	if (detail != DETAIL_LINE || task.delay_ms)
		json_object_set_new(json, "delay_seconds",
		                    json_real((double)task.delay_ms / 1000.0));
	json_object_set_new(json, "waits", waits_json(store, &task));
	add_graph(store, &task, detail, json);
	add_attempt(store, &task, &attempt, json);
	add_outcome(&task, detail, json);
	if (detail != DETAIL_LINE) {
		add_evidence(&task, &attempt, json);
		add_result(store, &task, detail == DETAIL_BRIEF, json);
	}
	return json;
}

json_t *store_task_json(struct store *store, int64_t id)
{
	return task_json(store, id, DETAIL_WHOLE);
}

json_t *store_task_brief(struct store *store, int64_t id)
{
	return task_json(store, id, DETAIL_BRIEF);
}

/* A task that was never begun and waits for its turn alone, of which no line says anything; NULL:
 * it is another. */
static json_t *task_waiting(struct store *store, int64_t id)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT key, parent, unfinished = 0 FROM task"
	             " WHERE id = ?1 AND status = 0 AND kind = 0 AND attempt IS NULL"
	             " AND delay_ms = 0 AND stopped = 0",
	             "i", id);
	_cleanup_free_ int64_t *stuck = NULL;
	json_t *json;

	if (!sql_step(store, row))
		return NULL;
	json = json_pack("{s:I, s:s, s:s, s:o, s:s, s:b}", "id", (json_int_t)id, "key",
	                 sqlite3_column_text(row, 0), "kind", task_kind_word(KIND_WORK), "parent",
	                 json_int_or_null(sqlite3_column_int64(row, 1), 0), "status",
	                 task_status_word(TASK_PENDING), "ready", sqlite3_column_int(row, 2));
	sql_done(row);
	stuck = store_task_stuck_by(store, id);
	if (!stuck[0])
		return json;
	json_decref(json);
	return NULL;
}

json_t *store_task_line(struct store *store, int64_t id)
{
	json_t *json = task_waiting(store, id);

	return json ? json : task_json(store, id, DETAIL_LINE);
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
