/* The table of built-in agents and what becomes of a profile's command. The flags are those
 * of the programs' own help; where an agent stops reading options, `--` or `--option=` keeps
 * a prompt that starts with a dash a prompt. */
#include "agents.h"

#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "proc.h"

#define AGENT_ARGS_MAX     16
#define AGENT_ARGUMENT_MAX (100u << 10) /* MAX_ARG_STRLEN of Linux is 128 KiB */

/* One way to start an agent. "{permissions}" stands for the flags of that level. */
struct agent_way {
	const char *args[AGENT_ARGS_MAX]; /* without the program itself */
	const char *prompt;               /* argv stdin type none; NULL: no such way */
};

struct agent {
	const char *name;
	const char *program;
	const char *output; /* whose JSON lines `exec` prints */
	struct agent_way exec;
	struct agent_way exec_large; /* for prompts that do not fit into an argument */
	struct agent_way tui;
	struct agent_way tui_large;
	struct agent_way acp;
	const char *flags[agent_permissions_count][4];
	const char *env[agent_permissions_count][2]; /* NAME, VALUE */
};

#define MODEL "--model", "{model}"

static const struct agent table[] = {
    {
        .name = "claude",
        .program = "claude",
        .output = "claude",
        .exec = {{"-p", "--output-format", "stream-json", "--verbose", MODEL, "{permissions}", "--",
                  "{prompt}"},
                 "argv"},
        .exec_large = {{"-p", "--output-format", "stream-json", "--verbose", MODEL,
                        "{permissions}"},
                       "stdin"},
        .tui = {{MODEL, "{permissions}", "--", "{prompt}"}, "argv"},
        .tui_large = {{MODEL, "{permissions}"}, "type"},
        .flags = {[PERMISSIONS_EDIT] = {"--permission-mode", "acceptEdits"},
                  [PERMISSIONS_ALL] = {"--dangerously-skip-permissions"}},
    },
    {
        .name = "codex",
        .program = "codex",
        .output = "codex",
        .exec = {{"exec", "--json", MODEL, "{permissions}", "--", "{prompt}"}, "argv"},
        .exec_large = {{"exec", "--json", MODEL, "{permissions}", "-"}, "stdin"},
        .tui = {{MODEL, "{permissions}", "--", "{prompt}"}, "argv"},
        .tui_large = {{MODEL, "{permissions}"}, "type"},
        .flags = {[PERMISSIONS_EDIT] = {"-s", "workspace-write"},
                  [PERMISSIONS_ALL] = {"--dangerously-bypass-approvals-and-sandbox"}},
    },
    {
        .name = "gemini",
        .program = "gemini",
        .output = "gemini",
        .exec = {{"-o", "stream-json", "--skip-trust", MODEL, "{permissions}", "--prompt={prompt}"},
                 "argv"},
        .exec_large = {{"-o", "stream-json", "--skip-trust", MODEL, "{permissions}"}, "stdin"},
        .tui = {{MODEL, "{permissions}", "--prompt-interactive={prompt}"}, "argv"},
        .tui_large = {{MODEL, "{permissions}"}, "type"},
        .acp = {{"--acp", MODEL, "{permissions}"}, "none"},
        .flags = {[PERMISSIONS_EDIT] = {"--approval-mode", "auto_edit"},
                  [PERMISSIONS_ALL] = {"--approval-mode", "yolo"}},
    },
    {
        .name = "opencode",
        .program = "opencode",
        .output = "opencode",
        .exec = {{"run", "--format", "json", MODEL, "--", "{prompt}"}, "argv"},
        .exec_large = {{"run", "--format", "json", MODEL}, "stdin"},
        .tui = {{MODEL, "--prompt={prompt}"}, "argv"},
        .tui_large = {{MODEL}, "type"},
        .acp = {{"acp"}, "none"},
        .env = {[PERMISSIONS_ALL] = {"OPENCODE_PERMISSION", "{\"*\":\"allow\"}"}},
    },
    {
        .name = "qwen",
        .program = "qwen",
        .output = "claude",
        .exec = {{"-o", "stream-json", MODEL, "{permissions}", "--prompt={prompt}"}, "argv"},
        .exec_large = {{"-o", "stream-json", MODEL, "{permissions}"}, "stdin"},
        .tui = {{MODEL, "{permissions}", "--prompt-interactive={prompt}"}, "argv"},
        .tui_large = {{MODEL, "{permissions}"}, "type"},
        .acp = {{"--acp", MODEL, "{permissions}"}, "none"},
        .flags = {[PERMISSIONS_EDIT] = {"--approval-mode", "auto-edit"},
                  [PERMISSIONS_ALL] = {"--approval-mode", "yolo"}},
    },
    {
        .name = "pi",
        .program = "pi",
        .output = "pi",
        .exec = {{"--no-session", "--mode", "json", MODEL, "-p", "{prompt}"}, "argv"},
        .exec_large = {{"--no-session", "--mode", "json", MODEL, "-p"}, "stdin"},
        .tui = {{MODEL, "{prompt}"}, "argv"},
        .tui_large = {{MODEL}, "type"},
    },
    {
        .name = "aider",
        .program = "aider",
        .output = "text",
        .exec = {{"--yes-always", "--no-stream", "--no-pretty", "--no-check-update", MODEL,
                  "--message={prompt}"},
                 "argv"},
        .exec_large = {{"--yes-always", "--no-stream", "--no-pretty", "--no-check-update", MODEL,
                        "--message-file", "{prompt_file}"},
                       "argv"},
        .tui = {{"--no-check-update", MODEL, "{permissions}"}, "type"},
        .flags = {[PERMISSIONS_ALL] = {"--yes-always"}},
    },
    {
        .name = "goose",
        .program = "goose",
        .output = "text",
        .exec = {{"run", MODEL, "--text={prompt}"}, "argv"},
        .exec_large = {{"run", MODEL, "-i", "{prompt_file}"}, "argv"},
        .tui = {{"run", "-s", MODEL, "--text={prompt}"}, "argv"},
        .tui_large = {{"run", "-s", MODEL, "-i", "{prompt_file}"}, "argv"},
        .env = {[PERMISSIONS_EDIT] = {"GOOSE_MODE", "smart_approve"},
                [PERMISSIONS_ALL] = {"GOOSE_MODE", "auto"}},
    },
};

