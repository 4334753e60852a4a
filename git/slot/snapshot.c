/* Snapshots: everything that a slot holds becomes reachable from a ref before the slot
 * is used for something else. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "mem.h"
#include "named_ids.h"
#include "slot_internal.h"

int slot_capture(struct slot *slot, bool anyhow, struct capture *out, struct error *err)
{
	struct capture_source source = {
	    .repo = &slot->repo,
	    .git_dir = slot->git_dir,
	    .dir = slot->dir,
	    .without = (const char *const *)slot->marker.private_paths,
	    .anyhow = anyhow,
	    .quick = !slot->marker.sparse,
	    .fence = slot->fence,
	};

	return capture_take(&source, out, err);
}

int slot_install(struct slot *slot, struct capture *capture, struct error *err)
{
	if (capture_install(capture, slot->git_dir, err) < 0)
		return -1;
	slot->fence = capture->fence;
	return 0;
}

static int keep_staged(struct slot *slot, int64_t attempt, const char *tree, const char *parent,
                       struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, "index");
	_cleanup_free_ char *message =
	    xasprintf("pleach: what attempt %lld had staged\n", (long long)attempt);
	char hex[HEX_SIZE];

	if (commit_make(&slot->repo, tree, (const char *const[]){parent, NULL}, message, -1, hex,
	                err) < 0)
		return -1;
	return ref_keep(&slot->repo, stem, hex, NULL, err);
}

int slot_keep_loose_ends(struct slot *slot, int64_t attempt, const struct capture *capture,
                         const char *reached, struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, NULL);
	struct named_ids list = {.repo = &slot->repo, .reached = reached};
	const char *const also[] = {reached, NULL};
	int rc;

	if (capture->staged && keep_staged(slot, attempt, capture->staged, reached, err) < 0)
		return -1;
	named_ids_of_worktree(&list, slot->git_dir);
	if (list.ids || capture->staged)
		slot->unsynced = true;
	rc = list.ids
	         ? ref_keep_unreached(&slot->repo, stem, (const char *const *)list.ids, also, err)
	         : 0;
	strv_free(list.ids);
	if (rc < 0 || slot_keep_nested(slot, attempt, capture, err) < 0)
		return -1;
	return slot_keep_module_history(slot, attempt, err);
}

/* The commit that holds the content: HEAD itself when nothing differs from it. */
static int content_commit(struct slot *slot, int64_t attempt, const struct capture *capture,
                          const char *head, char hex[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *message = NULL;
	char tree[HEX_SIZE];

	if (head) {
		if (commit_tree(&slot->repo, head, tree, err) < 0)
			return -1;
		if (strcmp(tree, capture->tree) == 0) {
			memcpy(hex, head, strlen(head) + 1);
			return 0;
		}
	}
	message = attempt > 0 ? xasprintf("pleach: snapshot of attempt %lld\n", (long long)attempt)
	                      : xasprintf("pleach: snapshot of slot %s\n", slot->teammate);
	return commit_make(&slot->repo, capture->tree, (const char *const[]){head, NULL}, message,
	                   -1, hex, err);
}

/* Asked of git only where the marker does not know: HEAD of a slot that rests is its base,
 * which a ref of the coordinator holds, or the head of its branch. */
static int is_reached(const struct slot *slot, const char *hex, struct error *err)
{
	char now[HEX_SIZE];

	if (slot->marker.base && strcmp(hex, slot->marker.base) == 0)
		return 1;
	if (slot->marker.branch && ref_read(&slot->repo, slot->marker.branch, now, NULL) == 1 &&
	    strcmp(hex, now) == 0)
		return 1;
	return commit_is_reached(&slot->repo, hex, err);
}

/* What was just checked out needs no look: the index says it all. 0, or 1 where it does not. */
static int capture_untouched(struct slot *slot, struct capture *out)
{
	char head[HEX_SIZE], tree[HEX_SIZE];

	if (worktree_head(&slot->repo, slot->git_dir, head, NULL, NULL) != 1 ||
	    commit_tree(&slot->repo, head, tree, NULL) < 0)
		return 1;
	memcpy(out->tree, tree, sizeof tree);
	out->skipped = slot->marker.sparse != NULL;
	out->fence = slot->fence;
	return 0;
}

int slot_keep_content(struct slot *slot, int64_t attempt, struct capture *capture, char **head,
                      struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, NULL);
	char hex[HEX_SIZE], now[HEX_SIZE];
	bool fresh, untouched = slot->untouched;
	int found, reached;

	slot->untouched = false;
	if (untouched && capture_untouched(slot, capture) == 0)
		return 0;
	if (slot_capture(slot, true, capture, err) < 0)
		return -1;
	found = worktree_head(&slot->repo, slot->git_dir, now, NULL, err);
	if (found < 0 || content_commit(slot, attempt, capture, found ? now : NULL, hex, err) < 0)
		return -1;
	fresh = !found || strcmp(hex, now) != 0;
	reached = fresh ? 0 : is_reached(slot, hex, err);
	if (reached < 0)
		return -1;
	if (!reached && ref_keep(&slot->repo, stem, hex, NULL, err) < 0)
		return -1;
	slot->unsynced |= !reached;
	if (slot_keep_loose_ends(slot, attempt, capture, hex, err) < 0 ||
	    slot_keep_modules(slot, attempt, capture, hex, err) < 0)
		return -1;
	*head = reached ? NULL : xstrdup(hex);
	return 0;
}

