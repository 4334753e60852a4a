/* Choices in the store: what a judge said of one, how it is decided, and a plain task that
 * becomes one. Decides nothing, writes no status but a copied one: transition.c does. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "store_sql.h"

json_t *store_verdict(struct store *store, int64_t choice)
{
	_cleanup_free_ char *text =
	    sql_text(store, "SELECT text FROM verdict WHERE choice = ?1", "i", choice);

	return text ? jsonl_parse(text, strlen(text), NULL) : NULL;
}

void store_verdict_put(struct store *store, int64_t choice, const json_t *verdict)
{
	_cleanup_free_ char *text = verdict ? jsonl_text(verdict) : NULL;

	if (text)
		sql_run(store, "INSERT OR REPLACE INTO verdict(choice, text) VALUES(?1, ?2)", "it",
		        choice, text);
	else
		sql_run(store, "DELETE FROM verdict WHERE choice = ?1", "i", choice);
}

int64_t *store_choices_judged(struct store *store)
{
	return sql_ints(store,
	                "SELECT id FROM task WHERE status = 0 AND choose LIKE '{%judge%' AND id IN"
	                " (SELECT DISTINCT parent FROM task WHERE parent IS NOT NULL) ORDER BY id",
	                "");
}

void store_task_set_choose(struct store *store, int64_t id, const char *choose)
{
	sql_run(store, "UPDATE task SET choose = ?2 WHERE id = ?1", "it", id, choose);
}

/* What it did, all of it, is the alternative's now: the choice did nothing itself. */
static void hand_over(struct store *store, int64_t id, int64_t alternative)
{
	sql_run(store, "UPDATE attempt SET task = ?2 WHERE task = ?1", "ii", id, alternative);
	sql_run(store, "UPDATE usage SET task = ?2 WHERE task = ?1", "ii", id, alternative);
	sql_run(store,
	        "UPDATE task SET kind = 1, choose = 'manual', next_base = NULL, attempt = NULL,"
	        " attempts = 0, failures = 0, losses = 0, base = NULL, answer = NULL, resume = 0,"
	        " started_at = NULL WHERE id = ?1",
	        "i", id);
	sql_run(store, "UPDATE task_text SET output = NULL WHERE task = ?1", "i", id);
}

int64_t store_task_make_choice(struct store *store, int64_t id, const char *key)
{
	_cleanup_task_ struct task_row old = {0};
	int64_t alternative;

	if (!store_task_get(store, id, &old))
		return 0;
	store_graph_changed(store);
	sql_run(
	    store,
	    "INSERT INTO task(plan, key, kind, status, parent, priority, unfinished,"
	    " settled_blockers, slot_none, agent, model, root_base, attempt, attempts, failures,"
	    " losses, base, head, tree, unchanged, error_code, error_message, answer,"
	    " created_at, started_at, finished_at, resume, budgeted)"
	    " SELECT plan, ?2, kind, status, id, priority, unfinished, settled_blockers,"
	    " slot_none, agent, model, root_base, attempt, attempts, failures, losses, base,"
	    " head, tree, unchanged, error_code, error_message, answer, created_at, started_at,"
	    " finished_at, resume, budgeted FROM task WHERE id = ?1",
	    "it", id, key);
	alternative = sql_last_id(store);
	known_count(store_known(store), old.plan, old.status, 1);
	sql_run(store,
	        "INSERT INTO task_text(task, subject, prompt, metadata, spec, definition, output)"
	        " SELECT ?2, subject, prompt, metadata, spec, '', output FROM task_text"
	        " WHERE task = ?1",
	        "ii", id, alternative);
	sql_run(store,
	        "INSERT INTO dependency(task, blocker) SELECT ?2, blocker FROM dependency"
	        " WHERE task = ?1",
	        "ii", id, alternative);
	hand_over(store, id, alternative);
	return alternative;
}
