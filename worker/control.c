/* The worker's side of the control plane: what it says, and what it makes of what it hears.
 * A result is said again after every reconnect until the coordinator has confirmed it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "place.h"
#include "rpc.h"
#include "worker.h"

/* A phase is told a moment later, together with what follows soon: an agent that ends at
 * once costs one message to the coordinator's loop, not three. */
#define STATE_DELAY_MS 10
#define STATE_MEMBERS  4    /* of a state that tells of a phase alone (attempt_tell) */
#define UNTOLD_MAX     1000 /* notifications that wait for the coordinator; the oldest go first */

static const char *state_phase(const json_t *state)
{
	const char *phase = json_text(state, "phase");

	return phase ? phase : "";
}

static void send_state(struct worker *w)
{
	uv_timer_stop(&w->state_timer);
	if (!w->state)
		return;
	if (w->peer && w->link >= LINK_READY)
		rpc_peer_notify(w->peer, "attempt.state", w->state);
	else
		json_decref(w->state); /* hello says the phase */
	w->state = NULL;
}

static void state_due(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	send_state(w);
	if (w->attempt)
		attempt_goes_on(w->attempt);
}

/* That an agent began, and no more: it ended since, and what follows says it all. */
static bool says_little(const json_t *state)
{
	return json_object_size(state) == STATE_MEMBERS;
}

void control_state(struct worker *w, json_t *state)
{
	/* What was said at `working` is; any other phase may be skipped. */
	if (w->state && strcmp(state_phase(w->state), "working") == 0 &&
	    strcmp(state_phase(state), "working") != 0 && !says_little(w->state))
		send_state(w);
	json_decref(w->state);
	w->state = state;
	if (!uv_is_active((uv_handle_t *)&w->state_timer)) {
		w->state_timer.data = w;
		uv_timer_start(&w->state_timer, state_due, STATE_DELAY_MS, 0);
	}
}

/* Before a result: the phase before it, but not "finishing", which the result says itself. */
static void send_state_before_result(struct worker *w)
{
	if (w->state && w->result && strcmp(state_phase(w->state), "finishing") == 0 &&
	    json_int(w->state, "attempt", 0) == json_int(w->result, "attempt", -1)) {
		json_decref(w->state);
		w->state = NULL;
	}
	send_state(w);
}

void control_tell(struct worker *w, const char *method, json_t *params)
{
	if (w->peer && w->link >= LINK_READY) {
		rpc_peer_notify(w->peer, method, params);
		return;
	}
	if (!w->untold)
		w->untold = json_array();
	if (json_array_size(w->untold) >= UNTOLD_MAX)
		json_array_remove(w->untold, 0);
	json_array_append_new(w->untold, json_pack("[s, o]", method, params));
}

/* What happened while the coordinator was away. */
static void tell_untold(struct worker *w)
{
	const json_t *one;
	size_t i;

	json_array_foreach (w->untold, i, one)
		rpc_peer_notify(w->peer, json_string_value(json_array_get(one, 0)),
		                json_incref(json_array_get(one, 1)));
	json_decref(w->untold);
	w->untold = NULL;
}

void control_typed(struct worker *w, int64_t id)
{
	control_tell(w, "message.typed", json_pack("{s:I}", "id", (json_int_t)id));
}

static char *result_dir(const struct worker *w)
{
	return xasprintf("%s/attempts/%lld", w->options.state,
	                 (long long)json_int(w->result, "attempt", 0));
}

void control_save_result(struct worker *w)
{
	_cleanup_free_ char *dir = NULL, *path = NULL, *text = NULL;
	struct error err = ERROR_INIT;

	if (!w->result || w->result_saved)
		return;
	dir = result_dir(w);
	path = xasprintf("%s/result.json", dir);
	text = jsonl_text(w->result);
	if (place_make_private_dir(dir, &err) != 0 || place_sync_name(dir) != 0 ||
	    place_write_file(path, text, strlen(text), &err) != 0) {
		/* It stays in memory and is delivered when the coordinator is back. */
		log_error("control", "%s", err.text);
		return;
	}
	w->result_saved = true;
	log_info("control", "attempt=%lld result saved: the coordinator is away",
	         (long long)json_int(w->result, "attempt", 0));
}

void control_result_confirmed(struct worker *w)
{
	if (!w->result)
		return;
	if (w->result_saved) {
		_cleanup_free_ char *dir = result_dir(w);
		_cleanup_free_ char *path = xasprintf("%s/result.json", dir);

		unlink(path);
	}
	w->result_saved = false;
	json_decref(w->result);
	w->result = NULL;
}

static void keep_done(struct slots_job *job)
{
	struct worker *w = job->context;
	json_t *assignment = w->held;

	if (job->rc != 0)
		log_warn("control", "attempt=%lld cannot keep %s: %s", (long long)job->attempt,
		         w->keep_head, job->err.text);
	free(w->keep_head);
	w->keep_head = NULL;
	w->held = NULL;
	if (assignment) {
		attempt_begin(w, assignment);
		json_decref(assignment);
	} else {
		worker_ask(w);
	}
}

