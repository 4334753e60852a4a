/* Small things that several commands do with tasks named on the command line. */
#ifndef PLEACH_CLI_NAMES_H
#define PLEACH_CLI_NAMES_H

#include "command.h"

/* The arguments from args[from] on as a JSON list of tasks; without any, the one where the user
 * stands (cli_task_here), if there is one, or an agent's own. NOT_FOUND when one is not UTF-8. */
int names_json(struct cli *cli, size_t from, json_t **out, struct error *err);
/* Params with one name under `field`; none when the argument was not given. */
json_t *names_params(const struct cli *cli, size_t at, const char *field);
/* The same for TASK and WHO: not given, it is the task where the user stands. Where there is none
 * either, the coordinator takes the caller's own. */
json_t *names_task(struct cli *cli, size_t at, const char *field);
/* A task_index of these and of those that they speak of (what they wait for, are stuck behind, are
 * tried as; with `all` also who waits for them), which are asked for. New reference. */
int names_read_index(struct cli *cli, const json_t *tasks, bool all, json_t **index,
                     struct error *err);
/* The same; of these alone where the others cannot be asked for. */
json_t *names_index(struct cli *cli, const json_t *tasks, bool all);
/* One line about a Task: mark, key, id, what became of it. `index`: in which those that it
 * names are looked up; NULL: one is made. */
void names_print_task(struct cli *cli, const json_t *task, const json_t *index);

#endif
