/* Whether a tree fits on the disk that its slot is made on. Asked of the file system alone as
 * long as there is plenty; of the tree's sizes when there is not. And whether the disks of the
 * repository and of the slot take anything at all, asked by writing to them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mem.h"
#include "place.h"
#include "slot_internal.h"

#define PLENTY     (8LL << 30)
#define FILE_ALONE 4096LL /* what a file takes beside its bytes, rounded up */
#define PROBE      (1u << 20)

/* Bytes that the files of a commit take, as `ls-tree -l` tells their sizes. */
static int size_of_tree(const struct slot *slot, const char *commit, long long *bytes,
                        struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};

	if (git_run(&slot->repo, &run, GIT_ARGS("ls-tree", "-r", "-l", "-z", "--full-tree", commit),
	            err) < 0)
		return -1;
	/* MODE SP TYPE SP ID SP SIZE TAB PATH; the size is right-justified. */
	for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1) {
		const char *tab = strchr(text.data + at, '\t'), *size = tab;

		while (size && size > text.data + at && size[-1] != ' ')
			size--;
		if (size)
			*bytes += strtoll(size, NULL, 10) + FILE_ALONE;
	}
	return 0;
}

int slot_check_space(const struct slot *slot, const char *commit, struct error *err)
{
	const char *text = getenv("PLEACH_TEST_DISK_FREE");
	long long left, need = 0;
	struct statvfs fs;

	if (statvfs(slot->dir, &fs) < 0)
		return error_errno(err, "cannot look at %s", slot->dir);
	left = text ? strtoll(text, NULL, 10) : (long long)fs.f_bavail * (long long)fs.f_frsize;
	if (left > PLENTY)
		return 0;
	/* In a partial clone asking for sizes would fetch everything. */
	if (repo_is_partial(&slot->repo))
		return 0;
	if (size_of_tree(slot, commit, &need, err) < 0)
		return -1;
	if (need <= left)
		return 0;
	return error_set(
	    err, ERROR_EXTERNAL,
	    "the slot needs %lld MB and its disk has %lld MB left (make room, limit it "
	    "by `paths:`, or see what `pleach gc` would remove)",
	    (need >> 20) + 1, left >> 20);
}

/* Without a name, so that nobody's death leaves one; where that cannot be, a name that is gone
 * before anything is written. */
static int open_probe(const char *dir, const char *teammate)
{
	_cleanup_free_ char *path = xasprintf("%s/.pleach.probe-%s", dir, teammate);
	int fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && unlink(path) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Synced: a disk may refuse only then. -1 with errno. */
static int write_probe(const char *dir, const char *teammate)
{
	_cleanup_free_ char *data = xcalloc(1, PROBE);
	_cleanup_close_ int fd = open_probe(dir, teammate);

	if (fd < 0)
		return -1;
	for (size_t done = 0; done < PROBE;) {
		ssize_t n = write(fd, data + done, PROBE - done);

		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd);
}

static int dir_can_write(const char *dir, const char *teammate, struct error *err)
{
	if (write_probe(dir, teammate) == 0 ||
	    (errno != ENOSPC && errno != EDQUOT && errno != EIO && errno != EROFS))
		return 0;
	return error_errno(err, "%s cannot be written", dir);
}

int slot_can_write(const char *root, const char *dir, const char *teammate, struct error *err)
{
	_cleanup_free_ char *above = xstrdup(dir);
	struct place place;
	struct stat st;
	int rc = 0;

	if (place_find(root, &place, NULL) == 0) {
		rc = dir_can_write(place.common_dir, teammate, err);
		place_finish(&place);
	}
	/* Beside the slot, which may be an agent's to replace, or not be there yet. */
	do {
		char *slash = strrchr(above, '/');

		if (rc != 0 || !slash || slash == above)
			return rc;
		*slash = '\0';
	} while (lstat(above, &st) < 0);
	return dir_can_write(above, teammate, err);
}

int space_can_write(const struct repo *repo, const char *teammate, struct error *err)
{
	return dir_can_write(repo->place.common_dir, teammate, err);
}
