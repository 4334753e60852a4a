/* The table that `compare` prints, and `try` at its end. */
#ifndef PLEACH_CLI_COMPARE_VIEW_H
#define PLEACH_CLI_COMPARE_VIEW_H

#include "command.h"

int compare_print(const struct cli *cli, const json_t *comparison, struct error *err);

#endif
