/* More alternatives for a choice, or for a plain task, whose result is the first one then: the same
 * prompt, proof and base as those that are there, so that all of them can be compared. What was
 * decided is open again; what has landed, or is about to, stays as it is. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "ranking.h"
#include "transition.h"

#define ALTERNATIVES_MAX 64 /* of one choice, as in a plan */
#define PROMPT_MAX       (1u << 20)

struct more {
	struct coordinator *c;
	const json_t *params;
	int64_t choice;        /* what is, or is to be one */
	int64_t *alternatives; /* those that are there */
	struct task_row parent, first;
	json_t *text;     /* of the first */
	const char *base; /* where the others started; NULL: nobody did yet */
	json_t *agents;   /* [{"name","model"}] */
	int number;       /* the last one's */
	json_t *secrets;  /* env of the new ones */
};

static void more_finish(struct more *m)
{
	free(m->alternatives);
	task_row_finish(&m->parent);
	task_row_finish(&m->first);
	json_decref(m->text);
	json_decref(m->agents);
	json_decref(m->secrets);
}
#define _cleanup_more_ __attribute__((cleanup(more_finish)))

/* What is named: a choice, one of its alternatives, or a plain task. */
static int find_choice(struct more *m, int64_t task, struct error *err)
{
	_cleanup_task_ struct task_row row = {0};

	store_task_get(m->c->store, task, &row);
	m->choice = row.parent ? row.parent : row.id;
	if (!store_task_get(m->c->store, m->choice, &m->parent))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %lld", (long long)task);
	return 0;
}

static bool is_plain(const struct more *m)
{
	return m->parent.kind == KIND_WORK;
}

/* Nothing of it may be on its way into a branch, and a plain task has to have ended. */
static int check_open(struct more *m, struct error *err)
{
	const struct task_row *row = &m->parent;
	_cleanup_free_ char *name = task_typed(m->c, row);

	if (row->landing == LANDING_LANDED)
		return error_set(err, ERROR_CONFLICT,
		                 "%s has landed: what is in the branch is decided (pleach undo %s "
		                 "takes it out again)",
		                 row->key, name);
	if (landing_is_under_way(m->c, row))
		return error_set(err, ERROR_CONFLICT,
		                 "%s is being merged: wait for that (pleach undo takes out what "
		                 "has landed)",
		                 row->key);
	if (!is_plain(m))
		return 0;
	if (landing_is_resolver(m->c, row->id))
		return error_set(err, ERROR_CONFLICT,
		                 "%s resolves a conflict: it has no alternatives", row->key);
	if (!task_status_is_terminal(row->status) ||
	    store_attempt_running_task(m->c->store, row->id))
		return error_set(
		    err, ERROR_CONFLICT,
		    "%s is %s: alternatives join a result (pleach wait %s, then again)", row->key,
		    task_status_word(row->status), name);
	return 0;
}

/* What the alternatives have in common, and the agents that are among them, each once. */
static int read_others(struct more *m, struct error *err)
{
	json_t *agents = json_array(), *other;
	size_t i, j;

	m->alternatives = store_task_alternatives(m->c->store, m->choice);
	m->agents = agents;
	for (i = 0; m->alternatives[i]; i++) {
		_cleanup_task_ struct task_row row = {0};
		_cleanup_json_ json_t *agent = NULL;
		const char *dot;
		bool known = false;

		if (!store_task_get(m->c->store, m->alternatives[i], &row))
			continue;
		dot = strrchr(row.key, '.');
		if (dot && atoi(dot + 1) > m->number)
			m->number = atoi(dot + 1);
		agent = json_pack("{s:s?, s:s?}", "name", row.agent, "model", row.model);
		json_array_foreach (agents, j, other)
			known = known || json_equal(other, agent);
		if (!known)
			json_array_append(agents, agent);
		if (!m->first.id)
			store_task_get(m->c->store, row.id, &m->first);
		if (row.base && !m->first.base)
			m->first.base = xstrdup(row.base);
	}
	if (!m->first.id)
		return error_set(err, ERROR_CONFLICT, "%s has no alternatives", m->parent.key);
	m->base = m->first.base;
	m->text = store_task_text(m->c->store, m->first.id);
	return 0;
}

/* The choice's own prompt, and what this time's people add, after a blank line. Caller frees. */
static char *prompt_for(struct more *m, const char *added)
{
	_cleanup_json_ json_t *text = store_task_text(m->c->store, m->choice);
	const char *prompt = json_text(text, "prompt");
	size_t n = prompt ? strlen(prompt) : 0;
	bool line = n && prompt[n - 1] == '\n', blank = line && n > 1 && prompt[n - 2] == '\n';

	if (!added || !*added)
		return xstrdup(prompt ? prompt : "");
	return xasprintf("%s%s%s", n ? prompt : "", !n || blank ? "" : line ? "\n" : "\n\n", added);
}

