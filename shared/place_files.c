/* Files of ours: read whole, written whole and durably, and the private directories that hold
 * them. What the files mean is not known here. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"
#include "text.h"

#define HALF_TRIES 1000 /* a millisecond each: so long may another one write the same file */

int place_read_file(const char *path, size_t max, char **data, size_t *len, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf text = BUF_INIT;
	ssize_t n;

	if (fd < 0) {
		bool missing = errno == ENOENT || errno == ENOTDIR;

		error_errno(err, "cannot read %s", path);
		if (err && missing)
			err->code = ERROR_NOT_FOUND;
		return -1;
	}
	while ((n = buf_read(&text, fd, 64u << 10)) > 0)
		if (text.len > max)
			return error_set(err, ERROR_INVALID, "%s is longer than %zu bytes", path,
			                 max);
	if (n < 0)
		return error_errno(err, "cannot read %s", path);
	if (len)
		*len = text.len;
	*data = buf_take(&text);
	return 0;
}

int place_sync_name(const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);
	_cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

static bool is_file_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/* Removes what a writer that died left. One that lives holds its lock, for a moment. */
static void remove_half(const char *half)
{
	_cleanup_close_ int fd = open(half, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		poll(NULL, 0, 1);
	else if (fd < 0 || is_file_at(fd, half))
		unlink(half);
}

/* A new file at `half`, locked for as long as it is written: its name is always the same, so
 * that the next writer finds what a dead one left. */
static int open_half(const char *half)
{
	for (int i = 0; i < HALF_TRIES; i++) {
		int fd = open(half, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0 && errno != EEXIST)
			return -1;
		if (fd >= 0 && flock(fd, LOCK_EX) == 0 && is_file_at(fd, half))
			return fd;
		if (fd >= 0)
			close(fd); /* somebody took it for a dead one's before we had the lock */
		else
			remove_half(half);
	}
	errno = EBUSY;
	return -1;
}

static int write_file(const char *path, const void *data, size_t len, bool durably,
                      struct error *err)
{
	_cleanup_free_ char *half = xasprintf("%s" PLACE_HALF, path);
	int fd = open_half(half), rc;

	if (fd < 0)
		return error_errno(err, "cannot write %s", path);
	rc = write_all(fd, data, len);
	if (rc == 0 && durably)
		rc = fsync(fd);
	if (rc == 0)
		rc = rename(half, path);
	if (rc == 0 && durably)
		rc = place_sync_name(path);
	if (rc < 0) {
		error_errno(err, "cannot write %s", path);
		unlink(half);
	}
	close(fd);
	return rc;
}

int place_write_file(const char *path, const void *data, size_t len, struct error *err)
{
	return write_file(path, data, len, true, err);
}

int place_write_file_lazily(const char *path, const void *data, size_t len, struct error *err)
{
	return write_file(path, data, len, false, err);
}

/* A new folder is as durable as what will be in it. */
static int make_dir(const char *path, struct error *err)
{
	if (mkdir(path, 0700) == 0 ? place_sync_name(path) == 0 : errno == EEXIST)
		return 0;
	return error_errno(err, "cannot make directory %s", path);
}

int place_make_private_dir(const char *dir, struct error *err)
{
	_cleanup_free_ char *path = xstrdup(dir);
	struct stat st;

	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (make_dir(path, err) < 0)
			return -1;
		*p = '/';
	}
	if (make_dir(path, err) < 0)
		return -1;
	/* Somebody else may have been here first, in /tmp above all. */
	if (lstat(path, &st) < 0)
		return error_errno(err, "cannot look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_EXTERNAL, "%s is not a directory (remove it)", path);
	if (st.st_uid != geteuid())
		return error_set(err, ERROR_EXTERNAL, "%s belongs to another user (uid %d)", path,
		                 (int)st.st_uid);
	if ((st.st_mode & 0777) != 0700 && chmod(path, 0700) < 0)
		return error_errno(err, "cannot make %s private", path);
	return 0;
}
