/* Patches of trees: applying one, and finding the one between two trees. */
#include "patch.h"

#include <stdlib.h>
#include <string.h>

#include "look.h"
#include "mem.h"

#define PATCH_MAX 1000 /* more is work for git */
#define DEPTH_MAX 128

void patch_reserve(struct patch *patch, size_t room)
{
	patch->items = xrealloc(patch->items, room * sizeof *patch->items);
	patch->room = room;
}

struct patch_item *patch_add(struct patch *patch, char *path, unsigned mode, const git_oid *id)
{
	struct patch_item *item;

	if (patch->count == patch->room)
		patch_reserve(patch, patch->count ? patch->count * 2 : 8);
	item = &patch->items[patch->count++];
	*item = (struct patch_item){.path = path, .mode = mode};
	if (id)
		item->id = *id;
	return item;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct patch_item *)a)->path, ((const struct patch_item *)b)->path);
}

void patch_sort(struct patch *patch)
{
	if (patch->count)
		qsort(patch->items, patch->count, sizeof *patch->items, by_path);
}

void patch_finish(struct patch *patch)
{
	for (size_t i = 0; i < patch->count; i++)
		free(patch->items[i].path);
	free(patch->items);
	*patch = (struct patch)PATCH_INIT;
}

static git_tree *tree_open(const struct repo *repo, const char *hex)
{
	git_tree *tree = NULL;
	git_oid oid;

	if (!repo->git || strlen(hex) != GIT_OID_HEXSZ || git_oid_fromstr(&oid, hex) < 0 ||
	    git_tree_lookup(&tree, repo->git, &oid) < 0)
		return NULL;
	return tree;
}

/* The items of one directory, whose paths begin with the same `skip` bytes. */
struct part {
	const struct patch *patch;
	size_t from, to, skip;
};

static int write_tree(git_repository *git, const git_tree *old, const struct part *part,
                      git_oid *out, bool *empty);

/* The items below the directory `name` of the tree being built. */
static int write_sub(git_repository *git, git_treebuilder *builder, const char *name,
                     const struct part *sub)
{
	const git_tree_entry *there = git_treebuilder_get(builder, name);
	bool is_tree = there && git_tree_entry_type(there) == GIT_OBJECT_TREE, empty = false;
	git_tree *old = NULL;
	git_oid oid;
	int rc;

	if (is_tree && git_tree_lookup(&old, git, git_tree_entry_id(there)) < 0)
		return 1;
	rc = write_tree(git, old, sub, &oid, &empty);
	git_tree_free(old);
	if (rc != 0)
		return rc;
	if (!empty)
		return git_treebuilder_insert(NULL, builder, name, &oid, GIT_FILEMODE_TREE) < 0;
	return is_tree && git_treebuilder_remove(builder, name) < 0;
}

static int write_leaf(git_treebuilder *builder, const char *name, const struct patch_item *item)
{
	if (item->mode)
		return git_treebuilder_insert(NULL, builder, name, &item->id,
		                              (git_filemode_t)item->mode) < 0;
	return git_treebuilder_get(builder, name) && git_treebuilder_remove(builder, name) < 0;
}

static int write_tree(git_repository *git, const git_tree *old, const struct part *part,
                      git_oid *out, bool *empty)
{
	git_treebuilder *builder = NULL;
	int rc = git_treebuilder_new(&builder, git, old) < 0;

	for (size_t i = part->from; rc == 0 && i < part->to;) {
		const struct patch_item *item = &part->patch->items[i];
		const char *name = item->path + part->skip, *slash = strchr(name, '/');

		if (slash) {
			size_t len = (size_t)(slash - name), end = i;
			_cleanup_free_ char *dir = xstrndup(name, len);

			while (end < part->to && strncmp(part->patch->items[end].path, item->path,
			                                 part->skip + len + 1) == 0)
				end++;
			rc = write_sub(git, builder, dir,
			               &(struct part){part->patch, i, end, part->skip + len + 1});
			i = end;
		} else {
			rc = write_leaf(builder, name, item);
			i++;
		}
	}
	if (rc == 0) {
		*empty = git_treebuilder_entrycount(builder) == 0;
		rc = (!*empty || !part->skip) && git_treebuilder_write(out, builder) < 0;
	}
	git_treebuilder_free(builder);
	return rc;
}

int patch_tree(const struct repo *repo, const char *old, const struct patch *patch,
               char tree[HEX_SIZE])
{
	git_tree *from = tree_open(repo, old);
	bool empty;
	git_oid oid;
	int rc;

	if (!from)
		return 1;
	rc = write_tree(repo->git, from, &(struct part){patch, 0, patch->count, 0}, &oid, &empty);
	git_tree_free(from);
	if (rc == 0)
		git_oid_tostr(tree, GIT_OID_HEXSZ + 1, &oid);
	return rc;
}

