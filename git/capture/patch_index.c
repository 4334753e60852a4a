/* Index files with a few entries changed: all other bytes are taken over as they are, the cache of
 * trees included (gitformat-index(5)). Extensions that git can do without are left out. */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "patch.h"

#define STAT      40u
#define NAME_MASK 0xfffu
#define DEPTH_MAX 128

static void put32(struct buf *out, unsigned long long value)
{
	const unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
	                                (unsigned char)(value >> 8), (unsigned char)value};

	buf_add(out, bytes, sizeof bytes);
}

static void put_entry(struct buf *out, const struct patch_item *item)
{
	const struct stat *st = &item->st;
	size_t len = strlen(item->path), size = STAT + GIT_OID_RAWSZ + 2 + len;
	unsigned flags = (unsigned)(len < NAME_MASK ? len : NAME_MASK);
	static const char zeros[8];

	put32(out, (unsigned long long)st->st_ctim.tv_sec);
	put32(out, (unsigned long long)st->st_ctim.tv_nsec);
	put32(out, (unsigned long long)st->st_mtim.tv_sec);
	put32(out, (unsigned long long)st->st_mtim.tv_nsec);
	put32(out, st->st_dev);
	put32(out, st->st_ino);
	put32(out, item->mode);
	put32(out, st->st_uid);
	put32(out, st->st_gid);
	put32(out, (unsigned long long)st->st_size);
	buf_add(out, item->id.id, GIT_OID_RAWSZ);
	buf_add(out, (const unsigned char[]){(unsigned char)(flags >> 8), (unsigned char)flags}, 2);
	buf_add(out, item->path, len);
	buf_add(out, zeros, 8 - size % 8); /* one NUL at least */
}

/* Old and new side by side; how many there are in the end. */
static size_t put_entries(struct buf *out, const struct index_view *old, const struct patch *patch)
{
	size_t count = 0, at = 0;

	for (size_t i = 0; i < old->count; i++) {
		const struct index_entry *entry = &old->items[i];
		int rc = 1;

		while (at < patch->count && (rc = strcmp(patch->items[at].path, entry->path)) < 0) {
			count += patch->items[at].mode != 0;
			if (patch->items[at].mode)
				put_entry(out, &patch->items[at]);
			at++;
		}
		if (at < patch->count && rc == 0)
			continue; /* the new one comes with the next round */
		buf_add(out, entry->raw, entry->raw_len);
		count++;
	}
	for (; at < patch->count; at++) {
		count += patch->items[at].mode != 0;
		if (patch->items[at].mode)
			put_entry(out, &patch->items[at]);
	}
	return count;
}

/* The cache of trees: for each directory NUL-ended name, entries SP subtrees LF, and the id
 * where it is known; then its subtrees. */
struct trees {
	const unsigned char *at, *end;
	const struct index_view *old;
	const struct patch *patch;
	git_tree *root;
};

struct node {
	const char *name;
	long entries;
	size_t subtrees;
};

static int read_node(struct trees *in, struct node *out)
{
	const unsigned char *nul = memchr(in->at, '\0', (size_t)(in->end - in->at));
	const unsigned char *line = nul ? nul + 1 : NULL, *newline;
	char *rest;

	newline = line ? memchr(line, '\n', (size_t)(in->end - line)) : NULL;
	if (!newline)
		return 1;
	out->name = (const char *)in->at;
	out->entries = strtol((const char *)line, &rest, 10);
	out->subtrees = *rest == ' ' ? strtoul(rest + 1, NULL, 10) : 0;
	in->at = newline + 1;
	if (out->entries < 0)
		return 0;
	if ((size_t)(in->end - in->at) < GIT_OID_RAWSZ)
		return 1;
	in->at += GIT_OID_RAWSZ;
	return 0;
}

/* Past a node and all below it. */
static int skip_node(struct trees *in, int depth)
{
	struct node node;

	if (depth > DEPTH_MAX || read_node(in, &node) != 0)
		return 1;
	for (size_t i = 0; i < node.subtrees; i++)
		if (skip_node(in, depth + 1) != 0)
			return 1;
	return 0;
}

