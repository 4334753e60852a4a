/* Staged content: what an agent added to its index and then changed or deleted in the
 * files exists nowhere but in the index. It is kept as a tree of its own. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "files.h"
#include "mem.h"
#include "worktree.h"

#define CONFLICT_DIR ".pleach-conflict"

static int order(const struct index_entry *a, const struct index_entry *b)
{
	int rc = strcmp(a->path, b->path);

	return rc ? rc : (int)a->stage - (int)b->stage;
}

static bool same_content(const struct index_entry *a, const struct index_entry *b)
{
	return a->mode == b->mode && a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

bool staged_in_head(git_tree *head, const struct index_entry *entry)
{
	git_tree_entry *found = NULL;
	bool same;

	if (!head || git_tree_entry_bypath(&found, head, entry->path) < 0)
		return false;
	same = memcmp(git_tree_entry_id(found)->id, entry->id, GIT_OID_RAWSZ) == 0;
	git_tree_entry_free(found);
	return same;
}

/* True when something in `own` is neither in `now` nor in HEAD. Both are sorted. */
static bool holds_more(const struct index_view *own, const struct index_view *now, git_tree *head)
{
	size_t k = 0;

	for (size_t i = 0; i < own->count; i++) {
		const struct index_entry *entry = &own->items[i];

		if (entry->mode == MODE_LINK || entry->intended)
			continue;
		if (entry->stage)
			return true;
		while (k < now->count && order(&now->items[k], entry) < 0)
			k++;
		if (k < now->count && order(&now->items[k], entry) == 0 &&
		    same_content(&now->items[k], entry))
			continue;
		if (!staged_in_head(head, entry))
			return true;
	}
	return false;
}

git_tree *staged_head(const struct capture_source *source)
{
	char hex[HEX_SIZE];
	git_commit *commit = NULL;
	git_tree *tree = NULL;
	git_oid oid;

	if (source->repo->git &&
	    worktree_head(source->repo, source->git_dir, hex, NULL, NULL) == 1 &&
	    git_oid_fromstr(&oid, hex) == 0 &&
	    git_commit_lookup(&commit, source->repo->git, &oid) == 0)
		git_commit_tree(&tree, commit);
	git_commit_free(commit);
	return tree;
}

static bool is_without(const struct capture_source *source, const char *path)
{
	for (size_t i = 0; source->without && source->without[i]; i++)
		if (path_is_below(path, source->without[i]))
			return true;
	return false;
}

/* The tree of all that is staged; the sides of a conflict under names of their own. */
static int write_staged(const struct capture_source *source, const struct index_view *own,
                        char tree[HEX_SIZE], struct error *err)
{
	_cleanup_buf_ struct buf info = BUF_INIT;

	for (size_t i = 0; i < own->count; i++) {
		const struct index_entry *entry = &own->items[i];
		_cleanup_free_ char *aside = NULL;
		char id[HEX_SIZE];

		if (entry->mode == MODE_LINK || entry->intended || is_without(source, entry->path))
			continue;
		if (entry->stage)
			aside = xasprintf("%s/%d/%s", CONFLICT_DIR, entry->stage, entry->path);
		index_entry_hex(entry, id);
		index_info_add(&info, entry->mode, id, aside ? aside : entry->path);
	}
	/* Objects of the index that are missing are the agent's doing: keep the rest. */
	return index_info_tree(source, &info, true, tree, err);
}

int staged_tree(const struct capture_source *source, const struct index_view *own,
                const struct index_view *now, char **tree, struct error *err)
{
	git_tree *head = staged_head(source);
	bool more = holds_more(own, now, head);
	char hex[HEX_SIZE];

	git_tree_free(head);
	if (!more)
		return 0;
	if (write_staged(source, own, hex, err) < 0)
		return -1;
	*tree = xstrdup(hex);
	return 0;
}