struct between {
	git_repository *git;
	struct patch *out;
};

static int add_tree(struct between *b, const git_tree_entry *entry, const char *path, bool gone,
                    int depth);

/* One side of a path that the other has not, or has as something else. 0 or 1. */
static int add_side(struct between *b, const git_tree_entry *entry, const char *path, bool gone,
                    int depth)
{
	unsigned mode = (unsigned)git_tree_entry_filemode_raw(entry);

	if (git_tree_entry_type(entry) == GIT_OBJECT_TREE)
		return add_tree(b, entry, path, gone, depth);
	if ((mode != 0100644 && mode != 0100755 && mode != 0120000) || look_is_special_path(path) ||
	    b->out->count >= PATCH_MAX)
		return 1;
	patch_add(b->out, xstrdup(path), gone ? 0 : mode, git_tree_entry_id(entry));
	return 0;
}

static int add_tree(struct between *b, const git_tree_entry *entry, const char *path, bool gone,
                    int depth)
{
	git_tree *tree = NULL;
	int rc = depth > DEPTH_MAX || git_tree_lookup(&tree, b->git, git_tree_entry_id(entry)) < 0;

	for (size_t i = 0; rc == 0 && i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *sub = git_tree_entry_byindex(tree, i);
		_cleanup_free_ char *name = xasprintf("%s/%s", path, git_tree_entry_name(sub));

		rc = add_side(b, sub, name, gone, depth + 1);
	}
	git_tree_free(tree);
	return rc;
}

static int compare(struct between *b, const git_tree *from, const git_tree *to, const char *prefix,
                   int depth);

static int compare_subs(struct between *b, const git_tree_entry *from, const git_tree_entry *to,
                        const char *path, int depth)
{
	_cleanup_free_ char *prefix = xasprintf("%s/", path);
	git_tree *x = NULL, *y = NULL;
	int rc = depth > DEPTH_MAX || git_tree_lookup(&x, b->git, git_tree_entry_id(from)) < 0 ||
	         git_tree_lookup(&y, b->git, git_tree_entry_id(to)) < 0;

	if (rc == 0)
		rc = compare(b, x, y, prefix, depth + 1);
	git_tree_free(x);
	git_tree_free(y);
	return rc;
}

/* A path that both have, with other content. A file in place of a directory (or the reverse) is
 * one gone and the other new. */
static int compare_entries(struct between *b, const git_tree_entry *from, const git_tree_entry *to,
                           const char *path, int depth)
{
	bool was = git_tree_entry_type(from) == GIT_OBJECT_TREE;
	bool is = git_tree_entry_type(to) == GIT_OBJECT_TREE;

	if (was && is)
		return compare_subs(b, from, to, path, depth);
	if (was != is && add_side(b, from, path, true, depth) != 0)
		return 1;
	/* What is replaced is looked at too: a link to another repository is not for us. */
	if (was == is && git_tree_entry_type(from) != GIT_OBJECT_BLOB)
		return 1;
	return add_side(b, to, path, false, depth);
}

static int compare(struct between *b, const git_tree *from, const git_tree *to, const char *prefix,
                   int depth)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < git_tree_entrycount(from); i++) {
		const git_tree_entry *x = git_tree_entry_byindex(from, i), *y;
		_cleanup_free_ char *path = NULL;

		y = git_tree_entry_byname(to, git_tree_entry_name(x));
		if (y && git_oid_equal(git_tree_entry_id(x), git_tree_entry_id(y)) &&
		    git_tree_entry_filemode_raw(x) == git_tree_entry_filemode_raw(y))
			continue;
		path = xasprintf("%s%s", prefix, git_tree_entry_name(x));
		rc = y ? compare_entries(b, x, y, path, depth) : add_side(b, x, path, true, depth);
	}
	for (size_t i = 0; rc == 0 && i < git_tree_entrycount(to); i++) {
		const git_tree_entry *y = git_tree_entry_byindex(to, i);
		_cleanup_free_ char *path = NULL;

		if (git_tree_entry_byname(from, git_tree_entry_name(y)))
			continue;
		path = xasprintf("%s%s", prefix, git_tree_entry_name(y));
		rc = add_side(b, y, path, false, depth);
	}
	return rc;
}

int patch_between(const struct repo *repo, const char *from, const char *to, struct patch *out)
{
	git_tree *x = tree_open(repo, from), *y = tree_open(repo, to);
	struct between b = {.git = repo->git, .out = out};
	int rc = x && y ? compare(&b, x, y, "", 0) : 1;

	git_tree_free(x);
	git_tree_free(y);
	patch_sort(out);
	return rc;
}
