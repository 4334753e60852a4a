/* See torn.c. */
#ifndef PLEACH_GIT_TORN_H
#define PLEACH_GIT_TORN_H

#include "repo.h"

/* How git is asked whether all of a commit is there, found out once for a whole mend. */
struct torn {
	const struct repo *repo; /* NULL: git cannot tell, and nothing is mended */
	bool has_all;            /* all of the user's refs can be left out by git itself */
	struct buf others;       /* where not: "^HEX\n" of those that can */
};

/* The repository is borrowed until torn_finish. */
void torn_begin(struct torn *torn, const struct repo *repo);
void torn_finish(struct torn *torn);
#define _cleanup_torn_ __attribute__((cleanup(torn_finish)))

/* All our refs; each that was moved is pushed to `*mended` (names; caller frees with strv_free).
 * What cannot be told or mended stays as it is. */
void torn_mend_refs(const struct torn *torn, char ***mended);
/* HEAD of the worktree with this git directory, its reflog and that of the branch it is on. */
void torn_mend_worktree(const struct torn *torn, const char *git_dir, char ***mended);

#endif
