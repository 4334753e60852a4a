/* Which tasks of a plan are meant, when some of its keys are named. */
#ifndef PLEACH_PLAN_SELECT_H
#define PLEACH_PLAN_SELECT_H

#include <jansson.h>

/* {KEY:true}: these keys (none: all), what they wait for, and whole choices: alternatives with
 * their choice, a choice with its alternatives. A key that is waited for need not be of the plan.
 * New reference. */
json_t *plan_select(const json_t *plan, const json_t *keys);

#endif
