/* pleach status, and bare pleach: what needs you, who does what, the plans. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflicts_view.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "task_view.h"
#include "text.h"

#define UNLANDED_SHOWN 10
#define FAILURES_SHOWN 5

static const struct option status_options[] = {
    {.name = "line", .help = "one short line, for a status bar or a prompt"},
    {.name = "conflicts", .help = "which works under way conflict with each other"},
    {0}};

static enum style state_style(const char *state)
{
	if (strcmp(state, "needs_input") == 0)
		return STYLE_YELLOW;
	if (strcmp(state, "limited") == 0) /* nobody is wanted: its service is waited for */
		return STYLE_CYAN;
	if (strcmp(state, "working") == 0 || strcmp(state, "verifying") == 0)
		return STYLE_GREEN;
	if (strcmp(state, "lost") == 0 || strcmp(state, "unresponsive") == 0)
		return STYLE_RED;
	return STYLE_DIM;
}

static void print_waiting(const struct cli *cli, const json_t *waiting)
{
	struct line line;
	json_t *task;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (waiting, i, task) {
		_cleanup_free_ char *story = task_story(task, NULL);
		char ago[48];

		print_ago(json_text(json_sub(task, "input"), "since"), ago);
		line_add(&line, STYLE_YELLOW, "! ");
		line_cell(&line, STYLE_BOLD, task_typed(task), 12);
		line_add(&line, STYLE_PLAIN, story);
		line_addf(&line, STYLE_DIM, "   %s", ago);
		line_print(&line);
	}
	line_finish(&line);
}

/* Done, but a person has to look at it before it lands. */
static void print_unlanded(const struct cli *cli, const json_t *unlanded)
{
	size_t n = json_array_size(unlanded), i;
	struct line line;
	json_t *task;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (unlanded, i, task) {
		const json_t *landing = json_sub(task, "landing");
		const char *message = strcmp(json_text(landing, "state"), "none") == 0
		                          ? json_text(landing, "message")
		                          : NULL;
		_cleanup_free_ char *story = task_story(task, NULL);
		const char *name = task_typed(task);

		if (i == UNLANDED_SHOWN) {
			line_addf(&line, STYLE_YELLOW, "! %zu more did not land", n - i);
			line_addf(&line, STYLE_DIM, "   pleach ls");
			line_print(&line);
			break;
		}
		line_add(&line, STYLE_YELLOW, "! ");
		line_cell(&line, STYLE_BOLD, task_typed(task), 12);
		line_add(&line, STYLE_PLAIN, message ? "did not land: " : story);
		line_add(&line, STYLE_PLAIN, message);
		line_addf(&line, STYLE_DIM, " (pleach open %s · pleach merge %s)", name, name);
		line_print(&line);
	}
	line_finish(&line);
}

/* Nobody goes on with these by themselves. */
static void print_failures(const struct cli *cli, const json_t *failures)
{
	int64_t count = json_int(failures, "count", 0);
	struct line line;
	json_t *task;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (json_sub(failures, "tasks"), i, task) {
		_cleanup_free_ char *story = task_story(task, NULL);
		const char *name = task_typed(task);

		if (i == FAILURES_SHOWN)
			break;
		line_add(&line, STYLE_RED, "✗ ");
		line_cell(&line, STYLE_BOLD, task_typed(task), 12);
		line_add(&line, STYLE_PLAIN, story);
		line_addf(&line, STYLE_DIM, " (pleach logs %s · pleach retry %s)", name, name);
		line_print(&line);
	}
	if (count > FAILURES_SHOWN) {
		line_addf(&line, STYLE_RED, "… and %lld more failed",
		          (long long)count - FAILURES_SHOWN);
		line_addf(&line, STYLE_DIM, "   pleach ls --status failed");
		line_print(&line);
	}
	line_finish(&line);
}

static size_t widest(const json_t *items, const char *field, size_t least, size_t most)
{
	size_t columns = least, i;
	json_t *item;

	json_array_foreach (items, i, item) {
		const char *text = json_text(item, field);
		size_t width = text ? text_width(text) : 0;

		if (width > columns)
			columns = width;
	}
	return columns < most ? columns : most;
}

static void print_teammates(const struct cli *cli, const json_t *teammates)
{
	size_t name_columns = widest(teammates, "name", 6, 16);
	size_t key_columns = widest(teammates, "key", 6, 20), i;
	struct line line;
	json_t *teammate;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (teammates, i, teammate) {
		const char *state = json_text(teammate, "state"), *key = json_text(teammate, "key");
		const char *text = json_text(teammate, "progress");
		int64_t since = print_time_ms(json_text(teammate, "since"));
		char time[32] = "";

		if (since >= 0)
			text_format_duration((double)(time_now_ms() - since) / 1000.0, time);
		if (!text)
			text = json_text(teammate, "last_output");
		line_cell(&line, STYLE_PLAIN, json_text(teammate, "name"), name_columns);
		line_cell(&line, state_style(state ? state : ""), state, 12);
		line_cell(&line, STYLE_PLAIN, key ? key : "", key_columns);
		line_addf(&line, STYLE_DIM, "%6s  ", time);
		line_add(&line, STYLE_DIM, key && text ? text : "");
		line_print(&line);
	}
	line_finish(&line);
}

