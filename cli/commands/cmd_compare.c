/* pleach compare: alternatives of a task, or any tasks, side by side. */
#include <stdio.h>
#include <string.h>

#include "compare_branches.h"
#include "compare_view.h"
#include "connect.h"
#include "diff_columns.h"
#include "diff_view.h"
#include "experiment.h"
#include "experiment_view.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "pager.h"
#include "print.h"
#include "text.h"

static const struct option compare_options[] = {
    {.name = "stat", .help = "also the files that each one changed"},
    {.name = "diff", .help = "also the changes side by side; of two: how they differ"},
    {.name = "verify", .value = "CMD", .help = "verify branches, each different tree once"},
    {.name = "base",
     .value = "REV",
     .help = "of branches: where they started (else: left the target)"},
    {.name = "jobs", .letter = 'j', .value = "N", .help = "so many at once (at most 4 by default)"},
    {.name = "plan", .value = "PLAN", .help = "count all results of a plan", .kind = KIND_PLAN},
    {.name = "by",
     .value = "WHAT",
     .help = "with --plan: a row for each agent (default) or task",
     .kind = KIND_WORDS,
     .words = "agent task"},
    {.name = "format",
     .value = "FORM",
     .help = "with --plan: table (default), csv or md",
     .kind = KIND_WORDS,
     .words = "table csv md"},
    {0}};

/* The files that each one changed. */
static int show_stats(struct cli *cli, const json_t *comparison, struct error *err)
{
	json_t *row;
	size_t i;

	json_array_foreach (json_sub(comparison, "alternatives"), i, row) {
		const char *base = json_text(row, "base"), *head = json_text(row, "head");
		struct line line;

		if (!base || !head)
			continue;
		line_begin(&line, 0, cli->colored);
		line_addf(&line, STYLE_BOLD, "%s", json_text(row, "key"));
		putchar('\n');
		line_print(&line);
		line_finish(&line);
		if (diff_show(cli,
		              json_pack("{s:s, s:s, s:b}", "base", base, "head", head, "stat", 1),
		              false, err) < 0)
			return -1;
	}
	return 0;
}

/* The value of an option that is one of its words. */
static int word_option(struct cli *cli, const char *name, const char *const *words,
                       const char **out, struct error *err)
{
	const char *said = options_text(&cli->options, name);

	*out = words[0];
	if (!said)
		return 0;
	for (size_t i = 0; words[i]; i++)
		if (strcmp(words[i], said) == 0) {
			*out = words[i];
			return 0;
		}
	return error_set(err, ERROR_INVALID, "compare: --%s is %s or %s", name, words[0],
	                 words[2] ? "another word (see --help)" : words[1]);
}

static int compare_plan(struct cli *cli, const char *plan, struct error *err)
{
	static const char *const groups[] = {"agent", "task", NULL};
	static const char *const formats[] = {"table", "csv", "md", NULL};
	_cleanup_json_ json_t *answer = NULL, *counted = NULL;
	const char *by, *format;

	if (cli->options.arg_count)
		return error_set(err, ERROR_INVALID, "compare: tasks or --plan, one of them");
	if (!text_is_utf8(plan, strlen(plan)))
		return error_set(err, ERROR_NOT_FOUND, "--plan: there is no such plan");
	if (word_option(cli, "by", groups, &by, err) < 0 ||
	    word_option(cli, "format", formats, &format, err) < 0 ||
	    cli_list_tasks(cli, json_pack("{s:s}", "plan", plan), true, &answer, err) < 0)
		return -1;
	counted = experiment_count(json_sub(answer, "tasks"), strcmp(by, "agent") == 0);
	json_object_set_new(counted, "plan", json_text_or_null(plan));
	return cli->json ? print_json(counted) : experiment_print(cli, counted, format, err);
}

/* Tasks, unless one of the names is none: then they may be branches. */
static int compare_names(struct cli *cli, json_t **out, bool *branches, struct error *err)
{
	_cleanup_json_ json_t *names = NULL;
	struct error why = ERROR_INIT;

	*branches = options_text(&cli->options, "verify") || options_text(&cli->options, "base");
	if (*branches && cli->options.arg_count)
		return compare_branches(cli, out, err);
	if (!*branches && names_json(cli, 0, &names, err) < 0)
		return -1;
	if (!json_array_size(names))
		return error_set(err, ERROR_INVALID, "compare: which tasks? (or --plan PLAN)");
	if (cli_ask(cli, "task.compare", json_pack("{s:O}", "tasks", names), true, out, &why) == 0)
		return 0;
	*err = why;
	if (why.code != ERROR_NOT_FOUND || !cli->options.arg_count)
		return -1;
	*branches = true;
	/* Neither: the nearest task is what helps; of several, which of them is none. */
	if (compare_branches(cli, out, &why) == 0)
		return 0;
	if (why.code != ERROR_NOT_FOUND || cli->options.arg_count > 1)
		*err = why;
	return -1;
}

static int compare_exec(struct cli *cli, struct error *err)
{
	bool stat = options_flag(&cli->options, "stat"), diff = options_flag(&cli->options, "diff");
	const char *plan = options_text(&cli->options, "plan");
	_cleanup_json_ json_t *comparison = NULL;
	struct pager pager = PAGER_INIT;
	bool branches = false;
	int rc;

	if (plan)
		return compare_plan(cli, plan, err);
	if (options_text(&cli->options, "by") || options_text(&cli->options, "format"))
		return error_set(err, ERROR_INVALID, "compare: --by and --format go with --plan");
	rc = compare_names(cli, &comparison, &branches, err);
	if (rc)
		return rc;
	if (cli->json && branches)
		compare_branches_named(comparison);
	if (cli->json)
		return print_json(comparison);
	if (compare_print(cli, comparison, err) < 0)
		return -1;
	if (stat && show_stats(cli, comparison, err) < 0)
		return -1;
	if (!diff)
		return 0;
	pager_start_before_stdout(&pager);
	/* Two that were named: how they differ. All of a task: each against the base. */
	rc = cli->options.arg_count == 2 ? diff_columns_between(cli, comparison, err)
	                                 : diff_columns_print(cli, comparison, err);
	pager_end(&pager);
	return rc;
}

const struct command command_compare = {
    .name = "compare",
    .usage = "[TASK…|BRANCH…] [--verify CMD] [--stat] [--diff] | --plan PLAN [--by agent|task] "
             "[--format table|csv|md]",
    .summary = "alternatives of a task, or any tasks, in one table",
    .options = compare_options,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = compare_exec,
};
