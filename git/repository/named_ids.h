/* The object ids that a git directory names: in its HEAD, refs, reflogs and half-done
 * operations. Read from its files, which can be anybody's bytes; no program is run and no
 * configuration of it is looked at. Private to git/. */
#ifndef PLEACH_GIT_NAMED_IDS_H
#define PLEACH_GIT_NAMED_IDS_H

#include "repo.h"

struct named_ids {
	const struct repo *repo; /* with `reached`: leave out what that commit contains */
	const char *reached;     /* NULL: leave nothing out */
	char **ids;              /* ended by NULL; NULL when there are none */
	size_t count;
};

/* What only a worktree's own git directory names. Release ids with strv_free. */
void named_ids_of_worktree(struct named_ids *list, const char *git_dir);
/* All that a repository names (packed refs and all reflogs too) but what it fetched. */
void named_ids_of_repository(struct named_ids *list, const char *git_dir);
/* What it fetched: refs/remotes. */
void named_ids_fetched(struct named_ids *list, const char *git_dir);

#endif
