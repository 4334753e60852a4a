/* Merging in memory: no working tree, no ref. The same commits give the same result on
 * every machine: attributes come from the commits, never from somebody's files. */
#ifndef PLEACH_GIT_MERGE_H
#define PLEACH_GIT_MERGE_H

#include "repo.h"

/* Merges two commits to a tree. 0 with `tree`, 1 with `*paths` (conflicting; caller frees with
 * strv_free), -1. Of a conflict `tree` holds the files with git's marks in them. */
int merge_commits(const struct repo *repo, const char *ours, const char *theirs,
                  char tree[HEX_SIZE], char ***paths, struct error *err);
/* As merge_commits, with `base` as the commit that both are taken to come from: the change
 * from base to theirs, applied to ours. For work whose blockers were squashed. */
int merge_from_base(const struct repo *repo, const char *base, const char *ours, const char *theirs,
                    char tree[HEX_SIZE], char ***paths, struct error *err);

#endif
