/* Turns: group commit and effects. */
#include "turn.h"

#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "controls.h"
#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "rpc_peer.h"
#include "turn_sync.h"

#define PUBLISH_MAX 1000 /* events read at once */
#define AGAIN_MS    1000 /* after a commit that failed */

static void run_effect(struct coordinator *c, const struct effect *effect)
{
	if (effect->kind == EFFECT_PATIENT) {
		turn_sync_await(c, *effect);
		return;
	}
	if (effect->kind == EFFECT_SYNCED)
		store_settle(c->store);
	effect->run(c, effect->context);
}

static void add_effect(struct coordinator *c, struct effect effect)
{
	struct turn *turn = &c->turn;

	if (turn->preparing)
		die("an effect of what is not synced");
	if (!turn->open) { /* no commit is waited for */
		run_effect(c, &effect);
		return;
	}
	if (turn->n == turn->cap) {
		turn->cap = turn->cap ? turn->cap * 2 : 32;
		turn->effects = xrealloc(turn->effects, turn->cap * sizeof *turn->effects);
	}
	turn->effects[turn->n++] = effect;
}

void turn_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	turn_prepared_effect(c, NULL, run, drop, context);
}

void turn_prepared_effect(struct coordinator *c, effect_fn prepare, effect_fn run,
                          effect_drop_fn drop, void *context)
{
	add_effect(c, (struct effect){prepare, run, drop, context, EFFECT_SYNCED});
}

void turn_patient_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	add_effect(c, (struct effect){NULL, run, drop, context, EFFECT_PATIENT});
}

void turn_inner_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	enum effect_kind kind = c->views ? EFFECT_SYNCED : EFFECT_INNER;

	add_effect(c, (struct effect){NULL, run, drop, context, kind});
}

/* What is queued meanwhile is not dropped with them: a drop may open the next turn. */
static void drop_effects(struct coordinator *c, size_t from, const struct error *why)
{
	struct turn *turn = &c->turn;
	_cleanup_free_ struct effect *gone = NULL;
	size_t n = turn->n - from;

	if (!n)
		return;
	gone = xcalloc(n, sizeof *gone);
	memcpy(gone, turn->effects + from, n * sizeof *gone);
	turn->n = from;
	for (size_t i = 0; i < n; i++) {
		if (gone[i].drop)
			gone[i].drop(c, gone[i].context, why);
		else
			free(gone[i].context);
	}
}

static void alone_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct effect *effect = context;

	if (effect->drop)
		effect->drop(c, effect->context, why);
	else
		free(effect->context);
	free(effect);
}

static void alone_run(struct coordinator *c, void *context)
{
	struct effect *effect = context;

	if (c->turn.open) {
		turn_effect(c, alone_run, alone_drop, effect);
		return;
	}
	effect->run(c, effect->context);
	free(effect);
}

void turn_alone(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	struct effect *effect = xcalloc(1, sizeof *effect);

	*effect = (struct effect){NULL, run, drop, context, EFFECT_SYNCED};
	turn_effect(c, alone_run, alone_drop, effect);
}

/* Only where a test of costs switches the sharing of transactions off. */
static void commit_alone(struct coordinator *c)
{
	struct error err = ERROR_INIT;

	if (store_commit(c->store, &err) < 0 || store_begin(c->store, &err) < 0)
		die("%s", err.text);
}

/* The first step of a turn is undone with all of its transaction: a savepoint would copy each page
 * that it writes. */
static void undo_step(struct coordinator *c, bool first)
{
	struct error err = ERROR_INIT;

	if (!first) {
		store_rollback_to(c->store);
		return;
	}
	store_rollback(c->store);
	c->turn.open = store_begin(c->store, &err) == 0;
	if (!c->turn.open)
		log_error("turn", "%s", err.text);
}

int turn_step(struct coordinator *c, turn_step_fn step, void *context, struct error *err)
{
	struct turn *turn = &c->turn;
	bool first = !turn->open;
	size_t before = turn->n;
	struct error why = ERROR_INIT;
	int rc;

	if (turn->nested)
		die("a step within a step");
	if (first) {
		if (store_begin(c->store, &why) < 0) {
			*err = why;
			err->code = ERROR_BUSY;
			return -1;
		}
		turn->open = true;
	}
	turn->nested = true;
	if (!first)
		store_savepoint(c->store);
	rc = step(c, context, err);
	if (store_failed(c->store, &why)) {
		*err = why;
		rc = -1;
	}
	if (rc < 0) {
		undo_step(c, first);
		drop_effects(c, before, NULL);
	} else {
		if (!first)
			store_release(c->store);
		if (control_off("group-commit"))
			commit_alone(c);
	}
	turn->nested = false;
	return rc;
}

static void run_effects(struct coordinator *c)
{
	struct turn *turn = &c->turn;
	struct effect *effects = turn->effects;
	size_t n = turn->n;

	/* An effect may begin the next turn: its effects go to a queue of their own. */
	turn->effects = NULL;
	turn->n = turn->cap = 0;
	for (size_t i = 0; i < n; i++)
		run_effect(c, &effects[i]);
	if (turn->cap) {
		free(effects);
		return;
	}
	turn->effects = effects;
	turn->cap = n;
}