static const struct {
	const char *name, *shown;
	enum style style;
} counted[] = {
    {"completed", "completed", STYLE_GREEN}, {"needs_input", "needs input", STYLE_YELLOW},
    {"in_progress", "working", STYLE_PLAIN}, {"failed", "failed", STYLE_RED},
    {"cancelled", "cancelled", STYLE_PLAIN}, {"ready", "ready", STYLE_PLAIN},
    {"blocked", "blocked", STYLE_PLAIN},     {"stuck", "stuck", STYLE_RED}};

static void add_counts(struct line *line, const json_t *counts)
{
	int64_t stuck = json_int(counts, "stuck", 0);
	bool first = true;

	for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
		int64_t n = json_int(counts, counted[i].name, 0);

		/* Stuck ones are blocked ones, too: each is told once. */
		if (strcmp(counted[i].name, "blocked") == 0)
			n = n > stuck ? n - stuck : 0;
		if (!n)
			continue;
		line_add(line, STYLE_PLAIN, first ? "" : ", ");
		line_addf(line, counted[i].style, "%lld %s", (long long)n, counted[i].shown);
		first = false;
	}
	if (first)
		line_add(line, STYLE_DIM, "no tasks");
}

static void print_plans(const struct cli *cli, const json_t *plans)
{
	size_t name_columns = widest(plans, "name", 6, 24), i;
	struct line line;
	json_t *plan;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (plans, i, plan) {
		line_cell(&line, STYLE_BOLD, json_text(plan, "name"), name_columns);
		add_counts(&line, json_sub(plan, "tasks"));
		line_print(&line);
	}
	line_finish(&line);
}

/* What waits to land, one line a target. */
static void print_landings(const struct cli *cli, const json_t *landings)
{
	const char *target = NULL, *here;
	struct line line;
	json_t *item;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (landings, i, item) {
		const char *state = json_text(item, "state");

		here = json_text(item, "target");
		if (!target || strcmp(target, here) != 0) {
			if (target)
				line_print(&line);
			line_addf(&line, STYLE_PLAIN, "landing on %s ", here);
		}
		target = here;
		line_addf(&line, strcmp(state, "queued") == 0 ? STYLE_DIM : STYLE_GREEN, " %s",
		          json_text(item, "key"));
	}
	if (target)
		line_print(&line);
	line_finish(&line);
}

static void print_line(const struct cli *cli, const json_t *status)
{
	struct line line;

	line_begin(&line, 0, cli->colored);
	add_counts(&line, json_sub(status, "tasks"));
	line_addf(&line, STYLE_PLAIN, " · team %zu",
	          json_array_size(json_object_get(status, "teammates")));
	line_print(&line);
	line_finish(&line);
}

/* Why nothing starts though it could. */
static void print_disk(const struct cli *cli, const json_t *status)
{
	const char *story = json_text(json_sub(status, "coordinator"), "disk");
	struct line line;

	if (!story)
		return;
	line_begin(&line, print_width(cli), cli->colored);
	line_addf(&line, STYLE_RED, "! %s", story);
	line_print(&line);
	line_finish(&line);
}

/* Targets on which nothing lands, and why. */
static void print_held(const struct cli *cli, const json_t *held)
{
	struct line line;
	json_t *item;
	size_t i;

	line_begin(&line, 0, cli->colored);
	json_array_foreach (held, i, item) {
		line_addf(&line, STYLE_RED, "! %s", json_text(item, "message"));
		line_print(&line);
	}
	line_finish(&line);
}

/* Agents that are not served for a while, and the day when its budget is used up. */
static void print_limited(const struct cli *cli, const json_t *status)
{
	struct line line;
	json_t *hold;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (json_sub(status, "limited"), i, hold) {
		const char *agent = json_text(hold, "agent"), *message = json_text(hold, "message");
		int64_t until = text_parse_time(json_text(hold, "until"));
		int64_t left = until - time_now_ms();
		char time[32];

		text_format_duration(left > 0 ? (double)left / 1000.0 : 0, time);
		line_add(&line, STYLE_YELLOW, "! ");
		if (agent)
			line_addf(&line, STYLE_PLAIN,
			          "%s is limited for %s more (pleach team resume %s)%s%s", agent,
			          time, agent, message ? ": " : "", message ? message : "");
		else
			line_add(&line, STYLE_PLAIN,
			         message ? message : "today's budget is used up");
		line_print(&line);
	}
	line_finish(&line);
}

static void print_budgets(const struct cli *cli, const json_t *budgets)
{
	struct line line;
	json_t *budget;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (budgets, i, budget) {
		line_add(&line, STYLE_YELLOW, "! ");
		line_add(&line, STYLE_PLAIN, json_text(budget, "message"));
		line_print(&line);
	}
	line_finish(&line);
}

