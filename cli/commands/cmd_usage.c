/* pleach usage: what was used, by task, agent, plan or day, against the budgets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "table.h"
#include "task_view.h"
#include "text.h"

static const struct option usage_options[] = {
    {.name = "plan", .value = "P", .help = "only this plan's", .kind = KIND_PLAN},
    {.name = "by",
     .value = "WHAT",
     .help = "task (default), agent, plan or day",
     .kind = KIND_WORDS,
     .words = "task agent plan day"},
    {.name = "since",
     .value = "WHEN",
     .help = "only attempts that ran since then: 24h, 7d, 2026-03-01"},
    {0}};

/* "24h" ago, or a local date. */
static int read_since(const char *text, int64_t *out, struct error *err)
{
	struct tm tm = {.tm_isdst = -1};
	double seconds;
	const char *rest;

	*out = 0;
	if (!text)
		return 0;
	if (text_parse_duration(text, &seconds)) {
		*out = time_now_ms() - (int64_t)(seconds * 1000);
		return 0;
	}
	*out = text_parse_time(text);
	if (*out >= 0)
		return 0;
	rest = strptime(text, "%Y-%m-%d", &tm);
	if (!rest || *rest)
		return error_set(err, ERROR_INVALID,
		                 "usage: --since %.40s is neither a time (24h, 7d) nor a date "
		                 "(2026-03-01)",
		                 text);
	*out = (int64_t)mktime(&tm) * 1000;
	return 0;
}

static void add_tokens(struct table *table, const json_t *usage, const char *key)
{
	double n = json_num(usage, key, -1);

	if (n < 0)
		table_add(table, STYLE_DIM, "-");
	else if (n >= 1e6)
		table_addf(table, STYLE_PLAIN, "%.1fM", n / 1e6);
	else if (n >= 1e4)
		table_addf(table, STYLE_PLAIN, "%.0fk", n / 1e3);
	else
		table_addf(table, STYLE_PLAIN, "%.0f", n);
}

static void add_cost(struct table *table, const json_t *usage)
{
	double cost = json_num(usage, "cost_usd", -1);

	if (cost < 0)
		table_add(table, STYLE_DIM, "-");
	else
		table_addf(table, STYLE_PLAIN, cost > 0 && cost < 0.01 ? "$%.4f" : "$%.2f", cost);
}

static char *name_of(const json_t *row, const char *by)
{
	const char *key = json_text(row, "key"), *plan = json_text(row, "plan");

	if (strcmp(by, "task") == 0 && key && plan)
		return xasprintf("%s/%s", plan, key);
	if (strcmp(by, "agent") == 0)
		return task_agent(row);
	return xstrdup(json_text(row, by) ? json_text(row, by) : "-");
}

static void add_row(struct table *table, const json_t *row, const char *name)
{
	const json_t *usage = json_sub(row, "usage");
	double seconds = json_num(row, "seconds", -1);
	char time[32] = "";

	if (seconds >= 0)
		text_format_duration(seconds, time);
	table_add(table, STYLE_BOLD, name);
	table_addf(table, STYLE_PLAIN, "%lld", (long long)json_int(row, "attempts", 0));
	table_add(table, STYLE_PLAIN, time);
	add_tokens(table, usage, "input_tokens");
	add_tokens(table, usage, "output_tokens");
	add_cost(table, usage);
}

static void print_budget(const struct cli *cli, const char *what, const json_t *usage,
                         const json_t *budget)
{
	double usd = json_num(budget, "usd", 0), tokens = json_num(budget, "tokens", 0);
	double used = json_num(usage, "input_tokens", 0) + json_num(usage, "output_tokens", 0);
	struct line line;

	if (!(usd > 0) && !(tokens > 0))
		return;
	line_begin(&line, print_width(cli), cli->colored);
	line_addf(&line, STYLE_PLAIN, "budget %s:", what);
	if (usd > 0)
		line_addf(&line, json_num(usage, "cost_usd", 0) >= usd ? STYLE_RED : STYLE_PLAIN,
		          " $%.2f of $%.2f", json_num(usage, "cost_usd", 0), usd);
	if (tokens > 0)
		line_addf(&line, used >= tokens ? STYLE_RED : STYLE_PLAIN, "%s %.0f of %.0f tokens",
		          usd > 0 ? "," : "", used, tokens);
	line_print(&line);
	line_finish(&line);
}

