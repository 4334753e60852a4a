/* What `run` and `try` ask while they follow their tasks. */
#include <stdlib.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"

#define CHANGES_MAX 100 /* tasks of one answer */

int method_run_changes(struct request *r, struct error *err)
{
	int64_t limit = json_int(r->params, "limit", CHANGES_MAX);
	struct held held = {.kind = HELD_CHANGES};

	if (resolve_plan(r->c, json_text(r->params, "plan"), &held.plan, err) < 0)
		return -1;
	held.since = json_int(r->params, "since", 0);
	held.limit = limit < 1 || limit > CHANGES_MAX ? CHANGES_MAX : limit;
	held.lean = json_flag(r->params, "lean");
	held.later = request_later(r);
	held_add(r->c, held);
	return 0;
}

json_t *run_changes_text(struct coordinator *c, const struct held *h, struct error *err)
{
	enum task_view of = h->lean ? TASK_LINE : TASK_BRIEF;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct changes changes;

	if (store_event_last(c->store) <= h->since)
		return NULL;
	store_changes(c->store, h->plan, h->since, (size_t)h->limit, &changes);
	jsonl_open(&out, NULL, '{');
	jsonl_open(&out, "tasks", '[');
	for (size_t i = 0; changes.tasks[i]; i++) {
		if (task_put(c, changes.tasks[i], of, true, SIZE_MAX, &out))
			continue;
		/* what cannot be read now must not be passed over */
		changes_finish(&changes);
		error_set(err, ERROR_BUSY, "a task that changed cannot be read");
		return NULL;
	}
	jsonl_close(&out, ']');
	jsonl_open(&out, "events", '[');
	buf_add(&out, changes.events.data, changes.events.len);
	jsonl_close(&out, ']');
	jsonl_put_int(&out, "seq", changes.seq);
	jsonl_put_int(&out, "last", store_event_last(c->store));
	jsonl_close(&out, '}');
	changes_finish(&changes);
	return json_stringn_nocheck(out.data, out.len);
}

int method_run_release(struct request *r, struct error *err)
{
	const json_t *ids = json_sub(r->params, "ids");
	int64_t *attempts = xcalloc(json_array_size(ids) + 1, sizeof *attempts);
	size_t i, n = 0;
	json_t *item;

	(void)err;
	json_array_foreach (ids, i, item) {
		int64_t task = json_integer_value(item);
		int64_t attempt = store_attempt_running_task(r->c->store, task);

		/* Whoever stays in the team would take it up again at once. */
		store_task_stop(r->c->store, task);
		if (!attempt)
			continue;
		stop_release(r->c, attempt);
		attempts[n++] = attempt;
	}
	json_array_foreach (json_sub(r->params, "team"), i, item) {
		const char *name = json_string_value(item);
		struct teammate *t = name ? team_find(r->c, name) : NULL;

		if (t)
			team_remove(r->c, t, false);
	}
	held_add(r->c, (struct held){.kind = HELD_RELEASE,
	                             .later = request_later(r),
	                             .tasks = attempts,
	                             .note = json_incref(json_object_get(r->params, "team"))});
	return 0;
}
