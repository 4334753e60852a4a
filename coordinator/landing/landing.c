/* The queue of what waits to land: who gets into it, and what git is told of each. */
#include "landing.h"

#include <stdlib.h>
#include <string.h>

#include "landing_order.h"
#include "log.h"
#include "mem.h"

void landings_init(struct coordinator *c)
{
	c->landings = xcalloc(1, sizeof *c->landings);
	c->landings->refused = true; /* by an earlier process */
	holds_init(c);
	clashes_init(c); /* what will not land beside what: known before it is tried */
}

bool landings_busy(const struct coordinator *c)
{
	return lanes_busy(c);
}

bool landings_are_ready(const struct coordinator *c)
{
	return c->landings->open;
}

json_t *landing_policy(struct coordinator *c, int64_t plan)
{
	struct plan_row row = {0};
	json_t *policy = NULL;

	if (store_plan_get(c->store, plan, &row) && row.landing)
		policy = jsonl_parse(row.landing, strlen(row.landing), NULL);
	plan_row_finish(&row);
	return json_is_object(policy) ? policy : json_object();
}

/* ---- into the queue ---- */

static void kick_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *target = context;
	_cleanup_strv_ char **targets = NULL;

	if (target) {
		lane_look(c, target);
		return;
	}
	targets = store_queue_targets(c->store);
	for (size_t i = 0; targets[i]; i++)
		lane_look(c, targets[i]);
}

void landing_kick(struct coordinator *c, const char *target)
{
	turn_effect(c, kick_effect, NULL, xstrdup(target));
}

/* What is queued and waited for, at any distance, must not come after it. */
static void raise_blockers(struct coordinator *c, int64_t task, int64_t priority)
{
	_cleanup_json_ json_t *raised = json_pack("[I]", (json_int_t)task);

	for (size_t at = 0; at < json_array_size(raised); at++) {
		int64_t id = json_integer_value(json_array_get(raised, at));
		_cleanup_free_ int64_t *blockers = store_task_blockers(c->store, id);

		for (size_t i = 0; blockers[i]; i++) {
			struct queue_row row = {0};

			if (store_queue_get(c->store, blockers[i], &row) &&
			    row.priority < priority) {
				store_queue_raise(c->store, blockers[i], priority);
				json_array_append_new(raised, json_integer(blockers[i]));
			}
			queue_row_finish(&row);
		}
	}
}

void landing_enqueue(struct coordinator *c, const struct task_row *task, const char *target,
                     bool squash)
{
	_cleanup_free_ char *branch = xstrdup(target);
	const struct queue_row row = {
	    .task = task->id, .target = branch, .squash = squash, .priority = task->priority};
	struct queue_row there = {0};
	json_t *data;

	if (store_queue_get(c->store, task->id, &there)) {
		queue_row_finish(&there);
		return;
	}
	store_queue_add(c->store, &row);
	raise_blockers(c, task->id, task->priority);
	/* What was landed before stays so while it is looked at again. */
	if (task->landing != LANDING_LANDED) {
		store_task_set_landing(c->store, task->id, LANDING_QUEUED, NULL);
		data = json_pack("{s:{s:s, s:s}}", "landing", "state", "queued", "target", target);
		store_event_add(c->store, "task.updated", task->id, 0, NULL, data);
		json_decref(data);
	}
	landing_kick(c, target);
}

static void enqueue_order(struct coordinator *c, const struct landing_order *order,
                          const char *target, bool squash)
{
	for (size_t i = 0; i < order->n; i++) {
		_cleanup_task_ struct task_row task = {0};

		if (store_task_get(c->store, order->tasks[i], &task))
			landing_enqueue(c, &task, target, squash);
	}
}

/* What conflicted or failed is not tried again by itself, nor what is built on it: that waits
 * until the other has landed (landing_resolved). */
static void enqueue_with_blockers(struct coordinator *c, int64_t id)
{
	_cleanup_task_ struct task_row row = {0};
	_cleanup_json_ json_t *policy = NULL;
	struct landing_order order = {0};
	struct plan_row plan = {0};
	int64_t stopped;

	if (store_task_get(c->store, id, &row) && row.landing == LANDING_NONE &&
	    store_plan_get(c->store, row.plan, &plan) && plan.target) {
		policy = landing_policy(c, row.plan);
		stopped = landing_order_of(c, id, &order);
		if (stopped)
			landing_record_stopped(c, &row, stopped, plan.target);
		else
			enqueue_order(c, &order, plan.target, json_flag(policy, "squash"));
	}
	landing_order_finish(&order);
	plan_row_finish(&plan);
}

void landing_enqueue_all(struct coordinator *c, const int64_t *tasks)
{
	for (size_t i = 0; tasks[i]; i++)
		enqueue_with_blockers(c, tasks[i]);
}

void landing_scan(struct coordinator *c, int64_t plan)
{
	_cleanup_free_ int64_t *tasks = store_queue_candidates(c->store, plan);

	landing_enqueue_all(c, tasks);
}