static void print_untold(const struct cli *cli, const json_t *total)
{
	int64_t untold = json_int(total, "untold", 0);
	int64_t costless = json_int(total, "without_cost", 0) - untold;
	struct line line;

	if (cli->quiet || (!untold && costless <= 0))
		return;
	line_begin(&line, print_width(cli), cli->colored);
	if (untold)
		line_addf(&line, STYLE_DIM, "%lld attempt%s told nothing of what %s used",
		          (long long)untold, untold == 1 ? "" : "s", untold == 1 ? "it" : "they");
	if (costless > 0)
		line_addf(&line, STYLE_DIM, "%s%lld told tokens but no cost", untold ? "; " : "",
		          (long long)costless);
	line_add(&line, STYLE_DIM, ": budgets do not hold them");
	line_print(&line);
	line_finish(&line);
}

static int print_usage(const struct cli *cli, const json_t *result, struct error *err)
{
	const char *by = json_text(result, "by");
	const struct table_column columns[] = {{strcmp(by, "task") == 0    ? "TASK"
	                                        : strcmp(by, "agent") == 0 ? "AGENT"
	                                        : strcmp(by, "plan") == 0  ? "PLAN"
	                                                                   : "DAY",
	                                        false, true},
	                                       {"ATTEMPTS", true, false},
	                                       {"TIME", true, false},
	                                       {"INPUT", true, false},
	                                       {"OUTPUT", true, false},
	                                       {"COST", true, false}};
	const json_t *rows = json_sub(result, "rows"), *total = json_sub(result, "total");
	const json_t *today = json_sub(result, "today");
	_cleanup_table_ struct table table = {0};
	json_t *row;
	size_t i;

	if (!json_array_size(rows)) {
		if (!cli->quiet)
			printf("nothing was used\n");
	} else {
		table_init(&table, columns, ARRAY_LEN(columns));
		json_array_foreach (rows, i, row) {
			_cleanup_free_ char *name = name_of(row, by);

			add_row(&table, row, name);
		}
		if (json_array_size(rows) > 1)
			add_row(&table, total, "total");
		if (table_print(&table, cli, err) < 0)
			return -1;
	}
	print_budget(cli, "of the plan", json_sub(result, "spent"), json_sub(result, "budget"));
	print_budget(cli, "of today", json_sub(today, "usage"), json_sub(today, "budget"));
	print_untold(cli, total);
	return 0;
}

static int usage_exec(struct cli *cli, struct error *err)
{
	const char *plan = options_text(&cli->options, "plan");
	const char *by = options_text(&cli->options, "by");
	_cleanup_json_ json_t *result = NULL;
	json_t *params = json_object();
	int64_t since;

	if (read_since(options_text(&cli->options, "since"), &since, err) < 0) {
		json_decref(params);
		return -1;
	}
	if (plan)
		json_object_set_new(params, "plan", json_text_or_null(plan));
	if (by)
		json_object_set_new(params, "by", json_text_or_null(by));
	json_object_set_new(params, "since", json_integer(since));
	if (cli_ask(cli, "usage", params, true, &result, err) < 0)
		return -1;
	return cli->json ? print_json(result) : print_usage(cli, result, err);
}

const struct command command_usage = {
    .name = "usage",
    .usage = "[--plan P] [--by task|agent|plan|day] [--since WHEN]",
    .summary = "tokens and money used, against the budgets",
    .options = usage_options,
    .exec = usage_exec,
};
