/* Laying: a captured working tree brought to another tree, in time that depends on what differs.
 * Private to git/. */
#ifndef PLEACH_GIT_LAY_H
#define PLEACH_GIT_LAY_H

#include "capture.h"

/* The files of the worktree at `dir` become those of `tree`, and the capture's index knows them.
 * 0, or 1: git has to do it, which may find some of it done. */
int lay_tree(const struct repo *repo, const char *dir, const char *git_dir, struct capture *capture,
             const char *tree);

#endif
