/* Patches from pleach-git to stdout: through a pager on a terminal, as they are in a pipe. */
#ifndef PLEACH_CLI_DIFF_VIEW_H
#define PLEACH_CLI_DIFF_VIEW_H

#include "command.h"

/* Runs `pleach-git diff` with this request (taken; root is added). Exit status, or -1. */
int diff_show(struct cli *cli, json_t *request, bool page, struct error *err);
/* The same as an object: {"base","head","patch"}, or "stat" instead where that is asked for. */
int diff_print_json(struct cli *cli, json_t *request, struct error *err);
/* The request for the task that is named, if one is: base to head, or while it runs what its slot
 * holds. */
int diff_request(struct cli *cli, bool stat, json_t **out, struct error *err);

#endif
