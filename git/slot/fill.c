/* Writes the files of a commit into a worktree in which nothing is yet, by several threads: each
 * object is read once, each file written and looked at once. What needs more than its bytes
 * (filters, attributes, links to repositories) is for git. */
#include "fill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "files.h"
#include "look.h"
#include "mem.h"
#include "patch.h"
#include "plain.h"
#include "refs.h"
#include "share.h"
#include "tree_cache.h"

#define FILES_MAX 200000
#define DEPTH_MAX 128
#define CHUNK     100 /* files that one thread takes at a time: mostly one directory's */

struct fill {
	git_repository *git;
	char *objects;
	int root;
	struct patch all; /* with room for FILES_MAX: threads read it while it grows */
	struct share share;
	atomic_bool failed;
};

/* The entries of a tree and all below it, in git's order; their directories are made. `out`: its
 * cache node. 0 or 1. */
static int list_tree(struct fill *fill, const git_oid *id, const char *prefix, const char *name,
                     struct buf *out, int depth);

/* git's order, which the index has too: directories as if their names ended with a slash. */
static bool is_next(const struct fill *fill, const char *path)
{
	size_t n = fill->all.count;

	return n < FILES_MAX && (!n || strcmp(fill->all.items[n - 1].path, path) < 0);
}

/* The only special name whose meaning is known here. 0 or 1. */
static int allow_attributes(const struct fill *fill, const git_tree_entry *entry)
{
	git_blob *blob = NULL;
	int rc = 1;

	if (strcmp(git_tree_entry_name(entry), ".gitattributes") == 0 &&
	    git_tree_entry_filemode_raw(entry) == GIT_FILEMODE_BLOB &&
	    git_blob_lookup(&blob, fill->git, git_tree_entry_id(entry)) == 0)
		rc = attributes_judge(git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob)) ==
		     ATTRIBUTES_OTHER;
	git_blob_free(blob);
	return rc;
}

/* Most names need no second look. */
static bool is_special(const char *name)
{
	return (!*name || strchr(".gG", *name) || strchr(name, '\\')) && look_is_special_path(name);
}

static char *join(const char *prefix, const char *name, const char *suffix)
{
	size_t a = strlen(prefix), b = strlen(name), c = strlen(suffix);
	char *path = xcalloc(1, a + b + c + 1);

	memcpy(path, prefix, a + 1);
	memcpy(path + a, name, b + 1);
	memcpy(path + a + b, suffix, c + 1);
	return path;
}

static int list_entry(struct fill *fill, const git_tree_entry *entry, const char *prefix,
                      struct buf *below, size_t *subtrees, int depth)
{
	const char *name = git_tree_entry_name(entry);
	unsigned mode = (unsigned)git_tree_entry_filemode_raw(entry);
	bool is_tree = git_tree_entry_type(entry) == GIT_OBJECT_TREE;
	_cleanup_free_ char *path = join(prefix, name, is_tree ? "/" : "");

	if (strchr(name, '/') || !is_next(fill, path) ||
	    (is_special(name) && allow_attributes(fill, entry) != 0))
		return 1;
	if (is_tree) {
		++*subtrees;
		return mkdirat(fill->root, path, 0777) < 0 ||
		       list_tree(fill, git_tree_entry_id(entry), path, name, below, depth + 1);
	}
	if (mode != 0100644 && mode != 0100755 && mode != 0120000)
		return 1;
	patch_add(&fill->all, path, mode, git_tree_entry_id(entry));
	path = NULL;
	share_grow(&fill->share, fill->all.count);
	return 0;
}

static int list_tree(struct fill *fill, const git_oid *id, const char *prefix, const char *name,
                     struct buf *out, int depth)
{
	_cleanup_buf_ struct buf below = BUF_INIT;
	size_t before = fill->all.count, subtrees = 0;
	git_tree *tree = NULL;
	int rc = depth > DEPTH_MAX || git_tree_lookup(&tree, fill->git, id) < 0;

