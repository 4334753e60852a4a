/* Undoing what a killed git left in a user's working tree. Touches only paths that differ between
 * the two commits, and of them only what a git on its way from one to the other can have left. */
#include "moving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "place.h"
#include "proc.h"
#include "refs.h"
#include "stat.h"
#include "text.h"

#define MARK_MAX 4096
/* Beside the user's index, until they take their places; and one to look with. */
#define NEW_INDEX  "pleach-moving.new"
#define NEW_LOCK   "pleach-moving.lock"
#define LOOK_INDEX "pleach-moving.index"
#define SWEEPS_MAX 100
#define FILE_MAX   (64u << 20) /* a longer file that is half written stays as it is */

/* Where the mark and the lock are: of a branch that nobody has checked out our own folder. */
static char *place_of(const struct repo *repo, const struct worktree *tree)
{
	return tree ? xstrdup(tree->git_dir) : repo_path(repo->place.common_dir, "pleach");
}

static char *mark_path(const struct moving *moving)
{
	_cleanup_free_ char *dir = place_of(moving->repo, moving->tree);

	return repo_path(dir, "pleach-moving");
}

char *moving_held_ref(const char *ref)
{
	return xasprintf("refs/pleach/landing/%s",
	                 strncmp(ref, "refs/heads/", 11) == 0 ? ref + 11 : ref);
}

/* ---- locks ---- */

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* The user's index is changed by git in a copy of ours, and locked by us: so a lock of it that does
 * not say so is another git's, which may wait for somebody in an editor. */
#define INDEX_LOCK_TEXT "pleach\n"

static bool is_our_index_lock(const char *path)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t n = strlen(INDEX_LOCK_TEXT);

	return file_read(path, n + 1, &text, NULL) == 1 && text.len == n &&
	       memcmp(text.data, INDEX_LOCK_TEXT, n) == 0;
}

static int write_lock(const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return -1;
	if (write_all(fd, INDEX_LOCK_TEXT, strlen(INDEX_LOCK_TEXT)) == 0)
		return 0;
	unlink(path);
	return -1;
}

/* With its text from the start, where the file system has links: an empty one that we died with
 * would be nobody's. */
static int make_lock(const char *fresh, const char *path)
{
	int rc, saved;

	unlink(fresh);
	if (write_lock(fresh) < 0)
		return -1;
	rc = link(fresh, path);
	saved = errno;
	unlink(fresh);
	errno = saved;
	return rc < 0 && (saved == EPERM || saved == ENOTSUP || saved == EMLINK) ? write_lock(path)
	                                                                         : rc;
}

/* Gone, or a git's that has only begun: a switch or a commit takes milliseconds. One that stays is
 * of somebody in an editor, or of a git that was killed. */
