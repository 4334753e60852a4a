/* Patches of pleach-git read into lines that know their place in the base, and printed beside each
 * other. A line of the base stands in one row for all columns; what a column inserts stands in
 * rows of its own before it. */
#include "diff_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "proc.h"
#include "text.h"

#define PATCH_MAX      (16u << 20) /* bytes of one column's patch */
#define WIDTH_DEFAULT  160         /* columns where stdout is no terminal */
#define CELL_MIN       34
#define WIDTH_MIN      (NUMBER_WIDTH + CELL_MIN)
#define NUMBER_WIDTH   6
#define SEPARATOR      " │ "
#define SEPARATOR_COLS 3
#define COLUMNS_MAX    64

struct patch_line {
	int base;  /* its number in the base; of an insertion: of the line behind it */
	char sign; /* ' ' '-' '+' */
	const char *text;
	size_t len;
};

struct patch_file {
	char *path;
	const char *note; /* "new", "deleted", "binary"; NULL */
	struct patch_line *lines;
	size_t count, cap;
};

struct column {
	const char *name; /* borrowed */
	struct buf text;
	struct patch_file *files;
	size_t file_count;
};

static void column_finish(struct column *column)
{
	for (size_t i = 0; i < column->file_count; i++) {
		free(column->files[i].path);
		free(column->files[i].lines);
	}
	free(column->files);
	buf_finish(&column->text);
}

/* ---- reading ---- */

static struct patch_file *add_file(struct column *column)
{
	column->files = xrealloc(column->files, (column->file_count + 1) * sizeof *column->files);
	column->files[column->file_count] = (struct patch_file){.path = NULL};
	return &column->files[column->file_count++];
}

static void add_line(struct patch_file *file, int base, char sign, const char *text, size_t len)
{
	if (file->count == file->cap) {
		file->cap = file->cap ? file->cap * 2 : 64;
		file->lines = xrealloc(file->lines, file->cap * sizeof *file->lines);
	}
	file->lines[file->count++] = (struct patch_line){base, sign, text, len};
}

static bool starts(const char *line, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && memcmp(line, prefix, n) == 0;
}

/* `diff --git a/P b/P`: the same name twice, as nothing is renamed here. */
static char *path_of(const char *line, size_t len)
{
	size_t from = strlen("diff --git "), n = len > from ? (len - from - 1) / 2 : 0;
	bool quoted = n && line[from] == '"';
	size_t skip = quoted ? 3 : 2, drop = quoted ? 1 : 0;

	return n > skip + drop ? xstrndup(line + from + skip, n - skip - drop)
	                       : xstrndup(line, len);
}

/* What stands between a file's name and its first hunk. */
static void read_head(struct patch_file *file, const char *line, size_t len)
{
	if (starts(line, len, "new file"))
		file->note = "new";
	else if (starts(line, len, "deleted file"))
		file->note = "deleted";
	else if (starts(line, len, "Binary files"))
		file->note = "binary";
	else if (starts(line, len, "old mode"))
		file->note = "mode";
}

/* START[,COUNT] of a hunk's heading. The patch ends with a newline, so reading stops. */
static void read_range(const char *text, int *start, int *count)
{
	char *end;
	long first = strtol(text, &end, 10);

	if (start)
		*start = (int)first;
	*count = *end == ',' ? (int)strtol(end + 1, NULL, 10) : 1;
}

static void read_patch(struct column *column)
{
	const char *text = column->text.data;
	struct patch_file *file = NULL;
	int base = 0, left = 0, added = 0; /* of the hunk: lines that are still to come */

	for (size_t at = 0; at < column->text.len;) {
		const char *line = text + at, *end = memchr(line, '\n', column->text.len - at);
		size_t len = end ? (size_t)(end - line) : column->text.len - at;

		at += len + 1;
		if (left + added > 0 && file && len && *line && strchr(" -+", *line)) {
			add_line(file, base, *line, line + 1, len - 1);
			base += *line != '+';
			left -= *line != '+';
			added -= *line != '-';
		} else if (starts(line, len, "diff --git ")) {
			file = add_file(column);
			file->path = path_of(line, len);
			left = added = 0;
		} else if (file && starts(line, len, "@@ -") && memchr(line, '+', len)) {
			int b = 0;

			read_range(strchr(line, '-') + 1, &b, &left);
			read_range(strchr(line, '+') + 1, NULL, &added);
			/* Of no lines: behind that one. */
			base = left ? b : b + 1;
		} else if (file) {
			read_head(file, line, len);
		}
	}
}

