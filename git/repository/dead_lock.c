/* The lock of `git maintenance`, which each commit of an agent may start: a git that is killed in
 * it leaves it, and from then on no maintenance runs in the repository, without a word. Git has it
 * open as long as it is its own, so it is known when nobody's it is. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "repo.h"

#define NAME "/maintenance.lock"

/* By its name: what a git that we may not look into (of another group) has open is not known. */
static bool is_git(const char *pid)
{
	_cleanup_free_ char *file = xasprintf("/proc/%s/comm", pid), *name = file_line(file);

	return name && strncmp(name, "git", 3) == 0;
}

/* Of this repository or of another, whose objects may be anywhere: in doubt somebody's. */
static bool has_one_open(const char *pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	struct dirent *entry;
	char target[PATH_MAX];
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target);
		size_t len = sizeof NAME - 1;

		if (n < 0 && errno == EACCES) {
			found = is_git(pid);
			break;
		}
		found = n >= (ssize_t)len && memcmp(target + n - len, NAME, len) == 0;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* True also where it cannot be known. */
static bool is_held(void)
{
	DIR *proc = opendir("/proc");
	bool held = proc == NULL;
	struct dirent *entry;

	while (!held && (entry = readdir(proc)))
		held = strspn(entry->d_name, "0123456789") == strlen(entry->d_name) &&
		       has_one_open(entry->d_name);
	if (proc)
		closedir(proc);
	return held;
}

void repo_drop_dead_lock(const struct repo *repo)
{
	_cleanup_free_ char *path = repo_path(repo->place.common_dir, "objects" NAME);
	struct stat st;

	/* What somebody else made is open in processes that we cannot look into. */
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !is_held())
		unlink(path);
}
