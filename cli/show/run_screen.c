/* The screen of `run` and `try`: lines from Tasks, frames from lines. Pure. */
#include "run_screen.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "outcome.h"
#include "task_view.h"
#include "text.h"

#define KEY_COLUMNS_MAX 24
#define AGENT_COLUMNS   12
#define STORY_COLUMNS   14
#define AROUND_ROWS     4  /* header, summary, hint, and the cursor's line */
#define NARROW_COLUMNS  60 /* below it agent and changes are left out */

size_t screen_key_columns(const json_t *tasks, bool flat)
{
	size_t columns = 6, i;
	json_t *task;

	json_array_foreach (tasks, i, task) {
		bool inner = json_is_integer(json_object_get(task, "parent"));
		const char *key = flat ? json_text(task, "key") : task_short_key(task);
		size_t width = text_width(key ? key : "?") + (inner && !flat ? 2 : 0);

		if (width > columns)
			columns = width;
	}
	return flat || columns < KEY_COLUMNS_MAX ? columns : KEY_COLUMNS_MAX;
}

static const json_t *teammate_on(const struct screen *screen, const json_t *task)
{
	json_t *teammate;
	size_t i;

	json_array_foreach (screen->teammates, i, teammate) {
		if (json_int(teammate, "task", 0) == json_int(task, "id", -1))
			return teammate;
	}
	return NULL;
}

/* What a working task's teammate does now. Caller frees. */
static char *working_story(const struct screen *screen, const json_t *task)
{
	const json_t *teammate = teammate_on(screen, task);
	const char *state = json_text(teammate, "state"), *text = json_text(teammate, "progress");

	if (screen->flat && json_text(task, "owner"))
		return xasprintf("starts on %s", json_text(task, "owner"));
	if (state && strcmp(state, "working") != 0 && strcmp(state, "idle") != 0)
		return xstrdup(state);
	if (!text || !*text)
		text = json_text(teammate, "last_output");
	return xstrdup(text && *text ? text : "working");
}

static char *row_text(const struct screen *screen, const json_t *task, size_t width)
{
	_cleanup_free_ char *story = NULL, *changes = task_changes(task), *agent = task_agent(task);
	struct task_mark mark = task_mark_among(task, screen->index);
	double seconds = task_seconds(task, screen->now_ms);
	bool inner = !screen->flat && json_is_integer(json_object_get(task, "parent"));
	bool narrow = width && width < NARROW_COLUMNS, choice = task_is_choice(task);
	bool working = task_is(task, "in_progress");
	struct line line;
	char time[32];

	line_begin(&line, width, screen->colored);
	story = working ? working_story(screen, task) : task_story(task, screen->index);
	line_add(&line, STYLE_PLAIN, inner ? "  " : "");
	line_addf(&line, mark.style, "%s", mark.sign);
	line_add(&line, STYLE_PLAIN, " ");
	line_cell(&line, STYLE_PLAIN, screen->flat ? json_text(task, "key") : task_short_key(task),
	          screen->key_columns - (inner && screen->key_columns > 2 ? 2 : 0));
	if (seconds >= 0 && !choice && !task_is(task, "pending")) {
		text_format_duration(seconds, time);
		if (!narrow)
			line_cell(&line, STYLE_DIM, agent, AGENT_COLUMNS);
		line_addf(&line, STYLE_PLAIN, "%6s  ", time);
	}
	/* Why it did not land is worth the room. */
	if (*changes && !narrow && task_is(task, "completed") && !task_is_unlanded(task)) {
		line_cell(&line, STYLE_PLAIN, story, STORY_COLUMNS);
		line_add(&line, STYLE_DIM, changes);
	} else {
		line_add(&line,
		         task_is_stuck(task) || task_is(task, "failed")           ? STYLE_RED
		         : task_is(task, "needs_input") || task_is_unlanded(task) ? STYLE_YELLOW
		         : working                                                ? STYLE_DIM
		                                                                  : STYLE_PLAIN,
		         story);
	}
	return buf_take(&line.text);
}

char *screen_row(const struct screen *screen, const json_t *task)
{
	return row_text(screen, task, screen->width);
}

/* The commit that tasks without blockers started from, or NULL. Borrowed. */
static const char *base_commit(const json_t *tasks)
{
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		const char *base = json_text(task, "base");

		if (base && !json_array_size(json_object_get(task, "blocked_by")))
			return base;
	}
	return NULL;
}