static int read_column(struct cli *cli, const char *base, const char *head, struct column *column,
                       struct error *err)
{
	_cleanup_json_ json_t *request =
	    json_pack("{s:s, s:s, s:b}", "base", base, "head", head, "plain", 1);
	_cleanup_buf_ struct buf in = BUF_INIT, why = BUF_INIT;
	_cleanup_free_ char *program = cli_program("pleach-git", err);
	const char *argv[] = {program, "diff", NULL};
	struct proc_run run = {
	    .spec = PROC_SPEC_INIT, .out = &column->text, .err_out = &why, .max_out = PATCH_MAX};
	_cleanup_json_ json_t *answer = NULL;
	int status = 0;

	if (!program || cli_git_request(cli, request, err) < 0)
		return -1;
	jsonl_add(&in, request);
	run.spec.argv = argv;
	run.in = in.data;
	run.in_len = in.len;
	if (proc_run(&run, &status, err) < 0)
		return -1;
	/* An error is JSON, which a patch never looks like. */
	if (status != 0 || (column->text.len && column->text.data[0] == '{'))
		return cli_git_answer(&column->text, &why, status ? status : 256, &answer, err);
	read_patch(column);
	return 0;
}

/* ---- printing ---- */

struct layout {
	struct cli *cli;
	size_t cell; /* columns of a cell */
};

static size_t wanted_width(const struct cli *cli)
{
	size_t width = print_width(cli);
	const char *columns = getenv("COLUMNS");

	if (!width && columns && atoi(columns) > 0)
		width = (size_t)atoi(columns);
	width = width ? width : WIDTH_DEFAULT;
	return width > WIDTH_MIN ? width : WIDTH_MIN;
}

/* A cell of text with its sign, cut or filled to the width. */
static void print_cell(const struct layout *layout, enum style style, char sign, const char *text,
                       size_t len, bool last)
{
	_cleanup_buf_ struct buf wide = BUF_INIT, safe = BUF_INIT;
	const char *code = layout->cli->colored ? style_code(style) : "";
	size_t used;

	for (size_t i = 0; i < len && wide.len < 4 * layout->cell + 64; i++)
		buf_add(&wide, text[i] == '\t' ? "    " : text + i, text[i] == '\t' ? 4 : 1);
	text_add_safe(&safe, wide.len ? wide.data : "", wide.len, layout->cell - 1, false);
	used = 1 + text_width(safe.len ? safe.data : "");
	printf("%s%c%s%s", code, sign, safe.len ? safe.data : "", *code ? "\033[0m" : "");
	if (last)
		return;
	printf("%*s%s", used < layout->cell ? (int)(layout->cell - used) : 0, "", SEPARATOR);
}

static void print_number(const struct layout *layout, int number)
{
	if (layout->cli->colored)
		fputs(style_code(STYLE_DIM), stdout);
	if (number)
		printf("%*d ", NUMBER_WIDTH - 1, number);
	else
		printf("%*s", NUMBER_WIDTH, "");
	if (layout->cli->colored)
		fputs("\033[0m", stdout);
}

static void print_title(const struct layout *layout, const char *const *names, size_t n)
{
	printf("%*s", NUMBER_WIDTH, "");
	for (size_t i = 0; i < n; i++)
		print_cell(layout, STYLE_BOLD, ' ', names[i], strlen(names[i]), i + 1 == n);
	putchar('\n');
}

static void print_path(const struct layout *layout, const char *path, const char *note)
{
	struct line line;

	line_begin(&line, 0, layout->cli->colored);
	line_addf(&line, STYLE_CYAN, "── %s", path);
	if (note)
		line_addf(&line, STYLE_DIM, "  (%s)", note);
	line_print(&line);
	line_finish(&line);
}

/* ---- several patches of one base ---- */

/* Where each column is in one file; NULL: it does not touch it. */
struct cursor {
	const struct patch_file *file;
	size_t at;
};

