/* A task in the store: its row, its texts, its edges, what is written of it. */
#include <stdlib.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"
#include "text.h"

/* What of a row is its own memory: freed and copied. */
#define TASK_ROW_TEXTS(X)                                                                          \
	X(plan_name)                                                                               \
	X(key)                                                                                     \
	X(agent)                                                                                   \
	X(model)                                                                                   \
	X(choose)                                                                                  \
	X(root_base)                                                                               \
	X(next_base)                                                                               \
	X(base)                                                                                    \
	X(head)                                                                                    \
	X(tree)                                                                                    \
	X(error_message)                                                                           \
	X(input)                                                                                   \
	X(landing_detail)                                                                          \
	X(answer)

void task_row_finish(struct task_row *row)
{
#define X(field) free(row->field);
	TASK_ROW_TEXTS(X)
#undef X
	*row = (struct task_row){0};
}

void task_row_copy(const struct task_row *from, struct task_row *to)
{
	*to = *from;
#define X(field) to->field = xstrdup(from->field);
	TASK_ROW_TEXTS(X)
#undef X
}

void cleanup_task_row(struct task_row *row)
{
	task_row_finish(row);
}

bool store_task_get(struct store *store, int64_t id, struct task_row *out)
{
	const struct task_row *known = known_task(store_known(store), id);
	sqlite3_stmt *row;

	if (known) {
		task_row_copy(known, out);
		return true;
	}
	row = sql_bind(
	    store,
	    "SELECT task.id, plan, parent, chosen, attempt, plan.name, key, kind, status, priority,"
	    " unfinished, delay_ms, attempts, failures, losses, settled_blockers, slot_none, agent,"
	    " model, choose, root_base, next_base, task.base, head, tree, unchanged, error_code,"
	    " error_message, input, landing, landing_detail, answer, task.created_at, started_at,"
	    " finished_at, resume, budgeted, stopped FROM task JOIN plan ON plan.id = task.plan "
	    "WHERE "
	    "task.id = ?1",
	    "i", id);

	if (!sql_step(store, row))
		return false;
	*out = (struct task_row){
	    .id = sqlite3_column_int64(row, 0),
	    .plan = sqlite3_column_int64(row, 1),
	    .parent = sqlite3_column_int64(row, 2),
	    .chosen = sqlite3_column_int64(row, 3),
	    .attempt = sqlite3_column_int64(row, 4),
	    .plan_name = sql_column_text(row, 5),
	    .key = sql_column_text(row, 6),
	    .kind = (enum task_kind)sqlite3_column_int(row, 7),
	    .status = (enum task_status)sqlite3_column_int(row, 8),
	    .priority = sqlite3_column_int64(row, 9),
	    .unfinished = sqlite3_column_int64(row, 10),
	    .delay_ms = sqlite3_column_int64(row, 11),
	    .attempts = sqlite3_column_int64(row, 12),
	    .failures = sqlite3_column_int64(row, 13),
	    .losses = sqlite3_column_int64(row, 14),
	    .settled_blockers = sqlite3_column_int(row, 15),
	    .slot_none = sqlite3_column_int(row, 16),
	    .agent = sql_column_text(row, 17),
	    .model = sql_column_text(row, 18),
	    .choose = sql_column_text(row, 19),
	    .root_base = sql_column_text(row, 20),
	    .next_base = sql_column_text(row, 21),
	    .base = sql_column_text(row, 22),
	    .head = sql_column_text(row, 23),
	    .tree = sql_column_text(row, 24),
	    .unchanged = sqlite3_column_int(row, 25),
	    .error_code = (enum task_error)sqlite3_column_int(row, 26),
	    .error_message = sql_column_text(row, 27),
	    .input = sql_column_text(row, 28),
	    .landing = (enum landing_state)sqlite3_column_int(row, 29),
	    .landing_detail = sql_column_text(row, 30),
	    .answer = sql_column_text(row, 31),
	    .created_at = sqlite3_column_int64(row, 32),
	    .started_at = sqlite3_column_int64(row, 33),
	    .finished_at = sqlite3_column_int64(row, 34),
	    .resume = sqlite3_column_int64(row, 35),
	    .budgeted = sqlite3_column_int(row, 36),
	    .stopped = sqlite3_column_int(row, 37),
	};
	sql_done(row);
	known_keep_task(store_known(store), out);
	return true;
}

