/* Reading agents' JSON lines. One small reader a kind, after the formats that the programs
 * print (claude and qwen: stream-json; codex: exec --json; gemini: stream-json; opencode: run
 * --format json; pi: --mode json). Fields that are missing or of another type count as absent:
 * these formats change, and a teammate's work does not hang on them. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "readable.h"

#define LINE_MAX_BYTES (2u << 20) /* longer lines are passed over */
#define TEXT_MAX_BYTES (64u << 10)
#define ACTIVITY_MAX   200
#define PROBLEM_MAX    2000
#define HTTP_MAX       599
#define TOKENS_MAX     ((int64_t)1 << 50)
#define COST_MAX       1e9

struct report {
	void (*read)(struct report *report, const json_t *line);
	struct report_watch watch;
	struct buf line;
	enum { LINE_START, LINE_JSON, LINE_PLAIN, LINE_LONG } at; /* in what kind of a line */
	bool gap; /* the last line was too long, which has been told */
	struct buf text;
	bool text_open; /* more of the same message may follow (deltas) */
	char *activity;
	bool counted;
	int64_t input, output;
	double cost;
	bool has_cost;
	char *session; /* the agent's own id of it */
	char *message; /* the id of the message that was counted last */
	int64_t message_input, message_output;
	char *problem; /* the error that was told last, when nothing came after it */
	int problem_status;
	int64_t problem_until;
	unsigned version;
};

static void set_activity(struct report *r, const char *text)
{
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strcspn(text, "\r\n");
	if (!len)
		return;
	free(r->activity);
	r->activity = xstrndup(text, len < ACTIVITY_MAX ? len : ACTIVITY_MAX);
}

/* Where the first whole character at or after `at` begins. */
static size_t whole_from(const char *text, size_t len, size_t at)
{
	while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
		at++;
	return at;
}

/* The agent tells of an error of its service: status is that of HTTP (0: not told), until in
 * milliseconds since the epoch (0: not told). */
static void set_problem(struct report *r, const char *text, int status, int64_t until)
{
	if (!text || !*text)
		text = "the agent ended in an error";
	free(r->problem);
	r->problem = xstrndup(text, strnlen(text, PROBLEM_MAX));
	r->problem_status = status;
	r->problem_until = until;
	r->version++;
}

/* It goes on: what went wrong before is over. */
static void clear_problem(struct report *r)
{
	if (!r->problem)
		return;
	free(r->problem);
	r->problem = NULL;
	r->version++;
}

static void set_text(struct report *r, const char *text, bool more)
{
	size_t len = text ? strlen(text) : 0;

	if (!len)
		return;
	clear_problem(r);
	if (!more || !r->text_open)
		r->text.len = 0;
	/* The end of it is what is wanted, from a whole character on. */
	if (len > TEXT_MAX_BYTES) {
		text += whole_from(text, len, len - TEXT_MAX_BYTES);
		len = strlen(text);
	}
	if (r->text.len + len > TEXT_MAX_BYTES)
		buf_drop_front(&r->text, whole_from(r->text.data, r->text.len,
		                                    r->text.len + len - TEXT_MAX_BYTES));
	buf_add(&r->text, text, len);
	r->text_open = more;
	set_activity(r, text);
}

/* What cannot be counts as nothing, so that no sum runs over: a number that JSON has no word for
 * would cost the whole result. */
static int64_t token_count(const json_t *object, const char *key)
{
	int64_t n = json_int(object, key, 0);

	return n > 0 && n <= TOKENS_MAX ? n : 0;
}

static void count(struct report *r, int64_t input, int64_t output)
{
	r->counted = true;
	r->version++;
	r->input = r->input + input < TOKENS_MAX ? r->input + input : TOKENS_MAX;
	r->output = r->output + output < TOKENS_MAX ? r->output + output : TOKENS_MAX;
}

static void add_cost(struct report *r, const json_t *object, const char *key)
{
	const json_t *cost = json_object_get(object, key);

	if (!json_is_number(cost) || !(json_number_value(cost) >= 0))
		return;
	r->cost += json_number_value(cost);
	if (!(r->cost < COST_MAX))
		r->cost = COST_MAX;
	r->has_cost = true;
}

/* "Edit src/tok.c": a tool and the first telling thing in its input. */
static void set_tool(struct report *r, const char *name, const json_t *input)
{
	_cleanup_free_ char *line = name ? readable_tool(name, input, ACTIVITY_MAX) : NULL;

	r->text_open = false;
	if (!line)
		return;
	clear_problem(r);
	set_activity(r, line);
}

