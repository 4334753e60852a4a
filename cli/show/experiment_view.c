/* The three forms of an experiment's table: the same numbers in the same order. */
#include "experiment_view.h"

#include <stdio.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "table.h"
#include "text.h"

#define COLUMNS_MAX 9
#define CELL_MAX    160

/* One row as text: what stands in the table and in Markdown. */
struct cells {
	char text[COLUMNS_MAX][CELL_MAX];
	size_t n;
};

static char *next(struct cells *cells)
{
	return cells->text[cells->n++];
}

static void add_percent(struct cells *cells, const json_t *value)
{
	if (json_is_number(value))
		snprintf(next(cells), CELL_MAX, "%.1f%%", 100 * json_number_value(value));
	else
		snprintf(next(cells), CELL_MAX, "-");
}

static void add_pass_at(struct cells *cells, const json_t *row, int k)
{
	char name[16];

	snprintf(name, sizeof name, "%d", k);
	add_percent(cells, json_object_get(json_sub(row, "pass_at"), name));
}

static void add_failures(struct cells *cells, const json_t *row)
{
	char *out = next(cells);
	const char *code;
	json_t *count;
	size_t at = 0;

	*out = '\0';
	json_object_foreach (json_sub(row, "failures"), code, count) {
		if (at >= CELL_MAX - 1)
			break;
		at += (size_t)snprintf(out + at, CELL_MAX - at, "%s%s %lld", at ? ", " : "", code,
		                       (long long)json_integer_value(count));
	}
}

static void make_cells(const json_t *row, int k, struct cells *cells)
{
	double seconds = json_num(row, "median_seconds", -1);
	double cost = json_num(row, "median_cost_usd", -1);
	const char *group = json_text(row, "group");

	cells->n = 0;
	snprintf(next(cells), CELL_MAX, "%s", group ? group : "-");
	snprintf(next(cells), CELL_MAX, "%lld/%lld", (long long)json_int(row, "passed", 0),
	         (long long)json_int(row, "n", 0));
	add_percent(cells, json_object_get(row, "rate"));
	if (json_is_number(json_object_get(row, "low")))
		snprintf(next(cells), CELL_MAX, "%.1f–%.1f%%", 100 * json_num(row, "low", 0),
		         100 * json_num(row, "high", 0));
	else
		snprintf(next(cells), CELL_MAX, "-");
	add_pass_at(cells, row, 1);
	if (k > 1)
		add_pass_at(cells, row, k);
	if (seconds >= 0)
		text_format_duration(seconds, next(cells));
	else
		snprintf(next(cells), CELL_MAX, "-");
	if (cost >= 0)
		snprintf(next(cells), CELL_MAX, "$%.4g", cost);
	else
		snprintf(next(cells), CELL_MAX, "-");
	add_failures(cells, row);
}

static void make_titles(const json_t *counted, int k, struct cells *cells)
{
	const char *by = json_text(counted, "by");

	cells->n = 0;
	snprintf(next(cells), CELL_MAX, "%s", by && strcmp(by, "task") == 0 ? "TASK" : "AGENT");
	snprintf(next(cells), CELL_MAX, "PASSED");
	snprintf(next(cells), CELL_MAX, "RATE");
	snprintf(next(cells), CELL_MAX, "95%% CI");
	snprintf(next(cells), CELL_MAX, "PASS@1");
	if (k > 1)
		snprintf(next(cells), CELL_MAX, "PASS@%d", k);
	snprintf(next(cells), CELL_MAX, "TIME");
	snprintf(next(cells), CELL_MAX, "COST");
	snprintf(next(cells), CELL_MAX, "FAILURES");
}

/* The rows, and where there are several, all of them together. */
static const json_t *row_at(const json_t *counted, size_t i)
{
	const json_t *rows = json_sub(counted, "rows");
	size_t n = json_array_size(rows);

	if (i < n)
		return json_array_get(rows, i);
	return i == n && n > 1 ? json_sub(counted, "all") : NULL;
}

static int print_table(const struct cli *cli, const json_t *counted, int k, struct error *err)
{
	struct table_column columns[COLUMNS_MAX] = {{NULL, false, false}};
	_cleanup_table_ struct table table = {0};
	struct cells titles, cells;
	const json_t *row;

	make_titles(counted, k, &titles);
	for (size_t i = 0; i < titles.n; i++)
		columns[i] = (struct table_column){titles.text[i], i > 0 && i < titles.n - 1,
		                                   i == 0 || i == titles.n - 1};
	table_init(&table, columns, titles.n);
	for (size_t i = 0; (row = row_at(counted, i)); i++) {
		make_cells(row, k, &cells);
		for (size_t j = 0; j < cells.n; j++)
			table_add(&table,
			          j                                                ? STYLE_PLAIN
			          : i < json_array_size(json_sub(counted, "rows")) ? STYLE_BOLD
			                                                           : STYLE_DIM,
			          cells.text[j]);
	}
	return table_print(&table, cli, err);
}