int64_t store_task_find(struct store *store, const char *plan, const char *key)
{
	if (plan)
		return sql_int(store, 0,
		               "SELECT task.id FROM task JOIN plan ON plan.id = task.plan"
		               " WHERE plan.name = ?1 AND key = ?2",
		               "tt", plan, key);
	return sql_int(store, 0, "SELECT id FROM task WHERE key = ?1 ORDER BY plan DESC LIMIT 1",
	               "t", key);
}

int64_t store_task_find_adhoc(struct store *store, const char *key)
{
	return sql_int(store, 0,
	               "SELECT task.id FROM plan CROSS JOIN task ON task.plan = plan.id"
	               " AND task.key = ?1 WHERE name = '" TEXT_ADHOC "' OR name GLOB '" TEXT_ADHOC
	               "-*' LIMIT 1",
	               "t", key);
}

bool store_key_is_shared(struct store *store, const char *key)
{
	return sql_int(store, 0,
	               "SELECT count(*) FROM (SELECT 1 FROM plan CROSS JOIN task"
	               " ON task.plan = plan.id AND task.key = ?1 LIMIT 2)",
	               "t", key) > 1;
}

bool store_agent_has_tasks(struct store *store, const char *agent)
{
	return sql_int(store, 0, "SELECT 1 FROM task WHERE agent = ?1 LIMIT 1", "t", agent);
}

json_t *store_task_text(struct store *store, int64_t id)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT subject, prompt, metadata, spec.text, definition, spec.id"
	             " FROM task_text JOIN spec ON spec.id = task_text.spec"
	             " WHERE task = ?1",
	             "i", id);
	json_t *text;

	if (!sql_step(store, row))
		return NULL;
	text = json_pack("{s:s?, s:s?, s:o, s:o, s:s?}", "subject", sqlite3_column_text(row, 0),
	                 "prompt", sqlite3_column_text(row, 1), "metadata", sql_column_json(row, 2),
	                 "spec",
	                 store_spec(store, sqlite3_column_int64(row, 5),
	                            (const char *)sqlite3_column_text(row, 3)),
	                 "definition", sqlite3_column_text(row, 4));
	sql_done(row);
	return text;
}

json_t *store_task_put_text(struct store *store, int64_t id, struct buf *out)
{
	sqlite3_stmt *row = sql_bind(store,
	                             "SELECT subject, prompt, spec.id, spec.text FROM task_text"
	                             " JOIN spec ON spec.id = task_text.spec WHERE task = ?1",
	                             "i", id);
	json_t *spec;

	if (!sql_step(store, row))
		return NULL;
	jsonl_put_text(out, "subject", (const char *)sqlite3_column_text(row, 0));
	jsonl_put_text(out, "prompt", (const char *)sqlite3_column_text(row, 1));
	spec = store_spec(store, sqlite3_column_int64(row, 2),
	                  (const char *)sqlite3_column_text(row, 3));
	sql_done(row);
	return spec;
}

json_t *store_task_spec(struct store *store, int64_t id)
{
	sqlite3_stmt *row = sql_bind(store,
	                             "SELECT spec.id, spec.text FROM task_text"
	                             " JOIN spec ON spec.id = task_text.spec WHERE task = ?1",
	                             "i", id);
	json_t *spec;

	if (!sql_step(store, row))
		return NULL;
	spec = store_spec(store, sqlite3_column_int64(row, 0),
	                  (const char *)sqlite3_column_text(row, 1));
	sql_done(row);
	return spec;
}

static char *metadata_text(const json_t *metadata)
{
	return json_is_object(metadata) ? jsonl_text(metadata) : NULL;
}

