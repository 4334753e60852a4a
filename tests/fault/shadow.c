/* A shadow of what is on the disk for certain: everything that was synced, and nothing else.
 *
 * fsync and fdatasync copy the file's content into $PLEACH_SHADOW/i/<inode>, fsync of a folder the
 * list of its names into d/<inode>; sync and syncfs do both for all of $PLEACH_SHADOW_ROOT. A name
 * is as durable as its folder was synced, never more: the letter of POSIX, which is less than any
 * journalling file system gives. No disk is really synced. tests/fault/disk.py makes a tree of the
 * shadow. Once $PLEACH_SHADOW/cut is there the power is off: whoever syncs waits for ever. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

#define PATH_SIZE  4096
#define FILE_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

static const char *shadow_dir(void)
{
	return getenv("PLEACH_SHADOW");
}

/* An inode's number is used again, its number and its birth are not. */
static bool identity(int dir, const char *name, struct statx *st, char id[64])
{
	if (statx(dir, name, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH),
	          STATX_BASIC_STATS | STATX_BTIME, st) < 0)
		return false;
	snprintf(id, 64, "%llu-%lld.%09u", (unsigned long long)st->stx_ino,
	         (long long)st->stx_btime.tv_sec, st->stx_btime.tv_nsec);
	return true;
}

static bool below_root(const char *path)
{
	const char *root = getenv("PLEACH_SHADOW_ROOT");
	size_t n = root ? strlen(root) : 0;

	return n && strncmp(path, root, n) == 0 && (path[n] == '/' || !path[n]);
}

/* One sync at a time, or an older copy could replace a newer one. After the cut nobody returns. */
static int lock_shadow(void)
{
	char path[PATH_SIZE];
	int fd;

	snprintf(path, sizeof path, "%s/lock", shadow_dir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	snprintf(path, sizeof path, "%s/cut", shadow_dir());
	if (access(path, F_OK) == 0) {
		close(fd);
		for (;;)
			pause();
	}
	return fd;
}

/* Where the shadow of an inode is written first, and where it belongs then. */
static int shadow_create(char kind, const char *id, char *tmp, char *final)
{
	snprintf(tmp, PATH_SIZE, "%s/tmp.%ld", shadow_dir(), (long)syscall(SYS_gettid));
	snprintf(final, PATH_SIZE, "%s/%c/%s", shadow_dir(), kind, id);
	return open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void shadow_done(int fd, const char *tmp, const char *final, const struct statx *st)
{
	/* The times tell that it need not be copied again. */
	const struct timespec times[2] = {
	    {.tv_sec = st->stx_mtime.tv_sec, .tv_nsec = st->stx_mtime.tv_nsec},
	    {.tv_sec = st->stx_mtime.tv_sec, .tv_nsec = st->stx_mtime.tv_nsec}};

	futimens(fd, times);
	close(fd);
	if (rename(tmp, final) < 0)
		abort();
}

static bool is_shadowed(char kind, const char *id, const struct statx *st)
{
	char path[PATH_SIZE];
	struct stat have;

	snprintf(path, sizeof path, "%s/%c/%s", shadow_dir(), kind, id);
	return stat(path, &have) == 0 && have.st_mtim.tv_sec == st->stx_mtime.tv_sec &&
	       have.st_mtim.tv_nsec == st->stx_mtime.tv_nsec &&
	       (kind == 'd' || (uint64_t)have.st_size == st->stx_size);
}

static void write_whole(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno != EINTR)
			abort(); /* the test's own disk is full */
		data += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

/* Takes from. */
static void shadow_content(int from, bool anyhow)
{
	char id[64], tmp[PATH_SIZE], final[PATH_SIZE], chunk[1 << 16];
	struct statx st;
	ssize_t n;
	int to;

	if (from < 0)
		return;
	if (identity(from, "", &st, id) && (anyhow || !is_shadowed('i', id, &st))) {
		to = shadow_create('i', id, tmp, final);
		while ((n = read(from, chunk, sizeof chunk)) > 0)
			write_whole(to, chunk, (size_t)n);
		shadow_done(to, tmp, final, &st);
	}
	close(from);
}

/* A line a name, each ended by NUL: type, identity, mode, name, and where a link points. */
static void list_name(FILE *out, int dir, const char *name)
{
	char id[64], target[PATH_SIZE] = "";
	struct statx st;
	char type;

	if (!identity(dir, name, &st, id))
		return;
	type = S_ISDIR(st.stx_mode)   ? 'd'
	       : S_ISREG(st.stx_mode) ? 'f'
	       : S_ISLNK(st.stx_mode) ? 'l'
	                              : '?';
	if (type == '?')
		return;
	if (type == 'l' && readlinkat(dir, name, target, sizeof target - 1) < 0)
		return;
	fprintf(out, "%c %s %o %s%c%s%c", type, id, st.stx_mode & 07777u, name, 0, target, 0);
}

static void shadow_names(int fd)
{
	char id[64], tmp[PATH_SIZE], final[PATH_SIZE];
	struct dirent *entry;
	struct statx st;
	FILE *out;
	DIR *dir;
	int to, copy;

	if (!identity(fd, "", &st, id) || is_shadowed('d', id, &st))
		return;
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		return;
	to = shadow_create('d', id, tmp, final);
	out = fdopen(dup(to), "w");
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			list_name(out, fd, entry->d_name);
	fclose(out);
	closedir(dir);
	shadow_done(to, tmp, final, &st);
}

/* Everything below a folder: what sync and syncfs do. Takes fd. */
static void shadow_tree(int fd)
{
	struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (entry->d_type == DT_DIR)
			shadow_tree(
			    openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		else if (entry->d_type == DT_REG)
			shadow_content(openat(fd, name, FILE_FLAGS), false);
	}
	shadow_names(fd);
	closedir(dir);
}

static void shadow_all(void)
{
	const char *root = getenv("PLEACH_SHADOW_ROOT");
	int lock = lock_shadow();

	if (root)
		shadow_tree(open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	close(lock);
}

static void shadow_one(int fd)
{
	char path[PATH_SIZE];
	struct stat st;
	int lock;

	if (!preload_path(fd, path, sizeof path) || !below_root(path) || fstat(fd, &st) < 0)
		return;
	lock = lock_shadow();
	if (S_ISDIR(st.st_mode)) {
		shadow_names(fd);
	} else if (S_ISREG(st.st_mode) && st.st_nlink) {
		/* By its descriptor: it may have another name by now. It may be open for writing
		 * only, so that it is opened again. */
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		shadow_content(open(path, O_RDONLY | O_CLOEXEC), true);
	}
	close(lock);
}

/* ---- in front of libc ---- */

static int sync_fd(const char *call, int fd, int (*real)(int))
{
	int saved = errno, why;

	if (preload_inside)
		return real(fd);
	why = refuse_fd(call, fd);
	if (why) {
		errno = why;
		return -1;
	}
	if (!shadow_dir())
		return real(fd);
	preload_inside = true;
	if (strcmp(call, "syncfs") == 0)
		shadow_all();
	else
		shadow_one(fd);
	preload_inside = false;
	errno = saved;
	return 0;
}

int fsync(int fd)
{
	return sync_fd("fsync", fd, REAL(fsync));
}

int fdatasync(int fd)
{
	return sync_fd("fsync", fd, REAL(fdatasync));
}

int syncfs(int fd)
{
	return sync_fd("syncfs", fd, REAL(syncfs));
}

void sync(void)
{
	if (preload_inside || !shadow_dir()) {
		REAL(sync)();
		return;
	}
	preload_inside = true;
	shadow_all();
	preload_inside = false;
}