static const char *const permission_words[] = {
#define X(name, word) word,
    AGENT_PERMISSIONS(X)
#undef X
};

const char *agent_permissions_word(enum agent_permissions value)
{
	return permission_words[value];
}

bool agent_permissions_from_word(const char *word, enum agent_permissions *out)
{
	for (unsigned i = 0; i < ARRAY_LEN(permission_words); i++) {
		if (strcmp(word, permission_words[i]) == 0) {
			*out = (enum agent_permissions)i;
			return true;
		}
	}
	return false;
}

const struct agent *agents_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

const char *const *agents_names(void)
{
	static const char *names[ARRAY_LEN(table) + 1];
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		names[i] = table[i].name;
	return names;
}

const char *agents_program(const struct agent *agent)
{
	return agent->program;
}

const char *agents_first_installed(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_free_ char *program = proc_find_program(table[i].program, path);
		if (program)
			return table[i].name;
	}
	return NULL;
}

static json_t *way_command(const struct agent *agent, const struct agent_way *way,
                           enum agent_permissions permissions)
{
	json_t *command = json_pack("[s]", agent->program);
	for (size_t i = 0; i < AGENT_ARGS_MAX && way->args[i]; i++) {
		if (strcmp(way->args[i], "{permissions}") != 0) {
			json_array_append_new(command, json_string(way->args[i]));
			continue;
		}
		const char *const *flags = agent->flags[permissions];
		for (size_t n = 0; n < ARRAY_LEN(agent->flags[0]) && flags[n]; n++)
			json_array_append_new(command, json_string(flags[n]));
	}
	return command;
}

