/* The table that `compare` prints, and `try` at its end. */
#include "compare_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "table.h"
#include "task_view.h"
#include "text.h"

static void print_header(const struct cli *cli, const json_t *comparison)
{
	const char *key = json_text(comparison, "key"), *base = json_text(comparison, "base");
	const json_t *verify = json_object_get(comparison, "verify");
	const char *subject = json_text(comparison, "subject");
	_cleanup_free_ char *argv = json_is_array(verify) ? jsonl_text(verify) : NULL;
	struct line line;

	line_begin(&line, print_width(cli), cli->colored);
	if (key) {
		line_add(&line, STYLE_BOLD, key);
		line_add(&line, STYLE_PLAIN, "  ");
	}
	if (subject)
		line_addf(&line, STYLE_PLAIN, "%s   ", subject);
	if (base)
		line_addf(&line, STYLE_DIM, "base %.7s   ", base);
	if (argv || json_is_string(verify))
		line_addf(&line, STYLE_DIM, "verify: %s", argv ? argv : json_string_value(verify));
	line_print(&line);
	line_finish(&line);
}

static void add_verify(struct table *table, const json_t *row)
{
	const json_t *verify = json_sub(row, "verify");
	const char *status = json_text(row, "status"),
	           *code = json_text(json_sub(row, "error"), "code");
	char time[32];

	if (!verify && status && strcmp(status, "completed") == 0) {
		table_add(table, STYLE_DIM, "none");
		return;
	}
	if (!verify) {
		table_add(table, STYLE_DIM, code ? code : status);
		return;
	}
	if (json_int(verify, "exit_code", -1) == 0) {
		text_format_duration(json_num(verify, "seconds", 0), time);
		table_addf(table, STYLE_GREEN, "pass %s", time);
	} else {
		table_addf(table, STYLE_RED, "exit %lld",
		           (long long)json_int(verify, "exit_code", -1));
	}
}

static void add_tests(struct table *table, const json_t *row)
{
	int64_t added = json_int(row, "tests_added", 0);

	if (!json_is_integer(json_object_get(row, "files_changed")))
		table_add(table, STYLE_DIM, "-");
	else if (json_flag(row, "tests_edited") || json_int(row, "tests_edited", 0) > 0)
		table_add(table, STYLE_YELLOW, "edited");
	else if (added > 0)
		table_addf(table, STYLE_PLAIN, "+%lld", (long long)added);
	else
		table_add(table, STYLE_DIM, "same");
}

static void add_row(struct table *table, const json_t *row)
{
	_cleanup_free_ char *agent = task_agent(row);
	double seconds = json_num(row, "seconds", -1);
	double cost = json_num(json_sub(row, "usage"), "cost_usd", -1);
	int64_t rank = json_int(row, "rank", 0), files = json_int(row, "files_changed", -1);
	bool chosen = json_flag(row, "chosen");
	char time[32] = "-";

	if (seconds >= 0)
		text_format_duration(seconds, time);
	if (rank)
		table_addf(table, STYLE_PLAIN, "%lld%s", (long long)rank, chosen ? "✓" : "");
	else
		table_add(table, STYLE_DIM, chosen ? "✓" : "-");
	table_add(table, STYLE_BOLD, json_text(row, "key"));
	table_add(table, STYLE_PLAIN, agent);
	add_verify(table, row);
	table_add(table, STYLE_PLAIN, time);
	if (files >= 0) {
		table_addf(table, STYLE_PLAIN, "%lld", (long long)files);
		table_addf(table, STYLE_PLAIN, "+%lld −%lld",
		           (long long)json_int(row, "insertions", 0),
		           (long long)json_int(row, "deletions", 0));
	} else {
		table_add(table, STYLE_DIM, NULL);
		table_add(table, STYLE_DIM, NULL);
	}
	add_tests(table, row);
	if (cost >= 0)
		table_addf(table, STYLE_PLAIN, "$%.2f", cost);
	else
		table_add(table, STYLE_DIM, NULL);
	table_add(table, STYLE_RED,
	          json_array_size(json_object_get(row, "conflicts")) ? "clash" : " ");
}

