/* Submitting: a whole plan, or one task more. Validated whole, stored whole; `base` becomes
 * a commit first, which git is asked for. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "submit_adhoc.h"
#include "submit_keys.h"
#include "submit_tasks.h"
#include "text.h"

#define KEY_TRIES 1000 /* add: fix, fix-2, fix-3… */

struct submission {
	struct later *later;
	json_t *params;
	bool add;
	bool asked;          /* git was, and said where the user stands */
	char *base, *target; /* answers of git */
	json_t *bases;       /* tasks with one of their own: REV → commit */
	json_t *blocker_ids;
	json_t *result;
	int64_t known;  /* add: it was added before, by the same nonce */
	bool rehearsed; /* dry run: all went well, and all was undone */
};

static void submission_free(struct coordinator *c, struct submission *sub)
{
	turn_forget(c, sub->params);
	json_decref(sub->blocker_ids);
	json_decref(sub->result);
	json_decref(sub->bases);
	free(sub->base);
	free(sub->target);
	free(sub);
}

static int put_plan(struct coordinator *c, const struct submission *sub, const json_t *plan,
                    int64_t *id, struct error *err)
{
	const char *name = json_text(plan, "name");
	_cleanup_json_ json_t *agents = json_object();
	struct plan_row old = {0}, row = {0};
	_cleanup_free_ char *agents_text = NULL, *limits = NULL, *landing = NULL;
	const json_t *lands = json_sub(plan, "landing");
	bool known;

	if (!name || !*name || strlen(name) > 200)
		return error_set(err, ERROR_INVALID, "the plan has no name");
	known = store_plan_find(c->store, name, &old);
	if (known && sub->asked && submit_adhoc_check(&old, sub->target, err) < 0) {
		plan_row_finish(&old);
		return -1;
	}
	if (known && old.agents) {
		json_decref(agents);
		agents = jsonl_parse(old.agents, strlen(old.agents), NULL);
		if (!json_is_object(agents))
			agents = json_object();
	}
	json_object_update(agents, json_sub(plan, "agents"));
	agents_text = jsonl_text(agents);
	limits = json_sub(plan, "limits") ? jsonl_text(json_sub(plan, "limits"))
	                                  : xstrdup(known && old.limits ? old.limits : "{}");
	landing = lands ? jsonl_text(lands) : xstrdup(old.landing);
	row = (struct plan_row){.name = (char *)name,
	                        .source = (char *)json_text(plan, "source"),
	                        .base = sub->base ? sub->base : old.base,
	                        .target = sub->target ? sub->target : old.target,
	                        .agents = agents_text,
	                        .limits = limits,
	                        .landing = landing};
	if (lands && json_flag(lands, "auto"))
		row.lands |= PLAN_LANDS_ALL;
	if (lands && json_text(lands, "resolve"))
		row.lands |= PLAN_LANDS_RESOLVE;
	if (!lands) /* one task more of a plan */
		row.lands = old.lands;
	if (!row.source)
		row.source = old.source;
	/* A task more leaves it as it is: what is known of it stays. */
	*id = known && plan_row_same(&old, &row) ? old.id : store_plan_put(c->store, &row);
	if (!known) {
		json_t *data = json_pack("{s:s, s:s?, s:s?}", "plan", name, "base", row.base,
		                         "target", row.target);

		store_event_add(c->store, "plan.submitted", 0, 0, NULL, data);
		json_decref(data);
	}
	plan_row_finish(&old);
	return 0;
}

static json_t *ids_of(const struct submit *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->graph.n && s->ids; i++)
		json_array_append_new(array, json_integer(s->ids[i]));
	return array;
}

static void results_init(struct submit *s)
{
	s->created = json_array();
	s->updated = json_array();
	s->kept = json_array();
	s->retried = json_array();
	s->removed = json_array();
	s->ended = json_array();
	s->warnings = json_array();
}

static json_t *results_take(struct coordinator *c, struct submit *s)
{
	json_t *ids = ids_of(s);

	free(s->ids);
	submit_graph_finish(&s->graph);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "plan",
	                 json_text(s->plan, "name"), "ids", ids, "created", s->created, "updated",
	                 s->updated, "kept", s->kept, "removed", s->removed, "ended", s->ended,
	                 "retried", s->retried, "warnings", s->warnings, "seq",
	                 (json_int_t)store_event_last(c->store));
}

