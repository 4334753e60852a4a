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

/* Regular files that wait to be hashed together: by one process, however many there are. */
struct batch {
	struct buf paths; /* a line each */
	struct batched {
		char *name;
		unsigned mode;
	} * items;
	size_t count;
};

static void batch_finish(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		free(batch->items[i].name);
	free(batch->items);
	buf_finish(&batch->paths);
}

static int batch_hash(const struct capture_source *source, struct batch *batch, struct buf *info,
                      struct error *err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct git_run run = {.git_dir = source->git_dir,
	                      .in = batch->paths.data,
	                      .in_len = batch->paths.len,
	                      .out = &out};
	char *save = NULL, *line;

	if (!batch->count)
		return 0;
	if (git_run(source->repo, &run,
	            GIT_ARGS("hash-object", "-w", "--no-filters", "--stdin-paths"), err) < 0)
		return error_wrap(err, "cannot keep files of %s", source->dir);
	buf_add(&out, "", 0);
	line = strtok_r(out.data, "\n", &save);
	for (size_t i = 0; i < batch->count; i++, line = strtok_r(NULL, "\n", &save)) {
		if (!hex_is_id(line))
			return error_set(err, ERROR_EXTERNAL,
			                 "git hash-object: cannot read its answer");
		index_info_add(info, batch->items[i].mode, line, batch->items[i].name);
	}
	return 0;
}

/* A file of its own process: what has a line's end in its name. */
static int hash_alone(const struct capture_source *source, const char *file, char id[HEX_SIZE],
                      struct error *err)
{
	struct git_run run = {.git_dir = source->git_dir};

	if (git_run_id(source->repo, &run,
	               GIT_ARGS("hash-object", "-w", "--no-filters", "--", file), id, err) < 0)
		return error_wrap(err, "cannot keep %s", file);
	return 0;
}

static int add_regular(const struct capture_source *source, const char *file, const char *name,
                       unsigned mode, struct batch *batch, struct buf *info, struct error *err)
{
	char id[HEX_SIZE];

	if (strchr(file, '\n') || *file == '"') {
		if (hash_alone(source, file, id, err) < 0)
			return -1;
		index_info_add(info, mode, id, name);
		return 0;
	}
	if (access(file, R_OK) < 0)
		return error_errno(err, "cannot keep %s", file);
	/* Room doubles whenever the count is a power of two. */
	if ((batch->count & (batch->count - 1)) == 0)
		batch->items = xrealloc(batch->items, (batch->count ? batch->count * 2 : 1) *
		                                          sizeof *batch->items);
	batch->items[batch->count++] = (struct batched){xstrdup(name), mode};
	buf_printf(&batch->paths, "%s\n", file);
	return 0;
}

/* Adds one file as it is. What holds no content (a pipe, a socket) is left out. */
static int add_file(const struct capture_source *source, const char *path, struct batch *batch,
                    struct buf *info, struct capture *out, struct error *err)
{
	_cleanup_free_ char *file = repo_path(source->dir, path);
	_cleanup_free_ char *name = tame_name(path);
	char id[HEX_SIZE];
	struct stat st;

	if (lstat(file, &st) < 0 && errno != ENOENT && errno != ENOTDIR)
		return error_errno(err, "cannot keep %s", file);
	if (!file_exists(file) || (!S_ISLNK(st.st_mode) && !S_ISREG(st.st_mode))) {
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
	if (S_ISREG(st.st_mode))
		return add_regular(source, file, name, st.st_mode & S_IXUSR ? 0100755 : 0100644,
		                   batch, info, err);
	if (hash_link(source, file, id, err) < 0)
		return -1;
	index_info_add(info, 0120000, id, name);
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
	struct batch batch = {.paths = BUF_INIT};
	int rc = 0;

	if (list_paths(source, index, GIT_ARGS("ls-files", "-z", "-o", "--exclude-standard"),
	               &paths, err) < 0 ||
	    list_paths(source, index,
	               GIT_ARGS("diff-files", "-z", "--name-only", "--ignore-submodules=all"),
	               &paths, err) < 0)
		return -1;
	for (size_t at = 0; rc == 0 && at < paths.len;) {
		const char *path = paths.data + at;
		size_t n = strlen(path);

		at += n + 1;
		if (is_without(source, path))
			continue;
		if (n && path[n - 1] == '/') {
			_cleanup_free_ char *dir = xstrndup(path, n - 1);
			rc = nested_add(source, dir, &info, 0, out, err);
		} else {
			rc = add_file(source, path, &batch, &info, out, err);
		}
	}
	if (rc == 0)
		rc = batch_hash(source, &batch, &info, err);
	batch_finish(&batch);
	return rc < 0 ? -1 : index_info_apply(source, index, &info, err);
}
