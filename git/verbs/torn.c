/* Commits of which a power cut took a part: an agent's own git writes a branch and does not sync
 * the files of its commit. Nobody was told of such a one, but git would fail on it for ever (gc,
 * fsck, push). Our refs move to the newest whole commit below, with the tip's content on it where
 * that is whole; the files of the slot itself are kept when it is settled. Touches no ref of the
 * user's. */
#include "torn.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "files.h"
#include "mem.h"
#include "refs.h"
#include "worktree.h"

#define STEPS_MAX 1000
#define LOG_MAX   (1u << 20)

/* Whether all is there that these reach and no other ref than ours does. Of a partial clone nobody
 * can tell without fetching it all. */
static bool are_whole(const struct repo *repo, const char *const *ids)
{
	_cleanup_buf_ struct buf in = BUF_INIT;
	struct git_run run = {.out = NULL};

	for (size_t i = 0; ids[i]; i++)
		buf_printf(&in, "%s\n", ids[i]);
	run.in = in.data;
	run.in_len = in.len;
	return !in.len || repo_is_partial(repo) ||
	       git_run(repo, &run,
	               GIT_ARGS("rev-list", "--objects", "--quiet", "--stdin", "--not",
	                        "--exclude=pleach/*", "--branches", "--tags", "--remotes"),
	               NULL) == 0;
}

static bool is_whole(const struct repo *repo, const char *hex)
{
	return are_whole(repo, (const char *const[]){hex, NULL});
}

/* What stands for a torn commit. 0, or -1: nothing below it is whole. */
static int find_whole(const struct repo *repo, const char *torn, char hex[HEX_SIZE])
{
	_cleanup_free_ char *message = xasprintf("pleach: what a power cut left of %s\n", torn);
	const char *const parents[] = {hex, NULL};
	char now[HEX_SIZE], tree[HEX_SIZE], below[HEX_SIZE];

	memcpy(now, torn, strlen(torn) + 1);
	for (int i = 0;; i++) {
		_cleanup_free_ char *parent = xasprintf("%s^", now);

		if (i == STEPS_MAX || commit_resolve(repo, parent, hex, NULL) < 0)
			return -1;
		if (is_whole(repo, hex))
			break;
		memcpy(now, hex, strlen(hex) + 1);
	}
	if (commit_tree(repo, torn, tree, NULL) < 0 || commit_tree(repo, hex, below, NULL) < 0 ||
	    strcmp(tree, below) == 0 || !is_whole(repo, tree))
		return 0;
	return commit_make(repo, tree, parents, message, -1, hex, NULL);
}

static void mend_ref(const struct repo *repo, const char *name, char ***mended)
{
	char old[HEX_SIZE], hex[HEX_SIZE];

	if (ref_read(repo, name, old, NULL) == 1 && !is_whole(repo, old) &&
	    find_whole(repo, old, hex) == 0 &&
	    ref_write(repo, name, hex, old, "pleach: torn by a power cut", NULL) == 0)
		strv_push(mended, xstrdup(name));
}

void torn_mend_refs(const struct repo *repo, char ***mended)
{
	static const char *const prefixes[] = {"refs/heads/pleach/", "refs/pleach/"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		_cleanup_strv_ char **names = NULL;

		if (ref_list(repo, prefixes[i], &names, NULL) < 0 ||
		    are_whole(repo, (const char *const *)names))
			continue;
		for (size_t k = 0; names[k]; k++)
			mend_ref(repo, names[k], mended);
	}
}

/* Lines of a reflog name what was and what became; those of commits that are torn go. */
static void mend_log(const struct repo *repo, const char *git_dir, char ***mended)
{
	_cleanup_free_ char *file = repo_path(git_dir, "logs/HEAD");
	_cleanup_buf_ struct buf text = BUF_INIT, whole = BUF_INIT;
	size_t lost = 0;
	char *save = NULL;

	if (file_read(file, LOG_MAX, &text, NULL) != 1)
		return;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		size_t len = strcspn(line, " ");
		_cleanup_free_ char *id =
		    line[len] ? xasprintf("%.*s", (int)strcspn(line + len + 1, " "), line + len + 1)
		              : NULL;

		if (id && hex_is_id(id) && commit_exists(repo, id) && !is_whole(repo, id))
			lost++;
		else
			buf_printf(&whole, "%s\n", line);
	}
	if (lost && place_write_file(file, whole.data ? whole.data : "", whole.len, NULL) == 0)
		strv_push(mended, xstrdup(file));
}

void torn_mend_worktree(const struct repo *repo, const char *git_dir, char ***mended)
{
	_cleanup_free_ char *branch = NULL;
	char old[HEX_SIZE], hex[HEX_SIZE];

	if (worktree_head(repo, git_dir, old, &branch, NULL) == 1 && !branch &&
	    !is_whole(repo, old) && find_whole(repo, old, hex) == 0 &&
	    worktree_set_head(git_dir, hex, NULL) == 0)
		strv_push(mended, xasprintf("%s/HEAD", git_dir));
	mend_log(repo, git_dir, mended);
}