static bool ends_soon(const char *path)
{
	struct timespec now;
	struct stat st;
	int64_t age;

	if (lstat(path, &st) < 0)
		return errno == ENOENT;
	clock_gettime(CLOCK_REALTIME, &now);
	age =
	    (now.tv_sec - st.st_mtim.tv_sec) * 1000 + (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	return age >= 0 && age < MOVING_LOCK_WAIT_MS;
}

char *moving_lock_index(const struct moving *moving, struct error *err)
{
	const struct timespec step = {.tv_nsec = MOVING_LOCK_STEP_MS * 1000000L};
	_cleanup_free_ char *fresh = repo_path(moving->tree->git_dir, NEW_LOCK);
	char *path = repo_path(moving->tree->git_dir, "index.lock");
	int64_t until = time_mono_ms() + MOVING_LOCK_WAIT_MS;

	while (make_lock(fresh, path) < 0) {
		bool taken = errno == EEXIST;

		if (taken && time_mono_ms() < until && ends_soon(path)) {
			nanosleep(&step, NULL);
			continue;
		}
		if (taken)
			error_set(err, ERROR_BUSY, "another git is at work in %s",
			          moving->tree->dir);
		else
			error_errno(err, "cannot write %s", path);
		free(path);
		return NULL;
	}
	return path;
}

void moving_unlock_index(char **lock)
{
	if (*lock)
		unlink(*lock);
	free(*lock);
	*lock = NULL;
}

/* Only what is not older than our move: another git's lock would have kept ours from working. */
static void remove_locks(const struct moving *moving, const struct stat *mark)
{
	const char *common = moving->repo->place.common_dir;
	const char *own = moving->tree ? moving->tree->git_dir : common;
	_cleanup_free_ char *held = moving_held_ref(moving->ref);
	const char *const dirs[] = {common, common, common, own, own};
	const char *const names[] = {moving->ref, held, "packed-refs", "HEAD", NEW_INDEX};
	static const char *const ours[] = {NEW_INDEX, NEW_LOCK, LOOK_INDEX};
	_cleanup_free_ char *index = repo_path(own, "index.lock");
	size_t n = moving->tree ? ARRAY_LEN(names) : 3;
	struct stat st;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *lock = xasprintf("%s/%s.lock", dirs[i], names[i]);

		if (lstat(lock, &st) == 0 && !is_older(&st.st_mtim, &mark->st_mtim))
			unlink(lock);
	}
	if (!moving->tree)
		return;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		_cleanup_free_ char *file = repo_path(own, ours[i]);

		unlink(file);
	}
	if (is_our_index_lock(index))
		unlink(index);
}

/* ---- files ---- */

static void split(const struct buf *text, char ***out)
{
	for (size_t at = 0; at < text->len; at += strlen(text->data + at) + 1)
		strv_push(out, xstrdup(text->data + at));
}

static bool has(char *const *paths, const char *path)
{
	for (; paths && *paths; paths++)
		if (strcmp(*paths, path) == 0)
			return true;
	return false;
}

/* The paths of an index of ours that the working tree has otherwise. */
static int differing(const struct moving *moving, const char *index, char ***out, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int status;
	struct git_run run = {
	    .git_dir = moving->tree->git_dir, .work_tree = moving->tree->dir, .index = index};
	struct git_run refresh = run;

	refresh.exit_code = &status; /* 1: something differs */
	run.out = &text;
	if (git_run(moving->repo, &refresh, GIT_ARGS("update-index", "-q", "--refresh"), err) < 0 ||
	    git_run(moving->repo, &run,
	            GIT_ARGS("diff-files", "--name-only", "-z", "--ignore-submodules"), err) < 0)
		return -1;
	split(&text, out);
	return 0;
}

/* From the user's own index, or (`all`) as it is when all of `to` is checked out. */
static int read_differing(const struct moving *moving, bool all, char ***out, struct error *err)
{
	_cleanup_free_ char *index = repo_path(moving->tree->git_dir, LOOK_INDEX);
	_cleanup_free_ char *own = repo_path(moving->tree->git_dir, "index");
	struct git_run run = {
	    .git_dir = moving->tree->git_dir, .work_tree = moving->tree->dir, .index = index};
	int rc;

	unlink(index);
	if (all)
		rc = git_run(moving->repo, &run, GIT_ARGS("read-tree", moving->to), err);
	else
		rc = file_copy(own, index, err) < 0 ? -1 : 0;
	if (rc == 0)
		rc = differing(moving, index, out, err);
	unlink(index);
	return rc;
}

/* The paths that the index has otherwise than `from`. */
static int staged(const struct moving *moving, char ***out, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {
	    .git_dir = moving->tree->git_dir, .work_tree = moving->tree->dir, .out = &text};

	if (git_run(moving->repo, &run,
	            GIT_ARGS("diff-index", "--cached", "--name-only", "-z", "--ignore-submodules",
	                     moving->from),
	            err) < 0)
		return -1;
	split(&text, out);
	return 0;
}

