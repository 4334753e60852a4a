/* Showing a teammate's screen. */
#ifndef PLEACH_CLI_ATTACH_H
#define PLEACH_CLI_ATTACH_H

#include "command.h"

/* `view`: result of team.view. Shows it, and others as the person asks for them (M-n, M-1…9),
 * until it is left. Its exit status, or -1. */
int attach_view(struct cli *cli, const json_t *view, bool read_only, struct error *err);

/* Waits until a teammate has that task, and shows its screen. */
int attach_task(struct cli *cli, json_int_t id, struct error *err);

#endif
