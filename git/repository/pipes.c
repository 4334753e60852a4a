/* Looks for pipes that hold up git, and takes them away. Only by names that git reads; it follows
 * no symbolic link and leaves everything else as it is. */
#include "pipes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"

#define DEPTH_MAX 256

static bool is_read_by_git(const char *name)
{
	static const char *const names[] = {".gitignore", ".gitattributes", ".gitmodules"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void remove_pipe(int parent, const char *name)
{
	struct stat st;
	int fd;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISFIFO(st.st_mode))
		return;
	/* Opened for writing, it lets a reader in; closed again, the reader is at its end. */
	fd = openat(parent, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	unlinkat(parent, name, 0);
	if (fd >= 0)
		close(fd);
	log_warn("git", "a pipe named %s stood in git's way: removed", name);
}

static void look_below(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (is_read_by_git(entry->d_name))
			remove_pipe(fd, entry->d_name);
		if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && depth < DEPTH_MAX &&
		    strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, ".git") != 0)
			look_below(fd, entry->d_name, depth + 1);
	}
	closedir(dir);
}

void pipes_remove(const char *dir)
{
	look_below(AT_FDCWD, dir, 0);
}

void pipes_remove_own(const char *common_dir)
{
	static const char *const names[] = {"info/exclude",
	                                    "info/attributes",
	                                    "info/grafts",
	                                    "info/sparse-checkout",
	                                    "objects/info/alternates",
	                                    "packed-refs",
	                                    "shallow",
	                                    "config",
	                                    "config.worktree"};
	_cleanup_close_ int dir = open(common_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (size_t i = 0; dir >= 0 && i < ARRAY_LEN(names); i++)
		remove_pipe(dir, names[i]);
}
