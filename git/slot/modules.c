/* Submodules of a slot: their files are not in the slot's tree, only a link to a commit.
 * What an agent changed in one is kept in our repository; then the submodule is emptied, as
 * in a new worktree, and setup fills it again. No program runs inside it; libgit2 reads its
 * HEAD. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"
#include "slot_internal.h"

/* An index for each submodule stays, so that unchanged files need no hashing. */
static char *module_index(const struct slot *slot, const char *path)
{
	uint64_t hash = 1469598103934665603u;

	for (const char *p = path; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	return xasprintf("%s/pleach.module.%016llx", slot->git_dir, (unsigned long long)hash);
}

/* The tree of the submodule's files, whatever its own repository says. */
static int module_tree(struct slot *slot, const char *path, char tree[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *dir = repo_path(slot->dir, path), *index = module_index(slot, path);
	_cleanup_free_ char *lock = xasprintf("%s.lock", index);
	_cleanup_capture_ struct capture found = CAPTURE_INIT;
	int code = 0;
	struct capture_source source = {
	    .repo = &slot->repo, .git_dir = slot->git_dir, .dir = dir, .anyhow = true};
	struct git_run run = {
	    .git_dir = slot->git_dir, .work_tree = dir, .index = index, .exit_code = &code};

	file_remove_all(lock, NULL);
	for (int i = 0; i < 2; i++) {
		if (git_run(&slot->repo, &run,
		            GIT_ARGS("add", "-A", "--ignore-errors", "--sparse", "--", "."),
		            err) < 0)
			return -1;
		if (code <= 1)
			break;
		file_remove_all(index, NULL); /* damaged: from the beginning */
	}
	if (code > 0 && leftover_add(&source, index, &found, err) < 0)
		return error_wrap(err, "submodule %s", path);
	return index_write_tree(&slot->repo, slot->git_dir, index, tree, err);
}

struct module {
	git_repository *repo; /* NULL where libgit2 cannot open it */
	char head[HEX_SIZE];  /* "" where it has none */
	char tree[HEX_SIZE];  /* of head */
};

static void module_open(const struct slot *slot, const char *path, struct module *out)
{
	_cleanup_free_ char *dir = repo_path(slot->dir, path);
	git_object *commit = NULL, *tree = NULL;

	memset(out, 0, sizeof *out);
	if (git_repository_open_ext(&out->repo, dir, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) < 0) {
		out->repo = NULL;
		return;
	}
	if (git_revparse_single(&commit, out->repo, "HEAD^{commit}") == 0 &&
	    git_object_peel(&tree, commit, GIT_OBJECT_TREE) == 0) {
		git_oid_tostr(out->head, GIT_OID_HEXSZ + 1, git_object_id(commit));
		git_oid_tostr(out->tree, GIT_OID_HEXSZ + 1, git_object_id(tree));
	}
	git_object_free(commit);
	git_object_free(tree);
}

/* A commit of the submodule that only its HEAD names gets a ref there. */
static void keep_module_head(const struct module *module, int64_t attempt)
{
	_cleanup_free_ char *name = ref_kept_stem(attempt, "slot", NULL);
	git_reference *ref = NULL;
	git_oid oid;

	if (module->head[0] && git_oid_fromstr(&oid, module->head) == 0)
		git_reference_create(&ref, module->repo, name, &oid, 1, "pleach: keep");
	git_reference_free(ref);
}

static int keep_module_files(struct slot *slot, int64_t attempt, const char *path, const char *tree,
                             const char *head, struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, "module");
	_cleanup_free_ char *message = xasprintf("pleach: files of submodule %s\n", path);
	char hex[HEX_SIZE];

	if (commit_make(&slot->repo, tree, (const char *const[]){head, NULL}, message, -1, hex,
	                err) < 0)
		return -1;
	slot->unsynced = true;
	return ref_keep(&slot->repo, stem, hex, NULL, err);
}

int slot_keep_modules(struct slot *slot, int64_t attempt, const struct capture *capture,
                      const char *head, struct error *err)
{
	for (size_t i = 0; capture->modules && capture->modules[i]; i++) {
		const char *path = capture->modules[i];
		char tree[HEX_SIZE];
		struct module module;
		int rc;

		_cleanup_free_ char *git = xasprintf("%s/%s/.git", slot->dir, path);

		rc = module_tree(slot, path, tree, err);
		/* One that is no link to the slot's git directory is an agent's. */
		if (rc == 0 && file_is_dir(git))
			rc = slot_keep_history(slot, attempt, git, "module", path, err);
		if (rc < 0)
			return -1;
		module_open(slot, path, &module);
		if (strcmp(tree, module.tree) != 0)
			rc = keep_module_files(slot, attempt, path, tree, head, err);
		if (module.repo)
			keep_module_head(&module, attempt);
		git_repository_free(module.repo);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int move_module(struct slot *slot, int64_t attempt, const char *path, struct error *err)
{
	_cleanup_free_ char *git = xasprintf("%s/%s/.git", slot->dir, path);

	return file_is_dir(git) ? slot_move_aside(slot, attempt, git, err) : 0;
}

int slot_move_modules(struct slot *slot, int64_t attempt, const struct capture *capture, bool all,
                      struct error *err)
{
	_cleanup_free_ char *modules = repo_path(slot->git_dir, "modules");

	for (size_t i = 0; capture->modules && capture->modules[i]; i++)
		if (move_module(slot, attempt, capture->modules[i], err) < 0)
			return -1;
	return all && file_exists(modules) ? slot_move_aside(slot, attempt, modules, err) : 0;
}

int slot_reset_modules(struct slot *slot, int64_t attempt, const struct capture *capture,
                       const char *base, struct error *err)
{
	for (size_t i = 0; capture->modules && capture->modules[i]; i++) {
		_cleanup_free_ char *dir = repo_path(slot->dir, capture->modules[i]);
		char tree[HEX_SIZE], link[HEX_SIZE];
		struct module module;
		bool clean;

		if (!file_is_dir(dir))
			continue;
		if (module_tree(slot, capture->modules[i], tree, err) < 0)
			return -1;
		module_open(slot, capture->modules[i], &module);
		git_repository_free(module.repo);
		if (commit_path_id(&slot->repo, base, capture->modules[i], link, err) < 0)
			return -1;
		clean = module.head[0] && strcmp(module.head, link) == 0 &&
		        strcmp(tree, module.tree) == 0;
		if (clean)
			continue;
		/* Its files are kept, its repository is in the slot's git directory, or aside. */
		if (move_module(slot, attempt, capture->modules[i], err) < 0)
			return -1;
		files_make_accessible(dir);
		if (file_remove_all(dir, err) < 0)
			return -1;
		if (link[0])
			mkdir(dir, 0777);
		slot->marker.set_up = false;
	}
	return 0;
}