static bool has_budget(const json_t *spec)
{
	return json_sub(spec, "budget") != NULL;
}

void store_task_set_spec(struct store *store, int64_t id, const json_t *spec)
{
	sql_run(store, "UPDATE task_text SET spec = ?2 WHERE task = ?1", "ii", id,
	        store_spec_id(store, spec));
	sql_run(store, "UPDATE task SET budgeted = ?2 WHERE id = ?1", "ib", id, has_budget(spec));
}

int64_t store_task_insert(struct store *store, const struct task_new *task)
{
	_cleanup_free_ char *metadata = metadata_text(task->metadata);
	int64_t id;

	sql_run(store,
	        "INSERT INTO task(plan, key, kind, parent, priority, settled_blockers, slot_none, "
	        "agent,"
	        " model, choose, root_base, created_at, unfinished, budgeted)"
	        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
	        "itioibbtttti"
	        "ib",
	        task->plan, task->key, (int64_t)task->kind, task->parent, task->priority,
	        task->settled_blockers, task->slot_none, task->agent, task->model, task->choose,
	        task->root_base, time_now_ms(), task->unfinished, has_budget(task->spec));
	id = sql_last_id(store);
	store_graph_changed(store);
	known_count(store_known(store), task->plan, TASK_PENDING, 1);
	sql_run(store,
	        "INSERT INTO task_text(task, subject, prompt, metadata, spec, definition, nonce)"
	        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	        "ittti"
	        "tt",
	        id, task->subject, task->prompt, metadata, store_spec_id(store, task->spec),
	        task->definition, task->nonce);
	return id;
}

void store_task_redefine(struct store *store, int64_t id, const struct task_new *task)
{
	_cleanup_free_ char *metadata = metadata_text(task->metadata);

	store_graph_changed(store);
	sql_run(store,
	        "UPDATE task SET priority = ?2, settled_blockers = ?3, slot_none = ?4, agent = ?5,"
	        " resume = -1, model = ?6, choose = ?7, root_base = ?8, kind = ?9, next_base = "
	        "NULL, budgeted = ?10 WHERE id = ?1",
	        "iibbttttib", id, task->priority, task->settled_blockers, task->slot_none,
	        task->agent, task->model, task->choose, task->root_base, (int64_t)task->kind,
	        has_budget(task->spec));
	sql_run(store,
	        "UPDATE task_text SET subject = ?2, prompt = ?3, metadata = ?4, spec = ?5,"
	        " definition = ?6 WHERE task = ?1",
	        "ittt"
	        "it",
	        id, task->subject, task->prompt, metadata, store_spec_id(store, task->spec),
	        task->definition);
}

int64_t store_task_by_nonce(struct store *store, const char *nonce)
{
	return sql_int(store, 0, "SELECT task FROM task_text WHERE nonce = ?1", "t", nonce);
}

char *store_task_definition(struct store *store, int64_t id)
{
	return sql_text(store, "SELECT definition FROM task_text WHERE task = ?1", "i", id);
}

#define EDGE    "(?, ?)"
#define EDGES_4 EDGE ", " EDGE ", " EDGE ", " EDGE
#define EDGES   16 /* at once: what a statement costs by itself is shared */

/* Writes the first of them; how many. One that is there already is left alone. */
static size_t put_edges(struct store *store, const struct edge *edges, size_t n)
{
	static const char one[] = "INSERT OR IGNORE INTO dependency(task, blocker) VALUES" EDGE,
	                  many[] = "INSERT OR IGNORE INTO dependency(task, blocker)"
	                           " VALUES" EDGES_4 ", " EDGES_4 ", " EDGES_4 ", " EDGES_4;
	sqlite3_stmt *stmt = sql_bind(store, n < EDGES ? one : many, "");
	int count = n < EDGES ? 1 : EDGES;

	for (int i = 0; i < count; i++) {
		sqlite3_bind_int64(stmt, 2 * i + 1, edges[i].task);
		sqlite3_bind_int64(stmt, 2 * i + 2, edges[i].blocker);
	}
	while (sql_step(store, stmt))
		;
	return (size_t)count;
}

