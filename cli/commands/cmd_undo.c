/* pleach undo: the target as it was before the last landing. */
#include <stdio.h>

#include "connect.h"
#include "jsonl.h"
#include "names.h"
#include "print.h"

static const struct option undo_options[] = {
    {.name = "into",
     .value = "BRANCH",
     .help = "another target than where something landed last",
     .kind = KIND_BRANCH},
    {0}};

static void print_undone(const struct cli *cli, const json_t *result)
{
	const char *target = json_text(result, "target"), *after = json_text(result, "after");
	struct line line;
	json_t *key;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (json_sub(result, "undone"), i, key) {
		line_add(&line, STYLE_YELLOW, "− ");
		line_addf(&line, STYLE_BOLD, "%s", json_string_value(key));
		line_print(&line);
	}
	line_addf(&line, STYLE_PLAIN, "%s is back at %.7s", target ? target : "the target",
	          after ? after : "?");
	line_print(&line);
	line_finish(&line);
}

static int undo_exec(struct cli *cli, struct error *err)
{
	const char *task = cli->options.arg_count ? cli->options.args[0] : NULL;
	_cleanup_json_ json_t *result = NULL;

	/* Asked twice, it would go back twice: not asked again after a broken connection. */
	if (cli_ask(cli, "task.undo",
	            json_pack("{s:o, s:o}", "task", json_text_or_null(task), "into",
	                      json_text_or_null(options_text(&cli->options, "into"))),
	            false, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	print_undone(cli, result);
	return 0;
}

const struct command command_undo = {
    .name = "undo",
    .usage = "[TASK] [--into BRANCH]",
    .summary = "move the target back to before the last landing",
    .options = undo_options,
    .most_args = 1,
    .args = KIND_TASK,
    .exec = undo_exec,
};
