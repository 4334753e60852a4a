/* resolve: revisions to commits, and what the main worktree is on. */
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "refs.h"
#include "verb.h"
#include "worktree.h"

static json_t *resolve_one(const struct repo *repo, const json_t *rev)
{
	const char *text = json_is_null(rev) ? "HEAD" : json_string_value(rev);
	struct error err = ERROR_INIT;
	char hex[HEX_SIZE];
	bool found = text && commit_resolve(repo, text, hex, &err) == 0;

	return json_pack("{s:O, s:s?, s:o}", "rev", rev, "commit", found ? hex : NULL, "error",
	                 found ? json_null()
	                       : verb_text(text ? err.text : "a revision must be text"));
}

static json_t *resolve_branch(const struct repo *repo, const char *name)
{
	_cleanup_free_ char *full = xasprintf("refs/heads/%s", name);
	char hex[HEX_SIZE];
	bool found = ref_read(repo, full, hex, NULL) == 1;

	return json_pack("{s:o, s:s?}", "name", verb_text(name), "commit", found ? hex : NULL);
}

int verb_resolve(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_free_ char *branch = NULL;
	json_t *commits = json_array(), *branches = json_array(), *item;
	char head[HEX_SIZE];
	const char *name;
	size_t i;
	int born;

	if (verb_open_repo(request, &repo, err) < 0)
		goto fail;
	born = worktree_head(&repo, repo.place.common_dir, head, &branch, err);
	if (born < 0)
		goto fail;
	json_array_foreach (json_sub(request, "revs"), i, item)
		json_array_append_new(commits, resolve_one(&repo, item));
	json_array_foreach (json_sub(request, "branches"), i, item)
		if (json_is_string(item))
			json_array_append_new(branches,
			                      resolve_branch(&repo, json_string_value(item)));
	name = branch && strncmp(branch, "refs/heads/", 11) == 0 ? branch + 11 : NULL;
	*answer = json_pack("{s:o, s:o, s:b, s:b, s:s?, s:o}", "commits", commits, "head_branch",
	                    name ? verb_text(name) : json_null(), "bare", repo.place.bare, "unborn",
	                    !born, "head", born ? head : NULL, "branches", branches);
	return 0;
fail:
	json_decref(commits);
	json_decref(branches);
	return -1;
}
