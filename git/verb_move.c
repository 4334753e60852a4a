/* move: the target branch to a prepared commit; contains: whether it got there.
 *
 * Where somebody has the target checked out, their files move with it, and what they
 * changed and did not commit is never touched. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "refs.h"
#include "stat.h"
#include "verb.h"
#include "worktree.h"

#define NAMES_MAX 5 /* paths named in an error */

struct move {
	struct repo *repo;
	char *ref;
	const char *target, *before, *after;
};

/* The one worktree that is on the branch, or NULL. */
static int find_worktree(const struct move *move, const struct worktrees *list,
                         const struct worktree **out, struct error *err)
{
	*out = NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct worktree *tree = &list->items[i];

		if (!tree->dir || tree->missing)
			continue;
		if (tree->in_use && strcmp(tree->in_use, move->ref) == 0)
			return error_set(err, ERROR_BUSY,
			                 "%s is in a %s in %s (finish it there first)",
			                 move->target, tree->doing, tree->dir);
		if (!tree->branch || strcmp(tree->branch, move->ref) != 0)
			continue;
		if (*out)
			return error_set(err, ERROR_BUSY,
			                 "%s is checked out in two worktrees, %s and %s",
			                 move->target, (*out)->dir, tree->dir);
		*out = tree;
	}
	return 0;
}

/* Paths that the user has changed, added or lets git ignore, as `status` lists them. */
static int dirty_paths(const struct move *move, const struct worktree *tree, char ***out,
                       struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.git_dir = tree->git_dir, .work_tree = tree->dir, .out = &text};

	if (git_run(move->repo, &run,
	            GIT_ARGS("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all",
	                     "--ignored=matching", "--ignore-submodules=all"),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < text.len;) {
		const char *item = text.data + at;
		size_t n = strlen(item);

		at += n + 1;
		if (n > 3)
			strv_push(out, xstrdup(item + 3));
	}
	return 0;
}

/* Turns git's refusal into the names of the files that are in the way. */
static int explain(const struct move *move, const struct worktree *tree, struct error *err)
{
	_cleanup_strv_ char **dirty = NULL;
	_cleanup_changes_ struct changes changes = CHANGES_INIT;
	_cleanup_buf_ struct buf names = BUF_INIT;
	_cleanup_free_ char *lock = repo_path(tree->git_dir, "index.lock");
	size_t count = 0;

	if (file_exists(lock))
		return error_set(err, ERROR_BUSY, "another git is at work in %s", tree->dir);
	if (dirty_paths(move, tree, &dirty, NULL) < 0 ||
	    changes_read(move->repo, move->before, move->after, &changes, NULL) < 0)
		return -1;
	for (size_t i = 0; i < changes.count; i++) {
		bool meets = false;

		for (size_t k = 0; dirty && dirty[k] && !meets; k++)
			meets = path_is_below(changes.items[i].path, dirty[k]) ||
			        path_is_below(dirty[k], changes.items[i].path);
		if (meets && count++ < NAMES_MAX)
			buf_printf(&names, "%s%s", names.len ? ", " : "", changes.items[i].path);
	}
	if (!count)
		return -1;
	return error_set(err, ERROR_BUSY,
	                 "%s is checked out in %s, where your changes are in the way: %s%s (commit "
	                 "or move them)",
	                 move->target, tree->dir, names.data, count > NAMES_MAX ? ", …" : "");
}

static int move_checked_out(const struct move *move, const struct worktree *tree, struct error *err)
{
	static const char *const set[] = {"GIT_REFLOG_ACTION", "pleach merge", "GIT_MERGE_AUTOEDIT",
	                                  "no", NULL};
	struct git_run run = {.git_dir = tree->git_dir, .work_tree = tree->dir, .set = set};

	if (git_run(move->repo, &run,
	            GIT_ARGS("merge", "--ff-only", "--no-overwrite-ignore", "--no-stat",
	                     "--no-autostash", "--no-verify-signatures", "--commit", "--no-squash",
	                     "-q", move->after),
	            err) == 0)
		return 0;
	explain(move, tree, err);
	return -1;
}

static int run_move(const struct move *move, json_t **answer, struct error *err)
{
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;
	_cleanup_free_ char *landing = xasprintf("refs/pleach/landing/%s", move->target);
	const struct worktree *tree;
	char now[HEX_SIZE];
	int found = ref_read(move->repo, move->ref, now, err), rc;

	if (found < 0)
		return -1;
	if (!found)
		return error_set(err, ERROR_NOT_FOUND, "branch %s: no such branch", move->target);
	rc = commit_contains(move->repo, move->after, move->before, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return error_set(err, ERROR_INVALID, "%.12s does not come after %.12s", move->after,
		                 move->before);
	if (worktrees_read(move->repo, &list, err) < 0 ||
	    find_worktree(move, &list, &tree, err) < 0)
		return -1;
	/* Asked again after an answer that was lost. */
	if (strcmp(now, move->after) != 0) {
		if (strcmp(now, move->before) != 0)
			return error_set(err, ERROR_CONFLICT,
			                 "%s moved meanwhile (it is at %.12s, not %.12s)",
			                 move->target, now, move->before);
		rc = tree ? move_checked_out(move, tree, err)
		          : ref_write(move->repo, move->ref, move->after, move->before,
		                      "pleach merge", err);
		if (rc < 0)
			return -1;
	}
	if (repo_sync(move->repo, err) < 0)
		return -1;
	if (ref_read(move->repo, landing, now, NULL) == 1 && strcmp(now, move->after) == 0)
		ref_delete(move->repo, landing, now, NULL);
	*answer = json_pack("{s:b, s:o}", "moved", 1, "worktree",
	                    tree ? verb_text(tree->dir) : json_null());
	return 0;
}

int verb_move(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct move move = {.repo = &repo, .target = json_text(request, "target")};
	int rc;

	move.ref = verb_branch(request, "target", err);
	move.before = verb_id(request, "before", err);
	move.after = verb_id(request, "after", err);
	rc = move.ref && move.before && move.after && verb_open_repo(request, &repo, err) == 0
	         ? run_move(&move, answer, err)
	         : -1;
	free(move.ref);
	return rc;
}

int verb_contains(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_free_ char *ref = verb_branch(request, "target", err);
	const char *commit = verb_id(request, "commit", err);
	char tip[HEX_SIZE];
	int found, within = 0;

	if (!ref || !commit || verb_open_repo(request, &repo, err) < 0)
		return -1;
	found = ref_read(&repo, ref, tip, err);
	if (found < 0)
		return -1;
	if (found && commit_exists(&repo, commit))
		within = commit_contains(&repo, tip, commit, err);
	if (within < 0)
		return -1;
	*answer = json_pack("{s:b, s:s?}", "contains", within, "tip", found ? tip : NULL);
	return 0;
}
