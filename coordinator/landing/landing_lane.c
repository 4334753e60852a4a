/* One lane a target: a chain of merges, each on the assumed result of those before, proven
 * ahead side by side. The target moves to the first of the chain when that is proven; what
 * fails leaves the chain, and what stood behind it is merged anew without it. */
#include <stdlib.h>
#include <string.h>

#include "landing_lane.h"
#include "log.h"
#include "mem.h"

/* ---- lanes ---- */

static struct lane *lane_find(const struct coordinator *c, const char *target)
{
	for (struct lane *lane = c->landings->lanes; lane; lane = lane->next)
		if (strcmp(lane->target, target) == 0)
			return lane;
	return NULL;
}

static int closing_step(struct coordinator *c, void *context, struct error *err)
{
	const struct lane *lane = context;

	(void)err;
	if (!lane->held && hold_is_on(c, lane->target))
		hold_end(c, lane->target);
	return 0;
}

/* Whoever waits for the end of all landings is looked at after the turn. */
static void lane_close(struct lane *lane)
{
	struct coordinator *c = lane->c;
	struct lane **at = &c->landings->lanes;
	struct error err = ERROR_INIT;

	while (*at != lane)
		at = &(*at)->next;
	*at = lane->next;
	if (turn_step(c, closing_step, lane, &err) < 0)
		log_error("landing", "%s", err.text);
	free(lane->target);
	free(lane);
}

void lane_look(struct coordinator *c, const char *target)
{
	struct lane *lane = lane_find(c, target);

	const char *undoing = c->landings->undoing;

	if (!c->landings->open || c->ending || (undoing && strcmp(undoing, target) == 0))
		return;
	if (!lane) {
		lane = xcalloc(1, sizeof *lane);
		lane->c = c;
		lane->target = xstrdup(target);
		lane->next = c->landings->lanes;
		c->landings->lanes = lane;
	}
	lane_advance(lane);
}

/* All of the chain but what is being moved to. */
static struct step **chain_rest(struct lane *lane)
{
	return lane->moving ? &lane->chain->next : &lane->chain;
}

/* From there on the chain is merged anew. What is being moved to moves: whether its task has
 * landed by that, the record says. */
static void lane_cut(struct lane *lane, struct step **from)
{
	chain_cut(lane, from == &lane->chain ? chain_rest(lane) : from);
	landing_kick(lane->c, lane->target);
}

void lane_drop(struct coordinator *c, int64_t task)
{
	for (struct lane *lane = c->landings->lanes, *next; lane; lane = next) {
		struct step *step = chain_find(lane, task), **at = &lane->chain;

		next = lane->next;
		while (*at && *at != step)
			at = &(*at)->next;
		if (step || lane->weaving)
			lane_cut(lane, at);
	}
}

void lanes_end(struct coordinator *c)
{
	for (struct lane *lane = c->landings->lanes, *next; lane; lane = next) {
		next = lane->next;
		lane_cut(lane, &lane->chain);
	}
}

bool lanes_busy(const struct coordinator *c)
{
	return c->landings->lanes != NULL;
}

bool lane_is_open(const struct coordinator *c, const char *target)
{
	return lane_find(c, target) != NULL;
}

const char *lane_state_of(const struct coordinator *c, int64_t task)
{
	for (const struct lane *lane = c->landings->lanes; lane; lane = lane->next) {
		const struct step *step = chain_find(lane, task);

		if (step && step->state == STEP_PROVING)
			return "proving";
		if (step && step->state == STEP_PASSED)
			return "proven";
	}
	return "queued";
}

/* ---- the end of a lane that cannot go on ---- */

struct recording {
	struct lane *lane;
	json_t *told;
	const struct error *why;
	enum landing_fate fate;
	bool moved, keep;
};

static int fail_step(struct coordinator *c, void *context, struct error *err)
{
	struct recording *rec = context;

	(void)err;
	landing_record_end(c, rec->lane->target, rec->why, rec->keep, rec->told);
	hold_tell(c, rec->lane->target);
	return 0;
}

/* What was asked wrongly is told, and that is all; everything else may pass. */
static bool may_pass(const struct error *why)
{
	return why->code != ERROR_INVALID && why->code != ERROR_NOT_FOUND;
}

