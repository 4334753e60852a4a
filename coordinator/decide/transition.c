/* The table of what can happen to a task, and the one function that applies it. */
#include "transition.h"

#include <stdlib.h>
#include <string.h>

#include "controls.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

/* A cell says where the verb leads. R: refused. C: only for a choice. The rest depends
 * on the row: F fail or retry, L lose, A answer. */
enum cell {
	CELL_REFUSED,
	CELL_PENDING,
	CELL_IN_PROGRESS,
	CELL_NEEDS_INPUT,
	CELL_COMPLETED,
	CELL_CANCELLED,
	CELL_CHOICE_COMPLETED,
	CELL_CHOICE_FAILED,
	CELL_FAIL,
	CELL_LOSE,
	CELL_ANSWER,
};

static const enum cell table[task_status_count][task_verb_count] = {
    [TASK_PENDING] =
        {
            [VERB_ASSIGN] = CELL_IN_PROGRESS,
            [VERB_ASK] = CELL_NEEDS_INPUT,
            [VERB_COMPLETE] = CELL_CHOICE_COMPLETED,
            [VERB_FAIL] = CELL_CHOICE_FAILED,
            [VERB_CANCEL] = CELL_CANCELLED,
        },
    [TASK_IN_PROGRESS] =
        {
            [VERB_ASK] = CELL_NEEDS_INPUT,
            [VERB_COMPLETE] = CELL_COMPLETED,
            [VERB_FAIL] = CELL_FAIL,
            [VERB_CANCEL] = CELL_CANCELLED,
            [VERB_RELEASE] = CELL_PENDING,
            [VERB_LOSE] = CELL_LOSE,
        },
    [TASK_NEEDS_INPUT] =
        {
            [VERB_ANSWER] = CELL_ANSWER,
            [VERB_COMPLETE] = CELL_COMPLETED,
            [VERB_FAIL] = CELL_FAIL,
            [VERB_CANCEL] = CELL_CANCELLED,
            [VERB_RELEASE] = CELL_PENDING,
            [VERB_LOSE] = CELL_LOSE,
            [VERB_RETRY] = CELL_PENDING,
        },
    [TASK_COMPLETED] = {[VERB_REDO] = CELL_PENDING},
    [TASK_FAILED] = {[VERB_RETRY] = CELL_PENDING},
    [TASK_CANCELLED] = {[VERB_RETRY] = CELL_PENDING},
};

bool transition_allowed(enum task_status from, enum task_verb verb, enum task_kind kind)
{
	enum cell cell = table[from][verb];

	if (cell == CELL_CHOICE_COMPLETED || cell == CELL_CHOICE_FAILED)
		return kind == KIND_CHOICE;
	/* A choice is owned by nobody: nothing is assigned, lost or released. */
	if (kind == KIND_CHOICE && (verb == VERB_ASSIGN || verb == VERB_RELEASE ||
	                            verb == VERB_LOSE || verb == VERB_ANSWER))
		return false;
	return cell != CELL_REFUSED;
}

int64_t transition_backoff_ms(int64_t n)
{
	int64_t ms = TRANSITION_BACKOFF_MS;

	while (--n > 0 && ms < TRANSITION_BACKOFF_MAX_MS)
		ms *= 2;
	return ms < TRANSITION_BACKOFF_MAX_MS ? ms : TRANSITION_BACKOFF_MAX_MS;
}

/* Fails, or goes back to pending with a pause while retries are left. */
static enum task_status decide_fail(struct store *store, const struct task_row *row,
                                    const struct transition *t, struct task_state_change *change)
{
	_cleanup_json_ json_t *spec = store_task_spec(store, row->id);
	int64_t failures = row->failures + 1;

	change->failures = failures;
	if (t->error_code == TASK_ERROR_BUDGET) /* tried again, it would not even start */
		return TASK_FAILED;
	if (row->kind == KIND_CHOICE || failures > json_int(spec, "retries", 0))
		return TASK_FAILED;
	change->delay_ms = transition_backoff_ms(failures);
	return TASK_PENDING;
}

/* How many workers a task may lose before it is poison. 0: any number. */
static int64_t poison_limit(void)
{
	const char *text = getenv("PLEACH_POISON_LIMIT");
	char *end;
	long limit = text ? strtol(text, &end, 10) : -1;

	return text && *text && !*end && limit >= 0 ? limit : TRANSITION_LOSSES_MAX;
}

static enum task_status decide_lose(const struct task_row *row, struct task_state_change *change)
{
	int64_t limit = poison_limit();

	change->losses = row->losses + 1;
	if (!limit || change->losses < limit) {
		change->delay_ms = transition_backoff_ms(change->losses);
		return TASK_PENDING;
	}
	change->error_code = TASK_ERROR_POISON;
	change->error_message = "its worker died too often";
	return TASK_FAILED;
}

static bool attempt_is_running(struct store *store, int64_t id)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};

	return id && store_attempt_get(store, id, &attempt) && attempt.outcome == OUTCOME_NONE;
}

