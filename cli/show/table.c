/* Tables: collecting cells, and loading the module that lays them out. */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "module.h"
#include "proc.h"
#include "text.h"

void table_init(struct table *table, const struct table_column *columns, size_t count)
{
	*table = (struct table){.columns = columns, .column_count = count};
}

void table_finish(struct table *table)
{
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->styles);
}

void table_add(struct table *table, enum style style, const char *text)
{
	size_t n = table->cell_count + 1;

	table->cells = xrealloc(table->cells, n * sizeof *table->cells);
	table->styles = xrealloc(table->styles, n * sizeof *table->styles);
	table->cells[n - 1] = text_safe(text && *text ? text : "-", 0);
	table->styles[n - 1] = style;
	table->cell_count = n;
}

void table_addf(struct table *table, enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	table_add(table, style, text);
}

/* Line by line, without the blanks that fill the last column. */
static void print_trimmed(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n"), end = len;

		while (end && text[end - 1] == ' ')
			end--;
		fwrite(text, 1, end, stdout);
		putc('\n', stdout);
		text += len + (text[len] == '\n');
	}
}

int table_print(const struct table *table, const struct cli *cli, struct error *err)
{
	const struct table_module *module =
	    module_load("pleach-table.so", TABLE_MODULE_SYMBOL, TABLE_MODULE_VERSION, err);
	_cleanup_free_ char *text = NULL;

	if (!module)
		return -1;
	text = module->render(table, print_width(cli), cli->colored);
	if (!text)
		return error_set(err, ERROR_EXTERNAL, "libsmartcols cannot lay out the table");
	print_trimmed(text);
	return 0;
}
