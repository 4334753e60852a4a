/* Agents: what is known of the agent programs, and the PROFILE that runs one
 * (docs/protocol.md). Says nothing of plans and links no YAML: library target `agents`.
 *
 * PROFILE = {"command":[ARG],"mode":"exec|tui|acp","prompt":"argv|stdin|type|none",
 *  "env":{NAME:VALUE},"program":ARG0,"output":"text|claude|codex|gemini|opencode|pi",
 *  "large":{"command":[ARG],"prompt":W}|null}
 * - `prompt`: how the prompt gets to the agent: argv (the command mentions {prompt} or
 *   {prompt_file}), stdin (the prompt file is its stdin), type (typed when it is ready), none.
 * - Without a model, an ARG that is "{model}" is left out and takes the option before it ("-…")
 *   along; so is an option that mentions it ("--model={model}").
 * - `large`: the command for prompts over 100 KiB, which do not fit into one argument; null
 *   where `command` itself does not care.
 * - `output`: whose JSON lines a headless agent prints. */
#ifndef PLEACH_AGENTS_H
#define PLEACH_AGENTS_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"
#include "words.h"

/* How much an agent may do unasked: `permissions` of a plan. */
#define AGENT_PERMISSIONS(X)                                                                       \
	X(PERMISSIONS_EDIT, "edit") /* edits files unasked */                                      \
	X(PERMISSIONS_ASK, "ask")   /* the agent's own default */                                  \
	X(PERMISSIONS_ALL, "all")   /* its own skip-permissions flag */
WORDS_DECLARE(agent_permissions, AGENT_PERMISSIONS, agent_permissions)

struct agent; /* one built-in agent */

/* The built-in agent of that name, or NULL. Borrowed for ever. */
const struct agent *agents_find(const char *name);
/* Every built-in name, NULL-terminated, in order of preference. Borrowed for ever. */
const char *const *agents_names(void);
const char *agents_program(const struct agent *agent); /* borrowed for ever */
/* The first whose program is in `path` (NULL: $PATH), or NULL. Borrowed for ever. */
const char *agents_first_installed(const char *path);

/* The profile of a built-in agent. NULL when it does not know the mode. New reference. */
json_t *agents_profile(const struct agent *agent, enum agent_mode mode,
                       enum agent_permissions permissions);

/* What `{…}` in a command stands for. NULL: the empty string (model: see above). */
struct agents_values {
	const char *prompt;
	const char *prompt_file;
	const char *worktree;
	const char *task;
	const char *key;
	const char *branch;
	const char *base;
	const char *session;
	const char *model;
};

/* argv of a profile's command (`command`, or `large` for prompts over 100 KiB), with every
 * {…} replaced inside its argument, once, never through a shell. Unknown {…} stay as they
 * are. Caller frees with strv_free. */
char **agents_command(const json_t *profile, const struct agents_values *values);
/* How the prompt of that many bytes gets to the agent: argv stdin type none. Borrowed. */
const char *agents_prompt_way(const json_t *profile, size_t prompt_bytes);

/* True when any argument mentions that placeholder (with its braces). */
bool agents_mentions(const json_t *command, const char *placeholder);

#endif
