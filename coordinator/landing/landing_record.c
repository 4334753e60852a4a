/* What is written of a task that has landed, or cannot. In a step; who asked for it is told
 * after the step, from what is noted here. */
#include <stdlib.h>
#include <string.h>

#include "landing.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define LAST_LINE_COLUMNS 200

/* Takes entry. */
static void note(json_t *told, int64_t task, enum landing_fate fate, json_t *entry)
{
	json_array_append_new(told, json_pack("{s:I, s:i, s:o}", "task", (json_int_t)task, "fate",
	                                      (int)fate, "entry", entry));
}

/* Takes detail. What people see of it is in the event. */
static void set_landing(struct coordinator *c, int64_t task, enum landing_state state,
                        json_t *detail)
{
	static const char *const seen[] = {"commit", "paths",   "with",    "target",
	                                   "verify", "resolve", "message", "after"};
	_cleanup_free_ char *text = jsonl_text(detail);
	json_t *landing = json_pack("{s:s}", "state", landing_state_word(state));
	json_t *data = json_pack("{s:o}", "landing", landing);

	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		if (json_object_get(detail, seen[i]))
			json_object_set(landing, seen[i], json_object_get(detail, seen[i]));
	store_task_set_landing(c->store, task, state, text);
	store_event_add(c->store, "task.updated", task, 0, NULL, data);
	json_decref(data);
	json_decref(detail);
}

static json_t *now_json(void)
{
	char at[32];

	text_format_time(time_now_ms(), at);
	return json_string(at);
}

/* ---- landed ---- */

/* Redone meanwhile, it is other work that has not landed. */
static bool is_still(const struct task_row *task, const json_t *step)
{
	const char *head = json_text(step, "head");

	return task->status == TASK_COMPLETED && task->head && head &&
	       strcmp(task->head, head) == 0;
}

void landing_record_landed(struct coordinator *c, const char *target, const json_t *steps,
                           const json_t *verify, json_t *told)
{
	const json_t *first = json_array_get(steps, 0);
	const char *after = NULL, *kind = json_text(first, "kind");
	json_t *keys = json_array(), *step, *data;
	size_t i;

	json_array_foreach (steps, i, step) {
		int64_t id = json_int(step, "task", 0);
		_cleanup_task_ struct task_row task = {0};

		after = json_text(step, "commit");
		json_array_append(keys, json_object_get(step, "key"));
		store_queue_remove(c->store, id);
		note(told, id, FATE_LANDED, json_incref(step));
		if (!store_task_get(c->store, id, &task) || !is_still(&task, step))
			continue;
		if (json_flag(step, "already"))
			continue; /* as it is written down */
		set_landing(c, id, LANDING_LANDED,
		            json_pack("{s:s?, s:o, s:b, s:s, s:O?, s:s*}", "commit", after, "at",
		                      now_json(), "squash", json_flag(step, "squash"), "target",
		                      target, "verify", verify, "head", landing_step_added(step)));
		landing_resolved(c, id, target, after, told);
	}
	if (!kind || strcmp(kind, "contained") != 0) {
		data = json_pack("{s:s, s:O?, s:s?, s:O}", "target", target, "before",
		                 json_object_get(first, "before"), "after", after, "tasks", keys);
		store_event_add(c->store, "target.moved", 0, 0, NULL, data);
		log_info("landing", "target=%s at %.12s", target, after ? after : "?");
		json_decref(data);
	}
	json_decref(keys);
}

/* ---- what it is in conflict with has left the target ---- */

/* The keys that are not among the others. New reference. */
static json_t *keys_without(const json_t *keys, const json_t *others)
{
	json_t *left = json_array(), *key, *other;
	size_t i, j;

	json_array_foreach (keys, i, key) {
		bool found = false;

		json_array_foreach (others, j, other)
			found = found || json_equal(key, other);
		if (!found)
			json_array_append(left, key);
	}
	return left;
}

