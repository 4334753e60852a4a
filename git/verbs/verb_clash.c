/* clash: which of several works under way conflict with each other, and with the target.
 *
 * An agent may be at work in each slot: its files are read through a copy of its index, and
 * every object that is made on the way goes to a store of its own that is removed afterwards.
 * Nothing of the repository changes. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "jsonl.h"
#include "marker.h"
#include "mem.h"
#include "merge.h"
#include "refs.h"
#include "verb.h"
#include "worktree.h"

/* Of what git does not know, so much of a slot is compared: what is larger, or comes after it, is
 * an agent's output more often than a source, and would be copied at each look. */
#define UNTRACKED_FILE_MAX ((off_t)1 << 20)
#define UNTRACKED_ALL_MAX  ((off_t)16 << 20)

struct work {
	json_int_t task, group; /* of one group, alternatives: they are meant to differ */
	const char *base, *head, *dir;
	char commit[HEX_SIZE]; /* "" when it could not be read: it is left out */
	char **paths;          /* what it changes, sorted by git */
};

struct clash {
	struct repo *repo;
	const char *scratch;
	struct work *items;
	size_t count;
	json_t *pairs, *target;
};

static int divert_environment(struct clash *clash, struct error *err)
{
	_cleanup_free_ char *objects = repo_path(clash->scratch, "objects");
	_cleanup_free_ char *own = repo_path(clash->repo->place.common_dir, "objects");

	if (repo_environment(clash->repo, err) < 0)
		return -1;
	env_set(&clash->repo->env, "GIT_OBJECT_DIRECTORY", objects);
	env_set(&clash->repo->env, "GIT_ALTERNATE_OBJECT_DIRECTORIES", own);
	return 0;
}

/* From here on git programs write their objects to the scratch, and read both; libgit2, which
 * would not see them, is not asked. */
static int divert(struct clash *clash, struct error *err)
{
	_cleanup_free_ char *objects = repo_path(clash->scratch, "objects");

	if (place_make_private_dir(objects, err) < 0)
		return -1;
	git_repository_free(clash->repo->git);
	clash->repo->git = NULL;
	return divert_environment(clash, err);
}

static bool is_private(const struct marker *marker, const char *path)
{
	for (size_t i = 0; marker->private_paths && marker->private_paths[i]; i++)
		if (path_is_below(path, marker->private_paths[i]))
			return true;
	return false;
}

/* The files that git does not know, each with its NUL, as far as they are compared. Nested
 * repositories end in a slash and are left out, like whatever is no file. */
