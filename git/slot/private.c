/* Private files: untracked files of the user (.env, node_modules) that a slot gets a copy
 * of or a link to, and that no commit of ours may ever hold.
 *
 * Nothing is read through a link that leads out of the repository, or written through one
 * at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "pinned_rules.h"
#include "slot_internal.h"
#include "text.h"

#define DEPTH_MAX 128

static int add_paths(struct slot *slot, const char *base, const char *const *list, char ***out,
                     struct error *err)
{
	for (size_t i = 0; list && list[i]; i++) {
		_cleanup_free_ char *path = path_plain(list[i]);
		char id[HEX_SIZE];
		int tracked;

		if (!path_is_inside(path))
			return error_set(err, ERROR_INVALID,
			                 "%s: copy and link take paths inside the repository",
			                 list[i]);
		tracked = commit_path_id(&slot->repo, base, path, id, err);
		if (tracked < 0)
			return -1;
		if (!tracked)
			strv_push(out, xstrdup(path));
	}
	return 0;
}

int slot_private_paths(struct slot *slot, const char *base, const char *const *copy,
                       const char *const *link, char ***paths, struct error *err)
{
	char **list = NULL;

	if (add_paths(slot, base, copy, &list, err) < 0 ||
	    add_paths(slot, base, link, &list, err) < 0) {
		strv_free(list);
		return -1;
	}
	*paths = list;
	return 0;
}

static bool in_list(const char *const *list, const char *path)
{
	for (size_t i = 0; list && list[i]; i++) {
		_cleanup_free_ char *item = path_plain(list[i]);

		if (strcmp(item, path) == 0)
			return true;
	}
	return false;
}

static int copy_entry(int from, int to, const char *name, int depth, struct error *err);

static int copy_regular(int from, int to, const char *name, const struct stat *st,
                        struct error *err)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf chunk = BUF_INIT;
	_cleanup_free_ char *tmp = NULL;
	char suffix[9];
	ssize_t n;
	int out;

	if (in < 0)
		return error_errno(err, "cannot copy %s", name);
	text_random_hex(suffix, 4);
	tmp = xasprintf(".pleach-%s", suffix);
	out = openat(to, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	             st->st_mode & 0777);
	if (out < 0)
		return error_errno(err, "cannot copy %s", name);
	while ((n = buf_read(&chunk, in, 256u << 10)) > 0) {
		if (write_all(out, chunk.data, chunk.len) < 0) {
			n = -1;
			break;
		}
		chunk.len = 0;
	}
	if (close(out) < 0)
		n = -1;
	if (n < 0 || renameat(to, tmp, to, name) < 0) {
		error_errno(err, "cannot copy %s", name);
		unlinkat(to, tmp, 0);
		return -1;
	}
	return 0;
}

static int copy_directory(int from, int to, const char *name, int depth, struct error *err)
{
	int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* What an agent put in its place is not followed. */
	_cleanup_close_ int target = dir_open_below(to, name, DIR_REPLACE);
	struct dirent *entry;
	DIR *dir = source < 0 ? NULL : fdopendir(source);
	int rc = 0;

	if (!dir || target < 0 || depth > DEPTH_MAX) {
		rc = error_errno(err, "cannot copy %s", name);
		if (!dir && source >= 0)
			close(source);
	}
	while (rc == 0 && dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, ".git") != 0)
			rc = copy_entry(source, target, entry->d_name, depth + 1, err);
	if (dir)
		closedir(dir);
	return rc;
}

/* Links inside a copied directory stay links: they are not followed. */
static int copy_link(int from, int to, const char *name, struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return error_errno(err, "cannot copy %s", name);
	target[n] = '\0';
	unlinkat(to, name, 0);
	if (symlinkat(target, to, name) < 0)
		return error_errno(err, "cannot copy %s", name);
	return 0;
}

static int copy_entry(int from, int to, const char *name, int depth, struct error *err)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot copy %s", name);
	if (S_ISREG(st.st_mode))
		return copy_regular(from, to, name, &st, err);
	if (S_ISDIR(st.st_mode))
		return copy_directory(from, to, name, depth, err);
	return S_ISLNK(st.st_mode) ? copy_link(from, to, name, err) : 0;
}

/* The user's file behind `path`: links inside the repository are followed, but not out of
 * it. 1 with `*real` (caller frees), 0 not there, -1. */
static int settle_source(const struct slot *slot, const char *path, char **real, struct error *err)
{
	_cleanup_free_ char *file = repo_path(slot->repo.place.root, path);
	_cleanup_free_ char *root = realpath(slot->repo.place.root, NULL);
	char *found = realpath(file, NULL);

	if (!found)
		return errno == ENOENT || errno == ENOTDIR
		           ? 0
		           : error_errno(err, "cannot look at %s", file);
	if (!root || !path_is_below(found, root)) {
		free(found);
		return error_set(err, ERROR_INVALID, "copy: %s leads out of the repository", path);
	}
	*real = found;
	return 1;
}

