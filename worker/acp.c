/* An ACP client without file system or terminal of its own: the agent works in its slot by
 * itself. What it asks leave for is granted where it only reads or edits files, as everywhere
 * with `permissions: edit`; more has to be granted by the agent's own flags. */
#include "acp.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "rpc_peer.h"
#include "text.h"

#define ACP_PROTOCOL 1

struct acp_item {
	char *text;
	size_t len;
	int64_t id;
	struct acp_item *next;
};

struct acp {
	struct rpc_peer *peer;             /* NULL once the connection ended */
	const struct acp_handler *handler; /* NULL once freed by its owner */
	void *context;
	char *cwd, *session;
	bool busy, over;
	bool words_open; /* the last update was a part of an answer */
	struct acp_item *first, **last;
};

static void acp_destroy(struct acp *a)
{
	struct acp_item *next;

	for (struct acp_item *item = a->first; item; item = next) {
		next = item->next;
		free(item->text);
		free(item);
	}
	free(a->cwd);
	free(a->session);
	free(a);
}

static void acp_over(struct acp *a, const char *problem)
{
	if (a->over || !a->handler)
		return;
	a->over = true;
	a->handler->on_over(a->context, problem);
}

static void send_next(struct acp *a);

/* True when a reply may be used; else the end of it was told. */
static bool reply_ok(struct acp *a, const char *what, const struct error *err)
{
	_cleanup_free_ char *problem = NULL;

	if (!a->handler || a->over)
		return false;
	if (!err)
		return true;
	problem = xasprintf("%s: %s", what, err->text);
	acp_over(a, problem);
	return false;
}

static void prompt_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                           void *context)
{
	struct acp *a = context;
	const char *reason = json_text(result, "stopReason");
	_cleanup_free_ char *problem = NULL;

	(void)peer;
	a->busy = false;
	if (!reply_ok(a, "session/prompt", err))
		return;
	if (a->words_open)
		a->handler->on_text(a->context, "\n", 1);
	a->words_open = false;
	if (reason && strcmp(reason, "end_turn") != 0) {
		problem = xasprintf("it stopped: %s", reason);
		acp_over(a, problem);
		return;
	}
	send_next(a);
}

static void send_next(struct acp *a)
{
	struct acp_item *item = a->first;
	json_t *text;

	if (!a->session || a->busy || a->over)
		return;
	if (!item) {
		acp_over(a, NULL);
		return;
	}
	text = json_stringn(item->text, item->len);
	a->busy = true;
	rpc_peer_ask(a->peer, "session/prompt",
	             json_pack("{s:s, s:[{s:s, s:o}]}", "sessionId", a->session, "prompt", "type",
	                       "text", "text", text ? text : json_string("")),
	             prompt_replied, a);
	a->first = item->next;
	if (!a->first)
		a->last = &a->first;
	if (item->id)
		a->handler->on_taken(a->context, item->id);
	free(item->text);
	free(item);
}

static void session_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                            void *context)
{
	struct acp *a = context;
	const char *session = json_text(result, "sessionId");

	(void)peer;
	if (!reply_ok(a, "session/new", err))
		return;
	if (!session) {
		acp_over(a, "session/new: no session");
		return;
	}
	a->session = xstrdup(session);
	send_next(a);
}

static void initialize_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                               void *context)
{
	struct acp *a = context;

	(void)result;
	if (!reply_ok(a, "initialize", err))
		return;
	rpc_peer_ask(peer, "session/new", json_pack("{s:s, s:[]}", "cwd", a->cwd, "mcpServers"),
	             session_replied, a);
}

static void show_words(struct acp *a, const json_t *content)
{
	const char *text = json_text(content, "text");

	if (!text || !*text)
		return;
	a->handler->on_text(a->context, text, strlen(text));
	a->handler->on_words(a->context, text, a->words_open);
	a->words_open = true;
}

