/* Patterns of `copy` and `link`: *, ? and [..] within a name, ** for any directories. They are
 * looked up in the user's main worktree; no link is followed on the way. */
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "slot_internal.h"

#define DEPTH_MAX 64
#define FOUND_MAX 4096 /* what one list may grow to */

struct search {
	char **found;
	size_t count;
	bool too_many;
};

static bool is_pattern(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr("*?[", text[i]))
			return true;
	return false;
}

static void add_found(struct search *search, const char *path)
{
	for (size_t i = 0; i < search->count; i++)
		if (strcmp(search->found[i], path) == 0)
			return;
	if (search->count == FOUND_MAX) {
		search->too_many = true;
		return;
	}
	strv_push(&search->found, xstrdup(path));
	search->count++;
}

/* `here` is the path of `fd` ("" at the top); `rest` the pattern below it. */
static void look(struct search *search, int fd, const char *here, const char *rest, int depth);

static void look_below(struct search *search, int fd, const char *name, const char *path,
                       const char *rest, int depth)
{
	_cleanup_close_ int below =
	    openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (below >= 0)
		look(search, below, path, rest, depth + 1);
}

static void try_entry(struct search *search, int fd, const char *here, const char *name,
                      const char *rest, int depth)
{
	size_t n = strcspn(rest, "/");
	_cleanup_free_ char *part = xstrndup(rest, n);
	_cleanup_free_ char *path = *here ? xasprintf("%s/%s", here, name) : xstrdup(name);

	if (strcmp(part, "**") == 0) {
		look_below(search, fd, name, path, rest, depth);
		return;
	}
	/* As in a shell: a leading dot is matched by a dot alone. */
	if (fnmatch(part, name, FNM_PERIOD) != 0)
		return;
	if (!rest[n])
		add_found(search, path);
	else
		look_below(search, fd, name, path, rest + n + 1, depth);
}

static void look(struct search *search, int fd, const char *here, const char *rest, int depth)
{
	int copy = depth < DEPTH_MAX ? openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!dir && copy >= 0)
		close(copy);
	/* ** stands for no directory too. */
	if (strncmp(rest, "**/", 3) == 0)
		look(search, fd, here, rest + 3, depth + 1);
	while (dir && !search->too_many && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcasecmp(entry->d_name, ".git") != 0)
			try_entry(search, fd, here, entry->d_name, rest, depth);
	if (dir)
		closedir(dir);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int slot_expand(const struct slot *slot, const char *const *list, char ***out, struct error *err)
{
	_cleanup_close_ int fd = open(slot->repo.place.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct search search = {.found = NULL};

	for (size_t i = 0; list && list[i]; i++) {
		_cleanup_free_ char *path = path_plain(list[i]);
		size_t before = search.count;

		if (!path_is_inside(path)) {
			strv_free(search.found);
			return error_set(err, ERROR_INVALID,
			                 "%s: copy and link take paths inside the repository",
			                 list[i]);
		}
		if (!is_pattern(path, strlen(path)))
			add_found(&search, path);
		else if (fd >= 0)
			look(&search, fd, "", path, 0);
		if (search.count > before)
			qsort(search.found + before, search.count - before, sizeof *search.found,
			      by_text);
	}
	if (search.too_many) {
		strv_free(search.found);
		return error_set(err, ERROR_INVALID, "copy and link: more than %d paths match",
		                 FOUND_MAX);
	}
	*out = search.found;
	return 0;
}
