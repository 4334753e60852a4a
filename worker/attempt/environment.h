/* The environment of what runs in a slot: that of the last `up` or `run`, then the plan's,
 * the agent's, the profile's and the task's variables, then ours. Values are secrets: they
 * are never logged. */
#ifndef PLEACH_WORKER_ENVIRONMENT_H
#define PLEACH_WORKER_ENVIRONMENT_H

#include <jansson.h>

struct environment;

/* runtime_dir holds the coordinator's environment.json. Caller frees with environment_free. */
struct environment *environment_new(const char *runtime_dir);
void environment_free(struct environment *environment);

struct environment_want {
	const char *plan, *agent, *key; /* whose variables; may be NULL */
	const json_t *profile_env;      /* may be NULL */
	const char *cwd;
	const char *const *ours; /* NAME, VALUE, NAME, VALUE, …, NULL; a NULL value removes */
};
/* NAME=VALUE strings. The file is read again when it changed; without one, the worker's own
 * environment is the base. Caller frees with strv_free. */
char **environment_make(struct environment *environment, const struct environment_want *want);

/* Adds settings for git (GIT_CONFIG_KEY_0=…, GIT_CONFIG_VALUE_0=…, GIT_CONFIG_COUNT=…, as the
 * slot gives them) behind those that the environment has already. `more` may be NULL. */
void environment_add_git(char ***env, const char *const *more);

/* The value in such a vector, or NULL. Borrowed. */
const char *environment_get(const char *const *env, const char *name);

#endif
