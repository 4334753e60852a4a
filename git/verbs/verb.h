/* The verbs of pleach-git. Each reads its request, answers with one JSON object, and is
 * described, with all its fields, at the top of main.c. */
#ifndef PLEACH_GIT_VERB_H
#define PLEACH_GIT_VERB_H

#include <jansson.h>

#include "error.h"
#include "repo.h"

/* `*answer` is a new reference, or stays NULL where the output went to stdout itself. */
struct verb {
	const char *name;
	int (*run)(const json_t *request, json_t **answer, struct error *err);
};

int verb_resolve(const json_t *request, json_t **answer, struct error *err);
int verb_base(const json_t *request, json_t **answer, struct error *err);
int verb_compare(const json_t *request, json_t **answer, struct error *err);
int verb_judge(const json_t *request, json_t **answer, struct error *err);
int verb_weave(const json_t *request, json_t **answer, struct error *err);
int verb_prove(const json_t *request, json_t **answer, struct error *err);
int verb_back(const json_t *request, json_t **answer, struct error *err);
int verb_move(const json_t *request, json_t **answer, struct error *err);
int verb_contains(const json_t *request, json_t **answer, struct error *err);
int verb_clash(const json_t *request, json_t **answer, struct error *err);
int verb_diff(const json_t *request, json_t **answer, struct error *err);
int verb_open(const json_t *request, json_t **answer, struct error *err);
int verb_worktrees(const json_t *request, json_t **answer, struct error *err);
int verb_remove(const json_t *request, json_t **answer, struct error *err);
int verb_repair(const json_t *request, json_t **answer, struct error *err);
int verb_kept(const json_t *request, json_t **answer, struct error *err);
int verb_drop_refs(const json_t *request, json_t **answer, struct error *err);
int verb_name(const json_t *request, json_t **answer, struct error *err);
int verb_pin(const json_t *request, json_t **answer, struct error *err);
int verb_leftovers(const json_t *request, json_t **answer, struct error *err);
int verb_settle(const json_t *request, json_t **answer, struct error *err);
int verb_tidy(const json_t *request, json_t **answer, struct error *err);
int verb_mend(const json_t *request, json_t **answer, struct error *err);
int verb_worktree_commit(const json_t *request, json_t **answer, struct error *err);
int verb_identity(const json_t *request, json_t **answer, struct error *err);

/* Opens the repository that a request names with "root" and "pinned". */
int verb_open_repo(const json_t *request, struct repo *out, struct error *err);
/* A field that must be an object id. Borrowed; NULL with err INVALID. */
const char *verb_id(const json_t *object, const char *key, struct error *err);
/* Text that may not be UTF-8 (a path): as it is where it is, else with the bad bytes shown
 * as \xNN. New reference. */
json_t *verb_text(const char *text);
json_t *verb_texts(char *const *strv);
/* A commit of a landing, by the user; signed as their git does where the request says "sign". */
int verb_commit(const struct repo *repo, const json_t *request, const char *tree,
                const char *const *parents, const char *message, char hex[HEX_SIZE],
                struct error *err);
/* refs/heads/NAME. Caller frees; NULL with err INVALID where it is no name for a branch. */
char *verb_branch(const json_t *request, const char *key, struct error *err);

#endif
