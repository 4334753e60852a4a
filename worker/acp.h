/* The Agent Client Protocol (JSON-RPC over the agent's stdin and stdout): one session, the
 * prompt, what is sent meanwhile as further prompts, then the end. Knows no attempt. */
#ifndef PLEACH_WORKER_ACP_H
#define PLEACH_WORKER_ACP_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct acp;

struct acp_handler {
	/* Lines for people: what the agent writes and does. */
	void (*on_text)(void *context, const char *text, size_t len);
	/* A part of its answer; `more` while the same answer goes on. */
	void (*on_words)(void *context, const char *text, int more);
	/* The prompt with that id (not 0) was taken. */
	void (*on_taken)(void *context, int64_t id);
	/* Nothing is left to do: problem NULL, or why it cannot go on. Once. */
	void (*on_over)(void *context, const char *problem);
};

/* Takes fd, the other end of which is the agent's stdin and stdout. */
struct acp *acp_new(uv_loop_t *loop, int fd, const char *cwd, const struct acp_handler *handler,
                    void *context);
/* No callback comes after this. NULL is accepted. */
void acp_free(struct acp *acp);
void acp_prompt(struct acp *acp, const char *text, size_t len, int64_t id);

#endif