json_t *agents_profile(const struct agent *agent, enum agent_mode mode,
                       enum agent_permissions permissions)
{
	const struct agent_way *way = mode == MODE_EXEC  ? &agent->exec
	                              : mode == MODE_TUI ? &agent->tui
	                                                 : &agent->acp;
	const struct agent_way *large = mode == MODE_EXEC  ? &agent->exec_large
	                                : mode == MODE_TUI ? &agent->tui_large
	                                                   : NULL;
	if (!way->prompt)
		return NULL;
	json_t *env = json_object();
	const char *const *pair = agent->env[permissions];
	if (pair[0])
		json_object_set_new(env, pair[0], json_string(pair[1]));
	json_t *large_json = json_null();
	if (large && large->prompt)
		large_json =
		    json_pack("{s:o,s:s}", "command", way_command(agent, large, permissions),
		              "prompt", large->prompt);
	return json_pack("{s:o,s:s,s:s,s:o,s:s,s:s,s:o}", "command",
	                 way_command(agent, way, permissions), "mode", agent_mode_word(mode),
	                 "prompt", way->prompt, "env", env, "program", agent->program, "output",
	                 mode == MODE_EXEC ? agent->output : "text", "large", large_json);
}

/* The part of the profile that suits a prompt of that size. Borrowed. */
static const json_t *profile_part(const json_t *profile, size_t prompt_bytes)
{
	const json_t *large = json_sub(profile, "large");
	return large && prompt_bytes > AGENT_ARGUMENT_MAX ? large : profile;
}

const char *agents_prompt_way(const json_t *profile, size_t prompt_bytes)
{
	const char *way = json_text(profile_part(profile, prompt_bytes), "prompt");
	return way ? way : "none";
}

bool agents_mentions(const json_t *command, const char *placeholder)
{
	size_t i;
	json_t *arg;
	json_array_foreach (command, i, arg) {
		if (json_is_string(arg) && strstr(json_string_value(arg), placeholder))
			return true;
	}
	return false;
}

struct placeholder {
	const char *name;
	const char *value;
};

/* Replaces what is between braces where the name is known, in one pass: what a value holds
 * is never looked at again. */
static char *expand(const char *arg, const struct placeholder *known)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	while (*arg) {
		size_t plain = strcspn(arg, "{");
		buf_add(&out, arg, plain);
		arg += plain;
		if (!*arg)
			break;
		const struct placeholder *p = known;
		while (p->name && strncmp(arg, p->name, strlen(p->name)) != 0)
			p++;
		if (p->name) {
			buf_add_str(&out, p->value ? p->value : "");
			arg += strlen(p->name);
		} else {
			buf_add(&out, arg++, 1);
		}
	}
	return buf_take(&out);
}

char **agents_command(const json_t *profile, const struct agents_values *values)
{
	const struct placeholder known[] = {
	    {"{prompt}", values->prompt},     {"{prompt_file}", values->prompt_file},
	    {"{worktree}", values->worktree}, {"{task}", values->task},
	    {"{key}", values->key},           {"{branch}", values->branch},
	    {"{base}", values->base},         {"{session}", values->session},
	    {"{model}", values->model},       {NULL, NULL},
	};
	size_t bytes = values->prompt ? strlen(values->prompt) : 0;
	const json_t *command = json_sub(profile_part(profile, bytes), "command");
	char **argv = NULL;
	size_t i;
	json_t *item;
	json_array_foreach (command, i, item) {
		const char *arg = json_string_value(item);
		const char *next = json_string_value(json_array_get(command, i + 1));
		if (!arg)
			continue;
		if (!values->model && i > 0) {
			bool option = arg[0] == '-';
			if (strcmp(arg, "{model}") == 0 || (option && strstr(arg, "{model}")))
				continue;
			if (option && next && strcmp(next, "{model}") == 0)
				continue;
		}
		strv_push(&argv, expand(arg, known));
	}
	return argv ? argv : xcalloc(1, sizeof(*argv));
}
