/* The reserve of disk: below it no attempt starts, so that those that run can end, and their
 * results be kept. Looked at when something could start, and while nothing may, on a clock. */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define RESERVE_DEFAULT (256u << 20)
#define FRESH_MS        200  /* so long an answer counts */
#define AGAIN_MS        1000 /* between looks while nothing starts */

static uint64_t reserve_wanted(void)
{
	const char *text = getenv("PLEACH_DISK_RESERVE");
	char *end = NULL;
	unsigned long long bytes = text ? strtoull(text, &end, 10) : 0;

	return text && *text && !*end ? bytes : RESERVE_DEFAULT;
}

void disk_init(struct coordinator *c)
{
	c->disk.reserve = reserve_wanted();
	uv_timer_init(&c->loop, &c->disk.timer);
	c->disk.timer.data = c;
	uv_unref((uv_handle_t *)&c->disk.timer);
}

static bool is_short(struct coordinator *c, const char *dir)
{
	struct statvfs fs;
	uint64_t room;

	/* A folder that is not made yet, or a file system that does not say. */
	if (statvfs(dir, &fs) < 0 || !fs.f_blocks)
		return false;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room >= c->disk.reserve)
		return false;
	c->disk.room = room;
	free(c->disk.path);
	c->disk.path = xstrdup(dir);
	return true;
}

static bool look(struct coordinator *c)
{
	_cleanup_free_ char *slots = team_slots_dir(c);

	c->disk.looked_ms = time_mono_ms();
	return is_short(c, c->place.state_dir) || is_short(c, c->place.common_dir) ||
	       is_short(c, slots);
}

char *disk_story(const struct coordinator *c)
{
	if (!c->disk.low)
		return NULL;
	return xasprintf("nothing starts: %.1f MB are free at %s, less than the reserve of %.1f MB"
	                 " (free some disk space; it goes on by itself)",
	                 (double)c->disk.room / 1e6, c->disk.path, (double)c->disk.reserve / 1e6);
}

/* Part of whatever step the scheduler runs in: the event is stored with it. */
static void tell(struct coordinator *c, bool low)
{
	_cleanup_free_ char *story = NULL;
	json_t *data;

	c->disk.low = low;
	story = disk_story(c);
	if (low)
		log_warn("disk", "%s", story);
	else
		log_info("disk", "there is room again");
	data = json_pack("{s:b, s:s?}", "low", low, "message", story);
	store_event_add(c->store, "disk.changed", 0, 0, NULL, data);
	json_decref(data);
}

static int nothing_step(struct coordinator *c, void *context, struct error *err)
{
	(void)c;
	(void)context;
	(void)err;
	return 0;
}

/* A turn looks for what may start by itself. */
static void look_again(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;
	struct error err = ERROR_INIT;

	if (!look(c) && turn_step(c, nothing_step, NULL, &err) < 0)
		log_error("disk", "%s", err.text);
	if (c->disk.low)
		uv_timer_start(timer, look_again, AGAIN_MS, 0);
}

bool disk_has_room(struct coordinator *c)
{
	bool low = c->disk.low;

	if (!c->disk.looked_ms || time_mono_ms() - c->disk.looked_ms >= FRESH_MS)
		low = look(c);
	if (low != c->disk.low)
		tell(c, low);
	if (low && !uv_is_active((uv_handle_t *)&c->disk.timer))
		uv_timer_start(&c->disk.timer, look_again, AGAIN_MS, 0);
	return !low;
}
