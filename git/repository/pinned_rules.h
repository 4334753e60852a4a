/* Which configuration keys are pinned, and what stands in for one that was not
 * there when the user started. Private to git/. */
#ifndef PLEACH_GIT_PINNED_RULES_H
#define PLEACH_GIT_PINNED_RULES_H

#include <stdbool.h>

struct pinned_rule {
	const char *section;
	bool sub; /* section.SOMETHING.name, else section.name */
	const char *name;
	const char *neutral; /* NULL: a file of the user's configuration directory */
	const char *file;
};

struct pinned_fixed {
	const char *key;
	const char *value;
};

/* The rule of a key as `git config --list` spells it, or NULL. Borrowed. */
const struct pinned_rule *pinned_rule(const char *key);
/* Caller frees. */
char *pinned_rule_neutral(const struct pinned_rule *rule);

/* Set whatever the configuration says; ended by an entry without a key. */
extern const struct pinned_fixed pinned_fixed[];
/* NAME=value; ended by NULL. */
extern const char *const pinned_environment_fixed[];

#endif
