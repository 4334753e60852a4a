/* More alternatives for a choice that is not decided yet: the same prompt, proof and base as
 * those that are there, so that all of them can be compared. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "transition.h"

#define ALTERNATIVES_MAX 64 /* of one choice, as in a plan */
#define PROMPT_MAX       (1u << 20)

struct more {
	struct coordinator *c;
	int64_t choice;
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

static int find_choice(struct request *r, struct more *m, struct error *err)
{
	_cleanup_task_ struct task_row row = {0};
	int64_t id;

	if (resolve_task(r, json_text(r->params, "task"), &id, err) < 0)
		return -1;
	store_task_get(r->c->store, id, &row);
	m->choice = row.kind == KIND_CHOICE ? row.id : row.parent;
	if (!m->choice || !store_task_get(r->c->store, m->choice, &m->parent))
		return error_set(err, ERROR_CONFLICT,
		                 "%s has no alternatives (pleach try makes a task that has)",
		                 row.key);
	if (m->parent.status == TASK_COMPLETED)
		return error_set(err, ERROR_CONFLICT,
		                 "%s is decided: nothing more is compared (pleach run --redo %s "
		                 "tries all again)",
		                 m->parent.key, m->parent.key);
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
	_cleanup_json_ json_t *data = json_pack("{s:s, s:s}", "status", "pending", "kind", "work");
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
	store_event_add(m->c->store, "task.created", id, 0, NULL, data);
	if (env)
		json_object_set(json_object_get(m->secrets, "tasks"), key, env);
	return 0;
}

/* Profiles that the plan does not have yet join it; one of a name that it has stays as it is. */
static void add_profiles(struct more *m, const json_t *profiles)
{
	struct plan_row plan = {0}, row;
	_cleanup_json_ json_t *agents = NULL;
	_cleanup_free_ char *text = NULL;

	if (!json_object_size(profiles) || !store_plan_get(m->c->store, m->parent.plan, &plan))
		return;
	agents = jsonl_parse(plan.agents, strlen(plan.agents), NULL);
	if (json_is_object(agents)) {
		json_object_update_missing(agents, (json_t *)profiles);
		text = jsonl_text(agents);
		row = plan;
		row.agents = text;
		store_plan_put(m->c->store, &row);
	}
	plan_row_finish(&plan);
}

/* There is something to choose from again. */
static int reopen(struct more *m, struct error *err)
{
	const struct transition again = {.task = m->choice, .verb = VERB_RETRY};

	if (m->parent.status == TASK_PENDING)
		return 0;
	store_task_set_chosen(m->c->store, m->choice, 0);
	return task_transition(m->c->store, &again, NULL, err);
}

static int add_all(struct request *r, struct more *m, const char *nonce, struct error *err)
{
	const json_t *given = json_sub(r->params, "agents");
	const json_t *agents = json_array_size(given) ? given : m->agents;
	_cleanup_free_ char *prompt = prompt_for(m, json_text(r->params, "prompt"));
	int64_t copies = json_int(r->params, "copies", 1);
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
	m->secrets = json_pack("{s:O?, s:{}}", "agents",
	                       json_sub(json_sub(r->params, "secrets"), "agents"), "tasks");
	json_array_foreach (agents, i, agent)
		for (int64_t copy = 0; copy < copies; copy++)
			if (add_one(m, agent, prompt, i || copy ? NULL : nonce, err) < 0)
				return -1;
	return 0;
}

int method_task_more(struct request *r, struct error *err)
{
	const char *nonce = json_text(r->params, "nonce");
	_cleanup_more_ struct more m = {.c = r->c};
	int64_t known = nonce ? store_task_by_nonce(r->c->store, nonce) : 0;

	if (find_choice(r, &m, err) < 0)
		return -1;
	if (!known) {
		if (read_others(&m, err) < 0 || add_all(r, &m, nonce, err) < 0 ||
		    reopen(&m, err) < 0 ||
		    environment_set_plan(r->c, m.parent.plan_name, m.secrets, true, err) < 0)
			return -1;
		add_profiles(&m, json_sub(r->params, "profiles"));
	}
	request_reply(r, store_task_json(r->c->store, m.choice));
	return 0;
}
