/* What workers say, and what they are told. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "rpc.h"
#include "text.h"

void worker_link_lost(struct coordinator *c, struct teammate *t)
{
	if (t->conn)
		t->conn->teammate = NULL;
	t->conn = NULL;
	if (t->idle) {
		struct later *later = t->idle;

		t->idle = NULL;
		later_reply(c, later, NULL);
	}
	teammate_changed(c, t);
}

/* One worker a teammate: another live one is refused, a dead one's place is taken. */
static int admit(struct coordinator *c, struct request *r, struct teammate *t, struct error *err)
{
	struct ucred who;
	uint64_t start_time = 0;

	rpc_peer_credentials(r->conn->peer, &who);
	if (t->proc.pid && t->proc.pid != who.pid && proc_alive(t->proc.pid, t->proc.start_time))
		return error_set(err, ERROR_STALE, "teammate %s has another worker (%d)", t->name,
		                 (int)t->proc.pid);
	/* Dead, and we have not heard of it yet: what it ran is lost first. */
	if (t->sweeping || (t->proc.pid && t->proc.pid != who.pid))
		return error_set(err, ERROR_BUSY, "teammate %s is being cleaned up after", t->name);
	if (proc_start_time(who.pid, &start_time) < 0)
		return error_set(err, ERROR_STALE, "worker %d is gone", (int)who.pid);
	team_watch(c, t, who.pid, start_time);
	if (!t->proc.pid)
		return error_set(err, ERROR_STALE, "worker %d is gone", (int)who.pid);
	store_team_set_process(c->store, t->name, who.pid, (int64_t)start_time, c->boot);
	return 0;
}

/* What a worker that comes (back) does with what it runs. */
static const char *order_for(struct coordinator *c, struct teammate *t, int64_t attempt)
{
	_cleanup_attempt_ struct attempt_row row = {0};

	if (!attempt)
		return "next";
	if (!store_attempt_get(c->store, attempt, &row) || strcmp(row.teammate, t->name) != 0 ||
	    finish_is_ours(row.outcome))
		return "stale";
	return "resume";
}

/* After a resume: what it missed while nobody was here. */
static void resumed_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	_cleanup_task_ struct task_row task = {0};
	struct teammate *t = team_find(c, name);

	if (!t || !t->conn || !t->attempt)
		return;
	if (!store_task_get(c->store, t->task, &task) || task.attempt != t->attempt ||
	    task.status == TASK_CANCELLED || t->released == t->attempt)
		stop_tell(c, t, t->attempt, t->released == t->attempt ? "released" : "cancelled");
	else {
		teammate_notify(
		    t, task.status == TASK_NEEDS_INPUT ? "attempt.asked" : "attempt.answered",
		    json_pack("{s:I}", "attempt", (json_int_t)t->attempt));
		messages_deliver(c, t);
		hooks_ask_again(c, t);
	}
	if (t->removing && !t->attempt)
		teammate_notify(t, "worker.exit", json_object());
}

void worker_listen_to(struct coordinator *c, struct teammate *t)
{
	_cleanup_free_ char *url = xasprintf("ipc://%s/b-%s", c->place.runtime_dir, t->name);
	struct error err = ERROR_INIT;

	if (t->heard_by_bus || !c->bus_sub)
		return;
	t->heard_by_bus = bus_sub_dial(c->bus_sub, url, &err) == 0;
	if (!t->heard_by_bus)
		log_warn("bus", "teammate=%s %s", t->name, err.text);
}

int worker_hello(struct request *r, struct error *err)
{
	struct coordinator *c = r->c;
	const char *name = json_text(r->params, "teammate");
	struct teammate *t = name ? team_find(c, name) : NULL;
	int64_t attempt = json_int(r->params, "attempt", 0);
	_cleanup_attempt_ struct attempt_row row = {0};
	_cleanup_task_ struct task_row task = {0};
	const char *order;

	if (r->conn->role != ROLE_NONE)
		return error_set(err, ERROR_INVALID, "hello is said once");
	if (!t || !token_is_worker(&c->secret, name, json_text(r->params, "token")))
		return error_set(err, ERROR_STALE, "no such teammate, or not its worker");
	if (admit(c, r, t, err) < 0)
		return -1;
	if (t->conn)
		t->conn->teammate = NULL;
	t->conn = r->conn;
	t->heard_ms = time_mono_ms();
	worker_listen_to(c, t);
	r->conn->role = ROLE_WORKER;
	r->conn->teammate = t;
	order = order_for(c, t, attempt);
	if (strcmp(order, "resume") == 0 && store_attempt_get(c->store, attempt, &row) &&
	    store_task_get(c->store, row.task, &task)) {
		if (row.outcome == OUTCOME_NONE)
			teammate_set_task(t, attempt, row.task, task.key);
	}
	free(t->phase);
	t->phase = xstrdup(json_text(r->params, "phase"));
	log_info("link", "teammate=%s attempt=%lld hello: %s", name, (long long)attempt, order);
	request_reply(r, json_pack("{s:i, s:s, s:i, s:s, s:s}", "protocol", RPC_PROTOCOL, "version",
	                           PLEACH_VERSION, "pid", (int)getpid(), "store", c->place.id,
	                           "order", order));
	turn_effect(c, resumed_effect, NULL, xstrdup(name));
	teammate_changed(c, t);
	return 0;
}

