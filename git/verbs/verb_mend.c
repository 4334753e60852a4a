/* mend: what a power cut leaves in a repository and git never lets go of. Locks from before the
 * boot, whose holders are dead; loose objects that hold nothing (git takes them for written,
 * and would never write them again); our own refs to nothing. Nothing that holds anything is
 * removed. Then commits that are there in part (torn.c), and the slots that were in use are
 * settled, as after the death of a worker. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "refs.h"
#include "torn.h"
#include "verb.h"
#include "worktree.h"

#define DEPTH_MAX 64 /* of folders below refs/ */

struct mend {
	struct repo *repo;
	time_t boot;
	char **removed; /* for the log: paths below the common directory */
};

/* When this machine was started. */
static time_t boot_time(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return now.tv_sec - up.tv_sec;
}

static void remove_file(struct mend *mend, const char *path)
{
	if (unlink(path) == 0)
		strv_push(&mend->removed, xstrdup(path + strlen(mend->repo->place.common_dir) + 1));
}

static bool is_old_lock(const struct mend *mend, const char *path, const struct stat *st)
{
	size_t n = strlen(path);

	return S_ISREG(st->st_mode) && n > 5 && strcmp(path + n - 5, ".lock") == 0 &&
	       st->st_mtime < mend->boot;
}

static bool is_our_broken_ref(const struct mend *mend, const char *path, const struct stat *st)
{
	(void)st;
	return ref_is_broken(mend->repo, path + strlen(mend->repo->place.common_dir) + 1);
}

/* Every file below a folder for which `wrong` holds goes. */
static void walk(struct mend *mend, const char *path, int depth,
                 bool (*wrong)(const struct mend *, const char *, const struct stat *))
{
	DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	struct dirent *entry;
	struct stat st;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *file = repo_path(path, entry->d_name);

		if (entry->d_name[0] == '.' || lstat(file, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			walk(mend, file, depth + 1, wrong);
		else if (wrong(mend, file, &st))
			remove_file(mend, file);
	}
	if (dir)
		closedir(dir);
}

static void mend_locks(struct mend *mend)
{
	static const char *const names[] = {"index.lock", "HEAD.lock", "packed-refs.lock",
	                                    "ORIG_HEAD.lock"};
	_cleanup_free_ char *refs = repo_path(mend->repo->place.common_dir, "refs");
	_cleanup_free_ char *trees = repo_path(mend->repo->place.common_dir, "worktrees");
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *file = repo_path(mend->repo->place.common_dir, names[i]);

		if (lstat(file, &st) == 0 && is_old_lock(mend, file, &st))
			remove_file(mend, file);
	}
	walk(mend, refs, 0, is_old_lock);
	repo_drop_dead_lock(mend->repo);
	/* Not pleach-slot.lock: a lock is held on that, it is none by being there. */
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		DIR *dir = opendir(trees);
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			_cleanup_free_ char *file =
			    xasprintf("%s/%s/%s", trees, entry->d_name, names[i]);

			if (lstat(file, &st) == 0 && is_old_lock(mend, file, &st))
				remove_file(mend, file);
		}
		if (dir)
			closedir(dir);
	}
}

/* Empty, or of zeros: it does not begin as zlib's output does. */
static bool is_no_object(const struct mend *mend, const char *path, const struct stat *st)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	unsigned char head[2] = {0, 0};
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);

	(void)mend;
	return S_ISREG(st->st_mode) && n >= 0 &&
	       (n < 2 || (head[0] & 15) != 8 || (head[0] * 256 + head[1]) % 31 != 0);
}

static void mend_objects(struct mend *mend)
{
	_cleanup_free_ char *objects = repo_path(mend->repo->place.common_dir, "objects");
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 256; i++) {
		_cleanup_free_ char *dir =
		    xasprintf("%s/%c%c", objects, digits[i / 16], digits[i % 16]);

		walk(mend, dir, DEPTH_MAX - 1, is_no_object);
	}
}

