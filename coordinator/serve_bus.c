/* The coordinator's end of the bus: events go out, what workers say of themselves comes in.
 * Nothing waits on it, and nothing fails because it is not there yet. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define BUS_AFTER_MS 100  /* opened so long after the start */
#define BUS_AGAIN_MS 1000 /* tried again where that failed */

static void take_status(struct coordinator *c, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	_cleanup_json_ json_t *status = NULL;
	const char *name, *last;
	struct teammate *t;

	if (!newline)
		return;
	status = jsonl_parse(newline + 1, len - (size_t)(newline + 1 - data), NULL);
	name = json_text(status, "name");
	t = name ? team_find(c, name) : NULL;
	if (!t)
		return;
	t->heard_ms = time_mono_ms();
	last = json_text(status, "last_output");
	if (last) {
		free(t->last_output);
		t->last_output = text_safe(last, 400);
	}
	clashes_changed(c);
}

static void on_bus(uv_poll_t *poll, int status, int events)
{
	struct coordinator *c = poll->data;
	char *data;
	size_t len;

	(void)status;
	(void)events;
	while (bus_sub_receive(c->bus_sub, &data, &len, NULL) > 0) {
		take_status(c, data, len);
		free(data);
	}
}

static void heal_work(uv_work_t *work)
{
	struct coordinator *c = work->data;
	struct error err = ERROR_INIT;

	if (bus_pub_heal(c->bus, &err) < 0)
		log_warn("bus", "%s", err.text);
}

static void heal_done(uv_work_t *work, int status)
{
	struct coordinator *c = work->data;

	(void)status;
	c->healing = false;
}

/* Heals the listener about once a second, but only while something is published; on a thread,
 * for a probe that finds nobody takes its time. */
static void on_bus_timer(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;

	if (c->published == c->healed)
		return;
	c->healed = c->published;
	if (!c->healing) {
		c->healing = true;
		c->heal.data = c;
		uv_queue_work(&c->loop, &c->heal, heal_work, heal_done);
	}
	uv_timer_start(timer, on_bus_timer, 1000, 0);
}

void serve_published(struct coordinator *c)
{
	if (!uv_is_active((uv_handle_t *)&c->bus_timer))
		uv_timer_start(&c->bus_timer, on_bus_timer, 1000, 0);
}

static void bus_open(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;
	_cleanup_free_ char *url = xasprintf("ipc://%s/bus", c->place.runtime_dir);
	struct error err = ERROR_INIT;

	if ((!c->bus_sub && bus_sub_open(&c->bus_sub, &err) < 0) ||
	    bus_pub_open(url, &c->bus, &err) < 0) {
		log_error("bus", "%s", err.text);
		uv_timer_start(timer, bus_open, BUS_AGAIN_MS, 0);
		return;
	}
	uv_poll_init(&c->loop, &c->bus_poll, bus_sub_fd(c->bus_sub));
	c->bus_poll.data = c;
	uv_poll_start(&c->bus_poll, UV_READABLE, on_bus);
	for (struct teammate *t = c->team.first; t; t = t->next)
		if (t->conn)
			worker_listen_to(c, t);
	turn_publish(c);
}

/* Nothing waits on the bus, and its dozen threads take longer to start than a store to open:
 * it comes after the workers and commands that queue at a coordinator which was restarted. */
void serve_bus_later(struct coordinator *c)
{
	c->published = c->healed = store_event_last(c->store);
	uv_timer_init(&c->loop, &c->bus_timer);
	c->bus_timer.data = c;
	uv_timer_start(&c->bus_timer, bus_open, BUS_AFTER_MS, 0);
}
