/* Slots: making, opening and locking them; what they remember. */
#include "slot_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"

#define LOCK_NAME "pleach-slot.lock"

const char *slot_dir(const struct slot *slot)
{
	return slot->dir;
}

bool slot_is_new(const struct slot *slot)
{
	return !slot->marker.set_up;
}

int64_t slot_attempt(const struct slot *slot)
{
	return slot->marker.attempt;
}

bool slot_holds_branch(const struct slot *slot, int64_t attempt)
{
	_cleanup_free_ char *file = repo_path(slot->git_dir, "HEAD"), *line = file_line(file);

	return slot->marker.attempt == attempt && slot->marker.branch && line &&
	       strncmp(line, "ref: ", 5) == 0 && strcmp(line + 5, slot->marker.branch) == 0;
}

enum slot_phase slot_phase(const struct slot *slot)
{
	return slot->marker.phase;
}

void slot_set_up(struct slot *slot)
{
	slot->marker.set_up = true;
	if (slot->marker.setup_next) {
		free(slot->marker.setup_key);
		slot->marker.setup_key = xstrdup(slot->marker.setup_next);
	}
	/* Where this fails the setup runs once more, which a setup must stand anyway. */
	marker_write(slot->git_dir, &slot->marker, NULL);
}

int slot_running(struct slot *slot, struct error *err)
{
	enum slot_phase before = slot->marker.phase;

	if (before == SLOT_RUNNING)
		return 0;
	slot->marker.phase = SLOT_RUNNING;
	if (marker_write(slot->git_dir, &slot->marker, err) == 0)
		return 0;
	slot->marker.phase = before;
	return -1;
}

