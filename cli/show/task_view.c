/* How a Task of the interface looks to people. */
#include "task_view.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "text.h"

bool task_is(const json_t *task, const char *status)
{
	const char *is = json_text(task, "status");

	return is && strcmp(is, status) == 0;
}

bool task_is_terminal(const json_t *task)
{
	return task_is(task, "completed") || task_is(task, "failed") || task_is(task, "cancelled");
}

bool task_is_stuck(const json_t *task)
{
	return task_is(task, "pending") && json_array_size(json_object_get(task, "stuck_by")) > 0;
}

bool task_is_choice(const json_t *task)
{
	const char *kind = json_text(task, "kind");

	return kind && strcmp(kind, "choice") == 0;
}

char *task_budget_hint(const json_t *task)
{
	const json_t *input = json_sub(task, "input");
	const char *reason = json_text(input, "reason"), *of = json_text(input, "of");

	if (!reason || strcmp(reason, "budget") != 0)
		return NULL;
	if (of && strcmp(of, "task") == 0)
		return xasprintf("pleach task update %s --budget USD (or --budget-tokens N)",
		                 task_typed(task));
	return xstrdup("raise budget: in the plan, and pleach run it again");
}

bool task_is_unlanded(const json_t *task)
{
	const json_t *landing = json_sub(task, "landing");
	const char *state = json_text(landing, "state");

	if (!state || !task_is(task, "completed"))
		return false;
	return strcmp(state, "conflict") == 0 || strcmp(state, "verify_failed") == 0 ||
	       (strcmp(state, "none") == 0 &&
	        (json_text(landing, "message") || json_array_size(json_sub(landing, "after"))));
}

struct task_mark task_mark(const json_t *task)
{
	static const struct {
		const char *status;
		struct task_mark mark;
	} marks[] = {
	    {"completed", {"✓", STYLE_GREEN, "completed"}},
	    {"failed", {"✗", STYLE_RED, "failed"}},
	    {"cancelled", {"−", STYLE_DIM, "cancelled"}},
	    {"needs_input", {"!", STYLE_YELLOW, "needs input"}},
	    {"in_progress", {"●", STYLE_GREEN, "working"}},
	};

	if (task_is_stuck(task))
		return (struct task_mark){"−", STYLE_RED, "stuck"};
	if (task_is_unlanded(task))
		return (struct task_mark){"!", STYLE_YELLOW, "completed"};
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (task_is(task, marks[i].status))
			return marks[i].mark;
	if (json_flag(task, "ready"))
		return (struct task_mark){"○", STYLE_PLAIN, "ready"};
	if (task_is_choice(task) && !json_array_size(json_object_get(task, "blocked_by")))
		return (struct task_mark){"●", STYLE_GREEN, "working"};
	return (struct task_mark){"○", STYLE_DIM, "blocked"};
}

void task_index_put(json_t *index, json_t *task)
{
	char id[32];

	snprintf(id, sizeof id, "%lld", (long long)json_int(task, "id", 0));
	json_object_set(index, id, task);
}

json_t *task_index(const json_t *tasks)
{
	json_t *index = json_object(), *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		task_index_put(index, task);
	return index;
}

const json_t *task_indexed(const json_t *index, json_int_t id)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)id);
	return json_object_get(index, text);
}

bool task_waits_for_person(const json_t *task, const json_t *index)
{
	json_t *ids = json_object_get(task, "stuck_by"), *id;
	size_t i;

	if (!task_is_stuck(task))
		return false;
	json_array_foreach (ids, i, id) {
		const json_t *root = task_indexed(index, json_integer_value(id));

		if (!root || !task_is(root, "needs_input"))
			return false;
	}
	return true;
}

/* A choice works while one of its alternatives does, or has. */
static bool choice_began(const json_t *task, const json_t *index)
{
	json_t *id;
	size_t i;

	json_array_foreach (json_object_get(task, "alternatives"), i, id) {
		const json_t *other = task_indexed(index, json_integer_value(id));

		if (!other || !task_is(other, "pending"))
			return true;
	}
	return false;
}

