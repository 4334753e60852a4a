/* What changed between two commits, by libgit2, or by git where that does not open the
 * repository. No text conversion, no external diff. */
#include "stat.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define TEXT_MAX (64 << 20) /* larger files count as binary */

static void add_change(struct changes *list, const char *path, char status)
{
	list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
	list->items[list->count++] = (struct change){.path = xstrdup(path), .status = status};
}

void changes_finish(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		free(changes->items[i].path);
		free(changes->items[i].hunks);
	}
	free(changes->items);
	*changes = (struct changes)CHANGES_INIT;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

const struct change *changes_find(const struct changes *changes, const char *path)
{
	struct change key = {.path = (char *)path};

	return changes->count ? bsearch(&key, changes->items, changes->count, sizeof key, by_path)
	                      : NULL;
}

static git_tree *tree_of(const struct repo *repo, const char *hex)
{
	git_object *object = NULL, *tree = NULL;
	git_oid oid;

	if (git_oid_fromstr(&oid, hex) == 0 &&
	    git_object_lookup(&object, repo->git, &oid, GIT_OBJECT_ANY) == 0)
		git_object_peel(&tree, object, GIT_OBJECT_TREE);
	git_object_free(object);
	return (git_tree *)tree;
}

static git_diff *diff_of(const struct repo *repo, const char *base, const char *head)
{
	git_diff_options options;
	git_tree *a, *b;
	git_diff *diff = NULL;

	if (!repo->git || git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION) < 0)
		return NULL;
	options.context_lines = 0;
	options.max_size = TEXT_MAX;
	a = tree_of(repo, base);
	b = tree_of(repo, head);
	if (!a || !b || git_diff_tree_to_tree(&diff, repo->git, a, b, &options) < 0)
		diff = NULL;
	git_tree_free(a);
	git_tree_free(b);
	return diff;
}

static int read_change(git_diff *diff, size_t index, struct changes *out)
{
	const git_diff_delta *delta = git_diff_get_delta(diff, index);
	git_patch *patch = NULL;
	struct change *change;
	size_t added, deleted;

	add_change(out, delta->new_file.path ? delta->new_file.path : delta->old_file.path,
	           delta->status == GIT_DELTA_ADDED     ? 'A'
	           : delta->status == GIT_DELTA_DELETED ? 'D'
	                                                : 'M');
	change = &out->items[out->count - 1];
	if (git_patch_from_diff(&patch, diff, index) < 0)
		return -1;
	if (!patch)
		return 0;
	if (git_patch_line_stats(NULL, &added, &deleted, patch) == 0) {
		change->insertions = (int)added;
		change->deletions = (int)deleted;
	}
	change->hunk_count = git_patch_num_hunks(patch);
	change->hunks = xcalloc(change->hunk_count, sizeof *change->hunks);
	for (size_t i = 0; i < change->hunk_count; i++) {
		const git_diff_hunk *hunk;

		if (git_patch_get_hunk(&hunk, NULL, patch, i) == 0)
			change->hunks[i] = (struct change_hunk){hunk->old_start, hunk->old_lines};
	}
	git_patch_free(patch);
	return 0;
}

/* `git diff-tree --numstat -z`: ADDED TAB DELETED TAB PATH NUL; then the same paths by
 * --name-status: STATUS NUL PATH NUL. */
static int changes_by_git(const struct repo *repo, const char *base, const char *head,
                          struct changes *out, struct error *err)
{
	_cleanup_buf_ struct buf counts = BUF_INIT, names = BUF_INIT;
	struct git_run run = {.out = &counts};
	size_t at, index = 0;

	if (git_run(repo, &run,
	            GIT_ARGS("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff",
	                     "--no-textconv", "--numstat", base, head),
	            err) < 0)
		return -1;
	run.out = &names;
	if (git_run(repo, &run,
	            GIT_ARGS("diff-tree", "-r", "-z", "--no-renames", "--name-status", base, head),
	            err) < 0)
		return -1;
	for (at = 0; at < names.len;) {
		const char *status = names.data + at, *path;

		at += strlen(status) + 1;
		path = at < names.len ? names.data + at : "";
		at += strlen(path) + 1;
		add_change(out, path, *status == 'A' || *status == 'D' ? *status : 'M');
	}
	for (at = 0; at < counts.len && index < out->count; index++) {
		const char *line = counts.data + at;
		char *end;

		at += strlen(line) + 1;
		out->items[index].insertions = (int)strtol(line, &end, 10);
		if (*end == '\t')
			out->items[index].deletions = (int)strtol(end + 1, NULL, 10);
	}
	return 0;
}

int changes_read(const struct repo *repo, const char *base, const char *head, struct changes *out,
                 struct error *err)
{
	struct changes list = CHANGES_INIT;
	git_diff *diff = diff_of(repo, base, head);
	bool done = diff != NULL;

	for (size_t i = 0; done && i < git_diff_num_deltas(diff); i++)
		done = read_change(diff, i, &list) == 0;
	git_diff_free(diff);
	if (!done) {
		changes_finish(&list);
		if (changes_by_git(repo, base, head, &list, err) < 0) {
			changes_finish(&list);
			return -1;
		}
	}
	if (list.count)
		qsort(list.items, list.count, sizeof *list.items, by_path);
	*out = list;
	return 0;
}

int diff_stat_read(const struct repo *repo, const char *base, const char *head,
                   struct diff_stat *out, struct error *err)
{
	_cleanup_changes_ struct changes list = CHANGES_INIT;
	struct diff_stat stat = {0, 0, 0};

	if (changes_read(repo, base, head, &list, err) < 0)
		return -1;
	stat.files_changed = (int)list.count;
	for (size_t i = 0; i < list.count; i++) {
		stat.insertions += list.items[i].insertions;
		stat.deletions += list.items[i].deletions;
	}
	*out = stat;
	return 0;
}

int commits_between(const struct repo *repo, const char *base, const char *head, struct error *err)
{
	_cleanup_free_ char *range = xasprintf("%s..%s", base, head);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};

	if (repo->git) {
		size_t ahead, behind;
		git_oid a, b;

		if (git_oid_fromstr(&a, head) == 0 && git_oid_fromstr(&b, base) == 0 &&
		    git_graph_ahead_behind(&ahead, &behind, repo->git, &a, &b) == 0)
			return (int)ahead;
	}
	if (git_run(repo, &run, GIT_ARGS("rev-list", "--count", range), err) < 0)
		return -1;
	buf_add(&text, "", 0);
	return atoi(text.data);
}

int commits_merge_base(const struct repo *repo, const char *a, const char *b, char out[HEX_SIZE],
                       struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int code = 0;
	struct git_run run = {.out = &text, .exit_code = &code};
	git_oid x, y, found;

	if (repo->git && git_oid_fromstr(&x, a) == 0 && git_oid_fromstr(&y, b) == 0 &&
	    git_merge_base(&found, repo->git, &x, &y) == 0) {
		git_oid_tostr(out, HEX_SIZE, &found);
		return 0;
	}
	if (git_run(repo, &run, GIT_ARGS("merge-base", a, b), err) < 0)
		return -1;
	buf_add(&text, "", 0);
	text.data[strcspn(text.data, "\n")] = '\0';
	if (code != 0 || !hex_is_id(text.data))
		return error_set(err, ERROR_NOT_FOUND,
		                 "%.12s and %.12s have no commit in common (--base REV)", a, b);
	memcpy(out, text.data, strlen(text.data) + 1);
	return 0;
}
