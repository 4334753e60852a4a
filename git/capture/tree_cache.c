/* The cache of trees in an index file (gitformat-index(5)): for each directory its NUL-ended name,
 * entries SP subtrees LF, the id of its tree where that is known (entries not -1), then its
 * subtrees. What the old one knows of directories in which nothing changed is taken over, the rest
 * is read from the tree that the index holds now. */
#include "tree_cache.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define DEPTH_MAX 128

struct trees {
	git_repository *git;
	const struct index_view *old;
	const struct patch *patch;
};

/* A node of the old cache, with all that is below it: start to end. */
struct node {
	const char *name;
	long entries;
	size_t subtrees;
	const unsigned char *start, *below, *end; /* its id is before `below` */
};

/* 0, or 1 where the cache is damaged. */
static int read_node(const unsigned char *at, const unsigned char *end, struct node *out, int depth)
{
	const unsigned char *nul = memchr(at, '\0', (size_t)(end - at));
	const unsigned char *line = nul ? nul + 1 : NULL, *newline;
	char *rest;

	newline = line ? memchr(line, '\n', (size_t)(end - line)) : NULL;
	if (!newline || depth > DEPTH_MAX)
		return 1;
	out->start = at;
	out->name = (const char *)at;
	out->entries = strtol((const char *)line, &rest, 10);
	out->subtrees = *rest == ' ' ? strtoul(rest + 1, NULL, 10) : 0;
	at = newline + 1;
	if (out->entries >= 0) {
		if ((size_t)(end - at) < GIT_OID_RAWSZ)
			return 1;
		at += GIT_OID_RAWSZ;
	}
	out->below = at;
	for (size_t i = 0; i < out->subtrees; i++) {
		struct node sub;

		if (read_node(at, end, &sub, depth + 1) != 0)
			return 1;
		at = sub.end;
	}
	out->end = at;
	return 0;
}

/* The subtrees of a node by their names. */
struct subs {
	struct node *items;
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->name, ((const struct node *)b)->name);
}

/* Of no node: none. Caller frees the items. */
static struct subs read_subs(const struct node *node)
{
	struct subs subs = {NULL, 0};
	const unsigned char *at = node ? node->below : NULL;

	for (size_t i = 0; node && i < node->subtrees; i++) {
		/* Room doubles whenever the count is a power of two. */
		if ((subs.count & (subs.count - 1)) == 0)
			subs.items = xrealloc(subs.items, (subs.count ? subs.count * 2 : 1) *
			                                      sizeof *subs.items);
		if (read_node(at, node->end, &subs.items[subs.count], 0) != 0)
			break;
		at = subs.items[subs.count++].end;
	}
	if (subs.count)
		qsort(subs.items, subs.count, sizeof *subs.items, by_name);
	return subs;
}

static const struct node *find_sub(const struct subs *subs, const char *name)
{
	const struct node key = {.name = name};

	return subs->count ? bsearch(&key, subs->items, subs->count, sizeof key, by_name) : NULL;
}

static const char *old_path(const void *list, size_t i)
{
	return ((const struct index_view *)list)->items[i].path;
}

static const char *patch_path(const void *list, size_t i)
{
	return ((const struct patch *)list)->items[i].path;
}

/* The first of `count` sorted paths whose first `n` bytes are not before those of `path`, or, with
 * `after`, are behind them. */
static size_t find_path(const char *(*path_at)(const void *, size_t), const void *list,
                        size_t count, const char *path, size_t n, bool after)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int rc = strncmp(path_at(list, middle), path, n);

		if (rc < 0 || (after && rc == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_in_index(const struct index_view *view, const char *path)
{
	size_t at = find_path(old_path, view, view->count, path, strlen(path) + 1, false);

	return at < view->count && strcmp(view->items[at].path, path) == 0;
}

/* The entries below the prefix in the index as patched; `changed`: some are the patch's. */
static size_t count_below(const struct trees *in, const char *prefix, bool *changed)
{
	size_t n = strlen(prefix), old = in->old->count, patched = in->patch->count;
	size_t count = find_path(old_path, in->old, old, prefix, n, true) -
	               find_path(old_path, in->old, old, prefix, n, false);
	size_t from = find_path(patch_path, in->patch, patched, prefix, n, false);
	size_t to = find_path(patch_path, in->patch, patched, prefix, n, true);

	*changed = from < to;
	for (size_t i = from; i < to; i++) {
		count += in->patch->items[i].mode != 0;
		count -= is_in_index(in->old, in->patch->items[i].path);
	}
	return count;
}

/* An index is anybody's bytes: what its node says must be what we know. */
static bool is_current(const struct node *old, const git_oid *id, size_t entries)
{
	return old && old->entries >= 0 && (size_t)old->entries == entries &&
	       memcmp(old->below - GIT_OID_RAWSZ, id->id, GIT_OID_RAWSZ) == 0;
}

static int put_dir(const struct trees *in, const struct node *old, const git_oid *id,
                   const char *name, const char *prefix, struct buf *out, int depth);

/* The subtrees of a directory; how many. */
static int put_subs(const struct trees *in, const struct node *old, const git_tree *tree,
                    const char *prefix, struct buf *out, size_t *count, int depth)
{
	struct subs subs = read_subs(old);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		const char *name = git_tree_entry_name(entry);
		_cleanup_free_ char *below = NULL;

		if (git_tree_entry_type(entry) != GIT_OBJECT_TREE)
			continue;
		below = xasprintf("%s%s/", prefix, name);
		rc = put_dir(in, find_sub(&subs, name), git_tree_entry_id(entry), name, below, out,
		             depth + 1);
		++*count;
	}
	free(subs.items);
	return rc;
}

/* One directory, whose paths begin with the prefix. old: NULL where the old cache lacks it. */
static int put_dir(const struct trees *in, const struct node *old, const git_oid *id,
                   const char *name, const char *prefix, struct buf *out, int depth)
{
	_cleanup_buf_ struct buf below = BUF_INIT;
	bool changed;
	size_t entries = count_below(in, prefix, &changed), subtrees = 0;
	git_tree *tree = NULL;
	int rc;

	/* Anybody can write a tree whose trees are without end, and no file of it into the index;
	 * git has no node of that kind either. */
	if (depth && !entries)
		return 1;
	if (!changed && is_current(old, id, entries)) {
		buf_add(out, old->start, (size_t)(old->end - old->start));
		return 0;
	}
	rc = depth > DEPTH_MAX || git_tree_lookup(&tree, in->git, id) < 0 ||
	     put_subs(in, old, tree, prefix, &below, &subtrees, depth) != 0;
	git_tree_free(tree);
	if (rc == 0)
		tree_cache_node(out, name, entries, subtrees, id, &below);
	return rc;
}

void tree_cache_node(struct buf *out, const char *name, size_t entries, size_t subtrees,
                     const git_oid *id, const struct buf *below)
{
	buf_add(out, name, strlen(name) + 1);
	buf_printf(out, "%zu %zu\n", entries, subtrees);
	buf_add(out, id->id, GIT_OID_RAWSZ);
	buf_add(out, below->data, below->len);
}

int tree_cache(const struct repo *repo, const struct index_view *old, const struct patch *patch,
               const char *tree, struct buf *out)
{
	const struct trees in = {repo->git, old, patch};
	struct node root;
	bool known =
	    old->trees && read_node(old->trees, old->trees + old->trees_len, &root, 0) == 0;
	git_oid oid;

	return git_oid_fromstr(&oid, tree) < 0 ||
	       put_dir(&in, known ? &root : NULL, &oid, "", "", out, 0) != 0;
}