static void look_at_refused(struct coordinator *c, int64_t plan)
{
	_cleanup_free_ int64_t *tasks = store_queue_refused(c->store, plan);

	c->landings->refused = false;
	landing_enqueue_all(c, tasks);
}

/* Whatever of its plan was refused before is looked at again, too. */
void landing_completed(struct coordinator *c, const struct task_row *task)
{
	unsigned lands;

	if (c->landings->cancelled && c->draining)
		return; /* down --now */
	lands = task->parent || !task->head ? 0 : store_plan_lands(c->store, task->plan);
	if (lands & PLAN_LANDS_RESOLVE)
		landing_resolver_completed(c, task);
	if (lands & PLAN_LANDS_ALL)
		enqueue_with_blockers(c, task->id);
	if (lands & PLAN_LANDS_ALL && c->landings->refused)
		look_at_refused(c, task->plan);
}

static void forgotten(struct coordinator *c, void *context)
{
	json_t *told = context;

	lane_drop(c, json_int(json_array_get(told, 0), "task", 0));
	landing_tell(c, told);
	json_decref(told);
}

static void not_forgotten(struct coordinator *c, void *context, const struct error *why)
{
	(void)c;
	(void)why;
	json_decref(context);
}

void landing_forget(struct coordinator *c, int64_t task)
{
	_cleanup_task_ struct task_row row = {0};
	struct queue_row queued = {0};

	if (store_queue_get(c->store, task, &queued) && store_task_get(c->store, task, &row)) {
		json_t *entry =
		    json_pack("{s:I, s:s, s:s, s:s}", "task", (json_int_t)task, "key", row.key,
		              "message", "it is being done again: what there was does not land",
		              "code", error_code_word(ERROR_STALE));

		store_queue_remove(c->store, task);
		turn_effect(c, forgotten, not_forgotten,
		            json_pack("[{s:I, s:i, s:o}]", "task", (json_int_t)task, "fate",
		                      (int)FATE_REFUSED, "entry", entry));
	}
	queue_row_finish(&queued);
	store_task_set_landing(c->store, task, LANDING_NONE, NULL);
}

/* ---- what git is told ---- */

/* What is written of the task's landing. New reference; NULL: it has not landed. */
static json_t *landed_detail(const struct task_row *task)
{
	if (task->landing != LANDING_LANDED || !task->landing_detail)
		return NULL;
	return jsonl_parse(task->landing_detail, strlen(task->landing_detail), NULL);
}

/* A blocker that lands, or landed, squashed: its commits are not in the target, only what
 * they made. */
static bool lands_squashed(struct coordinator *c, int64_t id)
{
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *detail = NULL;
	struct queue_row row = {0};
	bool squash = false;

	if (store_queue_get(c->store, id, &row)) {
		squash = row.squash;
		queue_row_finish(&row);
	}
	/* Queued once more it has landed all the same. */
	if (squash || !store_task_get(c->store, id, &task))
		return squash;
	detail = landed_detail(&task);
	return json_flag(detail, "squash");
}

/* The template with its words put in; each word is what it stands for, once. */
static char *expand(const char *template, const json_t *words)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	while (*template) {
		size_t n = strcspn(template, "{"), end;
		_cleanup_free_ char *name = NULL;
		const char *value;

		buf_add(&out, template, n);
		template += n;
		if (!*template)
			break;
		end = strcspn(template, "}");
		name = xstrndup(template + 1, end ? end - 1 : 0);
		value = template[end] ? json_text(words, name) : NULL;
		if (value)
			buf_add_str(&out, value);
		else
			buf_add(&out, template, 1);
		template += value ? end + 1 : 1;
	}
	return buf_take(&out);
}

/* Whatever the plan wants said, which task it was is always to be found. */
static char *message_of(const struct task_row *task, const json_t *text, const json_t *policy)
{
	const char *subject = json_text(text, "subject"), *template = json_text(policy, "message");
	_cleanup_free_ char *trailer = xasprintf("Pleach-Task: %s/%s", task->plan_name, task->key);
	_cleanup_free_ char *branch = task_branch(task->plan_name, task->key), *said = NULL;
	_cleanup_json_ json_t *words = json_pack(
	    "{s:s, s:s, s:s, s:s?, s:s, s:s?, s:o}", "subject", subject ? subject : task->key,
	    "key", task->key, "plan", task->plan_name, "agent", task->agent, "branch", branch,
	    "head", task->head, "prompt", json_text_or_null(json_text(text, "prompt")));

	said = expand(template ? template : "{subject}", words);
	for (size_t n = strlen(said); n && (said[n - 1] == '\n' || said[n - 1] == ' '); n--)
		said[n - 1] = '\0';
	if (strstr(said, trailer))
		return xasprintf("%s\n", said);
	return xasprintf("%s\n\n%s\n", *said ? said : task->key, trailer);
}

/* What has landed there is looked for by that commit: it need not land again. */
static void add_landed(json_t *item, const struct task_row *task, const char *target)
{
	_cleanup_json_ json_t *detail = landed_detail(task);
	const char *there = json_text(detail, "target");

	if (!there || strcmp(there, target) != 0)
		return;
	json_object_set(item, "landed", json_object_get(detail, "commit"));
	json_object_set_new(item, "landed_squashed", json_boolean(json_flag(detail, "squash")));
	json_object_set(item, "landed_head", json_object_get(detail, "head"));
}

