/* Weaving: prepare (merge and prove, nothing moves) → a row that says what will move → move
 * the target by compare-and-swap → the row is closed. One landing at a time. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "landing_order.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define MOVED_TRIES 10 /* how often a target that moved meanwhile is tried again */

struct landing {
	struct later *later;
	struct landing_order order;
	char *target;
	bool squash, dry_run;
	json_t *prepared; /* what pleach-git prepare said */
	int64_t row;      /* the open landing */
	int tries;
	struct landing *next;
};

struct landings {
	struct landing *first, **last;
	bool running;
	bool ready; /* what an earlier process of ours left under way is settled */
};

void landings_init(struct coordinator *c)
{
	c->landings = xcalloc(1, sizeof *c->landings);
	c->landings->last = &c->landings->first;
}

bool landings_busy(const struct coordinator *c)
{
	return c->landings->first != NULL;
}

bool landings_are_ready(const struct coordinator *c)
{
	return c->landings->ready;
}

static void landing_start(struct coordinator *c);

/* The one that runs is the first of the queue. */
static void landing_end(struct coordinator *c, json_t *result, const struct error *err)
{
	struct landings *q = c->landings;
	struct landing *landing = q->first;

	if (err)
		later_fail(c, landing->later, err);
	else
		later_reply(c, landing->later, result);
	q->first = landing->next;
	if (!q->first)
		q->last = &q->first;
	q->running = false;
	landing_order_finish(&landing->order);
	free(landing->target);
	json_decref(landing->prepared);
	free(landing);
	landing_start(c);
}

/* A blocker that landed squashed: its commits are not in the target, only what they made. */
static bool landed_squashed(struct coordinator *c, int64_t id)
{
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *detail = NULL;

	if (!store_task_get(c->store, id, &task) || task.landing != LANDING_LANDED ||
	    !task.landing_detail)
		return false;
	detail = jsonl_parse(task.landing_detail, strlen(task.landing_detail), NULL);
	return json_flag(detail, "squash");
}

static json_t *item_json(struct coordinator *c, int64_t id)
{
	_cleanup_free_ int64_t *blockers = store_task_blockers(c->store, id);
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *text = NULL;
	json_t *after = json_array(), *spec;
	bool base_landed = false;
	const char *subject;

	if (!store_task_get(c->store, id, &task))
		return NULL;
	text = store_task_text(c->store, id);
	spec = json_object_get(text, "spec");
	subject = json_text(text, "subject");
	for (size_t i = 0; blockers[i]; i++) {
		json_array_append_new(after, json_integer(blockers[i]));
		base_landed = base_landed || landed_squashed(c, blockers[i]);
	}
	return json_pack(
	    "{s:I, s:s, s:s, s:s?, s:s?, s:b, s:o, s:o, s:O?, s:O?, s:O?, s:O?}", "task",
	    (json_int_t)id, "key", task.key, "head", task.head, "base", task.base, "verified_tree",
	    task.tree, "base_landed", base_landed, "after", after, "message",
	    json_sprintf("%s\n\nPleach-Task: %s/%s\n", subject ? subject : task.key, task.plan_name,
	                 task.key),
	    "verify", json_object_get(spec, "verify"), "setup", json_object_get(spec, "setup"),
	    "copy", json_object_get(spec, "copy"), "link", json_object_get(spec, "link"));
}

static json_t *merged_keys(const json_t *prepared)
{
	json_t *keys = json_array(), *item;
	size_t i;

	json_array_foreach (json_object_get(prepared, "merged"), i, item)
		json_array_append(keys, json_object_get(item, "key"));
	return keys;
}

static json_t *result_json(const struct landing *landing)
{
	const json_t *p = landing->prepared;

	return json_pack("{s:s, s:O?, s:O?, s:o, s:O?, s:O?, s:O?, s:b}", "target", landing->target,
	                 "before", json_object_get(p, "before"), "after",
	                 json_object_get(p, "after"), "merged", merged_keys(p), "conflicts",
	                 json_object_get(p, "conflicts"), "verify_failed",
	                 json_object_get(p, "verify_failed"), "verify",
	                 json_object_get(p, "verify"), "dry_run", landing->dry_run);
}

