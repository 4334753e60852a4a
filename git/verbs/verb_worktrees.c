/* worktrees, open, remove, repair: the worktrees of the repository, for people and gc. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "opened.h"
#include "proc.h"
#include "slot_internal.h"
#include "verb.h"

static const char *short_name(const char *branch)
{
	return branch && strncmp(branch, "refs/heads/", 11) == 0 ? branch + 11 : NULL;
}

static json_t *describe(const struct repo *repo, const struct worktree *tree, bool main)
{
	const char *branch = short_name(tree->branch);
	char head[HEX_SIZE];
	bool born = worktree_head(repo, tree->git_dir, head, NULL, NULL) == 1;

	return json_pack("{s:o, s:o, s:s?, s:o, s:b, s:s?, s:b, s:b}", "dir",
	                 tree->dir ? verb_text(tree->dir) : json_null(), "branch",
	                 branch ? verb_text(branch) : json_null(), "head", born ? head : NULL,
	                 "locked", tree->lock_reason ? verb_text(tree->lock_reason) : json_null(),
	                 "missing", tree->missing, "doing", tree->doing, "main", main, "opened",
	                 opened_is(repo, tree));
}

int verb_worktrees(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;
	json_t *items;

	if (verb_open_repo(request, &repo, err) < 0 || worktrees_read(&repo, &list, err) < 0)
		return -1;
	items = json_array();
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(items, describe(&repo, &list.items[i], i == 0));
	*answer = json_pack("{s:o}", "worktrees", items);
	return 0;
}

static json_t *opened(const char *dir, const char *branch, bool created)
{
	return json_pack("{s:o, s:b, s:o}", "dir", verb_text(dir), "created", created, "branch",
	                 branch ? verb_text(branch) : json_null());
}

#define OPEN_MOST 1000                     /* places of one name */
#define OPEN_HALF "pleach: is checked out" /* why one is locked until its files are there */

/* The worktree that serves already: on the branch, or at `dir` on the commit. */
static const struct worktree *find_open(const struct worktrees *list, const char *ref,
                                        const char *commit, const char *dir)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct worktree *tree = &list->items[i];

		if (!tree->dir || tree->missing)
			continue;
		if (ref ? tree->branch && strcmp(tree->branch, ref) == 0
		        : strcmp(tree->dir, dir) == 0 && tree->head &&
		              strcmp(tree->head, commit) == 0)
			return tree;
	}
	return NULL;
}

static int make_parents(const char *dir, struct error *err)
{
	_cleanup_free_ char *path = xstrdup(dir);

	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			return error_errno(err, "cannot make %s", path);
		*p = '/';
	}
	return 0;
}

static int add_open(const struct repo *repo, const char *dir, const char *head, struct error *err)
{
	_cleanup_free_ char *git_dir = NULL, *stale = NULL, *locked = NULL;
	const struct worktree_file mark = {OPENED_MARK, "1\n"};
	struct git_run run = {.work_tree = dir};

	if (!file_exists(dir) && (stale = worktree_git_dir(repo, dir)) &&
	    worktree_remove(repo, dir, err) < 0)
		return -1;
	if (make_parents(dir, err) < 0 ||
	    worktree_add(repo, dir, head, OPEN_HALF, &mark, &git_dir, err) < 0)
		return -1;
	run.git_dir = git_dir;
	if (git_run(repo, &run, GIT_ARGS("read-tree", "--reset", "-u", "HEAD"), err) < 0) {
		worktree_remove(repo, dir, NULL);
		return -1;
	}
	locked = repo_path(git_dir, "locked");
	unlink(locked);
	return 0;
}

/* What somebody left who died while he made it goes; not once git has written the index, which it
 * does last: from then on it may be somebody's. */
static int settle_halves(const struct repo *repo, struct error *err)
{
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;

	if (worktrees_read(repo, &list, err) < 0)
		return -1;
	for (size_t i = 1; i < list.count; i++) {
		const struct worktree *tree = &list.items[i];
		_cleanup_free_ char *index = repo_path(tree->git_dir, "index");
		_cleanup_free_ char *locked = repo_path(tree->git_dir, "locked");

		if (!tree->lock_reason || strcmp(tree->lock_reason, OPEN_HALF) != 0 ||
		    !opened_is(repo, tree) || proc_works_in(tree->dir))
			continue;
		if (file_exists(index))
			unlink(locked);
		else if (worktree_remove(repo, tree->dir, err) < 0)
			return -1;
	}
	return 0;
}

/* A place for a new one: what is at `dir`, and has left its branch, may be somebody's work.
 * `*tree`: what serves at the commit. Caller frees; NULL with err. */
static char *open_place(const struct worktrees *list, const char *ref, const char *commit,
                        const char *dir, const struct worktree **tree, struct error *err)
{
	for (int i = 1; i <= OPEN_MOST; i++) {
		char *place = i == 1 ? xstrdup(dir) : xasprintf("%s-%d", dir, i);

		*tree = find_open(list, ref, commit, place);
		/* An empty directory is as good as none. */
		if (*tree || !file_exists(place) || rmdir(place) == 0)
			return place;
		free(place);
	}
	error_set(err, ERROR_EXTERNAL, "%s and %d others are taken (pleach gc --yes)", dir,
	          OPEN_MOST - 1);
	return NULL;
}

