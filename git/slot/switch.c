/* Switching a slot to another attempt: keep what is there, then make it the base, on the
 * attempt's branch. Each step may be the last one before a crash: the marker says
 * `switching` from before the first until after the last, and all of them can be redone. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "lay.h"
#include "mem.h"
#include "opened.h"
#include "slot_internal.h"

int commit_path_id(const struct repo *repo, const char *commit, const char *path,
                   char hex[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *spec = xasprintf("%s:%s", commit, path);
	git_object *tree = NULL;
	git_tree_entry *entry = NULL;

	hex[0] = '\0';
	/* Not by its name alone: a link's object is in another repository. */
	if (repo->git) {
		_cleanup_free_ char *root = xasprintf("%s^{tree}", commit);
		int rc = git_revparse_single(&tree, repo->git, root);

		if (rc == 0)
			rc = git_tree_entry_bypath(&entry, (git_tree *)tree, path);
		if (rc == 0)
			git_oid_tostr(hex, GIT_OID_HEXSZ + 1, git_tree_entry_id(entry));
		git_tree_entry_free(entry);
		git_object_free(tree);
		if (rc == 0 || (rc == GIT_ENOTFOUND && tree))
			return rc == 0;
	}
	return git_find_id(repo, spec, hex, err);
}

int slot_branch_free(struct slot *slot, const char *branch, struct error *err)
{
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;

	if (worktrees_read(&slot->repo, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.count; i++) {
		const struct worktree *tree = &list.items[i];
		bool on;

		if (tree->missing || strcmp(tree->git_dir, slot->git_dir) == 0)
			continue;
		on = tree->dir && tree->branch && strcmp(tree->branch, branch) == 0;
		/* An agent may check out whatever it likes: no other task waits for that. */
		if (on && (opened_is(&slot->repo, tree) || worktree_is_ours(tree))) {
			if (opened_leave_branch(&slot->repo, tree, err) < 0)
				return -1;
			slot->unsynced = true;
		} else if (on || (tree->in_use && strcmp(tree->in_use, branch) == 0)) {
			return error_set(err, ERROR_BUSY,
			                 "branch %s is checked out in %s (leave it there: `git "
			                 "switch --detach`)",
			                 branch + strlen("refs/heads/"), tree->dir);
		}
	}
	return 0;
}

int slot_move_branch(struct slot *slot, const char *branch, const char *hex, const char *stem,
                     struct error *err)
{
	struct error local = ERROR_INIT;

	/* Somebody else may move it at the same moment: look again, a few times. */
	for (int i = 0; i < 5; i++) {
		char old[HEX_SIZE];
		int found, contained = 1;

		ref_drop_broken(&slot->repo, branch);
		found = ref_read(&slot->repo, branch, old, err);
		if (found < 0)
			return -1;
		if (found && strcmp(old, hex) == 0)
			return 0;
		if (found)
			contained = commit_contains(&slot->repo, hex, old, err);
		if (contained < 0 ||
		    (!contained && ref_keep(&slot->repo, stem, old, NULL, err) < 0))
			return -1;
		/* The move itself may be lost with the power; what it leaves behind may not: both
		 * half written, nothing would keep it. */
		slot->unsynced |= !contained;
		if (!contained && slot_sync(slot, err) < 0)
			return -1;
		slot->unsynced |= !contained;
		if (ref_write(&slot->repo, branch, hex, found ? old : "", "pleach", &local) == 0)
			return 0;
		if (local.code != ERROR_CONFLICT)
			break;
	}
	if (err)
		*err = local;
	return error_wrap(err, "branch %s", branch + strlen("refs/heads/"));
}

int slot_check_out(struct slot *slot, struct capture *capture, const char *commit,
                   struct error *err)
{
	struct git_run run = {.git_dir = slot->git_dir, .work_tree = slot->dir};
	const char *const *quick = GIT_ARGS("read-tree", "-m", "-u", commit);
	const char *const *all = GIT_ARGS("read-tree", "--reset", "-u", commit);
	_cleanup_strv_ char **set = NULL;
	char tree[HEX_SIZE];
	bool partly = slot->marker.sparse || capture->skipped;

	if (commit_tree(&slot->repo, commit, tree, err) < 0 ||
	    slot_sparse_apply(slot, capture->skipped, &set, err) < 0)
		return -1;
	if (!partly && (strcmp(tree, capture->tree) == 0 ||
	                lay_tree(&slot->repo, slot->dir, slot->git_dir, capture, tree) == 0))
		return slot_install(slot, capture, err);
	if (capture_own_index(capture, slot->git_dir, err) < 0)
		return -1;
	run.set = (const char *const *)set;
	run.index = capture->index;
	/* The captured index knows every file that is not ignored, and has just looked at each:
	 * what the commit lacks goes, ignored files stay, the rest need not be looked at again.
	 * What is in the way all the same (a read-only directory) is an agent's doing. */
	if (git_run(&slot->repo, &run, quick, NULL) < 0) {
		files_make_accessible(slot->dir);
		if (git_run(&slot->repo, &run, all, err) < 0)
			return error_wrap(err, "%s", slot->dir);
	}
	return slot_install(slot, capture, err);
}

/* Takes what the marker will say. The private paths of before stay in force as long as
 * their files may be in the slot. */
static int begin(struct slot *slot, int64_t attempt, const char *branch, const char *base,
                 char **private_paths, struct error *err)
{
	struct marker *marker = &slot->marker;

	if (marker->phase != SLOT_SWITCHING)
		marker->previous = marker->attempt;
	marker->attempt = attempt;
	marker->phase = SLOT_SWITCHING;
	free(marker->branch);
	marker->branch = xstrdup(branch);
	free(marker->base);
	marker->base = xstrdup(base);
	for (size_t i = 0; private_paths && private_paths[i]; i++)
		strv_push(&marker->private_paths, xstrdup(private_paths[i]));
	/* On the disk it is known as a slot that was never checked out, which is as good: only we
	 * were in it. Not where private files follow, which a later attempt must not take for its
	 * own. */
	if (slot->unmarked && (!marker->private_paths || !marker->private_paths[0]))
		return marker_write_lazily(slot->git_dir, marker, err);
	return marker_write(slot->git_dir, marker, err);
}

static int finish(struct slot *slot, const struct slot_order *order, char ***private_paths,
                  struct error *err)
{
	bool run = order->run && (slot->marker.set_up || !order->setup);

	strv_free(slot->marker.private_paths);
	slot->marker.private_paths = *private_paths;
	*private_paths = NULL;
	slot->marker.previous = 0;
	slot->marker.phase = run ? SLOT_RUNNING : SLOT_READY;
	slot->unmarked = true;
	return slot_mark(slot, err);
}

/* The branch at base, and HEAD on it. */
static int take_branch(struct slot *slot, int64_t attempt, const char *branch, const char *base,
                       struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, "before");

	if (!branch)
		return worktree_set_head(slot->git_dir, base, err);
	if (slot_move_branch(slot, branch, base, stem, err) < 0)
		return -1;
	return worktree_set_head(slot->git_dir, branch, err);
}

