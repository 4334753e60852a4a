/* pleach merge: verified landing, in dependency order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "task_view.h"
#include "text.h"

static const struct option merge_options[] = {
    {.name = "all", .help = "every completed task that has not landed"},
    {.name = "into",
     .value = "BRANCH",
     .help = "another target than the plan's",
     .kind = KIND_BRANCH},
    {.name = "squash", .help = "one commit a task"},
    {.name = "dry-run", .help = "say what would happen; nothing moves"},
    {0}};

/* What the task's branch has beyond the result of its attempt, and whether that is part of it. */
static void add_more(struct line *line, const json_t *item)
{
	const json_t *more = json_sub(item, "more");
	long long n = (long long)json_int(more, "commits", 0);
	const char *branch = json_text(more, "branch"), *many = n == 1 ? "" : "s";

	if (!branch)
		return;
	if (json_flag(more, "taken")) {
		line_addf(line, STYLE_PLAIN, "  with %lld commit%s added to %s", n, many, branch);
		return;
	}
	line_addf(line, STYLE_YELLOW, "  without %lld commit%s added to %s", n, many, branch);
	line_addf(line, STYLE_DIM, " (git merge %s)", branch);
}

static void print_conflicts(const struct cli *cli, const json_t *conflicts)
{
	struct line line;
	json_t *item, *path;
	size_t i, j;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (conflicts, i, item) {
		line_add(&line, STYLE_RED, "! ");
		line_addf(&line, STYLE_BOLD, "%s", task_typed(item));
		line_add(&line, STYLE_PLAIN, "  conflicts:");
		json_array_foreach (json_object_get(item, "paths"), j, path)
			line_addf(&line, STYLE_PLAIN, " %s", json_string_value(path));
		json_array_foreach (json_object_get(item, "with"), j, path)
			line_addf(&line, STYLE_PLAIN, "%s%s", j ? ", " : "  with ",
			          json_string_value(path));
		if (json_flag(item, "unresolved"))
			line_add(&line, STYLE_PLAIN, "  (marks were left in it)");
		add_more(&line, item);
		if (json_int(item, "resolve", 0))
			line_addf(&line, STYLE_DIM, "   task %lld is to resolve it",
			          (long long)json_int(item, "resolve", 0));
		line_print(&line);
	}
	line_finish(&line);
}

static void print_failed(const struct cli *cli, const json_t *failed)
{
	struct line line;
	json_t *item;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (failed, i, item) {
		line_add(&line, STYLE_RED, "✗ ");
		line_addf(&line, STYLE_BOLD, "%s", task_typed(item));
		line_addf(&line, STYLE_PLAIN, "  verify exit %lld when merged",
		          (long long)json_int(item, "exit_code", -1));
		add_more(&line, item);
		line_print(&line);
		if (json_text(item, "tail") && *json_text(item, "tail"))
			print_text(json_text(item, "tail"));
	}
	line_finish(&line);
}

/* Nobody's fault, and nothing was lost: what stands in the way, and behind whom it waits. */
static void print_left(const struct cli *cli, const json_t *refused, const json_t *stopped)
{
	struct line line;
	json_t *item, *key;
	size_t i, j;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (refused, i, item) {
		line_add(&line, STYLE_YELLOW, "! ");
		line_addf(&line, STYLE_BOLD, "%s", task_typed(item));
		line_print(&line);
		print_text(json_text(item, "message"));
	}
	json_array_foreach (stopped, i, item) {
		line_add(&line, STYLE_DIM, "− ");
		line_addf(&line, STYLE_BOLD, "%s", task_typed(item));
		json_array_foreach (json_object_get(item, "after"), j, key)
			line_addf(&line, STYLE_PLAIN, "%s%s", j ? ", " : "  waits for ",
			          json_string_value(key));
		line_print(&line);
	}
	line_finish(&line);
}

/* A task_index of what landed now; NULL: it is not known. */
static json_t *read_landed(struct cli *cli, const json_t *landed)
{
	_cleanup_json_ json_t *ids = json_array(), *result = NULL;
	json_t *item;
	size_t i;

	json_array_foreach (landed, i, item)
		if (!json_flag(item, "already"))
			json_array_append(ids, json_object_get(item, "task"));
	if (!json_array_size(ids) ||
	    cli_list_tasks(cli, json_pack("{s:O}", "ids", ids), true, &result, NULL) < 0)
		return NULL;
	return task_index(json_sub(result, "tasks"));
}

