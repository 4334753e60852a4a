/* pleach-git.so: the verbs, apart from the program, which answers the commonest question
 * (resolve, quick.h) without them: loading the git library costs 6 ms. */
#ifndef PLEACH_GIT_VERBS_H
#define PLEACH_GIT_VERBS_H

#include <stddef.h>

struct verbs_module {
	unsigned version; /* VERBS_VERSION */
	/* Runs a verb on the text of a request, answers on stdout. The exit status. */
	int (*run)(const char *verb, const char *text, size_t len);
};

#define VERBS_FILE    "pleach-git.so"
#define VERBS_VERSION 1
#define VERBS_SYMBOL  "pleach_git_module"

extern const struct verbs_module pleach_git_module;

#endif
