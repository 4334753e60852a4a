/* Walks a working tree beside its index: what has another stat, what is gone, what is there that
 * the index does not know. It reads no file's content and writes nothing. */
#include "look.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "mem.h"

#define DEPTH_MAX  128
#define CHANGES    1000  /* more than this is work for git, which does it as fast */
#define DOUBTS     20000 /* these are only read, which git does no faster */
#define SLACK_NS   20000000L
#define NSEC       1000000000L
#define INDEX_LINK 0120000u

struct walk {
	const struct index_view *view;
	struct look_rule rule;
	bool *sure; /* one an entry: nothing to look at */
	struct look *out;
	size_t doubts; /* of those in it: same stat, but fresh */
};

/* The entries of one directory: from..to, whose paths begin with the same `skip` bytes. */
struct range {
	size_t from, to, skip;
};

void look_finish(struct look *look)
{
	for (size_t i = 0; i < look->count; i++)
		free(look->items[i].path);
	free(look->items);
	strv_free(look->strays);
	*look = (struct look)LOOK_INIT;
}

void look_add(struct look *look, char *path, const struct index_entry *old, const struct stat *st,
              bool same_stat)
{
	/* Room doubles whenever the count is a power of two. */
	if ((look->count & (look->count - 1)) == 0)
		look->items = xrealloc(look->items,
		                       (look->count ? look->count * 2 : 1) * sizeof *look->items);
	look->items[look->count++] = (struct look_item){
	    .path = path, .old = old, .st = st ? *st : (struct stat){0}, .same_stat = same_stat};
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct look_item *)a)->path, ((const struct look_item *)b)->path);
}

void look_sort(struct look *look)
{
	if (look->count)
		qsort(look->items, look->count, sizeof *look->items, by_path);
}

static unsigned read32(const unsigned char *p)
{
	return (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
}

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool same_time(const unsigned char *raw, const struct timespec *time)
{
	return read32(raw) == (unsigned)time->tv_sec && read32(raw + 4) == (unsigned)time->tv_nsec;
}

static bool same_type(const struct index_entry *entry, mode_t mode)
{
	if (entry->mode == INDEX_LINK)
		return S_ISLNK(mode);
	return S_ISREG(mode) && ((entry->mode & 0111) != 0) == ((mode & S_IXUSR) != 0);
}

/* The layout of gitformat-index(5): both times, device, inode, mode, owner, size. Unlike git
 * itself, to the nanosecond. */
bool look_same_stat(const struct index_entry *entry, const struct stat *st)
{
	const unsigned char *raw = entry->raw;

	return same_type(entry, st->st_mode) && same_time(raw, &st->st_ctim) &&
	       same_time(raw + 8, &st->st_mtim) && read32(raw + 20) == (unsigned)st->st_ino &&
	       read32(raw + 28) == st->st_uid && read32(raw + 32) == st->st_gid &&
	       read32(raw + 36) == (unsigned)st->st_size;
}

/* A file that was written about when its stat was taken may have been written again within the
 * same tick of the clock. On file systems that know no nanoseconds git's rule is all there is. */
bool look_is_fresh(const struct look_rule *rule, const struct stat *st)
{
	if (st->st_mtim.tv_nsec && st->st_ctim.tv_nsec && before(&st->st_mtim, &rule->fence) &&
	    before(&st->st_ctim, &rule->fence))
		return false;
	return !before(&st->st_mtim, &rule->second) || !before(&st->st_ctim, &rule->second);
}

bool look_is_special(const char *name)
{
	bool git = strncasecmp(name, ".git", 4) == 0;

	return (git && !isalnum((unsigned char)name[4])) || strncasecmp(name, "git~", 4) == 0 ||
	       (git && (strcasecmp(name + 4, "attributes") == 0 ||
	                strcasecmp(name + 4, "modules") == 0)) ||
	       strchr(name, '\\');
}

bool look_is_special_path(const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");
		_cleanup_free_ char *part = xstrndup(path, n);

		if (!n || strcmp(part, ".") == 0 || strcmp(part, "..") == 0 ||
		    look_is_special(part))
			return true;
		path += n + (path[n] == '/');
	}
	return false;
}

static void note_name(struct look *out, const char *name)
{
	if (strcmp(name, ".gitignore") == 0)
		out->has_ignores = true;
	else if (strcmp(name, ".gitattributes") == 0)
		out->has_attributes = true;
}

/* 0, or 1: not for us. `*there`: counted among the directory's names. */
static int look_at_file(struct walk *walk, int fd, size_t index, size_t skip, size_t *there)
{
	const struct index_entry *entry = &walk->view->items[index];
	const char *name = entry->path + skip;
	struct stat st;

	if (name[0] == '.')
		note_name(walk->out, name);
	if (fd >= 0 && walk->sure[index]) {
		++*there;
		return 0;
	}
	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (fd >= 0 && errno != ENOENT)
			return 1;
		look_add(walk->out, xstrdup(entry->path), entry, NULL, false);
	} else if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
		return 1;
	} else {
		bool same = look_same_stat(entry, &st);

		++*there;
		if (!same || look_is_fresh(&walk->rule, &st)) {
			look_add(walk->out, xstrdup(entry->path), entry, &st, same);
			walk->doubts += same;
		}
	}
	return walk->out->count - walk->doubts > CHANGES || walk->doubts > DOUBTS;
}

