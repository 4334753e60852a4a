/* The part of a plan that was asked for, by keys. */
#ifndef PLEACH_SUBMIT_KEYS_H
#define PLEACH_SUBMIT_KEYS_H

#include <jansson.h>

#include "error.h"

/* NOT_FOUND: one that the plan does not have. */
int submit_keys_check(const json_t *plan, const json_t *keys, struct error *err);
/* The tasks that plan_select selects. New reference. */
json_t *submit_keys_closure(const json_t *plan, const json_t *keys);

#endif
