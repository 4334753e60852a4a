/* The cache of trees in an index file: which tree each directory is, so that nobody has to find it
 * out from the entries. Private to git/. */
#ifndef PLEACH_GIT_TREE_CACHE_H
#define PLEACH_GIT_TREE_CACHE_H

#include "patch.h"

/* Adds a node of a cache of trees: what is below the directory `name` follows it. */
void tree_cache_node(struct buf *out, const char *name, size_t entries, size_t subtrees,
                     const git_oid *id, const struct buf *below);
/* The cache of trees of the index as patched, whose tree is `tree`: complete, whatever the old one
 * lacked. 0, or 1 where a tree cannot be read. */
int tree_cache(const struct repo *repo, const struct index_view *old, const struct patch *patch,
               const char *tree, struct buf *out);

#endif
