/* Agents' JSON lines as text. One small function a kind, after the same formats as report.c reads;
 * what is not known says nothing. Everything that comes from the stream is made safe here. */
#include "readable.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "text.h"

#define TOOL_WIDTH   160
#define RESULT_WIDTH 160
#define ERROR_WIDTH  400
#define INPUT_MAX    4096 /* bytes of a tool's input that are looked at */

struct readable {
	void (*line)(struct readable *r, const json_t *line, struct buf *out);
	bool open;   /* a line of words has no end yet */
	bool spoken; /* there were words, so a result only repeats them */
	char *error; /* told last; the same is not told twice */
};

/* --- lines --------------------------------------------------------------------------- */

/* Lines of a terminal; what comes in is safe already. */
static void add_crlf(struct buf *out, const char *text, size_t len)
{
	while (len) {
		const char *newline = memchr(text, '\n', len);
		size_t n = newline ? (size_t)(newline - text) : len;

		buf_add(out, text, n);
		if (newline) {
			buf_add_str(out, "\r\n");
			n++;
		}
		text += n;
		len -= n;
	}
}

static void close_line(struct readable *r, struct buf *out)
{
	if (r->open)
		buf_add_str(out, "\r\n");
	r->open = false;
}

static void say_words(struct readable *r, const char *text, bool more, struct buf *out)
{
	_cleanup_buf_ struct buf safe = BUF_INIT;
	size_t len = text ? strlen(text) : 0;

	if (!more)
		close_line(r, out);
	if (!len)
		return;
	r->spoken = true;
	text_add_safe(&safe, text, len, 0, true);
	if (!safe.len)
		return;
	add_crlf(out, safe.data, safe.len);
	r->open = safe.data[safe.len - 1] != '\n';
	if (!more)
		close_line(r, out);
}

/* One line: a mark and the first line of a text, and how many more there are. */
static void say_line(struct readable *r, const char *mark, const char *text, size_t width,
                     struct buf *out)
{
	size_t len, lines = 0;

	close_line(r, out);
	text += strspn(text, " \t\r\n");
	len = strcspn(text, "\r\n");
	for (const char *c = text + len; *c; c++)
		lines += *c == '\n' && c[1] && c[1] != '\r' && c[1] != '\n';
	buf_add_str(out, mark);
	text_add_safe(out, text, len, width, false);
	if (lines)
		buf_printf(out, " (+%zu line%s)", lines, lines == 1 ? "" : "s");
	buf_add_str(out, "\r\n");
}

static void say_error(struct readable *r, const char *text, struct buf *out)
{
	if (!text || !*text || (r->error && strcmp(r->error, text) == 0))
		return;
	free(r->error);
	r->error = xstrdup(text);
	say_line(r, "✗ ", text, ERROR_WIDTH, out);
}

static void say_result(struct readable *r, const char *text, bool failed, struct buf *out)
{
	text = text ? text : "";
	if (failed)
		say_line(r, "  ✗ ", *text ? text : "failed", RESULT_WIDTH, out);
	else if (text[strspn(text, " \t\r\n")])
		say_line(r, "  ← ", text, RESULT_WIDTH, out);
}

char *readable_tool(const char *name, const json_t *input, size_t max)
{
	static const char *const telling[] = {"file_path", "path",  "filePath", "command",    "cmd",
	                                      "pattern",   "query", "url",      "description"};
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(telling); i++) {
		const char *value = json_text(input, telling[i]);

		if (value)
			return xasprintf("%s %.*s", name, (int)max, value);
	}
	if (json_object_size(input) == 0)
		return xstrdup(name);
	text = json_dumps(input, JSON_COMPACT);
	return xasprintf("%s %.*s", name, (int)max, text ? text : "");
}

static void say_tool(struct readable *r, const char *name, const json_t *input, struct buf *out)
{
	_cleanup_free_ char *text = NULL;

	if (!name)
		return;
	text = readable_tool(name, input, INPUT_MAX);
	say_line(r, "→ ", text, TOOL_WIDTH, out);
}

/* --- kinds --------------------------------------------------------------------------- */

static bool is(const json_t *object, const char *key, const char *value)
{
	const char *got = json_text(object, key);

	return got && strcmp(got, value) == 0;
}

/* A text, or the texts of blocks, one below the other. Caller frees; NULL: none. */
static char *content_text(const json_t *content)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const json_t *block;
	size_t i;

	if (json_is_string(content))
		return xstrdup(json_string_value(content));
	json_array_foreach ((json_t *)content, i, block) {
		const char *text = json_text(block, "text");

		if (text)
			buf_printf(&out, "%s%s", out.len ? "\n" : "", text);
	}
	return out.len ? buf_take(&out) : NULL;
}

