/* `status`: what stands, for people and programs. */
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

static json_t *waiting_tasks(struct coordinator *c)
{
	_cleanup_free_ int64_t *ids = store_tasks_with_status(c->store, TASK_NEEDS_INPUT);
	json_t *tasks = json_array();

	for (size_t i = 0; ids[i]; i++)
		json_array_append_new(tasks, store_task_json(c->store, ids[i]));
	return tasks;
}

int method_status(struct request *r, struct error *err)
{
	struct coordinator *c = r->c;
	_cleanup_free_ char *bus = xasprintf("ipc://%s/bus", c->place.runtime_dir);
	_cleanup_free_ char *disk = disk_story(c);
	char started[32];

	(void)err;
	text_format_time(c->started_at, started);
	request_reply(r,
	              json_pack("{s:{s:i, s:s, s:s, s:o, s:s, s:b, s:s?}, s:o, s:o, s:o, s:o, s:o}",
	                        "coordinator", "pid", (int)getpid(), "version", PLEACH_VERSION,
	                        "started_at", started, "tmux",
	                        json_text_or_null(c->views ? views_socket(c->views) : NULL), "bus",
	                        bus, "draining", c->draining, "disk", disk, "tasks",
	                        store_status_counts(c->store, 0), "teammates", team_json(c),
	                        "plans", store_plan_list(c->store), "waiting", waiting_tasks(c),
	                        "landings", landings_json(c)));
	return 0;
}
