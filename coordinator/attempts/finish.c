/* The end of an attempt, and everything that follows from a change of a task. */
#include <stdlib.h>
#include <string.h>

#include "controls.h"
#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"
#include "transition.h"

#define OUTPUT_MAX    16384 /* bytes of an agent's last words that are kept */
#define TAMPERING_MAX 64    /* names in an event */

/* ---- back-off ---- */

struct delay {
	uv_timer_t timer;
	struct coordinator *c;
	int64_t task;
};

static void delay_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int delay_step(struct coordinator *c, void *context, struct error *err)
{
	(void)err;
	store_task_set_delay(c->store, *(int64_t *)context, 0);
	return 0;
}

static void delay_over(uv_timer_t *timer)
{
	struct delay *delay = timer->data;
	struct error err = ERROR_INIT;

	if (turn_step(delay->c, delay_step, &delay->task, &err) < 0) {
		log_error("retry", "task=%lld: %s", (long long)delay->task, err.text);
		uv_timer_start(timer, delay_over, TRANSITION_BACKOFF_MS, 0);
		return;
	}
	uv_close((uv_handle_t *)timer, delay_closed);
}

void delay_arm(struct coordinator *c, int64_t task, int64_t ms)
{
	struct delay *delay = xcalloc(1, sizeof *delay);

	delay->c = c;
	delay->task = task;
	delay->timer.data = delay;
	uv_timer_init(&c->loop, &delay->timer);
	uv_timer_start(&delay->timer, delay_over, (uint64_t)ms, 0);
	uv_unref((uv_handle_t *)&delay->timer);
}

static void delay_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ int64_t *task = context;
	_cleanup_task_ struct task_row row = {0};

	if (store_task_get(c->store, *task, &row) && row.delay_ms)
		delay_arm(c, *task, row.delay_ms);
}

static void shown_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ int64_t *task = context;

	for (struct teammate *t = c->team.first; t; t = t->next)
		if (t->task == *task)
			teammate_changed(c, t);
}

static void notify_of(struct coordinator *c, const char *method, int64_t attempt)
{
	for (struct teammate *t = c->team.first; t; t = t->next)
		if (t->attempt == attempt)
			teammate_notify(t, method,
			                json_pack("{s:I}", "attempt", (json_int_t)attempt));
}

/* Its agent asks: whoever looks at its pane hears it, and its time stands still. */
static void asked_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ int64_t *attempt = context;

	notify_of(c, "attempt.asked", *attempt);
}

static void answered_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ int64_t *attempt = context;

	notify_of(c, "attempt.answered", *attempt);
}

/* ---- changes ---- */

/* What a choice's verb means for one of its alternatives. */
static int follow_alternative(struct coordinator *c, int64_t id, enum task_verb verb,
                              struct error *err)
{
	_cleanup_task_ struct task_row row = {0};
	struct transition again = {.task = id, .verb = VERB_RETRY};

	if (!store_task_get(c->store, id, &row))
		return 0;
	if (verb == VERB_CANCEL)
		return task_status_is_terminal(row.status) ? 0 : stop_task(c, id, err);
	if (verb == VERB_REDO && row.status == TASK_COMPLETED)
		again.verb = VERB_REDO;
	if (!transition_allowed(row.status, again.verb, KIND_WORK) ||
	    row.status == TASK_NEEDS_INPUT)
		return 0;
	store_task_go_on(c->store, id);
	store_task_set_next_base(c->store, id, NULL);
	return task_transition(c->store, &again, NULL, err);
}

/* A choice that starts again or is cancelled takes its alternatives along. Tried again while
 * alternatives are completed, they are still there to be chosen. */
static int follow_choice(struct coordinator *c, const struct transition *t, struct error *err)
{
	_cleanup_free_ int64_t *alternatives = NULL;

	if (t->verb != VERB_CANCEL && t->verb != VERB_RETRY && t->verb != VERB_REDO)
		return 0;
	alternatives = store_task_alternatives(c->store, t->task);
	for (size_t i = 0; alternatives[i]; i++)
		if (follow_alternative(c, alternatives[i], t->verb, err) < 0)
			return -1;
	if (t->verb == VERB_CANCEL)
		return 0;
	store_task_set_chosen(c->store, t->task, 0);
	return choice_decide(c, t->task, err);
}

