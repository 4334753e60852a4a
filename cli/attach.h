/* Becoming the viewer of a teammate's screen. */
#ifndef PLEACH_CLI_ATTACH_H
#define PLEACH_CLI_ATTACH_H

#include "command.h"

/* `view`: result of team.view. Does not return when it worked. */
int attach_view(const json_t *view, bool read_only, struct error *err);

#endif
