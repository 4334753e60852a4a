/* Questions about a plan that `run` answers before anybody is asked: pure, but for the file. */
#ifndef PLEACH_CLI_RUN_PLAN_H
#define PLEACH_CLI_RUN_PLAN_H

#include "command.h"

/* True for "-", what has a slash, ends in .yaml .yml .json, or exists as a file. */
bool run_is_plan_file(const char *argument);
/* NOT_FOUND with the nearest key when the plan has no such task. */
int run_check_keys(const json_t *plan, const json_t *keys, struct error *err);
/* {AGENT:true} of the selected tasks and of the team. New reference. */
json_t *run_used_agents(const json_t *plan, const json_t *keys);
/* [KEY] of the selected tasks, every one behind what it waits for. New reference. */
json_t *run_order(const json_t *plan, const json_t *keys);
#define RUN_TEAM_MAX 4 /* teammates where nobody said how many */
/* How many teammates a plan is worth that has not begun: min(4, ready tasks). */
long run_default_size(const json_t *plan, const json_t *keys);
void run_print_order(const struct cli *cli, const json_t *plan, const json_t *order);

#endif