int task_change(struct coordinator *c, const struct transition *t, struct error *err)
{
	_cleanup_task_ struct task_row after = {0};
	struct error why = ERROR_INIT;

	if (task_transition(c->store, t, NULL, err) < 0)
		return -1;
	if (!store_task_get(c->store, t->task, &after))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %lld", (long long)t->task);
	if (after.delay_ms) {
		int64_t *task = xcalloc(1, sizeof *task);

		*task = t->task;
		turn_effect(c, delay_effect, NULL, task);
	}
	if ((t->verb == VERB_ASK && t->attempt) || (t->verb == VERB_ANSWER && after.attempt)) {
		int64_t *attempt = xcalloc(1, sizeof *attempt);

		*attempt = after.attempt;
		turn_effect(c, t->verb == VERB_ASK ? asked_effect : answered_effect, NULL, attempt);
	}
	if (t->verb == VERB_REDO || t->verb == VERB_RETRY || t->verb == VERB_ANSWER)
		store_task_go_on(c->store, t->task);
	if (t->verb == VERB_REDO || t->verb == VERB_RETRY) /* what it makes has not landed */
		landing_forget(c, t->task);
	if (after.status == TASK_COMPLETED)
		landing_completed(c, &after);
	if (after.attempt) { /* the border of its pane */
		int64_t *task = xcalloc(1, sizeof *task);

		*task = t->task;
		turn_inner_effect(c, shown_effect, NULL, task);
	}
	if (t->verb == VERB_REDO)
		store_task_clear_next_base_of_dependents(c->store, t->task);
	if (after.kind == KIND_CHOICE && follow_choice(c, t, err) < 0)
		return -1;
	/* An end stands, whatever becomes of the choice behind it. */
	if (after.parent && choice_update(c, t->task, &why) < 0)
		log_error("choice", "task=%lld: %s", (long long)after.parent, why.text);
	return 0;
}

/* ---- the end of an attempt ---- */

static enum task_verb verb_of(struct coordinator *c, const struct attempt_row *row)
{
	/* Not the task's fault: it goes on when its service serves it again, or its plan or the day
	 * has a budget again. */
	if (row->outcome == OUTCOME_FAILED && row->error_code == TASK_ERROR_LIMIT && row->agent)
		return VERB_RELEASE;
	if (row->outcome == OUTCOME_FAILED && row->error_code == TASK_ERROR_BUDGET &&
	    !budget_is_its_own(c, row->task))
		return VERB_RELEASE;
	switch (row->outcome) {
	case OUTCOME_COMPLETED:
		return VERB_COMPLETE;
	case OUTCOME_FAILED:
		return VERB_FAIL;
	case OUTCOME_CANCELLED:
		return VERB_CANCEL;
	case OUTCOME_RELEASED:
		return VERB_RELEASE;
	default:
		return VERB_LOSE;
	}
}

/* Evidence, not claims: completed with a verify wants proof on exactly that head. */
static void check_evidence(struct coordinator *c, const json_t *finish, struct attempt_row *row)
{
	_cleanup_json_ json_t *spec = store_task_spec(c->store, row->task);
	const json_t *verify = json_sub(finish, "verify");
	const char *head = json_text(verify, "head");

	if (row->outcome != OUTCOME_COMPLETED || !json_sub(spec, "verify"))
		return;
	if (verify && json_int(verify, "exit_code", -1) == 0 &&
	    (!row->head || (head && strcmp(head, row->head) == 0)))
		return;
	row->outcome = OUTCOME_FAILED;
	row->error_code = TASK_ERROR_VERIFY_FAILED;
	free(row->error_message);
	row->error_message = xstrdup("no proof that verify passed on this head");
}

static void replace(char **field, char *value)
{
	free(*field);
	*field = value;
}

static char *json_field(const json_t *finish, const char *key)
{
	const json_t *value = json_sub(finish, key);

	return value ? jsonl_text(value) : NULL;
}

static int read_finish(const json_t *finish, struct attempt_row *row, struct error *err)
{
	const json_t *error = json_sub(finish, "error");
	const char *outcome = json_text(finish, "outcome");

	if (!attempt_outcome_from_word(outcome, &row->outcome) || row->outcome == OUTCOME_NONE)
		return error_set(err, ERROR_INVALID, "attempt.finish: no such outcome");
	replace(&row->head, xstrdup(json_text(finish, "head")));
	replace(&row->tree, xstrdup(json_text(finish, "tree")));
	row->unchanged = json_flag(finish, "unchanged");
	if (error && !task_error_from_word(json_text(error, "code"), &row->error_code))
		row->error_code = TASK_ERROR_INTERNAL;
	replace(&row->error_message, xstrdup(json_text(error, "message")));
	replace(&row->verify, json_field(finish, "verify"));
	replace(&row->usage, json_field(finish, "usage"));
	replace(&row->changes, json_field(finish, "changes"));
	replace(&row->measures, json_field(finish, "measures"));
	replace(&row->kept, json_field(finish, "kept"));
	row->seconds = json_num(finish, "seconds", 0);
	row->ended_at = time_now_ms();
	return 0;
}