static int http_status(const json_t *object, const char *key)
{
	int64_t status = json_int(object, key, 0);

	return status > 0 && status <= HTTP_MAX ? (int)status : 0;
}

/* Seconds or milliseconds since the epoch, as milliseconds; 0: it is neither. */
static int64_t epoch_ms(const json_t *value)
{
	double n = json_is_number(value) ? json_number_value(value) : 0;

	if (n > 1e11 && n < 1e14)
		return (int64_t)n;
	return n > 1e8 && n <= 1e11 ? (int64_t)(n * 1000) : 0;
}

/* Content blocks as Anthropic has them; pi's are alike. */
static void read_blocks(struct report *r, const json_t *blocks)
{
	const json_t *block;
	size_t i;

	json_array_foreach ((json_t *)blocks, i, block) {
		const char *type = json_text(block, "type");

		if (type && strcmp(type, "text") == 0)
			set_text(r, json_text(block, "text"), false);
		else if (type && strcmp(type, "tool_use") == 0)
			set_tool(r, json_text(block, "name"), json_sub(block, "input"));
		else if (type && strcmp(type, "toolCall") == 0)
			set_tool(r, json_text(block, "name"), json_sub(block, "arguments"));
	}
}

static bool is_type(const json_t *line, const char *type)
{
	const char *got = json_text(line, "type");

	return got && strcmp(got, type) == 0;
}

/* One message comes in several lines, one a block, each with the usage of all of it. */
static void count_message(struct report *r, const json_t *message)
{
	const json_t *usage = json_sub(message, "usage");
	const char *id = json_text(message, "id");
	int64_t input = token_count(usage, "input_tokens") +
	                token_count(usage, "cache_creation_input_tokens") +
	                token_count(usage, "cache_read_input_tokens");
	int64_t output = token_count(usage, "output_tokens");

	if (!usage || !id)
		return;
	if (r->message && strcmp(r->message, id) == 0) {
		r->input -= r->message_input;
		r->output -= r->message_output;
	}
	free(r->message);
	r->message = xstrdup(id);
	r->message_input = input;
	r->message_output = output;
	count(r, input, output);
}

static void read_claude_result(struct report *r, const json_t *line)
{
	const json_t *usage = json_sub(line, "usage");

	set_text(r, json_text(line, "result"), false);
	/* The totals of the session so far: the last line counts, not their sum. */
	if (usage) {
		r->input = r->output = 0;
		free(r->message);
		r->message = NULL;
		count(r,
		      token_count(usage, "input_tokens") +
		          token_count(usage, "cache_creation_input_tokens") +
		          token_count(usage, "cache_read_input_tokens"),
		      token_count(usage, "output_tokens"));
	}
	r->cost = 0;
	add_cost(r, line, "total_cost_usd");
	if (json_flag(line, "is_error"))
		set_problem(r, json_text(line, "result"), http_status(line, "api_error_status"), 0);
	else
		clear_problem(r);
}

/* What it is told of its account: {"status":"allowed|allowed_warning|rejected","resetsAt"}. */
static void read_claude_limit(struct report *r, const json_t *info)
{
	const char *status = json_text(info, "status");

	if (status && strcmp(status, "rejected") == 0)
		set_problem(r, "usage limit reached", 429,
		            epoch_ms(json_object_get(info, "resetsAt")));
}

static void read_claude(struct report *r, const json_t *line)
{
	if (is_type(line, "assistant")) {
		read_blocks(r, json_sub(json_sub(line, "message"), "content"));
		count_message(r, json_sub(line, "message"));
	} else if (is_type(line, "result")) {
		read_claude_result(r, line);
	} else if (is_type(line, "rate_limit_event")) {
		read_claude_limit(r, json_sub(line, "rate_limit_info"));
	} else if (is_type(line, "system") && json_text(line, "subtype") &&
	           strcmp(json_text(line, "subtype"), "api_retry") == 0) {
		set_problem(r, json_text(line, "error"), http_status(line, "error_status"), 0);
	}
}

static void read_codex(struct report *r, const json_t *line)
{
	const json_t *item = json_sub(line, "item"), *usage = json_sub(line, "usage");

	if (is_type(line, "turn.completed"))
		clear_problem(r);
	if (is_type(line, "turn.completed") && usage) {
		r->input = r->output = 0; /* the whole thread's, earlier runs of it included */
		count(r, token_count(usage, "input_tokens"), token_count(usage, "output_tokens"));
	} else if (is_type(line, "turn.failed"))
		set_problem(r, json_text(json_sub(line, "error"), "message"), 0, 0);
	else if (is_type(line, "error"))
		set_problem(r, json_text(line, "message"), 0, 0);
	else if (is_type(item, "agent_message"))
		set_text(r, json_text(item, "text"), false);
	else if (is_type(item, "command_execution"))
		set_tool(r, "run", item);
}