/* The result was refused: the task is somebody else's by now. Its work stays reachable. */
static void keep_refused(struct worker *w)
{
	const char *head = json_text(w->result, "head");

	if (!head)
		return;
	w->keep_head = xstrdup(head);
	w->keep_job = (struct slots_job){
	    .verb = SLOTS_KEEP,
	    .attempt = json_int(w->result, "attempt", 0),
	    .head = w->keep_head,
	    .done = keep_done,
	    .context = w,
	};
	slots_start(w->slots, &w->keep_job);
}

/* What became of the result that went out. finish NULL: confirmed as accepted. */
static void take_finish(struct worker *w, const json_t *finish)
{
	const json_t *accepted = json_object_get(finish, "accepted");

	if (!w->result)
		return;
	if (json_is_false(accepted)) {
		log_info("control", "attempt=%lld its result came too late",
		         (long long)json_int(w->result, "attempt", 0));
		keep_refused(w);
	}
	control_result_confirmed(w);
}

static bool refusal(const struct error *err)
{
	return err->code == ERROR_STALE || err->code == ERROR_INVALID ||
	       err->code == ERROR_NOT_FOUND || err->code == ERROR_CONFLICT;
}

/* Not answered with work: asked again after a moment (or after the reconnect). */
static void ask_later(struct worker *w)
{
	w->link = LINK_READY;
	uv_timer_start(&w->retry, w->on_retry, 1000, 0);
}

static void next_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                         void *context)
{
	struct worker *w = context;

	if (peer != w->peer || w->exiting)
		return;
	if (err) {
		if (refusal(err) && w->result) {
			log_warn("control", "result refused: %s", err->text);
			keep_refused(w);
			control_result_confirmed(w);
		}
		ask_later(w);
		return;
	}
	w->link = LINK_READY;
	take_finish(w, json_object_get(result, "finish"));
	if (json_int(result, "attempt", 0) <= 0) {
		ask_later(w);
		return;
	}
	if (w->attempt) {
		log_error("control", "an assignment came while attempt=%lld runs",
		          (long long)attempt_id(w->attempt));
		return;
	}
	if (w->keep_head)
		w->held = json_incref((json_t *)result);
	else
		attempt_begin(w, (json_t *)result);
}

void control_next(struct worker *w)
{
	json_t *params = json_object();

	send_state_before_result(w);
	if (w->result)
		json_object_set(params, "result", w->result);
	/* What is saved is removed when it is confirmed: the removal might outlive a power cut that
	 * the confirmation does not. */
	if (!w->result_saved)
		json_object_set_new(params, "early", json_true());
	w->link = LINK_ASKING;
	rpc_peer_ask(w->peer, "worker.next", params, next_replied, w);
	rpc_peer_flush(w->peer);
}

static void finish_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                           void *context)
{
	struct worker *w = context;

	if (peer != w->peer || w->exiting)
		return;
	w->link = LINK_READY;
	if (err && !refusal(err)) {
		control_save_result(w);
		w->exit_unheard = true;
	} else if (err) {
		keep_refused(w);
		control_result_confirmed(w);
	} else {
		take_finish(w, result);
	}
	worker_maybe_exit(w);
}

void control_finish(struct worker *w)
{
	send_state_before_result(w);
	w->link = LINK_FINISHING;
	rpc_peer_ask(w->peer, "attempt.finish", json_incref(w->result), finish_replied, w);
	rpc_peer_flush(w->peer);
}

static void hello_order(struct worker *w, const char *order)
{
	bool stale = order && strcmp(order, "stale") == 0;
	bool resume = order && strcmp(order, "resume") == 0;

	if (w->attempt) {
		if (resume) {
			attempt_tell(w->attempt);
			return;
		}
		log_info("control", "attempt=%lld is no longer ours",
		         (long long)attempt_id(w->attempt));
		attempt_stale(w->attempt);
		return;
	}
	if (w->result && stale) {
		keep_refused(w);
		control_result_confirmed(w);
	}
	worker_ask(w);
}

static void hello_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                          void *context)
{
	struct worker *w = context;

	if (peer != w->peer || w->exiting)
		return;
	if (err) {
		if (refusal(err))
			worker_unwanted(w, err->text);
		else
			rpc_peer_close(peer);
		return;
	}
	w->link = LINK_READY;
	w->retry_ms = 0;
	views_heal(w->views); /* ours may have vanished together with the coordinator's */
	log_info("control", "connected, order %s",
	         json_text(result, "order") ? json_text(result, "order") : "next");
	tell_untold(w);
	hello_order(w, json_text(result, "order"));
	worker_maybe_exit(w);
}

