/* Overlays: files of the user (hidden tests) laid over a slot's tree for the time of a
 * proof. Each file that is there already steps aside under another name and comes back, so
 * that ignored files survive too. The marker names the overlay while it lies there. */
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
#include "slot_internal.h"

#define SAVED     ".pleach-saved"
#define DEPTH_MAX 128

bool slot_is_overlay_save(const char *path)
{
	size_t n = strlen(path), tail = strlen(SAVED);

	return n > tail && strcmp(path + n - tail, SAVED) == 0;
}

/* One file of the overlay at its place; `from` and `to` are its directories. */
static int lay_file(int from, int to, const char *name, const struct stat *st, struct error *err)
{
	_cleanup_free_ char *saved = xasprintf("%s%s", name, SAVED);
	_cleanup_close_ int in = -1, out = -1;
	_cleanup_buf_ struct buf chunk = BUF_INIT;
	ssize_t n;

	if (renameat2(to, name, to, saved, RENAME_NOREPLACE) < 0 && errno == EEXIST)
		return error_set(err, ERROR_CONFLICT, "%s is in the way (remove it)", saved);
	if (S_ISLNK(st->st_mode)) {
		char target[PATH_MAX];

		n = readlinkat(from, name, target, sizeof target - 1);
		if (n < 0)
			return error_errno(err, "cannot read %s", name);
		target[n] = '\0';
		return symlinkat(target, to, name) < 0 ? error_errno(err, "cannot write %s", name)
		                                       : 0;
	}
	in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	             st->st_mode & 0777);
	if (in < 0 || out < 0)
		return error_errno(err, "cannot copy %s", name);
	while ((n = buf_read(&chunk, in, 256u << 10)) > 0) {
		if (write_all(out, chunk.data, chunk.len) < 0)
			return error_errno(err, "cannot write %s", name);
		chunk.len = 0;
	}
	return n < 0 ? error_errno(err, "cannot read %s", name) : 0;
}

static int undo_file(int to, const char *name, struct error *err)
{
	_cleanup_free_ char *saved = xasprintf("%s%s", name, SAVED);
	struct stat st;
	bool there = fstatat(to, saved, &st, AT_SYMLINK_NOFOLLOW) == 0;

	/* Verify may have put a directory there: git removes what it knows of it. */
	if (unlinkat(to, name, 0) < 0 && errno != ENOENT && !there)
		return 0;
	if (there && renameat(to, saved, to, name) < 0)
		return error_errno(err, "cannot put %s back", name);
	return 0;
}

/* Walks the overlay (`from`) and the slot (`to`) side by side. */
static int walk(int from, int to, bool lay, int depth, struct error *err)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir || depth > DEPTH_MAX) {
		if (fd >= 0 && !dir)
			close(fd);
		rc = error_errno(err, "cannot read the overlay");
	}
	while (rc == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		struct stat st;

		if (!path_is_inside(name) || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			_cleanup_close_ int source =
			    openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			_cleanup_close_ int target =
			    dir_open_below(to, name, lay ? DIR_REPLACE : DIR_MUST_BE);

			if (lay && (source < 0 || target < 0))
				rc = error_errno(err, "cannot make %s", name);
			else if (source >= 0 && target >= 0)
				rc = walk(source, target, lay, depth + 1, err);
		} else if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) {
			rc = lay ? lay_file(from, to, name, &st, err) : undo_file(to, name, err);
		}
	}
	if (dir)
		closedir(dir);
	return rc;
}

static int run(struct slot *slot, bool lay, struct error *err)
{
	_cleanup_close_ int from = open(slot->marker.overlay, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int to = open(slot->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from < 0 && !lay && errno == ENOENT)
		return 0;
	if (from < 0)
		return error_errno(err, "cannot read overlay %s", slot->marker.overlay);
	if (to < 0)
		return error_errno(err, "cannot open %s", slot->dir);
	return walk(from, to, lay, 0, err);
}

static int record(struct slot *slot, char *overlay, struct error *err)
{
	free(slot->marker.overlay);
	slot->marker.overlay = overlay;
	return marker_write(slot->git_dir, &slot->marker, err);
}

int slot_lay_overlay(struct slot *slot, const char *overlay, struct error *err)
{
	char *dir = *overlay == '/' ? xstrdup(overlay) : repo_path(slot->repo.place.root, overlay);

	if (record(slot, dir, err) < 0)
		return -1;
	return run(slot, true, err);
}

int slot_undo_overlay(struct slot *slot, struct error *err)
{
	if (run(slot, false, err) < 0)
		return -1;
	return record(slot, NULL, err);
}
