/* An experiment: what became of the tasks of a plan, counted by agent or by task. Pure: Tasks of
 * the interface in, numbers out. */
#ifndef PLEACH_CLI_EXPERIMENT_H
#define PLEACH_CLI_EXPERIMENT_H

#include <jansson.h>
#include <stdbool.h>

/* {"by","k","rows":[ROW],"all":ROW}, ROW = {"group","tasks","n","passed","rate","low","high",
 * "pass_at":{K:P},"median_seconds","median_cost_usd","cost_usd","failures":{CODE:N},
 * "unverified","cancelled","open"}. New reference.
 *
 * n are the results that count: completed or failed; cancelled and open ones are told apart. A
 * result is passed when it is completed (those without a verify are also counted as unverified).
 * low and high: the 95 % Wilson score interval of the rate. pass_at: the unbiased estimate
 * 1 - C(n-c, k) / C(n, k) of each task, averaged over the group's tasks, for every k that each of
 * its tasks has results for. "k": the largest that all rows have. Alternatives are results of the
 * task that they are alternatives of. By agent the best rate comes first, by task the plan's order
 * stays. */
json_t *experiment_count(const json_t *tasks, bool by_agent);

#endif