void landing_record_unclashed(struct coordinator *c, const char *target, const json_t *undone)
{
	_cleanup_free_ int64_t *tasks = store_tasks_conflicting(c->store, target);

	for (size_t i = 0; tasks[i]; i++) {
		_cleanup_task_ struct task_row task = {0};
		_cleanup_json_ json_t *detail = NULL, *left = NULL;

		if (!store_task_get(c->store, tasks[i], &task) || !task.landing_detail)
			continue;
		detail = jsonl_parse(task.landing_detail, strlen(task.landing_detail), NULL);
		left = keys_without(json_sub(detail, "with"), undone);
		/* What is made to resolve it stands on both sides. */
		if (json_int(detail, "resolve", 0) ||
		    json_array_size(left) == json_array_size(json_sub(detail, "with")))
			continue;
		json_object_set(detail, "with", left);
		/* Nor does it land by itself now: somebody undid what did. */
		if (json_array_size(left))
			set_landing(c, tasks[i], LANDING_CONFLICT, json_incref(detail));
		else
			set_landing(c, tasks[i], LANDING_NONE, json_pack("{s:b}", "undone", 1));
	}
}

/* ---- not landed ---- */

static void set_stopped(struct coordinator *c, int64_t task, const char *key, const char *target,
                        json_t *told)
{
	json_t *entry = json_pack("{s:[s], s:s}", "after", key, "target", target);
	_cleanup_task_ struct task_row row = {0};

	store_queue_remove(c->store, task);
	if (!store_task_get(c->store, task, &row)) {
		json_decref(entry);
		return;
	}
	set_landing(c, task, LANDING_NONE, json_copy(entry));
	json_object_set_new(entry, "key", json_string(row.key));
	json_object_set_new(entry, "task", json_integer(task));
	note(told, task, FATE_STOPPED, entry);
}

void landing_record_stopped(struct coordinator *c, const struct task_row *task, int64_t by,
                            const char *target)
{
	_cleanup_task_ struct task_row blocker = {0};
	_cleanup_json_ json_t *detail = NULL;

	if (task->landing_detail)
		detail = jsonl_parse(task->landing_detail, strlen(task->landing_detail), NULL);
	if (json_sub(detail, "after") || !store_task_get(c->store, by, &blocker))
		return; /* known */
	set_landing(c, task->id, LANDING_NONE,
	            json_pack("{s:[s], s:s}", "after", blocker.key, "target", target));
}

/* What is queued and waits for the task, at any distance, cannot land without it. */
static void stop_behind(struct coordinator *c, int64_t task, const char *target, json_t *told)
{
	_cleanup_json_ json_t *stopped = json_pack("[I]", (json_int_t)task);

	for (size_t at = 0; at < json_array_size(stopped); at++) {
		int64_t id = json_integer_value(json_array_get(stopped, at));
		_cleanup_free_ int64_t *blocks = store_task_blocks(c->store, id);
		_cleanup_task_ struct task_row row = {0};

		store_task_get(c->store, id, &row);
		for (size_t i = 0; blocks[i]; i++) {
			struct queue_row queued = {0};

			if (!store_queue_get(c->store, blocks[i], &queued))
				continue;
			if (strcmp(queued.target, target) == 0) {
				set_stopped(c, blocks[i], row.key, target, told);
				json_array_append_new(stopped, json_integer(blocks[i]));
			}
			queue_row_finish(&queued);
		}
	}
}

static enum landing_state state_of(enum landing_fate fate)
{
	if (fate == FATE_CONFLICT)
		return LANDING_CONFLICT;
	return fate == FATE_VERIFY_FAILED ? LANDING_VERIFY_FAILED : LANDING_NONE;
}

/* What its verify said last, as the message. */
static void set_last_line(json_t *detail, const char *tail)
{
	size_t end = tail ? strlen(tail) : 0, begin;
	_cleanup_free_ char *line = NULL, *shown = NULL;

	while (end && strchr(" \t\r\n", tail[end - 1]))
		end--;
	for (begin = end; begin && tail[begin - 1] != '\n'; begin--)
		;
	if (begin == end)
		return;
	line = xstrndup(tail + begin, end - begin);
	shown = text_safe(line, LAST_LINE_COLUMNS);
	json_object_set_new(detail, "message", json_string(shown));
}

