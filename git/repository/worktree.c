/* Worktrees: adding, removing, listing, and what ties them to the repository. */
#include "worktree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controls.h"
#include "files.h"
#include "mem.h"
#include "refs.h"

#define BEING_MADE "being made" /* why a worktree that will not be locked is */

static void read_head(const char *git_dir, struct worktree *tree)
{
	_cleanup_free_ char *file = repo_path(git_dir, "HEAD");
	_cleanup_free_ char *line = NULL;
	char to[PATH_MAX];
	ssize_t n = readlink(file, to, sizeof to - 1);

	if (n > 0) { /* core.preferSymlinkRefs */
		to[n] = '\0';
		tree->branch = strncmp(to, "refs/", 5) == 0 ? xstrdup(to) : NULL;
		return;
	}
	line = file_line(file);
	if (line && strncmp(line, "ref: ", 5) == 0)
		tree->branch = xstrdup(line + 5);
	else if (line && hex_is_id(line))
		tree->head = xstrdup(line);
}

/* A rebase or bisect detaches HEAD and moves the branch when it ends. */
static void read_doing(const char *git_dir, struct worktree *tree)
{
	static const struct {
		const char *file, *doing;
	} states[] = {{"rebase-merge/head-name", "rebase"},
	              {"rebase-apply/head-name", "rebase"},
	              {"BISECT_START", "bisect"}};

	for (size_t i = 0; i < ARRAY_LEN(states) && !tree->doing; i++) {
		_cleanup_free_ char *file = repo_path(git_dir, states[i].file);
		char *line = file_line(file);

		if (!line)
			continue;
		tree->doing = states[i].doing;
		tree->in_use = strncmp(line, "refs/", 5) == 0 ? xstrdup(line)
		                                              : xasprintf("refs/heads/%s", line);
		free(line);
	}
}

static void add_tree(struct worktrees *list, char *dir, char *git_dir)
{
	struct worktree tree = {.dir = dir, .git_dir = git_dir};
	_cleanup_free_ char *locked = repo_path(git_dir, "locked");

	read_head(git_dir, &tree);
	read_doing(git_dir, &tree);
	if (list->count && file_exists(locked)) {
		tree.lock_reason = file_line(locked);
		if (!tree.lock_reason)
			tree.lock_reason = xstrdup("");
	}
	if (dir) {
		_cleanup_free_ char *link = repo_path(dir, ".git");
		tree.missing = !file_exists(link);
	}
	list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
	list->items[list->count++] = tree;
}

/* The worktree that an entry below worktrees/ is for: its `gitdir` file, less /.git. */
static char *entry_dir(const char *git_dir)
{
	_cleanup_free_ char *file = repo_path(git_dir, "gitdir");
	char *line = file_line(file), *slash;

	if (!line)
		return NULL;
	if (*line != '/') { /* git 2.48 may write it relative to the entry */
		char *joined = xasprintf("%s/%s", git_dir, line);
		free(line);
		line = joined;
	}
	slash = strrchr(line, '/');
	if (!slash || slash == line || strcmp(slash, "/.git") != 0) {
		free(line);
		return NULL;
	}
	*slash = '\0';
	return line;
}

static bool is_our_reason(const char *reason, const char *begins)
{
	return reason && strncmp(reason, begins, strlen(begins)) == 0;
}

bool worktree_is_ours(const struct worktree *tree)
{
	return is_our_reason(tree->lock_reason, WORKTREE_OF_TEAMMATE);
}

int worktrees_read(const struct repo *repo, struct worktrees *out, struct error *err)
{
	_cleanup_free_ char *base = repo_path(repo->place.common_dir, "worktrees");
	struct worktrees list = WORKTREES_INIT;
	struct dirent *entry;
	DIR *dir = opendir(base);

	add_tree(&list, repo->place.bare ? NULL : xstrdup(repo->place.root),
	         xstrdup(repo->place.common_dir));
	if (!dir && errno != ENOENT) {
		worktrees_finish(&list);
		return error_errno(err, "cannot read %s", base);
	}
	while (dir && (entry = readdir(dir))) {
		char *git_dir, *where;

		if (entry->d_name[0] == '.')
			continue;
		git_dir = repo_path(base, entry->d_name);
		where = entry_dir(git_dir);
		if (where)
			add_tree(&list, where, git_dir);
		else
			free(git_dir);
	}
	if (dir)
		closedir(dir);
	*out = list;
	return 0;
}

