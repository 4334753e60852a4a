/* Whether an index and a tree say the same. An index is anybody's bytes, the tree that its cache
 * names too: what is committed must be what was proven, file by file. Only an index that this
 * process itself wrote, or has compared once, is believed without a look. */
#include <nettle/sha1.h>
#include <string.h>

#include "capture.h"
#include "mem.h"

#define DEPTH_MAX   128
#define TRUSTED_MAX 4 /* the last ones: a slot has one index, and one that is being made */

static struct {
	unsigned char sums[TRUSTED_MAX][SHA1_DIGEST_SIZE];
	size_t count, next;
} trusted;

struct walk {
	git_repository *git;
	const struct index_view *view;
	size_t at; /* the next entry that a tree must have */
};

static unsigned mode_of(unsigned mode)
{
	return (mode & 0170000) != 0100000 ? mode : mode & 0100 ? 0100755 : 0100644;
}

static bool is_next(struct walk *walk, const git_tree_entry *found, const char *prefix, size_t len)
{
	const struct index_view *view = walk->view;
	const struct index_entry *entry;

	while (walk->at < view->count && view->items[walk->at].intended)
		walk->at++; /* in no tree */
	if (walk->at == view->count)
		return false;
	entry = &view->items[walk->at++];
	return !entry->stage && strncmp(entry->path, prefix, len) == 0 &&
	       strcmp(entry->path + len, git_tree_entry_name(found)) == 0 &&
	       entry->mode == mode_of((unsigned)git_tree_entry_filemode_raw(found)) &&
	       entry->id_len == GIT_OID_RAWSZ &&
	       memcmp(entry->id, git_tree_entry_id(found)->id, GIT_OID_RAWSZ) == 0;
}

/* The tree's files, in order. One without a file is none that git makes, and might have no end. */
static bool are_next(struct walk *walk, const git_oid *id, const char *prefix, int depth)
{
	size_t len = strlen(prefix), before = walk->at;
	git_tree *tree = NULL;
	bool same = depth <= DEPTH_MAX && git_tree_lookup(&tree, walk->git, id) == 0;

	for (size_t i = 0; same && i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);

		if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
			_cleanup_free_ char *below =
			    xasprintf("%s%s/", prefix, git_tree_entry_name(entry));

			same = are_next(walk, git_tree_entry_id(entry), below, depth + 1);
		} else {
			same = is_next(walk, entry, prefix, len);
		}
	}
	git_tree_free(tree);
	return same && (walk->at > before || !depth);
}

bool index_is_tree(const struct repo *repo, const struct index_view *view, const char *tree)
{
	struct walk walk = {repo->git, view, 0};
	git_oid id;

	if (!repo->git || repo->id_len != GIT_OID_RAWSZ || git_oid_fromstr(&id, tree) < 0 ||
	    !are_next(&walk, &id, "", 0))
		return false;
	while (walk.at < view->count && view->items[walk.at].intended)
		walk.at++;
	return walk.at == view->count;
}

void index_trust(const unsigned char sum[SHA1_DIGEST_SIZE])
{
	memcpy(trusted.sums[trusted.next], sum, SHA1_DIGEST_SIZE);
	trusted.next = (trusted.next + 1) % TRUSTED_MAX;
	if (trusted.count < TRUSTED_MAX)
		trusted.count++;
}

/* Of all but its own last bytes, which say the same if nobody lies. */
static bool sum_of(const struct index_view *view, unsigned char sum[SHA1_DIGEST_SIZE])
{
	struct sha1_ctx sha1;

	if (!view->version || view->text.len < SHA1_DIGEST_SIZE || view->version == 4)
		return false; /* what is there is not the file */
	sha1_init(&sha1);
	sha1_update(&sha1, view->text.len - SHA1_DIGEST_SIZE, (const uint8_t *)view->text.data);
	sha1_digest(&sha1, SHA1_DIGEST_SIZE, sum);
	return true;
}

bool index_holds_tree(const struct repo *repo, const struct index_view *view, const char *tree)
{
	unsigned char sum[SHA1_DIGEST_SIZE];
	bool has_sum = sum_of(view, sum);

	for (size_t i = 0; has_sum && i < trusted.count; i++)
		if (memcmp(trusted.sums[i], sum, sizeof sum) == 0 && strcmp(view->root, tree) == 0)
			return true;
	if (!index_is_tree(repo, view, tree))
		return false;
	if (has_sum && strcmp(view->root, tree) == 0)
		index_trust(sum);
	return true;
}
