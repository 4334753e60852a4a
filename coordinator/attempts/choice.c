/* Choices: parents of alternatives. Owned by nobody, completed by a pick. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "ranking.h"
#include "transition.h"

/* Where the alternatives of a choice stand. */
struct tally {
	size_t open, completed;
	int64_t first; /* to complete */
};

static struct tally count_alternatives(struct coordinator *c, const int64_t *alternatives)
{
	struct tally tally = {0};
	int64_t first_at = INT64_MAX;

	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (!store_task_get(c->store, alternatives[i], &row))
			continue;
		tally.open += !task_status_is_terminal(row.status);
		if (row.status != TASK_COMPLETED)
			continue;
		tally.completed++;
		if (row.finished_at < first_at) {
			first_at = row.finished_at;
			tally.first = row.id;
		}
	}
	return tally;
}

/* The one that the table of `compare` has on top. */
static int64_t best_of(struct coordinator *c, const int64_t *alternatives, const json_t *rule,
                       const json_t *verdict)
{
	_cleanup_json_ json_t *rows = json_array();

	for (size_t i = 0; alternatives[i]; i++)
		json_array_append_new(rows, compare_row(c, alternatives[i], NULL));
	ranking_apply(rows, rule, verdict);
	return ranking_best(rows);
}

int choice_ask(struct coordinator *c, int64_t choice, const char *problem, struct error *err)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, choice);
	json_t *options = json_array();
	_cleanup_task_ struct task_row parent = {0};
	_cleanup_free_ char *text = NULL, *name = NULL;
	_cleanup_json_ json_t *input = NULL;
	struct transition t = {.task = choice, .verb = VERB_ASK};

	store_task_get(c->store, choice, &parent);
	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (store_task_get(c->store, alternatives[i], &row) && row.status == TASK_COMPLETED)
			json_array_append_new(options, json_string(row.key));
	}
	name = task_typed(c, &parent);
	text =
	    xasprintf("%s%s%zu alternatives are ready: pleach compare %s, then pleach pick one",
	              problem ? problem : "", problem ? "; " : "", json_array_size(options), name);
	input = json_pack("{s:s, s:s, s:o}", "reason", "choice", "text", text, "options", options);
	if (problem)
		json_object_set_new(input, "problem", json_text_or_null(problem));
	t.input = input;
	return task_change(c, &t, err);
}

static int fail(struct coordinator *c, int64_t choice, const char *why, struct error *err)
{
	const struct transition t = {.task = choice,
	                             .verb = VERB_FAIL,
	                             .error_code = TASK_ERROR_VERIFY_FAILED,
	                             .error_message = why};

	return task_change(c, &t, err);
}

static int decide(struct coordinator *c, const struct task_row *parent, const int64_t *alternatives,
                  struct error *err)
{
	struct tally tally = count_alternatives(c, alternatives);
	_cleanup_json_ json_t *rule = ranking_rule(parent->choose);
	bool manual = ranking_is(rule, "manual");

	if (ranking_is(rule, "first") && tally.completed)
		return choice_pick(c, tally.first, err);
	if (tally.open)
		return 0;
	if (!tally.completed)
		return fail(c, parent->id, "all alternatives failed", err);
	/* Waiting for a person already, it stays theirs. */
	if (manual || parent->status != TASK_PENDING)
		return parent->status == TASK_PENDING ? choice_ask(c, parent->id, NULL, err) : 0;
	/* Of one there is no order: nobody has to be paid for it. */
	if (ranking_judge(rule) && tally.completed > 1)
		return judge_start(c, parent->id);
	return choice_pick(c, best_of(c, alternatives, rule, NULL), err);
}

int choice_update(struct coordinator *c, int64_t alternative, struct error *err)
{
	_cleanup_task_ struct task_row row = {0}, parent = {0};
	_cleanup_free_ int64_t *alternatives = NULL;

	if (!store_task_get(c->store, alternative, &row) || !row.parent ||
	    !store_task_get(c->store, row.parent, &parent) || parent.kind != KIND_CHOICE)
		return 0;
	alternatives = store_task_alternatives(c->store, row.parent);
	/* One is tried again: nobody needs to choose yet. */
	if (!task_status_is_terminal(row.status) && row.status == TASK_PENDING &&
	    (parent.status == TASK_NEEDS_INPUT || parent.status == TASK_FAILED)) {
		const struct transition again = {.task = parent.id, .verb = VERB_RETRY};

		return task_transition(c->store, &again, NULL, err);
	}
	if (parent.status != TASK_PENDING && parent.status != TASK_NEEDS_INPUT)
		return 0;
	return decide(c, &parent, alternatives, err);
}

bool choice_is_settled(struct coordinator *c, int64_t choice)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, choice);

	return count_alternatives(c, alternatives).open == 0;
}

int choice_decide(struct coordinator *c, int64_t choice, struct error *err)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, choice);
	_cleanup_task_ struct task_row row = {0};

	if (!store_task_get(c->store, choice, &row) || row.status != TASK_PENDING)
		return 0;
	return decide(c, &row, alternatives, err);
}

