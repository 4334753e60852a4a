/* Held requests: answered when what they wait for has happened. No one polls. */
#include <stdlib.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"

void held_add(struct coordinator *c, struct held held)
{
	struct held *h = xcalloc(1, sizeof *h);

	*h = held;
	h->next = c->held;
	c->held = h;
}

/* Tasks at rest: whether one of them is stuck, and which were to land by themselves and have not.
 */
struct rest {
	bool stuck;
	json_t *lands; /* [id] */
};

static bool has_to_land(struct coordinator *c, const struct task_row *row)
{
	if (row->status != TASK_COMPLETED || row->parent || row->landing == LANDING_LANDED ||
	    (row->landing == LANDING_NONE && !row->landing_detail))
		return false;
	return store_plan_lands(c->store, row->plan) & PLAN_LANDS_ALL;
}

/* Terminal, or stuck: nothing will move it but a person. */
static bool task_rests(struct coordinator *c, int64_t id, struct rest *rest)
{
	_cleanup_task_ struct task_row row = {0};
	_cleanup_free_ int64_t *roots = NULL;

	if (!store_task_get(c->store, id, &row))
		return true;
	if (task_status_is_terminal(row.status)) {
		if (has_to_land(c, &row))
			json_array_append_new(rest->lands, json_integer(id));
		return !landing_is_under_way(c, &row);
	}
	if (row.status == TASK_PENDING)
		roots = store_task_stuck_by(c->store, id);
	if (row.status == TASK_NEEDS_INPUT || (roots && roots[0]))
		return rest->stuck = true;
	return false;
}

static bool all_rest(struct coordinator *c, struct held *h, struct rest *rest)
{
	for (; h->tasks[h->at]; h->at++)
		if (!task_rests(c, h->tasks[h->at], rest))
			return false;
	return true;
}

static void put_tasks(struct coordinator *c, const struct held *h, struct buf *out)
{
	size_t count = 0;

	while (h->tasks[count])
		count++;
	for (size_t i = 0; i < count; i++)
		task_put(c, h->tasks[i], h->brief ? TASK_BRIEF : TASK_WHOLE, false, count, out);
}

/* New reference to the encoded answer, or NULL. */
static json_t *tasks_if_rest(struct coordinator *c, struct held *h)
{
	_cleanup_json_ json_t *lands = json_array();
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct rest rest = {.lands = lands};
	size_t from = h->at;

	/* Most looks end at the task of the last one; only the end is looked at whole, for a
	 * task may have been tried again meanwhile. */
	if (!all_rest(c, h, &rest))
		return NULL;
	if (from) {
		json_array_clear(lands);
		h->at = 0;
		if (!all_rest(c, h, &rest))
			return NULL;
	}
	jsonl_open(&out, NULL, '{');
	jsonl_open(&out, "tasks", '[');
	if (!h->unlisted)
		put_tasks(c, h, &out);
	jsonl_close(&out, ']');
	jsonl_put(&out, "stuck", json_boolean(rest.stuck));
	jsonl_put(&out, "lands", lands);
	jsonl_put_int(&out, "last", store_event_last(c->store));
	jsonl_close(&out, '}');
	return json_stringn_nocheck(out.data, out.len);
}

json_t *events_encoded(struct coordinator *c, int64_t since, int64_t limit)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int64_t seq;

	jsonl_open(&out, NULL, '{');
	jsonl_open(&out, "events", '[');
	seq = store_events_put(c->store, since, limit, &out);
	jsonl_close(&out, ']');
	jsonl_put_int(&out, "seq", seq);
	jsonl_put_int(&out, "last", store_event_last(c->store));
	jsonl_close(&out, '}');
	return json_stringn_nocheck(out.data, out.len);
}

/* Of one look at those who wait: what was encoded last. Many wait for the same events. */
struct events_text {
	int64_t since, limit;
	json_t *text; /* a string that holds it; NULL: none yet */
};

/* New reference to the encoded answer, or NULL. */
static json_t *events_if_any(struct coordinator *c, const struct held *h, struct events_text *last)
{
	if (store_event_last(c->store) <= h->since)
		return NULL;
	if (!last->text || last->since != h->since || last->limit != h->limit) {
		json_decref(last->text);
		*last =
		    (struct events_text){h->since, h->limit, events_encoded(c, h->since, h->limit)};
	}
	return json_incref(last->text);
}

static json_t *answer_if_given(struct coordinator *c, int64_t task, struct error *err)
{
	_cleanup_task_ struct task_row row = {0};

	if (!store_task_get(c->store, task, &row))
		return NULL;
	if (row.answer)
		return json_pack("{s:s}", "answer", row.answer);
	if (row.status != TASK_NEEDS_INPUT)
		error_set(err, ERROR_STALE, "%s is %s: nobody will answer", row.key,
		          task_status_word(row.status));
	return NULL;
}

/* Released means let go of: by then the tasks are pending again. Who leaves the team, but works on
 * what nobody told to end, is not waited for. */
