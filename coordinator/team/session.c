/* Sessions of agents: which one the next attempt goes on with, what workers tell of them. An
 * attempt that continues another is an attempt of its own, with its own fence: only what its agent
 * remembers, and the state that its slot begins with, come from the other one. Starts nothing. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "session.h"
#include "text.h"

#define ROUNDS_MAX   100  /* proofs of one attempt that are kept */
#define RESERVED_MAX 256  /* delayed tasks that are looked at in a turn */
#define RESERVE_MS   5000 /* a longer back-off keeps nobody from other work */
#define WAIT_BACKOFF 2000 /* ms: a worker that needs longer to come back is not waited for */

/* ---- what the next attempt continues ---- */

/* An attempt that died before its slot was ready stands where the one stood that it continues. */
static bool go_back(struct coordinator *c, struct attempt_row *row)
{
	_cleanup_json_ json_t *continues =
	    row->continues ? jsonl_parse(row->continues, strlen(row->continues), NULL) : NULL;
	int64_t id = json_int(continues, "attempt", 0);

	if (!json_text(continues, "head") || json_flag(continues, "refused") || id >= row->id)
		return false;
	attempt_row_finish(row);
	return store_attempt_get(c->store, id, row);
}

/* The attempt that a task goes on with, and why; false: it begins anew. */
static bool find_previous(struct coordinator *c, const struct task_row *task,
                          struct attempt_row *out, const char **why)
{
	int64_t id = task->resume > 0 ? task->resume : task->attempt;

	if (task->resume < 0 || !id || !store_attempt_get(c->store, id, out))
		return false;
	*why = task->resume > 0 ? "asked" : "interrupted";
	if (task->resume <= 0 && out->outcome != OUTCOME_LOST && out->outcome != OUTCOME_RELEASED &&
	    out->error_code != TASK_ERROR_LIMIT && out->error_code != TASK_ERROR_BUDGET)
		return false;
	while (!out->head && !task->slot_none)
		if (!go_back(c, out))
			return false;
	return out->session != NULL;
}

static char *continues_json(const struct attempt_row *previous, const char *why)
{
	bool keep = strcmp(why, "keep") == 0;
	_cleanup_json_ json_t *json =
	    json_pack("{s:I, s:s, s:s?, s:s}", "attempt", (json_int_t)previous->id, "session",
	              previous->session, "head", keep ? NULL : previous->head, "why", why);

	return jsonl_text(json);
}

static void take(struct session_start *out, const struct attempt_row *previous, const char *why)
{
	out->session = xstrdup(previous->session);
	out->continues = continues_json(previous, why);
	out->base = strcmp(why, "keep") == 0 ? NULL : xstrdup(previous->base);
}

/* The session of a task's own last attempt. */
static bool continue_task(struct coordinator *c, const struct task_row *task,
                          const struct attempt_row *next, struct session_start *out)
{
	_cleanup_attempt_ struct attempt_row previous = {0};
	const char *why;

	if (!find_previous(c, task, &previous, &why) ||
	    store_session_in_use(c->store, previous.session) ||
	    !text_is_same(previous.agent, next->agent) ||
	    !text_is_same(previous.model, next->model))
		return false;
	/* Nobody asked for it, and it starts from something else by now. */
	if (strcmp(why, "interrupted") == 0 && !text_is_same(previous.base, next->base))
		return false;
	take(out, &previous, why);
	return true;
}

/* The session of what a lasting teammate did last. */
static bool continue_teammate(struct coordinator *c, const struct teammate *t,
                              const struct attempt_row *next, struct session_start *out)
{
	_cleanup_attempt_ struct attempt_row last = {0};

	if (!store_attempt_get(c->store, store_attempt_newest_of(c->store, t->name), &last) ||
	    !last.session || last.outcome == OUTCOME_NONE ||
	    !text_is_same(last.agent, next->agent) || !text_is_same(last.model, next->model) ||
	    !text_is_same(last.slot, next->slot) || store_session_in_use(c->store, last.session))
		return false;
	take(out, &last, "keep");
	return true;
}