static void exit_if_leaving(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);

	if (!t || (!t->removing && !c->ending) || t->attempt)
		return;
	store_settle(c->store);
	teammate_notify(t, "worker.exit", json_object());
}

static void freed_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);

	if (t && t->attempt && store_attempt_running_of(c->store, t->name) != t->attempt) {
		teammate_set_task(t, 0, 0, NULL);
		teammate_changed(c, t);
	}
}

/* An attempt of this teammate that its worker does not run: it was stored, never delivered.
 * When its task was cancelled meanwhile there is nothing left to deliver. */
static int64_t deliverable(struct coordinator *c, struct teammate *t)
{
	int64_t attempt = store_attempt_running_of(c->store, t->name);
	_cleanup_attempt_ struct attempt_row row = {0};
	_cleanup_task_ struct task_row task = {0};

	if (!attempt || !store_attempt_get(c->store, attempt, &row) ||
	    !store_task_get(c->store, row.task, &task))
		return 0;
	if (task.attempt == attempt && !c->draining &&
	    (task.status == TASK_IN_PROGRESS || task.status == TASK_NEEDS_INPUT))
		return attempt;
	finish_lost(c, attempt, NULL, true);
	return 0;
}

/* What it finished is in the store. Where no assignment says so, it is told by itself: what it
 * wrote down while nobody was here is not needed any more. */
static void recorded_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);

	if (!t || !t->idle || !t->finished || store_attempt_running_of(c->store, t->name))
		return;
	store_settle(c->store);
	teammate_notify(t, "attempt.recorded", t->finished);
	t->finished = NULL;
}

/* The turn was undone: the worker asks again, with its result. */
static void next_drop(struct coordinator *c, void *context, const struct error *why)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);
	struct later *later = t ? t->idle : NULL;

	if (!later)
		return;
	t->idle = NULL;
	later_fail(c, later, why ? why : &gitq_undone);
}

int method_worker_next(struct request *r, struct error *err)
{
	struct coordinator *c = r->c;
	struct teammate *t = r->conn->teammate;
	const json_t *result = json_sub(r->params, "result");
	enum task_status status = TASK_PENDING;
	bool accepted = false;
	int64_t attempt;

	if (!t)
		return error_set(err, ERROR_STALE, "this worker was replaced");
	t->heard_ms = time_mono_ms();
	t->takes_early = json_flag(r->params, "early");
	if (result && finish_apply(c, result, &accepted, &status, err) < 0)
		return -1;
	turn_inner_effect(c, freed_effect, NULL, xstrdup(t->name));
	if (result) {
		t->backoff_ms = TEAM_BACKOFF_FIRST_MS; /* it works */
		json_decref(t->finished);
		t->finished = json_pack("{s:I, s:b, s:s}", "attempt",
		                        (json_int_t)json_int(result, "attempt", 0), "accepted",
		                        accepted, "status", task_status_word(status));
	}
	attempt = deliverable(c, t);
	if (t->idle)
		later_reply(c, t->idle, NULL);
	t->idle = request_later(r);
	turn_inner_effect(c, recorded_effect, next_drop, xstrdup(t->name));
	if (attempt)
		worker_deliver_later(c, t, attempt); /* stored before, never delivered */
	else
		turn_inner_effect(c, exit_if_leaving, NULL, xstrdup(t->name));
	return 0;
}

int method_attempt_finish(struct request *r, struct error *err)
{
	enum task_status status = TASK_PENDING;
	bool accepted = false;

	if (finish_apply(r->c, r->params, &accepted, &status, err) < 0)
		return -1;
	request_reply(
	    r, json_pack("{s:b, s:s}", "accepted", accepted, "status", task_status_word(status)));
	if (r->conn->teammate)
		turn_effect(r->c, freed_effect, NULL, xstrdup(r->conn->teammate->name));
	return 0;
}

/* What it used, and what its service says, while it runs. */
static void note_limits(struct coordinator *c, int64_t attempt, const json_t *said)
{
	const char *state = json_text(said, "state");
	const json_t *usage = json_sub(said, "usage");
	bool limited = state && strcmp(state, "limited") == 0;
	_cleanup_attempt_ struct attempt_row row = {0};

	if ((!usage && !limited && !store_hold_any(c->store)) ||
	    !store_attempt_get(c->store, attempt, &row))
		return;
	budget_used(c, &row, usage);
	if (limited)
		limited_note(c, &row, text_parse_time(json_text(said, "until")),
		             json_text(said, "message"));
	else if (state && strcmp(state, "working") == 0 && limited_by(c, attempt))
		limited_over(c, &row);
}

int method_attempt_state(struct request *r, struct error *err)
{
	struct teammate *t = r->conn->teammate;
	int64_t attempt = json_int(r->params, "attempt", 0);
	const char *phase = json_text(r->params, "phase");
	_cleanup_attempt_ struct attempt_row row = {0};

	if (!t || attempt != t->attempt)
		return error_set(err, ERROR_STALE, "not this worker's attempt");
	t->heard_ms = time_mono_ms();
	free(t->phase);
	t->phase = xstrdup(phase);
	if (session_is_told(r->params) && store_attempt_get(r->c->store, attempt, &row) &&
	    row.outcome == OUTCOME_NONE)
		session_note(r->c, &row, r->params);
	note_limits(r->c, attempt, r->params);
	if (agent_state_take(r->c, t, r->params, err) < 0)
		return -1;
	teammate_changed(r->c, t);
	return 0;
}
