/* Events as claude's hooks have them (hook_event_name, tool_name, tool_input; qwen's are alike),
 * as gemini's do (BeforeTool, AfterAgent…), and codex's `notify` (type). Fields that are missing
 * or of another type count as absent: a teammate's work does not hang on them. */
#include "hooks.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

#define ASKED_WIDTH 1000

static const struct {
	const char *name;
	enum agent_state state;
} events[] = {
    {"UserPromptSubmit", AGENT_WORKING},  {"PreToolUse", AGENT_WORKING},
    {"PostToolUse", AGENT_WORKING},       {"PostToolUseFailure", AGENT_WORKING},
    {"PermissionRequest", AGENT_WORKING}, {"SubagentStart", AGENT_WORKING},
    {"SubagentStop", AGENT_WORKING},      {"PreCompact", AGENT_WORKING},
    {"PostCompact", AGENT_WORKING},       {"BeforeAgent", AGENT_WORKING},
    {"BeforeModel", AGENT_WORKING},       {"BeforeTool", AGENT_WORKING},
    {"AfterTool", AGENT_WORKING},         {"Stop", AGENT_IDLE},
    {"StopFailure", AGENT_IDLE},          {"AfterAgent", AGENT_IDLE},
    {"agent-turn-complete", AGENT_IDLE},
};

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

static bool mentions(const char *text, const char *word)
{
	return text && strcasestr(text, word);
}

/* "Claude needs your permission to use Bash", "… is waiting for your input". */
static void read_notification(const json_t *event, struct hook_event *out)
{
	const char *type = json_text(event, "notification_type");
	const char *message = json_text(event, "message");

	if (is(type, "auth_success"))
		return;
	out->speaks = true;
	if (is(type, "idle_prompt") || (!type && mentions(message, "waiting for your input"))) {
		out->state = AGENT_IDLE;
		return;
	}
	out->state = AGENT_NEEDS_INPUT;
	out->reason = is(type, "permission_prompt") || is(type, "ToolPermission") ||
	                      (!type && mentions(message, "permission"))
	                  ? "permission"
	                  : "question";
	out->text = xstrdup(message);
}

/* claude's tool that asks the user: {"questions":[{"question","options":[{"label"}]}]}. */
static void read_question(const json_t *input, struct hook_event *out)
{
	const json_t *first = json_array_get(json_sub(input, "questions"), 0), *option;
	size_t i;

	out->speaks = true;
	out->state = AGENT_NEEDS_INPUT;
	out->reason = "question";
	out->text = xstrdup(json_text(first, "question"));
	json_array_foreach (json_sub(first, "options"), i, option) {
		const char *label = json_text(option, "label");
		char number[24];

		if (!label)
			continue;
		snprintf(number, sizeof number, "%zu", i + 1);
		if (!out->options)
			out->options = json_array();
		json_array_append_new(out->options,
		                      json_pack("{s:s, s:s}", "id", number, "name", label));
	}
}

static const char *argument_of(const json_t *input)
{
	static const char *const telling[] = {"command", "file_path", "path", "notebook_path",
	                                      "url",     "pattern",   "query"};

	for (size_t i = 0; i < ARRAY_LEN(telling); i++)
		if (json_text(input, telling[i]))
			return json_text(input, telling[i]);
	return NULL;
}

void hook_read(const json_t *event, struct hook_event *out)
{
	const char *name = json_text(event, "hook_event_name");
	const json_t *input = json_sub(event, "tool_input");

	*out = (struct hook_event){.name = name ? name : json_text(event, "type"),
	                           .session = json_text(event, "session_id")};
	if (is(out->name, "Stop"))
		out->said = json_text(event, "last_assistant_message");
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (is(out->name, events[i].name)) {
			out->speaks = true;
			out->state = events[i].state;
		}
	}
	if (is(out->name, "Notification"))
		read_notification(event, out);
	if (is(out->name, "approval-requested")) {
		out->speaks = true;
		out->state = AGENT_NEEDS_INPUT;
		out->reason = "permission";
		out->text = xstrdup(json_text(event, "message"));
	}
	if (!is(out->name, "PreToolUse") && !is(out->name, "PermissionRequest") &&
	    !is(out->name, "BeforeTool"))
		return;
	out->request.tool = json_text(event, "tool_name");
	if (is(out->request.tool, "AskUserQuestion")) {
		read_question(input, out);
		return;
	}
	out->asks = out->request.tool != NULL;
	out->request.kind = permission_kind(out->request.tool);
	out->request.argument = argument_of(input);
}

void hook_finish(struct hook_event *event)
{
	free(event->text);
	json_decref(event->options);
	*event = (struct hook_event){0};
}

char *hook_output(const char *name, enum permission decision, const char *reason)
{
	const char *word = decision == PERMISSION_ALLOW ? "allow" : "deny";
	_cleanup_json_ json_t *output = NULL;

	if (decision != PERMISSION_ALLOW && decision != PERMISSION_DENY)
		return NULL;
	if (!reason)
		reason = decision == PERMISSION_ALLOW ? "allowed by pleach" : "denied by pleach";
	if (is(name, "PermissionRequest"))
		output = json_pack("{s:{s:s, s:{s:s, s:s*}}}", "hookSpecificOutput",
		                   "hookEventName", name, "decision", "behavior", word, "message",
		                   decision == PERMISSION_DENY ? reason : NULL);
	else if (is(name, "PreToolUse"))
		output =
		    json_pack("{s:{s:s, s:s, s:s}}", "hookSpecificOutput", "hookEventName", name,
		              "permissionDecision", word, "permissionDecisionReason", reason);
	else
		output = json_pack("{s:s, s:s}", "decision", word, "reason", reason);
	return output ? jsonl_text(output) : NULL;
}

char *hook_asked(const struct permission_request *r)
{
	_cleanup_buf_ struct buf line = BUF_INIT;

	buf_add_str(&line, r->tool ? r->tool : r->kind ? r->kind : "a tool");
	if (r->argument)
		buf_printf(&line, ": %s", r->argument);
	return text_safe(line.data, ASKED_WIDTH);
}

char *hook_quoted(const char *path)
{
	bool plain = path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                               "0123456789/._-+@%,:")] == '\0';
	struct buf out = BUF_INIT;

	if (plain)
		return xstrdup(path);
	buf_add_str(&out, "'");
	for (; *path; path++) {
		if (*path == '\'')
			buf_add_str(&out, "'\\''");
		else
			buf_add(&out, path, 1);
	}
	buf_add_str(&out, "'");
	return buf_take(&out);
}