static bool is_in(char *const *list, const char *text)
{
	for (size_t i = 0; list && list[i]; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

void slot_note_tampering(struct slot *slot, const char *what)
{
	if (!is_in(slot->told, what) && !is_in(slot->tampering, what))
		strv_push(&slot->tampering, xstrdup(what));
}

char **slot_take_tampering(struct slot *slot)
{
	char **list = slot->tampering;

	for (size_t i = 0; list && list[i]; i++)
		strv_push(&slot->told, xstrdup(list[i]));
	slot->tampering = NULL;
	return list;
}

int slot_move_aside(const struct slot *slot, int64_t attempt, const char *path, struct error *err)
{
	const char *name = strrchr(slot->dir, '/') + 1;
	/* By its name: the slot itself may be gone. */
	_cleanup_free_ char *parent = xasprintf("%.*s.kept", (int)(name - slot->dir), slot->dir);

	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make %s", parent);
	for (int i = 1; i < 10000; i++) {
		_cleanup_free_ char *to =
		    xasprintf("%s/%s-%lld-%d", parent, name, (long long)attempt, i);

		if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return error_errno(err, "cannot move %s to %s", path, to);
	}
	return error_set(err, ERROR_EXTERNAL, "%s is full (remove what is not needed)", parent);
}

int slot_move_nested(struct slot *slot, int64_t attempt, const struct capture *capture,
                     struct error *err)
{
	for (size_t i = 0; capture->nested && capture->nested[i]; i++) {
		_cleanup_free_ char *git = xasprintf("%s/%s/.git", slot->dir, capture->nested[i]);

		if (file_exists(git) && slot_move_aside(slot, attempt, git, err) < 0)
			return -1;
	}
	return 0;
}

int slot_move_strange(struct slot *slot, int64_t attempt, const struct capture *capture,
                      struct error *err)
{
	for (size_t i = 0; capture->strange && capture->strange[i]; i++) {
		_cleanup_free_ char *file = repo_path(slot->dir, capture->strange[i]);

		if (file_exists(file) && slot_move_aside(slot, attempt, file, err) < 0)
			return -1;
	}
	return 0;
}

static char *lock_reason(const struct slot *slot)
{
	return xasprintf(WORKTREE_OF_TEAMMATE "%s", slot->teammate);
}

/* The files without which git takes no directory for a git directory. */
static int repair_git_dir(struct slot *slot, struct error *err)
{
	static const char *const files[] = {"HEAD",  "commondir", "gitdir",
	                                    "index", "locked",    "pleach-slot"};
	_cleanup_free_ char *common_file = repo_path(slot->git_dir, "commondir");
	_cleanup_free_ char *head_file = repo_path(slot->git_dir, "HEAD");
	_cleanup_free_ char *where_file = repo_path(slot->git_dir, "gitdir");
	_cleanup_free_ char *common = file_line(common_file), *head = file_line(head_file),
	                    *where = file_line(where_file), *want = repo_path(slot->dir, ".git"),
	                    *want_line = xasprintf("%s\n", want);
	char hex[HEX_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *file = repo_path(slot->git_dir, files[i]);

		if (file_is_dir(file) && file_remove_all(file, err) < 0)
			return -1;
	}
	if ((!common || strcmp(common, "../..") != 0) &&
	    place_write_file(common_file, "../..\n", 6, err) < 0)
		return -1;
	if ((!where || strcmp(where, want) != 0) &&
	    place_write_file(where_file, want_line, strlen(want_line), err) < 0)
		return -1;
	if (head && (hex_is_id(head) || strncmp(head, "ref: refs/", 10) == 0))
		return 0;
	if (commit_resolve(&slot->repo, slot->marker.base ? slot->marker.base : "HEAD", hex, err) <
	    0)
		return -1;
	return worktree_set_head(slot->git_dir, hex, err);
}

/* The lock is on a file of the worktree's own git directory, and dies with its holder. */
static int take_lock(struct slot *slot, struct error *err)
{
	_cleanup_free_ char *file = repo_path(slot->git_dir, LOCK_NAME);
	struct stat held, there;

	for (int i = 0; i < 10; i++) {
		int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		/* A link or a directory in its place is nobody's lock. */
		if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO) &&
		    file_remove_all(file, err) == 0)
			continue;
		if (fd < 0)
			return error_errno(err, "cannot open %s", file);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int saved = errno;

			close(fd);
			if (saved == EINTR)
				continue;
			errno = saved;
			if (saved != EWOULDBLOCK)
				return error_errno(err, "cannot lock %s", file);
			return error_set(err, ERROR_BUSY,
			                 "slot %s is held by another process (end it, or use "
			                 "another teammate's name)",
			                 slot->dir);
		}
		/* It may have been removed between open and lock. */
		if (fstat(fd, &held) == 0 && stat(file, &there) == 0 &&
		    held.st_ino == there.st_ino && held.st_dev == there.st_dev) {
			slot->lock_fd = fd;
			return 0;
		}
		close(fd);
	}
	return error_set(err, ERROR_BUSY, "slot %s is being removed", slot->dir);
}

int slot_first_commit(const struct repo *repo, const char *base, char hex[HEX_SIZE],
                      struct error *err)
{
	if (commit_resolve(repo, base ? base : "HEAD", hex, err) == 0)
		return 0;
	if (base || (err && err->code != ERROR_NOT_FOUND))
		return -1;
	return error_set(err, ERROR_INVALID, "%s has no commit yet (make a first commit)",
	                 repo->place.root);
}

/* The entry of the slot was pruned under us: its index and reflog are gone, but the files are
 * there, and the marker is in our memory. */
static int restore_git_dir(struct slot *slot, struct error *err)
{
	char hex[HEX_SIZE];
	_cleanup_free_ char *reason = lock_reason(slot);
	char *git_dir = NULL;

	if (slot_first_commit(&slot->repo, slot->marker.base, hex, err) < 0 ||
	    worktree_register(&slot->repo, slot->dir, hex, reason, NULL, &git_dir, err) < 0)
		return -1;
	free(slot->git_dir);
	slot->git_dir = git_dir;
	if (slot->lock_fd >= 0)
		close(slot->lock_fd);
	slot->lock_fd = -1;
	if (take_lock(slot, err) < 0)
		return -1;
	return marker_write(slot->git_dir, &slot->marker, err);
}

