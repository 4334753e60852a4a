/* status --conflicts: which works under way would conflict, as a matrix. */
#ifndef PLEACH_CLI_CONFLICTS_VIEW_H
#define PLEACH_CLI_CONFLICTS_VIEW_H

#include "command.h"

/* Exit status, or -1 with err. */
int conflicts_show(struct cli *cli, struct error *err);

#endif