	for (size_t i = 0; rc == 0 && i < git_tree_entrycount(tree); i++)
		rc = list_entry(fill, git_tree_entry_byindex(tree, i), prefix, &below, &subtrees,
		                depth);
	git_tree_free(tree);
	if (rc == 0)
		tree_cache_node(out, name, fill->all.count - before, subtrees, id, &below);
	return rc;
}

static int write_object(int dir, const char *name, struct patch_item *item, git_odb_object *object)
{
	const void *data = git_odb_object_data(object);
	size_t len = git_odb_object_size(object);
	_cleanup_close_ int fd = -1;

	if (git_odb_object_type(object) != GIT_OBJECT_BLOB)
		return 1;
	if (item->mode == 0120000) {
		_cleanup_free_ char *target = xstrndup(data, len);

		return !len || strlen(target) != len || symlinkat(target, dir, name) < 0 ||
		       fstatat(dir, name, &item->st, AT_SYMLINK_NOFOLLOW) < 0;
	}
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	            item->mode & 0111 ? 0777 : 0666);
	return fd < 0 || write_all(fd, data, len) < 0 || fstat(fd, &item->st) < 0;
}

static int write_one(const struct fill *fill, struct dir_spot *spot, git_odb *odb,
                     struct patch_item *item)
{
	git_odb_object *object = NULL;
	const char *name;
	int dir = dir_spot_enter(spot, fill->root, item->path, &name), rc = 1;

	if (dir >= 0 && git_odb_read(&object, odb, &item->id) == 0)
		rc = write_object(dir, name, item, object);
	git_odb_object_free(object);
	return rc;
}

/* Each thread looks at the objects by itself: a shared look lets one thread read at a time. */
static void *write_some(void *context)
{
	struct fill *fill = context;
	struct dir_spot spot = DIR_SPOT_INIT;
	git_odb *odb = NULL;
	size_t from, to;

	if (git_odb_open(&odb, fill->objects) < 0)
		atomic_store(&fill->failed, true);
	while (!atomic_load(&fill->failed) && share_take(&fill->share, &from, &to))
		for (size_t i = from; i < to; i++)
			if (write_one(fill, &spot, odb, &fill->all.items[i]) != 0)
				atomic_store(&fill->failed, true);
	dir_spot_leave(&spot);
	git_odb_free(odb);
	return NULL;
}

/* Other threads write what was listed while this one lists on. 0, or 1: there may be files then. */
static int list_and_write(struct fill *fill, const git_oid *tree, struct buf *trees)
{
	int rc;

	/* git does not check the ids of what it checks out either: it would take as long again. */
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
	rc = list_tree(fill, tree, "", "", trees, 0);
	if (rc != 0)
		atomic_store(&fill->failed, true);
	share_finish(&fill->share, fill->all.count);
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
	return atomic_load(&fill->failed);
}

static int fill_tree(struct fill *fill, const char *git_dir, const char *commit,
                     const struct repo *repo)
{
	_cleanup_free_ char *index = repo_path(git_dir, "index");
	_cleanup_buf_ struct buf trees = BUF_INIT;
	char tree[HEX_SIZE];
	git_oid oid;

	if (commit_tree(repo, commit, tree, NULL) < 0 || git_oid_fromstr(&oid, tree) < 0)
		return 1;
	return list_and_write(fill, &oid, &trees) != 0 ||
	       patch_index_new(&fill->all, &trees, index, NULL) < 0;
}

int fill_new(const struct repo *repo, const char *dir, const char *git_dir, const char *commit)
{
	_cleanup_close_ int root = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct fill fill = {.git = repo->git,
	                    .root = root,
	                    .all = PATCH_INIT,
	                    .share = SHARE_INIT(write_some, &fill, CHUNK)};
	int rc;

	if (root < 0 || !plain_repository(repo) || !(git_libgit2_features() & GIT_FEATURE_THREADS))
		return 1;
	fill.objects = repo_path(repo->place.common_dir, "objects");
	patch_reserve(&fill.all, FILES_MAX);
	rc = fill_tree(&fill, git_dir, commit, repo);
	free(fill.objects);
	patch_finish(&fill.all);
	return rc;
}
