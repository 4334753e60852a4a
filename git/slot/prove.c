/* The tree that verify looks at: the head with its protected paths back at base and the
 * overlay laid over it; and afterwards the head again, what verify changed kept aside. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "slot_internal.h"

static bool is_protected(const char *path, const char *const *protect)
{
	for (size_t i = 0; protect && protect[i]; i++) {
		const char *item = strncmp(protect[i], "./", 2) == 0 ? protect[i] + 2 : protect[i];

		if (path_is_below(path, item))
			return true;
	}
	return false;
}

/* Lines for update-index: protected paths of `index` go, those of base come. */
static int protect_info(const struct capture_source *source, const char *index, const char *base,
                        const char *const *protect, struct buf *info, struct error *err)
{
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.git_dir = source->git_dir, .out = &text};

	if (index_view_open(source, index, &view, err) < 0 ||
	    git_run(source->repo, &run, GIT_ARGS("ls-tree", "-r", "-z", "--full-tree", base), err) <
	        0)
		return -1;
	for (size_t i = 0; i < view.count; i++)
		if (is_protected(view.items[i].path, protect))
			index_info_add(info, 0, NULL, view.items[i].path);
	/* MODE SP TYPE SP ID TAB PATH NUL is a form that update-index takes as it is. */
	for (size_t at = 0; at < text.len;) {
		const char *item = text.data + at, *path = strchr(item, '\t');
		size_t n = strlen(item) + 1;

		at += n;
		if (path && is_protected(path + 1, protect))
			buf_add(info, item, n);
	}
	return 0;
}

/* The head's tree with the protected paths of base in it. */
static int protected_tree(struct slot *slot, const char *head, const char *base,
                          const char *const *protect, char tree[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *index = repo_path(slot->git_dir, "pleach.proof");
	_cleanup_buf_ struct buf info = BUF_INIT;
	struct capture_source source = {
	    .repo = &slot->repo, .git_dir = slot->git_dir, .dir = slot->dir};
	struct git_run run = {.git_dir = slot->git_dir, .index = index};
	int rc;

	file_remove_all(index, NULL);
	rc = git_run(&slot->repo, &run, GIT_ARGS("read-tree", head), err);
	if (rc == 0)
		rc = protect_info(&source, index, base, protect, &info, err);
	if (rc == 0)
		rc = index_info_apply(&source, index, &info, err);
	if (rc == 0)
		rc = index_write_tree(&slot->repo, slot->git_dir, index, tree, err);
	file_remove_all(index, NULL);
	return rc;
}

static int set_proof_tree(struct slot *slot, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;

	if (slot_capture(slot, true, &capture, err) < 0)
		return -1;
	free(slot->proof_tree);
	slot->proof_tree = xstrdup(capture.tree);
	return 0;
}

int slot_prove_begin(struct slot *slot, const char *base, const char *const *protect,
                     const char *overlay_dir, struct error *err)
{
	_cleanup_strv_ char **set = NULL;
	struct git_run run = {.git_dir = slot->git_dir, .work_tree = slot->dir};
	char head[HEX_SIZE], tree[HEX_SIZE], plain[HEX_SIZE];
	int found;

	free(slot->proof_tree);
	slot->proof_tree = NULL;
	if ((!protect || !protect[0]) && (!overlay_dir || !*overlay_dir))
		return 0;
	if (slot_prepare(slot, err) < 0)
		return -1;
	found = worktree_head(&slot->repo, slot->git_dir, head, NULL, err);
	if (found <= 0)
		return found < 0 ? -1
		                 : error_set(err, ERROR_EXTERNAL, "slot %s has no HEAD", slot->dir);
	if (protect && protect[0]) {
		if (slot_sparse_apply(slot, false, &set, err) < 0)
			return -1;
		run.set = (const char *const *)set;
		if (protected_tree(slot, head, base, protect, tree, err) < 0 ||
		    commit_tree(&slot->repo, head, plain, err) < 0)
			return error_wrap(err, "protect");
		if (strcmp(tree, plain) != 0 &&
		    git_run(&slot->repo, &run, GIT_ARGS("read-tree", "--reset", "-u", tree), err) <
		        0)
			return error_wrap(err, "protect");
	}
	if (overlay_dir && *overlay_dir && slot_lay_overlay(slot, overlay_dir, err) < 0)
		return error_wrap(err, "overlay");
	return set_proof_tree(slot, err);
}

/* The captured tree without what the overlay laid there: hidden tests stay hidden. */
static int without_overlay(struct slot *slot, struct capture *capture, char tree[HEX_SIZE],
                           struct error *err)
{
	_cleanup_buf_ struct buf info = BUF_INIT;
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	struct capture_source source = {
	    .repo = &slot->repo, .git_dir = slot->git_dir, .dir = slot->dir};

	memcpy(tree, capture->tree, HEX_SIZE);
	if (!slot->marker.overlay)
		return 0;
	if (capture_own_index(capture, slot->git_dir, err) < 0 ||
	    index_view_open(&source, capture->index, &view, err) < 0)
		return -1;
	for (size_t i = 0; i < view.count; i++) {
		_cleanup_free_ char *laid =
		    xasprintf("%s/%s", slot->marker.overlay, view.items[i].path);

		if (file_exists(laid) || slot_is_overlay_save(view.items[i].path))
			index_info_add(&info, 0, NULL, view.items[i].path);
	}
	if (index_info_apply(&source, capture->index, &info, err) < 0)
		return -1;
	return index_write_tree(&slot->repo, slot->git_dir, capture->index, tree, err);
}

/* What verify changed, as a commit of its own beside the head. */
static int keep_changes(struct slot *slot, int64_t attempt, const char *head,
                        struct capture *capture, struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, "verify");
	char tree[HEX_SIZE], hex[HEX_SIZE], given[HEX_SIZE];

	if (slot->proof_tree)
		memcpy(given, slot->proof_tree, strlen(slot->proof_tree) + 1);
	else if (commit_tree(&slot->repo, head, given, err) < 0)
		return -1;
	if (slot->scratch || strcmp(given, capture->tree) == 0)
		return 0;
	if (without_overlay(slot, capture, tree, err) < 0 ||
	    commit_make(&slot->repo, tree, (const char *const[]){head, NULL},
	                "pleach: what verify changed\n", -1, hex, err) < 0)
		return -1;
	slot->unsynced = true;
	return ref_keep(&slot->repo, stem, hex, NULL, err);
}

int slot_prove_end(struct slot *slot, int64_t attempt, const char *head, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	char tree[HEX_SIZE];

	if (slot_prepare(slot, err) < 0 || slot_capture(slot, true, &capture, err) < 0 ||
	    keep_changes(slot, attempt, head, &capture, err) < 0 ||
	    slot_keep_loose_ends(slot, attempt, &capture, head, err) < 0 ||
	    (slot->marker.overlay && slot_undo_overlay(slot, err) < 0) ||
	    commit_tree(&slot->repo, head, tree, err) < 0)
		return error_wrap(err, "after verify in %s", slot->dir);
	if (slot_move_nested(slot, attempt, &capture, err) < 0 ||
	    (strcmp(capture.tree, tree) != 0 || slot->proof_tree
	         ? slot_check_out(slot, &capture, head, err)
	         : slot_install(slot, &capture, err)) < 0 ||
	    worktree_set_head(slot->git_dir, head, err) < 0 || slot_forget_state(slot, err) < 0 ||
	    slot_sync(slot, err) < 0)
		return error_wrap(err, "after verify in %s", slot->dir);
	free(slot->proof_tree);
	slot->proof_tree = NULL;
	return 0;
}