static int64_t find_key(struct coordinator *c, const json_t *plan, const json_t *task)
{
	const char *name = json_text(plan, "name"), *key = json_text(task, "key");

	return text_is_adhoc(name) ? store_task_find_adhoc(c->store, key)
	                           : store_task_find(c->store, name, key);
}

/* A key made from the prompt's words may be taken: the next free number is appended. */
static void free_key(struct coordinator *c, const json_t *plan)
{
	json_t *tasks = json_object_get(plan, "tasks");
	json_t *task = json_array_get(tasks, 0), *alternative;
	_cleanup_free_ char *stem = xstrndup(json_text(task, "key"), TEXT_KEY_MAX - 5);
	size_t i;

	for (int n = 2; n < KEY_TRIES && find_key(c, plan, task); n++)
		json_object_set_new(task, "key", json_sprintf("%s-%d", stem, n));
	json_array_foreach (tasks, i, alternative) {
		if (!i)
			continue;
		json_object_set_new(alternative, "key",
		                    json_sprintf("%s.%zu", json_text(task, "key"), i));
		json_object_set(alternative, "parent", json_object_get(task, "key"));
	}
}

/* Now, with nobody in between: its plan and its key. */
static int prepare_add(struct coordinator *c, const struct submission *sub, json_t *plan,
                       struct error *err)
{
	const json_t *task = json_array_get(json_object_get(plan, "tasks"), 0);

	if (sub->asked && strcmp(json_text(plan, "name"), TEXT_ADHOC) == 0) {
		_cleanup_free_ char *name = submit_adhoc_plan(c->store, sub->target);

		json_object_set_new(plan, "name", json_text_or_null(name));
	}
	if (json_flag(sub->params, "key_free"))
		free_key(c, plan);
	if (find_key(c, plan, task))
		return error_set(err, ERROR_CONFLICT, "there is a task %s already (--key another)",
		                 json_text(task, "key"));
	return 0;
}

/* Stored it is all the same: it starts when there is room. */
static void warn_of_disk(struct coordinator *c, json_t *result)
{
	_cleanup_free_ char *story = disk_has_room(c) ? NULL : disk_story(c);

	if (story)
		json_array_append_new(json_object_get(result, "warnings"), json_string(story));
}

/* What no file has (conflicts' resolvers, alternatives of try --more) keeps what it was given. */
static int set_environment(struct coordinator *c, const struct submission *sub, const json_t *plan,
                           bool part, struct error *err)
{
	const char *name = json_text(plan, "name");
	const json_t *given = json_sub(sub->params, "secrets");
	_cleanup_json_ json_t *secrets = NULL, *listed = json_object();
	json_t *tasks, *task, *env;
	const char *key;
	size_t i;

	if (part || !json_is_object(given))
		return environment_set_plan(c, name, given, part, err);
	json_array_foreach (json_sub(plan, "tasks"), i, task)
		json_object_set_new(listed, json_text(task, "key"), json_true());
	secrets = json_copy((json_t *)given);
	tasks = json_object();
	json_object_foreach ((json_t *)environment_of_tasks(c, name), key, env)
		if (!json_object_get(listed, key) && store_task_find(c->store, name, key))
			json_object_set(tasks, key, env);
	json_object_update(tasks, json_sub(given, "tasks"));
	json_object_set_new(secrets, "tasks", tasks);
	return environment_set_plan(c, name, secrets, false, err);
}

static int submit_step(struct coordinator *c, void *context, struct error *err)
{
	struct submission *sub = context;
	_cleanup_json_ json_t *plan = json_copy(json_object_get(sub->params, "plan"));
	const json_t *keys = json_object_get(sub->params, "keys");
	struct submit s = {.c = c,
	                   .params = sub->params,
	                   .plan = plan,
	                   .add = sub->add,
	                   .nonce = json_text(sub->params, "nonce")};
	int rc;

	sub->known = sub->add && s.nonce ? store_task_by_nonce(c->store, s.nonce) : 0;
	if (sub->known)
		return 0;
	if (sub->add && prepare_add(c, sub, plan, err) < 0)
		return -1;
	if (submit_keys_check(plan, keys, err) < 0 ||
	    submit_keys_check(plan, json_object_get(sub->params, "redo"), err) < 0)
		return -1;
	if (json_array_size(keys))
		json_object_set_new(plan, "tasks", submit_keys_closure(plan, keys));
	if (put_plan(c, sub, plan, &s.plan_id, err) < 0)
		return -1;
	s.base = sub->base;
	s.bases = sub->bases;
	s.blocker_ids = sub->blocker_ids;
	results_init(&s);
	rc = submit_tasks(&s, err);
	if (rc == 0) {
		landing_scan(c, s.plan_id);
		budget_set_day(c, json_sub(sub->add ? sub->params : plan, "budget_day"));
		budget_raised(c, s.plan_id);
		budget_warn(plan, s.warnings);
	}
	sub->result = results_take(c, &s);
	warn_of_disk(c, sub->result);
	if (rc == 0 && json_flag(sub->params, "dry_run")) {
		sub->rehearsed = true;
		return error_set(err, ERROR_BUSY, "a dry run is undone");
	}
	if (rc == 0)
		rc = set_environment(c, sub, plan, sub->add || json_array_size(keys), err);
	return rc;
}