void worktrees_finish(struct worktrees *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].dir);
		free(list->items[i].git_dir);
		free(list->items[i].branch);
		free(list->items[i].head);
		free(list->items[i].in_use);
		free(list->items[i].lock_reason);
	}
	free(list->items);
	*list = (struct worktrees)WORKTREES_INIT;
}

char *worktree_git_dir(const struct repo *repo, const char *dir)
{
	_cleanup_free_ char *base = repo_path(repo->place.common_dir, "worktrees");
	struct dirent *entry;
	DIR *entries = opendir(base);
	char *found = NULL;

	while (entries && !found && (entry = readdir(entries))) {
		_cleanup_free_ char *git_dir = repo_path(base, entry->d_name);
		_cleanup_free_ char *where = entry->d_name[0] == '.' ? NULL : entry_dir(git_dir);
		_cleanup_free_ char *settled = where ? path_settle_parent(where) : NULL;

		if (settled && strcmp(settled, dir) == 0)
			found = xstrdup(git_dir);
	}
	if (entries)
		closedir(entries);
	return found;
}

bool worktree_link_is_right(const char *dir, const char *git_dir)
{
	_cleanup_free_ char *link = repo_path(dir, ".git");
	_cleanup_free_ char *line = file_line(link), *to = NULL, *real = NULL, *want = NULL;

	if (!line || strncmp(line, "gitdir: ", 8) != 0)
		return false;
	if (strcmp(line + 8, git_dir) == 0)
		return true;
	to = line[8] == '/' ? xstrdup(line + 8) : repo_path(dir, line + 8); /* git 2.48 */
	real = realpath(to, NULL);
	want = realpath(git_dir, NULL);
	return real && want && strcmp(real, want) == 0;
}

/* Not synced: a slot that a power cut damages is repaired, or made anew. */
static int write_entry(const char *git_dir, const char *name, const char *text, struct error *err)
{
	_cleanup_free_ char *file = repo_path(git_dir, name);
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644), rc;

	if (fd < 0)
		return error_errno(err, "cannot write %s", file);
	rc = write_all(fd, text, strlen(text));
	if (close(fd) < 0)
		rc = -1;
	return rc < 0 ? error_errno(err, "cannot write %s", file) : 0;
}

int worktree_link_repair(const char *dir, const char *git_dir, struct error *err)
{
	_cleanup_free_ char *link = repo_path(dir, ".git");
	_cleanup_free_ char *text = xasprintf("gitdir: %s\n", git_dir);
	struct stat st;

	if (lstat(link, &st) == 0 && S_ISDIR(st.st_mode))
		return error_set(err, ERROR_CONFLICT,
		                 "%s is a repository of its own (move it away)", link);
	if (lstat(link, &st) < 0 && errno == ENOENT)
		return write_entry(dir, ".git", text, err);
	if (place_write_file(link, text, strlen(text), err) < 0)
		return -1;
	if (chmod(link, 0644) < 0)
		return error_errno(err, "cannot make %s readable", link);
	return 0;
}

static int take_lock(const struct repo *repo, const char *name, struct error *err)
{
	_cleanup_free_ char *dir = repo_path(repo->place.common_dir, "pleach");
	_cleanup_free_ char *file = repo_path(dir, name);
	int fd;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make %s", dir);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(err, "cannot open %s", file);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			error_errno(err, "cannot lock %s", file);
			close(fd);
			return -1;
		}
	return fd;
}

int worktree_lock(const struct repo *repo, struct error *err)
{
	return take_lock(repo, "worktrees.lock", err);
}

int worktree_open_lock(const struct repo *repo, struct error *err)
{
	return take_lock(repo, "opening", err);
}

/* Its files first: an entry without them is known as vanished, files without an entry are not. */
static int remove_locked(const struct repo *repo, const char *dir, struct error *err)
{
	_cleanup_free_ char *git_dir = worktree_git_dir(repo, dir);

	if (file_exists(dir) && file_remove_all(dir, NULL) < 0) {
		files_make_accessible(dir);
		if (file_remove_all(dir, err) < 0)
			return -1;
	}
	return git_dir ? file_remove_all(git_dir, err) : 0;
}

