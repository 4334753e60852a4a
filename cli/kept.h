/* What is kept of a task's attempts below refs/pleach/kept/, those that were lost included. */
#ifndef PLEACH_CLI_KEPT_H
#define PLEACH_CLI_KEPT_H

#include <jansson.h>

#include "command.h"
#include "error.h"

/* Of an answer of task.locate: [{"ref","commit"}], the newest attempt first. New reference. */
int kept_of_task(struct cli *cli, const json_t *located, json_t **list, struct error *err);

/* The commit of one of them: by its name, in full or below refs/pleach/kept/; NULL: the first.
 * Borrowed from `list`; NULL where it is not there. */
const char *kept_find(const json_t *list, const char *name);

#endif
