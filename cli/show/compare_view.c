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

/* A column for each number that the plan measures, under its name. */
#define MEASURES_MAX 8
#define COLUMNS      10 /* all but those */

struct measures {
	const char *names[MEASURES_MAX]; /* borrowed from the rows */
	char *titles[MEASURES_MAX];
	size_t n;
};

static void measures_find(const json_t *rows, struct measures *out)
{
	const char *name;
	json_t *row, *value;
	size_t i, j;

	json_array_foreach (rows, i, row)
		json_object_foreach (json_sub(row, "measures"), name, value) {
			for (j = 0; j < out->n && strcmp(out->names[j], name) != 0; j++)
				;
			if (j < out->n || out->n == MEASURES_MAX)
				continue;
			out->names[out->n] = name;
			out->titles[out->n] = text_safe(name, 16);
			for (char *c = out->titles[out->n++]; *c; c++)
				if (*c >= 'a' && *c <= 'z')
					*c = (char)(*c - 'a' + 'A');
		}
}

static void add_measures(struct table *table, const json_t *row, const struct measures *measures)
{
	for (size_t i = 0; i < measures->n; i++) {
		const json_t *measure = json_sub(json_sub(row, "measures"), measures->names[i]);
		const json_t *value = json_object_get(measure, "value");

		if (json_is_number(value))
			table_addf(table, STYLE_PLAIN, "%.6g", json_number_value(value));
		else
			table_add(table, STYLE_YELLOW, measure ? "failed" : NULL);
	}
}

static void add_row(struct table *table, const json_t *row, const struct measures *measures)
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
	add_measures(table, row, measures);
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

#define PATHS_SHOWN 3 /* of one note: the table is to be looked at, not scrolled */

static char *some_paths(const json_t *paths)
{
	size_t n = json_array_size(paths);
	_cleanup_json_ json_t *first = json_array();
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < n && i < PATHS_SHOWN; i++)
		json_array_append(first, json_array_get(paths, i));
	text = paths_of(first);
	return n > PATHS_SHOWN ? xasprintf("%s and %zu more", text, n - PATHS_SHOWN)
	                       : xstrdup(text);
}

/* What is to be known about one of them. */
static void print_row_notes(struct line *line, const json_t *comparison, const json_t *row)
{
	const char *key = json_text(row, "key"), *target = json_text(comparison, "target");
	const json_t *rows = json_sub(comparison, "alternatives");
	json_t *conflicts = json_sub(row, "conflicts"), *same = json_sub(row, "same_as");
	json_t *protected = json_sub(row, "protected"), *rounds = json_sub(row, "rounds");
	const json_t *continues = json_sub(row, "continues");

	if (json_array_size(conflicts)) {
		_cleanup_free_ char *paths = some_paths(conflicts);

		line_addf(line, STYLE_RED, "clash: %s: %s", key, paths);
		if (target)
			line_addf(line, STYLE_RED, " against %s", target);
		line_print(line);
	}
	if (json_array_size(protected)) {
		_cleanup_free_ char *paths = some_paths(protected);

		line_addf(line, STYLE_YELLOW, "protected: %s touches %s", key, paths);
		line_print(line);
	}
	if (json_array_size(rounds) > 1) {
		line_addf(line, STYLE_DIM, "%s was told %zu time%s that verify failed", key,
		          json_array_size(rounds) - 1, json_array_size(rounds) == 2 ? "" : "s");
		line_print(line);
	}
	if (continues) {
		line_addf(line, STYLE_DIM, "%s continues attempt %lld (%s)", key,
		          (long long)json_int(continues, "attempt", 0),
		          json_text(continues, "why") ? json_text(continues, "why") : "?");
		line_print(line);
	}
	/* Said once for a group: by the one that stands first. */
	if (json_array_size(same) &&
	    json_int(row, "id", 0) < json_integer_value(json_array_get(same, 0))) {
		line_addf(line, STYLE_DIM, "%s has the same content as", key);
		for (size_t i = 0; i < json_array_size(same); i++)
			line_addf(line, STYLE_DIM, "%s %s", i ? "," : "",
			          key_of(rows, json_integer_value(json_array_get(same, i))));
		line_print(line);
	}
}

static void print_overlaps(struct line *line, const json_t *comparison)
{
	const json_t *rows = json_sub(comparison, "alternatives");
	json_t *overlap;
	size_t i;

	json_array_foreach (json_sub(comparison, "overlaps"), i, overlap) {
		int64_t hunks = json_int(overlap, "hunks", 0);
		_cleanup_free_ char *paths = some_paths(json_sub(overlap, "paths"));

		line_addf(line, STYLE_DIM, "%s and %s share ",
		          key_of(rows, json_int(overlap, "a", 0)),
		          key_of(rows, json_int(overlap, "b", 0)));
		if (hunks)
			line_addf(line, STYLE_DIM, "%lld hunk%s in ", (long long)hunks,
			          hunks == 1 ? "" : "s");
		line_addf(line, STYLE_DIM, "%s", paths);
		line_print(line);
	}
}