static void answer(struct coordinator *c, const struct submission *sub)
{
	const json_t *ids = json_object_get(sub->result, "ids");
	int64_t added = sub->known ? sub->known : json_integer_value(json_array_get(ids, 0));

	if (sub->add)
		later_reply_task(c, sub->later, added);
	else
		later_reply(c, sub->later, json_incref(sub->result));
}

static void store_submission(struct coordinator *c, struct submission *sub)
{
	struct error err = ERROR_INIT;

	if (turn_step(c, submit_step, sub, &err) < 0 && !sub->rehearsed)
		later_fail(c, sub->later, &err);
	else
		answer(c, sub);
	submission_free(c, sub);
}

/* Revisions that tasks name as their own base, each once, in the order of the plan. */
static json_t *own_bases(const json_t *plan)
{
	_cleanup_json_ json_t *seen = json_object();
	json_t *revs = json_array(), *task;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *base = json_text(task, "base");

		if (!base || json_object_get(seen, base))
			continue;
		json_object_set_new(seen, base, json_true());
		json_array_append(revs, json_object_get(task, "base"));
	}
	return revs;
}

static int refuse_base(const char *base, const char *place, struct error *err)
{
	return error_set(
	    err, ERROR_INVALID,
	    "%s%sbase: %s is no commit of this repository (a branch, a tag or a commit)",
	    place ? place : "", place ? ": " : "", base);
}

/* The commits of those; the first answer is the plan's own base. */
static int take_bases(struct submission *sub, const json_t *plan, const json_t *commits,
                      struct error *err)
{
	json_t *answer, *task;
	size_t i;

	sub->bases = json_object();
	json_array_foreach (commits, i, answer)
		if (i && json_text(answer, "commit"))
			json_object_set(sub->bases, json_text(answer, "rev"),
			                json_object_get(answer, "commit"));
	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *base = json_text(task, "base");

		if (base && !json_object_get(sub->bases, base))
			return refuse_base(base, json_text(task, "base_at"), err);
	}
	return 0;
}

static bool any_has_slot(const json_t *plan)
{
	json_t *task;
	size_t i;

	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *slot = json_text(json_sub(task, "spec"), "slot");

		if (!slot || strcmp(slot, "none") != 0)
			return true;
	}
	return false;
}

static int take_answer(struct submission *sub, const json_t *result, struct error *err)
{
	const json_t *plan = json_object_get(sub->params, "plan");
	const json_t *commits = json_object_get(result, "commits");
	const json_t *ours = json_array_get(json_object_get(result, "branches"), 0);
	const json_t *branch = json_array_get(json_object_get(result, "branches"), 1);
	const char *base = json_text(plan, "base"), *target = json_text(plan, "target");
	const char *place = json_text(plan, "target_at");

	sub->base = xstrdup(json_text(json_array_get(commits, 0), "commit"));
	sub->target = xstrdup(target ? target : json_text(result, "head_branch"));
	sub->asked = true;
	if (base && !sub->base)
		return refuse_base(base, json_text(plan, "base_at"), err);
	if (target && !json_text(branch, "commit"))
		return error_set(err, ERROR_INVALID,
		                 "%s%starget: %s is no branch of this repository",
		                 place ? place : "", place ? ": " : "", target);
	if (json_text(ours, "commit") && any_has_slot(plan))
		return error_set(err, ERROR_CONFLICT,
		                 "there is a branch pleach, and git has none below it beside it: "
		                 "pleach/PLAN/TASK (git branch -m pleach ANOTHER)");
	return take_bases(sub, plan, commits, err);
}