static enum task_status decide(struct store *store, const struct task_row *row,
                               const struct transition *t, struct task_state_change *change)
{
	switch (table[row->status][t->verb]) {
	case CELL_IN_PROGRESS:
		return TASK_IN_PROGRESS;
	case CELL_NEEDS_INPUT:
		return TASK_NEEDS_INPUT;
	case CELL_COMPLETED:
	case CELL_CHOICE_COMPLETED:
		return TASK_COMPLETED;
	case CELL_CANCELLED:
		return TASK_CANCELLED;
	case CELL_CHOICE_FAILED:
		return TASK_FAILED;
	case CELL_FAIL:
		return decide_fail(store, row, t, change);
	case CELL_LOSE:
		return decide_lose(row, change);
	case CELL_ANSWER:
		return attempt_is_running(store, row->attempt) ? TASK_IN_PROGRESS : TASK_PENDING;
	case CELL_PENDING:
		if (t->verb == VERB_RETRY || t->verb == VERB_REDO) {
			change->failures = 0;
			change->losses = 0;
		}
		return TASK_PENDING;
	case CELL_REFUSED:
		break;
	}
	die("transition %s from %s", task_verb_word(t->verb), task_status_word(row->status));
}

static char *input_text(const struct transition *t)
{
	_cleanup_json_ json_t *input = NULL;
	char since[32];

	if (t->verb != VERB_ASK || !t->input)
		return NULL;
	input = json_copy((json_t *)t->input);
	text_format_time(time_now_ms(), since);
	json_object_set_new(input, "since", json_string(since));
	return jsonl_text(input);
}

static void change_times(const struct transition *t, struct task_state_change *change)
{
	int64_t now = time_now_ms();

	if (t->verb == VERB_ASSIGN) {
		change->started_at = now;
		change->finished_at = 0;
	} else if (task_status_is_terminal(change->status)) {
		change->finished_at = now;
	} else if (change->status == TASK_PENDING) {
		change->finished_at = 0;
	}
}

/* The event holds what changed and nothing else. */
static void record(struct store *store, const struct task_row *row, const struct transition *t,
                   const struct task_state_change *change)
{
	json_t *data = json_pack("{s:s, s:s}", "status", task_status_word(change->status), "verb",
	                         task_verb_word(t->verb));
	int64_t attempt = t->attempt ? t->attempt : row->attempt;

	if (change->set_result && change->head)
		json_object_set_new(data, "head", json_string(change->head));
	if (change->set_result && change->unchanged)
		json_object_set_new(data, "unchanged", json_true());
	if (change->error_code != TASK_ERROR_NONE)
		json_object_set_new(data, "error",
		                    json_pack("{s:s, s:o}", "code",
		                              task_error_word(change->error_code), "message",
		                              json_text_or_null(change->error_message)));
	if (change->input)
		json_object_set_new(data, "input",
		                    jsonl_parse(change->input, strlen(change->input), NULL));
	if (change->delay_ms)
		json_object_set_new(data, "delay_seconds",
		                    json_real((double)change->delay_ms / 1000.0));
	store_event_add(store, "task.updated", row->id, attempt, NULL, data);
	json_decref(data);
}

/* What a person may have meant. */
static const char *what_else(const struct task_row *row, enum task_verb verb)
{
	if (row->kind == KIND_CHOICE && row->status == TASK_FAILED)
		return " (pleach retry opens it again)";
	if (verb == VERB_RETRY && row->status == TASK_COMPLETED && row->kind == KIND_WORK)
		return " (pleach run --redo does what is done again)";
	return "";
}

int task_transition(struct store *store, const struct transition *t, enum task_status *now,
                    struct error *err)
{
	_cleanup_task_ struct task_row row = {0};
	_cleanup_free_ char *input = NULL;
	struct task_state_change change = {.id = t->task,
	                                   .attempt = -1,
	                                   .failures = -1,
	                                   .losses = -1,
	                                   .started_at = -1,
	                                   .finished_at = -1};

	if (!store_task_get(store, t->task, &row))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %lld", (long long)t->task);
	if (t->attempt && t->verb != VERB_ASSIGN && row.attempt != t->attempt &&
	    !control_off("fence"))
		return error_set(err, ERROR_STALE,
		                 "attempt %lld of %s is no longer the current one",
		                 (long long)t->attempt, row.key);
	if (!transition_allowed(row.status, t->verb, row.kind))
		return error_set(err, ERROR_CONFLICT, "%s is %s: cannot %s it%s", row.key,
		                 task_status_word(row.status), task_verb_word(t->verb),
		                 what_else(&row, t->verb));
	change.error_code = t->error_code;
	change.error_message = t->error_message;
	change.status = decide(store, &row, t, &change);
	change.input = input = input_text(t);
	if (t->verb == VERB_ASSIGN) {
		change.attempt = t->attempt;
		change.attempts_more = 1;
	}
	change.base = t->base;
	/* A new start clears the result that was; every end writes its own. */
	change.set_result = t->verb != VERB_ASK && t->verb != VERB_ANSWER;
	change.head =
	    t->head ? t->head : (task_status_is_terminal(change.status) ? row.head : NULL);
	change.tree =
	    t->tree ? t->tree : (task_status_is_terminal(change.status) ? row.tree : NULL);
	change.unchanged = t->unchanged;
	change_times(t, &change);
	store_task_write_state(store, &change);
	/* Whoever asks for another try wants a new one, unless they say otherwise (session.c). */
	if (row.attempt && (t->verb == VERB_RETRY || t->verb == VERB_REDO))
		store_task_set_resume(store, t->task, -1);
	record(store, &row, t, &change);
	if (now)
		*now = change.status;
	return 0;
}