static int schedule_step(struct coordinator *c, void *context, struct error *err)
{
	(void)context;
	(void)err;
	base_turn(c);
	schedule_turn(c);
	return 0;
}

static void publish(void *context, int64_t seq, const char *kind, const struct buf *event)
{
	_cleanup_buf_ struct buf message = BUF_INIT;
	struct coordinator *c = context;

	buf_printf(&message, "%s\n", kind);
	buf_add(&message, event->data, event->len);
	bus_pub_send(c->bus, message.data, message.len);
	c->published = seq;
}

void turn_publish(struct coordinator *c)
{
	int64_t n;

	if (!c->bus || c->published == store_event_last(c->store))
		return;
	if (!bus_pub_heard(c->bus)) { /* whoever comes now asks for what was */
		c->published = store_event_last(c->store);
		serve_published(c);
		return;
	}
	store_settle(c->store);
	do {
		n = store_events(c->store, c->published, PUBLISH_MAX, publish, c);
		if (n)
			serve_published(c);
	} while (n == PUBLISH_MAX);
}

static int nothing_step(struct coordinator *c, void *context, struct error *err)
{
	(void)c;
	(void)context;
	(void)err;
	return 0;
}

/* Whoever asked was told and asks again; what nobody asked for, a base, is looked for by a turn. */
static void look_again(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;
	struct error err = ERROR_INIT;

	if (turn_step(c, nothing_step, NULL, &err) < 0) {
		log_error("turn", "%s", err.text);
		uv_timer_start(timer, look_again, AGAIN_MS, 0);
	}
}

void turn_init(struct coordinator *c)
{
	uv_timer_init(&c->loop, &c->turn.timer);
	c->turn.timer.data = c;
	uv_unref((uv_handle_t *)&c->turn.timer);
	turn_sync_init(c);
}

/* Nobody needs the sync of this commit at once. */
static bool may_wait(const struct turn *turn)
{
	for (size_t i = 0; i < turn->n; i++)
		if (turn->effects[i].kind == EFFECT_SYNCED)
			return false;
	return true;
}

static void prepare_effects(struct coordinator *c)
{
	struct turn *turn = &c->turn;

	turn->preparing = true;
	for (size_t i = 0; i < turn->n; i++)
		if (turn->effects[i].prepare)
			turn->effects[i].prepare(c, turn->effects[i].context);
	turn->preparing = false;
}

/* What needs no disk is done while that works: an idle one takes longer than all the rest. Where
 * many wait for what happened their answers are as much as fits into that. True: the effects are
 * prepared, too. */
static bool prepare(struct coordinator *c)
{
	if (held_prepare(c))
		return false;
	prepare_effects(c);
	return true;
}

/* Nobody has heard of what is prepared while the sync may still fail, or is put off because only
 * workers hear of the turn: then who waits is answered patiently. */
static int commit_prepared(struct coordinator *c, bool *prepared, struct error *err)
{
	int rc;

	if (store_commit_begin(c->store, err) < 0)
		return -1;
	*prepared = prepare(c);
	rc = store_commit_end(c->store, err);
	if (rc < 0 || store_unsynced(c->store))
		held_unprepare(c);
	return rc;
}

/* Who waits is told before all else, and runs before we go on: the kernel leaves who is woken by a
 * socket to the processor of its waker. */
static void tell_waiting(struct coordinator *c)
{
	if (!held_send_prepared(c))
		return;
	rpc_peer_flush_deferred();
	sched_yield();
}

static void commit(struct coordinator *c)
{
	struct error err = ERROR_INIT;
	bool prepared;

	if (!store_tasks_none_starts(c->store) && turn_step(c, schedule_step, NULL, &err) < 0)
		log_error("turn", "scheduling: %s", err.text);
	c->turn.open = false;
	worker_tell_early(c, may_wait(&c->turn));
	if (commit_prepared(c, &prepared, &err) < 0) {
		log_error("turn", "commit: %s", err.text);
		err.code = ERROR_BUSY;
		uv_timer_start(&c->turn.timer, look_again, AGAIN_MS, 0);
		drop_effects(c, 0, &err);
		return;
	}
	tell_waiting(c);
	if (!prepared)
		prepare_effects(c);
	run_effects(c);
	held_check(c);
	if (!c->turn.open) /* only what is committed is told */
		turn_publish(c);
	turn_sync_go_on(c);
}

void turn_close(struct coordinator *c)
{
	if (c->turn.running)
		return;
	c->turn.running = true;
	while (c->turn.open) /* effects may have begun another */
		commit(c);
	c->turn.running = false;
	rpc_peer_flush_deferred();
	json_decref(c->turn.gone);
	c->turn.gone = NULL;
	if (c->turn.trim)
		malloc_trim(0);
	c->turn.trim = false;
}

void turn_forget(struct coordinator *c, json_t *value)
{
	if (!c->turn.gone)
		c->turn.gone = json_array();
	json_array_append_new(c->turn.gone, value);
	c->turn.trim = true;
}
