/* Filling: the first files of a new, empty worktree. Private to git/. */
#ifndef PLEACH_GIT_FILL_H
#define PLEACH_GIT_FILL_H

#include "repo.h"

/* The files of `commit` into the empty worktree at `dir`, and an index that knows them,
 * where there is none.
 * 0, or 1: git has to do it, which may find some of it done. */
int fill_new(const struct repo *repo, const char *dir, const char *git_dir, const char *commit);

#endif