static unsigned long long inode_of(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? (unsigned long long)st.st_ino : 0;
}

/* The directory that was opened, and no other that was put in its place. */
static bool is_same_place(const struct slot *slot)
{
	return slot->marker.inode && inode_of(slot->dir) == slot->marker.inode;
}

/* Another directory than the marker's is the slot after a move to another disk; then it has our
 * .git. Without it it is somebody's files. */
static int check_place(struct slot *slot, struct error *err)
{
	unsigned long long inode = inode_of(slot->dir);

	if (slot->marker.inode && slot->marker.inode != inode &&
	    !worktree_link_is_right(slot->dir, slot->git_dir))
		return error_set(err, ERROR_INVALID,
		                 "%s is not the worktree that was there (move it away)", slot->dir);
	slot->marker.inode = inode;
	return 0;
}

int slot_prepare(struct slot *slot, struct error *err)
{
	_cleanup_free_ char *link = repo_path(slot->dir, ".git");

	if (repo_look_at(&slot->repo, slot->git_dir, err) < 0 || repo_refresh(&slot->repo, err) < 0)
		return -1;
	for (size_t i = 0; slot->repo.unknown && slot->repo.unknown[i]; i++)
		slot_note_tampering(slot, slot->repo.unknown[i]);
	if (!is_same_place(slot))
		return error_set(err, ERROR_EXTERNAL,
		                 "slot %s is gone (it is made anew when its "
		                 "teammate starts again)",
		                 slot->dir);
	if ((!file_is_dir(slot->git_dir) && restore_git_dir(slot, err) < 0) ||
	    repair_git_dir(slot, err) < 0)
		return -1;
	if (worktree_link_is_right(slot->dir, slot->git_dir))
		return 0;
	/* A repository, a link or a pipe in place of our file: an agent's doing, and kept. */
	slot_note_tampering(slot, ".git");
	if (file_is_dir(link) &&
	    slot_keep_history(slot, slot->marker.attempt, link, "nested", ".git", err) < 0)
		return -1;
	if (file_exists(link) && slot_move_aside(slot, slot->marker.attempt, link, err) < 0)
		return -1;
	return worktree_link_repair(slot->dir, slot->git_dir, err);
}

static bool is_empty_dir(const char *dir)
{
	/* rmdir tells without a race, and an empty directory is made again at once. */
	return rmdir(dir) == 0;
}

/* The marker comes with its entry, before anything else is in either: a half-made slot is known as
 * one. Where the directory was there it may be somebody's: the marker is written later. */
static int add_worktree(struct slot *slot, const char *hex, const char *reason, struct error *err)
{
	bool made = mkdir(slot->dir, 0777) == 0;
	struct marker first = {.phase = SLOT_NEW, .made = true, .inode = inode_of(slot->dir)};
	_cleanup_free_ char *text = made ? marker_text(&first, NULL) : NULL;
	const struct worktree_file marker = {MARKER_FILE, text};

	if (worktree_add(&slot->repo, slot->dir, hex, reason, text ? &marker : NULL, &slot->git_dir,
	                 err) == 0)
		return 0;
	if (made)
		rmdir(slot->dir);
	return error_wrap(err, "cannot make slot %s", slot->dir);
}

static int make_slot(struct slot *slot, const char *base, struct error *err)
{
	_cleanup_free_ char *reason = lock_reason(slot), *parent = xstrdup(slot->dir);
	char hex[HEX_SIZE];

	if (slot_first_commit(&slot->repo, base, hex, err) < 0)
		return -1;
	for (char *p = parent + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(parent, 0777) < 0 && errno != EEXIST)
			return error_errno(err, "cannot make %s", parent);
		*p = '/';
	}
	return add_worktree(slot, hex, reason, err);
}

/* A registered slot whose directory vanished: what only its git directory names is kept,
 * then that one entry goes. */
