/* What an agent does, as its worker tells it: the teammate shows it, and the task follows where
 * a person is wanted. Questions that an agent asked with `pleach ask` are not touched: their
 * answer is waited for. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"
#include "transition.h"

#define QUESTION_MAX 4000 /* columns of a question that are kept */
#define OPTIONS_MAX  32

static json_t *safe_options(const json_t *options)
{
	json_t *list = json_array(), *option;
	size_t i;

	json_array_foreach ((json_t *)options, i, option) {
		const char *id = json_text(option, "id"), *name = json_text(option, "name");

		if (i >= OPTIONS_MAX || !id)
			continue;
		json_array_append_new(list,
		                      json_pack("{s:s, s:s}", "id", id, "name", name ? name : id));
	}
	if (json_array_size(list))
		return list;
	json_decref(list);
	return json_null();
}

/* {"reason","text","options","request"}; a request marks what an agent's state asks. */
static json_t *safe_input(const json_t *input)
{
	const char *reason = json_text(input, "reason"), *text = json_text(input, "text");
	bool permission = reason && strcmp(reason, "permission") == 0;
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (text)
		text_add_safe(&shown, text, strlen(text), QUESTION_MAX, true);
	return json_pack("{s:s, s:s, s:o, s:I}", "reason", permission ? "permission" : "question",
	                 "text", shown.len ? shown.data : "it waits for a person", "options",
	                 safe_options(json_sub(input, "options")), "request",
	                 (json_int_t)json_int(input, "request", 0));
}

/* What the task asks now, when that came from its agent's state; else NULL. */
static json_t *asked_by_state(const struct task_row *task)
{
	json_t *input = task->input ? jsonl_parse(task->input, strlen(task->input), NULL) : NULL;

	if (input && json_object_get(input, "request"))
		return input;
	json_decref(input);
	return NULL;
}

static bool same_question(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "text"), json_object_get(b, "text")) &&
	       json_equal(json_object_get(a, "reason"), json_object_get(b, "reason")) &&
	       json_equal(json_object_get(a, "request"), json_object_get(b, "request"));
}

/* The agent went on by itself: somebody typed in its pane, or it gave the question up. */
static int goes_on(struct coordinator *c, const struct task_row *task, struct error *err)
{
	const struct transition t = {
	    .task = task->id, .attempt = task->attempt, .verb = VERB_ANSWER};

	return task_change(c, &t, err);
}

static int asks(struct coordinator *c, const struct task_row *task, const json_t *said,
                struct error *err)
{
	_cleanup_json_ json_t *input = safe_input(said), *stands = asked_by_state(task);
	int64_t request = json_int(input, "request", 0);
	const struct transition t = {
	    .task = task->id, .attempt = task->attempt, .verb = VERB_ASK, .input = input};

	/* Told again after a reconnect: the answer is on its way. */
	if (request && store_message_answered(c->store, task->attempt, request))
		return 0;
	if (task->status == TASK_NEEDS_INPUT) {
		if (!stands || same_question(stands, input))
			return 0;
		if (goes_on(c, task, err) < 0)
			return -1;
	}
	if (task_change(c, &t, err) < 0)
		return -1;
	store_task_set_answer(c->store, task->id, NULL);
	return 0;
}

static void record(struct coordinator *c, const struct teammate *t)
{
	char until[32];
	json_t *data;

	text_format_time(t->until_ms, until);
	data = json_pack("{s:s, s:s?}", "state", teammate_state_word(t->says), "until",
	                 t->until_ms ? until : NULL);
	store_event_add(c->store, "teammate.updated", t->task, t->attempt, t->name, data);
	json_decref(data);
}

int agent_state_take(struct coordinator *c, struct teammate *t, const json_t *params,
                     struct error *err)
{
	const char *word = json_text(params, "state");
	enum teammate_state says = TEAMMATE_STARTING;
	_cleanup_task_ struct task_row task = {0};
	const char *time = json_text(params, "until");
	int64_t until = time ? text_parse_time(time) : 0;
	bool first = t->says == TEAMMATE_STARTING, other;

	if (word && (!teammate_state_from_word(word, &says) ||
	             (says != TEAMMATE_WORKING && says != TEAMMATE_IDLE &&
	              says != TEAMMATE_NEEDS_INPUT && says != TEAMMATE_LIMITED)))
		return error_set(err, ERROR_INVALID, "attempt.state: no such state");
	other = says != t->says || until != t->until_ms;
	t->says = says;
	t->until_ms = until;
	/* That it works is what everybody expects of it at first. */
	if (other && says != TEAMMATE_STARTING && !(first && says == TEAMMATE_WORKING))
		record(c, t);
	if (!word || !store_task_get(c->store, t->task, &task) || task.attempt != t->attempt)
		return 0;
	if (says == TEAMMATE_NEEDS_INPUT &&
	    (task.status == TASK_IN_PROGRESS || task.status == TASK_NEEDS_INPUT))
		return asks(c, &task, json_sub(params, "input"), err);
	if (says != TEAMMATE_NEEDS_INPUT && task.status == TASK_NEEDS_INPUT) {
		_cleanup_json_ json_t *stands = asked_by_state(&task);

		return stands ? goes_on(c, &task, err) : 0;
	}
	return 0;
}
