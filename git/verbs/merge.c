/* Merging in memory by `git merge-tree`, which is also what git itself lands with.
 *
 * git reads attributes (merge=union, -merge) from the working tree alone, so it is given
 * one that holds nothing but the .gitattributes files of our side. */
#include "merge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "files.h"
#include "mem.h"
#include "refs.h"

#define ATTRIBUTES ".gitattributes"

struct attribute_files {
	struct buf info;
};

static int visit(const char *dir, const git_tree_entry *entry, void *context)
{
	struct attribute_files *files = context;
	_cleanup_free_ char *path = NULL;
	char hex[HEX_SIZE];

	if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB ||
	    strcmp(git_tree_entry_name(entry), ATTRIBUTES) != 0)
		return 0;
	git_oid_tostr(hex, GIT_OID_HEXSZ + 1, git_tree_entry_id(entry));
	path = xasprintf("%s%s", dir, ATTRIBUTES);
	index_info_add(&files->info, 0100644, hex, path);
	return 0;
}

static int list_by_git2(const struct repo *repo, const char *commit, struct attribute_files *files)
{
	char hex[HEX_SIZE];
	git_tree *tree = NULL;
	git_oid oid;
	int rc;

	if (!repo->git || commit_tree(repo, commit, hex, NULL) < 0 ||
	    git_oid_fromstr(&oid, hex) < 0 || git_tree_lookup(&tree, repo->git, &oid) < 0)
		return -1;
	rc = git_tree_walk(tree, GIT_TREEWALK_PRE, visit, files);
	git_tree_free(tree);
	return rc;
}

static int list_attributes(const struct repo *repo, const char *commit,
                           struct attribute_files *files, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};
	size_t tail = strlen(ATTRIBUTES);

	if (list_by_git2(repo, commit, files) == 0)
		return 0;
	files->info.len = 0;
	if (git_run(repo, &run, GIT_ARGS("ls-tree", "-r", "-z", "--full-tree", commit), err) < 0)
		return -1;
	for (size_t at = 0; at < text.len;) {
		const char *item = text.data + at, *path = strchr(item, '\t');
		size_t n = strlen(item);

		at += n + 1;
		if (path && n >= tail && strcmp(item + n - tail, ATTRIBUTES) == 0 &&
		    (item[n - tail - 1] == '/' || item + n - tail == path + 1))
			buf_add(&files->info, item, n + 1);
	}
	return 0;
}

/* That working tree, and an index beside it; the caller removes *scratch. */
static int prepare(const struct repo *repo, const char *ours, char **scratch, char **tree_dir,
                   char **index, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	struct attribute_files files = {BUF_INIT};
	struct git_run run = {.git_dir = NULL};
	int rc;

	*scratch = xasprintf("%s/pleach-git-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp(*scratch)) {
		error_errno(err, "cannot make %s", *scratch);
		free(*scratch);
		*scratch = NULL;
		return -1;
	}
	*tree_dir = repo_path(*scratch, "tree");
	*index = repo_path(*scratch, "index");
	if (place_make_private_dir(*tree_dir, err) < 0)
		return -1;
	rc = list_attributes(repo, ours, &files, err);
	if (rc == 0 && files.info.len) {
		run.work_tree = *tree_dir;
		run.index = *index;
		run.in = files.info.data;
		run.in_len = files.info.len;
		rc = git_run(repo, &run, GIT_ARGS("update-index", "-z", "--index-info"), err);
		run.in = NULL;
		run.in_len = 0;
		if (rc == 0)
			rc = git_run(repo, &run, GIT_ARGS("checkout-index", "-a", "-f", "-q"), err);
	}
	buf_finish(&files.info);
	return rc;
}

/* `TREE NUL PATH NUL PATH NUL ...`: the tree, then what conflicts. */
static int read_answer(const struct buf *text, int code, char tree[HEX_SIZE], char ***paths,
                       struct error *err)
{
	size_t at = text->len ? strlen(text->data) + 1 : 0;

	if (code > 1 || !text->len || !hex_is_id(text->data))
		return -1;
	memcpy(tree, text->data, at);
	if (code == 0)
		return 0;
	*paths = NULL;
	while (at < text->len) {
		const char *path = text->data + at;
		bool seen = false;

		at += strlen(path) + 1;
		for (size_t i = 0; *paths && (*paths)[i]; i++)
			seen |= strcmp((*paths)[i], path) == 0;
		if (*path && !seen)
			strv_push(paths, xstrdup(path));
	}
	if (!*paths)
		*paths = xcalloc(1, sizeof **paths);
	if (err)
		err->text[0] = '\0';
	return 1;
}

int merge_commits(const struct repo *repo, const char *ours, const char *theirs,
                  char tree[HEX_SIZE], char ***paths, struct error *err)
{
	_cleanup_free_ char *scratch = NULL, *tree_dir = NULL, *index = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	int code = 0;
	struct git_run run = {.out = &text, .exit_code = &code};
	int rc = prepare(repo, ours, &scratch, &tree_dir, &index, err);

	run.work_tree = tree_dir;
	run.index = index;
	if (rc == 0)
		rc = git_run(repo, &run,
		             GIT_ARGS("merge-tree", "--write-tree", "-z", "--name-only",
		                      "--no-messages", ours, theirs),
		             err);
	if (rc == 0)
		rc = read_answer(&text, code, tree, paths, err);
	if (rc < 0)
		error_wrap(err, "merge of %.12s and %.12s", ours, theirs);
	if (scratch)
		file_remove_all(scratch, NULL);
	return rc;
}

/* git 2.39 cannot be told the merge base: three commits are made that have just this one. */
int merge_from_base(const struct repo *repo, const char *base, const char *ours, const char *theirs,
                    char tree[HEX_SIZE], char ***paths, struct error *err)
{
	char trees[3][HEX_SIZE], made[3][HEX_SIZE];
	const char *const from[] = {base, ours, theirs};
	const char *const none[] = {NULL};

	for (size_t i = 0; i < 3; i++) {
		const char *const below[] = {made[0], NULL};

		if (commit_tree(repo, from[i], trees[i], err) < 0 ||
		    commit_make(repo, trees[i], i ? below : none, "pleach: merge base\n", 0,
		                made[i], err) < 0)
			return -1;
	}
	return merge_commits(repo, made[1], made[2], tree, paths, err);
}
