/* base: the commit that a task starts from, its base merged with its blockers' heads. */
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "merge.h"
#include "refs.h"
#include "slot_internal.h"
#include "stat.h"
#include "verb.h"

struct head {
	json_int_t task;
	const char *key;
	const char *commit;
};

struct heads {
	struct head *items;
	size_t count;
};

static int by_task(const void *a, const void *b)
{
	json_int_t x = ((const struct head *)a)->task, y = ((const struct head *)b)->task;

	return x < y ? -1 : x > y;
}

static int read_heads(const json_t *request, struct heads *out, struct error *err)
{
	const json_t *list = json_sub(request, "heads"), *item;
	size_t i;

	out->items = xcalloc(json_array_size(list), sizeof *out->items);
	json_array_foreach (list, i, item) {
		struct head *head = &out->items[out->count++];

		head->task = json_int(item, "task", 0);
		head->key = json_text(item, "key");
		head->commit = verb_id(item, "head", err);
		if (!head->commit)
			return -1;
	}
	if (out->count)
		qsort(out->items, out->count, sizeof *out->items, by_task);
	return 0;
}

static json_t *name_head(const struct head *head)
{
	return json_pack("{s:I, s:s?}", "task", head->task, "key", head->key);
}

/* True when the work of a head, from base on, touches one of the paths. */
static bool touches(const struct repo *repo, const char *base, const char *head, char *const *paths)
{
	_cleanup_changes_ struct changes changes = CHANGES_INIT;

	if (changes_read(repo, base, head, &changes, NULL) < 0)
		return true;
	for (size_t i = 0; paths[i]; i++)
		if (changes_find(&changes, paths[i]))
			return true;
	return false;
}

static json_t *conflict(const struct repo *repo, const char *base, const struct heads *heads,
                        size_t failed, char *const *paths)
{
	json_t *tasks = json_array();

	for (size_t i = 0; i < failed; i++)
		if (touches(repo, base, heads->items[i].commit, paths))
			json_array_append_new(tasks, name_head(&heads->items[i]));
	json_array_append_new(tasks, name_head(&heads->items[failed]));
	return json_pack("{s:{s:o, s:o}}", "conflict", "paths", verb_texts(paths), "tasks", tasks);
}

static int merge_one(const struct repo *repo, char now[HEX_SIZE], const char *head, char ***paths,
                     struct error *err)
{
	const char *const parents[] = {now, head, NULL};
	int64_t ours = 0, theirs = 0;
	char tree[HEX_SIZE];
	int rc = merge_commits(repo, now, head, tree, paths, err);

	if (rc != 0)
		return rc;
	/* Dated by what went into it, so that it comes out the same every time. */
	if (commit_time(repo, now, &ours, err) < 0 || commit_time(repo, head, &theirs, err) < 0)
		return -1;
	if (theirs > ours)
		ours = theirs;
	return commit_make(repo, tree, parents, "pleach: merge blockers\n", ours > 0 ? ours : 0,
	                   now, err);
}

/* Merges the heads in order. 0, 1 with the answer in *answer, or -1. */
static int merge_all(const struct repo *repo, const char *base, const struct heads *heads,
                     char now[HEX_SIZE], json_t **answer, struct error *err)
{
	for (size_t i = 0; i < heads->count; i++) {
		const char *head = heads->items[i].commit;
		char **paths = NULL;
		int rc = commit_contains(repo, now, head, err);

		if (rc == 0) {
			rc = commit_contains(repo, head, now, err);
			if (rc == 1) {
				memcpy(now, head, strlen(head) + 1);
				continue;
			}
			if (rc == 0)
				rc = merge_one(repo, now, head, &paths, err);
			if (rc == 1)
				*answer = conflict(repo, base, heads, i, paths);
			strv_free(paths);
			if (rc != 0)
				return rc;
		} else if (rc < 0) {
			return -1;
		}
	}
	return 0;
}

/* Drops heads that another one contains, so that each is merged once. */
static int drop_ancestors(const struct repo *repo, struct heads *heads, struct error *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < heads->count; i++) {
		bool within = false;

		for (size_t k = 0; k < heads->count && !within; k++) {
			int rc;

			if (k == i ||
			    (k > i && strcmp(heads->items[k].commit, heads->items[i].commit) == 0))
				continue;
			rc = commit_contains(repo, heads->items[k].commit, heads->items[i].commit,
			                     err);
			if (rc < 0)
				return -1;
			within = rc == 1;
		}
		if (!within)
			heads->items[kept++] = heads->items[i];
	}
	heads->count = kept;
	return 0;
}

static int compute(const json_t *request, struct repo *repo, struct heads *heads, json_t **answer,
                   struct error *err)
{
	const char *base = verb_id(request, "base", err), *ref = json_text(request, "attempt_ref");
	char now[HEX_SIZE];
	int rc;

	if (!base || read_heads(request, heads, err) < 0)
		return -1;
	if (ref && strncmp(ref, "refs/pleach/base/", 17) != 0)
		return error_set(err, ERROR_INVALID, "%s is not below refs/pleach/base/", ref);
	if (!commit_exists(repo, base))
		return error_set(err, ERROR_NOT_FOUND, "%s: no such commit", base);
	memcpy(now, base, strlen(base) + 1);
	if (drop_ancestors(repo, heads, err) < 0)
		return -1;
	rc = merge_all(repo, base, heads, now, answer, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (ref && ref_write(repo, ref, now, NULL, "pleach: base", err) < 0)
		return -1;
	if (repo_sync(repo, err) < 0)
		return -1;
	*answer = json_pack("{s:s}", "commit", now);
	return 0;
}

/* A disk that takes nothing is no person's to answer: whoever asked asks again. */
int verb_base(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct error unwritable = ERROR_INIT;
	struct heads heads = {NULL, 0};
	int rc;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	rc = compute(request, &repo, &heads, answer, err);
	free(heads.items);
	if (rc == 0 || space_can_write(&repo, "base", &unwritable) == 0)
		return rc;
	*answer = json_pack("{s:s}", "unwritable", unwritable.text);
	return 0;
}