static int drop_vanished(struct slot *slot, struct error *err)
{
	struct capture none = CAPTURE_INIT;

	marker_finish(&slot->marker);
	if (marker_read(slot->git_dir, &slot->marker, err) < 0 ||
	    slot_keep_loose_ends(slot, slot->marker.attempt, &none, NULL, err) < 0 ||
	    slot_move_modules(slot, slot->marker.attempt, &none, true, err) < 0)
		return -1;
	marker_finish(&slot->marker);
	if (worktree_remove(&slot->repo, slot->dir, err) < 0)
		return -1;
	free(slot->git_dir);
	slot->git_dir = NULL;
	return 0;
}

/* A directory that is there: ours, or foreign. Sets git_dir. */
static int adopt(struct slot *slot, struct error *err)
{
	_cleanup_free_ char *link = repo_path(slot->dir, ".git");
	_cleanup_free_ char *line = file_line(link);
	_cleanup_free_ char *mine = xasprintf("gitdir: %s/worktrees/", slot->repo.place.common_dir);
	char hex[HEX_SIZE];

	slot->git_dir = worktree_git_dir(&slot->repo, slot->dir);
	if (slot->git_dir)
		return 0;
	/* Its entry was pruned away: the files are still somebody's work. */
	if (line && strncmp(line, mine, strlen(mine)) == 0 && !file_exists(line + 8)) {
		_cleanup_free_ char *reason = lock_reason(slot);

		if (slot_first_commit(&slot->repo, NULL, hex, err) < 0)
			return -1;
		return worktree_register(&slot->repo, slot->dir, hex, reason, NULL, &slot->git_dir,
		                         err);
	}
	return error_set(err, ERROR_INVALID,
	                 "%s exists and is not a worktree of %s (move it away, or set slots: DIR)",
	                 slot->dir, slot->repo.place.root);
}

static int find_or_make(struct slot *slot, const char *base, struct error *err)
{
	_cleanup_free_ char *half = xasprintf("%s/.git" PLACE_HALF, slot->dir);
	struct stat st;

	/* An agent's link in place of the slot would lead us into somebody's files. */
	if (lstat(slot->dir, &st) == 0 && S_ISLNK(st.st_mode)) {
		slot_note_tampering(slot, "slot");
		if (slot_move_aside(slot, 0, slot->dir, err) < 0)
			return -1;
	}
	if (lstat(slot->dir, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return error_set(err, ERROR_INVALID, "%s exists and is no directory",
			                 slot->dir);
		slot->git_dir = worktree_git_dir(&slot->repo, slot->dir);
		unlink(half); /* of the link: a power cut leaves it where nothing else is yet */
		if (slot->git_dir || !is_empty_dir(slot->dir)) {
			free(slot->git_dir);
			return adopt(slot, err);
		}
	} else if (errno != ENOENT) {
		return error_errno(err, "cannot look at %s", slot->dir);
	} else if ((slot->git_dir = worktree_git_dir(&slot->repo, slot->dir)) &&
	           (take_lock(slot, err) < 0 || drop_vanished(slot, err) < 0)) {
		return -1;
	}
	if (slot->lock_fd >= 0)
		close(slot->lock_fd);
	slot->lock_fd = -1;
	return make_slot(slot, base, err);
}

/* The locks of refs that only the attempt of this slot writes: it held them when it died. */
static void remove_ref_locks(const struct slot *slot)
{
	_cleanup_free_ char *kept = repo_path(slot->repo.place.common_dir, "refs/pleach/kept");
	_cleanup_free_ char *own = xasprintf("%lld", (long long)slot->marker.attempt);
	size_t len = strlen(own);
	struct dirent *entry;
	DIR *dir;

	if (slot->marker.branch) {
		_cleanup_free_ char *lock =
		    xasprintf("%s/%s.lock", slot->repo.place.common_dir, slot->marker.branch);
		unlink(lock);
	}
	dir = slot->marker.attempt ? opendir(kept) : NULL;
	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name, *dot = strrchr(name, '.');

		if (dot && strcmp(dot, ".lock") == 0 && strncmp(name, own, len) == 0 &&
		    (name[len] == '-' || name[len] == '.'))
			unlinkat(dirfd(dir), name, 0);
	}
	if (dir)
		closedir(dir);
}