static void record_end(struct coordinator *c, const struct attempt_row *row)
{
	json_t *error = row->error_code == TASK_ERROR_NONE
	                    ? json_null()
	                    : json_pack("{s:s, s:o}", "code", task_error_word(row->error_code),
	                                "message", json_text_or_null(row->error_message));
	json_t *verify = row->verify ? jsonl_parse(row->verify, strlen(row->verify), NULL) : NULL;
	json_t *data =
	    json_pack("{s:s, s:s?, s:o, s:o, s:f}", "outcome", attempt_outcome_word(row->outcome),
	              "head", row->head, "verify", verify ? verify : json_null(), "error", error,
	              "seconds", row->seconds);

	store_event_add(c->store, "attempt.ended", row->task, row->id, row->teammate, data);
	json_decref(data);
}

/* The task follows its current attempt; a stale one changes nothing but its own row. */
static int settle_task(struct coordinator *c, const struct attempt_row *row, bool *accepted,
                       enum task_status *status, struct error *err)
{
	struct transition t = {.task = row->task,
	                       .attempt = row->id,
	                       .verb = verb_of(c, row),
	                       .head = row->head,
	                       .tree = row->tree,
	                       .unchanged = row->unchanged,
	                       .error_code = row->error_code,
	                       .error_message = row->error_message};
	_cleanup_task_ struct task_row task = {0};

	if (!store_task_get(c->store, row->task, &task))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %lld",
		                 (long long)row->task);
	*accepted = task.attempt == row->id || control_off("fence");
	*status = task.status;
	if (!*accepted)
		return 0;
	if (task.status != TASK_IN_PROGRESS && task.status != TASK_NEEDS_INPUT) {
		if (row->head) /* cancelled meanwhile: where it ended is still worth knowing */
			store_task_set_head(c->store, row->task, row->head, row->tree);
		return 0;
	}
	if (task_change(c, &t, err) < 0)
		return -1;
	task_row_finish(&task);
	if (store_task_get(c->store, row->task, &task))
		*status = task.status;
	return 0;
}

static void keep_output(struct coordinator *c, int64_t task, const json_t *finish)
{
	const char *output = json_text(finish, "output");
	_cleanup_free_ char *kept = NULL;
	size_t len = output ? strlen(output) : 0;

	if (!len) {
		store_task_set_output(c->store, task, NULL);
		return;
	}
	if (len > OUTPUT_MAX) { /* the end says most; not from the middle of a character */
		output += len - OUTPUT_MAX;
		while (((unsigned char)*output & 0xc0) == 0x80)
			output++;
	}
	kept = xstrdup(output);
	store_task_set_output(c->store, task, kept);
}

bool finish_is_ours(enum attempt_outcome outcome)
{
	return outcome == OUTCOME_LOST || outcome == OUTCOME_RELEASED ||
	       outcome == OUTCOME_CANCELLED;
}

/* Told before: the same answer again. Ended by us, and its worker says something else: stale. */
static bool was_accepted(const struct attempt_row *row, const struct task_row *task,
                         const json_t *finish)
{
	enum attempt_outcome said;

	if (task->attempt != row->id || row->outcome == OUTCOME_LOST)
		return false;
	return !finish_is_ours(row->outcome) ||
	       (attempt_outcome_from_word(json_text(finish, "outcome"), &said) &&
	        said == row->outcome);
}

/* What an agent planted, and its slot did not run. */
static void record_tampering(struct coordinator *c, const struct attempt_row *row,
                             const json_t *finish)
{
	json_t *list = json_sub(finish, "tampering"), *item, *what = json_array();
	json_t *data = json_pack("{s:o}", "what", what);
	size_t i;

	json_array_foreach (list, i, item)
		if (json_is_string(item) && i < TAMPERING_MAX)
			json_array_append(what, item);
	if (json_array_size(what)) {
		store_event_add(c->store, "slot.tampered", row->task, row->id, row->teammate, data);
		log_warn("finish", "task=%lld attempt=%lld teammate=%s git configuration: %s%s",
		         (long long)row->task, (long long)row->id, row->teammate,
		         json_string_value(json_array_get(what, 0)),
		         json_array_size(what) > 1 ? " and more" : "");
	}
	json_decref(data);
}

/* Its service refused it; or it did not, which is as good to know. */
static void note_limit(struct coordinator *c, const struct attempt_row *row, const json_t *finish)
{
	const json_t *limited = json_sub(finish, "limited");
	const char *message = json_text(limited, "message");

	/* Completed and refused: a further turn was, which took nothing from what came before. */
	if ((row->outcome == OUTCOME_FAILED && row->error_code == TASK_ERROR_LIMIT) ||
	    (row->outcome == OUTCOME_COMPLETED && message))
		limited_note(c, row, text_parse_time(json_text(limited, "until")),
		             message ? message : row->error_message);
	else if (row->outcome == OUTCOME_COMPLETED || row->outcome == OUTCOME_FAILED)
		limited_over(c, row);
}