bool session_may_continue(const struct task_row *task, const struct teammate *t)
{
	return (task->attempt && task->resume >= 0) || t->keep_session;
}

bool session_continue(struct coordinator *c, const struct task_row *task, const struct teammate *t,
                      const struct attempt_row *next, const json_t *profile,
                      struct session_start *out)
{
	if (!session_can_resume(profile))
		return false;
	return continue_task(c, task, next, out) ||
	       (t->keep_session && continue_teammate(c, t, next, out));
}

void session_start_finish(struct session_start *start)
{
	free(start->session);
	free(start->continues);
	free(start->base);
}

/* Agents find their sessions by the directory they run in: the same slot, as long as it is there
 * and nothing else is done in it. */
enum session_place session_place(struct coordinator *c, const struct ready_row *ready,
                                 struct teammate **out)
{
	_cleanup_attempt_ struct attempt_row previous = {0};
	_cleanup_task_ struct task_row task = {0};
	const char *why;
	struct teammate *t;

	if (!ready->attempt || !store_task_get(c->store, ready->id, &task) ||
	    !find_previous(c, &task, &previous, &why))
		return SESSION_ANYWHERE;
	t = team_find(c, previous.teammate);
	if (!t || t->removing ||
	    (t->agent && ready->agent && !text_is_same(t->agent, ready->agent)))
		return SESSION_ANYWHERE;
	*out = t;
	if (t->conn && t->idle && !t->paused)
		return SESSION_THERE;
	if (strcmp(why, "asked") == 0)
		return SESSION_LATER;
	/* It comes back in a moment, unless it does not. */
	return !t->attempt && !t->paused && t->backoff_ms <= WAIT_BACKOFF &&
	               (t->proc.pid || t->sweeping || uv_is_active((uv_handle_t *)&t->timer))
	           ? SESSION_LATER
	           : SESSION_ANYWHERE;
}

void session_reserve(struct coordinator *c)
{
	_cleanup_free_ int64_t *tasks = store_tasks_delayed(c->store);

	for (struct teammate *t = c->team.first; t; t = t->next)
		t->reserved = false;
	for (size_t i = 0; tasks[i] && i < RESERVED_MAX; i++) {
		_cleanup_attempt_ struct attempt_row previous = {0};
		_cleanup_task_ struct task_row task = {0};
		struct teammate *t;
		const char *why;

		if (!store_task_get(c->store, tasks[i], &task) || task.delay_ms > RESERVE_MS ||
		    task.stopped || !find_previous(c, &task, &previous, &why))
			continue;
		t = team_find(c, previous.teammate);
		if (t)
			t->reserved = true;
	}
}

json_t *session_resume_json(struct coordinator *c, const struct attempt_row *attempt)
{
	json_t *resume = attempt->continues
	                     ? jsonl_parse(attempt->continues, strlen(attempt->continues), NULL)
	                     : NULL;
	struct usage_sum used;
	_cleanup_attempt_ struct attempt_row previous = {0};

	if (!resume || json_flag(resume, "refused") ||
	    !store_attempt_get(c->store, json_int(resume, "attempt", 0), &previous)) {
		json_decref(resume);
		return json_null();
	}
	json_object_set_new(resume, "error", json_text_or_null(previous.error_message));
	used = store_usage_of_session(c->store, json_text(resume, "session"), attempt->id);
	json_object_set_new(resume, "used", store_usage_json(&used));
	return resume;
}

/* ---- asked by a person ---- */

