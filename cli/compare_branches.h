/* Comparing any revisions, also ones that no task made. */
#ifndef PLEACH_CLI_COMPARE_BRANCHES_H
#define PLEACH_CLI_COMPARE_BRANCHES_H

#include "command.h"

/* The comparison of the interface for the command line's names: branches or other revisions, and
 * tasks (their heads). With --verify each different tree is verified once. Exit status; 0 with
 * `*out`, a new reference, whose ids are numbers of rows. */
int compare_branches(struct cli *cli, json_t **out, struct error *err);
/* The same for JSON: no ids, names where there were any. */
void compare_branches_named(json_t *comparison);

#endif