static void read_gemini(struct report *r, const json_t *line)
{
	const json_t *stats = json_sub(line, "stats");
	const char *role = json_text(line, "role");

	if (is_type(line, "message") && role && strcmp(role, "assistant") == 0)
		set_text(r, json_text(line, "content"), json_flag(line, "delta"));
	else if (is_type(line, "tool_use"))
		set_tool(r, json_text(line, "tool_name"), json_sub(line, "parameters"));
	else if (is_type(line, "error"))
		set_problem(r, json_text(line, "message"), 0, 0);
	if (!is_type(line, "result"))
		return;
	if (stats)
		count(r, token_count(stats, "input_tokens"), token_count(stats, "output_tokens"));
	if (json_text(line, "status") && strcmp(json_text(line, "status"), "error") == 0)
		set_problem(r, json_text(json_sub(line, "error"), "message"), 0, 0);
	else
		clear_problem(r);
}

static void read_opencode(struct report *r, const json_t *line)
{
	const json_t *part = json_sub(line, "part");
	const json_t *tokens = json_sub(part, "tokens"), *cache = json_sub(tokens, "cache");

	if (is_type(line, "text")) {
		set_text(r, json_text(part, "text"), false);
	} else if (is_type(line, "tool_use")) {
		set_tool(r, json_text(part, "tool"), json_sub(json_sub(part, "state"), "input"));
	} else if (is_type(line, "step_finish") && part) {
		count(r,
		      token_count(tokens, "input") + token_count(cache, "read") +
		          token_count(cache, "write"),
		      token_count(tokens, "output") + token_count(tokens, "reasoning"));
		add_cost(r, part, "cost");
		clear_problem(r);
	} else if (is_type(line, "error")) {
		const json_t *error = json_sub(line, "error"), *data = json_sub(error, "data");
		const char *text = json_text(data, "message");

		set_problem(r, text ? text : json_text(error, "name"),
		            http_status(data, "statusCode"), 0);
	}
}

static void read_pi(struct report *r, const json_t *line)
{
	const json_t *message = json_sub(line, "message"), *usage = json_sub(message, "usage");
	const char *role = json_text(message, "role"), *reason;

	if (!is_type(line, "message_end") || !role || strcmp(role, "assistant") != 0)
		return;
	read_blocks(r, json_sub(message, "content"));
	if (usage) {
		count(r,
		      token_count(usage, "input") + token_count(usage, "cacheRead") +
		          token_count(usage, "cacheWrite"),
		      token_count(usage, "output"));
		add_cost(r, json_sub(usage, "cost"), "total");
	}
	reason = json_text(message, "stopReason");
	if (reason && (strcmp(reason, "error") == 0 || strcmp(reason, "aborted") == 0))
		set_problem(r, json_text(message, "errorMessage"), 0, 0);
	else
		clear_problem(r);
}

static void read_copilot(struct report *r, const json_t *line)
{
	const json_t *data = json_sub(line, "data");

	if (is_type(line, "assistant.message"))
		set_text(r, json_text(data, "content"), false);
	else if (is_type(line, "tool.execution_start"))
		set_tool(r, json_text(data, "toolName"), json_sub(data, "arguments"));
	else if (is_type(line, "model.call_failure"))
		set_problem(r, json_text(data, "errorMessage"), http_status(data, "statusCode"), 0);
	else if (is_type(line, "session.error"))
		set_problem(r, json_text(data, "message"), http_status(data, "statusCode"), 0);
	else if (is_type(line, "result") && json_int(line, "exitCode", 1) == 0)
		clear_problem(r);
}

struct report *report_new(const char *kind)
{
	static const struct {
		const char *kind;
		void (*read)(struct report *report, const json_t *line);
	} kinds[] = {{"claude", read_claude},
	             {"codex", read_codex},
	             {"gemini", read_gemini},
	             {"opencode", read_opencode},
	             {"pi", read_pi},
	             {"copilot", read_copilot},
	             {"acp", NULL}};

