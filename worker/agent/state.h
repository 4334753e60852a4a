/* What an agent is doing, as several sources tell it: the strongest that speaks is believed.
 * Pure: it knows no attempt and no clock but the times that it is given. */
#ifndef PLEACH_WORKER_STATE_H
#define PLEACH_WORKER_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define AGENT_STATES(X)                                                                            \
	X(AGENT_UNKNOWN, "unknown") /* nobody says anything: silence proves nothing */             \
	X(AGENT_WORKING, "working")                                                                \
	X(AGENT_IDLE, "idle") /* its turn is over: it waits for the next text */                   \
	X(AGENT_NEEDS_INPUT, "needs_input")                                                        \
	X(AGENT_LIMITED, "limited")
enum agent_state {
#define X(name, word) name,
	AGENT_STATES(X)
#undef X
};
const char *agent_state_word(enum agent_state state);

/* Who says so, the weakest first. */
enum state_source {
	STATE_SCREEN,  /* a pattern on its screen; believed when it has stood for a while */
	STATE_PROCESS, /* what the process does */
	STATE_ACP,
	STATE_STREAM, /* the JSON lines that it prints */
	STATE_HOOK,   /* the agent itself, by `pleach hook` */
	STATE_SOURCES
};

struct state_report {
	enum state_source source;
	enum agent_state state; /* UNKNOWN: this source has nothing to say any more */
	const char *reason;     /* needs_input: question, permission */
	const char *text;       /* needs_input: what it asks; may be NULL */
	const json_t *options;  /* needs_input: [{"id","name"}], or NULL */
	int64_t request;        /* needs_input: whom the answer is for; 0: it is typed */
	int64_t until_ms;       /* limited: wall clock, ms; 0: not known */
};

struct state_view {
	enum agent_state state;
	enum state_source source;
	char *reason, *text;
	json_t *options;
	int64_t request, until_ms;
};

struct state;

struct state *state_new(void);
void state_free(struct state *state); /* NULL is accepted */

/* Takes what a source says. now_ms: the wall clock. True: what state_now gives has changed. */
bool state_report(struct state *state, const struct state_report *report, int64_t now_ms);
/* Time has passed. True: what state_now gives has changed. */
bool state_tick(struct state *state, int64_t now_ms);
/* When state_tick is next to be called, wall clock; 0: never. */
int64_t state_due(const struct state *state);
/* What is to be believed; borrowed until the next call. */
const struct state_view *state_now(const struct state *state);

/* How long a screen must say that an agent waits before that is believed: what it shows between
 * two of its steps looks the same. That it works is believed at once. */
#define STATE_SCREEN_MS 1500

#endif
