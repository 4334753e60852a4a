/* Sparse slots: which part of the tree is checked out. A plan's `paths`, or what the user's own
 * main worktree is limited to; else everything.
 *
 * The repository's configuration is shared and never written: our git programs and the agent's
 * are told by their environment. What an agent made sparse itself ends with its attempt. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "mem.h"
#include "slot_internal.h"

#define PATTERNS_MAX (4u << 20)
#define EVERYTHING   "/*\n"

/* A line of a cone: the path with what means something else to git escaped. */
static void add_line(struct buf *out, const char *before, const char *path, size_t len,
                     const char *after)
{
	buf_add_str(out, before);
	for (size_t i = 0; i < len; i++) {
		if (strchr("*?[\\", path[i]))
			buf_add_str(out, "\\");
		buf_add(out, path + i, 1);
	}
	buf_add_str(out, after);
}

/* git's cone form (git-sparse-checkout(1)): the files of each parent, all of the path. */
static int cone_of(const char *const *paths, char **patterns, struct error *err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	buf_add_str(&out, "/*\n!/*/\n");
	for (size_t i = 0; paths[i]; i++) {
		_cleanup_free_ char *path = path_plain(paths[i]);

		if (!path_is_inside(path) || strchr(path, '\n'))
			return error_set(err, ERROR_INVALID,
			                 "%s: paths takes directories inside the repository",
			                 paths[i]);
		for (const char *p = path; (p = strchr(p, '/')); p++) {
			add_line(&out, "/", path, (size_t)(p - path), "/\n");
			add_line(&out, "!/", path, (size_t)(p - path), "/*/\n");
		}
		add_line(&out, "/", path, strlen(path), "/\n");
	}
	*patterns = buf_take(&out);
	return 0;
}

/* What the main worktree is limited to. 1 with `*patterns`, 0 it is not, -1. */
static int users_patterns(const struct slot *slot, char **patterns, struct error *err)
{
	_cleanup_free_ char *file = repo_path(slot->repo.place.common_dir, "info/sparse-checkout");
	_cleanup_buf_ struct buf text = BUF_INIT, on = BUF_INIT;
	int code = 0, rc;
	struct git_run run = {.out = &on, .exit_code = &code};

	if (!file_exists(file))
		return 0;
	if (git_run(&slot->repo, &run,
	            GIT_ARGS("config", "--type=bool", "--get", "core.sparseCheckout"), err) < 0)
		return -1;
	if (code != 0 || on.len < 4 || strncmp(on.data, "true", 4) != 0)
		return 0;
	rc = file_read(file, PATTERNS_MAX, &text, err);
	if (rc > 0)
		*patterns = buf_take(&text);
	return rc;
}

int slot_sparse_choose(struct slot *slot, const char *const *paths, struct error *err)
{
	char *patterns = NULL;
	int rc = 0;

	/* No directories at all: everything. */
	if (!paths || paths[0])
		rc = paths ? cone_of(paths, &patterns, err) : users_patterns(slot, &patterns, err);

	if (rc < 0)
		return -1;
	free(slot->marker.sparse);
	slot->marker.sparse = patterns;
	return 0;
}

static bool is_cone(const char *patterns)
{
	return strncmp(patterns, "/*\n!/*/\n", 8) == 0;
}

int slot_sparse_apply(const struct slot *slot, bool skipped, char ***set, struct error *err)
{
	_cleanup_free_ char *dir = repo_path(slot->git_dir, "info");
	_cleanup_free_ char *file = repo_path(dir, "sparse-checkout");
	const char *patterns = slot->marker.sparse ? slot->marker.sparse : EVERYTHING;
	bool on = slot->marker.sparse || skipped;

	if (!on && !file_exists(file)) {
		*set = repo_settings(&slot->repo,
		                     (const char *const[]){"core.sparseCheckout", "false", NULL});
		return 0;
	}
	if (!file_is_dir(dir) && (file_remove_all(dir, err) < 0 || mkdir(dir, 0777) < 0))
		return error_errno(err, "cannot make %s", dir);
	if (file_remove_all(file, err) < 0 ||
	    (on && place_write_file(file, patterns, strlen(patterns), err) < 0))
		return -1;
	*set = repo_settings(&slot->repo,
	                     (const char *const[]){"core.sparseCheckout", on ? "true" : "false",
	                                           "core.sparseCheckoutCone",
	                                           is_cone(patterns) ? "true" : "false", NULL});
	return 0;
}

void slot_sparse_environment(const struct slot *slot, char ***env)
{
	if (!slot->marker.sparse)
		return;
	env_add_setting(env, "core.sparseCheckout", "true");
	env_add_setting(env, "core.sparseCheckoutCone",
	                is_cone(slot->marker.sparse) ? "true" : "false");
}
