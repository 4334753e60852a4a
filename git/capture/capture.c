/* Capture: add everything of a working tree to a copy of its index.
 *
 * The copy starts from the index that is there, so that unchanged files need no
 * hashing; flags with which an agent could hide a change are cleared in it; a damaged
 * index is replaced by HEAD's. */
#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "patch.h"
#include "worktree.h"

#define INDEX_NAME "pleach.index"

/* How the temporary index is started; each is tried when git fails with the one before. */
enum start { START_OWN, START_HEAD, START_RAW, START_RAW_HEAD, START_COUNT };

static int start_from_head(const struct capture_source *source, const char *index,
                           struct error *err)
{
	struct git_run run = {.git_dir = source->git_dir, .work_tree = source->dir, .index = index};
	char head[HEX_SIZE];
	int found = worktree_head(source->repo, source->git_dir, head, NULL, err);

	if (found < 0)
		return -1;
	return git_run(source->repo, &run,
	               found ? GIT_ARGS("read-tree", head) : GIT_ARGS("read-tree", "--empty"), err);
}

/* Paths of entries with a flag, for update-index --stdin. */
static void collect_flagged(const struct index_view *view, const char *dir, bool skipped,
                            struct buf *out)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct index_entry *entry = &view->items[i];

		if (!(skipped ? entry->skipped : entry->assumed))
			continue;
		if (skipped) {
			/* In a sparse checkout it is right that the file is not there. */
			_cleanup_free_ char *file = repo_path(dir, entry->path);

			if (!file_exists(file))
				continue;
		}
		buf_add(out, entry->path, strlen(entry->path) + 1);
	}
}

/* `own` is what the index held; it stays so, whatever becomes of the file. */
static int clear_flags(const struct capture_source *source, const char *index,
                       struct index_view *own, struct error *err)
{
	static const char *const options[] = {"--no-assume-unchanged", "--no-skip-worktree"};

	index_view_close(own);
	if (index_view_open(source, index, own, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		_cleanup_buf_ struct buf paths = BUF_INIT;
		struct git_run run = {
		    .git_dir = source->git_dir, .work_tree = source->dir, .index = index};

		collect_flagged(own, source->dir, i == 1, &paths);
		run.in = paths.data;
		run.in_len = paths.len;
		if (paths.len &&
		    git_run(source->repo, &run,
		            GIT_ARGS("update-index", options[i], "-z", "--stdin"), err) < 0)
			return -1;
	}
	return 0;
}

/* 1 started, 0 that start is not possible (the next may be), -1. */
static int start_index(const struct capture_source *source, const char *index, enum start start,
                       struct index_view *own_view, struct error *err)
{
	_cleanup_free_ char *own = repo_path(source->git_dir, "index");
	_cleanup_free_ char *lock = xasprintf("%s.lock", index);
	int rc;

