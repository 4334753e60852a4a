/* Who is about to conflict with whom: the works under way, compared by a `pleach-git clash`
 * child when somebody asks, and by itself some time after something has changed. Advice: told
 * to the teammates, weighed by the scheduler, and never a reason to stop anybody. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define CLASHES_EVERY_MS 30000 /* from a change to the comparison; one a time, whatever changes */
#define CLASHES_READY    16    /* ready tasks with work of an earlier attempt that are looked at */

struct asker {
	struct later *later;
	struct asker *next;
};

struct clashes {
	uv_timer_t timer;
	bool asking;
	json_t *tasks; /* id → {"task","key","teammate"|null}, of the comparison under way */
	json_t *pairs; /* of the last one, as git told them */
	json_t *told;  /* "a:b:paths" → true: pairs that teammates know of */
	struct asker *askers;
};

static void compare(struct coordinator *c);

static void on_timer(uv_timer_t *timer)
{
	compare(timer->data);
}

void clashes_init(struct coordinator *c)
{
	c->clashes = xcalloc(1, sizeof *c->clashes);
	c->clashes->pairs = json_array();
	c->clashes->told = json_object();
	uv_timer_init(&c->loop, &c->clashes->timer);
	c->clashes->timer.data = c;
	uv_unref((uv_handle_t *)&c->clashes->timer);
}

static size_t works_under_way(const struct coordinator *c)
{
	size_t n = 0;

	for (const struct teammate *t = c->team.first; t; t = t->next)
		n += t->attempt != 0;
	return n;
}

void clashes_changed(struct coordinator *c)
{
	uv_handle_t *timer = (uv_handle_t *)&c->clashes->timer;

	if (works_under_way(c) > 1 && !uv_is_active(timer) && !c->clashes->asking && !c->ending)
		uv_timer_start(&c->clashes->timer, on_timer, CLASHES_EVERY_MS, 0);
}

/* ---- what is compared ---- */

static void name_task(struct clashes *clashes, const struct task_row *task, const char *teammate)
{
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)task->id);
	json_object_set_new(clashes->tasks, id,
	                    json_pack("{s:I, s:s, s:s?}", "task", (json_int_t)task->id, "key",
	                              task->key, "teammate", teammate));
}

static const json_t *named(const struct clashes *clashes, int64_t task)
{
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)task);
	return json_object_get(clashes->tasks, id);
}

static void add_running(struct coordinator *c, json_t *items, char **target)
{
	for (struct teammate *t = c->team.first; t; t = t->next) {
		_cleanup_attempt_ struct attempt_row attempt = {0};
		_cleanup_task_ struct task_row task = {0};
		struct plan_row plan = {0};

		if (!t->attempt || !store_attempt_get(c->store, t->attempt, &attempt) ||
		    !attempt.slot || !attempt.base || attempt.outcome != OUTCOME_NONE ||
		    !store_task_get(c->store, attempt.task, &task))
			continue;
		json_array_append_new(items,
		                      json_pack("{s:I, s:I, s:s, s:s}", "task", (json_int_t)task.id,
		                                "group", (json_int_t)task.parent, "dir",
		                                attempt.slot, "base", attempt.base));
		name_task(c->clashes, &task, t->name);
		if (!*target && store_plan_get(c->store, task.plan, &plan))
			*target = xstrdup(plan.target);
		plan_row_finish(&plan);
	}
}

/* Of a task that is tried again, what the last attempt made says where it will go. */
static void add_ready(struct coordinator *c, json_t *items)
{
	struct ready_row *rows;
	size_t n = store_tasks_ready(c->store, CLASHES_READY, &rows);

	for (size_t i = 0; i < n; i++) {
		_cleanup_task_ struct task_row task = {0};

		if (!store_task_get(c->store, rows[i].id, &task) || !task.head || !task.base)
			continue;
		json_array_append_new(items,
		                      json_pack("{s:I, s:I, s:s, s:s}", "task", (json_int_t)task.id,
		                                "group", (json_int_t)task.parent, "head", task.head,
		                                "base", task.base));
		name_task(c->clashes, &task, NULL);
	}
	ready_rows_free(rows, n);
}

/* ---- what comes of it ---- */

static void notify(struct coordinator *c, const json_t *me, const json_t *other,
                   const json_t *paths)
{
	const char *name = json_text(me, "teammate"), *them = json_text(other, "teammate");
	struct teammate *t = name ? team_find(c, name) : NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	json_t *path;
	size_t i;

	if (!t || t->task != json_int(me, "task", 0))
		return;
	buf_printf(&text, "pleach: your work conflicts with that of %s on task %s in",
	           them ? them : "an earlier attempt", json_text(other, "key"));
	json_array_foreach (paths, i, path)
		buf_printf(&text, "%s %s", i ? "," : "", json_string_value(path));
	buf_add_str(&text, ". Keep your change there small, or agree on it; `pleach status "
	                   "--conflicts` shows how it stands.");
	teammate_notify(t, "attempt.message",
	                json_pack("{s:I, s:I, s:o}", "attempt", (json_int_t)t->attempt, "id",
	                          (json_int_t)0, "text", json_text_or_null(text.data)));
}

