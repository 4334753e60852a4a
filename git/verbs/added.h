/* What a person has committed on a task's branch after the attempt that its head is of. Private to
 * git/. */
#ifndef PLEACH_GIT_ADDED_H
#define PLEACH_GIT_ADDED_H

#include "repo.h"

struct added {
	char tip[HEX_SIZE]; /* of the branch, where that is newer than the head; "": it is not */
	bool theirs;        /* made in a worktree that `pleach open` made */
};

/* branch: full name. One that is not there, is damaged, or was moved elsewhere adds nothing. */
void added_find(const struct repo *repo, const char *branch, const char *head, struct added *out);

#endif
