/* Small things that several commands do with tasks named on the command line. */
#ifndef PLEACH_CLI_NAMES_H
#define PLEACH_CLI_NAMES_H

#include "command.h"

/* The arguments from args[from] on as a JSON list. INVALID when one is not UTF-8. */
int names_json(const struct cli *cli, size_t from, json_t **out, struct error *err);
/* Params with one name under `field`; none when the argument was not given: then the
 * coordinator takes the caller's own. */
json_t *names_params(const struct cli *cli, size_t at, const char *field);
/* One line about a Task: mark, key, id, what became of it. `others` (may be NULL): lists of
 * Tasks in which those that it names are looked up. */
void names_print_task(const struct cli *cli, const json_t *task, const json_t *others);

#endif