static int list_untracked(struct clash *clash, const struct git_run *slot,
                          const struct marker *marker, struct buf *out, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = *slot;
	off_t room = UNTRACKED_ALL_MAX;

	run.out = &text;
	if (git_run(clash->repo, &run, GIT_ARGS("ls-files", "-o", "--exclude-standard", "-z"),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < text.len;) {
		const char *path = text.data + at;
		size_t n = strlen(path) + 1;
		_cleanup_free_ char *file = repo_path(slot->work_tree, path);
		struct stat st;

		at += n;
		if (lstat(file, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) ||
		    st.st_size > UNTRACKED_FILE_MAX || st.st_size > room ||
		    is_private(marker, path))
			continue;
		room -= st.st_size;
		buf_add(out, path, n);
	}
	return 0;
}

static int add_files(struct clash *clash, const struct git_run *slot, const struct marker *marker,
                     struct error *err)
{
	_cleanup_strv_ char **args = NULL;
	_cleanup_buf_ struct buf untracked = BUF_INIT;
	struct git_run run = *slot;

	for (const char *const *arg =
	         GIT_ARGS("add", "-u", "--ignore-errors", "--sparse", "--", ".");
	     *arg; arg++)
		strv_push(&args, xstrdup(*arg));
	for (size_t i = 0; marker->private_paths && marker->private_paths[i]; i++)
		strv_push(&args, xasprintf(":(exclude,top,literal)%s", marker->private_paths[i]));
	if (list_untracked(clash, slot, marker, &untracked, err) < 0 ||
	    git_run(clash->repo, &run, (const char *const *)args, err) < 0)
		return -1;
	if (!untracked.len)
		return 0;
	run.in = untracked.data;
	run.in_len = untracked.len;
	return git_run(clash->repo, &run, GIT_ARGS("update-index", "--add", "-z", "--stdin"), err);
}

/* The files of a slot as they are, as a tree. */
static int slot_tree(struct clash *clash, const char *dir, char tree[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *settled = path_settle(dir), *git_dir = NULL, *own = NULL;
	_cleanup_free_ char *index = repo_path(clash->scratch, "index");
	struct git_run run = {.work_tree = settled, .index = index};
	struct marker marker = MARKER_INIT;
	int rc;

	git_dir = settled ? worktree_git_dir(clash->repo, settled) : NULL;
	if (!git_dir)
		return error_set(err, ERROR_NOT_FOUND, "%s is no slot of this repository", dir);
	own = repo_path(git_dir, "index");
	unlink(index);
	/* The settings of each slot count for it, and its environment is made anew. */
	if (repo_look_at(clash->repo, git_dir, err) < 0 || repo_refresh(clash->repo, err) < 0 ||
	    divert_environment(clash, err) < 0 || file_copy(own, index, err) < 0)
		return -1;
	run.git_dir = git_dir;
	marker_read(git_dir, &marker, NULL);
	rc = add_files(clash, &run, &marker, err);
	marker_finish(&marker);
	return rc < 0 ? -1 : git_run_id(clash->repo, &run, GIT_ARGS("write-tree"), tree, err);
}

static int read_paths(struct clash *clash, struct work *work, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};

	if (git_run(clash->repo, &run,
	            GIT_ARGS("diff-tree", "-r", "-z", "--no-renames", "--name-only", work->base,
	                     work->commit),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1)
		strv_push(&work->paths, xstrdup(text.data + at));
	return 0;
}

static int read_work(struct clash *clash, struct work *work, struct error *err)
{
	const char *const parents[] = {work->base, NULL};
	char tree[HEX_SIZE];

	if (work->dir) {
		if (slot_tree(clash, work->dir, tree, err) < 0 ||
		    commit_make(clash->repo, tree, parents, "pleach: work under way\n", 0,
		                work->commit, err) < 0)
			return -1;
	} else {
		memcpy(work->commit, work->head, strlen(work->head) + 1);
	}
	return read_paths(clash, work, err);
}

static int read_items(struct clash *clash, const json_t *request, struct error *err)
{
	const json_t *list = json_sub(request, "items"), *entry;
	size_t i;

	clash->items = xcalloc(json_array_size(list), sizeof *clash->items);
	json_array_foreach (list, i, entry) {
		struct work *work = &clash->items[clash->count++];
		struct error why = ERROR_INIT;

		work->task = json_int(entry, "task", 0);
		work->group = json_int(entry, "group", 0);
		work->dir = json_text(entry, "dir");
		work->base = verb_id(entry, "base", err);
		work->head = work->dir ? NULL : verb_id(entry, "head", err);
		if (!work->base || (!work->dir && !work->head))
			return -1;
		/* An agent that moves its files about right now is looked at next time. */
		if (read_work(clash, work, &why) < 0)
			work->commit[0] = '\0';
	}
	return 0;
}

static bool share_a_path(const struct work *a, const struct work *b)
{
	size_t i = 0, k = 0;

	while (a->paths && b->paths && a->paths[i] && b->paths[k]) {
		int order = strcmp(a->paths[i], b->paths[k]);

		if (order == 0)
			return true;
		order < 0 ? i++ : k++;
	}
	return false;
}

static int compare_pair(struct clash *clash, const struct work *a, const struct work *b,
                        struct error *err)
{
	_cleanup_strv_ char **paths = NULL;
	char tree[HEX_SIZE];
	int rc;

	if (!a->commit[0] || !b->commit[0] || (a->group && a->group == b->group) ||
	    !share_a_path(a, b))
		return 0;
	rc = merge_commits(clash->repo, a->commit, b->commit, tree, &paths, err);
	if (rc == 1)
		json_array_append_new(
		    clash->pairs,
		    json_pack("{s:I, s:I, s:o}", "a", a->task < b->task ? a->task : b->task, "b",
		              a->task < b->task ? b->task : a->task, "paths", verb_texts(paths)));
	return rc < 0 ? -1 : 0;
}

static int compare_target(struct clash *clash, const char *target, const struct work *work,
                          struct error *err)
{
	_cleanup_strv_ char **paths = NULL;
	char tree[HEX_SIZE];
	int rc;

	if (!work->commit[0] || !work->paths)
		return 0;
	rc = commit_contains(clash->repo, work->base, target, err);
	if (rc == 0)
		rc = merge_commits(clash->repo, target, work->commit, tree, &paths, err);
	else if (rc == 1)
		return 0;
	if (rc == 1)
		json_array_append_new(clash->target, json_pack("{s:I, s:o}", "task", work->task,
		                                               "paths", verb_texts(paths)));
	return rc < 0 ? -1 : 0;
}

static int compare_all(struct clash *clash, const json_t *request, struct error *err)
{
	const char *name = json_text(request, "target");
	_cleanup_free_ char *ref = name ? verb_branch(request, "target", err) : NULL;
	char target[HEX_SIZE];
	int found = ref ? ref_read(clash->repo, ref, target, err) : 0;

	if ((name && !ref) || found < 0 || divert(clash, err) < 0 ||
	    read_items(clash, request, err) < 0)
		return -1;
	for (size_t i = 0; i < clash->count; i++) {
		if (found && compare_target(clash, target, &clash->items[i], err) < 0)
			return -1;
		for (size_t k = i + 1; k < clash->count; k++)
			if (compare_pair(clash, &clash->items[i], &clash->items[k], err) < 0)
				return -1;
	}
	return 0;
}

int verb_clash(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	char scratch[] = "/tmp/pleach-git-XXXXXX";
	struct clash clash = {.repo = &repo, .scratch = scratch};
	int rc;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	if (!mkdtemp(scratch))
		return error_errno(err, "cannot make %s", scratch);
	clash.pairs = json_array();
	clash.target = json_array();
	rc = compare_all(&clash, request, err);
	if (rc == 0)
		*answer = json_pack("{s:O, s:O}", "pairs", clash.pairs, "target", clash.target);
	json_decref(clash.pairs);
	json_decref(clash.target);
	for (size_t i = 0; i < clash.count; i++)
		strv_free(clash.items[i].paths);
	free(clash.items);
	file_remove_all(scratch, NULL);
	return rc;
}
