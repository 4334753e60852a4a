/* Patches: a few changed paths brought into a tree and into an index file, in this process, in
 * time that depends on what changed. Private to git/. */
#ifndef PLEACH_GIT_PATCH_H
#define PLEACH_GIT_PATCH_H

#include <sys/stat.h>

#include "capture.h"

struct patch_item {
	char *path;
	unsigned mode; /* 0100644, 0100755, 0120000; 0: gone */
	git_oid id;
	struct stat st; /* of the file that is there */
};
/* In git's order, each path once. */
struct patch {
	struct patch_item *items;
	size_t count, room;
};
#define PATCH_INIT                                                                                 \
	{                                                                                          \
		.items = NULL                                                                      \
	}
/* Room for as many items: they stay where they are until there are more. Memory is taken when they
 * come. */
void patch_reserve(struct patch *patch, size_t room);
/* Takes the path; the item is valid until the next one is added for which there is no room. */
struct patch_item *patch_add(struct patch *patch, char *path, unsigned mode, const git_oid *id);
void patch_sort(struct patch *patch);
void patch_finish(struct patch *patch);
#define _cleanup_patch_ __attribute__((cleanup(patch_finish)))

/* Writes the trees that change. 0, or 1 where libgit2 cannot. */
int patch_tree(const struct repo *repo, const char *old, const struct patch *patch,
               char tree[HEX_SIZE]);
/* Writes a new file: the index as patched, whose tree is `tree`. 0, 1 where the old one is in a
 * form that is not understood, -1. */
int patch_index(const struct repo *repo, const struct index_view *old, const struct patch *patch,
                const char *tree, const char *file, struct error *err);
/* Writes a new file for these entries alone; trees: its cache of trees. 0, or -1. */
int patch_index_new(const struct patch *all, const struct buf *trees, const char *file,
                    struct error *err);
/* What leads from one tree to another. 0, or 1: too much, or nothing that we know to handle. */
int patch_between(const struct repo *repo, const char *from, const char *to, struct patch *out);

#endif