static const struct patch_line *line_at(const struct cursor *cursor, int base)
{
	if (!cursor->file || cursor->at >= cursor->file->count ||
	    cursor->file->lines[cursor->at].base != base)
		return NULL;
	return &cursor->file->lines[cursor->at];
}

static bool next_base(const struct cursor *cursors, size_t n, int *out)
{
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		const struct cursor *c = &cursors[i];

		if (!c->file || c->at >= c->file->count)
			continue;
		if (!found || c->file->lines[c->at].base < *out)
			*out = c->file->lines[c->at].base;
		found = true;
	}
	return found;
}

/* What columns insert before this line, row by row. */
static void print_inserted(const struct layout *layout, struct cursor *cursors, size_t n, int base)
{
	for (;;) {
		bool any = false;

		for (size_t i = 0; i < n; i++) {
			const struct patch_line *line = line_at(&cursors[i], base);

			any = any || (line && line->sign == '+');
		}
		if (!any)
			return;
		print_number(layout, 0);
		for (size_t i = 0; i < n; i++) {
			const struct patch_line *line = line_at(&cursors[i], base);
			bool mine = line && line->sign == '+';

			print_cell(layout, STYLE_GREEN, mine ? '+' : ' ', mine ? line->text : "",
			           mine ? line->len : 0, i + 1 == n);
			cursors[i].at += mine;
		}
		putchar('\n');
	}
}

/* The line itself: whose patch does not reach it still has it. */
static void print_base(const struct layout *layout, struct cursor *cursors, size_t n, int base)
{
	const struct patch_line *any = NULL;

	for (size_t i = 0; i < n && !any; i++)
		any = line_at(&cursors[i], base);
	if (!any)
		return;
	print_number(layout, base);
	for (size_t i = 0; i < n; i++) {
		const struct patch_line *line = line_at(&cursors[i], base);
		bool gone = line && line->sign == '-';

		print_cell(layout, gone ? STYLE_RED : STYLE_PLAIN, gone ? '-' : ' ', any->text,
		           any->len, i + 1 == n);
		cursors[i].at += line != NULL;
	}
	putchar('\n');
}

static void print_file(const struct layout *layout, struct cursor *cursors, size_t n)
{
	int base = 0, last = 0;

	while (next_base(cursors, n, &base)) {
		if (last && base > last + 1)
			printf("%*s⋯\n", NUMBER_WIDTH - 2, "");
		print_inserted(layout, cursors, n, base);
		print_base(layout, cursors, n, base);
		last = base;
	}
}

static const struct patch_file *file_of(const struct column *column, const char *path)
{
	for (size_t i = 0; i < column->file_count; i++)
		if (strcmp(column->files[i].path, path) == 0)
			return &column->files[i];
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of all files that these columns touch, sorted, each once. Caller frees the vector. */
static const char **paths_of(const struct column *columns, size_t n, size_t *count)
{
	const char **paths;
	size_t total = 0, kept = 0;

	for (size_t i = 0; i < n; i++)
		total += columns[i].file_count;
	paths = xcalloc(total + 1, sizeof *paths);
	total = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < columns[i].file_count; k++)
			paths[total++] = columns[i].files[k].path;
	if (total)
		qsort(paths, total, sizeof *paths, by_text);
	for (size_t i = 0; i < total; i++)
		if (!kept || strcmp(paths[kept - 1], paths[i]) != 0)
			paths[kept++] = paths[i];
	*count = kept;
	return paths;
}

static void print_block(const struct layout *layout, const struct column *columns, size_t n)
{
	_cleanup_free_ struct cursor *cursors = xcalloc(n, sizeof *cursors);
	_cleanup_free_ const char **names = xcalloc(n, sizeof *names), **paths = NULL;
	size_t count;

	for (size_t i = 0; i < n; i++)
		names[i] = columns[i].name;
	paths = paths_of(columns, n, &count);
	print_title(layout, names, n);
	for (size_t k = 0; k < count; k++) {
		const char *note = NULL;

		for (size_t i = 0; i < n; i++) {
			cursors[i] = (struct cursor){file_of(&columns[i], paths[k]), 0};
			if (cursors[i].file && cursors[i].file->note)
				note = cursors[i].file->note;
		}
		print_path(layout, paths[k], note);
		print_file(layout, cursors, n);
	}
}

