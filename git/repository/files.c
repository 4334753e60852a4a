/* Small work on files that does not trust what lies there. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define DEPTH_MAX 512

static int open_regular(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		errno = ELOOP;
		return -1;
	}
	return fd;
}

static bool is_absence(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EISDIR ||
	       error == ENXIO;
}

int file_read(const char *path, size_t max, struct buf *out, struct error *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_regular(path, &st);
	ssize_t n;

	if (fd < 0)
		return is_absence(errno) ? 0 : error_errno(err, "cannot read %s", path);
	while ((n = buf_read(out, fd, 32u << 10)) > 0)
		if (out->len > max)
			return error_set(err, ERROR_EXTERNAL, "%s is too large", path);
	if (n < 0)
		return error_errno(err, "cannot read %s", path);
	buf_add(out, "", 0);
	return 1;
}

char *file_line(const char *path)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (file_read(path, 64u << 10, &text, NULL) != 1)
		return NULL;
	text.data[strcspn(text.data, "\n")] = '\0';
	return xstrdup(text.data);
}

void file_set_time(const char *path, const char *like)
{
	struct stat st;

	if (lstat(like, &st) == 0)
		utimensat(AT_FDCWD, path, (const struct timespec[]){st.st_atim, st.st_mtim},
		          AT_SYMLINK_NOFOLLOW);
}

int file_copy(const char *from, const char *to, struct error *err)
{
	struct stat st;
	_cleanup_close_ int in = open_regular(from, &st);
	_cleanup_buf_ struct buf chunk = BUF_INIT;
	int out;
	ssize_t n;

	if (in < 0)
		return is_absence(errno) ? 0 : error_errno(err, "cannot read %s", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, st.st_mode & 0777);
	if (out < 0)
		return error_errno(err, "cannot write %s", to);
	while ((n = buf_read(&chunk, in, 256u << 10)) > 0) {
		if (write_all(out, chunk.data, chunk.len) < 0) {
			n = -1;
			break;
		}
		chunk.len = 0;
	}
	/* An index that seems younger than it is makes git trust files that changed since. */
	if (futimens(out, (const struct timespec[]){st.st_atim, st.st_mtim}) < 0)
		n = -1;
	if (close(out) < 0)
		n = -1;
	if (n < 0) {
		error_errno(err, "cannot copy %s to %s", from, to);
		unlink(to);
		return -1;
	}
	return 1;
}

bool file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_below(int parent, const char *name, int depth)
{
	struct dirent *entry;
	DIR *dir;
	int fd, rc = 0;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || depth > DEPTH_MAX) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	dir = fdopendir(fd);
	while (dir && (entry = readdir(dir)))
		if (!is_dots(entry->d_name) && remove_below(fd, entry->d_name, depth + 1) < 0)
			rc = -1;
	if (dir)
		closedir(dir);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 ? rc : -1;
}

int file_remove_all(const char *path, struct error *err)
{
	if (remove_below(AT_FDCWD, path, 0) < 0)
		return error_errno(err, "cannot remove %s", path);
	return 0;
}

static void make_accessible_below(int parent, const char *name, int depth)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int fd;

	if (depth > DEPTH_MAX || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISREG(st.st_mode) && !(st.st_mode & S_IRUSR))
		fchmodat(parent, name, (st.st_mode & 07777) | S_IRUSR, 0);
	if (!S_ISDIR(st.st_mode))
		return;
	if ((st.st_mode & S_IRWXU) != S_IRWXU)
		fchmodat(parent, name, (st.st_mode & 07777) | S_IRWXU, 0);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir)))
		if (!is_dots(entry->d_name))
			make_accessible_below(fd, entry->d_name, depth + 1);
	if (dir)
		closedir(dir);
}

void files_make_accessible(const char *dir)
{
	make_accessible_below(AT_FDCWD, dir, 0);
}

int dir_open_below(int root_fd, const char *path, enum dir_below how)
{
	int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && *path) {
		size_t n = strcspn(path, "/");
		_cleanup_free_ char *part = xstrndup(path, n);
		int next;

		path += n + (path[n] == '/');
		if (!n)
			continue;
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && how == DIR_REPLACE && (errno == ENOTDIR || errno == ELOOP)) {
			unlinkat(fd, part, 0);
			errno = ENOENT;
		}
		if (next < 0 && how != DIR_MUST_BE && errno == ENOENT &&
		    mkdirat(fd, part, 0777) == 0)
			next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return fd;
}

char *path_parent(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	return xstrndup(path, slash ? (size_t)(slash - path) : 0);
}

int dir_spot_enter(struct dir_spot *spot, int root_fd, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (spot->path && strncmp(spot->path, path, n) == 0 && !spot->path[n])
		return spot->fd;
	dir_spot_leave(spot);
	spot->path = xstrndup(path, n);
	spot->fd = dir_open_below(root_fd, spot->path, DIR_MUST_BE);
	return spot->fd;
}

void dir_spot_leave(struct dir_spot *spot)
{
	if (spot->fd >= 0)
		close(spot->fd);
	free(spot->path);
	*spot = (struct dir_spot)DIR_SPOT_INIT;
}

char *path_plain(const char *path)
{
	size_t n;

	while (strncmp(path, "./", 2) == 0)
		path += 2;
	n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	return xstrndup(path, n);
}

bool path_is_inside(const char *path)
{
	if (!path || !*path || *path == '/')
		return false;
	while (*path) {
		size_t n = strcspn(path, "/");

		if ((n == 2 && strncmp(path, "..", 2) == 0) ||
		    (n == 1 && *path == '.' && path[1] == '\0') ||
		    (n == 4 && strncasecmp(path, ".git", 4) == 0))
			return false;
		path += n + (path[n] == '/');
	}
	return true;
}

bool path_is_below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	while (n && prefix[n - 1] == '/')
		n--;
	return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

char *path_settle_parent(const char *path)
{
	_cleanup_free_ char *copy = path_plain(path), *parent = NULL;
	char *slash = strrchr(copy, '/');

	if (!slash || !slash[1])
		return path_settle(path);
	*slash = '\0';
	parent = path_settle(*copy ? copy : "/");
	return parent ? xasprintf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1)
	              : NULL;
}

char *path_settle(const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path), *parent = NULL;
	size_t n = strlen(copy);
	char *slash, *real;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	real = realpath(copy, NULL);
	slash = strrchr(copy, '/');
	/* A link in the last part is resolved too where it leads somewhere: git does so. */
	if (real || !slash)
		return real;
	*slash = '\0';
	parent = path_settle(*copy ? copy : "/");
	return parent ? xasprintf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1)
	              : NULL;
}
