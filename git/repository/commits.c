/* Commits: asking about them, and making them. libgit2 first; a git program where
 * libgit2 has no answer (it does not open the repository, or lacks an object). */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "refs.h"

#define OWN_NAME  "pleach"
#define OWN_EMAIL "pleach@localhost"

/* The object as libgit2's commit; NULL when it has none. Caller frees. */
static git_commit *lookup(const struct repo *repo, const char *hex)
{
	git_commit *commit = NULL;
	git_oid oid;

	if (!repo->git || strlen(hex) != GIT_OID_HEXSZ || git_oid_fromstr(&oid, hex) < 0)
		return NULL;
	return git_commit_lookup(&commit, repo->git, &oid) == 0 ? commit : NULL;
}

int commit_contains(const struct repo *repo, const char *commit, const char *old, struct error *err)
{
	struct git_run run = {.exit_code = NULL};
	int code = 0;

	if (strcmp(commit, old) == 0)
		return 1;
	if (repo->git) {
		git_oid a, b;
		int rc;

		if (git_oid_fromstr(&a, commit) == 0 && git_oid_fromstr(&b, old) == 0 &&
		    ((rc = git_graph_descendant_of(repo->git, &a, &b)) == 0 || rc == 1))
			return rc;
	}
	run.exit_code = &code;
	if (git_run(repo, &run, GIT_ARGS("merge-base", "--is-ancestor", old, commit), err) < 0)
		return -1;
	return code == 0 ? 1 : code == 1 ? 0 : -1;
}

int commit_exists(const struct repo *repo, const char *hex)
{
	git_commit *commit = lookup(repo, hex);
	_cleanup_free_ char *spec = NULL;
	struct git_run run = {.exit_code = NULL};
	git_tree *tree = NULL;
	int code = 0;

	if (commit) {
		bool whole = git_commit_tree(&tree, commit) == 0;

		git_tree_free(tree);
		git_commit_free(commit);
		if (whole)
			return 1;
	}
	if (!hex_is_id(hex))
		return 0;
	spec = xasprintf("%s^{commit}^{tree}", hex);
	run.exit_code = &code;
	return git_run(repo, &run, GIT_ARGS("cat-file", "-e", spec), NULL) == 0 && code == 0;
}

int commit_tree(const struct repo *repo, const char *commit, char tree[HEX_SIZE], struct error *err)
{
	git_commit *found = lookup(repo, commit);
	_cleanup_free_ char *spec = NULL;
	struct git_run run = {.exit_code = NULL};

	if (found) {
		git_oid_tostr(tree, GIT_OID_HEXSZ + 1, git_commit_tree_id(found));
		git_commit_free(found);
		return 0;
	}
	spec = xasprintf("%s^{tree}", commit);
	return git_run_id(repo, &run, GIT_ARGS("rev-parse", "--verify", "--end-of-options", spec),
	                  tree, err);
}

int commit_resolve(const struct repo *repo, const char *rev, char hex[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *spec = xasprintf("%s^{commit}", rev);
	git_object *object = NULL;
	int found;

	if (repo->git && git_revparse_single(&object, repo->git, spec) == 0) {
		git_oid_tostr(hex, GIT_OID_HEXSZ + 1, git_object_id(object));
		git_object_free(object);
		return 0;
	}
	found = git_find_id(repo, spec, hex, err);
	if (found == 0)
		return error_set(err, ERROR_NOT_FOUND, "%s: no such commit", rev);
	return found < 0 ? -1 : 0;
}

int commit_time(const struct repo *repo, const char *commit, int64_t *when, struct error *err)
{
	git_commit *found = lookup(repo, commit);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};

	if (found) {
		*when = git_commit_time(found);
		git_commit_free(found);
		return 0;
	}
	if (git_run(repo, &run,
	            GIT_ARGS("show", "-s", "--no-show-signature", "--format=%ct", commit), err) < 0)
		return -1;
	buf_add(&text, "", 0);
	*when = strtoll(text.data, NULL, 10);
	return 0;
}

static git_signature *signature(const struct repo *repo, const char *who, int64_t when)
{
	_cleanup_free_ char *name_key = xasprintf("GIT_%s_NAME", who);
	_cleanup_free_ char *email_key = xasprintf("GIT_%s_EMAIL", who);
	const char *name = env_get(repo->env, name_key), *email = env_get(repo->env, email_key);
	git_signature *out = NULL;
	int rc;

	if (when >= 0)
		rc = git_signature_new(&out, OWN_NAME, OWN_EMAIL, when, 0);
	else
		rc = git_signature_now(&out, name, email);
	return rc == 0 ? out : NULL;
}

/* 0 made, 1 libgit2 cannot. */
static int make_by_git2(const struct repo *repo, const char *tree, const char *const *parents,
                        const char *message, int64_t when, char hex[HEX_SIZE])
{
	git_signature *author = NULL, *committer = NULL;
	const git_commit *list[16] = {NULL};
	git_tree *root = NULL;
	git_oid oid;
	size_t n = 0;
	int rc = 1;

	if (!repo->git || strv_len(parents) > ARRAY_LEN(list) ||
	    (when < 0 && repo_environment(repo, NULL) < 0) || git_oid_fromstr(&oid, tree) < 0)
		return 1;
	for (; parents[n]; n++)
		if (!(list[n] = lookup(repo, parents[n])))
			goto out;
	author = signature(repo, "AUTHOR", when);
	committer = signature(repo, "COMMITTER", when);
	if (author && committer && git_tree_lookup(&root, repo->git, &oid) == 0 &&
	    git_commit_create(&oid, repo->git, NULL, author, committer, NULL, message, root, n,
	                      list) == 0) {
		git_oid_tostr(hex, GIT_OID_HEXSZ + 1, &oid);
		rc = 0;
	}
out:
	git_tree_free(root);
	git_signature_free(author);
	git_signature_free(committer);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		git_commit_free((git_commit *)list[i]);
	return rc;
}

int commit_make(const struct repo *repo, const char *tree, const char *const *parents,
                const char *message, int64_t when, char hex[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *date = xasprintf("@%lld +0000", (long long)when);
	const char *own[] = {"GIT_AUTHOR_NAME",
	                     OWN_NAME,
	                     "GIT_AUTHOR_EMAIL",
	                     OWN_EMAIL,
	                     "GIT_COMMITTER_NAME",
	                     OWN_NAME,
	                     "GIT_COMMITTER_EMAIL",
	                     OWN_EMAIL,
	                     "GIT_AUTHOR_DATE",
	                     date,
	                     "GIT_COMMITTER_DATE",
	                     date,
	                     NULL};
	struct git_run run = {
	    .set = when >= 0 ? own : NULL, .in = message, .in_len = strlen(message)};
	_cleanup_strv_ char **args = NULL;

	if (make_by_git2(repo, tree, parents, message, when, hex) == 0)
		return 0;
	strv_push(&args, xstrdup("commit-tree"));
	strv_push(&args, xstrdup("--no-gpg-sign"));
	for (size_t i = 0; parents[i]; i++) {
		strv_push(&args, xstrdup("-p"));
		strv_push(&args, xstrdup(parents[i]));
	}
	strv_push(&args, xstrdup(tree));
	return git_run_id(repo, &run, (const char *const *)args, hex, err);
}