	for (size_t i = 0; kind && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) == 0) {
			struct report *r = xcalloc(1, sizeof *r);

			r->read = kinds[i].read;
			return r;
		}
	}
	return NULL;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	buf_finish(&r->line);
	buf_finish(&r->text);
	free(r->session);
	free(r->activity);
	free(r->message);
	free(r->problem);
	free(r);
}

/* The first one that is named: those that follow may be of its own helpers. */
static void read_session(struct report *r, const json_t *line)
{
	static const char *const keys[] = {"session_id", "sessionID", "thread_id"};
	const char *id = is_type(line, "session") ? json_text(line, "id") : NULL;

	for (size_t i = 0; !id && i < ARRAY_LEN(keys); i++)
		id = json_text(line, keys[i]);
	if (id && !r->session)
		r->session = xstrdup(id);
}

const char *report_session(const struct report *r)
{
	return r ? r->session : NULL;
}

void report_watch(struct report *r, const struct report_watch *watch)
{
	if (r)
		r->watch = *watch;
}

static void tell_plain(const struct report *r, const char *data, size_t len)
{
	if (r->watch.plain)
		r->watch.plain(r->watch.context, data, len);
}

static void take_line(struct report *r)
{
	size_t len = r->line.len;
	_cleanup_json_ json_t *line = NULL;

	if (len && r->line.data[len - 1] == '\r')
		len--;
	if (len > 1 && r->line.data[0] == '{' && r->line.data[len - 1] == '}')
		line = jsonl_parse(r->line.data, len, NULL);
	if (!json_is_object(line)) {
		buf_add_str(&r->line, "\n");
		tell_plain(r, r->line.data, r->line.len);
		return;
	}
	read_session(r, line);
	r->read(r, line);
	if (r->watch.line)
		r->watch.line(r->watch.context, line);
}

/* The end of a line that began as JSON. */
static void end_line(struct report *r)
{
	static const char gap[] = "(a line that is too long)\r\n";

	if (r->at == LINE_JSON)
		take_line(r);
	else if (r->at == LINE_LONG && !r->gap)
		tell_plain(r, gap, sizeof gap - 1);
	r->gap = r->at == LINE_LONG;
	r->line.len = 0;
	if (r->line.cap > (256u << 10))
		buf_finish(&r->line);
	r->at = LINE_START;
}

void report_say(struct report *r, const char *text, bool more)
{
	if (!more)
		r->text_open = false;
	set_text(r, text, true);
}

void report_used(struct report *r, int64_t input, int64_t output, double cost)
{
	if (!r)
		return;
	r->input = r->output = 0;
	r->cost = 0;
	r->has_cost = false;
	if (input || output)
		count(r, input, output);
	if (cost >= 0) {
		r->cost = cost < COST_MAX ? cost : COST_MAX;
		r->has_cost = true;
	}
	r->version++;
}

/* What does not begin as an object goes by as it comes. */
void report_add(struct report *r, const char *data, size_t len)
{
	while (r && r->read && len) {
		const char *newline = memchr(data, '\n', len);
		size_t part = newline ? (size_t)(newline - data) : len;
		size_t whole = part + (newline ? 1 : 0);

		if (r->at == LINE_START)
			r->at = data[0] == '{' ? LINE_JSON : LINE_PLAIN;
		if (r->at == LINE_JSON && r->line.len + part > LINE_MAX_BYTES)
			r->at = LINE_LONG;
		if (r->at == LINE_JSON)
			buf_add(&r->line, data, part);
		else if (r->at == LINE_PLAIN)
			tell_plain(r, data, whole);
		if (newline)
			end_line(r);
		data += whole;
		len -= whole;
	}
}

void report_end(struct report *r)
{
	if (r && r->at != LINE_START)
		end_line(r);
}

json_t *report_usage(const struct report *r)
{
	if (!r || (!r->counted && !r->has_cost))
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "input_tokens",
	                 r->counted ? json_integer(r->input) : json_null(), "output_tokens",
	                 r->counted ? json_integer(r->output) : json_null(), "cost_usd",
	                 r->has_cost ? json_real(r->cost) : json_null());
}

const char *report_text(const struct report *r)
{
	return r && r->text.len ? r->text.data : NULL;
}

const char *report_activity(const struct report *r)
{
	return r ? r->activity : NULL;
}

const char *report_problem(const struct report *r, int *status, int64_t *until)
{
	if (!r || !r->problem)
		return NULL;
	*status = r->problem_status;
	*until = r->problem_until;
	return r->problem;
}

bool report_counts_session(const struct report *r)
{
	return r && r->read == read_codex;
}

unsigned report_version(const struct report *r)
{
	return r ? r->version : 0;
}
