/* History of repositories that are not ours but lie in a slot: nested ones, a submodule's, one
 * that an agent made in place of the slot's .git file. Their commits are copied into our own
 * objects and kept by a ref.
 *
 * git runs in our repository with theirs lent as a place of objects: nothing of their
 * configuration is read. What cannot be copied (another hash, missing objects, too much) stays
 * with the repository, which its caller keeps. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "mem.h"
#include "named_ids.h"
#include "slot_internal.h"

#define COPY_MAX    (256LL << 20) /* bytes of objects that are copied */
#define PARENTS_MAX 200           /* tips that one commit holds */
#define DEPTH_MAX   8

/* The directory's files together; all of them with everything below, no link followed. */
static long long size_below(const char *path, int depth)
{
	struct dirent *entry;
	DIR *dir = depth < DEPTH_MAX && file_is_dir(path) ? opendir(path) : NULL;
	long long sum = 0;

	while (dir && sum <= COPY_MAX && (entry = readdir(dir))) {
		_cleanup_free_ char *file = repo_path(path, entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    lstat(file, &st) < 0)
			continue;
		sum += S_ISDIR(st.st_mode) ? size_below(file, depth + 1) : (long long)st.st_size;
	}
	if (dir)
		closedir(dir);
	return sum;
}

/* A path in GIT_ALTERNATE_OBJECT_DIRECTORIES, whose parts a colon separates. */
static char *quoted(const char *path)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	buf_add_str(&out, "\"");
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			buf_add_str(&out, "\\");
		buf_add(&out, path, 1);
	}
	buf_add_str(&out, "\"");
	return buf_take(&out);
}

/* One git program in our repository that also sees the objects in `objects`. */
static int run_lent(const struct repo *repo, const char *objects, const char *const *args,
                    const struct buf *in, struct buf *out)
{
	_cleanup_free_ char *lent = quoted(objects);
	const char *set[] = {"GIT_ALTERNATE_OBJECT_DIRECTORIES", lent, NULL};
	struct git_run run = {.set = set, .in = in->data, .in_len = in->len, .out = out};

	if (git_run(repo, &run, args, NULL) < 0)
		return -1;
	buf_add(out, "", 0);
	return 0;
}

/* Those of the ids that are commits, or tags of commits. */
static int commits_of(const struct repo *repo, const char *objects, char **ids, char ***commits)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
	char *save = NULL;

	for (size_t i = 0; ids && ids[i]; i++)
		buf_printf(&in, "%s^{commit}\n", ids[i]);
	if (!in.len)
		return 0;
	if (run_lent(repo, objects, GIT_ARGS("cat-file", "--batch-check"), &in, &out) < 0)
		return -1;
	for (char *line = strtok_r(out.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (!space || strncmp(space, " commit ", 8) != 0)
			continue;
		*space = '\0';
		if (hex_is_id(line))
			strv_push(commits, xstrdup(line));
	}
	return 0;
}

