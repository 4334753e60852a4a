/* The hooks of agents: what the JSON that they hand to `pleach hook` means, and what they expect
 * to read. Pure; knows no attempt. */
#ifndef PLEACH_WORKER_HOOKS_H
#define PLEACH_WORKER_HOOKS_H

#include <jansson.h>
#include <stdbool.h>

#include "permissions.h"
#include "state.h"

struct hook_event {
	const char *name; /* of the event; borrowed from the JSON */
	bool speaks;      /* it says what the agent does: `state`, and of a question what it is */
	enum agent_state state;
	const char *reason; /* borrowed for ever */
	char *text;
	json_t *options;
	bool asks;                         /* leave for a tool: `request` */
	struct permission_request request; /* borrowed from the JSON */
	const char *session;               /* borrowed from the JSON, or NULL */
	const char *said;                  /* the words its turn ended with; borrowed, or NULL */
};

/* Reads an event. What it does not know says and asks nothing. */
void hook_read(const json_t *event, struct hook_event *out);
void hook_finish(struct hook_event *event);

/* What that event's program expects on stdout for a decision; reason may be NULL. PERMISSION_NONE:
 * nothing, it goes on as it would without us. Caller frees; NULL: print nothing. */
char *hook_output(const char *event_name, enum permission decision, const char *reason);

/* One line about what is asked: "Bash: git push". Caller frees. */
char *hook_asked(const struct permission_request *request);

/* A path as a shell takes it for one word. Caller frees. */
char *hook_quoted(const char *path);

#endif
