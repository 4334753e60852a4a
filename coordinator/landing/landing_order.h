/* What a landing takes along, and in which order. */
#ifndef PLEACH_LANDING_ORDER_H
#define PLEACH_LANDING_ORDER_H

#include "coordinator.h"

struct landing_order {
	int64_t *tasks; /* in dependency order, 0 at the end */
	size_t n;
	char *target; /* the plan's; NULL: none */
	char *plan;
};
void landing_order_finish(struct landing_order *order);

/* tasks: references, NULL with all. Blockers that have not landed come along. A choice stands
 * for its winner. Errors: CONFLICT (not completed, not chosen), NOT_FOUND, INVALID (several
 * targets, unless one was named: into). */
int landing_order_make(struct request *r, const json_t *refs, bool all, bool into,
                       struct landing_order *out, struct error *err);

/* One completed task and its blockers that have neither landed nor are queued, whatever their
 * targets. Another number than 0: a blocker that does not land by itself, nor does this one. */
int64_t landing_order_of(struct coordinator *c, int64_t task, struct landing_order *out);

#endif