/* The reasons of a judge are sentences, a line each; the others are one line together. */
static void print_why(struct line *line, const json_t *comparison)
{
	bool judge = json_is_object(json_object_get(comparison, "judge"));
	const json_t *rows = json_sub(comparison, "alternatives"), *row;
	size_t n = json_array_size(rows), shown = 0, i;

	for (size_t rank = 1; rank <= n; rank++)
		json_array_foreach (rows, i, row) {
			const char *why = json_text(row, "why");

			if (json_int(row, "rank", 0) != (json_int_t)rank || !why)
				continue;
			line_addf(line, STYLE_DIM, "%s%s: %s",
			          judge         ? ""
			          : shown++ > 0 ? " · "
			                        : "why: ",
			          json_text(row, "key"), why);
			if (judge)
				line_print(line);
		}
	if (shown > 1)
		line_print(line);
}

static void print_notes(const struct cli *cli, const json_t *comparison)
{
	struct line line;
	json_t *row;
	size_t i;

	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (json_sub(comparison, "alternatives"), i, row)
		print_row_notes(&line, comparison, row);
	print_overlaps(&line, comparison);
	print_why(&line, comparison);
	line_finish(&line);
}

static void print_next(const struct cli *cli, const json_t *comparison)
{
	const char *key = task_typed(comparison), *best = NULL;
	json_t *rows = json_object_get(comparison, "alternatives"), *row;
	bool decided = false, has_work = false;
	struct line line;
	size_t i;

	json_array_foreach (rows, i, row) {
		decided = decided || json_flag(row, "chosen");
		if (json_int(row, "rank", 0) == 1) {
			best = task_typed(row);
			has_work = json_text(row, "head") != NULL; /* slot: none has none */
		}
	}
	if (cli->quiet || !best || json_flag(comparison, "branches"))
		return;
	line_begin(&line, print_width(cli), cli->colored);
	if (has_work)
		line_addf(&line, STYLE_DIM, "pleach diff %s", best);
	if (key && !decided)
		line_addf(&line, STYLE_DIM, "%spleach pick %s · pleach pick %s --none",
		          has_work ? " · " : "", best, key);
	else if (key && has_work)
		line_addf(&line, STYLE_DIM, " · pleach merge %s", key);
	line_print(&line);
	line_finish(&line);
}

/* Best first; what has no rank last. */
static void add_rows(struct table *table, const json_t *rows, const struct measures *measures)
{
	size_t n = json_array_size(rows), i;
	json_t *row;

	for (size_t rank = 1; rank <= n; rank++)
		json_array_foreach (rows, i, row) {
			if (json_int(row, "rank", 0) == (json_int_t)rank)
				add_row(table, row, measures);
		}
	json_array_foreach (rows, i, row) {
		if (!json_int(row, "rank", 0))
			add_row(table, row, measures);
	}
}

int compare_print(const struct cli *cli, const json_t *comparison, struct error *err)
{
	static const struct table_column fixed[COLUMNS] = {
	    {"#", false, false},      {"KEY", false, false},   {"AGENT", false, true},
	    {"VERIFY", false, false}, {"TIME", false, false},  {"FILES", true, false},
	    {"LINES", false, false},  {"TESTS", false, false}, {"COST", true, false},
	    {"", false, false}};
	struct table_column columns[COLUMNS + MEASURES_MAX];
	const json_t *rows = json_sub(comparison, "alternatives");
	_cleanup_table_ struct table table = {0};
	struct measures measures = {.n = 0};
	int rc;

	measures_find(rows, &measures);
	memcpy(columns, fixed, (COLUMNS - 1) * sizeof *fixed);
	for (size_t i = 0; i < measures.n; i++)
		columns[COLUMNS - 1 + i] = (struct table_column){measures.titles[i], true, false};
	columns[COLUMNS - 1 + measures.n] = fixed[COLUMNS - 1];
	table_init(&table, columns, COLUMNS + measures.n);
	add_rows(&table, rows, &measures);
	print_header(cli, comparison);
	rc = table_print(&table, cli, err);
	for (size_t i = 0; i < measures.n; i++)
		free(measures.titles[i]);
	if (rc < 0)
		return -1;
	print_notes(cli, comparison);
	print_next(cli, comparison);
	return 0;
}
