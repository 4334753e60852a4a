/* A walk that follows no link, enters no other file system's surprises deeper than its bounds, and
 * changes nothing. Runs on a thread of libuv's pool: no state of its own. */
#include "touched.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define ENTRIES_MAX 100000
#define DEPTH_MAX   64

struct walk {
	int64_t newest;
	unsigned entries;
};

static void look(struct walk *walk, const struct stat *st)
{
	int64_t ms = (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;

	if (ms > walk->newest)
		walk->newest = ms;
}

/* Takes fd. */
static void enter(struct walk *walk, int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) && walk->entries < ENTRIES_MAX) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".git") == 0)
			continue;
		walk->entries++;
		if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		look(walk, &st);
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			int inner = openat(dirfd(dir), name,
			                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (inner >= 0)
				enter(walk, inner, depth + 1);
		}
	}
	closedir(dir);
}

int64_t touched_last(const char *path)
{
	struct walk walk = {0};
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		enter(&walk, fd, 0);
	return walk.newest;
}
