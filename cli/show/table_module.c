/* pleach-table.so: tables laid out by libsmartcols. Apart from the program so that commands
 * without a table neither load the library nor set a locale. Cells come in safe. */
#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "table.h"

extern const struct table_module pleach_table_module;

static const char *cell_color(enum style style)
{
	static const char *const codes[] = {NULL,       "\033[1m",  "\033[2m", "\033[31m",
	                                    "\033[32m", "\033[33m", "\033[36m"};

	return codes[style];
}

static int add_columns(struct libscols_table *out, const struct table *table)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const struct table_column *column = &table->columns[i];
		int flags =
		    (column->right ? SCOLS_FL_RIGHT : 0) | (column->cut ? SCOLS_FL_TRUNC : 0);

		if (!scols_table_new_column(out, column->name, column->cut ? 0.1 : 1, flags))
			return -1;
	}
	return 0;
}

static int add_rows(struct libscols_table *out, const struct table *table)
{
	struct libscols_line *line = NULL;

	for (size_t i = 0; i < table->cell_count; i++) {
		size_t at = i % table->column_count;

		if (!at)
			line = scols_table_new_line(out, NULL);
		if (!line || scols_line_set_data(line, at, table->cells[i]))
			return -1;
		if (cell_color(table->styles[i]) &&
		    scols_cell_set_color(scols_line_get_cell(line, at),
		                         cell_color(table->styles[i])))
			return -1;
	}
	return 0;
}

static char *render(const struct table *table, size_t width, bool colored)
{
	struct libscols_table *out;
	char *text = NULL;

	/* In the C locale libsmartcols writes every byte beyond ASCII as \x... */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	out = scols_new_table();
	if (!out)
		return NULL;
	scols_table_enable_colors(out, colored);
	scols_table_enable_maxout(out, 0);
	scols_table_set_column_separator(out, "  ");
	scols_table_set_termforce(out, width ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	if (width)
		scols_table_set_termwidth(out, width);
	if (add_columns(out, table) || add_rows(out, table) ||
	    scols_print_table_to_string(out, &text)) {
		free(text);
		text = NULL;
	}
	scols_unref_table(out);
	return text;
}

__attribute__((visibility("default"))) const struct table_module pleach_table_module = {
    .version = TABLE_MODULE_VERSION,
    .render = render,
};