/* A file that was cut off while it was written. */
static bool is_beginning(const struct moving *moving, const char *file, const char *path)
{
	_cleanup_free_ char *spec = xasprintf("%s:%s", moving->to, path);
	_cleanup_buf_ struct buf whole = BUF_INIT, part = BUF_INIT;
	struct git_run run = {
	    .git_dir = moving->tree->git_dir, .work_tree = moving->tree->dir, .out = &whole};
	struct stat st;

	return lstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX &&
	       file_read(file, FILE_MAX, &part, NULL) == 1 &&
	       git_run(moving->repo, &run, GIT_ARGS("cat-file", "--filters", spec), NULL) == 0 &&
	       part.len <= whole.len && (!part.len || memcmp(part.data, whole.data, part.len) == 0);
}

static bool is_at(const struct moving *moving, const char *commit)
{
	char now[HEX_SIZE];

	return ref_read(moving->repo, moving->ref, now, NULL) == 1 && strcmp(now, commit) == 0;
}

int moving_read_tree(const struct moving *moving, const char *from, const char *to, bool *killed,
                     struct error *err)
{
	const struct worktree *tree = moving->tree;
	_cleanup_free_ char *own = repo_path(tree->git_dir, "index"),
	                    *changed = repo_path(tree->git_dir, NEW_INDEX);
	const char *const set[] = {MOVING_VARIABLE, moving->repo->place.common_dir, MOVING_SYNC,
	                           NULL};
	struct git_run run = {.git_dir = tree->git_dir,
	                      .work_tree = tree->dir,
	                      .index = changed,
	                      .set = set,
	                      .killed = killed};
	struct git_run refresh = run;
	int rc, status;

	refresh.exit_code = &status; /* 1: something differs */
	unlink(changed);
	rc = file_copy(own, changed, err) < 0 ? -1 : 0;
	/* What was only touched is not taken for a change. */
	if (rc == 0)
		rc = git_run(moving->repo, &refresh, GIT_ARGS("update-index", "-q", "--refresh"),
		             err);
	if (rc == 0)
		rc = git_run(moving->repo, &run, GIT_ARGS("read-tree", "-m", "-u", from, to), err);
	if (rc == 0 && rename(changed, own) < 0)
		rc = error_errno(err, "cannot write %s", own);
	if (rc < 0)
		unlink(changed);
	return rc;
}

/* What somebody changed since is not lost: then it stays as it is, and is found in the way. */
int moving_leave(const struct moving *moving, struct error *err)
{
	char head[HEX_SIZE];
	bool killed = false;
	int found = worktree_head(moving->repo, moving->tree->git_dir, head, NULL, err);

	if (found == 0)
		return error_set(err, ERROR_BUSY, "%s is on no commit", moving->tree->dir);
	return found < 0 ? -1 : moving_read_tree(moving, moving->to, head, &killed, err);
}

static bool any_has(const struct changes *changes, char *const *paths)
{
	for (size_t i = 0; i < changes->count; i++)
		if (has(paths, changes->items[i].path))
			return true;
	return false;
}

int moving_restore(const struct moving *moving, struct error *err)
{
	_cleanup_changes_ struct changes changes = CHANGES_INIT;
	_cleanup_strv_ char **dirty = NULL, **not_there = NULL, **in_index = NULL;
	_cleanup_buf_ struct buf restore = BUF_INIT;
	struct git_run run = {.git_dir = moving->tree->git_dir, .work_tree = moving->tree->dir};

	if (changes_read(moving->repo, moving->from, moving->to, &changes, err) < 0 ||
	    read_differing(moving, false, &dirty, err) < 0 ||
	    read_differing(moving, true, &not_there, err) < 0 || staged(moving, &in_index, err) < 0)
		return -1;
	if (any_has(&changes, in_index) && is_at(moving, moving->from)) {
		moving_leave(moving, NULL);
		return 0;
	}
	for (size_t i = 0; i < changes.count; i++) {
		const struct change *change = &changes.items[i];
		_cleanup_free_ char *file = repo_path(moving->tree->dir, change->path);
		struct stat st;
		bool missing = lstat(file, &st) < 0 && errno == ENOENT;
		bool tracked = change->status != 'A' || has(in_index, change->path);

		if (tracked ? !has(dirty, change->path) : missing)
			continue; /* as before, or as the index that was written says */
		if (!missing &&
		    (change->status == 'D' ||
		     (has(not_there, change->path) && !is_beginning(moving, file, change->path))))
			continue; /* somebody else's */
		if (tracked)
			buf_add(&restore, change->path, strlen(change->path) + 1);
		else
			unlink(file);
	}
	run.in = restore.data;
	run.in_len = restore.len;
	return restore.len ? git_run(moving->repo, &run,
	                             GIT_ARGS("checkout-index", "-f", "-q", "-z", "--stdin"), err)
	                   : 0;
}

