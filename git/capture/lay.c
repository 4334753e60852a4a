/* A few files brought from one commit's state to another's, without a git program. Nothing is
 * touched before everything was found as the index says; an index that matches comes last. Where
 * it fails half-way git does all of it again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "files.h"
#include "lay.h"
#include "look.h"
#include "mem.h"
#include "patch.h"
#include "plain.h"

#define BLOB_MAX (8u << 20)

struct lay {
	const struct repo *repo;
	const struct index_view *view;
	int root;
};

static const struct index_entry *find(const struct index_view *view, const char *path)
{
	size_t low = 0, high = view->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int rc = strcmp(view->items[middle].path, path);

		if (rc == 0)
			return &view->items[middle];
		if (rc < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The file is as the index says, or there is none where it says nothing. */
static bool is_as_known(const struct lay *lay, const struct patch_item *item)
{
	const struct index_entry *entry = find(lay->view, item->path);
	const char *name;
	_cleanup_free_ char *parent = path_parent(item->path, &name);
	_cleanup_close_ int dir = dir_open_below(lay->root, parent, DIR_MUST_BE);
	struct stat st;

	if (dir < 0)
		return !entry && errno == ENOENT;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return !entry && errno == ENOENT;
	return entry && look_same_stat(entry, &st);
}

/* Directories that hold nothing any more go too, as git has it. */
static void remove_empty(const struct lay *lay, const char *path)
{
	_cleanup_free_ char *dir = xstrdup(path);
	char *slash;

	while ((slash = strrchr(dir, '/'))) {
		*slash = '\0';

		const char *name;
		_cleanup_free_ char *parent = path_parent(dir, &name);
		_cleanup_close_ int fd = dir_open_below(lay->root, parent, DIR_MUST_BE);

		if (fd < 0 || unlinkat(fd, name, AT_REMOVEDIR) < 0)
			return;
	}
}

static int remove_file(const struct lay *lay, const struct patch_item *item)
{
	const char *name;
	_cleanup_free_ char *parent = path_parent(item->path, &name);
	_cleanup_close_ int dir = dir_open_below(lay->root, parent, DIR_MUST_BE);

	if (dir < 0 || unlinkat(dir, name, 0) < 0)
		return 1;
	remove_empty(lay, item->path);
	return 0;
}

static int write_regular(int dir, const char *name, unsigned mode, const void *data, size_t len,
                         struct stat *st)
{
	_cleanup_close_ int fd =
	    openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	           mode & 0111 ? 0777 : 0666);

	return fd < 0 || write_all(fd, data, len) < 0 || fstat(fd, st) < 0;
}

static int write_link(int dir, const char *name, const void *data, size_t len, struct stat *st)
{
	_cleanup_free_ char *target = xstrndup(data, len);

	return strlen(target) != len || !len || symlinkat(target, dir, name) < 0 ||
	       fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0;
}

static int write_file(const struct lay *lay, struct patch_item *item)
{
	const char *name;
	_cleanup_free_ char *parent = path_parent(item->path, &name);
	_cleanup_close_ int dir = dir_open_below(lay->root, parent, DIR_MAKE);
	git_blob *blob = NULL;
	int rc = 1;

	if (dir >= 0 && git_blob_lookup(&blob, lay->repo->git, &item->id) == 0 &&
	    (unlinkat(dir, name, 0) == 0 || errno == ENOENT)) {
		const void *data = git_blob_rawcontent(blob);
		size_t len = (size_t)git_blob_rawsize(blob);

		rc = S_ISLNK(item->mode)
		         ? write_link(dir, name, data, len, &item->st)
		         : write_regular(dir, name, item->mode, data, len, &item->st);
	}
	git_blob_free(blob);
	return rc;
}

/* Objects that are not there, or too large, are found out before anything is touched. */
static bool is_writable(const struct lay *lay, const struct patch_item *item)
{
	git_object_t type;
	git_odb *odb = NULL;
	size_t size = 0;
	bool good = !item->mode;

	if (!good && git_repository_odb(&odb, lay->repo->git) == 0)
		good = git_odb_read_header(&size, &type, odb, &item->id) == 0 &&
		       type == GIT_OBJECT_BLOB && size <= BLOB_MAX;
	git_odb_free(odb);
	return good;
}

static int apply(const struct lay *lay, struct patch *patch)
{
	for (size_t i = 0; i < patch->count; i++)
		if (!is_as_known(lay, &patch->items[i]) || !is_writable(lay, &patch->items[i]))
			return 1;
	/* A directory may come where a file was. */
	for (size_t i = 0; i < patch->count; i++)
		if (!patch->items[i].mode && remove_file(lay, &patch->items[i]) != 0)
			return 1;
	for (size_t i = 0; i < patch->count; i++)
		if (patch->items[i].mode && write_file(lay, &patch->items[i]) != 0)
			return 1;
	return 0;
}

int lay_tree(const struct repo *repo, const char *dir, const char *git_dir, struct capture *capture,
             const char *tree)
{
	_cleanup_free_ char *own = repo_path(git_dir, "index");
	_cleanup_free_ char *file = repo_path(git_dir, "pleach.laid");
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_patch_ struct patch patch = PATCH_INIT;
	_cleanup_close_ int root = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct lay lay = {repo, &view, root};

	if (root < 0 || !plain_repository(repo) ||
	    index_file_read(capture->index ? capture->index : own, repo->id_len, &view) != 0 ||
	    (view.version != 2 && view.version != 3) ||
	    attributes_of_tree(dir, &view) == ATTRIBUTES_OTHER ||
	    !index_holds_tree(repo, &view, capture->tree) ||
	    patch_between(repo, capture->tree, tree, &patch) != 0 || apply(&lay, &patch) != 0 ||
	    file_remove_all(file, NULL) < 0 ||
	    patch_index(repo, &view, &patch, tree, file, NULL) != 0)
		return 1;
	if (capture->index)
		unlink(capture->index);
	free(capture->index);
	capture->index = file;
	file = NULL;
	return 0;
}
