/* Reaching the coordinator of the repository around us, and starting it where none runs. */
#ifndef PLEACH_CLI_CONNECT_H
#define PLEACH_CLI_CONNECT_H

#include <stdint.h>

#include "buf.h"
#include "command.h"

/* Finds the repository, once. Errors: EXTERNAL (there is none). */
int cli_place(struct cli *cli, struct error *err);
/* Connects, once; starts the coordinator where none runs, except inside a slot. */
int cli_connect(struct cli *cli, struct error *err);
/* Connects to one that runs: 1, or 0 when none does, or -1. */
int cli_connect_running(struct cli *cli, struct error *err);
/* What a plan (or task.add) does not say of base and target, said for somebody who stands in a
 * linked worktree of their own (here.c). */
void cli_stand_here(const struct cli *cli, json_t *plan);
/* The task, PLAN/KEY, whose branch is checked out in the linked worktree where the user stands: a
 * slot, or what `open` made. Caller frees; NULL: none. */
char *cli_task_here(struct cli *cli);
/* Connects where needed, asks, waits for the reply. `params` is taken (NULL: none). `again`:
 * may be asked again when the coordinator restarts meanwhile. */
int cli_ask(struct cli *cli, const char *method, json_t *params, bool again, json_t **result,
            struct error *err);
/* task.list, in as many answers as it takes; `params` is taken. brief: tasks without prompt and
 * output, as a person's list needs them. New reference: {"tasks"}. */
int cli_list_tasks(struct cli *cli, json_t *params, bool brief, json_t **result, struct error *err);
/* The number of the newest event, for who will read those that come. */
int cli_last_event(struct cli *cli, int64_t *seq, struct error *err);
/* Waits until the process of the coordinator has ended: its lock can be taken. */
int cli_wait_for_end(const struct place *place, struct error *err);
/* After the reply to coordinator.down: closes the connection and waits until the coordinator has
 * ended. Whoever takes the place of a serving process that dies on its way down is asked, too. */
int cli_await_down(struct cli *cli, struct error *err);
/* Path of a sister program (beside us, ../libexec/pleach, PATH). Caller frees; NULL: EXTERNAL. */
char *cli_program(const char *name, struct error *err);
/* Adds what every request to pleach-git has: root, pinned. */
int cli_git_request(struct cli *cli, json_t *request, struct error *err);
/* A request as a file in memory, so that nothing has to be written while the answer is read. */
int cli_git_file(const json_t *request, struct error *err);
/* What a pleach-git said: `out` its answer, `why` what it complained about. New reference. */
int cli_git_answer(const struct buf *out, const struct buf *why, int status, json_t **result,
                   struct error *err);
/* Asks `pleach-git VERB`; `request` is taken and given root. New reference. */
int cli_git(struct cli *cli, const char *verb, json_t *request, json_t **result, struct error *err);

#endif