/* ---- moving ---- */

int moving_undo(const struct moving *moving, struct error *err)
{
	_cleanup_free_ char *path = mark_path(moving);
	_cleanup_free_ char *marker =
	    xasprintf(MOVING_VARIABLE "=%s", moving->repo->place.common_dir);
	struct stat mark;
	char *lock;
	int rc;

	if (lstat(path, &mark) < 0)
		return 0;
	proc_kill_survivors(marker, NULL, 0, SWEEPS_MAX);
	remove_locks(moving, &mark);
	if (!moving->tree || is_at(moving, moving->to))
		return 0;
	lock = moving_lock_index(moving, err);
	rc = lock ? moving_restore(moving, err) : -1;
	moving_unlock_index(&lock);
	return rc;
}

/* What was under way when a process of ours died here. */
static int undo_earlier(const struct moving *moving, struct error *err)
{
	_cleanup_free_ char *path = mark_path(moving);
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *mark = NULL;
	struct moving earlier = *moving;
	int rc = file_read(path, MARK_MAX, &text, err);

	if (rc <= 0)
		return rc;
	mark = jsonl_parse(text.data, text.len, NULL);
	earlier.ref = json_text(mark, "ref");
	earlier.from = json_text(mark, "from");
	earlier.to = json_text(mark, "to");
	if (!earlier.ref || !earlier.from || !earlier.to)
		return 0;
	return moving_undo(&earlier, err);
}

int moving_lock(const struct repo *repo, const struct worktree *tree, bool wait, struct error *err)
{
	_cleanup_free_ char *dir = place_of(repo, tree);
	int fd, saved;

	if (!tree && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "cannot open %s", dir);
	while (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		saved = errno;
		close(fd);
		errno = saved;
		return saved == EWOULDBLOCK
		           ? error_set(err, ERROR_BUSY, "something is being moved in %s", dir)
		           : error_errno(err, "cannot lock %s", dir);
	}
	return fd;
}

int moving_recover(const struct repo *repo, const struct worktree *tree, struct error *err)
{
	const struct moving moving = {.repo = repo, .tree = tree};
	_cleanup_free_ char *path = mark_path(&moving);
	_cleanup_close_ int lock = -1;
	struct error why = ERROR_INIT;

	if (!file_exists(path))
		return 0;
	lock = moving_lock(repo, tree, false, &why);
	if (lock < 0 && why.code == ERROR_BUSY)
		return 0;
	if (lock < 0 || undo_earlier(&moving, &why) < 0) {
		if (err)
			*err = why;
		return -1;
	}
	moving_end(&moving);
	return 0;
}

int moving_begin(const struct moving *moving, struct error *err)
{
	_cleanup_free_ char *path = mark_path(moving), *text = NULL;
	_cleanup_json_ json_t *mark = json_pack("{s:s, s:s, s:s}", "ref", moving->ref, "from",
	                                        moving->from, "to", moving->to);

	if (undo_earlier(moving, err) < 0)
		return -1;
	text = jsonl_text(mark);
	return place_write_file(path, text, strlen(text), err);
}

void moving_end(const struct moving *moving)
{
	_cleanup_free_ char *path = mark_path(moving);

	unlink(path);
}
