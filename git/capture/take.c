/* Captures without a git program: what a look found, hashed here, brought into the tree and the
 * index that were there. Says nothing where git could come to another answer: filters, attributes,
 * line ends, links to repositories, damaged or strange indexes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "capture.h"
#include "files.h"
#include "look.h"
#include "mem.h"
#include "patch.h"
#include "plain.h"
#include "strays.h"

#define FILE_MAX (8u << 20) /* read whole, in a process that lasts */

/* What one file holds now, which must be what the look saw. 0 or 1. */
static int read_regular(int root, const struct look_item *item, struct buf *out)
{
	const char *name;
	_cleanup_free_ char *parent = path_parent(item->path, &name);
	_cleanup_close_ int dir = dir_open_below(root, parent, DIR_MUST_BE);
	_cleanup_close_ int fd =
	    dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || item->st.st_size > FILE_MAX)
		return 1;
	while ((n = buf_read(out, fd, 64u << 10)) > 0)
		if (out->len > FILE_MAX)
			return 1;
	return n < 0 || fstat(fd, &st) < 0 || st.st_ino != item->st.st_ino ||
	       st.st_size != item->st.st_size || (size_t)st.st_size != out->len ||
	       memcmp(&st.st_mtim, &item->st.st_mtim, sizeof st.st_mtim) != 0 ||
	       memcmp(&st.st_ctim, &item->st.st_ctim, sizeof st.st_ctim) != 0;
}

static int read_link(int root, const struct look_item *item, struct buf *out)
{
	const char *name;
	_cleanup_free_ char *parent = path_parent(item->path, &name);
	_cleanup_close_ int dir = dir_open_below(root, parent, DIR_MUST_BE);
	char target[PATH_MAX];
	ssize_t n = dir < 0 ? -1 : readlinkat(dir, name, target, sizeof target);

	if (n < 0 || n == (ssize_t)sizeof target)
		return 1;
	buf_add(out, target, (size_t)n);
	return 0;
}

static unsigned mode_of(mode_t mode)
{
	return S_ISLNK(mode) ? 0120000 : mode & S_IXUSR ? 0100755 : 0100644;
}

static bool same_id(const struct index_entry *entry, const git_oid *id)
{
	return entry && entry->id_len == GIT_OID_RAWSZ &&
	       memcmp(entry->id, id->id, GIT_OID_RAWSZ) == 0;
}

static bool has_object(const struct repo *repo, const git_oid *id)
{
	git_odb *odb = NULL;
	bool found = git_repository_odb(&odb, repo->git) == 0 && git_odb_exists(odb, id);

	git_odb_free(odb);
	return found;
}

/* One path of the look into the patch; its content into the repository where it is new. */
static int take_item(const struct capture_source *source, int root, const struct look_item *item,
                     git_tree *head, bool lines, struct patch *patch)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	unsigned mode = item->st.st_mode ? mode_of(item->st.st_mode) : 0;
	bool same = false;
	git_oid id;

	if (look_is_special_path(item->path))
		return 1;
	if (mode) {
		if ((S_ISLNK(item->st.st_mode) ? read_link(root, item, &text)
		                               : read_regular(root, item, &text)) != 0 ||
		    git_odb_hash(&id, text.data ? text.data : "", text.len, GIT_OBJECT_BLOB) < 0 ||
		    (lines && text.len && memchr(text.data, '\r', text.len)))
			return 1;
		/* After a power cut an index may name what was not written in time. */
		if (same_id(item->old, &id) && !has_object(source->repo, &id) &&
		    git_blob_create_from_buffer(&id, source->repo->git, text.data ? text.data : "",
		                                text.len) < 0)
			return 1;
		same = same_id(item->old, &id) && item->old->mode == mode;
		if (same && item->same_stat)
			return 0;
	}
	/* What was staged, and is not in HEAD either, is for staged.c. */
	if (!same && item->old && !staged_in_head(head, item->old))
		return 1;
	if (mode && !same_id(item->old, &id) &&
	    git_blob_create_from_buffer(&id, source->repo->git, text.data ? text.data : "",
	                                text.len) < 0)
		return 1;
	patch_add(patch, xstrdup(item->path), mode, mode ? &id : NULL)->st = item->st;
	return 0;
}

static int take_items(const struct capture_source *source, const struct index_view *view,
                      const struct look *look, struct patch *patch)
{
	_cleanup_close_ int root = open(source->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	git_tree *head = NULL;
	enum attributes kind =
	    look->has_attributes ? attributes_of_tree(source->dir, view) : ATTRIBUTES_NONE;
	int rc = root < 0 || kind == ATTRIBUTES_OTHER || !plain_repository(source->repo);

	if (rc == 0)
		head = staged_head(source);
	for (size_t i = 0; rc == 0 && i < look->count; i++)
		rc =
		    take_item(source, root, &look->items[i], head, kind == ATTRIBUTES_LINES, patch);
	git_tree_free(head);
	return rc;
}

/* What must never be in a commit may have been added by the agent itself. */
static bool holds_private(const struct capture_source *source, const struct index_view *view)
{
	for (size_t k = 0; source->without && source->without[k]; k++)
		for (size_t i = 0; i < view->count; i++)
			if (path_is_below(view->items[i].path, source->without[k]))
				return true;
	return false;
}

static int finish(const struct capture_source *source, const struct index_view *view,
                  const struct look *look, const char *own, struct capture *out)
{
	_cleanup_patch_ struct patch patch = PATCH_INIT;
	_cleanup_free_ char *file = capture_index_name(source->git_dir);
	char tree[HEX_SIZE];

	if (view->root[0] && !index_holds_tree(source->repo, view, view->root))
		return 1;
	if (view->root[0])
		memcpy(tree, view->root, sizeof tree);
	else if (index_write_tree(source->repo, source->git_dir, own, tree, NULL) < 0 ||
	         !index_is_tree(source->repo, view, tree)) /* another one by now */
		return 1;
	if (look->count && take_items(source, view, look, &patch) != 0)
		return 1;
	if (patch.count) {
		patch_sort(&patch);
		if (patch_tree(source->repo, tree, &patch, tree) != 0)
			return 1;
	}
	/* An index that does not know its tree (git add leaves it so) would have it found out file
	 * by file each time: it is told now. */
	if (patch.count || !view->root[0]) {
		if (file_remove_all(file, NULL) < 0 ||
		    patch_index(source->repo, view, &patch, tree, file, NULL) != 0)
			return 1;
		if (!patch.count)
			file_set_time(file, own);
		out->index = file;
		file = NULL;
	}
	memcpy(out->tree, tree, sizeof tree);
	return 0;
}

int capture_take_quick(const struct capture_source *source, struct capture *out)
{
	_cleanup_free_ char *own = repo_path(source->git_dir, "index");
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_look_ struct look look = LOOK_INIT;
	struct capture capture = CAPTURE_INIT;
	struct stat st;

	/* In this order: an index that is replaced meanwhile must seem older than it is. */
	clock_gettime(CLOCK_REALTIME_COARSE, &capture.fence);
	if (!source->repo->git || lstat(own, &st) < 0 ||
	    index_file_read(own, source->repo->id_len, &view) != 0 ||
	    holds_private(source, &view) || look_at(source, &view, &st.st_mtim, &look) != 0 ||
	    strays_judge(source, &look) != 0 || finish(source, &view, &look, own, &capture) != 0)
		return 1;
	*out = capture;
	return 0;
}
