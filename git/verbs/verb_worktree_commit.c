/* worktree_commit: the user's working tree as it is, uncommitted work included, as a commit
 * that alternatives can start from. Index, branch and files stay as they are. */
#include <string.h>

#include "capture.h"
#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "refs.h"
#include "verb.h"
#include "worktree.h"

int verb_worktree_commit(const json_t *request, json_t **answer, struct error *err)
{
	const char *wanted = json_text(request, "dir");
	_cleanup_free_ char *dir = wanted ? path_settle(wanted) : NULL, *git_dir = NULL;
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	_cleanup_repo_ struct repo repo = REPO_INIT;
	char head[HEX_SIZE], tree[HEX_SIZE], commit[HEX_SIZE];
	const char *parents[] = {head, NULL};
	int found;

	if (!dir)
		return error_set(err, ERROR_INVALID, "dir must be an absolute path");
	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	/* The main worktree is not among the registered ones. */
	git_dir = !repo.place.bare && strcmp(dir, repo.place.root) == 0
	              ? xstrdup(repo.place.common_dir)
	              : worktree_git_dir(&repo, dir);
	if (!git_dir)
		return error_set(err, ERROR_NOT_FOUND, "%s is no worktree of this repository", dir);
	found = worktree_head(&repo, git_dir, head, NULL, err);
	if (found < 0)
		return -1;
	if (!found)
		return error_set(err, ERROR_INVALID, "the repository has no commit yet");
	if (capture_take(
	        &(struct capture_source){
	            .repo = &repo, .git_dir = git_dir, .dir = dir, .users = true},
	        &capture, err) < 0 ||
	    commit_tree(&repo, head, tree, err) < 0)
		return -1;
	if (strcmp(tree, capture.tree) == 0) { /* nothing is uncommitted */
		*answer = json_pack("{s:s, s:b}", "commit", head, "changed", 0);
		return 0;
	}
	if (commit_make(&repo, capture.tree, parents, "Uncommitted work\n", -1, commit, err) < 0 ||
	    ref_write(&repo, "refs/pleach/base/worktree", commit, NULL, "pleach: uncommitted work",
	              err) < 0 ||
	    repo_sync(&repo, err) < 0)
		return -1;
	*answer = json_pack("{s:s, s:b}", "commit", commit, "changed", 1);
	return 0;
}