static json_t *released_if_ended(struct coordinator *c, const struct held *h)
{
	json_t *name;
	size_t i;

	for (i = 0; h->tasks[i]; i++) {
		_cleanup_attempt_ struct attempt_row row = {0};

		if (store_attempt_get(c->store, h->tasks[i], &row) && row.outcome == OUTCOME_NONE)
			return NULL;
	}
	json_array_foreach (h->note, i, name) {
		const struct teammate *t = team_find(c, json_string_value(name));

		if (t && t->removing && !store_attempt_running_of(c->store, t->name))
			return NULL;
	}
	return json_object();
}

/* Cancelled, or just done when it was told to end, it is not pending again. */
static json_t *released_keys(struct coordinator *c, const int64_t *attempts)
{
	json_t *keys = json_array();

	for (size_t i = 0; attempts[i]; i++) {
		_cleanup_attempt_ struct attempt_row attempt = {0};
		_cleanup_task_ struct task_row row = {0};

		if (store_attempt_get(c->store, attempts[i], &attempt) &&
		    store_task_get(c->store, attempt.task, &row) && row.status == TASK_PENDING)
			json_array_append_new(keys, json_string(row.key));
	}
	return keys;
}

static json_t *down_if_idle(struct coordinator *c, const struct held *h)
{
	_cleanup_free_ int64_t *running = store_attempts_running(c->store);

	if (running[0] || landings_busy(c))
		return NULL;
	judges_cancel(c);
	return judges_busy() ? NULL : json_pack("{s:o}", "released", released_keys(c, h->tasks));
}

static json_t *held_result(struct coordinator *c, struct held *h, struct events_text *last,
                           struct error *err)
{
	switch (h->kind) {
	case HELD_TASKS:
		return tasks_if_rest(c, h);
	case HELD_EVENTS:
		return events_if_any(c, h, last);
	case HELD_CHANGES:
		return run_changes_text(c, h, err);
	case HELD_ANSWER:
		return answer_if_given(c, h->tasks[0], err);
	case HELD_RELEASE:
		return released_if_ended(c, h);
	case HELD_DOWN:
		return down_if_idle(c, h);
	case HELD_HOOK:
		return hook_result(c, h, err);
	}
	return NULL;
}

static void held_free(struct held *h)
{
	json_decref(h->note);
	free(h->tasks);
	free(h);
}

static bool down_is_wanted(const struct coordinator *c)
{
	for (const struct held *h = c->held; h; h = h->next)
		if (h->kind == HELD_DOWN && (h->now || h->later->conn))
			return true;
	return false;
}

bool held_prepare(struct coordinator *c)
{
	struct events_text last = {0};
	bool any = false;

	for (struct held *h = c->held; h; h = h->next) {
		json_t *text = h->kind == HELD_EVENTS && h->later->conn && h->later->id
		                   ? events_if_any(c, h, &last)
		                   : NULL;

		if (text)
			h->ready = rpc_peer_prepare_text(h->later->conn->peer, h->later->id, text);
		any = any || h->ready;
		json_decref(text);
	}
	json_decref(last.text);
	return any;
}

/* The next events get the numbers of those that are undone. */
void held_unprepare(struct coordinator *c)
{
	for (struct held *h = c->held; h; h = h->next) {
		if (h->ready)
			rpc_peer_take_back(h->later->conn->peer, h->ready);
		h->ready = 0;
	}
}

bool held_send_prepared(struct coordinator *c)
{
	bool any = false;

	for (struct held **at = &c->held; *at;) {
		struct held *h = *at;

		if (!h->ready || !h->later->conn) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		rpc_peer_send_prepared(h->later->conn->peer);
		later_done(h->later);
		held_free(h);
		any = true;
	}
	return any;
}

static bool is_encoded(enum held_kind kind)
{
	return kind == HELD_TASKS || kind == HELD_EVENTS || kind == HELD_CHANGES;
}

void held_check(struct coordinator *c)
{
	bool was_draining = c->draining;
	struct events_text last = {0};

	for (struct held **at = &c->held; *at;) {
		struct held *h = *at;
		struct error err = ERROR_INIT;
		bool wanted = h->later->conn || (h->kind == HELD_DOWN && h->now);
		json_t *result;

		result = wanted ? held_result(c, h, &last, &err) : NULL;
		if (!result && err.code == ERROR_NONE && wanted) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		if (err.code != ERROR_NONE)
			later_fail(c, h->later, &err);
		else if (result && is_encoded(h->kind))
			later_reply_text(c, h->later, result, h->kind != HELD_TASKS);
		else
			later_reply(c, h->later, result);
		if (h->kind == HELD_HOOK && !wanted)
			hook_gone(c, h);
		if (h->kind == HELD_DOWN && wanted)
			serve_end(c);
		else if (h->kind == HELD_DOWN) /* who waited for it thought better of it */
			c->draining = down_is_wanted(c);
		held_free(h);
	}
	json_decref(last.text);
	if (was_draining && !c->draining) /* judges that were not asked meanwhile */
		judges_resume(c);
}
