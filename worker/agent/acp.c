/* An ACP client without file system or terminal of its own: the agent works in its slot by
 * itself. What it asks leave for is decided elsewhere; here it is only kept until that is said.
 * What an agent prints between its messages is passed over. */
#include "acp.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "rpc_peer.h"
#include "text.h"

#define ACP_PROTOCOL 1
#define PENDING_MAX  64 /* permission requests at once: more are refused */
#define PLAN_MAX     50 /* entries of a plan that are shown */
#define LINE_WIDTH   200
#define TOKENS_MAX   ((int64_t)1 << 50)

struct acp_item {
	char *text;
	size_t len;
	int64_t id;
	struct acp_item *next;
};

/* A permission request that was not answered yet. */
struct acp_pending {
	int64_t number;
	json_t *id;
	struct acp_pending *next;
};

struct acp {
	struct rpc_peer *peer;             /* NULL once the connection ended */
	const struct acp_handler *handler; /* NULL once freed by its owner */
	void *context;
	char *cwd, *session, *load;
	bool busy, over;
	bool interrupts_next; /* the turn that begins next is cancelled at once */
	bool interrupted;     /* its turn was cancelled for the sake of the next one */
	bool replays;         /* a loaded session: what it says first was said before */
	int64_t numbers;      /* of permission requests so far */
	struct acp_pending *pending;
	size_t pending_count;
	double cost; /* < 0: it never said */
	int64_t input, output;
	bool counted;    /* this turn's use came with its updates */
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
	while (a->pending) {
		struct acp_pending *p = a->pending;

		a->pending = p->next;
		json_decref(p->id);
		free(p);
	}
	free(a->cwd);
	free(a->session);
	free(a->load);
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

static void answer(struct acp *a, const json_t *id, const char *option)
{
	json_t *outcome = option
	                      ? json_pack("{s:s, s:s}", "outcome", "selected", "optionId", option)
	                      : json_pack("{s:s}", "outcome", "cancelled");

	if (a->peer)
		rpc_peer_reply(a->peer, id, json_pack("{s:o}", "outcome", outcome));
	else
		json_decref(outcome);
}

void acp_permit(struct acp *a, int64_t number, const char *option)
{
	for (struct acp_pending **at = &a->pending; *at; at = &(*at)->next) {
		struct acp_pending *p = *at;

		if (p->number != number)
			continue;
		*at = p->next;
		a->pending_count--;
		answer(a, p->id, option);
		json_decref(p->id);
		free(p);
		return;
	}
}

/* The turn is over: what it asked meanwhile is nobody's question any more. */
static void drop_pending(struct acp *a)
{
	while (a->pending) {
		int64_t number = a->pending->number;

		acp_permit(a, number, NULL);
		a->handler->on_permission_gone(a->context, number);
	}
}

static int64_t tokens(const json_t *usage, const char *key)
{
	int64_t n = json_int(usage, key, 0);

	return n > 0 && n <= TOKENS_MAX ? n : 0;
}

static void add_usage(struct acp *a, int64_t input, int64_t output)
{
	if (!input && !output)
		return;
	a->input = a->input + input < TOKENS_MAX ? a->input + input : TOKENS_MAX;
	a->output = a->output + output < TOKENS_MAX ? a->output + output : TOKENS_MAX;
	a->handler->on_usage(a->context, a->input, a->output, a->cost);
}

/* Of one turn; unstable in the protocol, so whatever is there is taken. */
static void take_usage(struct acp *a, const json_t *usage)
{
	add_usage(a,
	          tokens(usage, "inputTokens") + tokens(usage, "cachedReadTokens") +
	              tokens(usage, "cachedWriteTokens"),
	          tokens(usage, "outputTokens") + tokens(usage, "thoughtTokens"));
}

/* qwen 0.15: with every request to its model a chunk without words and this behind it. Its input
 * has the cached ones, its total all that is answered. */
static void take_usage_of_request(struct acp *a, const json_t *usage)
{
	int64_t input = tokens(usage, "inputTokens"), all = tokens(usage, "totalTokens");
	int64_t output = tokens(usage, "outputTokens");

	if (!input && !output)
		return;
	a->counted = true;
	add_usage(a, input, all > input ? all - input : output);
}

/* gemini 0.61: of the whole turn, with its end. */
static void take_quota(struct acp *a, const json_t *quota)
{
	const json_t *count = json_sub(quota, "token_count");

	add_usage(a, tokens(count, "input_tokens"), tokens(count, "output_tokens"));
}

static void take_usage_of_turn(struct acp *a, const json_t *result)
{
	const json_t *meta = json_sub(result, "_meta");

	if (!a->counted) {
		take_usage(a, json_sub(result, "usage"));
		take_usage(a, json_sub(meta, "usage"));
		take_quota(a, json_sub(meta, "quota"));
	}
	a->counted = false;
}

static void prompt_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                           void *context)
{
	struct acp *a = context;
	const char *reason = json_text(result, "stopReason");
	bool interrupted = a->interrupted;
	_cleanup_free_ char *problem = NULL;

	(void)peer;
	a->busy = false;
	if (a->handler)
		drop_pending(a);
	/* Some end a cancelled turn with an error. */
	if ((!err || !interrupted || !a->peer) && !reply_ok(a, "session/prompt", err))
		return;
	if (!a->handler || a->over)
		return;
	if (a->words_open)
		a->handler->on_text(a->context, "\n", 1);
	a->words_open = false;
	take_usage_of_turn(a, result);
	a->interrupted = false;
	a->handler->on_turn(a->context, false);
	if (reason && strcmp(reason, "end_turn") != 0 && !interrupted) {
		problem = xasprintf("it stopped: %s", reason);
		acp_over(a, problem);
		return;
	}
	send_next(a);
}

