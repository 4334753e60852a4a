/* The Agent Client Protocol (JSON-RPC over the agent's stdin and stdout): one session, the
 * prompt, what is sent meanwhile as further prompts, then the end. Knows no attempt. */
#ifndef PLEACH_WORKER_ACP_H
#define PLEACH_WORKER_ACP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct acp;

struct acp_handler {
	/* Lines for people: what the agent writes and does. */
	void (*on_text)(void *context, const char *text, size_t len);
	/* A part of its answer; `more` while the same answer goes on. */
	void (*on_words)(void *context, const char *text, int more);
	/* The prompt with that id (not 0) goes to the agent now: before its first byte. */
	void (*on_begin)(void *context, int64_t id);
	/* It went. */
	void (*on_taken)(void *context, int64_t id);
	/* The session that it works in. */
	void (*on_session)(void *context, const char *session);
	/* A turn began, or ended. */
	void (*on_turn)(void *context, bool working);
	/* It asks leave: {"toolCall","options"} as the protocol has them. To be answered with
	 * acp_permit, now or later. */
	void (*on_permission)(void *context, int64_t number, const json_t *params);
	/* What was asked is not wanted any more: its turn is over. */
	void (*on_permission_gone)(void *context, int64_t number);
	/* What it used; cost < 0: it does not say. Sums of the session so far. */
	void (*on_usage)(void *context, int64_t input, int64_t output, double cost);
	/* Nothing is left to do: problem NULL, or why it cannot go on. Once. */
	void (*on_over)(void *context, const char *problem);
};

/* Takes fd, the other end of which is the agent's stdin and stdout. load: the session to go on
 * with, where the agent can; else, and with NULL, a new one. */
struct acp *acp_new(uv_loop_t *loop, int fd, const char *cwd, const char *load,
                    const struct acp_handler *handler, void *context);
/* No callback comes after this. NULL is accepted. */
void acp_free(struct acp *acp);
/* After on_over without a problem: it may be prompted once more. */
void acp_go_on(struct acp *acp);
void acp_prompt(struct acp *acp, const char *text, size_t len, int64_t id);
/* Answers a permission request: with that option (option NULL: cancelled). */
void acp_permit(struct acp *acp, int64_t number, const char *option);
/* The turn under way is cancelled, and that is the next prompt, before all that waits. */
void acp_interrupt(struct acp *acp, const char *text, size_t len);
/* Ends the turn under way; what waits is not sent any more. NULL is accepted. */
void acp_cancel(struct acp *acp);
bool acp_has(const struct acp *acp, int64_t id); /* queued, and not with the agent yet */

#endif