static void say_blocks(struct readable *r, const json_t *blocks, struct buf *out)
{
	const json_t *block;
	size_t i;

	json_array_foreach ((json_t *)blocks, i, block) {
		if (is(block, "type", "text")) {
			say_words(r, json_text(block, "text"), false, out);
		} else if (is(block, "type", "tool_use")) {
			say_tool(r, json_text(block, "name"), json_sub(block, "input"), out);
		} else if (is(block, "type", "tool_result")) {
			_cleanup_free_ char *text = content_text(json_object_get(block, "content"));

			say_result(r, text, json_flag(block, "is_error"), out);
		}
	}
}

/* cursor-agent: {"editToolCall":{"args":{…}}}. */
static void say_cursor_tool(struct readable *r, const json_t *call, struct buf *out)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)call, key, value) {
		size_t len = strlen(key);
		bool suffix = len > 8 && strcmp(key + len - 8, "ToolCall") == 0;
		_cleanup_free_ char *name = xstrndup(key, suffix ? len - 8 : len);

		if (json_is_object(value))
			say_tool(r, name, json_sub(value, "args"), out);
		return;
	}
}

/* Also qwen, amp and cursor-agent. */
static void line_claude(struct readable *r, const json_t *line, struct buf *out)
{
	bool message = is(line, "type", "assistant") || is(line, "type", "user");

	if (message) {
		const json_t *content = json_sub(json_sub(line, "message"), "content");

		/* A person's own words are the prompt, which is known. */
		if (is(line, "type", "user") &&
		    !is(json_array_get(content, 0), "type", "tool_result"))
			return;
		say_blocks(r, content, out);
	} else if (is(line, "type", "tool_call") && is(line, "subtype", "started")) {
		say_cursor_tool(r, json_sub(line, "tool_call"), out);
	} else if (is(line, "type", "result")) {
		const char *text = json_text(line, "result");

		if (json_flag(line, "is_error"))
			say_error(r, text ? text : json_text(line, "subtype"), out);
		else if (!r->spoken)
			say_words(r, text, false, out);
	} else if (is(line, "type", "error")) {
		const char *text = json_text(line, "message");

		say_error(r, text ? text : json_text(json_sub(line, "error"), "message"), out);
	}
}

static void say_codex_files(struct readable *r, const json_t *changes, struct buf *out)
{
	const json_t *change;
	size_t i;

	json_array_foreach ((json_t *)changes, i, change) {
		const char *kind = json_text(change, "kind");

		say_tool(r, kind ? kind : "edit", change, out);
	}
}

static void codex_item(struct readable *r, const json_t *item, bool started, struct buf *out)
{
	json_int_t status = json_int(item, "exit_code", 0);

	if (is(item, "type", "command_execution") && started) {
		say_tool(r, "run", item, out);
	} else if (is(item, "type", "command_execution")) {
		const char *said = json_text(item, "aggregated_output");
		_cleanup_free_ char *text =
		    status ? xasprintf("exit %lld: %s", (long long)status, said ? said : "")
		           : xstrdup(said ? said : "");

		say_result(r, text, status != 0, out);
	} else if (is(item, "type", "mcp_tool_call") && started) {
		say_tool(r, json_text(item, "tool"), json_sub(item, "arguments"), out);
	} else if (is(item, "type", "web_search") && started) {
		say_tool(r, "search", item, out);
	} else if (started) {
		return;
	} else if (is(item, "type", "agent_message")) {
		say_words(r, json_text(item, "text"), false, out);
	} else if (is(item, "type", "file_change")) {
		say_codex_files(r, json_sub(item, "changes"), out);
	} else if (is(item, "type", "error") && json_text(item, "message")) {
		say_line(r, "! ", json_text(item, "message"), ERROR_WIDTH, out); /* it goes on */
	}
}

static void line_codex(struct readable *r, const json_t *line, struct buf *out)
{
	if (is(line, "type", "item.started") || is(line, "type", "item.completed"))
		codex_item(r, json_sub(line, "item"), is(line, "type", "item.started"), out);
	else if (is(line, "type", "turn.failed"))
		say_error(r, json_text(json_sub(line, "error"), "message"), out);
	else if (is(line, "type", "error"))
		say_error(r, json_text(line, "message"), out);
}