int session_check(struct coordinator *c, const struct task_row *task, struct error *err)
{
	_cleanup_attempt_ struct attempt_row last = {0};
	_cleanup_json_ json_t *profile = NULL;
	_cleanup_free_ char *name = task_typed(c, task);

	if (!task->attempt || !store_attempt_get(c->store, task->attempt, &last))
		return error_set(err, ERROR_CONFLICT,
		                 "%s has not run yet: there is no session to go on with (pleach "
		                 "retry %s)",
		                 task->key, name);
	profile = attempt_profile(c, task, last.agent, team_find(c, last.teammate));
	if (!session_can_resume(profile))
		return error_set(err, ERROR_INVALID,
		                 "agent %s of %s has no way to go on with a session (its profile "
		                 "has no resume:; pleach retry %s begins anew)",
		                 last.agent ? last.agent : "?", task->key, name);
	if (!last.session)
		return error_set(err, ERROR_CONFLICT,
		                 "attempt %lld of %s told no session to go on with (pleach retry "
		                 "%s begins anew)",
		                 (long long)last.id, task->key, name);
	if (!last.head && !task->slot_none)
		return error_set(
		    err, ERROR_CONFLICT,
		    "nothing is kept of attempt %lld of %s to go on from (pleach retry "
		    "%s begins anew)",
		    (long long)last.id, task->key, name);
	if (store_session_in_use(c->store, last.session))
		return error_set(err, ERROR_BUSY,
		                 "the session of attempt %lld of %s is in use by another task",
		                 (long long)last.id, task->key);
	return 0;
}

/* ---- what workers tell ---- */

static void note_session(struct coordinator *c, struct attempt_row *row, const json_t *said)
{
	const char *session = json_text(said, "session");

	if (!session || !session_is_id(session) || text_is_same(session, row->session))
		return;
	free(row->session);
	row->session = xstrdup(session);
	store_attempt_set_session(c->store, row->id, row->session, row->continues);
}

/* The agent did not know the session any more, and began a new one. */
static void note_refused(struct coordinator *c, struct attempt_row *row, const json_t *said)
{
	const char *why = json_text(said, "refused");
	_cleanup_json_ json_t *continues =
	    why && row->continues ? jsonl_parse(row->continues, strlen(row->continues), NULL)
	                          : NULL;
	json_t *data;

	if (!continues || json_flag(continues, "refused"))
		return;
	json_object_set_new(continues, "refused", json_true());
	free(row->continues);
	row->continues = jsonl_text(continues);
	store_attempt_set_session(c->store, row->id, row->session, row->continues);
	data = json_pack("{s:O, s:O, s:s}", "session", json_object_get(continues, "session"),
	                 "continues", json_object_get(continues, "attempt"), "message", why);
	store_event_add(c->store, "session.refused", row->task, row->id, row->teammate, data);
	json_decref(data);
	log_warn("session", "task=%lld attempt=%lld teammate=%s session not continued",
	         (long long)row->task, (long long)row->id, row->teammate);
}

/* Said again after each reconnect: what is known is passed over. */
static void note_rounds(struct coordinator *c, struct attempt_row *row, const json_t *said)
{
	const json_t *rounds = json_sub(said, "rounds");
	_cleanup_json_ json_t *known =
	    row->rounds ? jsonl_parse(row->rounds, strlen(row->rounds), NULL) : json_array();
	size_t had = json_array_size(known), n = json_array_size(rounds);

	if (n <= had || n > ROUNDS_MAX)
		return;
	for (size_t i = had; i < n; i++) {
		json_t *proof = json_array_get(rounds, i);

		json_array_append(known, proof);
		store_event_add(c->store, "attempt.verified", row->task, row->id, row->teammate,
		                proof);
	}
	free(row->rounds);
	row->rounds = jsonl_text(known);
	store_attempt_set_rounds(c->store, row->id, row->rounds);
}

void session_note(struct coordinator *c, struct attempt_row *row, const json_t *said)
{
	note_refused(c, row, said);
	note_session(c, row, said);
	note_rounds(c, row, said);
}

bool session_is_told(const json_t *said)
{
	return json_text(said, "session") || json_text(said, "refused") || json_sub(said, "rounds");
}