	file_remove_all(index, NULL);
	file_remove_all(lock, NULL);
	if (start == START_HEAD || start == START_RAW_HEAD)
		return start_from_head(source, index, err) < 0 ? -1 : 1;
	rc = file_copy(own, index, err);
	if (rc <= 0)
		return rc;
	return clear_flags(source, index, own_view, NULL) == 0;
}

/* `git add` of everything. 0: all of it; 1: some files could not be added; 2: it failed. */
static int add_all(const struct capture_source *source, const char *index, struct error *err)
{
	_cleanup_strv_ char **args = NULL;
	_cleanup_buf_ struct buf why = BUF_INIT;
	int code = 0;
	struct git_run run = {.git_dir = source->git_dir,
	                      .work_tree = source->dir,
	                      .index = index,
	                      .why = &why,
	                      .exit_code = &code};
	static const char *const fixed[] = {"add", "-A", "--ignore-errors", "--sparse", "--", "."};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		strv_push(&args, xstrdup(fixed[i]));
	for (size_t i = 0; source->without && source->without[i]; i++)
		strv_push(&args, xasprintf(":(exclude,top,literal)%s", source->without[i]));
	if (git_run(source->repo, &run, (const char *const *)args, err) < 0)
		return -1;
	/* A directory that cannot be opened is only a warning to git. */
	if (why.len && !source->users) {
		files_make_accessible(source->dir);
		if (git_run(source->repo, &run, (const char *const *)args, err) < 0)
			return -1;
	}
	return code == 0 ? 0 : code == 1 ? 1 : 2;
}

/* What must never be in a commit may have been added by the agent itself. */
static int strip_private(const struct capture_source *source, const char *index, struct error *err)
{
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_buf_ struct buf info = BUF_INIT;

	if (!source->without || !source->without[0])
		return 0;
	if (index_view_open(source, index, &view, err) < 0)
		return -1;
	for (size_t i = 0; i < view.count; i++)
		for (size_t k = 0; source->without[k]; k++)
			if (path_is_below(view.items[i].path, source->without[k])) {
				index_info_add(&info, 0, NULL, view.items[i].path);
				break;
			}
	return index_info_apply(source, index, &info, err);
}

static int fill_index(const struct capture_source *source, const char *index,
                      struct index_view *own, struct capture *out, struct error *err)
{
	for (int start = START_OWN; start < START_COUNT; start++) {
		int rc = start_index(source, index, (enum start)start, own, err);

		if (rc < 0)
			return -1;
		if (rc == 0 || (start >= START_RAW && !source->anyhow))
			continue;
		/* A filter or an encoding that git cannot do without stops all of git add. */
		rc = start >= START_RAW ? 1 : add_all(source, index, err);
		if (rc < 0)
			return -1;
		if (rc == 1)
			return leftover_add(source, index, out, err);
		if (rc == 0)
			return 0;
	}
	return error_wrap(err, "%s", source->dir);
}

/* git add leaves the trees of what it looked at unknown in the index, and each look at the slot
 * would find them out again. Without it nothing is wrong. */
static void tell_trees(const struct capture_source *source, const struct capture *capture)
{
	const struct patch none = PATCH_INIT;
	_cleanup_free_ char *file = xasprintf("%s.lock", capture->index);
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;

	if (index_file_read(capture->index, source->repo->id_len, &view) != 0 ||
	    strcmp(view.root, capture->tree) == 0 ||
	    !index_is_tree(source->repo, &view, capture->tree))
		return;
	for (size_t i = 0; i < view.count; i++)
		if (view.items[i].intended)
			return;
	file_remove_all(file, NULL);
	if (patch_index(source->repo, &view, &none, capture->tree, file, NULL) != 0)
		return;
	file_set_time(file, capture->index); /* as file_copy */
	rename(file, capture->index);
}

int capture_take(const struct capture_source *source, struct capture *out, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	_cleanup_view_ struct index_view own = INDEX_VIEW_INIT, now = INDEX_VIEW_INIT;

	if (source->quick && capture_take_quick(source, out) == 0)
		return 0;
	if (source->users && (capture.lock = worktree_lock(source->repo, err)) < 0)
		return -1;
	clock_gettime(CLOCK_REALTIME_COARSE, &capture.fence);
	capture.index = capture_index_name(source->git_dir);
	if (fill_index(source, capture.index, &own, &capture, err) < 0 ||
	    strip_private(source, capture.index, err) < 0 ||
	    index_view_open(source, capture.index, &now, err) < 0 ||
	    nested_take(source, capture.index, &now, &capture, err) < 0 ||
	    staged_tree(source, &own, &now, &capture.staged, err) < 0 ||
	    index_write_tree(source->repo, source->git_dir, capture.index, capture.tree, err) < 0)
		return -1;
	tell_trees(source, &capture);
	for (size_t i = 0; i < own.count && !capture.conflicted; i++)
		capture.conflicted = own.items[i].stage != 0;
	for (size_t i = 0; i < now.count && !capture.skipped; i++)
		capture.skipped = now.items[i].skipped;
	*out = capture;
	capture = (struct capture)CAPTURE_INIT;
	return 0;
}

char *capture_index_name(const char *git_dir)
{
	return repo_path(git_dir, INDEX_NAME);
}

int capture_own_index(struct capture *capture, const char *git_dir, struct error *err)
{
	_cleanup_free_ char *own = repo_path(git_dir, "index");
	_cleanup_free_ char *copy = capture_index_name(git_dir);
	int rc;

	if (capture->index)
		return 0;
	if (file_remove_all(copy, err) < 0 || (rc = file_copy(own, copy, err)) < 0)
		return -1;
	if (rc == 0)
		return error_set(err, ERROR_EXTERNAL, "%s is gone", own);
	capture->index = copy;
	copy = NULL;
	return 0;
}

void capture_finish(struct capture *capture)
{
	if (capture->index)
		unlink(capture->index);
	free(capture->index);
	free(capture->staged);
	strv_free(capture->nested);
	strv_free(capture->strange);
	strv_free(capture->modules);
	if (capture->lock >= 0)
		close(capture->lock);
	*capture = (struct capture)CAPTURE_INIT;
}

int capture_install(struct capture *capture, const char *git_dir, struct error *err)
{
	_cleanup_free_ char *own = repo_path(git_dir, "index");
	_cleanup_free_ char *lock = repo_path(git_dir, "index.lock");

	/* Whoever held this lock is dead: the slot is ours alone. */
	file_remove_all(lock, NULL);
	if (!capture->index)
		return 0;
	if (rename(capture->index, own) < 0)
		return error_errno(err, "cannot replace %s", own);
	free(capture->index);
	capture->index = NULL;
	return 0;
}