static char *full_name(const char *branch)
{
	return !branch                                   ? NULL
	       : strncmp(branch, "refs/heads/", 11) == 0 ? xstrdup(branch)
	                                                 : xasprintf("refs/heads/%s", branch);
}

static int check_branch(struct slot *slot, const char *branch, struct error *err)
{
	int valid = 0;

	if (!branch)
		return 0;
	if (git_reference_name_is_valid(&valid, branch) < 0 || !valid)
		return error_set(err, ERROR_INVALID, "%s is no name for a branch", branch);
	return slot_branch_free(slot, branch, err);
}

/* What the named files are at base, as text. */
static int setup_key(struct slot *slot, const char *base, const char *const *files,
                     struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (!files || !files[0])
		return 0;
	for (size_t i = 0; files[i]; i++) {
		char hex[HEX_SIZE];
		int found = commit_path_id(&slot->repo, base, files[i], hex, err);

		if (found < 0)
			return -1;
		buf_printf(&text, "%s %s\n", found ? hex : "-", files[i]);
	}
	buf_add(&text, "", 0);
	free(slot->marker.setup_next);
	slot->marker.setup_next = xstrdup(text.data);
	if (!slot->marker.setup_key || strcmp(slot->marker.setup_key, text.data) != 0)
		slot->marker.set_up = false;
	return 0;
}