int verb_open(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;
	const char *branch = json_text(request, "branch"), *commit = json_text(request, "commit");
	const char *wanted = json_text(request, "dir");
	_cleanup_free_ char *ref = NULL, *dir = wanted ? path_settle(wanted) : NULL, *place = NULL;
	const struct worktree *tree = NULL;
	_cleanup_close_ int lock = -1;
	char hex[HEX_SIZE];

	if (!dir || *dir != '/')
		return error_set(err, ERROR_INVALID, "dir must be an absolute path");
	if (branch && !(ref = verb_branch(request, "branch", err)))
		return -1;
	if (!branch && !verb_id(request, "commit", err))
		return -1;
	if (verb_open_repo(request, &repo, err) < 0 ||
	    (lock = worktree_open_lock(&repo, err)) < 0 || settle_halves(&repo, err) < 0 ||
	    worktrees_read(&repo, &list, err) < 0)
		return -1;
	place = open_place(&list, ref, commit, dir, &tree, err);
	if (!place)
		return -1;
	if (tree) {
		*answer = opened(tree->dir, branch, false);
		return 0;
	}
	if (ref && ref_read(&repo, ref, hex, err) != 1)
		return error_set(err, ERROR_NOT_FOUND, "branch %s: no such branch", branch);
	if (add_open(&repo, place, ref ? ref : commit, err) < 0)
		return -1;
	*answer = opened(place, branch, true);
	return 0;
}

/* Its directory is gone: what its git directory alone names is kept first. */
static int remove_vanished(const json_t *request, const char *dir, struct error *err)
{
	struct slot slot = {.lock_fd = -1, .marker = MARKER_INIT};
	struct capture none = CAPTURE_INIT;
	int rc = -1;

	if (verb_open_repo(request, &slot.repo, err) < 0)
		return -1;
	slot.teammate = xstrdup("removed");
	slot.dir = xstrdup(dir);
	slot.git_dir = worktree_git_dir(&slot.repo, dir);
	if (!slot.git_dir)
		error_set(err, ERROR_NOT_FOUND, "%s is no worktree of this repository", dir);
	else if (marker_read(slot.git_dir, &slot.marker, err) >= 0 &&
	         slot_keep_loose_ends(&slot, slot.marker.attempt, &none, NULL, err) == 0 &&
	         slot_move_modules(&slot, slot.marker.attempt, &none, true, err) == 0 &&
	         slot_sync(&slot, err) == 0)
		rc = worktree_remove(&slot.repo, dir, err);
	marker_finish(&slot.marker);
	free(slot.teammate);
	free(slot.dir);
	free(slot.git_dir);
	repo_close(&slot.repo);
	return rc;
}

/* The repositories inside, and those of submodules, are history that a snapshot lacks. */
static int empty_slot(struct slot *slot, char **kept, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	int64_t attempt = slot_attempt(slot);

	if (slot_prepare(slot, err) < 0 ||
	    slot_keep_content(slot, attempt, &capture, kept, err) < 0 || slot_sync(slot, err) < 0 ||
	    slot_move_nested(slot, attempt, &capture, err) < 0)
		return -1;
	return slot_move_modules(slot, attempt, &capture, true, err);
}

static int remove_there(const json_t *request, const char *dir, char **kept, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_free_ char *git_dir = NULL;
	const char *name = strrchr(dir, '/') + 1;
	struct slot *slot = NULL;
	int rc;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	/* Asked first: opening what is not there would make it. */
	git_dir = worktree_git_dir(&repo, dir);
	if (!git_dir)
		return error_set(err, ERROR_NOT_FOUND, "%s is no worktree of this repository", dir);
	if (json_flag(request, "idle") && opened_check_idle(&repo, dir, git_dir, err) < 0)
		return -1;
	if (json_flag(request, "dry"))
		return 0;
	if (slot_open_any(json_text(request, "root"), dir, name, json_text(request, "pinned"), NULL,
	                  NULL, true, &slot, err) < 0)
		return -1;
	/* A worktree that only proofs ran in holds nobody's work (cli/prove.c). */
	rc = json_flag(request, "scratch") && strncmp(name, "compare_", 8) == 0
	         ? 0
	         : empty_slot(slot, kept, err);
	if (rc == 0)
		rc = worktree_remove(&slot->repo, dir, err);
	slot_close(slot);
	return rc;
}

int verb_remove(const json_t *request, json_t **answer, struct error *err)
{
	const char *wanted = json_text(request, "dir");
	_cleanup_free_ char *dir = wanted ? path_settle_parent(wanted) : NULL, *kept = NULL;
	bool dry = json_flag(request, "dry");

	if (!dir || !strchr(dir, '/'))
		return error_set(err, ERROR_INVALID, "dir must be an absolute path");
	if (file_is_dir(dir) ? remove_there(request, dir, &kept, err) < 0
	                     : !dry && remove_vanished(request, dir, err) < 0)
		return -1;
	*answer = json_pack("{s:b, s:s?}", "removed", !dry, "kept", kept);
	return 0;
}

int verb_repair(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_strv_ char **args = NULL, **dirs = json_strv(json_sub(request, "dirs"));
	_cleanup_close_ int lock = -1;
	struct git_run run = {.git_dir = NULL};

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	lock = worktree_lock(&repo, err);
	if (lock < 0)
		return -1;
	strv_push(&args, xstrdup("worktree"));
	strv_push(&args, xstrdup("repair"));
	strv_push(&args, xstrdup("--"));
	for (size_t i = 0; dirs && dirs[i]; i++)
		strv_push(&args, xstrdup(dirs[i]));
	if (git_run(&repo, &run, (const char *const *)args, err) < 0)
		return -1;
	*answer = json_object();
	return 0;
}