int worktree_remove(const struct repo *repo, const char *dir, struct error *err)
{
	_cleanup_close_ int lock = worktree_lock(repo, err);

	return lock < 0 ? -1 : remove_locked(repo, dir, err);
}

/* What we left when we died before the entry named its worktree: nobody else would take it
 * away, git keeps for ever what is locked. Somebody else's says another reason. */
static void remove_half(const char *entry)
{
	_cleanup_free_ char *where = entry_dir(entry);
	_cleanup_free_ char *locked = repo_path(entry, "locked");
	_cleanup_free_ char *reason = file_line(locked);

	if (where)
		return;
	if (is_our_reason(reason, "pleach: ") || (reason && strcmp(reason, BEING_MADE) == 0)) {
		file_remove_all(entry, NULL);
		return;
	}
	if (!reason || !*reason)
		unlink(locked);
	rmdir(entry);
}

/* A directory for the entry, named after the worktree's. */
static char *make_entry(const struct repo *repo, const char *dir, struct error *err)
{
	_cleanup_free_ char *parent = repo_path(repo->place.common_dir, "worktrees");
	const char *name = strrchr(dir, '/') + 1;

	if (mkdir(parent, 0777) < 0 && errno != EEXIST) {
		error_errno(err, "cannot make %s", parent);
		return NULL;
	}
	for (int i = 0; i < 1000; i++) {
		char *entry = i ? xasprintf("%s/%s%d", parent, name, i) : repo_path(parent, name);

		remove_half(entry);
		if (mkdir(entry, 0777) == 0)
			return entry;
		if (errno != EEXIST) {
			error_errno(err, "cannot make %s", entry);
			free(entry);
			return NULL;
		}
		free(entry);
	}
	error_set(err, ERROR_EXTERNAL, "%s is full of entries like %s", parent, name);
	return NULL;
}

int worktree_remove_half(const struct repo *repo, const char *dir, struct error *err)
{
	_cleanup_free_ char *parent = repo_path(repo->place.common_dir, "worktrees");
	_cleanup_close_ int lock = worktree_lock(repo, err);
	const char *name = strrchr(dir, '/') + 1;

	if (lock < 0)
		return -1;
	for (int i = 0; i < 1000; i++) {
		_cleanup_free_ char *entry =
		    i ? xasprintf("%s/%s%d", parent, name, i) : repo_path(parent, name);

		if (!file_exists(entry))
			break;
		remove_half(entry);
	}
	return 0;
}

int worktree_reset_settings(const struct repo *repo, const char *git_dir, struct error *err)
{
	/* Where the main worktree is, and whether it is one. */
	static const char *const keys[] = {"core.worktree", "core.bare"};
	_cleanup_free_ char *from = repo_path(repo->place.common_dir, "config.worktree");
	_cleanup_free_ char *to = repo_path(git_dir, "config.worktree");
	int rc = file_exists(to) ? file_remove_all(to, err) : 0;

	if (rc == 0)
		rc = file_copy(from, to, err);
	for (size_t i = 0; rc > 0 && i < ARRAY_LEN(keys); i++) {
		int code;
		struct git_run run = {.exit_code = &code};

		if (git_run(repo, &run, GIT_ARGS("config", "-f", to, "--unset-all", keys[i]), err) <
		    0)
			rc = -1;
	}
	return rc < 0 ? -1 : 0;
}

/* The layout of gitrepository-layout(5); `locked` first: what has it is pruned by nobody. */
static int fill_entry(const struct repo *repo, const char *entry, const char *dir, const char *head,
                      const char *reason, const struct worktree_file *more, struct error *err)
{
	_cleanup_free_ char *where = xasprintf("%s/.git\n", dir);
	_cleanup_free_ char *lock = xasprintf("%s\n", reason);
	_cleanup_free_ char *line = xasprintf(hex_is_id(head) ? "%s\n" : "ref: %s\n", head);

	if (write_entry(entry, "locked", lock, err) < 0 ||
	    write_entry(entry, "commondir", "../..\n", err) < 0 ||
	    write_entry(entry, "HEAD", line, err) < 0 ||
	    (more && write_entry(entry, more->name, more->text, err) < 0) ||
	    write_entry(entry, "gitdir", where, err) < 0)
		return -1;
	return worktree_reset_settings(repo, entry, err);
}

static int sync_file(const char *path, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || fsync(fd) < 0 ? error_errno(err, "cannot sync %s", path) : 0;
}

