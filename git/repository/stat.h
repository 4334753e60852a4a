/* What changed between two commits: counts, and for comparisons the paths and places.
 * Private to git/. */
#ifndef PLEACH_GIT_STAT_H
#define PLEACH_GIT_STAT_H

#include "repo.h"

struct diff_stat {
	int files_changed, insertions, deletions;
};
int diff_stat_read(const struct repo *repo, const char *base, const char *head,
                   struct diff_stat *out, struct error *err);

/* Line ranges of the base that a change replaces. */
struct change_hunk {
	int start, lines;
};
struct change {
	char *path;
	char status; /* A added, D deleted, M anything else */
	int insertions, deletions;
	struct change_hunk *hunks; /* NULL where they are not known (binary, or by git alone) */
	size_t hunk_count;
};
struct changes {
	struct change *items; /* by path */
	size_t count;
};
#define CHANGES_INIT                                                                               \
	{                                                                                          \
		NULL, 0                                                                            \
	}
int changes_read(const struct repo *repo, const char *base, const char *head, struct changes *out,
                 struct error *err);
void changes_finish(struct changes *changes);
#define _cleanup_changes_ __attribute__((cleanup(changes_finish)))
const struct change *changes_find(const struct changes *changes, const char *path);
/* Number of commits in head that are not in base, or -1. */
int commits_between(const struct repo *repo, const char *base, const char *head, struct error *err);

/* Where two histories parted. NOT_FOUND: they have nothing in common. */
int commits_merge_base(const struct repo *repo, const char *a, const char *b, char out[HEX_SIZE],
                       struct error *err);

#endif
