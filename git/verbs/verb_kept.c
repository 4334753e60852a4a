/* kept, drop_refs, name, pin, identity: what pleach keeps in the repository, and as whom. */
#include <string.h>

#include "hooks.h"
#include "jsonl.h"
#include "mem.h"
#include "pinned.h"
#include "refs.h"
#include "verb.h"
#include "worktree.h"

#define OWN_REFS     "refs/pleach/"
#define OWN_BRANCHES "refs/heads/pleach/"

int verb_kept(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_strv_ char **names = NULL;
	json_t *refs;

	if (verb_open_repo(request, &repo, err) < 0 || ref_list(&repo, OWN_REFS, &names, err) < 0)
		return -1;
	refs = json_array();
	for (size_t i = 0; names[i]; i++) {
		char hex[HEX_SIZE];

		if (ref_read(&repo, names[i], hex, NULL) == 1)
			json_array_append_new(refs, json_pack("{s:o, s:s}", "ref",
			                                      verb_text(names[i]), "commit", hex));
	}
	*answer = json_pack("{s:o}", "refs", refs);
	return 0;
}

int verb_drop_refs(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	json_t *list = json_sub(request, "refs"), *item, *dropped;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *name = json_string_value(item);

		if (!name || strncmp(name, OWN_REFS, strlen(OWN_REFS)) != 0)
			return error_set(err, ERROR_INVALID, "%s is not below %s",
			                 name ? name : "a ref", OWN_REFS);
	}
	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	dropped = json_array();
	json_array_foreach (list, i, item) {
		const char *name = json_string_value(item);
		char hex[HEX_SIZE];

		/* Gone already is dropped too. */
		if (ref_read(&repo, name, hex, err) == 1 &&
		    ref_delete(&repo, name, hex, NULL, err) < 0) {
			json_decref(dropped);
			return -1;
		}
		json_array_append(dropped, item);
	}
	*answer = json_pack("{s:o}", "dropped", dropped);
	return 0;
}

static bool is_checked_out(const struct repo *repo, const char *ref)
{
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;

	if (worktrees_read(repo, &list, NULL) < 0)
		return true;
	for (size_t i = 0; i < list.count; i++)
		if ((list.items[i].branch && strcmp(list.items[i].branch, ref) == 0) ||
		    (list.items[i].in_use && strcmp(list.items[i].in_use, ref) == 0))
			return true;
	return false;
}

/* The attempt that made `hex`; 0: none of those. */
static int64_t earlier_attempt(const json_t *request, const char *hex)
{
	const json_t *list = json_sub(request, "earlier"), *one;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *commit = json_text(one, "commit");

		if (commit && strcmp(commit, hex) == 0)
			return json_int(one, "attempt", 0);
	}
	return 0;
}

/* A branch that is there stays as it is, for it may be anybody's; but one of ours that names what
 * an earlier attempt made, which is kept first: whoever named it died before anybody heard of it.
 */
int verb_name(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	const char *commit = verb_id(request, "commit", err);
	_cleanup_free_ char *ref = commit ? verb_branch(request, "branch", err) : NULL;
	_cleanup_free_ char *stem = NULL;
	int64_t attempt = 0;
	char hex[HEX_SIZE] = "";
	bool same;
	int there;

	if (!ref || verb_open_repo(request, &repo, err) < 0 ||
	    (there = ref_read(&repo, ref, hex, err)) < 0)
		return -1;
	same = there && strcmp(hex, commit) == 0;
	if (there && !same) {
		attempt = strncmp(ref, OWN_BRANCHES, strlen(OWN_BRANCHES)) == 0
		              ? earlier_attempt(request, hex)
		              : 0;
		if (attempt <= 0 || is_checked_out(&repo, ref))
			return error_set(err, ERROR_CONFLICT,
			                 "there is a branch %s already, at %.12s",
			                 json_text(request, "branch"), hex);
		stem = ref_kept_stem(attempt, NULL, NULL);
		if (ref_keep(&repo, stem, hex, NULL, err) < 0)
			return -1;
	}
	if (!same && ref_write(&repo, ref, commit, there ? hex : "", "pleach: a result gets a name",
	                       err) < 0)
		return -1;
	*answer = json_pack("{s:b}", "created", !same);
	return 0;
}

int verb_pin(const json_t *request, json_t **answer, struct error *err)
{
	const char *root = json_text(request, "root"), *file = json_text(request, "pinned");
	_cleanup_strv_ char **changed = NULL;
	_cleanup_repo_ struct repo repo = REPO_INIT;
	bool keep = json_flag(request, "keep");
	json_t *list;

	if (!root || !file || *file != '/')
		return error_set(err, ERROR_INVALID, "pin: root and pinned (absolute) are needed");
	if ((keep ? pinned_keep(root, file, &changed, err) : pinned_write(root, file, err)) < 0 ||
	    verb_open_repo(request, &repo, err) < 0 || hooks_pin(&repo, file, keep, err) < 0)
		return -1;
	list = json_array();
	for (size_t i = 0; changed && changed[i]; i++)
		json_array_append_new(list, verb_text(changed[i]));
	*answer = json_pack("{s:o}", "changed", list);
	return 0;
}

int verb_identity(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	*answer =
	    json_pack("{s:o, s:o}", "name", json_text_or_null(env_get(repo.env, "GIT_AUTHOR_NAME")),
	              "email", json_text_or_null(env_get(repo.env, "GIT_AUTHOR_EMAIL")));
	return 0;
}