void lane_fail(struct lane *lane, const struct error *why)
{
	_cleanup_json_ json_t *told = json_array();
	struct recording rec = {.lane = lane, .told = told, .why = why, .keep = may_pass(why)};
	struct error err = ERROR_INIT;

	log_warn("landing", "target=%s %s", lane->target, why->text);
	chain_cut(lane, chain_rest(lane));
	if (rec.keep) {
		lane->held = true;
		hold_begin(lane->c, lane->target, why,
		           why->code == ERROR_BUSY && !gitq_is_unasked(why));
	}
	if (turn_step(lane->c, fail_step, &rec, &err) < 0)
		log_error("landing", "target=%s %s", lane->target, err.text);
	else
		landing_tell(lane->c, told);
}

void lane_fail_stored(struct lane *lane, struct error *why)
{
	why->code = ERROR_EXTERNAL;
	lane_fail(lane, why);
}

/* What the plan of the first that waits says. New reference. */
static json_t *lane_policy(struct lane *lane)
{
	_cleanup_free_ int64_t *tasks = store_queue_tasks(lane->c->store, lane->target, 1);
	_cleanup_task_ struct task_row task = {0};

	if (!tasks[0] || !store_task_get(lane->c->store, tasks[0], &task))
		return json_object();
	return landing_policy(lane->c, task.plan);
}

size_t lane_limit(struct lane *lane, const char *key, size_t otherwise, size_t most)
{
	_cleanup_json_ json_t *policy = lane_policy(lane);
	int64_t said = json_int(policy, key, (int64_t)otherwise);

	/* What hooks make of a commit is only known afterwards: one by one. */
	if (said < 1 || json_flag(policy, "hooks"))
		return 1;
	return (size_t)said > most ? most : (size_t)said;
}

bool lane_flag(struct lane *lane, const char *key)
{
	_cleanup_json_ json_t *policy = lane_policy(lane);

	return json_flag(policy, key);
}

/* ---- moving ---- */

static int close_step(struct coordinator *c, void *context, struct error *err)
{
	struct recording *rec = context;
	struct lane *lane = rec->lane;

	(void)err;
	store_landing_close(c->store, lane->row, rec->moved);
	if (rec->moved && !lane->held)
		hold_end(c, lane->target);
	if (rec->moved)
		landing_record_landed(c, lane->target, lane->chain->items,
		                      json_sub(lane->chain->result, "verify"), rec->told);
	return 0;
}

static void settled(struct lane *lane)
{
	size_t n = json_array_size(lane->chain->items);

	lane->tries = 0;
	lane->doubted = lane->doubted > n ? lane->doubted - n : 0;
	if (!lane->doubted)
		lane->batch = 0;
}

static void moved(struct coordinator *c, const json_t *result, const struct error *why,
                  void *context)
{
	struct lane *lane = context;
	_cleanup_json_ json_t *told = json_array();
	struct recording rec = {.lane = lane, .told = told, .moved = result != NULL};
	struct step *step = lane->chain;
	struct error err = ERROR_INIT;

	lane->moving = false;
	if (why == &gitq_undone)
		return; /* lane_move knows */
	if (gitq_is_unasked(why)) {
		lane_fail(lane, why); /* nor is there a row */
	} else if (turn_step(c, close_step, &rec, &err) < 0) {
		/* Where it has moved but nobody could write it down, the row says so. */
		lane_fail_stored(lane, &err);
	} else if (result) {
		landing_tell_moved(c, lane->target, step->before, step->commit,
		                   json_sub(step->result, "verify"));
		landing_tell(c, told);
		settled(lane);
		chain_pop(lane);
	} else if ((why->code == ERROR_CONFLICT || why->code == ERROR_BUSY) &&
	           ++lane->tries < LANDING_TRIES) {
		/* It moved meanwhile, or the user's files came in the way: merged anew, which
		 * says what of it. */
		log_info("landing", "target=%s %s: again", lane->target, why->text);
		chain_cut(lane, &lane->chain);
	} else {
		lane_fail(lane, why);
	}
	lane_advance(lane);
}