void store_edges_add(struct store *store, const struct edge *edges, size_t n)
{
	while (n > 0 && !store_failed(store, NULL)) {
		size_t done = put_edges(store, edges, n);

		edges += done;
		n -= done;
	}
}

void store_task_set_blockers(struct store *store, int64_t id, const int64_t *blockers, size_t n)
{
	_cleanup_free_ struct edge *edges = NULL;

	if (!n && !sql_int(store, 0, "SELECT 1 FROM dependency WHERE task = ?1 LIMIT 1", "i", id))
		return;
	edges = xcalloc(n + 1, sizeof *edges);
	for (size_t i = 0; i < n; i++)
		edges[i] = (struct edge){id, blockers[i]};
	store_graph_changed(store);
	sql_run(store, "DELETE FROM dependency WHERE task = ?1", "i", id);
	store_edges_add(store, edges, n);
	sql_run(store,
	        "UPDATE task SET unfinished = (SELECT count(*) FROM dependency"
	        " JOIN task AS b ON b.id = dependency.blocker WHERE dependency.task = task.id"
	        " AND CASE task.settled_blockers WHEN 1 THEN b.status < 3 ELSE b.status <> 3 END)"
	        " WHERE id = ?1",
	        "i", id);
}

bool store_task_reaches(struct store *store, int64_t from, int64_t to)
{
	return sql_int(store, 0,
	               "WITH RECURSIVE up(id) AS (SELECT ?1 UNION"
	               " SELECT blocker FROM dependency JOIN up ON dependency.task = up.id)"
	               " SELECT 1 FROM up WHERE id = ?2 LIMIT 1",
	               "ii", to, from) != 0;
}

int64_t *store_task_blockers(struct store *store, int64_t id)
{
	return sql_ints(store, "SELECT blocker FROM dependency WHERE task = ?1 ORDER BY blocker",
	                "i", id);
}

void store_task_put_inputs(struct store *store, int64_t id, const char *key, struct buf *out)
{
	sqlite3_stmt *row = sql_bind(store,
	                             "SELECT task.id, key, status, head, output FROM dependency"
	                             " JOIN task ON task.id = blocker"
	                             " JOIN task_text ON task_text.task = coalesce(chosen, task.id)"
	                             " WHERE dependency.task = ?1 ORDER BY blocker",
	                             "i", id);

	jsonl_open(out, key, '[');
	while (sql_step(store, row)) {
		jsonl_open(out, NULL, '{');
		jsonl_put_int(out, "id", sqlite3_column_int64(row, 0));
		jsonl_put_text(out, "key", (const char *)sqlite3_column_text(row, 1));
		jsonl_put_text(out, "status",
		               task_status_word((enum task_status)sqlite3_column_int(row, 2)));
		jsonl_put_text(out, "head", (const char *)sqlite3_column_text(row, 3));
		jsonl_put_text(out, "output", (const char *)sqlite3_column_text(row, 4));
		jsonl_close(out, '}');
	}
	jsonl_close(out, ']');
}

int64_t *store_task_blocks(struct store *store, int64_t id)
{
	return sql_ints(store, "SELECT task FROM dependency WHERE blocker = ?1 ORDER BY task", "i",
	                id);
}

int64_t *store_task_alternatives(struct store *store, int64_t id)
{
	return sql_ints(store, "SELECT id FROM task WHERE parent = ?1 ORDER BY id", "i", id);
}

char **store_task_keys(struct store *store, int64_t limit)
{
	sqlite3_stmt *row =
	    sql_bind(store, "SELECT DISTINCT key FROM task ORDER BY id DESC LIMIT ?1", "i", limit);
	char **keys = NULL;

	while (sql_step(store, row))
		strv_push(&keys, sql_column_text(row, 0));
	return keys;
}

void store_task_set_next_base(struct store *store, int64_t id, const char *commit)
{
	sql_run(store, "UPDATE task SET next_base = ?2 WHERE id = ?1", "it", id, commit);
}

