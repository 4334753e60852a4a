/* What a set of tasks comes to: counts and exit status. */
#include "outcome.h"

#include <string.h>

#include "jsonl.h"
#include "task_view.h"

static void count_landing(const json_t *task, struct outcome *out)
{
	const char *state = json_text(json_sub(task, "landing"), "state");

	if (!state)
		return;
	out->landed += strcmp(state, "landed") == 0;
	out->conflicts += strcmp(state, "conflict") == 0;
	out->failed_merged += strcmp(state, "verify_failed") == 0;
	out->refused += strcmp(state, "none") == 0 && task_is_unlanded(task);
}

static void count_one(const json_t *task, struct outcome *out)
{
	out->completed += task_is(task, "completed");
	out->failed += task_is(task, "failed");
	out->cancelled += task_is(task, "cancelled");
	out->needs_input += task_is(task, "needs_input");
	out->in_progress += task_is(task, "in_progress");
	if (task_is(task, "pending")) {
		out->pending++;
		if (task_is_stuck(task))
			out->stuck++;
		else if (json_flag(task, "ready"))
			out->ready++;
		else
			out->blocked++;
	}
	count_landing(task, out);
	/* A choice shows the usage of what it chose. */
	if (!task_is_choice(task)) {
		const json_t *usage = json_sub(task, "usage");

		out->used = out->used || usage;
		out->input_tokens += json_num(usage, "input_tokens", 0);
		out->output_tokens += json_num(usage, "output_tokens", 0);
		out->cost_usd += json_num(usage, "cost_usd", 0);
	}
}

void outcome_count(const json_t *tasks, struct outcome *out)
{
	json_t *task;
	size_t i;

	*out = (struct outcome){0};
	json_array_foreach (tasks, i, task)
		count_one(task, out);
}

void outcome_count_work(const json_t *tasks, const json_t *index, struct outcome *out)
{
	json_t *task;
	size_t i;

	*out = (struct outcome){0};
	json_array_foreach (tasks, i, task) {
		if (!task_is_choice(task) || task_is(task, "needs_input"))
			count_one(task, out);
		else /* it lands in place of what it chose */
			count_landing(task, out);
		if (!task_is_choice(task) && task_waits_for_person(task, index)) {
			out->stuck--;
			out->blocked++;
		}
	}
}

static bool a_person_frees(const json_t *task, const json_t *index)
{
	json_t *ids = json_object_get(task, "stuck_by"), *id;
	size_t i;

	json_array_foreach (ids, i, id) {
		const json_t *root = task_indexed(index, json_integer_value(id));

		if (root && task_is(root, "needs_input"))
			return true;
	}
	return false;
}

int outcome_exit_status(const json_t *tasks, const json_t *index)
{
	bool person = false, failed = false;
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		const json_t *parent = task_indexed(index, json_int(task, "parent", 0));

		if (task_is(task, "needs_input") ||
		    (task_is_stuck(task) && a_person_frees(task, index)))
			person = true;
		else if (task_is(task, "failed") || task_is(task, "cancelled") ||
		         task_is_stuck(task))
			failed = failed || !(parent && task_is(parent, "completed"));
	}
	return person ? 3 : failed ? 1 : 0;
}

const json_t *outcome_first_unlanded(const json_t *tasks)
{
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		if (task_is_unlanded(task))
			return task;
	return NULL;
}

int outcome_landing_status(const json_t *index, const json_t *ids)
{
	bool unlanded = false;
	json_t *id;
	size_t i;

	json_array_foreach (ids, i, id) {
		const json_t *task = task_indexed(index, json_integer_value(id));
		const char *state = json_text(json_sub(task, "landing"), "state");

		if (state && strcmp(state, "queued") == 0)
			return 3;
		unlanded = unlanded || (task && task_is_unlanded(task));
	}
	return unlanded ? 1 : 0;
}

const char *outcome_waits_to_land(const json_t *tasks)
{
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		const json_t *landing = json_sub(task, "landing");
		const char *state = json_text(landing, "state");
		const char *message = json_text(landing, "message");

		if (state && strcmp(state, "queued") == 0)
			return message ? message : "it waits to land";
	}
	return NULL;
}

static json_t *usage_json(const struct outcome *n)
{
	if (!n->used)
		return json_null();
	return json_pack("{s:I, s:I, s:f}", "input_tokens", (json_int_t)n->input_tokens,
	                 "output_tokens", (json_int_t)n->output_tokens, "cost_usd", n->cost_usd);
}

json_t *outcome_json(const char *plan, const json_t *tasks, double seconds)
{
	struct outcome n;

	outcome_count(tasks, &n);
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:I, s:I, s:I, s:I}",
	                 "plan", json_text_or_null(plan), "completed", (json_int_t)n.completed,
	                 "failed", (json_int_t)n.failed, "cancelled", (json_int_t)n.cancelled,
	                 "pending", (json_int_t)n.pending, "needs_input", (json_int_t)n.needs_input,
	                 "stuck", (json_int_t)n.stuck, "seconds", seconds, "usage", usage_json(&n),
	                 "landed", (json_int_t)n.landed, "conflicts", (json_int_t)n.conflicts,
	                 "verify_failed", (json_int_t)n.failed_merged, "refused",
	                 (json_int_t)n.refused);
}
