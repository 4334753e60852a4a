/* pleach compare: alternatives of a task, or any tasks, side by side. */
#include <stdio.h>

#include "compare_view.h"
#include "connect.h"
#include "diff_view.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"

static const struct option compare_options[] = {
    {.name = "stat", .help = "also the files that each one changed"},
    {.name = "diff", .help = "also the patch of each one"},
    {0}};

static int show_patches(struct cli *cli, const json_t *comparison, bool stat, struct error *err)
{
	json_t *row;
	size_t i;

	json_array_foreach (json_sub(comparison, "alternatives"), i, row) {
		const char *base = json_text(row, "base"), *head = json_text(row, "head");
		struct line line;

		if (!base)
			base = json_text(comparison, "base");
		if (!base || !head)
			continue;
		line_begin(&line, 0, cli->colored);
		line_addf(&line, STYLE_BOLD, "%s", json_text(row, "key"));
		putchar('\n');
		line_print(&line);
		line_finish(&line);
		if (diff_show(
		        cli, json_pack("{s:s, s:s, s:b}", "base", base, "head", head, "stat", stat),
		        false, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_exec(struct cli *cli, struct error *err)
{
	bool stat = options_flag(&cli->options, "stat"), diff = options_flag(&cli->options, "diff");
	_cleanup_json_ json_t *comparison = NULL, *names = NULL;

	if (names_json(cli, 0, &names, err) < 0 ||
	    cli_ask(cli, "task.compare", json_pack("{s:O}", "tasks", names), true, &comparison,
	            err) < 0)
		return -1;
	if (cli->json)
		return print_json(comparison);
	if (compare_print(cli, comparison, err) < 0)
		return -1;
	if (stat && show_patches(cli, comparison, true, err) < 0)
		return -1;
	return diff ? show_patches(cli, comparison, false, err) : 0;
}

const struct command command_compare = {
    .name = "compare",
    .usage = "TASK… [--stat] [--diff]",
    .summary = "alternatives of a task, or any tasks, in one table",
    .options = compare_options,
    .least_args = 1,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = compare_exec,
};
