/* Turns over a store that does what the test says, and effects that say what became of them. */
#ifndef PLEACH_TURN_FIXTURE_H
#define PLEACH_TURN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinator.h"
#include "mem.h"

/* ---- what turn.c stands on ---- */

static int commits, failing, scheduled;
static int unsynced; /* commits that wait for their sync */
static int waited;   /* commits that ever did */
static int beside;   /* of the unsynced, those of the sync beside the loop */
static bool has_log; /* that can be synced there */
static char store_did[64];
static bool begin_fails;
static bool tells_held; /* what becomes of those who wait */
static bool held_ready; /* an answer of theirs is made, and was not sent */
static bool early;      /* the next commit is one that may wait */
static bool none_starts;
static char said[256];

static void say(const char *word)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof said - n, "%s%s", n ? " " : "", word);
}

/* What the store was asked for: begin, savepoint, release, back to it, all undone. */
static void store_does(const char *what)
{
	size_t at = strlen(store_did);

	snprintf(store_did + at, sizeof store_did - at, "%s", what);
}

int store_begin(struct store *store, struct error *err)
{
	(void)store;
	store_does("B");
	return begin_fails ? error_set(err, ERROR_EXTERNAL, "the disk is gone") : 0;
}

void store_rollback(struct store *store)
{
	(void)store;
	store_does("U");
}

int store_commit(struct store *store, struct error *err)
{
	return store_commit_begin(store, err) < 0 ? -1 : store_commit_end(store, err);
}

int store_commit_begin(struct store *store, struct error *err)
{
	(void)store;
	(void)err;
	return 0;
}

int store_commit_end(struct store *store, struct error *err)
{
	(void)store;
	commits++;
	unsynced += early;
	waited += early;
	early = false;
	if (!failing)
		return 0;
	failing--;
	return error_set(err, ERROR_EXTERNAL, "the disk is full");
}

void store_settle(struct store *store)
{
	(void)store;
	if (unsynced)
		say("settled");
	unsynced = beside = 0;
}

bool store_sync_begin(struct store *store)
{
	(void)store;
	if (!has_log || !unsynced)
		return false;
	say("begun");
	beside = unsynced;
	return true;
}

static bool synced_beside; /* by a thread */

int store_sync_beside(const struct store *store)
{
	(void)store;
	usleep(20000);
	synced_beside = true;
	return 0;
}

void store_sync_end(struct store *store, int error)
{
	(void)store;
	assert_int_equal(error, 0);
	say("ended");
	unsynced -= beside;
	beside = 0;
}

int64_t store_synced_later(const struct store *store)
{
	(void)store;
	return waited;
}

int store_unsynced(const struct store *store)
{
	(void)store;
	return unsynced;
}

void store_savepoint(struct store *store)
{
	(void)store;
	store_does("S");
}

void store_release(struct store *store)
{
	(void)store;
	store_does("R");
}

void store_rollback_to(struct store *store)
{
	(void)store;
	store_does("T");
}

bool store_failed(const struct store *store, struct error *err)
{
	(void)store;
	(void)err;
	return false;
}

int64_t store_events(struct store *store, int64_t since, int64_t limit, store_event_fn take,
                     void *context)
{
	(void)store, (void)since, (void)limit, (void)take, (void)context;
	return 0;
}

bool store_tasks_none_starts(struct store *store)
{
	(void)store;
	return none_starts;
}

void base_turn(struct coordinator *c)
{
	(void)c;
	scheduled++;
}

void worker_tell_early(struct coordinator *c, bool may_wait)
{
	(void)c;
	early = may_wait && early;
}

void schedule_turn(struct coordinator *c)
{
	(void)c;
}

bool held_prepare(struct coordinator *c)
{
	(void)c;
	if (tells_held)
		say("held");
	held_ready = tells_held;
	return tells_held;
}

void held_unprepare(struct coordinator *c)
{
	(void)c;
	if (held_ready)
		say("not-held");
	held_ready = false;
}

bool held_send_prepared(struct coordinator *c)
{
	bool any = held_ready;

	(void)c;
	if (any)
		say("told");
	held_ready = false;
	return any;
}

void held_check(struct coordinator *c)
{
	(void)c;
}

void serve_published(struct coordinator *c)
{
	(void)c;
}

int64_t store_event_last(struct store *store)
{
	(void)store;
	return 0;
}

bool bus_pub_heard(const struct bus_pub *pub)
{
	(void)pub;
	return true;
}

void bus_pub_send(struct bus_pub *pub, const void *data, size_t len)
{
	(void)pub;
	(void)data;
	(void)len;
}

/* ---- effects that say what became of them ---- */

static void run_word(struct coordinator *c, void *context)
{
	(void)c;
	say(context);
	free(context);
}

static void drop_word(struct coordinator *c, void *context, const struct error *why)
{
	_cleanup_free_ char *text = xasprintf("-%s%s", (char *)context, why ? "!" : "");

	(void)c;
	say(text);
	free(context);
}

static int word_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	turn_effect(c, run_word, drop_word, xstrdup(context));
	return 0;
}

static int in_step(struct coordinator *c, turn_step_fn fn, const char *word)
{
	_cleanup_free_ char *copy = xstrdup(word);
	struct error err = ERROR_INIT;

	return turn_step(c, fn, copy, &err);
}

static int world(void **state)
{
	struct coordinator *c = xcalloc(1, sizeof *c);

	uv_loop_init(&c->loop);
	turn_init(c);
	commits = failing = scheduled = 0;
	unsynced = waited = beside = 0;
	early = false;
	has_log = tells_held = held_ready = begin_fails = false;
	store_did[0] = '\0';
	said[0] = '\0';
	*state = c;
	return 0;
}

static int end(void **state)
{
	struct coordinator *c = *state;

	uv_close((uv_handle_t *)&c->turn.timer, NULL);
	uv_close((uv_handle_t *)&c->turn.sync.timer, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->loop), 0);
	free(c->turn.effects);
	free(c->turn.sync.patient);
	free(c);
	return 0;
}

#endif
