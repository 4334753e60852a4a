/* Leftovers: what `git add` could not add although it is not ignored. Files that a filter
 * or an encoding refuses go in with their raw bytes; names that git refuses (.GIT/x) go in
 * under another name; a repository without commits goes in as files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture.h"
#include "files.h"
#include "mem.h"

static bool is_without(const struct capture_source *source, const char *path)
{
	for (size_t i = 0; source->without && source->without[i]; i++)
		if (path_is_below(path, source->without[i]))
			return true;
	return false;
}

/* A name that git takes: an underscore before each part that it would refuse. */
static char *tame_name(const char *path)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	while (*path) {
		size_t n = strcspn(path, "/");

		if ((n >= 4 && strncasecmp(path, ".git", 4) == 0 &&
		     (n == 4 || !strchr("aim", path[4]))) ||
		    (n >= 5 && strncasecmp(path, "git~1", 5) == 0))
			buf_add_str(&out, "_");
		buf_add(&out, path, n);
		path += n;
		if (*path == '/') {
			buf_add_str(&out, "/");
			path++;
		}
	}
	return buf_take(&out);
}

static int hash_link(const struct capture_source *source, const char *file, char id[HEX_SIZE],
                     struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(file, target, sizeof target);
	struct git_run run = {.git_dir = source->git_dir};

	if (n < 0)
		return error_errno(err, "cannot read the link %s", file);
	run.in = target;
	run.in_len = (size_t)n;
	return git_run_id(source->repo, &run, GIT_ARGS("hash-object", "-w", "--stdin"), id, err);
}

/* Adds one file as it is. What holds no content (a pipe, a socket) is left out. */
static int add_file(const struct capture_source *source, const char *path, struct buf *info,
                    struct capture *out, struct error *err)
{
	_cleanup_free_ char *file = repo_path(source->dir, path);
	_cleanup_free_ char *name = tame_name(path);
	struct git_run run = {.git_dir = source->git_dir};
	char id[HEX_SIZE];
	struct stat st;
	unsigned mode;

	if (lstat(file, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return error_errno(err, "cannot keep %s", file);
	}
	if (S_ISLNK(st.st_mode)) {
		mode = 0120000;
		if (hash_link(source, file, id, err) < 0)
			return -1;
	} else if (S_ISREG(st.st_mode)) {
		mode = st.st_mode & S_IXUSR ? 0100755 : 0100644;
		if (git_run_id(source->repo, &run,
		               GIT_ARGS("hash-object", "-w", "--no-filters", "--", file), id,
		               err) < 0)
			return error_wrap(err, "cannot keep %s", file);
	} else {
		index_info_add(info, 0, NULL, name);
		return 0;
	}
	/* In a commit a file under another name would be a lie. */
	if (strcmp(name, path) != 0) {
		strv_push(&out->strange,
		          xasprintf("%s%s", source->prefix ? source->prefix : "", path));
		if (!source->anyhow)
			return 0;
	}
	index_info_add(info, mode, id, name);
	return 0;
}

static int list_paths(const struct capture_source *source, const char *index,
                      const char *const *args, struct buf *out, struct error *err)
{
	struct git_run run = {
	    .git_dir = source->git_dir, .work_tree = source->dir, .index = index, .out = out};

	return git_run(source->repo, &run, args, err);
}

int leftover_add(const struct capture_source *source, const char *index, struct capture *out,
                 struct error *err)
{
	_cleanup_buf_ struct buf paths = BUF_INIT, info = BUF_INIT;

	if (list_paths(source, index, GIT_ARGS("ls-files", "-z", "-o", "--exclude-standard"),
	               &paths, err) < 0 ||
	    list_paths(source, index,
	               GIT_ARGS("diff-files", "-z", "--name-only", "--ignore-submodules=all"),
	               &paths, err) < 0)
		return -1;
	for (size_t at = 0; at < paths.len;) {
		const char *path = paths.data + at;
		size_t n = strlen(path);
		int rc;

		at += n + 1;
		if (is_without(source, path))
			continue;
		if (n && path[n - 1] == '/') {
			_cleanup_free_ char *dir = xstrndup(path, n - 1);
			rc = nested_add(source, dir, &info, 0, out, err);
		} else {
			rc = add_file(source, path, &info, out, err);
		}
		if (rc < 0)
			return -1;
	}
	return index_info_apply(source, index, &info, err);
}
