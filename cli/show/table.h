/* Tables for people. libsmartcols does the layout in pleach-table.so, which only commands that
 * print a table load. */
#ifndef PLEACH_CLI_TABLE_H
#define PLEACH_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "print.h"

struct table_column {
	const char *name;
	bool right; /* aligned right */
	bool cut;   /* may be cut where the terminal is narrow */
};

struct table {
	const struct table_column *columns; /* borrowed */
	size_t column_count;
	char **cells; /* row by row; safe text */
	enum style *styles;
	size_t cell_count;
};

#define _cleanup_table_ __attribute__((cleanup(table_finish)))

void table_init(struct table *table, const struct table_column *columns, size_t count);
void table_finish(struct table *table);
/* Adds the next cell; rows are as many cells as there are columns. Makes it safe. */
void table_add(struct table *table, enum style style, const char *text);
void table_addf(struct table *table, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints it with a line of headings. */
int table_print(const struct table *table, const struct cli *cli, struct error *err);

/* What pleach-table.so gives. */
struct table_module {
	unsigned version; /* TABLE_MODULE_VERSION */
	/* The text of a table, `width` columns wide at most (0: no limit). Caller frees; NULL
	 * when libsmartcols failed. */
	char *(*render)(const struct table *table, size_t width, bool colored);
};
#define TABLE_MODULE_VERSION 1
#define TABLE_MODULE_SYMBOL  "pleach_table_module"

#endif