/* Conflicts and failed proofs are facts about tasks: stored, with their files. */
static void record_refusals(struct coordinator *c, const json_t *prepared)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(prepared, "conflicts"), i, item) {
		_cleanup_free_ char *detail = jsonl_text(item);
		json_t *data = json_pack("{s:{s:s, s:O?}}", "landing", "state", "conflict", "paths",
		                         json_object_get(item, "paths"));

		store_task_set_landing(c->store, json_int(item, "task", 0), LANDING_CONFLICT,
		                       detail);
		store_event_add(c->store, "task.updated", json_int(item, "task", 0), 0, NULL, data);
		json_decref(data);
	}
	json_array_foreach (json_object_get(prepared, "verify_failed"), i, item) {
		_cleanup_free_ char *detail = jsonl_text(item);
		json_t *data = json_pack("{s:{s:s}}", "landing", "state", "verify_failed");

		store_task_set_landing(c->store, json_int(item, "task", 0), LANDING_VERIFY_FAILED,
		                       detail);
		store_event_add(c->store, "task.updated", json_int(item, "task", 0), 0, NULL, data);
		json_decref(data);
	}
}

static void record_landed(struct coordinator *c, const struct landing *landing)
{
	const char *before = json_text(landing->prepared, "before");
	const char *after = json_text(landing->prepared, "after");
	const json_t *merged = json_object_get(landing->prepared, "merged");
	json_t *item, *data;
	char at[32];
	size_t i;

	text_format_time(time_now_ms(), at);
	json_array_foreach (merged, i, item) {
		json_t *detail =
		    json_pack("{s:O?, s:s, s:b}", "commit", json_object_get(item, "commit"), "at",
		              at, "squash", landing->squash);
		_cleanup_free_ char *text = jsonl_text(detail);

		store_task_set_landing(c->store, json_int(item, "task", 0), LANDING_LANDED, text);
		data = json_pack("{s:{s:s, s:O?}}", "landing", "state", "landed", "commit",
		                 json_object_get(item, "commit"));
		store_event_add(c->store, "task.updated", json_int(item, "task", 0), 0, NULL, data);
		json_decref(data);
		json_decref(detail);
	}
	data = json_pack("{s:s, s:s, s:s}", "target", landing->target, "before", before, "after",
	                 after);
	store_event_add(c->store, "target.moved", 0, 0, NULL, data);
	json_decref(data);
}

static int close_step(struct coordinator *c, void *context, struct error *err)
{
	const struct landing *landing = context;
	(void)err;
	record_landed(c, landing);
	store_landing_close(c->store, landing->row, true);
	return 0;
}

static int give_up_step(struct coordinator *c, void *context, struct error *err)
{
	const struct landing *landing = context;

	(void)err;
	store_landing_close(c->store, landing->row, false);
	return 0;
}

static void landing_prepare(struct coordinator *c);

static void moved(struct coordinator *c, const json_t *result, const struct error *why,
                  void *context)
{
	struct landing *landing = c->landings->first;
	struct error err = ERROR_INIT;
	bool again = why && why->code == ERROR_CONFLICT && ++landing->tries < MOVED_TRIES;

	(void)context;
	if (why == &gitq_undone)
		return; /* whoever opened the step ends the landing */
	if (turn_step(c, result ? close_step : give_up_step, landing, &err) < 0) {
		/* The target has moved but nobody wrote it down: recovery will, from the row. */
		landing_end(c, NULL, &err);
	} else if (again) {
		log_info("landing", "%s moved meanwhile: again", landing->target);
		landing_prepare(c);
	} else if (why) {
		landing_end(c, NULL, why);
	} else {
		landing_end(c, result_json(landing), NULL);
	}
}

static int row_step(struct coordinator *c, void *context, struct error *err)
{
	struct landing *landing = context;
	const json_t *p = landing->prepared;
	_cleanup_free_ char *tasks = jsonl_text(json_object_get(p, "merged"));
	const struct landing_row row = {.target = landing->target,
	                                .before = (char *)json_text(p, "before"),
	                                .after = (char *)json_text(p, "after"),
	                                .tasks = tasks};

	(void)err;
	landing->row = store_landing_open(c->store, &row);
	gitq_ask(c, "move",
	         json_pack("{s:s, s:s, s:s}", "target", landing->target, "before", row.before,
	                   "after", row.after),
	         moved, NULL);
	return 0;
}