static int place_copy(struct slot *slot, int slot_fd, const char *path, struct error *err)
{
	_cleanup_free_ char *real = NULL, *from_dir = NULL, *to_dir = NULL;
	const char *from_name, *to_name;
	int rc = settle_source(slot, path, &real, err);

	if (rc <= 0)
		return rc;
	from_dir = path_parent(real, &from_name);
	to_dir = path_parent(path, &to_name);

	_cleanup_close_ int from = open(from_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int to = dir_open_below(slot_fd, to_dir, DIR_MAKE);

	if (from < 0 || to < 0)
		return error_errno(err, "cannot copy %s", path);
	if (copy_entry(from, to, from_name, 0, err) < 0)
		return -1;
	/* A link was followed to a file of another name. */
	if (strcmp(from_name, to_name) != 0 && renameat(to, from_name, to, to_name) < 0)
		return error_errno(err, "cannot copy %s", path);
	return 0;
}

static int place_link(struct slot *slot, int slot_fd, const char *path, struct error *err)
{
	_cleanup_free_ char *target = repo_path(slot->repo.place.root, path);
	_cleanup_free_ char *to_dir = NULL;
	const char *name;
	struct stat st;

	if (!file_exists(target))
		return 0;
	to_dir = path_parent(path, &name);

	_cleanup_close_ int to = dir_open_below(slot_fd, to_dir, DIR_MAKE);

	if (to < 0)
		return error_errno(err, "cannot link %s", path);
	if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		/* Real files there are ignored content of the slot, which stays. */
		if (!S_ISLNK(st.st_mode))
			return 0;
		if (unlinkat(to, name, 0) < 0)
			return error_errno(err, "cannot link %s", path);
	}
	if (symlinkat(target, to, name) < 0)
		return error_errno(err, "cannot link %s", path);
	return 0;
}

static int remove_old(int slot_fd, const char *slot_dir, const char *path, struct error *err)
{
	const char *name;
	_cleanup_free_ char *parent = path_parent(path, &name);
	_cleanup_close_ int fd = dir_open_below(slot_fd, parent, DIR_MUST_BE);
	_cleanup_free_ char *file = NULL;

	/* Only where no link leads elsewhere. */
	if (fd < 0)
		return 0;
	file = xasprintf("%s/%s", slot_dir, path);
	return file_exists(file) ? file_remove_all(file, err) : 0;
}

int slot_place_private(struct slot *slot, const char *const *copy, const char *const *link,
                       const char *const *old, struct error *err)
{
	_cleanup_close_ int fd = open(slot->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *base = slot->marker.base;
	char id[HEX_SIZE];

	if (fd < 0)
		return error_errno(err, "cannot open %s", slot->dir);
	for (size_t i = 0; old && old[i]; i++)
		if (!in_list(copy, old[i]) && !in_list(link, old[i]) &&
		    commit_path_id(&slot->repo, base, old[i], id, err) == 0 &&
		    remove_old(fd, slot->dir, old[i], err) < 0)
			return -1;
	for (int links = 0; links < 2; links++) {
		const char *const *list = links ? link : copy;

		for (size_t i = 0; list && list[i]; i++) {
			_cleanup_free_ char *path = path_plain(list[i]);
			int tracked = commit_path_id(&slot->repo, base, path, id, err);

			if (tracked < 0)
				return -1;
			if (!tracked && (links ? place_link(slot, fd, path, err)
			                       : place_copy(slot, fd, path, err)) < 0)
				return -1;
		}
	}
	return 0;
}

/* A line of an ignore file that means exactly this path. */
static void add_pattern(struct buf *out, const char *path)
{
	buf_add_str(out, "/");
	for (; *path; path++) {
		if (strchr("\\*?[ ", *path))
			buf_add_str(out, "\\");
		buf_add(out, path, 1);
	}
	buf_add_str(out, "\n");
}

static int exclude_private(const struct slot *slot, char ***env, struct error *err)
{
	_cleanup_free_ char *file = repo_path(slot->git_dir, "pleach.exclude");
	_cleanup_free_ char *usual = NULL, *own = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT, users = BUF_INIT;
	struct git_run run = {.out = &users};
	int code = 0;

	if (!slot->marker.private_paths || !slot->marker.private_paths[0])
		return 0;
	/* The user's own excludes, which this file stands in for, come first. */
	run.exit_code = &code;
	if (git_run(
	        &slot->repo, &run,
	        GIT_ARGS("config", "--type=path", "--default", "", "--get", "core.excludesFile"),
	        err) < 0)
		return -1;
	buf_add(&users, "", 0);
	users.data[strcspn(users.data, "\n")] = '\0';
	usual = pinned_rule_neutral(pinned_rule("core.excludesfile"));
	if (place_read_file(users.data[0] ? users.data : usual, 1u << 20, &own, NULL, NULL) == 0)
		buf_printf(&text, "%s\n", own);
	for (size_t i = 0; slot->marker.private_paths[i]; i++)
		add_pattern(&text, slot->marker.private_paths[i]);
	if (place_write_file(file, text.data, text.len, err) < 0)
		return -1;
	env_add_setting(env, "core.excludesFile", file);
	return 0;
}

int slot_agent_environment(const struct slot *slot, char ***env, struct error *err)
{
	/* Its end would kill a `git gc` on the way, which the next commit would begin anew. */
	env_add_setting(env, "maintenance.auto", "false");
	env_add_setting(env, "gc.auto", "0");
	slot_sparse_environment(slot, env);
	return exclude_private(slot, env, err);
}
