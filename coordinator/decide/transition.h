/* The one function that changes a task: a table of status and verb, the row and its
 * event in the caller's savepoint, nothing else. */
#ifndef PLEACH_TRANSITION_H
#define PLEACH_TRANSITION_H

#include "store.h"

#define TRANSITION_LOSSES_MAX     3    /* workers lost under a task before it is poison */
#define TRANSITION_BACKOFF_MS     1000 /* before the first retry; doubles */
#define TRANSITION_BACKOFF_MAX_MS 60000

struct transition {
	int64_t task;
	enum task_verb verb;
	int64_t attempt;  /* on whose behalf: refused (STALE) unless it is the current one;
	                   * 0: on a person's or the coordinator's. For assign: the new one */
	const char *base; /* assign: where it starts */
	const char *head; /* complete, fail, cancel…: where it ended; NULL: unknown */
	const char *tree;
	bool unchanged;
	enum task_error error_code; /* fail */
	const char *error_message;
	const json_t *input; /* ask: {"reason","text","options"}; since is added */
};

/* What the table says for a status and a verb: TASK statuses, or -1 refused. For verbs
 * whose result depends (fail, lose, answer) the row decides: see transition.c. */
bool transition_allowed(enum task_status from, enum task_verb verb, enum task_kind kind);

/* Errors: NOT_FOUND, STALE (not its current attempt), CONFLICT (refused by the table).
 * `*now` (may be NULL) is the new status. */
int task_transition(struct store *store, const struct transition *t, enum task_status *now,
                    struct error *err);

/* Back-off before retry number n (1 is the first). */
int64_t transition_backoff_ms(int64_t n);

#endif