/* A result that nothing proved lands, but is marked. */
static bool is_unverified(const json_t *index, const json_t *item)
{
	const json_t *task = task_indexed(index, json_int(item, "task", 0));

	return task && !json_sub(task, "verify");
}

/* Something was asked for that did not land. */
static bool is_any_left(const json_t *result)
{
	static const char *const lists[] = {"conflicts", "verify_failed", "refused", "stopped"};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (json_array_size(json_object_get(result, lists[i])))
			return true;
	return false;
}

static void print_merged(struct cli *cli, const json_t *result, bool dry_run)
{
	const char *target = json_text(result, "target"), *after = json_text(result, "after");
	const char *before = json_text(result, "before");
	const json_t *landed = json_sub(result, "landed"), *verify = json_sub(result, "verify");
	bool moves = before && after && strcmp(before, after) != 0;
	_cleanup_json_ json_t *index = read_landed(cli, landed);
	struct line line;
	json_t *item;
	char time[32];
	size_t i;

	target = target && *target ? target : "the target";
	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (landed, i, item) {
		line_add(&line, STYLE_GREEN, "✓ ");
		line_addf(&line, STYLE_BOLD, "%s", task_typed(item));
		if (json_flag(item, "already"))
			line_addf(&line, STYLE_PLAIN, "  already in %s since %.7s", target,
			          json_text(item, "commit"));
		else if (is_unverified(index, item))
			line_add(&line, STYLE_YELLOW, "  unverified");
		add_more(&line, item);
		line_print(&line);
	}
	if (!json_array_size(landed)) {
		line_add(&line, STYLE_PLAIN,
		         !is_any_left(result) ? "nothing to merge"
		         : dry_run            ? "nothing would land"
		                              : "nothing landed");
	} else if (!moves) {
		line_addf(&line, STYLE_PLAIN, "%s stays at %.7s: nothing to move", target,
		          after ? after : "its commit");
	} else {
		line_addf(&line, STYLE_PLAIN, "%s %s", target, dry_run ? "would be at" : "is at");
		line_addf(&line, STYLE_PLAIN, " %.7s", after);
		if (verify) {
			text_format_duration(json_num(verify, "seconds", 0), time);
			line_addf(&line, STYLE_DIM, "   verified %s", time);
		}
	}
	line_print(&line);
	line_finish(&line);
}

/* 1 when something did not land, 5 when only the surroundings were against it. */
static int exit_status(const json_t *result)
{
	if (json_array_size(json_object_get(result, "conflicts")) ||
	    json_array_size(json_object_get(result, "verify_failed")))
		return 1;
	if (json_array_size(json_object_get(result, "refused")))
		return 5;
	return json_array_size(json_object_get(result, "stopped")) ? 1 : 0;
}

static int read_params(struct cli *cli, json_t **out, struct error *err)
{
	bool all = options_flag(&cli->options, "all");
	const char *into = options_text(&cli->options, "into");
	_cleanup_json_ json_t *names = NULL;

	if (all && cli->options.arg_count)
		return error_set(err, ERROR_INVALID, "merge: tasks and --all at once (give one)");
	if (!all && names_json(cli, 0, &names, err) < 0)
		return -1;
	if (!all && !json_array_size(names))
		return error_set(err, ERROR_INVALID, "merge: which tasks? (name them, or --all)");
	*out = json_pack("{s:O?, s:b, s:o, s:b, s:b}", "tasks", names, "all", all, "into",
	                 json_text_or_null(into), "squash", options_flag(&cli->options, "squash"),
	                 "dry_run", options_flag(&cli->options, "dry-run"));
	return 0;
}

static int merge_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *result = NULL;
	json_t *params = NULL;

	if (read_params(cli, &params, err) < 0)
		return -1;
	/* Asked again after a restart it finds what landed and lands the rest. */
	if (cli_ask(cli, "task.merge", params, true, &result, err) < 0)
		return -1;
	if (cli->json) {
		print_json(result);
		return exit_status(result);
	}
	print_merged(cli, result, options_flag(&cli->options, "dry-run"));
	print_conflicts(cli, json_sub(result, "conflicts"));
	print_failed(cli, json_sub(result, "verify_failed"));
	print_left(cli, json_sub(result, "refused"), json_sub(result, "stopped"));
	return exit_status(result);
}

const struct command command_merge = {
    .name = "merge",
    .usage = "[TASK]… | --all [--into BRANCH] [--squash] [--dry-run]",
    .summary = "merge chosen work into the target, verified",
    .options = merge_options,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = merge_exec,
};