static bool is_in_index(const struct index_view *view, const char *path)
{
	size_t low = 0, high = view->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int rc = strcmp(view->items[middle].path, path);

		if (rc == 0)
			return true;
		if (rc < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* How many items are below the prefix, and by how much they change its number of entries. */
static size_t items_below(const struct trees *in, const char *prefix, long *more)
{
	size_t n = strlen(prefix), found = 0;

	for (size_t i = 0; i < in->patch->count; i++) {
		const struct patch_item *item = &in->patch->items[i];

		if (strncmp(item->path, prefix, n) != 0)
			continue;
		found++;
		*more += (item->mode != 0) - is_in_index(in->old, item->path);
	}
	return found;
}

static int put_node(struct trees *in, const char *prefix, struct buf *out, size_t *written,
                    int depth);

/* A node with changes below it: its subtrees, then what it says itself. */
static int put_changed(struct trees *in, const struct node *node, const char *prefix, long entries,
                       struct buf *out, size_t *written, int depth)
{
	_cleanup_buf_ struct buf below = BUF_INIT;
	git_tree_entry *entry = NULL;
	const git_oid *id = git_tree_id(in->root);
	size_t subtrees = 0;

	for (size_t i = 0; i < node->subtrees; i++)
		if (put_node(in, prefix, &below, &subtrees, depth + 1) != 0)
			return 1;
	if (*prefix) {
		_cleanup_free_ char *dir = xstrndup(prefix, strlen(prefix) - 1);

		id = NULL;
		if (git_tree_entry_bypath(&entry, in->root, dir) == 0 &&
		    git_tree_entry_type(entry) == GIT_OBJECT_TREE)
			id = git_tree_entry_id(entry);
	}
	if (id) { /* else the directory is gone, and its node with it */
		buf_add(out, node->name, strlen(node->name) + 1);
		buf_printf(out, "%ld %zu\n", node->entries < 0 ? -1 : entries, subtrees);
		if (node->entries >= 0)
			buf_add(out, id->id, GIT_OID_RAWSZ);
		buf_add(out, below.data, below.len);
		++*written;
	}
	git_tree_entry_free(entry);
	return 0;
}

static int put_node(struct trees *in, const char *prefix, struct buf *out, size_t *written,
                    int depth)
{
	const unsigned char *start = in->at;
	_cleanup_free_ char *own = NULL;
	struct node node;
	long more = 0;

	if (depth > DEPTH_MAX || read_node(in, &node) != 0)
		return 1;
	own = depth ? xasprintf("%s%s/", prefix, node.name) : xstrdup("");
	if (items_below(in, own, &more))
		return put_changed(in, &node, own, node.entries + more, out, written, depth);
	in->at = start;
	if (skip_node(in, depth) != 0)
		return 1;
	buf_add(out, start, (size_t)(in->at - start));
	++*written;
	return 0;
}

static void put_extension(struct buf *out, const struct buf *trees)
{
	buf_add_str(out, "TREE");
	put32(out, trees->len);
	buf_add(out, trees->data, trees->len);
}

/* Without it git finds out again: nothing depends on it. */
static void put_trees(const struct repo *repo, const struct index_view *old,
                      const struct patch *patch, const char *tree, struct buf *out)
{
	struct trees in = {.at = old->trees, .old = old, .patch = patch};
	_cleanup_buf_ struct buf nodes = BUF_INIT;
	size_t written = 0;
	git_oid oid;

	if (!old->trees || git_oid_fromstr(&oid, tree) < 0 ||
	    git_tree_lookup(&in.root, repo->git, &oid) < 0)
		return;
	in.end = old->trees + old->trees_len;
	if (put_node(&in, "", &nodes, &written, 0) == 0 && nodes.len)
		put_extension(out, &nodes);
	git_tree_free(in.root);
}

static int write_new(const char *file, const struct buf *text, struct error *err)
{
	_cleanup_close_ int fd =
	    open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd < 0 || write_all(fd, text->data, text->len) < 0) {
		error_errno(err, "cannot write %s", file);
		if (fd >= 0)
			unlink(file);
		return -1;
	}
	return 0;
}

void patch_tree_node(struct buf *out, const char *name, size_t entries, size_t subtrees,
                     const git_oid *id, const struct buf *below)
{
	buf_add(out, name, strlen(name) + 1);
	buf_printf(out, "%zu %zu\n", entries, subtrees);
	buf_add(out, id->id, GIT_OID_RAWSZ);
	buf_add(out, below->data, below->len);
}

static int put_sum(struct buf *text, const char *file, struct error *err)
{
	uint8_t sum[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;

	sha1_init(&sha1);
	sha1_update(&sha1, text->len, (const uint8_t *)text->data);
	sha1_digest(&sha1, sizeof sum, sum);
	buf_add(text, sum, sizeof sum);
	return write_new(file, text, err);
}

int patch_index_new(const struct patch *all, const struct buf *trees, const char *file,
                    struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_reserve(&text, all->count * 100 + trees->len + 64);
	buf_add_str(&text, "DIRC");
	put32(&text, 2);
	put32(&text, all->count);
	for (size_t i = 0; i < all->count; i++)
		put_entry(&text, &all->items[i]);
	put_extension(&text, trees);
	return put_sum(&text, file, err);
}

int patch_index(const struct repo *repo, const struct index_view *old, const struct patch *patch,
                const char *tree, const char *file, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t count;

	if (!repo->git || repo->id_len != GIT_OID_RAWSZ || (old->version != 2 && old->version != 3))
		return 1;
	buf_reserve(&text, old->text.len + 4096);
	buf_add_str(&text, "DIRC");
	put32(&text, old->version);
	put32(&text, 0);
	count = put_entries(&text, old, patch);
	for (int i = 0; i < 4; i++)
		text.data[8 + i] = (char)(count >> (24 - 8 * i));
	put_trees(repo, old, patch, tree, &text);
	return put_sum(&text, file, err);
}
