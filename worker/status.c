/* Publishing on change. One timer serves the limit, the keep-alive and the listener's health;
 * while nothing changes it fires every 30 s only. */
#include "status.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "bus.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"

#define SPACING_MS    250
#define KEEP_ALIVE_MS 30000
#define HEAL_MS       1000

struct status {
	uv_timer_t timer;
	uv_loop_t *loop;
	char *name, *url;
	json_t *(*describe)(void *context);
	void *context;
	struct bus_pub *bus;
	bool changed;
	bool heal_due; /* something was published since the listener was last looked at */
	uint64_t published, healed;
	uv_work_t heal_work;
	bool healing;
};

static void status_tick(uv_timer_t *timer);

static void arm(struct status *s)
{
	uint64_t now = uv_now(s->loop);
	uint64_t due = s->published + (s->changed ? SPACING_MS : KEEP_ALIVE_MS);

	if (s->heal_due && !s->healing && due > s->healed + HEAL_MS)
		due = s->healed + HEAL_MS;
	uv_timer_start(&s->timer, status_tick, due > now ? due - now : 0, 0);
}

struct status *status_new(uv_loop_t *loop, const char *name, const char *runtime_dir,
                          json_t *(*describe)(void *context), void *context)
{
	struct status *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->name = xstrdup(name);
	s->url = xasprintf("ipc://%s/b-%s", runtime_dir, name);
	s->describe = describe;
	s->context = context;
	s->published = s->healed = uv_now(loop);
	s->changed = true;
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	uv_unref((uv_handle_t *)&s->timer);
	arm(s);
	return s;
}

/* Off the loop: the probe of a dead listener takes up to 200 ms. */
static void heal_run(uv_work_t *work)
{
	struct status *s = work->data;
	struct error err = ERROR_INIT;

	if (bus_pub_heal(s->bus, &err) < 0)
		log_warn("status", "%s", err.text);
}

static void heal_done(uv_work_t *work, int result)
{
	struct status *s = work->data;

	(void)result;
	s->healing = false;
	s->healed = uv_now(s->loop);
	arm(s);
}

static void publish(struct status *s)
{
	_cleanup_buf_ struct buf message = BUF_INIT;
	_cleanup_json_ json_t *what = NULL;
	struct error err = ERROR_INIT;

	s->changed = false;
	s->published = uv_now(s->loop);
	if (!s->bus && bus_pub_open(s->url, &s->bus, &err) != 0) {
		log_warn("status", "%s", err.text);
		return;
	}
	what = s->describe(s->context);
	buf_add_str(&message, s->name);
	buf_add_str(&message, "\n");
	jsonl_add(&message, what);
	if (message.len && message.data[message.len - 1] == '\n')
		message.len--;
	bus_pub_send(s->bus, message.data, message.len);
	s->heal_due = true;
}

static void status_tick(uv_timer_t *timer)
{
	struct status *s = timer->data;
	uint64_t now = uv_now(s->loop);

	if (s->heal_due && !s->healing && s->bus && now >= s->healed + HEAL_MS) {
		s->heal_due = false;
		s->healing = true;
		s->heal_work.data = s;
		uv_queue_work(s->loop, &s->heal_work, heal_run, heal_done);
	}
	if (now >= s->published + (s->changed ? SPACING_MS : KEEP_ALIVE_MS))
		publish(s);
	arm(s);
}

void status_changed(struct status *s)
{
	if (!s || s->changed)
		return;
	s->changed = true;
	arm(s);
}
