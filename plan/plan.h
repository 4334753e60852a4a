/* Plans: YAML files and command-line options made into the complete, checked JSON that
 * the control plane takes (docs/protocol.md: PLAN, PLANTASK, PROFILE, secrets).
 *
 * libfyaml is loaded where something is read that was not read lately (yaml_kept.h), so that all
 * other commands never pay for it. Every refusal is ERROR_INVALID with a text `FILE:LINE:COLUMN:
 * what (what to do)`, ready to print. */
#ifndef PLEACH_PLAN_H
#define PLEACH_PLAN_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"

/* What `pleach init` writes for a prompt: refused, so that no agent is paid to do it. */
#define PLAN_PROMPT_UNWRITTEN "Say here what is to be done."

/* Limits of a plan file; beyond them: ERROR_INVALID that names the limit. */
#define PLAN_FILE_MAX           (16u << 20) /* bytes of a plan or configuration file */
#define PLAN_DEPTH_MAX          48 /* nesting of lists and mappings; the control plane takes 64 */
#define PLAN_NODES_MAX          4000000      /* values, with every alias counted in full */
#define PLAN_PROMPT_MAX         (1u << 20)   /* bytes of one prompt */
#define PLAN_ARGUMENT_MAX       (100u << 10) /* bytes of a prompt that fits into one argument */
#define PLAN_TASKS_MAX          100000       /* tasks of a plan, alternatives included */
#define PLAN_EDGES_MAX          1000000      /* blocked_by entries of a plan */
#define PLAN_ALTERNATIVES_MAX   64           /* alternatives of one task */
#define PLAN_ITEMS_MAX          100000       /* lines of a for_each file */
#define PLAN_MEASURES_MAX       8            /* numbers that are measured of one task */
#define PLAN_TEAM_MAX           128          /* teammates */
#define PLAN_RETRIES_MAX        100
#define PLAN_VERIFY_RETRIES_MAX 20
#define PLAN_AHEAD_MAX          16              /* merges that are proven at once */
#define PLAN_BATCH_MAX          64              /* tasks that are proven as one */
#define PLAN_SECONDS_MAX        (366.0 * 86400) /* any time limit */
#define PLAN_NAME_MAX           64              /* bytes of a plan's or an agent's name */
#define PLAN_COMMAND_MAX        (100u << 10)    /* bytes of one argument or shell command */

/* What the caller knows. All strings are borrowed for the call. */
struct plan_context {
	const char *root; /* the main worktree: its pleach.yaml gives defaults, and files that a
	                   * plan names must be in it or beside the plan. NULL: none */
	const char *cwd;  /* what a relative FILE starts from; NULL: the current directory */
	const char *config_dir;    /* $XDG_CONFIG_HOME/pleach; NULL: place_config_dir() */
	const char *default_agent; /* NAME[/MODEL] where nothing else decides; NULL: none known */
	/* Asked then, with NULL for $PATH: looking for programs takes a while. May be NULL. */
	const char *(*first_agent)(const char *path);
	const char *name; /* --name; NULL: the file decides */
	bool keep;        /* what the parser finds is kept in the state (yaml_kept.h) */
	int team;         /* --team N: replaces the file's team; 0: not given */
};

/* Reads and checks a plan file ("-": stdin). New references:
 *   *plan      PLAN, with these fields more than docs/protocol.md has:
 *              "base_at", "target_at": "FILE:LINE:COLUMN" of base and target, for who finds
 *              that they do not exist (FILE:1:1 where the file does not name them);
 *              "left_out": FILE | null: a pleach.yaml with tasks of its own, so that its
 *              defaults are not this plan's, which lacks some of them;
 *              "keys": {ACTION:KEY} | null (keys.h)
 *   *secrets   {"plan":{NAME:VALUE},"agents":{NAME:{…}},"tasks":{KEY:{…}}}: what `env:` said
 *   *warnings  [TEXT], ready to print
 * Errors: INVALID (see above; also FILE:1:1 when there is no such file), EXTERNAL (it cannot be
 * read). */
int plan_read(const char *file, const struct plan_context *ctx, json_t **plan, json_t **secrets,
              json_t **warnings, struct error *err);

/* The merged defaults of pleach.yaml and config.yaml, for what is not a plan. New reference:
 *   {"base","target","agent":NAME|null,"model","priority","when","choose","spec":SPEC,
 *    "limits":{"total","agents":{}},"agents":{NAME:PROFILE},"team":{"size","teammates"},
 *    "keys":{NAME:TEXT},"files":[FILE read]}
 * A pleach.yaml with tasks counts too: only its tasks are left out. "agents" holds every
 * agent the files declare, the agents of `team` and `agent`, not the other built-in ones. */
int plan_defaults_read(const struct plan_context *ctx, json_t **defaults, json_t **secrets,
                       json_t **warnings, struct error *err);

/* One task from command-line options (`add`, `try`). NULL and 0: not given. */
struct plan_task_options {
	const char *command;       /* add or try: mistakes begin with it */
	const char *key;           /* --key */
	const char *prompt;        /* needed unless the agent takes none */
	const char *const *agents; /* --agent NAME[/MODEL]…, NULL-terminated */
	int copies;                /* -n: alternatives per agent */
	const char *verify;        /* for the shell; "none": no verify */
	bool detect;          /* try: without a configured verify, the first test command found */
	const char *choose;   /* manual first best */
	const char *when;     /* completed settled */
	const char *timeout;  /* DUR */
	const char *priority; /* a number */
	bool interactive;     /* -i: the agent in mode tui */
};

/* Makes the params of `task.add`: {"task":PLANTASK,"agents":{NAME:PROFILE},"secrets":{…},
 * "alternatives":[PLANTASK]}, and "base" where the configuration names one (another base,
 * blocked_by, nonce are the caller's). Without a key, one is
 * made from the prompt's first words and "key_free":true is added to the params: whoever
 * stores it may append -2, -3… to make it unique.
 * `*notes`: {"agent":NAME|null,"agent_found":bool (the default agent was taken),
 * "verify":COMMAND|null,"verify_found":bool (it was detected),"files":[FILE],"warnings":[TEXT]}.
 * Errors: INVALID (an option, with its name; a configuration file, with its place). */
int plan_task_make(const struct plan_context *ctx, const struct plan_task_options *options,
                   json_t **params, json_t **notes, struct error *err);

/* The profile of an agent (NAME[/MODEL]) as the configuration of this repository has it, for
 * `team add`. New reference; NOT_FOUND with the nearest name. */
int plan_profile_read(const struct plan_context *ctx, const char *agent, json_t **profile,
                      json_t **secrets, struct error *err);

/* Every agent that this repository's configuration knows, built in ones first or where they were
 * changed: [{"name","from":["built in"|FILE],"said":what the files say of it (see
 * plan_agent_entry.c),"profile":PROFILE}]. New references. Errors: INVALID with its place. */
int plan_agents_list(const struct plan_context *ctx, json_t **agents, json_t **warnings,
                     struct error *err);

#endif