static void interrupt(struct acp *a)
{
	a->interrupts_next = false;
	if (!a->peer)
		return;
	a->interrupted = true;
	rpc_peer_notify(a->peer, "session/cancel", json_pack("{s:s}", "sessionId", a->session));
	drop_pending(a);
	rpc_peer_flush(a->peer);
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
	if (item->id)
		a->handler->on_begin(a->context, item->id);
	a->handler->on_turn(a->context, true);
	rpc_peer_ask(a->peer, "session/prompt",
	             json_pack("{s:s, s:[{s:s, s:o}]}", "sessionId", a->session, "prompt", "type",
	                       "text", "text", text ? text : json_string("")),
	             prompt_replied, a);
	a->first = item->next;
	if (!a->first)
		a->last = &a->first;
	rpc_peer_flush(a->peer);
	if (item->id)
		a->handler->on_taken(a->context, item->id);
	free(item->text);
	free(item);
	if (a->interrupts_next)
		interrupt(a);
}

static void session_is(struct acp *a, const char *session)
{
	a->session = xstrdup(session);
	a->handler->on_session(a->context, session);
	send_next(a);
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
	session_is(a, session);
}

static void session_new(struct acp *a)
{
	rpc_peer_ask(a->peer, "session/new", json_pack("{s:s, s:[]}", "cwd", a->cwd, "mcpServers"),
	             session_replied, a);
}

/* What cannot be loaded is begun anew: the prompt says what there is to do. */
static void load_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                         void *context)
{
	struct acp *a = context;

	(void)peer;
	(void)result;
	a->replays = false;
	a->words_open = false;
	if (!a->handler || a->over)
		return;
	if (err && a->peer) {
		_cleanup_free_ char *line =
		    xasprintf("· its session cannot be continued (%s): a new one\n", err->text);

		a->handler->on_text(a->context, line, strlen(line));
		session_new(a);
	} else if (!err) {
		session_is(a, a->load);
	}
}

