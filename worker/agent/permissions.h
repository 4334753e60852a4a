/* What an agent may do: one pure decision over a plan's `permissions`, for every way in which
 * agents ask (hooks, ACP). Knows neither agent nor task. */
#ifndef PLEACH_WORKER_PERMISSIONS_H
#define PLEACH_WORKER_PERMISSIONS_H

#include <jansson.h>

enum permission {
	PERMISSION_NONE, /* no rule says anything: as the agent itself would */
	PERMISSION_ALLOW,
	PERMISSION_ASK, /* a person decides */
	PERMISSION_DENY
};

/* What is asked leave for. All may be NULL. */
struct permission_request {
	const char *tool;     /* the agent's name for it: "Bash"; NULL: it gave none */
	const char *kind;     /* read edit delete move search execute think fetch other */
	const char *argument; /* the command, the path, the address */
};

/* POLICY = {"mode":"edit|ask|all","allow":[PATTERN],"ask":[PATTERN],"deny":[PATTERN]}, each part
 * optional; NULL: nothing is said. PATTERN is a tool or a kind, "*" for all, and in brackets what
 * its argument has to look like, * standing for any text: "edit", "Bash(git *)", "fetch(*)".
 *
 * deny goes before ask, ask before allow. A command that a shell would take apart is matched by
 * each of its parts: one of them is enough for deny and ask, all of them are needed for allow; one
 * that holds a substitution is never allowed by its look.
 * `*rule` (may be NULL) is the pattern that decided, borrowed from the policy, or NULL. */
enum permission permission_decide(const json_t *policy, const struct permission_request *request,
                                  const char **rule);

/* The kind of a tool by its name, as far as agents share names; "other". Borrowed for ever. */
const char *permission_kind(const char *tool);

/* What a person's answer means. ALLOW, DENY; NONE: it is a text for the agent, not yes or no. */
enum permission permission_answer(const char *text);

#endif