static void print_notice(const struct cli *cli, const json_t *status)
{
	const char *text = json_text(json_sub(status, "coordinator"), "notice");
	struct line line;

	if (!text)
		return;
	line_begin(&line, 0, cli->colored);
	line_add(&line, STYLE_YELLOW, "! ");
	line_add(&line, STYLE_PLAIN, text);
	line_print(&line);
	line_finish(&line);
}

static void print_unread(const struct cli *cli, int64_t unread)
{
	struct line line;

	if (!unread)
		return;
	line_begin(&line, print_width(cli), cli->colored);
	line_add(&line, STYLE_YELLOW, "! ");
	line_add(&line, STYLE_PLAIN,
	         unread == 1 ? "a teammate wrote to you: " : "teammates wrote to you: ");
	line_add(&line, STYLE_BOLD, "pleach messages");
	line_print(&line);
	line_finish(&line);
}

static void print_status(const struct cli *cli, const json_t *status)
{
	const json_t *waiting = json_sub(status, "waiting"), *team = json_sub(status, "teammates");
	const json_t *plans = json_sub(status, "plans"), *unlanded = json_sub(status, "unlanded");
	const json_t *failures = json_sub(status, "failures");

	print_notice(cli, status);
	print_disk(cli, status);
	print_limited(cli, status);
	print_budgets(cli, json_sub(status, "budgets"));
	print_held(cli, json_sub(status, "held"));
	print_unread(cli, json_int(status, "unread", 0));
	print_waiting(cli, waiting);
	print_unlanded(cli, unlanded);
	print_failures(cli, failures);
	if ((json_array_size(waiting) || json_array_size(unlanded) ||
	     json_int(failures, "count", 0)) &&
	    (json_array_size(team) || json_array_size(plans)))
		putchar('\n');
	print_teammates(cli, team);
	if (json_array_size(team) && json_array_size(plans))
		putchar('\n');
	print_plans(cli, plans);
	print_landings(cli, json_sub(status, "landings"));
	if (!json_array_size(team) && !json_array_size(plans))
		printf("no tasks and no team yet\n");
}

static int status_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *status = NULL;

	if (options_flag(&cli->options, "conflicts"))
		return conflicts_show(cli, err);
	if (cli_ask(cli, "status", NULL, true, &status, err) < 0)
		return -1;
	if (cli->json)
		return print_json(status);
	if (options_flag(&cli->options, "line"))
		print_line(cli, status);
	else
		print_status(cli, status);
	return 0;
}

/* What a person would do next, by what stands. */
static void print_next(const struct cli *cli, const json_t *status)
{
	const json_t *counts = json_sub(status, "tasks"), *waiting = json_sub(status, "waiting");
	_cleanup_free_ char *budget = task_budget_hint(json_array_get(waiting, 0));
	const char *first = task_typed(json_array_get(waiting, 0));
	const char *reason = json_text(json_sub(json_array_get(waiting, 0), "input"), "reason");
	struct line line;

	line_begin(&line, print_width(cli), cli->colored);
	if (first && reason && strcmp(reason, "choice") == 0)
		line_addf(&line, STYLE_DIM, "pleach compare %s · pleach pick %s.N", first, first);
	else if (budget)
		line_add(&line, STYLE_DIM, budget);
	else if (first)
		line_addf(&line, STYLE_DIM, "pleach answer %s · pleach attach --next", first);
	else if (json_int(counts, "in_progress", 0))
		line_add(&line, STYLE_DIM,
		         "pleach run (to watch) · pleach attach · pleach logs -f");
	else if (json_int(counts, "ready", 0) && !json_array_size(json_sub(status, "teammates")))
		line_add(&line, STYLE_DIM, "pleach up (starts the team)");
	else if (json_int(counts, "failed", 0))
		line_add(&line, STYLE_DIM, "pleach ls --status failed · pleach retry TASK");
	else if (json_int(counts, "completed", 0))
		line_add(&line, STYLE_DIM, "pleach merge --all · pleach ls · pleach down");
	else
		line_add(&line, STYLE_DIM,
		         "pleach try \"what to do\" · pleach init, then pleach run · pleach -h");
	line_print(&line);
	line_finish(&line);
}

static int home_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *status = NULL;

	if (cli_ask(cli, "status", NULL, true, &status, err) < 0)
		return -1;
	if (cli->json)
		return print_json(status);
	print_status(cli, status);
	if (!cli->quiet)
		print_next(cli, status);
	return 0;
}

const struct command command_status = {
    .name = "status",
    .usage = "[--line | --conflicts]",
    .summary = "what needs you, who does what, how the plans stand",
    .options = status_options,
    .exec = status_exec,
};

static const struct option no_options[] = {{0}};

const struct command command_home = {
    .name = "pleach",
    .usage = "",
    .summary = "status, and what to type next",
    .options = no_options,
    .exec = home_exec,
};