static void resolved(struct coordinator *c, const json_t *result, const struct error *why,
                     void *context)
{
	struct submission *sub = context;
	struct error err = ERROR_INIT;

	if (result && take_answer(sub, result, &err) == 0) {
		store_submission(c, sub);
		return;
	}
	later_fail(c, sub->later, result ? &err : why);
	submission_free(c, sub);
}

static void ask_base(struct coordinator *c, struct submission *sub)
{
	const json_t *plan = json_object_get(sub->params, "plan");
	const char *target = json_text(plan, "target");
	json_t *revs = own_bases(plan);

	json_array_insert_new(revs, 0, json_text_or_null(json_text(plan, "base")));
	gitq_ask(c, "resolve",
	         json_pack("{s:o, s:[s, s*]}", "revs", revs, "branches", "pleach", target),
	         resolved, sub);
}

static struct submission *submission_new(struct request *r, json_t *params, bool add)
{
	struct submission *sub = xcalloc(1, sizeof *sub);

	sub->params = params;
	sub->add = add;
	sub->later = request_later(r);
	return sub;
}

int method_plan_submit(struct request *r, struct error *err)
{
	const json_t *plan = json_sub(r->params, "plan");

	if (!json_is_object(plan) || !json_is_array(json_object_get(plan, "tasks")))
		return error_set(err, ERROR_INVALID, "plan.submit: no plan");
	ask_base(r->c, submission_new(r, json_incref((json_t *)r->params), false));
	return 0;
}

/* ---- add: a plan of one task (and its alternatives) ---- */

static int find_blockers(struct request *r, json_t **out, struct error *err)
{
	json_t *ids = json_array(), *item;
	size_t i;

	json_array_foreach (json_sub(r->params, "blocked_by"), i, item) {
		const char *ref = json_string_value(item);
		int64_t id;

		if (!ref)
			error_set(err, ERROR_INVALID, "blocked_by: not a name");
		if (!ref || resolve_task(r, ref, &id, err) < 0) {
			json_decref(ids);
			return -1;
		}
		json_array_append_new(ids, json_integer(id));
	}
	*out = ids;
	return 0;
}

/* One task more of a plan that is known, without a slot: git has nothing to say about it. */
static bool needs_no_git(struct coordinator *c, const json_t *params)
{
	const json_t *plan = json_object_get(params, "plan"), *task;
	struct plan_row row = {0};
	bool known;
	size_t i;

	if (json_text(plan, "base") || json_text(plan, "target"))
		return false;
	json_array_foreach (json_sub(plan, "tasks"), i, task) {
		const char *slot = json_text(json_sub(task, "spec"), "slot");

		if (!slot || strcmp(slot, "none") != 0 || json_text(task, "base"))
			return false;
	}
	known = store_plan_find(c->store, json_text(plan, "name"), &row) && row.base;
	plan_row_finish(&row);
	return known;
}

/* In the request's own step: what fails there is answered there. */
static int store_at_once(struct coordinator *c, struct submission *sub, struct error *err)
{
	int rc = submit_step(c, sub, err);

	if (rc < 0)
		later_done(sub->later);
	else
		answer(c, sub);
	submission_free(c, sub);
	return rc;
}

int method_task_add(struct request *r, struct error *err)
{
	const char *name = json_text(r->params, "plan"), *nonce = json_text(r->params, "nonce");
	const json_t *given = json_sub(r->params, "task");
	json_t *tasks, *blockers, *alternative;
	struct submission *sub;
	size_t i;

	if (!json_is_object(given) || !json_text(given, "key"))
		return error_set(err, ERROR_INVALID, "task.add: no task");
	if (find_blockers(r, &blockers, err) < 0)
		return -1;
	tasks = json_pack("[o]", json_deep_copy(given));
	json_array_foreach (json_sub(r->params, "alternatives"), i, alternative)
		json_array_append_new(tasks, json_deep_copy(alternative));
	sub = submission_new(
	    r,
	    json_pack("{s:{s:s, s:O?, s:O?, s:O?, s:o}, s:s?, s:O?, s:b}", "plan", "name",
	              name ? name : TEXT_ADHOC, "base", json_object_get(r->params, "base"),
	              "target", json_object_get(r->params, "target"), "agents",
	              json_sub(r->params, "agents"), "tasks", tasks, "nonce", nonce, "secrets",
	              json_sub(r->params, "secrets"), "key_free", json_flag(r->params, "key_free")),
	    true);
	sub->blocker_ids = blockers;
	if (needs_no_git(r->c, sub->params))
		return store_at_once(r->c, sub, err);
	ask_base(r->c, sub);
	return 0;
}