static void line_gemini(struct readable *r, const json_t *line, struct buf *out)
{
	const json_t *error = json_sub(line, "error");

	if (is(line, "type", "message") && is(line, "role", "assistant")) {
		say_words(r, json_text(line, "content"), json_flag(line, "delta"), out);
	} else if (is(line, "type", "tool_use")) {
		say_tool(r, json_text(line, "tool_name"), json_sub(line, "parameters"), out);
	} else if (is(line, "type", "tool_result")) {
		const char *text = json_text(line, "output");

		say_result(r, text ? text : json_text(error, "message"),
		           !is(line, "status", "success"), out);
	} else if (is(line, "type", "error")) {
		say_error(r, json_text(line, "message"), out);
	} else if (is(line, "type", "result")) {
		say_error(r, json_text(error, "message"), out);
	}
}

static void line_opencode(struct readable *r, const json_t *line, struct buf *out)
{
	const json_t *part = json_sub(line, "part"), *state = json_sub(part, "state");
	const json_t *error = json_sub(line, "error");

	if (is(line, "type", "text")) {
		say_words(r, json_text(part, "text"), false, out);
	} else if (is(line, "type", "tool_use")) {
		bool failed = is(state, "status", "error");

		say_tool(r, json_text(part, "tool"), json_sub(state, "input"), out);
		say_result(r, json_text(state, failed ? "error" : "output"), failed, out);
	} else if (is(line, "type", "error")) {
		const char *text = json_text(json_sub(error, "data"), "message");

		say_error(r, text ? text : json_text(error, "name"), out);
	}
}

static void line_pi(struct readable *r, const json_t *line, struct buf *out)
{
	const json_t *message = json_sub(line, "message"), *block;
	size_t i;

	if (is(line, "type", "message_end") && is(message, "role", "assistant")) {
		json_array_foreach (json_sub(message, "content"), i, block) {
			if (is(block, "type", "text"))
				say_words(r, json_text(block, "text"), false, out);
		}
		if (is(message, "stopReason", "error"))
			say_error(r, json_text(message, "errorMessage"), out);
	} else if (is(line, "type", "tool_execution_start")) {
		say_tool(r, json_text(line, "toolName"), json_sub(line, "args"), out);
	} else if (is(line, "type", "tool_execution_end")) {
		_cleanup_free_ char *text =
		    content_text(json_sub(json_sub(line, "result"), "content"));

		say_result(r, text, json_flag(line, "isError"), out);
	}
}

static void line_copilot(struct readable *r, const json_t *line, struct buf *out)
{
	const json_t *data = json_sub(line, "data");

	if (is(line, "type", "assistant.message")) {
		say_words(r, json_text(data, "content"), false, out);
	} else if (is(line, "type", "tool.execution_start")) {
		say_tool(r, json_text(data, "toolName"), json_sub(data, "arguments"), out);
	} else if (is(line, "type", "tool.execution_complete")) {
		bool failed = !json_flag(data, "success");

		say_result(r,
		           failed ? json_text(json_sub(data, "error"), "message")
		                  : json_text(json_sub(data, "result"), "content"),
		           failed, out);
	} else if (is(line, "type", "session.error")) {
		say_error(r, json_text(data, "message"), out);
	}
}

/* --- the whole ----------------------------------------------------------------------- */

struct readable *readable_new(const char *kind)
{
	static const struct {
		const char *kind;
		void (*line)(struct readable *r, const json_t *line, struct buf *out);
	} kinds[] = {{"claude", line_claude},     {"codex", line_codex}, {"gemini", line_gemini},
	             {"opencode", line_opencode}, {"pi", line_pi},       {"copilot", line_copilot}};

	for (size_t i = 0; kind && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) == 0) {
			struct readable *r = xcalloc(1, sizeof *r);

			r->line = kinds[i].line;
			return r;
		}
	}
	return NULL;
}

void readable_free(struct readable *r)
{
	if (!r)
		return;
	free(r->error);
	free(r);
}

void readable_line(struct readable *r, const json_t *line, struct buf *out)
{
	r->line(r, line, out);
}

void readable_plain(struct readable *r, struct buf *out)
{
	close_line(r, out);
}

void readable_end(struct readable *r, const json_t *usage, struct buf *out)
{
	const json_t *input = json_object_get(usage, "input_tokens");
	const json_t *output = json_object_get(usage, "output_tokens");
	const json_t *cost = json_object_get(usage, "cost_usd");

	close_line(r, out);
	if (json_integer_value(input) + json_integer_value(output) == 0 &&
	    !(json_number_value(cost) > 0))
		return;
	buf_add_str(out, "—");
	if (json_is_integer(input))
		buf_printf(out, " %lld tokens in, %lld out", (long long)json_integer_value(input),
		           (long long)json_integer_value(output));
	if (json_is_number(cost))
		buf_printf(out, "%s $%.4f", json_is_integer(input) ? "," : "",
		           json_number_value(cost));
	buf_add_str(out, "\r\n");
}
