/* The set of stuck tasks. Private to the store, which makes it when somebody asks and
 * forgets it when a status or an edge changes. */
#ifndef PLEACH_STORE_STUCK_H
#define PLEACH_STORE_STUCK_H

#include "store.h"

struct stuck;

struct stuck *stuck_make(struct store *store); /* free with stuck_free */
void stuck_free(struct stuck *stuck);          /* NULL is accepted */
/* What holds the task up, in id order, 0 at the end; caller frees. */
int64_t *stuck_roots(const struct stuck *stuck, int64_t id);
/* How many tasks of a plan (0: all) are stuck. */
int64_t stuck_count(struct store *store, const struct stuck *stuck, int64_t plan);

#endif