/* Where the entries below the directory of entry `from` end. */
static size_t end_of_dir(const struct walk *walk, const struct range *range, size_t from,
                         size_t len)
{
	const char *prefix = walk->view->items[from].path;
	size_t low = from, high = range->to;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(walk->view->items[middle].path, prefix, len) == 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_known(const struct walk *walk, const struct range *range, const char *name)
{
	size_t n = strlen(name), low = range->from, high = range->to;

	/* The first entry that is not before NAME, then the first not before NAME/. */
	for (int slash = 0; slash < 2; slash++) {
		high = range->to;
		while (low < high) {
			size_t middle = low + (high - low) / 2;
			const char *path = walk->view->items[middle].path + range->skip;
			int rc = strncmp(path, name, n);

			if (rc == 0)
				rc = (unsigned char)path[n] < (unsigned char)(slash ? '/' : '\0')
				         ? -1
				         : 1;
			if (rc < 0)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < range->to) {
			const char *path = walk->view->items[low].path + range->skip;

			if (strncmp(path, name, n) == 0 && path[n] == (slash ? '/' : '\0'))
				return true;
		}
	}
	return false;
}

/* Names that the index lacks; only where there are more names than entries. 0 or 1. */
static int find_strays(struct walk *walk, DIR *dir, const struct range *range, bool top,
                       size_t there)
{
	const char *prefix = range->to > range->from ? walk->view->items[range->from].path : "";
	struct dirent *entry;
	size_t names = 0;

	while ((entry = readdir(dir)))
		names += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		         !(top && strcmp(entry->d_name, ".git") == 0);
	if (names == there)
		return 0;
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    (top && strcmp(name, ".git") == 0) || is_known(walk, range, name))
			continue;
		if (look_is_special(name))
			return 1;
		note_name(walk->out, name);
		strv_push(&walk->out->strays, xasprintf("%.*s%s", (int)range->skip, prefix, name));
	}
	return 0;
}

static int walk_dir(struct walk *walk, int fd, const struct range *range, int depth);

/* A directory of the index: there, gone with all that was in it, or something else. */
static int walk_sub(struct walk *walk, int parent, size_t from, size_t to, size_t skip, size_t len,
                    size_t *there, int depth)
{
	_cleanup_free_ char *name = xstrndup(walk->view->items[from].path + skip, len);
	struct range range = {from, to, skip + len + 1};
	int fd =
	    parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (parent >= 0 && fd < 0 && errno != ENOENT)
		return 1;
	*there += fd >= 0;
	return walk_dir(walk, fd, &range, depth + 1);
}

/* Takes fd; -1: the directory is gone. 0 or 1. */
static int walk_dir(struct walk *walk, int fd, const struct range *range, int depth)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t there = 0;
	int rc = (fd >= 0 && !dir) || depth > DEPTH_MAX;

	if (fd >= 0 && !dir)
		close(fd);
	for (size_t i = range->from; rc == 0 && i < range->to;) {
		const char *name = walk->view->items[i].path + range->skip;
		const char *slash = strchr(name, '/');
		size_t end = i + 1;

		if (slash) {
			size_t len = (size_t)(slash - name);

			end = end_of_dir(walk, range, i, range->skip + len + 1);
			rc = walk_sub(walk, fd, i, end, range->skip, len, &there, depth);
		} else {
			rc = look_at_file(walk, fd, i, range->skip, &there);
		}
		i = end;
	}
	if (rc == 0 && dir)
		rc = find_strays(walk, dir, range, depth == 0, there);
	if (dir)
		closedir(dir);
	return rc;
}

/* Entries that say more than a file's content are git's to understand. */
static bool is_plain_view(const struct index_view *view)
{
	if (view->version != 2 && view->version != 3)
		return false;
	for (size_t i = 0; i < view->count; i++) {
		const struct index_entry *entry = &view->items[i];

		if (entry->stage || entry->assumed || entry->skipped || entry->intended ||
		    entry->mode == MODE_LINK)
			return false;
		/* Anybody's bytes: the walk relies on their order. */
		if (i && strcmp(view->items[i - 1].path, entry->path) >= 0)
			return false;
	}
	return true;
}

int look_at(const struct capture_source *source, const struct index_view *view,
            const struct timespec *written, struct look *out)
{
	struct walk walk = {.view = view,
	                    .rule = {.fence = source->fence, .second = {.tv_sec = written->tv_sec}},
	                    .out = out};
	struct range all = {0, view->count, 0};
	struct timespec *fence = &walk.rule.fence;
	int fd, rc;

	if (!is_plain_view(view))
		return 1;
	if (fence->tv_sec) {
		fence->tv_nsec -= SLACK_NS;
		if (fence->tv_nsec < 0) {
			fence->tv_nsec += NSEC;
			fence->tv_sec--;
		}
	}
	fd = open(source->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 1;
	walk.sure = look_ahead(fd, view, &walk.rule);
	rc = walk_dir(&walk, fd, &all, 0);
	free(walk.sure);
	return rc != 0;
}
