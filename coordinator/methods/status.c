/* `status`: what stands, for people and programs. */
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define UNLANDED_MAX 200
#define FAILURES_MAX 20

static json_t *waiting_tasks(struct coordinator *c)
{
	_cleanup_free_ int64_t *ids = store_tasks_that_ask(c->store);
	json_t *tasks = json_array();

	for (size_t i = 0; ids[i]; i++)
		json_array_append_new(tasks, task_tree(c, ids[i], TASK_WHOLE));
	return tasks;
}

/* What a person has to look at before it can land: nobody is at work to resolve it. */
static json_t *unlanded_tasks(struct coordinator *c)
{
	_cleanup_free_ int64_t *ids = store_tasks_unlanded(c->store, UNLANDED_MAX);
	json_t *tasks = json_array();

	for (size_t i = 0; ids[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (store_task_get(c->store, ids[i], &row) && !landing_is_under_way(c, &row))
			json_array_append_new(tasks, task_tree(c, ids[i], TASK_BRIEF));
	}
	return tasks;
}

/* Failed and not gone on with since: the newest of them, and how many there are. */
static json_t *failures(struct coordinator *c)
{
	json_int_t count = store_tasks_failed_count(c->store);
	_cleanup_free_ int64_t *ids = count ? store_tasks_failed(c->store, FAILURES_MAX) : NULL;
	json_t *tasks = json_array();

	for (size_t i = 0; ids && ids[i]; i++) /* they are sorted, which costs more than the rest */
		json_array_append_new(tasks, task_tree(c, ids[i], TASK_BRIEF));
	return json_pack("{s:o, s:I}", "tasks", tasks, "count", count);
}

static int notice_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	store_set_setting(c->store, "notice", context);
	return 0;
}

void notice_set(struct coordinator *c, const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	struct error err = ERROR_INIT;

	log_warn("notice", "%s", text);
	if (turn_step(c, notice_step, copy, &err) < 0)
		log_error("notice", "%s", err.text);
}

int method_status(struct request *r, struct error *err)
{
	struct coordinator *c = r->c;
	_cleanup_free_ char *bus = xasprintf("ipc://%s/bus", c->place.runtime_dir);
	_cleanup_free_ char *disk = disk_story(c);
	_cleanup_free_ char *base = base_story();
	_cleanup_free_ char *notice = store_setting(c->store, "notice");
	char started[32];

	(void)err;
	text_format_time(c->started_at, started);
	request_reply(
	    r,
	    json_pack(
	        "{s:{s:i, s:s, s:s, s:o, s:s, s:b, s:s?, s:s?}, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
	        " s:o, s:o, s:o, s:I}",
	        "coordinator", "pid", (int)getpid(), "version", PLEACH_VERSION, "started_at",
	        started, "tmux", json_text_or_null(c->views ? views_socket(c->views) : NULL), "bus",
	        bus, "draining", c->draining, "disk", disk ? disk : base, "notice",
	        notice && *notice ? notice : NULL, "tasks", store_status_counts(c->store, 0),
	        "teammates", team_json(c), "plans", store_plan_list(c->store), "waiting",
	        waiting_tasks(c), "unlanded", unlanded_tasks(c), "failures", failures(c),
	        "landings", landings_json(c), "held", landing_holds_json(c), "limited",
	        limited_json(c), "budgets", budget_near_json(c), "unread",
	        (json_int_t)store_message_unread(c->store)));
	return 0;
}
