/* Who has the target of a landing checked out, and which of their files a move of it would
 * meet. Only looks: nothing here changes a file or a ref. */
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "refs.h"
#include "verb.h"

#define NAMES_MAX 5 /* paths named in an error */

/* What git takes for its way to the repository and back: an agent can write both, and whoever goes
 * another way runs programs of its choice and moves branches of another repository. */
static bool leads_there_and_back(const struct repo *repo, const struct worktree *tree)
{
	_cleanup_free_ char *file = repo_path(tree->git_dir, "commondir"), *line = NULL;

	if (strcmp(tree->git_dir, repo->place.common_dir) == 0)
		return true;
	line = file_line(file);
	return line && strcmp(line, "../..") == 0 &&
	       worktree_link_is_right(tree->dir, tree->git_dir);
}

/* On a disk that its user will plug in again. Where a slot is missing it is made anew. */
static bool is_away(const struct worktree *tree)
{
	return tree->missing && tree->lock_reason && !worktree_is_ours(tree);
}

static int refuse_unsafe(const struct target *target, const struct worktree *tree,
                         struct error *err)
{
	if (tree->missing)
		return error_set(
		    err, ERROR_BUSY,
		    "%s is checked out in %s, which is locked and not there now (bring "
		    "it back, or `git worktree unlock` it)",
		    target->name, tree->dir);
	if (!leads_there_and_back(target->repo, tree))
		return error_set(err, ERROR_BUSY,
		                 "%s is checked out in %s, which is not as git made it (`git "
		                 "worktree repair`, or remove it)",
		                 target->name, tree->dir);
	return 0;
}

static int find_worktree(struct target *target, struct error *err)
{
	for (size_t i = 0; i < target->list.count; i++) {
		const struct worktree *tree = &target->list.items[i];

		if (!tree->dir || (tree->missing && !is_away(tree)))
			continue;
		if (!tree->missing && tree->in_use && strcmp(tree->in_use, target->ref) == 0)
			return error_set(err, ERROR_BUSY,
			                 "%s is in a %s in %s (finish it there first)",
			                 target->name, tree->doing, tree->dir);
		if (!tree->branch || strcmp(tree->branch, target->ref) != 0)
			continue;
		if (target->tree)
			return error_set(err, ERROR_BUSY,
			                 "%s is checked out in two worktrees, %s and %s",
			                 target->name, target->tree->dir, tree->dir);
		if (refuse_unsafe(target, tree, err) < 0)
			return -1;
		target->tree = tree;
	}
	return 0;
}

int target_open(struct repo *repo, const json_t *request, struct target *out, struct error *err)
{
	out->repo = repo;
	out->name = json_text(request, "target");
	out->ref = verb_branch(request, "target", err);
	if (!out->ref || worktrees_read(repo, &out->list, err) < 0 || find_worktree(out, err) < 0)
		return -1;
	if (!out->tree || strcmp(out->tree->git_dir, repo->place.common_dir) == 0)
		return 0;
	return repo_look_at(repo, out->tree->git_dir, err) < 0 || repo_refresh(repo, err) < 0 ? -1
	                                                                                      : 0;
}

int target_look_again(struct target *target, const json_t *request, struct error *err)
{
	_cleanup_target_ struct target now = TARGET_INIT;
	const struct target before = *target;
	bool same;

	if (target_open(target->repo, request, &now, err) < 0)
		return -1;
	same = now.tree && before.tree ? strcmp(now.tree->git_dir, before.tree->git_dir) == 0
	                               : now.tree == before.tree;
	*target = now;
	now = before; /* to be released */
	return same;
}

void target_finish(struct target *target)
{
	free(target->ref);
	worktrees_finish(&target->list);
	strv_free(target->dirty);
	*target = (struct target)TARGET_INIT;
}

int target_tip(const struct target *target, char hex[HEX_SIZE], struct error *err)
{
	int found = ref_read(target->repo, target->ref, hex, err);

	if (found < 0)
		return -1;
	if (!found)
		return error_set(err, ERROR_NOT_FOUND, "branch %s: no such branch", target->name);
	return 0;
}

void target_forget_dirty(struct target *target)
{
	strv_free(target->dirty);
	target->dirty = NULL;
	target->dirty_read = false;
}

/* As `status` lists them: whole directories of what git does not know end in a slash. The
 * user's index is not even refreshed. */
int target_read_dirty(struct target *target, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {
	    .git_dir = target->tree->git_dir, .work_tree = target->tree->dir, .out = &text};

	if (target->dirty_read)
		return 0;
	if (git_run(target->repo, &run,
	            GIT_ARGS("status", "--porcelain", "-z", "--no-renames",
	                     "--untracked-files=normal", "--ignored=traditional",
	                     "--ignore-submodules=all"),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < text.len;) {
		const char *item = text.data + at;
		size_t n = strlen(item);

		at += n + 1;
		if (n > 3)
			strv_push(&target->dirty, xstrdup(item + 3));
	}
	target->dirty_read = true;
	return 0;
}

/* Something stands at the path, or a file stands where it needs a directory. */
static bool is_taken(const struct target *target, const char *path)
{
	_cleanup_free_ char *file = xasprintf("%s/%s", target->tree->dir, path);
	struct stat st;

	return lstat(file, &st) == 0 || errno == ENOTDIR;
}

static bool meets(const struct target *target, const char *path, const char *dirty)
{
	size_t n = strlen(dirty);
	bool whole = n && dirty[n - 1] == '/';
	_cleanup_free_ char *bare = xstrndup(dirty, whole ? n - 1 : n);

	if (path_is_below(bare, path)) /* the path itself, or a directory that becomes a file */
		return true;
	/* Below a directory that git knows nothing of only what is there is in the way. */
	return path_is_below(path, bare) && (!whole || is_taken(target, path));
}

/* What is added stands there already, since status was asked: git would write over what it ignores.
 * Not a directory, nor what is below something that goes away. */
static bool is_overtaken(const struct target *target, const struct changes *changes,
                         const struct change *change)
{
	_cleanup_free_ char *file = repo_path(target->tree->dir, change->path);
	struct stat st;

	if (change->status != 'A' || lstat(file, &st) < 0 || S_ISDIR(st.st_mode))
		return false;
	for (size_t i = 0; i < changes->count; i++)
		if (&changes->items[i] != change &&
		    path_is_below(change->path, changes->items[i].path))
			return false;
	return true;
}

static bool is_in_way(const struct target *target, const struct changes *changes,
                      const struct change *change)
{
	for (size_t k = 0; target->dirty && target->dirty[k]; k++)
		if (meets(target, change->path, target->dirty[k]))
			return true;
	return is_overtaken(target, changes, change);
}

int target_in_way(struct target *target, const struct changes *changes, char ***paths,
                  struct error *err)
{
	char **found = NULL;

	if (!target->tree) {
		*paths = NULL;
		return 0;
	}
	if (target_read_dirty(target, err) < 0)
		return -1;
	for (size_t i = 0; i < changes->count; i++)
		if (is_in_way(target, changes, &changes->items[i]))
			strv_push(&found, xstrdup(changes->items[i].path));
	*paths = found;
	return 0;
}

char *target_name_paths(char *const *paths)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	size_t i;

	for (i = 0; paths && paths[i] && i < NAMES_MAX; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", paths[i]);
	if (paths && paths[i])
		buf_add_str(&names, ", …");
	return buf_take(&names);
}
