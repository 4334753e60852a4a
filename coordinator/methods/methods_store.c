/* What is asked of the store itself: its events, and a snapshot of it. */
#include <stdlib.h>
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"

#define EVENTS_MAX 10000 /* of one answer */

int method_event_list(struct request *r, struct error *err)
{
	int64_t limit = json_int(r->params, "limit", 1000);
	struct held held = {.kind = HELD_EVENTS};

	(void)err;
	held.since = json_int(r->params, "since", 0);
	held.limit = limit < 1 || limit > EVENTS_MAX ? EVENTS_MAX : limit;
	if (json_flag(r->params, "wait")) {
		held.later = request_later(r);
		held_add(r->c, held);
		return 0;
	}
	request_reply_text(r, events_encoded(r->c, held.since, held.limit), false);
	return 0;
}

struct snapshot {
	struct later *later;
	char *file;
};

static void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->file);
	free(snapshot);
}

static void snapshot_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct snapshot *snapshot = context;

	later_fail(c, snapshot->later, why ? why : &gitq_undone);
	snapshot_free(snapshot);
}

/* Outside of any transaction, as VACUUM wants it. */
static void snapshot_run(struct coordinator *c, void *context)
{
	struct snapshot *snapshot = context;
	struct error err = ERROR_INIT;

	if (store_snapshot(c->store, snapshot->file, &err) < 0)
		later_fail(c, snapshot->later, &err);
	else
		later_reply(c, snapshot->later, json_pack("{s:s}", "file", snapshot->file));
	snapshot_free(snapshot);
}

int method_store_snapshot(struct request *r, struct error *err)
{
	const char *file = json_text(r->params, "file");
	struct snapshot *snapshot;

	if (!file || file[0] != '/')
		return error_set(err, ERROR_INVALID, "store snapshot: FILE is missing");
	if (access(file, F_OK) == 0)
		return error_set(err, ERROR_CONFLICT, "%s exists (remove it, or name another)",
		                 file);
	snapshot = xcalloc(1, sizeof *snapshot);
	snapshot->file = xstrdup(file);
	snapshot->later = request_later(r);
	turn_alone(r->c, snapshot_run, snapshot_drop, snapshot);
	return 0;
}