static int add_one(struct more *m, const json_t *agent, const char *prompt, const char *nonce,
                   struct error *err)
{
	_cleanup_free_ char *key = xasprintf("%s.%d", m->parent.key, ++m->number);
	_cleanup_free_ int64_t *blockers = store_task_blockers(m->c->store, m->first.id);
	const struct task_new new = {
	    .plan = m->parent.plan,
	    .parent = m->choice,
	    .key = key,
	    .subject = json_text(m->text, "subject"),
	    .prompt = prompt,
	    .agent = json_text(agent, "name"),
	    .model = json_text(agent, "model"),
	    .root_base = m->first.root_base,
	    .definition = "", /* no plan said it */
	    .nonce = nonce,
	    .kind = KIND_WORK,
	    .priority = m->first.priority,
	    .settled_blockers = m->first.settled_blockers,
	    .slot_none = m->first.slot_none,
	    .spec = json_sub(m->text, "spec"),
	    .metadata = json_sub(m->text, "metadata"),
	};
	json_t *env = environment_of_task(m->c, m->parent.plan_name, m->first.key);
	size_t n = 0;
	int64_t id;

	if (store_task_find(m->c->store, m->parent.plan_name, key))
		return error_set(err, ERROR_CONFLICT, "there is a task %s already", key);
	while (blockers[n])
		n++;
	id = store_task_insert(m->c->store, &new);
	store_task_set_blockers(m->c->store, id, blockers, n);
	if (m->base)
		store_task_set_next_base(m->c->store, id, m->base);
	store_event_created(m->c->store, id, id);
	if (env)
		json_object_set(json_object_get(m->secrets, "tasks"), key, env);
	return 0;
}

/* There is something to choose from again. What started from the one that was chosen keeps that;
 * what waits for the choice waits again. */
static int reopen(struct more *m, struct error *err)
{
	struct transition again = {.task = m->choice, .verb = VERB_RETRY};
	struct store *store = m->c->store;

	if (m->parent.status == TASK_PENDING)
		return 0;
	if (m->parent.status == TASK_COMPLETED) {
		_cleanup_json_ json_t *rule = ranking_rule(m->parent.choose);

		again.verb = VERB_REDO;
		if (ranking_is(rule,
		               "first")) /* that one is known: to ask for more is to compare */
			store_task_set_choose(store, m->choice, "manual");
		store_task_clear_next_base_of_dependents(store, m->choice);
	}
	landing_forget(m->c, m->choice);
	store_verdict_put(store, m->choice, NULL);
	store_task_set_chosen(store, m->choice, 0);
	return task_transition(store, &again, NULL, err);
}

/* What the plain task made is the first of its alternatives. */
static void make_choice(struct more *m)
{
	_cleanup_free_ char *key = xasprintf("%s.1", m->parent.key);
	_cleanup_json_ json_t *data = NULL, *becomes = NULL;
	json_t *env = environment_of_task(m->c, m->parent.plan_name, m->parent.key);
	int64_t id = store_task_make_choice(m->c->store, m->choice, key);

	data = json_pack("{s:s, s:s, s:s?}", "status", task_status_word(m->parent.status), "kind",
	                 "work", "head", m->parent.head);
	store_event_add(m->c->store, "task.created", id, m->parent.attempt, NULL, data);
	becomes = json_pack("{s:s}", "kind", "choice");
	store_event_add(m->c->store, "task.updated", m->choice, 0, NULL, becomes);
	if (env)
		json_object_set(json_object_get(m->secrets, "tasks"), key, env);
}

static int add_all(struct more *m, const char *nonce, struct error *err)
{
	const json_t *given = json_sub(m->params, "agents");
	const json_t *agents = json_array_size(given) ? given : m->agents;
	_cleanup_free_ char *prompt = prompt_for(m, json_text(m->params, "prompt"));
	int64_t copies = json_int(m->params, "copies", 1);
	size_t there = 0, total, i;
	json_t *agent;

	while (m->alternatives[there])
		there++;
	if (copies < 1 || copies > ALTERNATIVES_MAX)
		return error_set(err, ERROR_INVALID, "at most %d alternatives", ALTERNATIVES_MAX);
	total = there + (size_t)copies * json_array_size(agents);
	if (total > ALTERNATIVES_MAX)
		return error_set(err, ERROR_INVALID, "%s would have %zu alternatives (at most %d)",
		                 m->parent.key, total, ALTERNATIVES_MAX);
	if (strlen(prompt) > PROMPT_MAX)
		return error_set(err, ERROR_INVALID, "prompt is larger than %u KiB",
		                 PROMPT_MAX >> 10);
	json_array_foreach (agents, i, agent)
		for (int64_t copy = 0; copy < copies; copy++)
			if (add_one(m, agent, prompt, i || copy ? NULL : nonce, err) < 0)
				return -1;
	return 0;
}