static char *header_text(const struct screen *screen, size_t width)
{
	size_t tasks = 0, i, team = json_array_size(screen->teammates);
	const char *base = base_commit(screen->tasks);
	struct line line;
	char time[32];
	json_t *task;

	json_array_foreach (screen->tasks, i, task)
		tasks += !task_is_choice(task);
	text_format_duration(screen->seconds, time);
	line_begin(&line, width, screen->colored);
	line_add(&line, STYLE_BOLD, screen->plan);
	line_addf(&line, STYLE_PLAIN, "   %zu task%s", tasks, tasks == 1 ? "" : "s");
	if (team)
		line_addf(&line, STYLE_PLAIN, "   team %zu", team);
	if (base || screen->base)
		line_addf(&line, STYLE_PLAIN, "   base %s%s%.7s", screen->base ? screen->base : "",
		          screen->base && base ? " " : "", base ? base : "");
	if (width && line.used + strlen(time) + 1 < width)
		line_pad_to(&line, (width < 76 ? width : 76) > line.used + strlen(time)
		                       ? (width < 76 ? width : 76) - strlen(time)
		                       : line.used + 1);
	else
		line_add(&line, STYLE_PLAIN, "   ");
	line_add(&line, STYLE_DIM, time);
	return buf_take(&line.text);
}

static void add_count(struct line *line, long n, const char *word, enum style style)
{
	if (!n)
		return;
	if (line->text.len)
		line_add(line, STYLE_PLAIN, ", ");
	line_addf(line, style, "%ld %s", n, word);
}

static char *counts_text(const struct screen *screen, size_t width)
{
	struct outcome n;
	struct line line;

	outcome_count_work(screen->tasks, screen->index, &n);
	line_begin(&line, width, screen->colored);
	add_count(&line, n.completed, "completed", STYLE_GREEN);
	add_count(&line, n.needs_input, n.needs_input == 1 ? "needs input" : "need input",
	          STYLE_YELLOW);
	add_count(&line, n.in_progress, "working", STYLE_PLAIN);
	add_count(&line, n.landed, "landed", STYLE_GREEN);
	add_count(&line, n.conflicts, n.conflicts == 1 ? "conflict" : "conflicts", STYLE_YELLOW);
	add_count(&line, n.failed_merged, "failed merged", STYLE_YELLOW);
	add_count(&line, n.refused, "did not land", STYLE_YELLOW);
	add_count(&line, n.failed, "failed", STYLE_RED);
	add_count(&line, n.cancelled, "cancelled", STYLE_PLAIN);
	add_count(&line, n.ready, "ready", STYLE_PLAIN);
	add_count(&line, n.blocked, "blocked", STYLE_PLAIN);
	add_count(&line, n.stuck, "stuck", STYLE_RED);
	if (!line.text.len)
		line_add(&line, STYLE_PLAIN, "nothing to do");
	if (n.cost_usd > 0)
		line_addf(&line, STYLE_PLAIN, "   $%.2f", n.cost_usd);
	return buf_take(&line.text);
}

char *screen_counts(const struct screen *screen)
{
	return counts_text(screen, screen->width);
}

static const json_t *first_of(const json_t *tasks, const char *status, bool choices)
{
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		if (task_is(task, status) && (choices || !task_is_choice(task)))
			return task;
	}
	return NULL;
}

/* The first failure that still counts. */
static const json_t *first_failure(const struct screen *screen)
{
	json_t *task;
	size_t i;

	json_array_foreach (screen->tasks, i, task) {
		const json_t *parent = task_indexed(screen->index, json_int(task, "parent", 0));

		if (task_is(task, "failed") && !task_is_choice(task) &&
		    !(parent && task_is(parent, "completed")))
			return task;
	}
	return NULL;
}

static void hint_add(struct buf *out, const char *fmt, const char *key)
{
	if (out->len)
		buf_add_str(out, " · ");
	buf_add_str(out, "pleach ");
	buf_printf(out, fmt, key);
}

static bool asks_to_pick(const json_t *task)
{
	const char *reason = json_text(json_sub(task, "input"), "reason");

	return reason && strcmp(reason, "choice") == 0;
}

static void hint_for_person(struct buf *out, const json_t *task)
{
	_cleanup_free_ char *budget = task_budget_hint(task);
	const char *key = task_typed(task);

	if (budget) {
		buf_add_str(out, budget);
		return;
	}
	if (asks_to_pick(task)) {
		hint_add(out, "compare %s", key);
		hint_add(out, "pick %s.N", key);
		return;
	}
	hint_add(out, "answer %s", key);
	if (json_text(task, "owner"))
		hint_add(out, "attach %s", key);
}

/* Work that changed files (slot: none has none of its own) and is not in its target. */
static const json_t *first_mergeable(const json_t *tasks)
{
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		const char *landing = json_text(json_sub(task, "landing"), "state");

		if (task_is(task, "completed") && !task_is_choice(task) &&
		    json_sub(task, "changes") && !(landing && strcmp(landing, "landed") == 0))
			return task;
	}
	return NULL;
}

