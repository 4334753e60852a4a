/* One attempt: from its assignment to its result. */
#ifndef PLEACH_WORKER_ATTEMPT_H
#define PLEACH_WORKER_ATTEMPT_H

#include <jansson.h>
#include <stdint.h>

#include "buf.h"
#include "words.h"

struct worker;
struct attempt;

#define ATTEMPT_PHASES(X)                                                                          \
	X(PHASE_IDLE, "idle")                                                                      \
	X(PHASE_PREPARING, "preparing")                                                            \
	X(PHASE_WORKING, "working")                                                                \
	X(PHASE_VERIFYING, "verifying")                                                            \
	X(PHASE_FINISHING, "finishing")
enum attempt_phase {
#define X(name, word) name,
	ATTEMPT_PHASES(X)
#undef X
};
const char *attempt_phase_word(enum attempt_phase phase);

/* Starts an attempt (w->attempt); it ends with worker_attempt_over, perhaps before this
 * returns. A malformed assignment ends as failed. */
void attempt_begin(struct worker *w, json_t *assignment);

/* It is not over at once: makes the folder that people may follow its log in. */
void attempt_goes_on(const struct attempt *attempt);

/* Says what it is at (attempt.state of docs/protocol.md): phase, what its agent does. */
void attempt_tell(struct attempt *attempt);

int64_t attempt_id(const struct attempt *attempt);
enum attempt_phase attempt_phase(const struct attempt *attempt);
const char *attempt_key(const struct attempt *attempt); /* borrowed */
double attempt_grace(const struct attempt *attempt);    /* seconds between SIGTERM and SIGKILL */

/* Ends it in whatever phase it is, with that outcome. */
void attempt_stop(struct attempt *attempt, enum attempt_outcome outcome, double grace);
/* The coordinator has given it to somebody else: end it, keep the work, say nothing. */
void attempt_stale(struct attempt *attempt);
/* Its agent said that it is done: end it and go on as if it had exited 0. */
void attempt_done(struct attempt *attempt);
/* A text for the agent; typed where it is interactive. id 0: not acknowledged. */
void attempt_message(struct attempt *attempt, int64_t id, const char *text, size_t len);
/* A person's answer to what its agent asked; request 0: it is typed. */
void attempt_answer(struct attempt *attempt, int64_t id, int64_t request, const char *text,
                    size_t len);
/* An event of its agent's hooks (JSON text). id not 0: a decision is wanted (hook.decided). */
void attempt_hook(struct attempt *attempt, int64_t id, const char *event, const char *nonce);
void attempt_hook_gone(struct attempt *attempt, int64_t id);

/* Its budget is used up: ends the agent, keeps the work, fails with that error. */
void attempt_cut(struct attempt *attempt, enum task_error error, const char *text);
/* Time or money are nearly used up: said once, where the agent can be told. */
void attempt_wrap_up(struct attempt *attempt, const char *text);
/* Its agent waits for a person: its time stands still until attempt_answered. False: it does
 * already, or it does not run. */
bool attempt_asked(struct attempt *attempt);
void attempt_answered(struct attempt *attempt);

void attempt_keys(struct attempt *attempt, const char *keys, size_t len);
void attempt_size(struct attempt *attempt, uint16_t columns, uint16_t rows, bool redraw);
/* For new views: a line that names it, and its recent output. */
void attempt_add_recent(const struct attempt *attempt, struct buf *out);
/* Safe for a terminal; caller frees; NULL: none. */
char *attempt_last_line(const struct attempt *attempt);
/* The agent's process while one runs, else 0: not to be reaped by others. */
pid_t attempt_child(const struct attempt *attempt);

#endif