int diff_columns_print(struct cli *cli, const json_t *comparison, struct error *err)
{
	struct column columns[COLUMNS_MAX] = {{.name = NULL}};
	size_t width = wanted_width(cli), n = 0, block, i;
	struct layout layout = {.cli = cli};
	json_t *row;
	int rc = 0;

	json_array_foreach (json_sub(comparison, "alternatives"), i, row) {
		const char *base = json_text(row, "base"), *head = json_text(row, "head");

		if (!base || !head || n == COLUMNS_MAX || rc < 0)
			continue;
		columns[n].name = json_text(row, "key");
		rc = read_column(cli, base, head, &columns[n++], err);
	}
	block = (width - NUMBER_WIDTH) / (CELL_MIN + SEPARATOR_COLS);
	block = block ? block : 1;
	/* Three on a screen for two: two and one; four: two and two. */
	block = n ? (n + (n + block - 1) / block - 1) / ((n + block - 1) / block) : 1;
	layout.cell = (width - NUMBER_WIDTH - (block - 1) * SEPARATOR_COLS) / block;
	layout.cell = layout.cell < CELL_MIN ? CELL_MIN : layout.cell;
	for (i = 0; i < n && rc == 0; i += block) {
		putchar('\n');
		print_block(&layout, columns + i, n - i < block ? n - i : block);
	}
	for (i = 0; i < n; i++)
		column_finish(&columns[i]);
	return rc;
}

/* ---- two results ---- */

static void print_pair(const struct layout *layout, int number, const struct patch_line *left,
                       const struct patch_line *right)
{
	bool same = left == right;

	print_number(layout, number);
	print_cell(layout, same ? STYLE_PLAIN : STYLE_RED, same || !left ? ' ' : '-',
	           left ? left->text : "", left ? left->len : 0, false);
	print_cell(layout, same ? STYLE_PLAIN : STYLE_GREEN, same || !right ? ' ' : '+',
	           right ? right->text : "", right ? right->len : 0, true);
	putchar('\n');
}

/* Lines that went stand beside those that came in their place. */
static void print_pairs(const struct layout *layout, const struct patch_file *file)
{
	int last = 0;

	for (size_t at = 0; at < file->count;) {
		const struct patch_line *line = &file->lines[at];
		size_t gone = 0, came = 0;

		if (last && line->base > last + 1)
			printf("%*s⋯\n", NUMBER_WIDTH - 2, "");
		if (line->sign == ' ') {
			print_pair(layout, line->base, line, line);
			last = line->base;
			at++;
			continue;
		}
		while (at + gone < file->count && line[gone].sign == '-')
			gone++;
		while (at + gone + came < file->count && line[gone + came].sign == '+')
			came++;
		for (size_t i = 0; i < gone || i < came; i++)
			print_pair(layout, i < gone ? line[i].base : 0, i < gone ? &line[i] : NULL,
			           i < came ? &line[gone + i] : NULL);
		last = gone ? line[gone - 1].base : line->base - 1;
		at += gone + came;
	}
}

int diff_columns_between(struct cli *cli, const json_t *comparison, struct error *err)
{
	const json_t *rows = json_sub(comparison, "alternatives");
	const json_t *a = json_array_get(rows, 0), *b = json_array_get(rows, 1);
	const char *names[] = {json_text(a, "key"), json_text(b, "key")};
	const char *from = json_text(a, "head"), *to = json_text(b, "head");
	struct column column = {.name = names[0]};
	struct layout layout = {.cli = cli,
	                        .cell = (wanted_width(cli) - NUMBER_WIDTH - SEPARATOR_COLS) / 2};
	int rc;

	if (!from || !to)
		return error_set(err, ERROR_NOT_FOUND, "compare: %s has no result yet",
		                 from ? names[1] : names[0]);
	layout.cell = layout.cell < CELL_MIN ? CELL_MIN : layout.cell;
	rc = read_column(cli, from, to, &column, err);
	if (rc == 0) {
		putchar('\n');
		print_title(&layout, names, 2);
	}
	for (size_t i = 0; i < column.file_count && rc == 0; i++) {
		print_path(&layout, column.files[i].path, column.files[i].note);
		print_pairs(&layout, &column.files[i]);
	}
	if (rc == 0 && !column.file_count)
		puts("they are the same");
	column_finish(&column);
	return rc;
}
