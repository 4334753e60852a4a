/* Going on with an agent's own session (resume.c): what an attempt asks at each of its steps. */
#ifndef PLEACH_WORKER_RESUME_H
#define PLEACH_WORKER_RESUME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "error.h"

struct attempt;

struct attempt_resume {
	char *session;      /* the agent's own, as far as it is known; or NULL */
	const json_t *from; /* `resume` of the assignment; NULL: it begins anew */
	const char *why;    /* asked interrupted keep; NULL as above */
	bool going_on;      /* the next start of the agent goes on with the session */
	bool ran;           /* an agent of this attempt has worked */
	bool verify_first;  /* no agent is asked before the first verify */
	bool due;           /* a failed verify goes back to the agent */
	char *text;         /* what it is told then; NULL: the task's prompt */
	char *start_at;     /* where the slot begins; NULL: at the base */
	char *tail;         /* the end of the last verify's output */
	char *refused;      /* why the session was not continued, or NULL */
	json_t *taken;      /* what the attempt before had come to, until the slot is prepared */
	json_t *rounds;     /* every verify so far, or NULL */
	int64_t round;      /* verifies that failed */
	uint64_t heard;     /* uv_now when the agent printed last */
	uint64_t asked;     /* uv_now when it said that it is done (attempt_hold.c) */
	double worked;      /* seconds that the agents of this attempt took */
	int64_t starts;     /* prompts of our own that were written */
};

void resume_begin(struct attempt *a); /* once the assignment was read */
void resume_free(struct attempt *a);

/* For a start of the agent: the prompt; the profile's way to go on (NULL: the usual one, where the
 * session is new or the protocol continues it); {session}. All borrowed. */
const char *resume_prompt(const struct attempt *a, size_t *len);
const json_t *resume_way(const struct attempt *a);
/* A prompt of so many bytes can be told to its session. */
bool resume_takes(const struct attempt *a, size_t len);
/* Its agent has ended, and is started once more, to be told that. Takes text. */
void resume_say_next(struct attempt *a, char *text);
const char *resume_session(const struct attempt *a);
/* Writes a prompt of ours to a file of its own; *file (caller frees) stays NULL where it is the
 * task's. */
int resume_write_prompt(struct attempt *a, char **file, struct error *err);
/* Seconds that are left of the task's time limit, which counts all of its agent's work; 0: none. */
double resume_time_left(const struct attempt *a);
void resume_started(struct attempt *a);
/* The agent named its session. NULL is accepted. */
void resume_heard(struct attempt *a, const char *session);
/* The same over the protocol, where an agent that cannot load a session begins another. */
void resume_loaded(struct attempt *a, const char *session);
/* Adds `session`, `refused`, `rounds` to an attempt.state or a FINISH. */
void resume_say(const struct attempt *a, json_t *said);

/* A run of so many seconds has begun with what it was told: sooner, and without a word of what it
 * used, an agent that fails did not know its session. */
bool resume_worked(const struct attempt *a, double seconds);
/* The agent has ended: true when that was because it did not know the session, and another start
 * is due, anew. Where nobody wants a new one, the attempt was failed. */
bool resume_refused(struct attempt *a, const struct command_end *end);
/* The slot could not be brought to where the session left it: true when a new one is due. */
bool resume_unprepared(struct attempt *a, const char *why);

/* True when the agent is not asked before the first verify: as if it had just ended. */
bool resume_verify_first(struct attempt *a);
void resume_proving(struct attempt *a); /* verify is about to run, on a commit */
/* Names the round in verify's log. */
void resume_head_log(const struct attempt *a, const char *path);
void resume_verified(struct attempt *a); /* it has: `evidence` and `verified` are filled */
/* The slot is clean again: true when the agent is told what failed, next. */
bool resume_round_due(struct attempt *a);
void resume_ready(struct attempt *a); /* the slot is prepared, the agent is next */

#endif