static void add_revs(struct buf *in, char **wanted, char **fetched)
{
	for (size_t i = 0; wanted && wanted[i]; i++)
		buf_printf(in, "%s\n", wanted[i]);
	for (size_t i = 0; fetched && fetched[i]; i++)
		buf_printf(in, "^%s\n", fetched[i]);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(char **list)
{
	size_t n = strv_len((const char *const *)list);

	if (n)
		qsort(list, n, sizeof *list, by_text);
}

static bool holds(char **sorted, const char *text)
{
	size_t n = strv_len((const char *const *)sorted);

	return n && bsearch(&text, sorted, n, sizeof *sorted, by_text);
}

/* Those commits that no other of the listing has as a parent. */
static char **tips_of(char **commits, char *listing)
{
	_cleanup_strv_ char **listed = NULL, **parents = NULL;
	char **tips = NULL, *save = NULL;

	for (char *line = strtok_r(listing, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *word = NULL, *id = strtok_r(line, " ", &word), *parent;

		strv_push(&listed, xstrdup(id));
		while ((parent = strtok_r(NULL, " ", &word)))
			strv_push(&parents, xstrdup(parent));
	}
	sort(listed);
	sort(parents);
	sort(commits);
	for (size_t i = 0; commits[i]; i++)
		if ((!i || strcmp(commits[i - 1], commits[i]) != 0) && holds(listed, commits[i]) &&
		    !holds(parents, commits[i]))
			strv_push(&tips, xstrdup(commits[i]));
	return tips;
}

/* Objects of `tips` that `ours` (lines of rev-list) do not reach, as a pack of ours. */
static int copy_objects(const struct repo *repo, const char *objects, char **tips,
                        const struct buf *ours)
{
	_cleanup_buf_ struct buf in = BUF_INIT, list = BUF_INIT, out = BUF_INIT;
	_cleanup_free_ char *pack = repo_path(repo->place.common_dir, "objects/pack/pack");

	add_revs(&in, tips, NULL);
	buf_add(&in, ours->data, ours->len);
	if (run_lent(repo, objects, GIT_ARGS("rev-list", "--objects", "--stdin"), &in, &list) < 0)
		return -1;
	return run_lent(repo, objects, GIT_ARGS("pack-objects", "-q", "--delta-base-offset", pack),
	                &list, &out);
}

/* Commits of ours whose parents are the tips, under kept refs. */
static int keep_tips(struct slot *slot, const char *stem, char **tips, const char *what,
                     struct error *err)
{
	_cleanup_free_ char *message = xasprintf("pleach: history of %s\n", what);

	for (size_t at = 0; tips[at];) {
		const char *parents[PARENTS_MAX + 1] = {NULL};
		char tree[HEX_SIZE], hex[HEX_SIZE];
		int64_t when = 0;
		size_t n = 0;

		while (n < PARENTS_MAX && tips[at])
			parents[n++] = tips[at++];
		/* Its time is its content's: kept twice it is the same commit. */
		if (commit_tree(&slot->repo, parents[0], tree, err) < 0 ||
		    commit_time(&slot->repo, parents[0], &when, err) < 0 ||
		    commit_make(&slot->repo, tree, parents, message, when < 0 ? 0 : when, hex,
		                err) < 0 ||
		    ref_keep(&slot->repo, stem, hex, NULL, err) < 0)
			return -1;
	}
	slot->unsynced = true;
	return 0;
}

static int keep_commits(struct slot *slot, const char *stem, const char *objects, char **commits,
                        char **fetched, const char *what, struct error *err)
{
	_cleanup_buf_ struct buf ours = BUF_INIT, in = BUF_INIT, listing = BUF_INIT;
	_cleanup_strv_ char **tips = NULL;

	refs_add_undamaged(&slot->repo, true, &ours);
	add_revs(&in, commits, fetched);
	buf_add(&in, ours.data, ours.len);
	if (run_lent(&slot->repo, objects,
	             GIT_ARGS("rev-list", "--topo-order", "--parents", "--stdin"), &in,
	             &listing) < 0)
		return 0;
	tips = tips_of(commits, listing.data);
	if (!tips)
		return 1;
	if (size_below(objects, 0) > COPY_MAX ||
	    copy_objects(&slot->repo, objects, tips, &ours) < 0)
		return 0;
	return keep_tips(slot, stem, tips, what, err) < 0 ? -1 : 1;
}

int slot_keep_history(struct slot *slot, int64_t attempt, const char *git_dir, const char *suffix,
                      const char *what, struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, suffix);
	_cleanup_free_ char *objects = repo_path(git_dir, "objects");
	_cleanup_strv_ char **commits = NULL, **fetched = NULL;
	struct named_ids own = {.repo = &slot->repo}, theirs = {.repo = &slot->repo};
	int rc = 0;

	if (!file_is_dir(objects))
		return 0;
	named_ids_of_repository(&own, git_dir);
	named_ids_fetched(&theirs, git_dir);
	if (!own.ids)
		rc = 1;
	else if (commits_of(&slot->repo, objects, own.ids, &commits) == 0 &&
	         commits_of(&slot->repo, objects, theirs.ids, &fetched) == 0)
		rc = commits ? keep_commits(slot, stem, objects, commits, fetched, what, err) : 1;
	strv_free(own.ids);
	strv_free(theirs.ids);
	return rc;
}

/* A linked worktree of ours that an agent made inside the slot: its commits are in our objects. */
static int keep_linked(struct slot *slot, int64_t attempt, const char *link, struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, "nested");
	_cleanup_free_ char *line = file_line(link);
	_cleanup_free_ char *git_dir =
	    line && strncmp(line, "gitdir: /", 9) == 0 ? realpath(line + 8, NULL) : NULL;
	_cleanup_free_ char *ours = repo_path(slot->repo.place.common_dir, "worktrees/");
	struct named_ids list = {.repo = &slot->repo};
	int rc = 0;

	if (!git_dir || strncmp(git_dir, ours, strlen(ours)) != 0)
		return 0;
	named_ids_of_worktree(&list, git_dir);
	if (list.ids) {
		slot->unsynced = true;
		rc =
		    ref_keep_unreached(&slot->repo, stem, (const char *const *)list.ids, NULL, err);
	}
	strv_free(list.ids);
	return rc;
}

int slot_keep_nested(struct slot *slot, int64_t attempt, const struct capture *capture,
                     struct error *err)
{
	for (size_t i = 0; capture->nested && capture->nested[i]; i++) {
		_cleanup_free_ char *git = xasprintf("%s/%s/.git", slot->dir, capture->nested[i]);
		int rc = file_is_dir(git) ? slot_keep_history(slot, attempt, git, "nested",
		                                              capture->nested[i], err)
		                          : keep_linked(slot, attempt, git, err);

		if (rc < 0)
			return -1;
	}
	return 0;
}

/* The repositories of submodules, and of theirs, lie below <git dir>/modules. */
static int keep_modules_below(struct slot *slot, int64_t attempt, const char *path, int depth,
                              struct error *err)
{
	_cleanup_free_ char *objects = repo_path(path, "objects"), *inner = NULL;
	struct dirent *entry;
	DIR *dir;
	int rc = 0;

	if (depth >= DEPTH_MAX || !file_is_dir(path))
		return 0;
	if (file_is_dir(objects)) {
		if (slot_keep_history(slot, attempt, path, "module", strrchr(path, '/') + 1, err) <
		    0)
			return -1;
		inner = repo_path(path, "modules");
		return keep_modules_below(slot, attempt, inner, depth + 1, err);
	}
	dir = opendir(path);
	while (rc == 0 && dir && (entry = readdir(dir))) {
		_cleanup_free_ char *below = repo_path(path, entry->d_name);

		if (entry->d_name[0] != '.')
			rc = keep_modules_below(slot, attempt, below, depth + 1, err);
	}
	if (dir)
		closedir(dir);
	return rc;
}

int slot_keep_module_history(struct slot *slot, int64_t attempt, struct error *err)
{
	_cleanup_free_ char *modules = repo_path(slot->git_dir, "modules");

	return keep_modules_below(slot, attempt, modules, 0, err);
}
