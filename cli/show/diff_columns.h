/* Patches side by side: a column for each result, aligned at the lines of their base; or two
 * results beside each other. */
#ifndef PLEACH_CLI_DIFF_COLUMNS_H
#define PLEACH_CLI_DIFF_COLUMNS_H

#include "command.h"

/* Every row of a comparison that has a base and a head. */
int diff_columns_print(struct cli *cli, const json_t *comparison, struct error *err);
/* The first two rows: what the second has instead of the first. */
int diff_columns_between(struct cli *cli, const json_t *comparison, struct error *err);

#endif
