/* Worktrees that `pleach open` made, beside the slots: people work in them, and they are told from
 * people's own by a mark in their entry and by their place. Either alone could be an agent's or a
 * person's doing. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "files.h"
#include "mem.h"
#include "opened.h"
#include "proc.h"
#include "refs.h"

/* What it is called in `parent`, links on the way resolved; NULL: it is not in there. Borrowed. */
static const char *name_in(const char *parent, const char *dir)
{
	_cleanup_free_ char *settled = path_settle(parent);
	size_t n = settled ? strlen(settled) : 0;
	const char *slash = strrchr(dir, '/');

	return n && slash && (size_t)(slash - dir) == n && strncmp(dir, settled, n) == 0 ? slash + 1
	                                                                                 : NULL;
}

bool opened_is(const struct repo *repo, const struct worktree *tree)
{
	_cleanup_free_ char *mark = repo_path(tree->git_dir, OPENED_MARK), *line = file_line(mark);
	_cleanup_free_ char *dir = line && tree->dir ? path_settle_parent(tree->dir) : NULL;
	_cleanup_free_ char *beside = xasprintf("%s.pleach", repo->place.root), *below = NULL;
	const char *name = dir ? name_in(beside, dir) : NULL;

	if (name)
		return strncmp(name, "open-", 5) == 0;
	if (!dir || !repo->place.state_dir)
		return false;
	below = repo_path(repo->place.state_dir, "open");
	return name_in(below, dir);
}

/* What is under way in a worktree ("a rebase"), or NULL. */
static const char *doing_in(const char *git_dir)
{
	static const char *const states[][2] = {
	    {"rebase-merge", "a rebase"},
	    {"rebase-apply", "a rebase"},
	    {"MERGE_HEAD", "a merge"},
	    {"BISECT_START", "a bisect"},
	    {"CHERRY_PICK_HEAD", "a cherry-pick"},
	    {"REVERT_HEAD", "a revert"},
	    {"sequencer", "a cherry-pick"},
	};

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		_cleanup_free_ char *file = repo_path(git_dir, states[i][0]);

		if (file_exists(file))
			return states[i][1];
	}
	return NULL;
}

int opened_leave_branch(const struct repo *repo, const struct worktree *tree, struct error *err)
{
	const char *branch = tree->branch + strlen("refs/heads/");
	const char *doing = doing_in(tree->git_dir);
	_cleanup_free_ char *now = NULL;
	char hex[HEX_SIZE];
	const struct git_run run = {.git_dir = tree->git_dir};
	int found;

	if (doing)
		return error_set(err, ERROR_BUSY,
		                 "branch %s is checked out in %s, and %s is under way there (end "
		                 "it first)",
		                 branch, tree->dir, doing);
	found = worktree_head(repo, tree->git_dir, hex, &now, err);
	if (found < 0)
		return -1;
	if (!now || strcmp(now, tree->branch) != 0)
		return 0; /* it has just left it by itself */
	/* By git, with git's lock and the commit as it was: nobody is overtaken in there. */
	if (found && git_run(repo, &run,
	                     GIT_ARGS("update-ref", "--no-deref", "-m",
	                              "pleach: the branch is another attempt's", "HEAD", hex, hex),
	                     err) == 0)
		return 0;
	if (!found)
		error_set(err, ERROR_BUSY, "it has no commit");
	if (err)
		err->code = ERROR_BUSY;
	return error_wrap(err,
	                  "branch %s is checked out in %s (leave it there: `git switch "
	                  "--detach`)",
	                  branch, tree->dir);
}

/* 1: something is in the files or staged that HEAD lacks. */
static int is_dirty(struct repo *repo, const char *dir, const char *git_dir, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	_cleanup_free_ char *file = repo_path(git_dir, "commondir"), *common = file_line(file);
	char head[HEX_SIZE], tree[HEX_SIZE];
	int found;

	/* An agent's word for where the settings are is not taken. */
	if (!common || strcmp(common, "../..") != 0)
		return error_set(err, ERROR_INVALID, "%s is not git's", file);
	if (repo_look_at(repo, git_dir, err) < 0 || repo_refresh(repo, err) < 0)
		return -1;
	found = worktree_head(repo, git_dir, head, NULL, err);
	if (found != 1)
		return found < 0 ? -1 : 1;
	if (capture_take(
	        &(struct capture_source){
	            .repo = repo, .git_dir = git_dir, .dir = dir, .users = true},
	        &capture, err) < 0 ||
	    commit_tree(repo, head, tree, err) < 0)
		return -1;
	return capture.staged || capture.conflicted || strcmp(tree, capture.tree) != 0;
}

int opened_check_idle(struct repo *repo, const char *dir, const char *git_dir, struct error *err)
{
	const char *doing = doing_in(git_dir);
	int dirty;

	if (proc_works_in(dir))
		return error_set(err, ERROR_BUSY, "a process works in it");
	if (doing)
		return error_set(err, ERROR_BUSY, "%s is under way in it", doing);
	dirty = is_dirty(repo, dir, git_dir, err);
	return dirty > 0 ? error_set(err, ERROR_BUSY, "has uncommitted changes") : dirty;
}