const char *landing_step_added(const json_t *step)
{
	const json_t *more = json_sub(step, "more");

	return json_flag(more, "taken") ? json_text(more, "tip") : NULL;
}

const char *landing_step_head(const json_t *step)
{
	const char *added = landing_step_added(step);

	return added ? added : json_text(step, "head");
}

/* The branch that `pleach open` opens: of a choice that of its winner. */
static void add_branch(struct coordinator *c, json_t *item, const struct task_row *task)
{
	_cleanup_free_ char *branch = NULL;
	_cleanup_task_ struct task_row chosen = {0};

	if (task->chosen && !store_task_get(c->store, task->chosen, &chosen))
		return;
	branch = task_branch(task->plan_name, chosen.key ? chosen.key : task->key);
	json_object_set_new(item, "branch", json_string(branch));
}

json_t *landing_item(struct coordinator *c, int64_t id, const char *target, bool squash, bool asked)
{
	_cleanup_free_ int64_t *blockers = store_task_blockers(c->store, id);
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *text = NULL, *policy = NULL, *resolves = NULL;
	_cleanup_free_ char *message = NULL;
	json_t *after = json_array(), *item;
	bool base_landed = false;

	if (!store_task_get(c->store, id, &task) || !task.head) {
		json_decref(after);
		return NULL;
	}
	text = store_task_text(c->store, id);
	policy = landing_policy(c, task.plan);
	message = message_of(&task, text, policy);
	resolves = landing_resolves(text);
	for (size_t i = 0; blockers[i]; i++) {
		json_array_append_new(after, json_integer(blockers[i]));
		base_landed = base_landed || lands_squashed(c, blockers[i]);
	}
	/* What resolves a conflict is both sides already: it can only be merged whole. */
	item = json_pack(
	    "{s:I, s:s, s:s, s:s?, s:b, s:o, s:o, s:b, s:b, s:b, s:O?}", "task", (json_int_t)id,
	    "key", task.key, "head", task.head, "base", task.base, "base_landed",
	    base_landed && !resolves, "after", after, "message", json_text_or_null(message),
	    "squash", squash && !resolves, "commit",
	    json_text(policy, "message") || json_flag(policy, "sign") || json_flag(policy, "hooks"),
	    "resolve", json_text(policy, "resolve") && !resolves, "resolves", resolves);
	add_landed(item, &task, target);
	if (asked)
		add_branch(c, item, &task);
	return item;
}

json_t *landing_weave_request(struct coordinator *c, const char *target, json_t *items,
                              int64_t plan)
{
	_cleanup_json_ json_t *policy = landing_policy(c, plan);
	struct plan_row row = {0};
	json_t *request;

	store_plan_get(c->store, plan, &row);
	request = json_pack("{s:s, s:o, s:o, s:b, s:o}", "target", target, "items", items, "landed",
	                    store_landed_on(c->store, target, LANDING_NAMED), "sign",
	                    json_flag(policy, "sign"), "env",
	                    environment_for(c, row.name ? row.name : "", ""));
	plan_row_finish(&row);
	return request;
}

static bool waits_for_person(struct coordinator *c, int64_t task)
{
	struct queue_row row = {0};
	bool waits = c->landings->holds && store_queue_get(c->store, task, &row) &&
	             hold_wants_person(c, row.target);

	queue_row_finish(&row);
	return waits;
}

bool landing_is_under_way(struct coordinator *c, const struct task_row *task)
{
	_cleanup_task_ struct task_row resolver = {0};
	_cleanup_json_ json_t *detail = NULL;

	if (task->landing == LANDING_QUEUED)
		return !waits_for_person(c, task->id);
	if (task->landing != LANDING_CONFLICT || !task->landing_detail)
		return false;
	detail = jsonl_parse(task->landing_detail, strlen(task->landing_detail), NULL);
	return store_task_get(c->store, json_int(detail, "resolve", 0), &resolver) &&
	       (resolver.status == TASK_PENDING || resolver.status == TASK_IN_PROGRESS ||
	        resolver.landing == LANDING_QUEUED);
}

/* ---- what people see ---- */

json_t *landings_json(struct coordinator *c)
{
	json_t *list = store_queue_json(c->store), *item;
	size_t i;

	json_array_foreach (list, i, item)
		json_object_set_new(item, "state",
		                    json_string(lane_state_of(c, json_int(item, "task", 0))));
	return list;
}

void landings_end(struct coordinator *c)
{
	_cleanup_strv_ char **targets = store_queue_targets(c->store);
	_cleanup_json_ json_t *told = json_array();
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_BUSY, "pleach was told to end (down --now): it has not landed");
	for (size_t i = 0; targets[i]; i++)
		landing_record_end(c, targets[i], &why, false, told);
	c->landings->cancelled = true;
	lanes_end(c);
	landing_tell(c, told);
}

void landings_stop(struct coordinator *c)
{
	lanes_end(c);
}
