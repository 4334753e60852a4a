/* What only workers were told of is synced a moment later, many commits at once, and beside the
 * loop: a sync here keeps all of them waiting. Who can wait for that is told then.
 *
 * Must not let anybody but workers hear of a commit before its sync. */
#include "turn_sync.h"

#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "mem.h"

#define SYNC_MS 10 /* to the sync, and again until one beside the loop is no longer waited for */

static void run_patient(struct coordinator *c)
{
	struct turn_sync *sync = &c->turn.sync;
	int64_t synced = store_synced_later(c->store) - store_unsynced(c->store);
	size_t n = 0;

	/* In the order of their marks. What they do may make others wait: behind them. */
	while (n < sync->n && sync->patient[n].mark <= synced) {
		struct effect effect = sync->patient[n++].effect;

		effect.run(c, effect.context);
	}
	sync->n -= n;
	if (sync->n)
		memmove(sync->patient, sync->patient + n, sync->n * sizeof *sync->patient);
}

static void settle(struct coordinator *c)
{
	store_settle(c->store);
	run_patient(c);
}

static void sync_is_due(uv_timer_t *timer);

static void sync_work(uv_work_t *work)
{
	struct turn_sync *sync = work->data;
	const struct coordinator *c = sync->timer.data;

	sync->error = store_sync_beside(c->store);
	uv_sem_post(&sync->ended);
}

static void sync_done(uv_work_t *work, int status)
{
	struct turn_sync *sync = work->data;
	struct coordinator *c = sync->timer.data;

	sync->behind = false;
	if (status != 0) /* turn_sync_finish has done without it */
		return;
	uv_sem_wait(&sync->ended);
	store_sync_end(c->store, sync->error);
	uv_timer_stop(&sync->timer);
	turn_sync_go_on(c);
}

static void begin(struct coordinator *c)
{
	struct turn_sync *sync = &c->turn.sync;

	if (!store_sync_begin(c->store)) {
		settle(c);
		return;
	}
	sync->behind = true;
	sync->work.data = sync;
	uv_queue_work(&c->loop, &sync->work, sync_work, sync_done);
	uv_timer_start(&sync->timer, sync_is_due, SYNC_MS, 0);
}

/* One beside the loop that has not ended by the next time is not waited for: nothing may be
 * unsynced for ever. */
static void sync_is_due(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;

	if (c->turn.sync.behind)
		settle(c);
	else
		begin(c);
}

void turn_sync_go_on(struct coordinator *c)
{
	struct turn_sync *sync = &c->turn.sync;

	run_patient(c);
	if (!store_unsynced(c->store))
		return;
	if (sync->n && !sync->behind)
		begin(c);
	else if (!uv_is_active((uv_handle_t *)&sync->timer))
		uv_timer_start(&sync->timer, sync_is_due, SYNC_MS, 0);
}

void turn_sync_await(struct coordinator *c, struct effect effect)
{
	struct turn_sync *sync = &c->turn.sync;

	if (!store_unsynced(c->store)) {
		effect.run(c, effect.context);
		return;
	}
	if (sync->n == sync->cap) {
		sync->cap = sync->cap ? sync->cap * 2 : 16;
		sync->patient = xrealloc(sync->patient, sync->cap * sizeof *sync->patient);
	}
	sync->patient[sync->n++] = (struct patient){effect, store_synced_later(c->store)};
}

/* Its thread needs the store. */
void turn_sync_finish(struct coordinator *c)
{
	struct turn_sync *sync = &c->turn.sync;

	if (sync->behind && uv_cancel((uv_req_t *)&sync->work) != 0) {
		uv_sem_wait(&sync->ended);
		store_sync_end(c->store, sync->error);
	}
	settle(c);
}

void turn_sync_init(struct coordinator *c)
{
	uv_sem_init(&c->turn.sync.ended, 0);
	uv_timer_init(&c->loop, &c->turn.sync.timer);
	c->turn.sync.timer.data = c;
	uv_unref((uv_handle_t *)&c->turn.sync.timer);
}
