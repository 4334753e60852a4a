/* pleach store snapshot and gc: upkeep of what is kept. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "text.h"

static const struct option no_options[] = {{0}};

static int snapshot_exec(struct cli *cli, struct error *err)
{
	const char *name = cli->options.args[0];
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *file = NULL;
	_cleanup_json_ json_t *result = NULL;

	if (!cwd)
		return error_errno(err, "store snapshot: cannot tell the current directory");
	file = name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", cwd, name);
	if (!text_is_utf8(file, strlen(file)))
		return error_set(err, ERROR_INVALID, "store snapshot: the name is not UTF-8");
	if (access(file, F_OK) == 0)
		return error_set(err, ERROR_CONFLICT, "store snapshot: %s is there already", file);
	if (cli_ask(cli, "store.snapshot", json_pack("{s:s}", "file", file), false, &result, err) <
	    0)
		return -1;
	if (cli->json)
		return print_json(result);
	if (!cli->quiet) {
		_cleanup_free_ char *shown = text_safe(file, 0);

		printf("wrote %s\n", shown);
	}
	return 0;
}

const struct command command_store_snapshot = {
    .name = "store snapshot",
    .usage = "FILE",
    .summary = "a copy of the store, an SQLite file to read",
    .options = no_options,
    .least_args = 1,
    .most_args = 1,
    .args = KIND_FILE,
    .exec = snapshot_exec,
};

static const struct option gc_options[] = {
    {.name = "yes", .help = "remove it; without, only say what would go"}, {0}};

static void print_item(const struct cli *cli, const json_t *item, bool done)
{
	bool remove = json_flag(item, "remove");
	struct line line;

	line_begin(&line, print_width(cli), cli->colored);
	line_cell(&line, remove ? STYLE_YELLOW : STYLE_DIM,
	          remove ? done ? "removed" : "would remove" : "kept", 12);
	line_add(&line, STYLE_PLAIN,
	         json_text(item, "path") ? json_text(item, "path") : json_text(item, "what"));
	line_addf(&line, STYLE_DIM, "  %s", json_text(item, "why") ? json_text(item, "why") : "");
	line_print(&line);
	line_finish(&line);
}

static int gc_exec(struct cli *cli, struct error *err)
{
	bool yes = options_flag(&cli->options, "yes");
	_cleanup_json_ json_t *result = NULL;
	json_t *item;
	size_t i, would = 0;

	if (cli_ask(cli, "gc", json_pack("{s:b}", "yes", yes), true, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	json_array_foreach (json_sub(result, "items"), i, item) {
		would += json_flag(item, "remove");
		if (!cli->quiet)
			print_item(cli, item, yes);
	}
	if (!would && !cli->quiet)
		printf("nothing to remove\n");
	else if (!yes && !cli->quiet)
		printf("pleach gc --yes removes it; content that is nowhere else is kept first\n");
	return 0;
}

const struct command command_gc = {
    .name = "gc",
    .usage = "[--yes]",
    .summary = "worktrees that nobody needs any more",
    .options = gc_options,
    .exec = gc_exec,
};
