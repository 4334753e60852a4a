/* The chain of a lane: what `pleach-git weave` has merged onto the target's assumed state, and
 * what it said of the tasks that cannot be merged, each in its place. */
#include <stdlib.h>
#include <string.h>

#include "landing_lane.h"
#include "log.h"
#include "mem.h"

static void step_free(struct step *step)
{
	json_decref(step->items);
	json_decref(step->result);
	free(step->before);
	free(step->commit);
	free(step->why);
	free(step);
}

/* A proof that nobody waits for any more is told to end. */
static void step_disown(struct lane *lane, struct step *step)
{
	if (!step->proof)
		return;
	step->proof->step = NULL;
	gitq_cancel(lane->c, step->proof);
	step->proof = NULL;
}

void chain_cut(struct lane *lane, struct step **from)
{
	while (*from) {
		struct step *step = *from;

		*from = step->next;
		step_disown(lane, step);
		step_free(step);
	}
	lane->stale = lane->weaving;
}

void chain_pop(struct lane *lane)
{
	struct step *step = lane->chain;

	lane->chain = step->next;
	step_free(step);
}

static bool step_has(const struct step *step, int64_t task)
{
	json_t *item;
	size_t i;

	json_array_foreach (step->items, i, item)
		if (json_int(item, "task", 0) == task)
			return true;
	return false;
}

struct step *chain_find(const struct lane *lane, int64_t task)
{
	for (struct step *step = lane->chain; step; step = step->next)
		if (step_has(step, task))
			return step;
	return NULL;
}

static void chain_add(struct lane *lane, json_t *item, size_t batch)
{
	struct step **at = &lane->chain, *last = NULL;
	const char *kind = json_text(item, "kind");
	bool merges = kind && strcmp(kind, "merge") == 0;

	for (; *at; at = &(*at)->next)
		last = *at;
	if (merges && last && last->merges && last->state == STEP_NEW &&
	    json_array_size(last->items) < batch) {
		json_array_append(last->items, item);
		free(last->commit);
		last->commit = xstrdup(json_text(item, "commit"));
		return;
	}
	*at = xcalloc(1, sizeof **at);
	(*at)->items = json_pack("[O]", item);
	(*at)->merges = merges;
	(*at)->before = xstrdup(json_text(item, "before"));
	(*at)->commit = xstrdup(json_text(item, "commit"));
}

static size_t lane_batch(struct lane *lane)
{
	return lane->batch ? lane->batch : lane_limit(lane, "batch", 1, LANDING_BATCH_MAX);
}

static void woven(struct coordinator *c, const json_t *result, const struct error *why,
                  void *context)
{
	struct lane *lane = context;
	size_t batch = lane_batch(lane), i;
	bool stale = lane->stale;
	json_t *item;

	(void)c;
	lane->weaving = lane->stale = false;
	if (!stale && !result)
		lane_fail(lane, why);
	else if (!stale)
		json_array_foreach (json_object_get(result, "steps"), i, item)
			chain_add(lane, item, batch);
	lane_advance(lane);
}

/* The tasks that wait and are in no chain yet, as many as there is room for: the chain holds
 * `held`, so more of the queue's first ones need not be read. */
static json_t *next_items(struct lane *lane, size_t held, size_t room, int64_t *plan)
{
	_cleanup_free_ int64_t *tasks =
	    store_queue_tasks(lane->c->store, lane->target, (int64_t)(held + room));
	json_t *items = json_array();

	for (size_t i = 0; tasks[i] && json_array_size(items) < room; i++) {
		_cleanup_task_ struct task_row task = {0};
		struct queue_row row = {0};

		if (chain_find(lane, tasks[i]) ||
		    !store_task_get(lane->c->store, tasks[i], &task) ||
		    !store_queue_get(lane->c->store, tasks[i], &row))
			continue;
		*plan = *plan ? *plan : task.plan;
		json_array_append_new(items,
		                      landing_item(lane->c, tasks[i], lane->target, row.squash,
		                                   landing_is_asked(lane->c, tasks[i])));
		queue_row_finish(&row);
	}
	return items;
}

/* The end of the chain, or NULL: the target itself. */
static const char *chain_tip(const struct lane *lane)
{
	const char *tip = NULL;

	for (const struct step *step = lane->chain; step; step = step->next)
		if (step->merges)
			tip = step->commit;
	return tip;
}

/* What is ahead in the chain has not landed yet, but a conflict may be with it. */
static void name_chain(const struct lane *lane, json_t *landed)
{
	for (const struct step *step = lane->chain; step; step = step->next) {
		json_t *item;
		size_t i;

		json_array_foreach (step->items, i, item) {
			_cleanup_task_ struct task_row task = {0};

			if (step->merges &&
			    store_task_get(lane->c->store, json_int(item, "task", 0), &task) &&
			    task.base)
				json_array_append_new(
				    landed, json_pack("{s:s, s:s, s:s?}", "key", task.key, "base",
				                      task.base, "head", landing_step_head(item)));
		}
	}
}

/* One more than is proven at once: it is merged while the others are proven. What hooks make of
 * a commit is merged onto when it is known. */
static size_t chain_room(struct lane *lane)
{
	size_t ahead = lane_limit(lane, "ahead", LANDING_AHEAD, LANDING_AHEAD_MAX);

	return (ahead + !lane_flag(lane, "hooks")) * lane_batch(lane);
}

void chain_grow(struct lane *lane)
{
	size_t room = chain_room(lane), held = 0;
	json_t *items, *request;
	int64_t plan = 0;

	for (const struct step *step = lane->chain; step; step = step->next) {
		if (step->state == STEP_FAILED)
			return;
		held += json_array_size(step->items);
	}
	if (lane->weaving || lane->held || held >= room)
		return;
	items = next_items(lane, held, room - held, &plan);
	if (!json_array_size(items)) {
		json_decref(items);
		return;
	}
	request = landing_weave_request(lane->c, lane->target, items, plan);
	json_object_set_new(request, "onto", json_text_or_null(chain_tip(lane)));
	name_chain(lane, json_object_get(request, "landed"));
	lane->weaving = true;
	gitq_ask(lane->c, "weave", request, woven, lane);
}