static void print_markdown_row(const struct cells *cells)
{
	for (size_t i = 0; i < cells->n; i++) {
		_cleanup_free_ char *safe = text_safe(cells->text[i], 0);

		fputs(i ? " | " : "| ", stdout);
		for (const char *c = safe; *c; c++) {
			if (*c == '|' || *c == '\\')
				putchar('\\');
			putchar(*c);
		}
	}
	puts(" |");
}

static void print_markdown(const json_t *counted, int k)
{
	struct cells cells;
	const json_t *row;

	make_titles(counted, k, &cells);
	print_markdown_row(&cells);
	for (size_t i = 0; i < cells.n; i++)
		fputs(i && i < cells.n - 1 ? "| ---: " : "| --- ", stdout);
	puts("|");
	for (size_t i = 0; (row = row_at(counted, i)); i++) {
		make_cells(row, k, &cells);
		print_markdown_row(&cells);
	}
}

/* RFC 4180: quoted where it has to be. */
static void print_field(const char *text, bool first)
{
	bool quote = strpbrk(text, ",\"\r\n") != NULL;

	if (!first)
		putchar(',');
	if (quote)
		putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	if (quote)
		putchar('"');
}

static void print_number(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	putchar(',');
	if (json_is_integer(value))
		printf("%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		printf("%.6g", json_real_value(value));
}

static void print_failures(const json_t *row)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *code;
	json_t *count;

	json_object_foreach (json_sub(row, "failures"), code, count)
		buf_printf(&text, "%s%s:%lld", text.len ? ";" : "", code,
		           (long long)json_integer_value(count));
	print_field(text.len ? text.data : "", false);
}

/* For programs: no sum, every number plain, all of pass@k. */
static void print_csv(const json_t *counted, int k)
{
	static const char *const numbers[] = {"tasks", "n", "passed", "rate", "low", "high"};
	static const char *const more[] = {"median_seconds", "median_cost_usd", "cost_usd",
	                                   "unverified",     "cancelled",       "open"};
	json_t *row;
	size_t i;

	printf("%s", json_text(counted, "by"));
	for (i = 0; i < ARRAY_LEN(numbers); i++)
		printf(",%s", numbers[i]);
	for (int j = 1; j <= k; j++)
		printf(",pass_at_%d", j);
	for (i = 0; i < ARRAY_LEN(more); i++)
		printf(",%s", more[i]);
	puts(",failures");
	json_array_foreach (json_sub(counted, "rows"), i, row) {
		const char *group = json_text(row, "group");
		_cleanup_free_ char *safe = text_safe(group ? group : "", 0);

		print_field(safe, true);
		for (size_t j = 0; j < ARRAY_LEN(numbers); j++)
			print_number(row, numbers[j]);
		for (int j = 1; j <= k; j++) {
			char name[16];

			snprintf(name, sizeof name, "%d", j);
			print_number(json_sub(row, "pass_at"), name);
		}
		for (size_t j = 0; j < ARRAY_LEN(more); j++)
			print_number(row, more[j]);
		print_failures(row);
		putchar('\n');
	}
}

static void print_remarks(const struct cli *cli, const json_t *counted)
{
	const json_t *all = json_sub(counted, "all");
	int64_t open = json_int(all, "open", 0), cancelled = json_int(all, "cancelled", 0);
	int64_t unverified = json_int(all, "unverified", 0);

	if (cli->quiet)
		return;
	if (open)
		printf("%lld not ended yet, not counted\n", (long long)open);
	if (cancelled)
		printf("%lld cancelled, not counted\n", (long long)cancelled);
	if (unverified)
		printf("%lld passed without a verify: nothing proves them\n",
		       (long long)unverified);
}

int experiment_print(const struct cli *cli, const json_t *counted, const char *format,
                     struct error *err)
{
	int k = (int)json_int(counted, "k", 0);

	if (strcmp(format, "csv") == 0) {
		print_csv(counted, k);
		return 0;
	}
	if (strcmp(format, "md") == 0) {
		print_markdown(counted, k);
		return 0;
	}
	if (print_table(cli, counted, k, err) < 0)
		return -1;
	print_remarks(cli, counted);
	return 0;
}
