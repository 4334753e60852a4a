/* The words of the task model, each list written once.
 *
 * An enum, its word on the wire and its place in the store all come from the
 * same X-macro. Lists are append-only: the store keeps the numbers. */
#ifndef PLEACH_WORDS_H
#define PLEACH_WORDS_H

#include <stdbool.h>

/* Where a task stands. Ready and blocked are derived from pending, never stored. */
#define TASK_STATUSES(X)                                                                           \
	X(TASK_PENDING, "pending")         /* nobody's; waits for blockers or a teammate */        \
	X(TASK_IN_PROGRESS, "in_progress") /* owned by its current attempt */                      \
	X(TASK_NEEDS_INPUT, "needs_input") /* a person must answer; an attempt may own it */       \
	X(TASK_COMPLETED, "completed")     /* terminal */                                          \
	X(TASK_FAILED, "failed")           /* terminal */                                          \
	X(TASK_CANCELLED, "cancelled")     /* terminal */

/* What can happen to a task: the columns of the transition table. */
#define TASK_VERBS(X)                                                                              \
	X(VERB_ASSIGN, "assign")                                                                   \
	X(VERB_ASK, "ask")                                                                         \
	X(VERB_ANSWER, "answer")                                                                   \
	X(VERB_COMPLETE, "complete")                                                               \
	X(VERB_FAIL, "fail")                                                                       \
	X(VERB_CANCEL, "cancel")                                                                   \
	X(VERB_RELEASE, "release")                                                                 \
	X(VERB_LOSE, "lose")                                                                       \
	X(VERB_RETRY, "retry")                                                                     \
	X(VERB_REDO, "redo")

#define TASK_KINDS(X)                                                                              \
	X(KIND_WORK, "work")                                                                       \
	X(KIND_CHOICE, "choice") /* the parent of alternatives: owned by nobody */

/* A task's priority, and its negative. */
#define PRIORITY_MAX 1000000

/* How an attempt ended. */
#define ATTEMPT_OUTCOMES(X)                                                                        \
	X(OUTCOME_NONE, "running")                                                                 \
	X(OUTCOME_COMPLETED, "completed")                                                          \
	X(OUTCOME_FAILED, "failed")                                                                \
	X(OUTCOME_CANCELLED, "cancelled")                                                          \
	X(OUTCOME_RELEASED, "released")                                                            \
	X(OUTCOME_LOST, "lost")

/* Why a task failed: error.code of a Task. */
#define TASK_ERRORS(X)                                                                             \
	X(TASK_ERROR_NONE, "none")                                                                 \
	X(TASK_ERROR_AGENT_EXIT, "agent_exit")                                                     \
	X(TASK_ERROR_AGENT_SIGNAL, "agent_signal")                                                 \
	X(TASK_ERROR_TIMEOUT, "timeout")                                                           \
	X(TASK_ERROR_VERIFY_FAILED, "verify_failed")                                               \
	X(TASK_ERROR_SETUP_FAILED, "setup_failed")                                                 \
	X(TASK_ERROR_UNCHANGED, "unchanged")                                                       \
	X(TASK_ERROR_NOT_DESCENDANT, "not_descendant")                                             \
	X(TASK_ERROR_CONFLICT, "conflict")                                                         \
	X(TASK_ERROR_LIMIT, "limit")                                                               \
	X(TASK_ERROR_BUDGET, "budget")                                                             \
	X(TASK_ERROR_POISON, "poison")                                                             \
	X(TASK_ERROR_INTERNAL, "internal")

#define LANDING_STATES(X)                                                                          \
	X(LANDING_NONE, "none")                                                                    \
	X(LANDING_QUEUED, "queued")                                                                \
	X(LANDING_LANDED, "landed")                                                                \
	X(LANDING_CONFLICT, "conflict")                                                            \
	X(LANDING_VERIFY_FAILED, "verify_failed")

#define TEAMMATE_STATES(X)                                                                         \
	X(TEAMMATE_STARTING, "starting")                                                           \
	X(TEAMMATE_IDLE, "idle")                                                                   \
	X(TEAMMATE_WORKING, "working")                                                             \
	X(TEAMMATE_NEEDS_INPUT, "needs_input")                                                     \
	X(TEAMMATE_LIMITED, "limited")                                                             \
	X(TEAMMATE_VERIFYING, "verifying")                                                         \
	X(TEAMMATE_PAUSED, "paused")                                                               \
	X(TEAMMATE_UNRESPONSIVE, "unresponsive")                                                   \
	X(TEAMMATE_LOST, "lost")

#define AGENT_MODES(X)                                                                             \
	X(MODE_EXEC, "exec") /* headless: runs to its end by itself */                             \
	X(MODE_TUI, "tui")   /* interactive on the pseudo-terminal */                              \
	X(MODE_ACP, "acp")   /* Agent Client Protocol over stdio */

/* Exit statuses by which an attached view asks whoever ran it for another one: M-n the next
 * teammate that needs a person, M-1…9 (VIEW_SWITCH + digit) the teammate of that place. */
#define VIEW_SWITCH 64

#define WORDS_DECLARE(type, LIST, fn)                                                              \
	enum type { LIST(WORDS_ENUM) type##_count };                                               \
	const char *fn##_word(enum type value);                                                    \
	bool fn##_from_word(const char *word, enum type *out);
#define WORDS_ENUM(name, word) name,

WORDS_DECLARE(task_status, TASK_STATUSES, task_status)
WORDS_DECLARE(task_verb, TASK_VERBS, task_verb)
WORDS_DECLARE(task_kind, TASK_KINDS, task_kind)
WORDS_DECLARE(attempt_outcome, ATTEMPT_OUTCOMES, attempt_outcome)
WORDS_DECLARE(task_error, TASK_ERRORS, task_error)
WORDS_DECLARE(landing_state, LANDING_STATES, landing_state)
WORDS_DECLARE(teammate_state, TEAMMATE_STATES, teammate_state)
WORDS_DECLARE(agent_mode, AGENT_MODES, agent_mode)

static inline bool task_status_is_terminal(enum task_status status)
{
	return status == TASK_COMPLETED || status == TASK_FAILED || status == TASK_CANCELLED;
}

#endif
