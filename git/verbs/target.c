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

static int find_worktree(struct target *target, struct error *err)
{
	for (size_t i = 0; i < target->list.count; i++) {
		const struct worktree *tree = &target->list.items[i];

		if (!tree->dir || tree->missing)
			continue;
		if (tree->in_use && strcmp(tree->in_use, target->ref) == 0)
			return error_set(err, ERROR_BUSY,
			                 "%s is in a %s in %s (finish it there first)",
			                 target->name, tree->doing, tree->dir);
		if (!tree->branch || strcmp(tree->branch, target->ref) != 0)
			continue;
		if (target->tree)
			return error_set(err, ERROR_BUSY,
			                 "%s is checked out in two worktrees, %s and %s",
			                 target->name, target->tree->dir, tree->dir);
		target->tree = tree;
	}
	return 0;
}

int target_open(const struct repo *repo, const json_t *request, struct target *out,
                struct error *err)
{
	out->repo = repo;
	out->name = json_text(request, "target");
	out->ref = verb_branch(request, "target", err);
	return out->ref && worktrees_read(repo, &out->list, err) == 0 ? find_worktree(out, err)
	                                                              : -1;
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

/* As `status` lists them: whole directories of what git does not know end in a slash. The
 * user's index is not even refreshed. */
static int read_dirty(struct target *target, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {
	    .git_dir = target->tree->git_dir, .work_tree = target->tree->dir, .out = &text};

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

int target_in_way(struct target *target, const struct changes *changes, char ***paths,
                  struct error *err)
{
	char **found = NULL;

	if (!target->tree) {
		*paths = NULL;
		return 0;
	}
	if (!target->dirty_read && read_dirty(target, err) < 0)
		return -1;
	for (size_t i = 0; i < changes->count; i++)
		for (size_t k = 0; target->dirty && target->dirty[k]; k++)
			if (meets(target, changes->items[i].path, target->dirty[k])) {
				strv_push(&found, xstrdup(changes->items[i].path));
				break;
			}
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
