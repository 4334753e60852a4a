/* Which strays are new files: those that neither we put there (private paths) nor git ignores.
 * git check-ignore is asked, at most twice, and only where something can be ignored at all. */
#include "strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "plain.h"

#define STRAYS_MAX 1000
#define DEPTH_MAX  128

/* 1: all of it is private; 0: nothing is; -1: something below it. */
static int is_private(const struct capture_source *source, const char *path)
{
	for (size_t i = 0; source->without && source->without[i]; i++) {
		if (path_is_below(path, source->without[i]))
			return 1;
		if (path_is_below(source->without[i], path))
			return -1;
	}
	return 0;
}

/* Takes the ignored ones out of the list, and what is below them. 0 or 1. */
static int drop_ignored(const struct capture_source *source, char **list)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
	int code = 0;
	size_t kept = 0, at = 0;
	struct git_run run = {
	    .git_dir = source->git_dir, .work_tree = source->dir, .out = &out, .exit_code = &code};

	if (!list || !list[0])
		return 0;
	for (size_t i = 0; list[i]; i++) {
		buf_add_str(&in, "./"); /* a colon before it would mean something */
		buf_add(&in, list[i], strlen(list[i]) + 1);
	}
	run.in = in.data;
	run.in_len = in.len;
	if (git_run(source->repo, &run, GIT_ARGS("check-ignore", "-z", "--stdin", "--no-index"),
	            NULL) < 0 ||
	    code > 1)
		return 1;
	/* It answers in the order of the questions. */
	for (size_t i = 0; list[i]; i++) {
		if (at < out.len && strcmp(out.data + at + 2, list[i]) == 0) {
			at += strlen(out.data + at) + 1;
			free(list[i]);
		} else {
			list[kept++] = list[i];
		}
	}
	list[kept] = NULL;
	return at != out.len;
}

/* All files below a stray directory. A repository, or a special name, is not for us. */
static int add_below(int parent, const char *path, const char *name, char ***files, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = !dir || depth > DEPTH_MAX;

	if (!dir && fd >= 0)
		close(fd);
	while (rc == 0 && (entry = readdir(dir))) {
		_cleanup_free_ char *below = NULL;
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		below = xasprintf("%s/%s", path, entry->d_name);
		/* Rules of its own, which were not asked for. */
		rc = look_is_special(entry->d_name) || strcmp(entry->d_name, ".gitignore") == 0 ||
		     fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		     strv_len((const char *const *)*files) > STRAYS_MAX;
		if (rc == 0 && S_ISDIR(st.st_mode))
			rc = add_below(fd, below, entry->d_name, files, depth + 1);
		else if (rc == 0)
			strv_push(files, xstrdup(below));
	}
	if (dir)
		closedir(dir);
	return rc;
}

/* The files that the strays are, or hold; `*deeper`: some were found in directories. */
static int list_files(int root, char *const *strays, char ***files, bool *deeper)
{
	for (size_t i = 0; strays && strays[i]; i++) {
		struct stat st;

		if (fstatat(root, strays[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 1;
		if (!S_ISDIR(st.st_mode)) {
			strv_push(files, xstrdup(strays[i]));
			continue;
		}
		*deeper = true;
		if (add_below(root, strays[i], strays[i], files, 0) != 0)
			return 1;
	}
	return 0;
}

static int add_items(const struct capture_source *source, int root, char *const *files,
                     struct look *look)
{
	size_t before = look->count;

	for (size_t i = 0; files && files[i]; i++) {
		struct stat st;

		if (is_private(source, files[i]) != 0 ||
		    fstatat(root, files[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 1;
		/* Pipes and sockets hold nothing. */
		if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
			look_add(look, xstrdup(files[i]), NULL, &st, false);
	}
	look_sort(look);
	return look->count - before > STRAYS_MAX;
}

int strays_judge(const struct capture_source *source, struct look *look)
{
	_cleanup_close_ int root = -1;
	_cleanup_strv_ char **strays = NULL, **files = NULL;
	bool ask, deeper = false;

	for (size_t i = 0; look->strays && look->strays[i]; i++) {
		int private = is_private(source, look->strays[i]);

		if (private < 0)
			return 1;
		if (!private)
			strv_push(&strays, xstrdup(look->strays[i]));
	}
	if (!strays)
		return 0;
	root = open(source->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ask = look->has_ignores || plain_may_ignore(source->repo);
	if (root < 0 || strv_len((const char *const *)strays) > STRAYS_MAX ||
	    (ask && drop_ignored(source, strays) != 0) ||
	    list_files(root, strays, &files, &deeper) != 0 ||
	    (ask && deeper && drop_ignored(source, files) != 0))
		return 1;
	return add_items(source, root, files, look);
}
