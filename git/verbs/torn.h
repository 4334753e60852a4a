/* See torn.c. */
#ifndef PLEACH_GIT_TORN_H
#define PLEACH_GIT_TORN_H

#include "repo.h"

/* All our refs; each that was moved is pushed to `*mended` (names; caller frees with strv_free).
 * What cannot be told or mended stays as it is. */
void torn_mend_refs(const struct repo *repo, char ***mended);
/* HEAD and the reflog of the worktree with this git directory. */
void torn_mend_worktree(const struct repo *repo, const char *git_dir, char ***mended);

#endif
