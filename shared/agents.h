/* Agents: what is known of the agent programs, and the PROFILE that runs one
 * (docs/protocol.md). Says nothing of plans and links no YAML: library target `agents`.
 *
 * PROFILE is described in docs/protocol.md. Of its commands:
 * - {prompt} {prompt_file} {worktree} {task} {key} {branch} {base} {model} {session} stand for what
 *   they say; {hook} is the program that hooks call, {hooks_file} the file that was written for
 *   them. Unknown {…} stay as they are.
 * - Without a model, an ARG that is "{model}" is left out and takes the option before it ("-…")
 *   along; so is an option that mentions it ("--model={model}"). {session} is alike.
 * - An ARG that is "{hooks}" becomes `hooks.args` where there are hooks, and nothing otherwise.
 * - `large`: the command for prompts over 100 KiB, which do not fit into one argument; null
 *   where `command` itself does not care. */
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

/* The YAML of a built-in agent, its name included: `bytes` of it. Borrowed for ever; NULL: none has
 * that name. */
const char *agents_builtin(const char *name, size_t *bytes);
/* Every built-in name, NULL-terminated, in order of preference. Each is its program's name, too.
 * Borrowed for ever. */
const char *const *agents_names(void);
/* The first that is in `path` (NULL: $PATH), or NULL. Borrowed for ever. */
const char *agents_first_installed(const char *path);

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
	const char *hook; /* NULL: without hooks */
	const char *hooks_file;
};

/* argv of a profile's command (`command`, or `large` for prompts over 100 KiB), with every
 * {…} replaced inside its argument, once, never through a shell. Caller frees with strv_free. */
char **agents_command(const json_t *profile, const struct agents_values *values);
/* The same of another command of that profile, such as that of `resume`. */
char **agents_arguments(const json_t *profile, const json_t *command,
                        const struct agents_values *values);
/* `hooks` with {hook} and {hooks_file} replaced in every text. New reference; null: none. */
json_t *agents_hooks(const json_t *profile, const struct agents_values *values);
/* How the prompt of that many bytes gets to the agent: argv stdin type none. Borrowed. */
const char *agents_prompt_way(const json_t *profile, size_t prompt_bytes);

/* True when any argument mentions that placeholder (with its braces). */
bool agents_mentions(const json_t *command, const char *placeholder);

#endif