/* It is decided. The losers are kept; those that still run have nothing left to win. */
static int stop_open(struct coordinator *c, int64_t choice, struct error *err)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, choice);

	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row other = {0};

		if (store_task_get(c->store, alternatives[i], &other) &&
		    !task_status_is_terminal(other.status) &&
		    stop_task(c, alternatives[i], err) < 0)
			return -1;
	}
	return 0;
}

/* An attempt of it, or of one of its alternatives, was started. */
static bool has_begun(struct coordinator *c, int64_t task)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, task);
	_cleanup_task_ struct task_row row = {0};
	bool begun = store_task_get(c->store, task, &row) && row.attempts;

	for (size_t i = 0; alternatives[i] && !begun; i++)
		begun = has_begun(c, alternatives[i]);
	return begun;
}

/* Nothing may have come of what was picked before. */
static int check_unused(struct coordinator *c, const struct task_row *choice, struct error *err)
{
	_cleanup_free_ int64_t *dependents = store_task_blocks(c->store, choice->id);
	_cleanup_free_ char *name = task_typed(c, choice);
	_cleanup_task_ struct task_row chosen = {0};

	store_task_get(c->store, choice->chosen, &chosen);
	if (choice->landing == LANDING_LANDED)
		return error_set(err, ERROR_CONFLICT,
		                 "%s was picked and has landed (pleach undo %s takes it out again)",
		                 chosen.key, name);
	if (landing_is_under_way(c, choice))
		return error_set(err, ERROR_CONFLICT,
		                 "%s was picked and is being merged: wait for that (pleach undo "
		                 "takes out what has landed)",
		                 chosen.key);
	for (size_t i = 0; dependents[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (has_begun(c, dependents[i]) && store_task_get(c->store, dependents[i], &row))
			return error_set(err, ERROR_CONFLICT,
			                 "%s was picked, and %s has started from it", chosen.key,
			                 row.key);
	}
	return 0;
}

/* Somebody changed their mind: it is open again, for the pick that follows in this step. */
static int unpick(struct coordinator *c, const struct task_row *choice, struct error *err)
{
	const struct transition again = {.task = choice->id, .verb = VERB_REDO};

	if (check_unused(c, choice, err) < 0)
		return -1;
	landing_forget(c, choice->id);
	store_task_clear_next_base_of_dependents(c->store, choice->id);
	return task_transition(c->store, &again, NULL, err);
}

/* "speed.1 (completed), speed.2 (failed)". Caller frees. */
static char *alternatives_text(struct coordinator *c, int64_t choice)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, choice);
	struct buf out = BUF_INIT;

	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row row = {0};
		_cleanup_free_ char *name = NULL;

		if (!store_task_get(c->store, alternatives[i], &row))
			continue;
		name = task_typed(c, &row);
		buf_printf(&out, "%s%s (%s)", out.len ? ", " : "", name,
		           task_status_word(row.status));
	}
	return buf_take(&out);
}

static int refuse_pick(struct coordinator *c, const struct task_row *row, struct error *err)
{
	_cleanup_free_ char *names = NULL;

	if (row->kind != KIND_CHOICE)
		return error_set(err, ERROR_CONFLICT,
		                 "%s is no alternative: there is nothing to pick", row->key);
	names = alternatives_text(c, row->id);
	return error_set(err, ERROR_CONFLICT,
	                 "%s is the choice itself: pick one of its alternatives, %s", row->key,
	                 names);
}

int choice_pick(struct coordinator *c, int64_t alternative, struct error *err)
{
	_cleanup_task_ struct task_row row = {0}, parent = {0};
	struct transition t = {.verb = VERB_COMPLETE};

	if (!store_task_get(c->store, alternative, &row))
		return error_set(err, ERROR_NOT_FOUND, "there is no task %lld",
		                 (long long)alternative);
	if (!row.parent || !store_task_get(c->store, row.parent, &parent))
		return refuse_pick(c, &row, err);
	if (parent.status == TASK_COMPLETED && parent.chosen == alternative)
		return 0; /* asked twice, done once */
	if (row.status != TASK_COMPLETED)
		return error_set(err, ERROR_CONFLICT,
		                 "%s is %s: only a completed alternative can be picked", row.key,
		                 task_status_word(row.status));
	if (parent.status == TASK_COMPLETED && parent.chosen && unpick(c, &parent, err) < 0)
		return -1;
	t.task = parent.id;
	t.head = row.head;
	t.tree = row.tree;
	t.unchanged = row.unchanged;
	t.base = row.base;
	if (task_change(c, &t, err) < 0)
		return -1;
	store_task_set_chosen(c->store, parent.id, alternative);
	return stop_open(c, parent.id, err);
}

int choice_refuse(struct coordinator *c, int64_t choice, struct error *err)
{
	_cleanup_task_ struct task_row row = {0};

	if (!store_task_get(c->store, choice, &row) || row.kind != KIND_CHOICE)
		return error_set(err, ERROR_CONFLICT,
		                 "%s is no choice: --none refuses all alternatives of one",
		                 row.key ? row.key : "this");
	if (row.status == TASK_FAILED)
		return 0;
	if (fail(c, choice, "none of the alternatives was chosen", err) < 0)
		return -1;
	return stop_open(c, choice, err);
}