void control_hello(struct worker *w)
{
	int64_t attempt = w->attempt  ? attempt_id(w->attempt)
	                  : w->result ? json_int(w->result, "attempt", 0)
	                              : 0;
	enum attempt_phase phase = w->attempt  ? attempt_phase(w->attempt)
	                           : w->result ? PHASE_FINISHING
	                                       : PHASE_IDLE;

	w->link = LINK_HELLO;
	rpc_peer_ask(w->peer, "hello",
	             json_pack("{s:i, s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:o, s:s}", "protocol",
	                       RPC_PROTOCOL, "role", "worker", "version", PLEACH_VERSION,
	                       "teammate", w->options.name, "token", w->token, "pid", (int)getpid(),
	                       "start_time", (json_int_t)w->start_time, "boot", w->boot, "attempt",
	                       json_int_or_null(attempt, 0), "phase", attempt_phase_word(phase)),
	             hello_replied, w);
	rpc_peer_flush(w->peer);
}

/* The attempt that a notification is about, when it is the one under way. */
static struct attempt *current(struct worker *w, const json_t *params)
{
	int64_t id = json_int(params, "attempt", 0);

	return w->attempt && attempt_id(w->attempt) == id ? w->attempt : NULL;
}

static void take_stop(struct worker *w, const json_t *params)
{
	struct attempt *a = current(w, params);
	const char *word = json_text(params, "outcome");
	enum attempt_outcome outcome;

	if (!a)
		return;
	if (!word || !attempt_outcome_from_word(word, &outcome) ||
	    (outcome != OUTCOME_CANCELLED && outcome != OUTCOME_RELEASED))
		outcome = OUTCOME_CANCELLED;
	log_info("control", "attempt=%lld stop: %s", (long long)attempt_id(a),
	         attempt_outcome_word(outcome));
	attempt_stop(a, outcome, json_num(params, "grace", 10));
}

static void take_cut(struct worker *w, const json_t *params)
{
	const json_t *error = json_sub(params, "error");
	const char *code = json_text(error, "code"), *text = json_text(error, "message");
	enum task_error word;

	if (!current(w, params) || !code || !text || !task_error_from_word(code, &word))
		return;
	log_info("control", "attempt=%lld cut: %s", (long long)attempt_id(w->attempt), code);
	attempt_cut(w->attempt, word, text);
}

static void take_text(struct worker *w, const json_t *params, bool answer)
{
	const json_t *text = json_object_get(params, "text");
	int64_t id = json_int(params, "id", 0);
	struct attempt *a = current(w, params);

	if (!a || !json_is_string(text))
		return;
	if (answer)
		attempt_answer(a, id, json_int(params, "request", 0), json_string_value(text),
		               json_string_length(text));
	else
		attempt_message(a, id, json_string_value(text), json_string_length(text));
}

static void take_hook(struct worker *w, const json_t *params)
{
	const char *event = json_text(params, "event");
	int64_t id = json_int(params, "id", 0);
	struct attempt *a = current(w, params);

	if (a && event)
		attempt_hook(a, id, event, json_text(params, "nonce"));
	else if (id)
		control_tell(w, "hook.decided",
		             json_pack("{s:I, s:s}", "id", (json_int_t)id, "output", ""));
}

void control_call(struct rpc_peer *peer, const json_t *id, const char *method, const json_t *params,
                  void *context)
{
	struct worker *w = context;
	struct error err = ERROR_INIT;

	if (strcmp(method, "attempt.stop") == 0) {
		take_stop(w, params);
	} else if (strcmp(method, "attempt.recorded") == 0) {
		if (w->result &&
		    json_int(w->result, "attempt", 0) == json_int(params, "attempt", -1))
			take_finish(w, params);
	} else if (strcmp(method, "attempt.done") == 0) {
		if (current(w, params))
			attempt_done(w->attempt);
	} else if (strcmp(method, "attempt.message") == 0) {
		take_text(w, params, false);
	} else if (strcmp(method, "attempt.answer") == 0) {
		take_text(w, params, true);
	} else if (strcmp(method, "attempt.hook") == 0) {
		take_hook(w, params);
	} else if (strcmp(method, "attempt.hook_gone") == 0) {
		if (current(w, params))
			attempt_hook_gone(w->attempt, json_int(params, "id", 0));
	} else if (strcmp(method, "attempt.asked") == 0) {
		if (current(w, params) && attempt_asked(w->attempt) && w->views)
			views_data(w->views, "\a", 1); /* a person is wanted: the bell */
	} else if (strcmp(method, "attempt.answered") == 0) {
		if (current(w, params))
			attempt_answered(w->attempt);
	} else if (strcmp(method, "attempt.cut") == 0) {
		take_cut(w, params);
	} else if (strcmp(method, "attempt.wrap_up") == 0) {
		if (current(w, params) && json_text(params, "text"))
			attempt_wrap_up(w->attempt, json_text(params, "text"));
	} else if (strcmp(method, "worker.exit") == 0) {
		w->exit_wanted = true;
		worker_maybe_exit(w);
	} else if (id) {
		error_set(&err, ERROR_INVALID, "%s: no such method of a worker", method);
		rpc_peer_reply_error(peer, id, &err);
		return;
	}
	if (id && !w->exiting)
		rpc_peer_reply(peer, id, json_object());
}