/* Caller frees; NULL: no worktree of ours. */
static char *git_dir_of(const struct mend *mend, const char *dir)
{
	_cleanup_free_ char *settled = dir ? path_settle(dir) : NULL;

	return settled ? worktree_git_dir(mend->repo, settled) : NULL;
}

/* Everything is added anew from the files. */
static bool put_index_aside(const char *git_dir)
{
	_cleanup_free_ char *index = repo_path(git_dir, "index");
	_cleanup_free_ char *aside = repo_path(git_dir, "index.unusable");

	return rename(index, aside) == 0;
}

/* An index that outlived objects it names. A file that looks as it says would be taken for known,
 * and a commit made that lacks it. */
static bool index_names_missing(const struct mend *mend, const char *git_dir, const char *dir)
{
	_cleanup_free_ char *index = repo_path(git_dir, "index");
	const struct capture_source source = {.repo = mend->repo, .git_dir = git_dir, .dir = dir};
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
	struct git_run run = {.out = &out};
	char hex[HEX_SIZE];

	/* In a partial clone asking would fetch. */
	if (!file_exists(index) || repo_is_partial(mend->repo) ||
	    index_view_open(&source, index, &view, NULL) < 0)
		return false;
	for (size_t i = 0; i < view.count; i++) {
		if (view.items[i].mode == MODE_LINK)
			continue;
		index_entry_hex(&view.items[i], hex);
		buf_printf(&in, "%s\n", hex);
	}
	run.in = in.data;
	run.in_len = in.len;
	if (git_run(mend->repo, &run, GIT_ARGS("cat-file", "--batch-check=%(objecttype)"), NULL) <
	    0)
		return true;
	buf_add(&out, "", 0);
	return strstr(out.data, " missing\n") != NULL;
}

static void mend_torn(struct mend *mend, const json_t *request)
{
	_cleanup_torn_ struct torn torn;
	const json_t *dir;
	size_t i;

	torn_begin(&torn, mend->repo);
	torn_mend_refs(&torn, &mend->removed);
	json_array_foreach (json_object_get(request, "dirs"), i, dir) {
		const char *text = json_string_value(dir);
		_cleanup_free_ char *git_dir = git_dir_of(mend, text);

		if (!git_dir)
			continue;
		torn_mend_worktree(&torn, git_dir, &mend->removed);
		if (index_names_missing(mend, git_dir, text))
			put_index_aside(git_dir);
	}
}

/* One slot after the other; what cannot be settled is told and does not stop the others. */
static json_t *settle_all(const struct mend *mend, const json_t *request, json_t *settled)
{
	json_t *problems = json_array(), *dir;
	size_t i;

	json_array_foreach (json_object_get(request, "dirs"), i, dir) {
		_cleanup_json_ json_t *one =
		    json_pack("{s:O, s:O?, s:O}", "root", json_object_get(request, "root"),
		              "pinned", json_object_get(request, "pinned"), "dir", dir);
		_cleanup_json_ json_t *answer = NULL;
		_cleanup_free_ char *git_dir = git_dir_of(mend, json_string_value(dir));
		struct error err = ERROR_INIT;

		if (verb_settle(one, &answer, &err) < 0 &&
		    (!git_dir || !put_index_aside(git_dir) || verb_settle(one, &answer, &err) < 0))
			json_array_append_new(problems, verb_text(err.text));
		else
			json_array_append(settled, answer);
	}
	return problems;
}

int verb_mend(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_free_ char *refs = NULL;
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct mend mend = {.repo = &repo, .boot = boot_time()};
	json_t *settled, *problems;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	refs = repo_path(repo.place.common_dir, "refs");
	mend_locks(&mend);
	mend_objects(&mend);
	walk(&mend, refs, 0, is_our_broken_ref);
	mend_torn(&mend, request);
	settled = json_array();
	problems = settle_all(&mend, request, settled);
	*answer = json_pack("{s:o, s:o, s:o}", "removed", verb_texts(mend.removed), "problems",
	                    problems, "settled", settled);
	strv_free(mend.removed);
	return 0;
}