struct task_mark task_mark_among(const json_t *task, const json_t *index)
{
	if (task_is_choice(task) && task_is(task, "pending") && !task_is_stuck(task) &&
	    !choice_began(task, index))
		return (struct task_mark){"○", STYLE_DIM, "blocked"};
	if (task_waits_for_person(task, index))
		return (struct task_mark){"○", STYLE_DIM, "blocked"};
	return task_mark(task);
}

const char *task_short_key(const json_t *task)
{
	const char *key = json_text(task, "key"), *dot = key ? strrchr(key, '.') : NULL;

	if (dot && json_is_integer(json_object_get(task, "parent")))
		return dot;
	return key ? key : "?";
}

const char *task_typed(const json_t *task)
{
	const char *name = json_text(task, "name");

	return name ? name : json_text(task, "key");
}

char *task_agent(const json_t *task)
{
	const char *agent = json_text(task, "agent"), *model = json_text(task, "model");

	if (!agent)
		return xstrdup("-");
	return model ? xasprintf("%s/%s", agent, model) : xstrdup(agent);
}

void task_seen(json_t *task, int64_t now_ms)
{
	json_object_set_new(task, "seen_ms", json_integer(now_ms));
}

double task_seconds(const json_t *task, int64_t now_ms)
{
	double seconds = json_num(task, "seconds", -1);
	int64_t seen_ms = json_int(task, "seen_ms", now_ms);

	if (seconds >= 0 && (task_is(task, "in_progress")) && now_ms > seen_ms)
		seconds += (double)(now_ms - seen_ms) / 1000.0;
	return seconds;
}

char *task_changes(const json_t *task)
{
	const json_t *changes = json_sub(task, "changes");
	int64_t files = json_int(changes, "files", -1);

	if (files < 0)
		return xstrdup("");
	return xasprintf("%lld file%s   +%lld −%lld", (long long)files, files == 1 ? "" : "s",
	                 (long long)json_int(changes, "insertions", 0),
	                 (long long)json_int(changes, "deletions", 0));
}

/* Texts, separated by commas. */
static void add_texts(struct buf *out, const json_t *texts)
{
	json_t *text;
	size_t i;

	json_array_foreach (texts, i, text)
		buf_printf(out, "%s%s", i ? ", " : "", json_string_value(text));
}

/* One more of such a list: a task's key, or its id where it is not known. */
static void add_task(struct buf *out, bool first, const json_t *task, json_int_t id)
{
	const char *key = json_text(task, "key");

	buf_add_str(out, first ? "" : ", ");
	if (key)
		buf_add_str(out, key);
	else
		buf_printf(out, "%lld", (long long)id);
}

/* "conflicts with left in file", as far as it is known. */
static char *story_conflict(const json_t *landing)
{
	const json_t *with = json_sub(landing, "with"), *paths = json_sub(landing, "paths");
	const char *target = json_text(landing, "target");
	_cleanup_buf_ struct buf out = BUF_INIT;

	buf_add_str(&out, "conflicts with ");
	if (json_array_size(with))
		add_texts(&out, with);
	else
		buf_add_str(&out, target ? target : "the target");
	buf_add_str(&out, json_array_size(paths) ? " in " : "");
	add_texts(&out, paths);
	return buf_take(&out);
}

/* What it waits for does not land. */
static char *story_behind(const json_t *landing)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	buf_add_str(&out, "lands behind ");
	add_texts(&out, json_sub(landing, "after"));
	return buf_take(&out);
}

/* "verify exit 1 when merged: t_sum: want 3, got 2". */
static char *story_verify_failed(const json_t *landing)
{
	int64_t code = json_int(json_sub(landing, "verify"), "exit_code", -1);
	const char *said = json_text(landing, "message");
	_cleanup_free_ char *how =
	    code < 0 ? xstrdup("failed") : xasprintf("exit %lld", (long long)code);

	return xasprintf("verify %s when merged%s%s", how, said ? ": " : "", said ? said : "");
}