static int refuse_step(struct coordinator *c, void *context, struct error *err)
{
	const struct landing *landing = context;

	(void)err;
	record_refusals(c, landing->prepared);
	return 0;
}

/* Nothing to move, but what is contained already has landed. */
static int contained_step(struct coordinator *c, void *context, struct error *err)
{
	const struct landing *landing = context;
	(void)err;
	record_landed(c, landing);
	return 0;
}

static void prepared(struct coordinator *c, const json_t *result, const struct error *why,
                     void *context)
{
	struct landing *landing = c->landings->first;
	const char *before = json_text(result, "before"), *after = json_text(result, "after");
	struct error err = ERROR_INIT;
	bool moves = before && after && strcmp(before, after) != 0;

	(void)context;
	if (why == &gitq_undone)
		return;
	if (!result) {
		landing_end(c, NULL, why);
		return;
	}
	json_decref(landing->prepared);
	landing->prepared = json_incref((json_t *)result);
	if (landing->dry_run) {
		landing_end(c, result_json(landing), NULL);
		return;
	}
	if (turn_step(c, refuse_step, landing, &err) < 0)
		landing_end(c, NULL, &err);
	else if (moves && turn_step(c, row_step, landing, &err) < 0)
		landing_end(c, NULL, &err);
	else if (!moves && json_array_size(json_object_get(result, "merged")) &&
	         turn_step(c, contained_step, landing, &err) < 0)
		landing_end(c, NULL, &err);
	else if (!moves)
		landing_end(c, result_json(landing), NULL);
}

static void landing_prepare(struct coordinator *c)
{
	struct landing *landing = c->landings->first;
	_cleanup_free_ char *slots = team_slots_dir(c);
	json_t *items = json_array();

	landing->row = 0;
	for (size_t i = 0; i < landing->order.n; i++)
		json_array_append_new(items, item_json(c, landing->order.tasks[i]));
	gitq_ask(c, "prepare",
	         json_pack("{s:s, s:o, s:b, s:b, s:o, s:o, s:o}", "target", landing->target,
	                   "items", items, "squash", landing->squash, "dry_run", landing->dry_run,
	                   "slot", json_sprintf("%s/integration", slots), "env",
	                   environment_for(c, landing->order.plan, ""), "log",
	                   json_sprintf("%s/landing.log", c->place.state_dir)),
	         prepared, NULL);
}

static void landing_start(struct coordinator *c)
{
	struct landings *q = c->landings;

	if (q->running || !q->ready || !q->first)
		return;
	q->running = true;
	landing_prepare(c);
}

void landings_ready(struct coordinator *c)
{
	c->landings->ready = true;
	landing_start(c);
	judges_resume(c);
}

static void queue_effect(struct coordinator *c, void *context)
{
	struct landing *landing = context;

	*c->landings->last = landing;
	c->landings->last = &landing->next;
	landing_start(c);
}

int method_task_merge(struct request *r, struct error *err)
{
	const char *into = json_text(r->params, "into");
	struct landing_order order;
	struct landing *landing;

	if (landing_order_make(r, json_sub(r->params, "tasks"), json_flag(r->params, "all"),
	                       into != NULL, &order, err) < 0)
		return -1;
	if (!into && !order.target && order.n) {
		landing_order_finish(&order);
		return error_set(err, ERROR_INVALID,
		                 "no target: HEAD was detached (--into BRANCH)");
	}
	if (!order.n) {
		landing_order_finish(&order);
		request_reply(r, json_pack("{s:s?, s:n, s:n, s:[], s:[], s:n}", "target", into,
		                           "before", "after", "merged", "conflicts", "verify"));
		return 0;
	}
	landing = xcalloc(1, sizeof *landing);
	landing->order = order;
	landing->target = xstrdup(into ? into : order.target);
	landing->squash = json_flag(r->params, "squash");
	landing->dry_run = json_flag(r->params, "dry_run");
	landing->later = request_later(r);
	turn_effect(r->c, queue_effect, NULL, landing);
	return 0;
}