/* Said once it is stored: an answer that goes out before that does not wait for it. */
static void say_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *line = context;

	(void)c;
	log_info("finish", "%s", line);
}

int finish_apply(struct coordinator *c, const json_t *finish, bool *accepted,
                 enum task_status *status, struct error *err)
{
	int64_t id = json_int(finish, "attempt", 0);
	_cleanup_attempt_ struct attempt_row row = {0};
	_cleanup_task_ struct task_row task = {0};

	if (!id || token_attempt(&c->secret, json_text(finish, "token")) != id)
		return error_set(err, ERROR_STALE, "attempt.finish: not this attempt's token");
	if (!store_attempt_get(c->store, id, &row))
		return error_set(err, ERROR_NOT_FOUND, "there is no attempt %lld", (long long)id);
	store_task_get(c->store, row.task, &task);
	budget_used(c, &row, json_sub(finish, "usage")); /* also of one that has ended */
	if (row.outcome != OUTCOME_NONE &&
	    !control_off(task.attempt == id ? "idempotent-finish" : "fence")) {
		*status = task.status;
		*accepted = was_accepted(&row, &task, finish);
		if (!*accepted)
			log_info("finish", "task=%lld attempt=%lld refused: it has ended (%s)",
			         (long long)row.task, (long long)id,
			         attempt_outcome_word(row.outcome));
		return 0;
	}
	if (read_finish(finish, &row, err) < 0)
		return -1;
	check_evidence(c, finish, &row);
	note_limit(c, &row, finish);
	session_note(c, &row, finish);
	store_attempt_end(c->store, &row);
	messages_attempt_ended(c, row.id);
	record_end(c, &row);
	record_tampering(c, &row, finish);
	if (settle_task(c, &row, accepted, status, err) < 0)
		return -1;
	if (*accepted)
		keep_output(c, row.task, finish);
	turn_inner_effect(c, say_effect, NULL,
	                  xasprintf("task=%lld attempt=%lld teammate=%s %s%s", (long long)row.task,
	                            (long long)id, row.teammate, attempt_outcome_word(row.outcome),
	                            *accepted ? "" : " (stale)"));
	return 0;
}

void finish_lost(struct coordinator *c, int64_t attempt, const char *head, bool innocent)
{
	_cleanup_attempt_ struct attempt_row row = {0};
	_cleanup_task_ struct task_row task = {0};
	struct error err = ERROR_INIT;
	enum task_status status;
	bool accepted;

	if (!store_attempt_get(c->store, attempt, &row) || row.outcome != OUTCOME_NONE ||
	    !store_task_get(c->store, row.task, &task))
		return;
	if (task.status == TASK_CANCELLED)
		row.outcome = OUTCOME_CANCELLED; /* stopped before its worker died, or had begun */
	else if (innocent)
		row.outcome = OUTCOME_RELEASED;
	else if (task.status == TASK_IN_PROGRESS || task.status == TASK_NEEDS_INPUT)
		row.outcome = OUTCOME_LOST;
	else
		row.outcome = OUTCOME_CANCELLED;
	replace(&row.head, xstrdup(head));
	row.ended_at = time_now_ms();
	if (row.ended_at > row.started_at) /* else the clock was set back */
		row.seconds = (double)(row.ended_at - row.started_at) / 1000.0;
	store_attempt_end(c->store, &row);
	messages_attempt_ended(c, row.id);
	record_end(c, &row);
	if (settle_task(c, &row, &accepted, &status, &err) < 0)
		log_error("finish", "attempt=%lld: %s", (long long)attempt, err.text);
}

/* What the worker could not deliver counts before its death does. */
bool finish_leftover(struct coordinator *c, int64_t attempt)
{
	_cleanup_free_ char *file =
	    xasprintf("%s/attempts/%lld/result.json", c->place.state_dir, (long long)attempt);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *finish = NULL;
	struct error err = ERROR_INIT;
	enum task_status status;
	bool accepted = false;
	size_t len = 0;

	if (place_read_file(file, JSONL_WORKER_MAX, &text, &len, NULL) < 0)
		return false;
	finish = jsonl_parse(text, len, &err);
	if (!finish || finish_apply(c, finish, &accepted, &status, &err) < 0) {
		log_warn("team", "attempt=%lld its result file is not usable: %s",
		         (long long)attempt, err.text);
		return false;
	}
	return true;
}