/* Temporary files of a process that died. */
static void remove_temporary(const struct slot *slot)
{
	static const char *const names[] = {"pleach.index",
	                                    "pleach.index.lock",
	                                    "pleach.laid",
	                                    "pleach.tree",
	                                    "pleach.tree.lock",
	                                    "pleach.proof",
	                                    "pleach.proof.lock",
	                                    "HEAD.new",
	                                    "pleach-slot" PLACE_HALF,
	                                    "commondir" PLACE_HALF,
	                                    "pleach.exclude" PLACE_HALF};
	_cleanup_free_ char *link = repo_path(slot->dir, ".git" PLACE_HALF);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *file = repo_path(slot->git_dir, names[i]);

		if (file_exists(file))
			file_remove_all(file, NULL);
	}
	unlink(link);
}

/* A worktree that the user made at the slot's place is theirs. */
static int check_ours(const struct slot *slot, struct error *err)
{
	_cleanup_free_ char *file = repo_path(slot->git_dir, "locked");
	_cleanup_free_ char *reason = file_line(file);

	if (reason && strncmp(reason, "pleach", 6) == 0)
		return 0;
	return error_set(err, ERROR_INVALID,
	                 "%s is a worktree that pleach did not make (move it away: `git worktree "
	                 "move`)",
	                 slot->dir);
}

static int open_slot(struct slot *slot, const char *base, const char *const *paths, bool any,
                     struct error *err)
{
	int rc;

	if (find_or_make(slot, base, err) < 0 || take_lock(slot, err) < 0)
		return -1;
	rc = marker_read(slot->git_dir, &slot->marker, err);
	if (rc < 0)
		return -1;
	if (rc == 0 && !any && check_ours(slot, err) < 0)
		return -1;
	if (check_place(slot, err) < 0)
		return -1;
	remove_temporary(slot);
	remove_ref_locks(slot);
	/* Before anything is in it, so that a half-made slot is known as one. */
	if (rc == 0) {
		slot->marker.made = slot_holds_nothing(slot);
		if (marker_write(slot->git_dir, &slot->marker, err) < 0)
			return -1;
	}
	if (slot_prepare(slot, err) < 0)
		return -1;
	if (slot->marker.overlay && slot_undo_overlay(slot, err) < 0)
		return -1;
	return slot->marker.checked_out ? 0 : slot_first_checkout(slot, base, paths, err);
}

int slot_open_any(const char *root, const char *dir, const char *teammate, const char *pinned_file,
                  const char *base, const char *const *paths, bool any, struct slot **out,
                  struct error *err)
{
	struct slot *slot = xcalloc(1, sizeof *slot);

	slot->lock_fd = -1;
	slot->teammate = xstrdup(teammate);
	slot->marker = (struct marker)MARKER_INIT;
	if (repo_open(root, pinned_file, &slot->repo, err) < 0) {
		slot_close(slot);
		return -1;
	}
	slot->dir = path_settle_parent(dir);
	if (!slot->dir) {
		error_errno(err, "slot %s", dir);
		slot_close(slot);
		return -1;
	}
	if (open_slot(slot, base, paths, any, err) < 0) {
		slot_close(slot);
		return -1;
	}
	*out = slot;
	return 0;
}

void slot_start_library(void)
{
	git_libgit2_init();
}

int slot_open(const char *root, const char *dir, const char *teammate, const char *pinned_file,
              const char *base, const char *const *paths, struct slot **out, struct error *err)
{
	return slot_open_any(root, dir, teammate, pinned_file, base, paths, false, out, err);
}

void slot_close(struct slot *slot)
{
	if (!slot)
		return;
	slot_mark(slot, NULL);
	if (slot->lock_fd >= 0)
		close(slot->lock_fd);
	marker_finish(&slot->marker);
	repo_close(&slot->repo);
	free(slot->proof_tree);
	strv_free(slot->tampering);
	strv_free(slot->told);
	free(slot->dir);
	free(slot->git_dir);
	free(slot->teammate);
	free(slot);
}