void landing_record_aside(struct coordinator *c, const char *target, const json_t *step,
                          enum landing_fate fate, json_t *told)
{
	int64_t id = json_int(step, "task", 0), resolver = 0;
	_cleanup_task_ struct task_row task = {0};
	struct queue_row queued = {0};
	json_t *entry, *detail;

	/* Gone from the queue already: with one that it waits for. */
	if (!store_queue_get(c->store, id, &queued) || !store_task_get(c->store, id, &task)) {
		queue_row_finish(&queued);
		return;
	}
	queue_row_finish(&queued);
	entry = json_copy((json_t *)step);
	store_queue_remove(c->store, id);
	c->landings->refused = c->landings->refused || fate == FATE_REFUSED;
	if (fate == FATE_CONFLICT && is_still(&task, step))
		resolver = landing_resolve(c, &task, target, step);
	if (resolver)
		json_object_set_new(entry, "resolve", json_integer(resolver));
	detail = json_copy(entry);
	json_object_set_new(detail, "target", json_string(target));
	if (fate == FATE_VERIFY_FAILED)
		set_last_line(detail, json_text(step, "tail"));
	json_object_del(detail, "marked");
	json_object_del(detail, "text");
	if (is_still(&task, step))
		set_landing(c, id, state_of(fate), detail);
	else
		json_decref(detail);
	log_info("landing", "target=%s task=%lld %s", target, (long long)id,
	         fate == FATE_CONFLICT        ? "conflicts"
	         : fate == FATE_VERIFY_FAILED ? "verify failed"
	                                      : "does not land");
	note(told, id, fate, entry);
	stop_behind(c, id, target, told);
	if (fate == FATE_CONFLICT || fate == FATE_VERIFY_FAILED)
		landing_resolve_again(c, &task, target);
}

/* Nobody has to ask for it: merge: auto, a conflict's resolver; or nobody waits who could. */
static bool lands_by_itself(struct coordinator *c, const struct task_row *task, const char *target)
{
	struct plan_row plan = {0};
	bool by_itself = !landing_is_asked(c, task->id) || landing_resolved_task(c, task->id);

	if (!by_itself && store_plan_get(c->store, task->plan, &plan))
		by_itself = store_plan_lands(c->store, task->plan) & PLAN_LANDS_ALL &&
		            plan.target && strcmp(plan.target, target) == 0;
	plan_row_finish(&plan);
	return by_itself;
}

void landing_record_end(struct coordinator *c, const char *target, const struct error *why,
                        bool keep, json_t *told)
{
	_cleanup_free_ int64_t *tasks = store_queue_tasks(c->store, target, -1);

	for (size_t i = 0; tasks[i]; i++) {
		_cleanup_task_ struct task_row task = {0};
		bool stays, there = store_task_get(c->store, tasks[i], &task);
		json_t *entry;

		stays = keep && there && lands_by_itself(c, &task, target);
		c->landings->refused = true;
		if (!stays)
			store_queue_remove(c->store, tasks[i]);
		if (!there)
			continue;
		entry = json_pack("{s:I, s:s, s:o, s:s}", "task", (json_int_t)task.id, "key",
		                  task.key, "message", json_text_or_null(why->text), "code",
		                  error_code_word(why->code));
		if (task.landing == LANDING_QUEUED && stays) {
			_cleanup_json_ json_t *detail =
			    json_pack("{s:O, s:s}", "message", json_object_get(entry, "message"),
			              "target", target);
			_cleanup_free_ char *text = jsonl_text(detail);

			store_task_set_landing(c->store, task.id, LANDING_QUEUED, text);
		} else if (task.landing == LANDING_QUEUED)
			set_landing(c, task.id, LANDING_NONE,
			            json_pack("{s:O, s:s}", "message",
			                      json_object_get(entry, "message"), "target", target));
		note(told, task.id, FATE_REFUSED, entry);
	}
}