/* The row that says what is about to move is on disk before it moves. */
static int row_step(struct coordinator *c, void *context, struct error *err)
{
	struct lane *lane = context;
	struct step *step = lane->chain;
	_cleanup_free_ char *tasks = jsonl_text(step->items);
	const struct landing_row row = {
	    .target = lane->target, .before = step->before, .after = step->commit, .tasks = tasks};

	(void)err;
	lane->row = store_landing_open(c->store, &row);
	lane->moving = true;
	gitq_ask(c, "move",
	         json_pack("{s:s, s:s, s:s}", "target", lane->target, "before", row.before, "after",
	                   row.after),
	         moved, lane);
	return 0;
}

static void lane_move(struct lane *lane)
{
	struct error err = ERROR_INIT;

	if (turn_step(lane->c, row_step, lane, &err) == 0)
		return;
	lane->moving = false;
	lane_fail_stored(lane, &err);
}

/* ---- what does not land ---- */

static int aside_step(struct coordinator *c, void *context, struct error *err)
{
	struct recording *rec = context;
	struct lane *lane = rec->lane;
	const json_t *step = json_array_get(lane->chain->items, 0);

	(void)err;
	if (!lane->held)
		hold_end(c, lane->target);
	if (rec->fate == FATE_LANDED)
		landing_record_landed(c, lane->target, lane->chain->items, NULL, rec->told);
	else
		landing_record_aside(c, lane->target, step, rec->fate, rec->told);
	return 0;
}

/* The first of the chain leaves it. False: it could not be written. */
static bool set_aside(struct lane *lane, enum landing_fate fate)
{
	_cleanup_json_ json_t *told = json_array();
	struct recording rec = {.lane = lane, .told = told, .fate = fate};
	struct error err = ERROR_INIT;
	const char *tip;

	if (turn_step(lane->c, aside_step, &rec, &err) < 0) {
		lane_fail_stored(lane, &err);
		return false;
	}
	tip = lane->chain->before; /* all before it in the chain has landed or left it */
	if (tip)
		landing_tell_moved(lane->c, lane->target, tip, tip, NULL);
	landing_tell(lane->c, told);
	settled(lane);
	chain_pop(lane);
	return true;
}

static enum landing_fate fate_of(const char *kind)
{
	if (strcmp(kind, "contained") == 0)
		return FATE_LANDED;
	if (strcmp(kind, "conflict") == 0)
		return FATE_CONFLICT;
	return strcmp(kind, "stopped") == 0 ? FATE_STOPPED : FATE_REFUSED;
}

/* The first of the chain has not passed: alone it is to blame; of a batch one half is tried
 * first. */
static bool reject(struct lane *lane)
{
	struct step *step = lane->chain;
	size_t n = json_array_size(step->items);
	json_t *item = json_array_get(step->items, 0);

	if (n > 1) {
		log_info("landing", "target=%s a batch of %zu failed: in halves", lane->target, n);
		lane->batch = n / 2;
		lane->doubted = lane->doubted > n ? lane->doubted : n;
		chain_cut(lane, &lane->chain);
		return true;
	}
	if (step->why)
		json_object_set_new(item, "message", json_text_or_null(step->why));
	else
		json_object_set(item, "verify", json_object_get(step->result, "verify"));
	json_object_set(item, "tail", json_object_get(step->result, "tail"));
	if (!set_aside(lane, step->why ? FATE_REFUSED : FATE_VERIFY_FAILED))
		return false;
	lane->batch = lane->doubted = 0;
	chain_cut(lane, &lane->chain);
	return true;
}

/* True when the first of the chain was settled and the next one may be looked at. */
static bool settle_first(struct lane *lane)
{
	struct step *step = lane->chain;

	if (lane->moving || !step)
		return false;
	if (!step->merges)
		return set_aside(lane, fate_of(json_text(json_array_get(step->items, 0), "kind")));
	if (step->state == STEP_FAILED)
		return reject(lane);
	if (step->state == STEP_PASSED)
		lane_move(lane);
	return false;
}

void lane_advance(struct lane *lane)
{
	/* What cannot even be started is told at once: then this is asked from within. */
	lane->again = true;
	if (lane->busy)
		return;
	lane->busy = true;
	while (lane->again) {
		lane->again = false;
		do {
			proofs_start(lane);
		} while (settle_first(lane));
		if (!lane->c->ending)
			chain_grow(lane);
	}
	lane->busy = false;
	if (!lane->chain && !lane->weaving && !lane->moving && !lane->proofs)
		lane_close(lane);
}