/* Ignored files too; what is tracked is as it should be already. */
static int clean_all(struct slot *slot, struct error *err)
{
	struct git_run run = {.git_dir = slot->git_dir, .work_tree = slot->dir};

	slot->marker.set_up = false;
	if (git_run(&slot->repo, &run, GIT_ARGS("clean", "-ffdxq"), NULL) == 0)
		return 0;
	files_make_accessible(slot->dir);
	return git_run(&slot->repo, &run, GIT_ARGS("clean", "-ffdxq"), err);
}

/* The slot's content becomes the base, what is there having been kept. */
static int replace(struct slot *slot, int64_t owner, struct capture *capture, const char *hex,
                   bool fresh, struct error *err)
{
	if (slot_move_nested(slot, owner, capture, err) < 0 ||
	    slot_move_strange(slot, owner, capture, err) < 0 ||
	    slot_reset_modules(slot, owner, capture, hex, err) < 0 ||
	    slot_forget_state(slot, err) < 0 ||
	    worktree_reset_settings(&slot->repo, slot->git_dir, err) < 0 ||
	    slot_check_out(slot, capture, hex, err) < 0)
		return -1;
	return fresh ? clean_all(slot, err) : 0;
}

static int switch_slot(struct slot *slot, int64_t attempt, const struct slot_order *order,
                       struct error *err)
{
	_cleanup_free_ char *full = full_name(order->branch), *kept = NULL;
	_cleanup_strv_ char **paths = NULL, **old = NULL, **copy = NULL, **link = NULL;
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	bool redo = slot->marker.phase == SLOT_SWITCHING;
	int64_t owner = redo ? slot->marker.previous : slot->marker.attempt;
	char hex[HEX_SIZE];

	if (slot_prepare(slot, err) < 0 || commit_resolve(&slot->repo, order->base, hex, err) < 0 ||
	    check_branch(slot, full, err) < 0 || slot_expand(slot, order->copy, &copy, err) < 0 ||
	    slot_expand(slot, order->link, &link, err) < 0 ||
	    slot_private_paths(slot, hex, (const char *const *)copy, (const char *const *)link,
	                       &paths, err) < 0 ||
	    (slot->marker.overlay && slot_undo_overlay(slot, err) < 0)) {
		slot->untouched = false;
		return -1;
	}
	if (slot_keep_content(slot, owner, &capture, &kept, err) < 0 || slot_sync(slot, err) < 0) {
		slot_forget_locks(slot);
		return error_wrap(err, "snapshot of %s", slot->dir);
	}
	old = strv_copy((const char *const *)slot->marker.private_paths);
	if (slot_sparse_choose(slot, order->paths, err) < 0 ||
	    setup_key(slot, hex, order->setup_when, err) < 0 ||
	    begin(slot, attempt, full, hex, paths, err) < 0 ||
	    replace(slot, owner, &capture, hex, order->fresh, err) < 0 ||
	    take_branch(slot, attempt, full, hex, err) < 0 ||
	    slot_place_private(slot, (const char *const *)copy, (const char *const *)link,
	                       (const char *const *)old, err) < 0 ||
	    slot_sync(slot, err) < 0) {
		slot_forget_locks(slot);
		return error_wrap(err, "switch of %s", slot->dir);
	}
	return finish(slot, order, &paths, err);
}

int slot_switch(struct slot *slot, int64_t attempt, const struct slot_order *order,
                struct error *err)
{
	if (switch_slot(slot, attempt, order, err) == 0)
		return 0;
	slot_mark(slot, NULL); /* it may stay as it is for long, where people can come to */
	return -1;
}
