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
#include "tree_cache.h"

#define STAT      40u
#define NAME_MASK 0xfffu

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

static void put_trees(struct buf *out, const struct buf *trees)
{
	buf_add_str(out, "TREE");
	put32(out, trees->len);
	buf_add(out, trees->data, trees->len);
}

static int put_sum(struct buf *text, const char *file, struct error *err)
{
	uint8_t sum[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;

	sha1_init(&sha1);
	sha1_update(&sha1, text->len, (const uint8_t *)text->data);
	sha1_digest(&sha1, sizeof sum, sum);
	buf_add(text, sum, sizeof sum);
	index_trust(sum);
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
	put_trees(&text, trees);
	return put_sum(&text, file, err);
}

int patch_index(const struct repo *repo, const struct index_view *old, const struct patch *patch,
                const char *tree, const char *file, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT, trees = BUF_INIT;
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
	/* Without it git finds out again: nothing depends on it. */
	if (tree_cache(repo, old, patch, tree, &trees) == 0)
		put_trees(&text, &trees);
	return put_sum(&text, file, err);
}