/* Names of files, with spaces between; an item may be a path or {"path"}. */
static char *paths_of(const json_t *paths)
{
	struct buf out = BUF_INIT;
	json_t *item;
	size_t i;

	json_array_foreach (paths, i, item) {
		const char *path =
		    json_is_string(item) ? json_string_value(item) : json_text(item, "path");

		if (path)
			buf_printf(&out, "%s%s", out.len ? " " : "", path);
	}
	return buf_take(&out);
}

static const char *key_of(const json_t *rows, json_int_t id)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (json_int(row, "id", 0) == id && json_text(row, "key"))
			return json_text(row, "key");
	return "another";
}

static void print_clashes(const struct cli *cli, const json_t *rows)
{
	struct line line;
	json_t *row;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (rows, i, row) {
		json_t *conflicts = json_object_get(row, "conflicts"),
		       *same = json_object_get(row, "same_as");

		if (json_array_size(conflicts)) {
			_cleanup_free_ char *paths = paths_of(conflicts);

			line_addf(&line, STYLE_RED, "clash: %s: %s", json_text(row, "key"), paths);
			line_print(&line);
		}
		if (json_array_size(same)) {
			line_addf(&line, STYLE_DIM, "%s has the same content as %s",
			          json_text(row, "key"),
			          key_of(rows, json_integer_value(json_array_get(same, 0))));
			line_print(&line);
		}
	}
	line_finish(&line);
}

static void print_next(const struct cli *cli, const json_t *comparison)
{
	const char *key = json_text(comparison, "key"), *best = NULL;
	json_t *rows = json_object_get(comparison, "alternatives"), *row;
	bool decided = false;
	struct line line;
	size_t i;

	json_array_foreach (rows, i, row) {
		decided = decided || json_flag(row, "chosen");
		if (json_int(row, "rank", 0) == 1)
			best = json_text(row, "key");
	}
	if (cli->quiet || !best)
		return;
	line_begin(&line, print_width(cli), cli->colored);
	line_addf(&line, STYLE_DIM, "pleach diff %s", best);
	if (key && !decided)
		line_addf(&line, STYLE_DIM, " · pleach pick %s · pleach pick %s --none", best, key);
	else if (key)
		line_addf(&line, STYLE_DIM, " · pleach merge %s", key);
	line_print(&line);
	line_finish(&line);
}

/* Best first; what has no rank last. */
static void add_rows(struct table *table, const json_t *rows)
{
	size_t n = json_array_size(rows), i;
	json_t *row;

	for (size_t rank = 1; rank <= n; rank++)
		json_array_foreach (rows, i, row) {
			if (json_int(row, "rank", 0) == (json_int_t)rank)
				add_row(table, row);
		}
	json_array_foreach (rows, i, row) {
		if (!json_int(row, "rank", 0))
			add_row(table, row);
	}
}

int compare_print(const struct cli *cli, const json_t *comparison, struct error *err)
{
	static const struct table_column columns[] = {
	    {"#", false, false},      {"KEY", false, false},   {"AGENT", false, true},
	    {"VERIFY", false, false}, {"TIME", false, false},  {"FILES", true, false},
	    {"LINES", false, false},  {"TESTS", false, false}, {"COST", true, false},
	    {"", false, false}};
	const json_t *rows = json_sub(comparison, "alternatives");
	_cleanup_table_ struct table table = {0};

	table_init(&table, columns, ARRAY_LEN(columns));
	add_rows(&table, rows);
	print_header(cli, comparison);
	if (table_print(&table, cli, err) < 0)
		return -1;
	print_clashes(cli, rows);
	print_next(cli, comparison);
	return 0;
}