int slot_sync(struct slot *slot, struct error *err)
{
	if (slot->unsynced && repo_sync(&slot->repo, err) < 0)
		return -1;
	slot->unsynced = false;
	return 0;
}

/* HEAD on a commit: the branch is free for the next attempt, wherever that runs. On a branch that
 * is not there (a power cut took what its commit said) HEAD goes to the base. */
static int let_go_of_branch(struct slot *slot, struct error *err)
{
	char head[HEX_SIZE];
	int found = worktree_head(&slot->repo, slot->git_dir, head, NULL, err);

	if (found < 0)
		return -1;
	if (!found && (!slot->marker.base || !commit_exists(&slot->repo, slot->marker.base)))
		return 0;
	if (worktree_set_head(slot->git_dir, found ? head : slot->marker.base, err) < 0)
		return -1;
	slot->unsynced = true; /* before anybody says that the task may go elsewhere */
	return 0;
}

int slot_snapshot(struct slot *slot, int64_t attempt, char **head, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	_cleanup_free_ char *kept = NULL;

	if (slot_prepare(slot, err) < 0 ||
	    slot_keep_content(slot, attempt, &capture, &kept, err) < 0) {
		slot_forget_locks(slot);
		return error_wrap(err, "snapshot of %s", slot->dir);
	}
	slot_forget_locks(slot);
	if (let_go_of_branch(slot, err) < 0 || slot_sync(slot, err) < 0)
		return -1;
	slot->marker.phase = SLOT_SNAPSHOTTED;
	if (marker_write(slot->git_dir, &slot->marker, err) < 0)
		return -1;
	if (head) {
		*head = kept;
		kept = NULL;
	}
	return 0;
}

void slot_forget_locks(const struct slot *slot)
{
	static const char *const names[] = {"index.lock", "HEAD.lock", "pleach.index.lock",
	                                    "pleach.tree.lock", "pleach.proof.lock"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = repo_path(slot->git_dir, names[i]);

		file_remove_all(path, NULL);
	}
	repo_drop_dead_lock(&slot->repo);
}

int slot_forget_state(struct slot *slot, struct error *err)
{
	static const char *const names[] = {
	    "MERGE_HEAD",
	    "MERGE_MSG",
	    "MERGE_MODE",
	    "MERGE_RR",
	    "MERGE_AUTOSTASH",
	    "AUTO_MERGE",
	    "SQUASH_MSG",
	    "ORIG_HEAD",
	    "CHERRY_PICK_HEAD",
	    "REVERT_HEAD",
	    "REBASE_HEAD",
	    "BISECT_START",
	    "BISECT_LOG",
	    "BISECT_NAMES",
	    "BISECT_TERMS",
	    "BISECT_RUN",
	    "BISECT_EXPECTED_REV",
	    "BISECT_ANCESTORS_OK",
	    "BISECT_FIRST_PARENT",
	    "rebase-merge",
	    "rebase-apply",
	    "sequencer",
	    "refs",
	    "index.lock",
	    "HEAD.lock",
	    "logs/HEAD",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = repo_path(slot->git_dir, names[i]);

		if (file_exists(path) && file_remove_all(path, err) < 0)
			return -1;
	}
	repo_drop_dead_lock(&slot->repo);
	return 0;
}

int slot_keep(struct slot *slot, int64_t attempt, const char *head, struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, NULL);

	if (ref_keep(&slot->repo, stem, head, NULL, err) < 0)
		return -1;
	return repo_sync(&slot->repo, err);
}