static void take_update(struct acp *a, const json_t *update)
{
	const char *kind = json_text(update, "sessionUpdate");
	const char *title = json_text(update, "title");
	_cleanup_buf_ struct buf line = BUF_INIT;

	if (!kind)
		return;
	if (strcmp(kind, "agent_message_chunk") == 0) {
		show_words(a, json_sub(update, "content"));
	} else if (strcmp(kind, "tool_call") == 0 && title) {
		buf_add_str(&line, a->words_open ? "\n· " : "· ");
		text_add_safe(&line, title, strlen(title), 200, false);
		buf_add_str(&line, "\n");
		a->words_open = false;
		a->handler->on_text(a->context, line.data, line.len);
	}
}

/* Whether the tool that asks only looks or edits. */
static bool may(const json_t *tool)
{
	static const char *const kinds[] = {"read", "edit", "move", "search", "think"};
	const char *kind = json_text(tool, "kind");

	for (size_t i = 0; kind && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

static void answer_permission(struct rpc_peer *peer, const json_t *id, const json_t *params)
{
	const char *want = may(json_sub(params, "toolCall")) ? "allow_once" : "reject_once";
	const json_t *option;
	size_t i;

	json_array_foreach (json_sub(params, "options"), i, option) {
		const char *kind = json_text(option, "kind");

		if (!kind || strcmp(kind, want) != 0 || !json_text(option, "optionId"))
			continue;
		rpc_peer_reply(peer, id,
		               json_pack("{s:{s:s, s:s}}", "outcome", "outcome", "selected",
		                         "optionId", json_text(option, "optionId")));
		return;
	}
	rpc_peer_reply(peer, id, json_pack("{s:{s:s}}", "outcome", "outcome", "cancelled"));
}

static void acp_call(struct rpc_peer *peer, const json_t *id, const char *method,
                     const json_t *params, void *context)
{
	struct acp *a = context;
	struct error err = ERROR_INIT;

	if (!a->handler)
		return;
	if (strcmp(method, "session/update") == 0) {
		take_update(a, json_sub(params, "update"));
	} else if (strcmp(method, "session/request_permission") == 0 && id) {
		answer_permission(peer, id, params);
	} else if (id) {
		error_set(&err, ERROR_INVALID, "%s: not offered by this client", method);
		rpc_peer_reply_error(peer, id, &err);
	}
}

static void acp_closed(struct rpc_peer *peer, void *context)
{
	struct acp *a = context;

	(void)peer;
	a->peer = NULL;
	acp_over(a, "it closed the connection");
	if (!a->handler)
		acp_destroy(a);
}

struct acp *acp_new(uv_loop_t *loop, int fd, const char *cwd, const struct acp_handler *handler,
                    void *context)
{
	static const struct rpc_peer_handler peer_handler = {acp_call, acp_closed};
	struct acp *a = xcalloc(1, sizeof *a);

	a->handler = handler;
	a->context = context;
	a->cwd = xstrdup(cwd);
	a->last = &a->first;
	a->peer = rpc_peer_new(loop, fd, JSONL_PERSON_MAX, &peer_handler, a);
	rpc_peer_ask(a->peer, "initialize",
	             json_pack("{s:i, s:{s:{s:b, s:b}, s:b}, s:{s:s, s:s}}", "protocolVersion",
	                       ACP_PROTOCOL, "clientCapabilities", "fs", "readTextFile", 0,
	                       "writeTextFile", 0, "terminal", 0, "clientInfo", "name", "pleach",
	                       "version", PLEACH_VERSION),
	             initialize_replied, a);
	return a;
}

void acp_free(struct acp *a)
{
	if (!a)
		return;
	a->handler = NULL;
	if (a->peer)
		rpc_peer_close(a->peer); /* acp_closed does the rest */
	else
		acp_destroy(a);
}

void acp_prompt(struct acp *a, const char *text, size_t len, int64_t id)
{
	struct acp_item *item;

	if (a->over)
		return;
	item = xcalloc(1, sizeof *item);
	item->text = xrealloc(NULL, len + 1);
	memcpy(item->text, text, len);
	item->text[len] = '\0';
	item->len = len;
	item->id = id;
	*a->last = item;
	a->last = &item->next;
	if (a->session && !a->busy)
		send_next(a);
}
