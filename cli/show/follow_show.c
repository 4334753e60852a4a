/* Following a run: what is shown of it, on a terminal, in a pipe, or as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "follow_private.h"
#include "jsonl.h"
#include "mem.h"
#include "outcome.h"
#include "print.h"
#include "report.h"
#include "run_screen.h"
#include "screen_tty.h"
#include "task_view.h"
#include "text.h"

static void fill_screen(const struct run *run, struct screen *screen)
{
	bool terminal = run->show == SHOW_SCREEN;

	*screen = (struct screen){
	    .plan = run->what->plan,
	    .base = run->what->base,
	    .tasks = run->tasks,
	    .index = run->index,
	    .teammates = run->teammates,
	    .key_columns = run->key_columns,
	    .now_ms = time_mono_ms(),
	    .seconds = (double)(time_mono_ms() - run->began_ms) / 1000.0,
	    .width = terminal ? print_width(run->cli) : 0,
	    .height = terminal ? print_height() : 0,
	    .notice = run->notice,
	    .colored = run->cli->colored,
	    .flat = !terminal,
	    .final = run->over,
	};
}

static void draw(struct run *run)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct screen screen;
	char **frame;

	fill_screen(run, &screen);
	frame = screen_render(&screen);
	if (run->resized) {
		screen_wipe(&out, run->frame, screen.width, screen.height);
		strv_free(run->frame);
		run->frame = NULL;
		run->resized = false;
	}
	screen_paint(&out, run->frame, frame);
	strv_free(run->frame);
	run->frame = frame;
	fwrite(out.data ? out.data : "", 1, out.len, stdout);
	fflush(stdout);
}

/* What makes a new line worth telling: its status, its attempt, whether it is stuck, and what
 * became of it where it was to land. */
static char *telling_of(const json_t *task)
{
	const char *landing = json_text(json_sub(task, "landing"), "state");

	/* That it waits to land is no news, what becomes of it is. */
	return xasprintf("%s %lld %s %s", json_text(task, "status"),
	                 task_is(task, "pending") ? 0LL : (long long)json_int(task, "attempt", 0),
	                 task_is_stuck(task) ? "stuck" : "",
	                 landing && strcmp(landing, "queued") != 0 ? landing : "none");
}

static bool is_news(struct run *run, const json_t *task)
{
	_cleanup_free_ char *now = telling_of(task);
	const char *before;
	char id[32];

	snprintf(id, sizeof id, "%lld", (long long)json_int(task, "id", 0));
	before = json_text(run->told, id);
	if (before && strcmp(before, now) == 0)
		return false;
	json_object_set_new(run->told, id, json_string(now));
	/* That a task waits is no news at the start; that it waits again is. */
	return before || !task_is(task, "pending") || task_is_stuck(task);
}

static void tell_lines(struct run *run)
{
	struct screen screen;
	json_t *task;
	size_t i;

	fill_screen(run, &screen);
	json_array_foreach (run->read, i, task) {
		if (is_news(run, task)) {
			_cleanup_free_ char *row = screen_row(&screen, task);

			printf("%s\n", row);
		}
	}
	fflush(stdout);
}

void follow_show(struct run *run)
{
	if (!run->tasks)
		return;
	if (run->show == SHOW_SCREEN && screen_tty_in_front())
		draw(run);
	else if (run->show == SHOW_LINES)
		tell_lines(run);
}

void follow_show_end(struct run *run)
{
	double seconds = (double)(time_mono_ms() - run->began_ms) / 1000.0;
	_cleanup_json_ json_t *summary = NULL;
	struct screen screen;

	follow_show(run);
	if (run->show == SHOW_JSON) {
		summary = outcome_json(run->what->plan, run->tasks, seconds);
		print_json(summary);
	} else if (run->show == SHOW_LINES) {
		fill_screen(run, &screen);
		_cleanup_free_ char *counts = screen_counts(&screen), *hint = screen_hint(&screen);

		printf("%s\n%s%s", counts, hint, *hint ? "\n" : "");
	}
	fflush(stdout);
}

void follow_tell_detached(const struct run *run)
{
	_cleanup_free_ char *text =
	    xasprintf("%s goes on: pleach status (to look), pleach %s (to return), pleach down (to "
	              "stop)",
	              run->what->plan, run->what->again);
	_cleanup_free_ char *shown = text_safe(text, 0);

	if (run->show == SHOW_SCREEN)
		printf("\r\033[K%s\n", shown);
	else
		report_note(run->cli, "%s", shown);
	fflush(stdout);
}

void follow_tell_released(const struct run *run)
{
	_cleanup_free_ char *text = xasprintf(
	    "%s stopped; what was under way is kept and pending again: pleach %s (to go on)",
	    run->what->plan, run->what->go_on ? run->what->go_on : run->what->again);
	_cleanup_free_ char *shown = text_safe(text, 0);

	report_note(run->cli, "%s", shown);
}