/* Why it is not in its target, where that is the whole story; else NULL. */
static char *story_unlanded(const json_t *task)
{
	const json_t *landing = json_sub(task, "landing");
	const char *landed = json_text(landing, "state");

	if (landed && strcmp(landed, "conflict") == 0)
		return story_conflict(landing);
	if (landed && strcmp(landed, "verify_failed") == 0)
		return story_verify_failed(landing);
	if (task_is_unlanded(task) && !json_text(landing, "message"))
		return story_behind(landing);
	return NULL;
}

/* What becomes of it otherwise, behind what is told of the task. */
static const char *story_landing(const json_t *landing)
{
	const char *landed = json_text(landing, "state");

	if (landed && strcmp(landed, "landed") == 0)
		return ", merged";
	if (landed && strcmp(landed, "queued") == 0)
		return ", waits to land";
	return json_text(landing, "message") ? ", did not land" : "";
}

static char *story_chosen(const json_t *task, const json_t *chosen)
{
	_cleanup_free_ char *why = story_unlanded(task);

	return xasprintf("chose %s%s%s", json_text(chosen, "key"), why ? ", " : "",
	                 why ? why : story_landing(json_sub(task, "landing")));
}

static char *story_completed(const json_t *task)
{
	const json_t *verify = json_sub(task, "verify"), *landing = json_sub(task, "landing");
	const char *note = story_landing(landing);
	char *why = story_unlanded(task), time[32];

	if (why)
		return why;
	if (!*note && json_flag(task, "unchanged"))
		note = ", nothing changed";
	if (!verify)
		return xasprintf("unverified%s", note);
	text_format_duration(json_num(verify, "seconds", 0), time);
	return xasprintf("verified %s%s", time, note);
}

/* The last line with something in it. Caller frees. */
static char *last_line(const char *text)
{
	size_t end = strlen(text), from;

	while (end && strchr("\r\n\t ", text[end - 1]))
		end--;
	for (from = end; from && text[from - 1] != '\n';)
		from--;
	return xstrndup(text + from, end - from);
}

static char *story_failed(const json_t *task)
{
	const json_t *error = json_sub(task, "error");
	const char *code = json_text(error, "code"), *message = json_text(error, "message");

	if (!message || !*message)
		return xstrdup(code ? code : "failed");
	_cleanup_free_ char *line = last_line(message);
	return xasprintf("%s", line);
}

static char *story_asks(const json_t *task)
{
	const json_t *input = json_sub(task, "input");
	const char *text = json_text(input, "text"), *reason = json_text(input, "reason");
	const char *problem = json_text(input, "problem"); /* of its judge */

	if (reason && strcmp(reason, "choice") == 0)
		return xasprintf("pick one of its alternatives%s%s%s", problem ? " (" : "",
		                 problem ? problem : "", problem ? ")" : "");
	if (reason && strcmp(reason, "budget") == 0)
		return xstrdup(text ? text : "its budget is used up");
	if (reason && strcmp(reason, "conflict") == 0)
		return xasprintf("conflict: %s", text ? text : "its blockers do not merge");
	if (reason && strcmp(reason, "permission") == 0)
		return xasprintf("asks leave: %s", text ? text : "");
	return xasprintf("asks: %s", text ? text : "");
}

/* Keys of the tasks that have not completed, separated by commas; at most three. */
static char *names_of(const json_t *ids, const json_t *index)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t i, shown = 0, left = 0;
	json_t *id;

	json_array_foreach (ids, i, id) {
		const json_t *other = task_indexed(index, json_integer_value(id));

		if (other && task_is(other, "completed"))
			continue;
		if (shown == 3)
			left++;
		else
			add_task(&out, !shown++, other, json_integer_value(id));
	}
	if (left)
		buf_printf(&out, " and %zu more", left);
	return buf_take(&out);
}