static void initialize_replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                               void *context)
{
	struct acp *a = context;

	(void)peer;
	if (!reply_ok(a, "initialize", err))
		return;
	if (!a->load || !json_flag(json_sub(result, "agentCapabilities"), "loadSession")) {
		session_new(a);
		return;
	}
	a->replays = true;
	rpc_peer_ask(
	    a->peer, "session/load",
	    json_pack("{s:s, s:s, s:[]}", "sessionId", a->load, "cwd", a->cwd, "mcpServers"),
	    load_replied, a);
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

/* "· text", on a line of its own. */
static void show_line(struct acp *a, const char *mark, const char *text)
{
	_cleanup_buf_ struct buf line = BUF_INIT;

	buf_printf(&line, "%s%s ", a->words_open ? "\n" : "", mark);
	text_add_safe(&line, text, strlen(text), LINE_WIDTH, false);
	buf_add_str(&line, "\n");
	a->words_open = false;
	a->handler->on_text(a->context, line.data, line.len);
}

static void show_plan(struct acp *a, const json_t *entries)
{
	const json_t *entry;
	size_t i;

	json_array_foreach ((json_t *)entries, i, entry) {
		const char *content = json_text(entry, "content"),
		           *status = json_text(entry, "status");
		const char *mark = !status                              ? "  [ ]"
		                   : strcmp(status, "completed") == 0   ? "  [x]"
		                   : strcmp(status, "in_progress") == 0 ? "  [>]"
		                                                        : "  [ ]";

		if (i >= PLAN_MAX)
			break;
		if (content)
			show_line(a, mark, content);
	}
}

/* A tool call that went wrong says why; one that went well needs no further line. */
static void show_tool_end(struct acp *a, const json_t *update)
{
	const char *status = json_text(update, "status");
	const json_t *content = json_array_get(json_sub(update, "content"), 0);
	const char *text = json_text(json_sub(content, "content"), "text");

	if (status && strcmp(status, "failed") == 0)
		show_line(a, "✗", text ? text : "the tool failed");
}

static void take_update(struct acp *a, const json_t *update)
{
	const char *kind = json_text(update, "sessionUpdate");
	const char *title = json_text(update, "title");
	const json_t *cost = json_sub(update, "cost");

	if (!kind || a->replays)
		return;
	take_usage_of_request(a, json_sub(json_sub(update, "_meta"), "usage"));
	if (strcmp(kind, "agent_message_chunk") == 0) {
		show_words(a, json_sub(update, "content"));
	} else if (strcmp(kind, "tool_call") == 0 && title) {
		show_line(a, "·", title);
	} else if (strcmp(kind, "tool_call_update") == 0) {
		show_tool_end(a, update);
	} else if (strcmp(kind, "plan") == 0) {
		show_plan(a, json_sub(update, "entries"));
	} else if (strcmp(kind, "usage_update") == 0 && json_num(cost, "amount", -1) >= 0) {
		a->cost = json_num(cost, "amount", -1);
		a->handler->on_usage(a->context, a->input, a->output, a->cost);
	}
}

static void take_permission(struct acp *a, const json_t *id, const json_t *params)
{
	struct acp_pending *p;

	if (!a->busy || a->pending_count >= PENDING_MAX) {
		answer(a, id, NULL);
		return;
	}
	p = xcalloc(1, sizeof *p);
	p->number = ++a->numbers;
	p->id = json_incref((json_t *)id);
	p->next = a->pending;
	a->pending = p;
	a->pending_count++;
	a->handler->on_permission(a->context, p->number, params);
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
		take_permission(a, id, params);
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
	if (a->handler)
		drop_pending(a);
	acp_over(a, "it closed the connection");
	if (!a->handler)
		acp_destroy(a);
}

/* Warnings and the like, printed where only messages belong. */
static void acp_noise(struct rpc_peer *peer, const char *why, void *context)
{
	(void)peer;
	(void)context;
	log_debug("acp", "passed over: %s", why);
}

struct acp *acp_new(uv_loop_t *loop, int fd, const char *cwd, const char *load,
                    const struct acp_handler *handler, void *context)
{
	static const struct rpc_peer_handler peer_handler = {acp_call, acp_closed, acp_noise};
	struct acp *a = xcalloc(1, sizeof *a);

	a->handler = handler;
	a->context = context;
	a->cwd = xstrdup(cwd);
	a->load = xstrdup(load);
	a->cost = -1;
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

void acp_go_on(struct acp *a)
{
	a->over = a->peer == NULL;
}

static struct acp_item *item_new(const char *text, size_t len, int64_t id)
{
	struct acp_item *item = xcalloc(1, sizeof *item);

	item->text = xrealloc(NULL, len + 1);
	memcpy(item->text, text, len);
	item->text[len] = '\0';
	item->len = len;
	item->id = id;
	return item;
}

void acp_prompt(struct acp *a, const char *text, size_t len, int64_t id)
{
	struct acp_item *item;

	if (a->over)
		return;
	item = item_new(text, len, id);
	*a->last = item;
	a->last = &item->next;
	if (a->session && !a->busy)
		send_next(a);
}

void acp_interrupt(struct acp *a, const char *text, size_t len)
{
	struct acp_item *item, **at = &a->first;

	if (a->over)
		return;
	/* What it was started for comes first, however late it is. */
	a->interrupts_next = !a->busy && a->first;
	if (a->interrupts_next)
		at = &a->first->next;
	item = item_new(text, len, 0);
	item->next = *at;
	*at = item;
	if (!item->next)
		a->last = &item->next;
	if (a->busy)
		interrupt(a);
	else
		send_next(a);
}

void acp_cancel(struct acp *a)
{
	struct acp_item *item;

	if (!a || a->over || !a->handler)
		return;
	while ((item = a->first)) {
		a->first = item->next;
		free(item->text);
		free(item);
	}
	a->last = &a->first;
	if (!a->busy || !a->peer)
		return;
	rpc_peer_notify(a->peer, "session/cancel", json_pack("{s:s}", "sessionId", a->session));
	drop_pending(a);
	rpc_peer_flush(a->peer);
}

bool acp_has(const struct acp *a, int64_t id)
{
	for (const struct acp_item *item = a->first; item; item = item->next)
		if (item->id == id)
			return true;
	return false;
}
