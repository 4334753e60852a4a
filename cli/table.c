/* Tables: collecting cells, and loading the module that lays them out. */
#include "table.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
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
	if (vasprintf(&text, fmt, ap) < 0)
		die("out of memory (formatting)");
	va_end(ap);
	table_add(table, style, text);
}

static const struct table_module *module_load(struct error *err)
{
	static const char *const places[] = {".", "../lib/pleach", "../libexec/pleach"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_free_ char *path =
		    xasprintf("%s/%s/pleach-table.so", proc_own_dir(), places[i]);
		const struct table_module *found;
		void *handle;

		if (access(path, R_OK))
			continue;
		handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		found = handle ? dlsym(handle, TABLE_MODULE_SYMBOL) : NULL;
		if (found && found->version == TABLE_MODULE_VERSION)
			return found;
		error_set(err, ERROR_EXTERNAL, "cannot load %s: %s (install pleach again)", path,
		          handle ? "it is of another version" : dlerror());
		return NULL;
	}
	error_set(err, ERROR_EXTERNAL,
	          "pleach-table.so is missing beside %s (install pleach again)", proc_own_dir());
	return NULL;
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
	const struct table_module *module = module_load(err);
	_cleanup_free_ char *text = NULL;

	if (!module)
		return -1;
	text = module->render(table, print_width(cli), cli->colored);
	if (!text)
		return error_set(err, ERROR_EXTERNAL, "libsmartcols cannot lay out the table");
	print_trimmed(text);
	return 0;
}