/* What keeps others from running, in the order in which it is told. */
static const struct {
	const char *status, *one, *many;
} root_states[] = {
    {"failed", " failed", " failed"},
    {"cancelled", " was cancelled", " were cancelled"},
    {"needs_input", " needs input", " need input"},
    {NULL, "", ""}, /* any other: just changing, or not known */
};

static size_t root_state(const json_t *root)
{
	size_t i = 0;

	while (root_states[i].status && (!root || !task_is(root, root_states[i].status)))
		i++;
	return i;
}

/* "a, b failed, c needs input", three of them at most. */
static char *story_stuck(const json_t *task, const json_t *index)
{
	json_t *ids = json_object_get(task, "stuck_by"), *id;
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t shown = 0, i;

	for (size_t state = 0; state < ARRAY_LEN(root_states); state++) {
		size_t before = shown;

		json_array_foreach (ids, i, id) {
			const json_t *root = task_indexed(index, json_integer_value(id));

			if (shown < 3 && root_state(root) == state)
				add_task(&out, !shown++, root, json_integer_value(id));
		}
		if (shown > before)
			buf_add_str(&out, shown > before + 1 ? root_states[state].many
			                                     : root_states[state].one);
	}
	if (json_array_size(ids) > shown)
		buf_printf(&out, " and %zu more", json_array_size(ids) - shown);
	return xasprintf("stuck: %s", out.data);
}

static char *story_choice(const json_t *task, const json_t *index)
{
	json_t *ids = json_object_get(task, "alternatives"), *id;
	size_t i, settled = 0;

	json_array_foreach (ids, i, id) {
		const json_t *other = task_indexed(index, json_integer_value(id));

		settled += other && task_is_terminal(other);
	}
	return xasprintf("%zu of %zu alternatives settled", settled, json_array_size(ids));
}

/* "claude is limited for 34m10s more: usage limit reached". */
static char *story_waits(const json_t *waits)
{
	int64_t until = text_parse_time(json_text(waits, "until"));
	int64_t left = until > 0 ? until - time_now_ms() : 0;
	const char *agent = json_text(waits, "agent"), *message = json_text(waits, "message");
	char time[32];

	if (!agent)
		return xstrdup(message ? message : "waits for tomorrow's budget");
	text_format_duration(left > 0 ? (double)left / 1000.0 : 0, time);
	return xasprintf("%s is limited for %s more%s%s", agent, time, message ? ": " : "",
	                 message ? message : "");
}

static char *story_pending(const json_t *task, const json_t *index)
{
	double delay = json_num(task, "delay_seconds", 0);
	_cleanup_free_ char *names = names_of(json_object_get(task, "blocked_by"), index);
	char time[32];

	if (json_sub(task, "waits"))
		return story_waits(json_sub(task, "waits"));
	if (json_flag(task, "ready"))
		return xstrdup("waits for a teammate");
	if (*names)
		return xasprintf("waits for %s", names);
	if (task_is_choice(task))
		return story_choice(task, index);
	if (delay > 0) {
		text_format_duration(delay, time);
		return xasprintf("tries again in %s", time);
	}
	return xstrdup("waits");
}

char *task_story(const json_t *task, const json_t *index)
{
	const json_t *chosen;

	if (task_waits_for_person(task, index))
		return story_pending(task, index);
	if (task_is_stuck(task))
		return story_stuck(task, index);
	if (task_is(task, "completed") && task_is_choice(task)) {
		chosen = task_indexed(index, json_int(task, "chosen", 0));
		if (chosen)
			return story_chosen(task, chosen);
	}
	if (task_is(task, "completed"))
		return story_completed(task);
	if (task_is(task, "failed"))
		return story_failed(task);
	if (task_is(task, "needs_input"))
		return story_asks(task);
	if (task_is(task, "cancelled"))
		return xstrdup("cancelled");
	if (task_is(task, "in_progress"))
		return xstrdup("");
	return story_pending(task, index);
}
