/* Worktrees that `pleach open` made (opened.c). Private to git/. */
#ifndef PLEACH_GIT_OPENED_H
#define PLEACH_GIT_OPENED_H

#include "worktree.h"

#define OPENED_MARK "pleach-open" /* a file of their entry */

bool opened_is(const struct repo *repo, const struct worktree *tree);
/* Its HEAD leaves the branch it is on, for the commit where it stands; files, index and all that is
 * uncommitted stay as they are. Errors: BUSY (something is under way there). */
int opened_leave_branch(const struct repo *repo, const struct worktree *tree, struct error *err);
/* An error (BUSY, the reason for people) where somebody works in a worktree: a process is in it,
 * something is under way, or not all of it is committed. Changes nothing in there. */
int opened_check_idle(struct repo *repo, const char *dir, const char *git_dir, struct error *err);

#endif