char *screen_hint(const struct screen *screen)
{
	const json_t *waits = first_of(screen->tasks, "needs_input", true);
	const json_t *working = first_of(screen->tasks, "in_progress", false);
	const json_t *failed = first_failure(screen);
	const json_t *unlanded = outcome_first_unlanded(screen->tasks);
	const json_t *mergeable = first_mergeable(screen->tasks);
	struct buf out = BUF_INIT;

	if (screen->notice && !screen->final)
		return xstrdup(screen->notice);
	if (waits)
		hint_for_person(&out, waits);
	if (screen->final && failed) {
		hint_add(&out, "logs %s", task_typed(failed));
		hint_add(&out, "retry %s", task_typed(failed));
	}
	if (!screen->final) {
		if (!waits && working)
			hint_add(&out, "attach %s", task_typed(working));
		buf_add_str(&out, out.len ? " · " : "");
		buf_add_str(&out, "Ctrl-C detaches, work goes on");
	} else if (!waits && !failed && unlanded) {
		hint_add(&out, "open %s", task_typed(unlanded));
		hint_add(&out, "merge %s", task_typed(unlanded));
	} else if (!waits && !failed && mergeable) {
		hint_add(&out, "diff %s", task_typed(mergeable));
		hint_add(&out, "%s", "merge --all");
	}
	return buf_take(&out);
}

/* How much a row is worth where there is not room for all: smaller is more. */
static int row_rank(const json_t *task)
{
	if (task_is(task, "needs_input"))
		return 0;
	if (task_is(task, "in_progress"))
		return 1;
	if (task_is(task, "failed"))
		return 2;
	if (task_is_stuck(task))
		return 3;
	if (json_flag(task, "ready"))
		return 4;
	if (task_is(task, "pending"))
		return 5;
	return task_is(task, "completed") ? 6 : 7;
}

/* The worst rank that still fits, and how many rows of that rank. */
static int rank_limit(const json_t *tasks, size_t room, size_t *of_last)
{
	size_t counts[8] = {0}, i, sum = 0;
	json_t *task;
	int rank;

	json_array_foreach (tasks, i, task)
		counts[row_rank(task)]++;
	for (rank = 0; rank < 8; rank++) {
		if (sum + counts[rank] > room)
			break;
		sum += counts[rank];
	}
	*of_last = room - sum;
	return rank;
}

/* Alternatives stand below their choice whatever their ids are. */
static void add_rows(const struct screen *screen, size_t room, size_t width, char ***lines)
{
	size_t total = json_array_size(screen->tasks), of_last = 0, i, shown = 0;
	int limit = 8;
	json_t *task;

	if (room && total > room)
		limit = rank_limit(screen->tasks, room - 1, &of_last);
	json_array_foreach (screen->tasks, i, task) {
		int rank = row_rank(task);

		if (rank > limit || (rank == limit && !of_last))
			continue;
		if (rank == limit)
			of_last--;
		strv_push(lines, row_text(screen, task, width));
		shown++;
	}
	if (shown < total) {
		struct line line;

		line_begin(&line, width, screen->colored);
		line_addf(&line, STYLE_DIM, "  … and %zu more", total - shown);
		strv_push(lines, buf_take(&line.text));
	}
}

char **screen_render(const struct screen *screen)
{
	/* The last column stays free: a full line would make the terminal wrap. */
	size_t width = screen->width > 1 ? screen->width - 1 : screen->width, room = 0;
	_cleanup_free_ char *hint = screen_hint(screen);
	char **lines = NULL;
	struct line line;

	if (screen->height)
		room = screen->height > AROUND_ROWS + 1 ? screen->height - AROUND_ROWS : 1;
	strv_push(&lines, header_text(screen, width));
	add_rows(screen, room, width, &lines);
	strv_push(&lines, counts_text(screen, width));
	line_begin(&line, width, screen->colored);
	line_add(&line, STYLE_DIM, hint);
	strv_push(&lines, buf_take(&line.text));
	return lines;
}

void screen_paint(struct buf *out, char *const *before, char *const *after)
{
	size_t had = strv_len((const char *const *)before);
	size_t have = strv_len((const char *const *)after);

	if (had)
		buf_printf(out, "\033[%zuA\r", had);
	for (size_t i = 0; i < have; i++) {
		if (i >= had || strcmp(before[i], after[i]) != 0) {
			buf_add_str(out, i < had ? "\033[2K" : "");
			buf_add_str(out, after[i]);
			buf_add_str(out, "\r");
		}
		buf_add_str(out, "\n");
	}
	if (have < had)
		buf_add_str(out, "\033[J");
}

/* Columns of a line of ours: escape sequences take none. */
static size_t shown_width(const char *line)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;

	while (*line) {
		if (*line == '\033') {
			line += strcspn(line, "m");
			line += *line != '\0';
			continue;
		}
		buf_add(&plain, line++, 1);
	}
	return plain.len ? text_width(plain.data) : 0;
}

void screen_wipe(struct buf *out, char *const *before, size_t width, size_t height)
{
	size_t rows = 0;

	for (size_t i = 0; before && before[i]; i++) {
		size_t columns = shown_width(before[i]);

		rows += 1 + (width && columns ? (columns - 1) / width : 0);
	}
	if (height && rows > height - 1)
		rows = height - 1;
	if (rows)
		buf_printf(out, "\033[%zuA", rows);
	buf_add_str(out, "\r\033[J");
}