void store_task_clear_next_base_of_dependents(struct store *store, int64_t id)
{
	sql_run(store,
	        "UPDATE task SET next_base = NULL WHERE status = 0 AND id IN"
	        " (SELECT task FROM dependency WHERE blocker = ?1)",
	        "i", id);
}

void store_task_set_chosen(struct store *store, int64_t id, int64_t chosen)
{
	sql_run(store, "UPDATE task SET chosen = ?2 WHERE id = ?1", "io", id, chosen);
}

void store_task_stop(struct store *store, int64_t id)
{
	sql_run(store,
	        "UPDATE task SET stopped = 1 WHERE id = ?1 AND kind = 0 AND status IN (0, 1, 2)",
	        "i", id);
}

void store_task_go_on(struct store *store, int64_t id)
{
	sql_run(store, "UPDATE task SET stopped = 0 WHERE id = ?1 AND stopped = 1", "i", id);
}

void store_tasks_go_on(struct store *store)
{
	sql_run(store, "UPDATE task SET stopped = 0 WHERE stopped = 1", "");
}

void store_task_set_delay(struct store *store, int64_t id, int64_t delay_ms)
{
	sql_run(store, "UPDATE task SET delay_ms = ?2 WHERE id = ?1", "ii", id, delay_ms);
}

void store_task_set_landing(struct store *store, int64_t id, enum landing_state state,
                            const char *detail_json)
{
	sql_run(store, "UPDATE task SET landing = ?2, landing_detail = ?3 WHERE id = ?1", "iit", id,
	        (int64_t)state, detail_json);
}

void store_task_set_output(struct store *store, int64_t id, const char *output)
{
	sql_run(store, "UPDATE task_text SET output = ?2 WHERE task = ?1 AND output IS NOT ?2",
	        "it", id, output);
}

char *store_task_output(struct store *store, int64_t id)
{
	return sql_text(store, "SELECT output FROM task_text WHERE task = ?1", "i", id);
}

void store_task_set_answer(struct store *store, int64_t id, const char *answer)
{
	sql_run(store, "UPDATE task SET answer = ?2 WHERE id = ?1", "it", id, answer);
}

void store_task_set_resume(struct store *store, int64_t id, int64_t attempt)
{
	sql_run(store, "UPDATE task SET resume = ?2 WHERE id = ?1", "ii", id, attempt);
}

void store_task_set_priority(struct store *store, int64_t id, int64_t priority)
{
	unsigned none = known_none(store_known(store));

	sql_run(store, "UPDATE task SET priority = ?2 WHERE id = ?1", "ii", id, priority);
	known_keep_none(store_known(store), none); /* which is the next, not whether one is */
}

void store_task_set_prompt(struct store *store, int64_t id, const char *prompt, const char *subject)
{
	sql_run(store, "UPDATE task_text SET prompt = ?2, subject = ?3 WHERE task = ?1", "itt", id,
	        prompt, subject);
	store_task_set_resume(store, id, -1); /* no session knows of it */
}

void store_task_set_agent(struct store *store, int64_t id, const char *agent, const char *model)
{
	sql_run(store, "UPDATE task SET agent = ?2, model = ?3 WHERE id = ?1", "itt", id, agent,
	        model);
}

void store_task_set_metadata(struct store *store, int64_t id, const json_t *metadata)
{
	_cleanup_free_ char *text = metadata_text(metadata);

	sql_run(store, "UPDATE task_text SET metadata = ?2 WHERE task = ?1", "it", id, text);
}

void store_task_set_root_base(struct store *store, int64_t id, const char *commit)
{
	sql_run(store, "UPDATE task SET root_base = ?2, next_base = NULL WHERE id = ?1", "it", id,
	        commit);
}

void store_task_set_head(struct store *store, int64_t id, const char *head, const char *tree)
{
	sql_run(store, "UPDATE task SET head = ?2, tree = ?3 WHERE id = ?1", "itt", id, head, tree);
}
