/* The order of alternatives: one rule for the table that people see and for the choice that is
 * made without them. Pure: reads JSON, asks nobody. */
#ifndef PLEACH_RANKING_H
#define PLEACH_RANKING_H

#include <jansson.h>
#include <stdbool.h>

/* What the store keeps of `choose:` (a word, or {"by","order"} or {"judge","timeout"} as JSON)
 * as JSON. New reference, never NULL. */
json_t *ranking_rule(const char *choose);
bool ranking_is(const json_t *rule, const char *word);
/* The judge's command, or NULL. Borrowed. */
const json_t *ranking_judge(const json_t *rule);

/* Sets "rank" (1 is the best; null: it does not count) and "why" in every row. A row has "id",
 * "status", "verify_exit_code", "insertions", "deletions", "measures", "error". Completed ones
 * count: proven before unproven, then as the rule says, then fewer changed lines, then in the
 * order they stand. `verdict` is a judge's {"order":[{"id","reason"}]}, or NULL. */
void ranking_apply(json_t *rows, const json_t *rule, const json_t *verdict);
/* The id of the row with rank 1, or 0. */
json_int_t ranking_best(const json_t *rows);

#endif