static json_t *pair_json(const struct clashes *clashes, const json_t *pair)
{
	return json_pack("{s:O?, s:O?, s:O?}", "a", named(clashes, json_int(pair, "a", 0)), "b",
	                 named(clashes, json_int(pair, "b", 0)), "paths",
	                 json_object_get(pair, "paths"));
}

static json_t *pairs_json(const struct clashes *clashes, const json_t *pairs)
{
	json_t *list = json_array(), *pair;
	size_t i;

	json_array_foreach (pairs, i, pair)
		json_array_append_new(list, pair_json(clashes, pair));
	return list;
}

static json_t *target_json(const struct clashes *clashes, const json_t *items)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach (items, i, item) {
		json_t *entry = json_copy((json_t *)named(clashes, json_int(item, "task", 0)));

		json_object_set(entry, "paths", json_object_get(item, "paths"));
		json_array_append_new(list, entry);
	}
	return list;
}

/* Pairs that were not known before: an event for both tasks, in a step. */
static int note_step(struct coordinator *c, void *context, struct error *err)
{
	const json_t *fresh = context;
	json_t *pair;
	size_t i;

	(void)err;
	json_array_foreach (fresh, i, pair) {
		json_t *sides[] = {json_object_get(pair, "a"), json_object_get(pair, "b")};

		for (size_t side = 0; side < 2; side++) {
			json_t *data = json_pack("{s:O, s:O}", "with", sides[!side], "paths",
			                         json_object_get(pair, "paths"));

			store_event_add(c->store, "task.clash", json_int(sides[side], "task", 0), 0,
			                json_text(sides[side], "teammate"), data);
			json_decref(data);
		}
	}
	return 0;
}

static void tell_fresh(struct coordinator *c, const json_t *pairs)
{
	struct clashes *clashes = c->clashes;
	_cleanup_json_ json_t *fresh = json_array();
	json_t *told = json_object(), *pair;
	struct error err = ERROR_INIT;
	size_t i;

	json_array_foreach (pairs, i, pair) {
		_cleanup_free_ char *key = jsonl_text(pair);

		if (!json_object_get(clashes->told, key))
			json_array_append_new(fresh, pair_json(clashes, pair));
		json_object_set_new(told, key, json_true());
	}
	json_decref(clashes->told);
	clashes->told = told;
	if (!json_array_size(fresh))
		return;
	if (turn_step(c, note_step, fresh, &err) < 0)
		log_error("clashes", "%s", err.text);
	json_array_foreach (fresh, i, pair) {
		notify(c, json_object_get(pair, "a"), json_object_get(pair, "b"),
		       json_object_get(pair, "paths"));
		notify(c, json_object_get(pair, "b"), json_object_get(pair, "a"),
		       json_object_get(pair, "paths"));
	}
}

static void answer_all(struct coordinator *c, const json_t *result, const struct error *why)
{
	struct clashes *clashes = c->clashes;

	while (clashes->askers) {
		struct asker *asker = clashes->askers;

		clashes->askers = asker->next;
		if (result)
			later_reply(
			    c, asker->later,
			    json_pack("{s:o, s:o}", "pairs",
			              pairs_json(clashes, json_object_get(result, "pairs")),
			              "target",
			              target_json(clashes, json_object_get(result, "target"))));
		else
			later_fail(c, asker->later, why);
		free(asker);
	}
}

static void compared(struct coordinator *c, const json_t *result, const struct error *why,
                     void *context)
{
	struct clashes *clashes = c->clashes;

	(void)context;
	clashes->asking = false;
	if (result) {
		json_decref(clashes->pairs);
		clashes->pairs = json_incref(json_object_get(result, "pairs"));
		tell_fresh(c, clashes->pairs);
	} else if (why != &gitq_undone) {
		log_warn("clashes", "%s", why->text);
	}
	answer_all(c, result, why);
}

static void compare(struct coordinator *c)
{
	struct clashes *clashes = c->clashes;
	_cleanup_free_ char *target = NULL;
	json_t *items = json_array();

	json_decref(clashes->tasks);
	clashes->tasks = json_object();
	add_running(c, items, &target);
	if (json_array_size(items))
		add_ready(c, items);
	clashes->asking = true;
	gitq_ask(c, "clash", json_pack("{s:s?, s:o}", "target", target, "items", items), compared,
	         NULL);
}

int method_task_clashes(struct request *r, struct error *err)
{
	struct asker *asker = xcalloc(1, sizeof *asker);

	(void)err;
	asker->later = request_later(r);
	asker->next = r->c->clashes->askers;
	r->c->clashes->askers = asker;
	if (!r->c->clashes->asking)
		compare(r->c);
	return 0;
}

bool clashes_known(const struct coordinator *c)
{
	return json_array_size(c->clashes->pairs) > 0;
}

bool clashes_with_running(struct coordinator *c, int64_t task)
{
	json_t *pair;
	size_t i;

	json_array_foreach (c->clashes->pairs, i, pair) {
		int64_t a = json_int(pair, "a", 0), b = json_int(pair, "b", 0);
		int64_t other = a == task ? b : a;

		if ((a == task || b == task) && store_attempt_running_task(c->store, other))
			return true;
	}
	return false;
}