/* Begins to write, so that the syncs that follow find little left to wait for one by one. */
static void start_sync(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* What an entry cannot be told by or repaired without, and no more: a sync of the whole file system
 * waits for everything that anybody has written to it. */
static int sync_entry(const struct repo *repo, const char *entry, const struct worktree_file *more,
                      struct error *err)
{
	_cleanup_free_ char *locked = repo_path(entry, "locked"),
	                    *where = repo_path(entry, "gitdir"),
	                    *last = repo_path(entry, more ? more->name : "commondir"),
	                    *parent = repo_path(repo->place.common_dir, "worktrees");
	const char *const paths[] = {locked, where, last, entry, parent, repo->place.common_dir};

	if (control_off("fsync-git"))
		return 0;
	for (size_t i = 0; i < 3; i++)
		start_sync(paths[i]);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (sync_file(paths[i], err) < 0)
			return -1;
	return 0;
}

int worktree_register(const struct repo *repo, const char *dir, const char *head,
                      const char *reason, const struct worktree_file *more, char **git_dir,
                      struct error *err)
{
	char *entry = make_entry(repo, dir, err);

	if (!entry)
		return -1;
	if (fill_entry(repo, entry, dir, head, reason ? reason : BEING_MADE, more, err) < 0 ||
	    /* The link last: after a power cut it must not be all that there is. */
	    sync_entry(repo, entry, more, err) < 0 || worktree_link_repair(dir, entry, err) < 0) {
		file_remove_all(entry, NULL);
		free(entry);
		return -1;
	}
	if (!reason) {
		_cleanup_free_ char *locked = repo_path(entry, "locked");
		unlink(locked);
	}
	*git_dir = entry;
	return 0;
}

int worktree_add(const struct repo *repo, const char *dir, const char *head, const char *reason,
                 const struct worktree_file *more, char **git_dir, struct error *err)
{
	_cleanup_close_ int lock = worktree_lock(repo, err);
	_cleanup_free_ char *settled = NULL;
	bool made;

	if (lock < 0)
		return -1;
	made = mkdir(dir, 0777) == 0;
	if (!made && errno != EEXIST)
		return error_errno(err, "cannot make %s", dir);
	settled = path_settle(dir);
	if (!settled)
		error_errno(err, "cannot look at %s", dir);
	if (!settled || worktree_register(repo, settled, head, reason, more, git_dir, err) < 0) {
		if (made)
			rmdir(dir);
		return -1;
	}
	return 0;
}

int worktree_head(const struct repo *repo, const char *git_dir, char hex[HEX_SIZE], char **branch,
                  struct error *err)
{
	struct worktree tree = {.dir = NULL};
	int rc = 0;

	read_head(git_dir, &tree);
	if (tree.head && commit_exists(repo, tree.head)) {
		memcpy(hex, tree.head, strlen(tree.head) + 1);
		rc = 1;
	} else if (tree.branch) {
		/* Branches are shared; a HEAD on one of the worktree's own refs is no branch. */
		rc = strncmp(tree.branch, "refs/heads/", 11) == 0
		         ? ref_read(repo, tree.branch, hex, err)
		         : 0;
		if (rc == 1 && !commit_exists(repo, hex))
			rc = 0;
	}
	if (branch) {
		*branch = tree.branch;
		tree.branch = NULL;
	}
	free(tree.branch);
	free(tree.head);
	return rc;
}

int worktree_set_head(const char *git_dir, const char *branch_or_hex, struct error *err)
{
	_cleanup_free_ char *file = repo_path(git_dir, "HEAD"),
	                    *tmp = repo_path(git_dir, "HEAD.new");
	_cleanup_free_ char *text = hex_is_id(branch_or_hex)
	                                ? xasprintf("%s\n", branch_or_hex)
	                                : xasprintf("ref: %s\n", branch_or_hex);
	int fd, rc;

	/* Not synced: the marker says which commit it was, should a power cut damage it. */
	file_remove_all(tmp, NULL);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_errno(err, "cannot write %s", file);
	rc = write_all(fd, text, strlen(text));
	if (close(fd) < 0)
		rc = -1;
	if (rc == 0)
		rc = rename(tmp, file);
	if (rc < 0) {
		error_errno(err, "cannot write %s", file);
		file_remove_all(tmp, NULL);
	}
	return rc;
}
