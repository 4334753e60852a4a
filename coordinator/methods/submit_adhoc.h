/* Tasks without a plan: each target has a plan of theirs. */
#ifndef PLEACH_SUBMIT_ADHOC_H
#define PLEACH_SUBMIT_ADHOC_H

#include "store.h"

/* The plan of what belongs to none and lands on that target (NULL: HEAD is detached, there is
 * none); whether it is there already or not. Caller frees. */
char *submit_adhoc_plan(struct store *store, const char *target);
/* Such a plan keeps its target, also for who asks for it by its name. */
int submit_adhoc_check(const struct plan_row *plan, const char *target, struct error *err);

#endif
