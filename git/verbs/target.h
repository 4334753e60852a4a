/* The target of a landing: a branch, the worktree that has it checked out, and what its user
 * has changed there. Private to git/. */
#ifndef PLEACH_GIT_TARGET_H
#define PLEACH_GIT_TARGET_H

#include <jansson.h>

#include "repo.h"
#include "stat.h"
#include "worktree.h"

struct target {
	struct repo *repo;
	char *ref;        /* refs/heads/NAME */
	const char *name; /* borrowed from the request */
	struct worktrees list;
	const struct worktree *tree; /* who is on it; NULL: nobody */
	char **dirty;                /* what its user has changed or never added; NULL: not read */
	bool dirty_read;
};

#define TARGET_INIT                                                                                \
	{                                                                                          \
		.list = WORKTREES_INIT                                                             \
	}
/* Reads "target" of a request; the settings of the worktree that is on it count from then on.
 * Errors: INVALID (no name for a branch), BUSY (a rebase or bisect of it is under way, two
 * worktrees are on it, or one that is not there now and locked, or one whose files do not lead to
 * it and back). Release with target_finish. */
int target_open(struct repo *repo, const json_t *request, struct target *out, struct error *err);
/* Reads again who is on it. 1: still the same, 0: another one, or nobody. Errors: as target_open.
 */
int target_look_again(struct target *target, const json_t *request, struct error *err);
void target_finish(struct target *target);
#define _cleanup_target_ __attribute__((cleanup(target_finish)))
/* The commit it is at. Errors: NOT_FOUND (no such branch). */
int target_tip(const struct target *target, char hex[HEX_SIZE], struct error *err);
/* The paths of `changes` that the user of the checked-out target has changed, or that would
 * overwrite a file git does not know: NULL when none. Caller frees with strv_free. */
int target_in_way(struct target *target, const struct changes *changes, char ***paths,
                  struct error *err);
/* What the user has changed and what git does not know: read once, for it takes long in a large
 * repository; a file that is added since is seen by target_in_way. */
int target_read_dirty(struct target *target, struct error *err);
/* It is read anew by the next question. */
void target_forget_dirty(struct target *target);
/* Names a few of the paths: "a, b, …". Caller frees. */
char *target_name_paths(char *const *paths);

#endif