/* In a step. Asked twice, done once. head: what got the branch of a plain task's result, NULL: it
 * needs none. */
static int more_now(struct coordinator *c, int64_t task, const json_t *params, const char *head,
                    int64_t *choice, struct error *err)
{
	const char *nonce = json_text(params, "nonce");
	_cleanup_more_ struct more m = {.c = c, .params = params};

	if (find_choice(&m, task, err) < 0)
		return -1;
	*choice = m.choice;
	if (nonce && store_task_by_nonce(c->store, nonce))
		return 0;
	if (check_open(&m, err) < 0)
		return -1;
	if (head && is_plain(&m) && (!m.parent.head || strcmp(m.parent.head, head) != 0))
		return error_set(err, ERROR_BUSY, "%s was run again meanwhile: ask once more",
		                 m.parent.key);
	m.secrets = json_pack("{s:O?, s:{}}", "agents",
	                      json_sub(json_sub(params, "secrets"), "agents"), "tasks");
	if (is_plain(&m))
		make_choice(&m);
	if (read_others(&m, err) < 0 || add_all(&m, nonce, err) < 0 || reopen(&m, err) < 0 ||
	    environment_set_plan(c, m.parent.plan_name, m.secrets, true, err) < 0)
		return -1;
	store_plan_add_agents(c->store, m.parent.plan, json_sub(params, "profiles"));
	return 0;
}

/* ---- a plain task: its result gets the branch of the alternative before it becomes that one ----
 */

struct naming {
	struct later *later;
	json_t *params;
	char *head; /* as of the request: it may be another one when git has answered */
	int64_t task, choice;
};

static int named_step(struct coordinator *c, void *context, struct error *err)
{
	struct naming *naming = context;

	return more_now(c, naming->task, naming->params, naming->head, &naming->choice, err);
}

static void named(struct coordinator *c, const json_t *result, const struct error *why,
                  void *context)
{
	struct naming *naming = context;
	struct error err = ERROR_INIT;

	if (!result)
		later_fail(c, naming->later, why);
	else if (turn_step(c, named_step, naming, &err) < 0)
		later_fail(c, naming->later, &err);
	else
		later_reply_task(c, naming->later, naming->choice);
	json_decref(naming->params);
	free(naming->head);
	free(naming);
}

/* What its earlier attempts made: a death before the store knew may have left the branch there.
 * New reference. */
static json_t *earlier_heads(struct coordinator *c, const struct task_row *row)
{
	json_t *list = json_array();

	for (int64_t id = INT64_MAX; (id = store_attempt_previous(c->store, row->id, id));) {
		_cleanup_attempt_ struct attempt_row attempt = {0};

		if (store_attempt_get(c->store, id, &attempt) && attempt.head)
			json_array_append_new(list,
			                      json_pack("{s:I, s:s}", "attempt", (json_int_t)id,
			                                "commit", attempt.head));
	}
	return list;
}

static void name_result(struct request *r, const struct task_row *row)
{
	_cleanup_free_ char *key = xasprintf("%s.1", row->key);
	_cleanup_free_ char *branch = task_branch(row->plan_name, key);
	struct naming *naming = xcalloc(1, sizeof *naming);

	*naming = (struct naming){.later = request_later(r),
	                          .params = json_incref((json_t *)r->params),
	                          .head = xstrdup(row->head),
	                          .task = row->id};
	gitq_ask(r->c, "name",
	         json_pack("{s:o, s:s, s:o}", "branch", json_text_or_null(branch), "commit",
	                   row->head, "earlier", earlier_heads(r->c, row)),
	         named, naming);
}

int method_task_more(struct request *r, struct error *err)
{
	const char *nonce = json_text(r->params, "nonce");
	bool known = nonce && store_task_by_nonce(r->c->store, nonce);
	_cleanup_more_ struct more m = {.c = r->c, .params = r->params};
	int64_t task = 0, choice = 0;

	if (resolve_task(r, json_text(r->params, "task"), &task, err) < 0 ||
	    find_choice(&m, task, err) < 0 || (!known && check_open(&m, err) < 0))
		return -1;
	if (!known && is_plain(&m) && m.parent.head && !m.parent.slot_none) {
		name_result(r, &m.parent);
		return 0;
	}
	if (more_now(r->c, task, r->params, NULL, &choice, err) < 0)
		return -1;
	request_reply_task(r, choice);
	return 0;
}
