/* compare: what each of several results changed, side by side. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "merge.h"
#include "refs.h"
#include "stat.h"
#include "verb.h"

#define FILES_MAX 5000 /* names listed of one item */

struct entry {
	json_int_t id;
	const char *base, *head;
	char tree[HEX_SIZE];
	struct changes changes;
};

struct entries {
	struct entry *items;
	size_t count;
};

static int read_entries(const struct repo *repo, const json_t *request, struct entries *out,
                        struct error *err)
{
	const json_t *list = json_sub(request, "items"), *item;
	size_t i;

	out->items = xcalloc(json_array_size(list), sizeof *out->items);
	json_array_foreach (list, i, item) {
		struct entry *entry = &out->items[out->count++];

		entry->id = json_int(item, "id", 0);
		entry->base = verb_id(item, "base", err);
		entry->head = verb_id(item, "head", err);
		if (!entry->base || !entry->head ||
		    commit_tree(repo, entry->head, entry->tree, err) < 0 ||
		    changes_read(repo, entry->base, entry->head, &entry->changes, err) < 0)
			return -1;
	}
	return 0;
}

/* Without protected paths, tests are what is called so in most repositories. */
static bool is_test_name(const char *path)
{
	static const char *const dirs[] = {"test",  "tests",     "spec",
	                                   "specs", "__tests__", "testing"};
	const char *name = strrchr(path, '/');

	for (const char *part = path; part && strchr(part, '/'); part = strchr(part, '/') + 1) {
		size_t n = strcspn(part, "/");

		for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
			if (strlen(dirs[i]) == n && strncasecmp(part, dirs[i], n) == 0)
				return true;
	}
	name = name ? name + 1 : path;
	return strncasecmp(name, "test_", 5) == 0 || strstr(name, "_test.") ||
	       strstr(name, ".test.") || strstr(name, "_spec.") || strstr(name, ".spec.");
}

static bool is_test(const char *path, char *const *protect)
{
	if (!protect || !protect[0])
		return is_test_name(path);
	for (size_t i = 0; protect[i]; i++)
		if (path_is_below(path, protect[i]))
			return true;
	return false;
}

static json_t *same_as(const struct entries *all, const struct entry *entry)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->count; i++)
		if (&all->items[i] != entry && strcmp(all->items[i].tree, entry->tree) == 0)
			json_array_append_new(list, json_integer(all->items[i].id));
	return list;
}

static int conflicts_with(const struct repo *repo, const char *target, const char *head,
                          json_t **out, struct error *err)
{
	char tree[HEX_SIZE];
	char **paths = NULL;
	int rc = 0;

	if (target)
		rc = commit_contains(repo, target, head, err);
	if (rc < 0)
		return -1;
	if (target && rc == 0)
		rc = merge_commits(repo, target, head, tree, &paths, err);
	else
		rc = 0;
	if (rc < 0)
		return -1;
	*out = verb_texts(paths);
	strv_free(paths);
	return 0;
}

static int describe(const struct repo *repo, const struct entries *all, const struct entry *entry,
                    const char *target, char *const *protect, json_t **out, struct error *err)
{
	int insertions = 0, deletions = 0, added = 0, commits;
	json_t *conflicts = NULL, *files;
	bool edited = false;

	if (conflicts_with(repo, target, entry->head, &conflicts, err) < 0)
		return -1;
	commits = commits_between(repo, entry->base, entry->head, err);
	if (commits < 0) {
		json_decref(conflicts);
		return -1;
	}
	files = json_array();
	for (size_t i = 0; i < entry->changes.count; i++) {
		const struct change *change = &entry->changes.items[i];
		bool test = is_test(change->path, protect);

		insertions += change->insertions;
		deletions += change->deletions;
		added += test && change->status == 'A';
		edited |= test && change->status != 'A';
		if (i < FILES_MAX)
			json_array_append_new(files, verb_text(change->path));
	}
	*out = json_pack("{s:I, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:b, s:i, s:o}", "id", entry->id,
	                 "files_changed", (int)entry->changes.count, "insertions", insertions,
	                 "deletions", deletions, "commits", commits, "tree", entry->tree,
	                 "conflicts", conflicts, "same_as", same_as(all, entry), "tests_edited",
	                 edited, "tests_added", added, "files", files);
	return 0;
}

/* Hunks of a that meet a hunk of b: both replace, or insert at, the same lines of the base. */
static int shared_hunks(const struct change *a, const struct change *b)
{
	int shared = 0;

	if (!a->hunk_count || !b->hunk_count)
		return 1;
	for (size_t i = 0; i < a->hunk_count; i++)
		for (size_t k = 0; k < b->hunk_count; k++) {
			const struct change_hunk *x = &a->hunks[i], *y = &b->hunks[k];
			int x_end = x->start + (x->lines ? x->lines : 1);
			int y_end = y->start + (y->lines ? y->lines : 1);

			if (x->start < y_end && y->start < x_end) {
				shared++;
				break;
			}
		}
	return shared;
}

static json_t *overlap(const struct entry *a, const struct entry *b)
{
	json_t *paths;
	int hunks = 0;

	/* The same result does not clash with itself. */
	if (strcmp(a->tree, b->tree) == 0)
		return NULL;
	paths = json_array();
	for (size_t i = 0; i < a->changes.count; i++) {
		const struct change *other = changes_find(&b->changes, a->changes.items[i].path);

		if (!other)
			continue;
		hunks += shared_hunks(&a->changes.items[i], other);
		if (json_array_size(paths) < FILES_MAX)
			json_array_append_new(paths, verb_text(other->path));
	}
	if (!json_array_size(paths)) {
		json_decref(paths);
		return NULL;
	}
	return json_pack("{s:I, s:I, s:o, s:i}", "a", a->id, "b", b->id, "paths", paths, "hunks",
	                 hunks);
}

static int compare(const json_t *request, const struct repo *repo, struct entries *all,
                   json_t **answer, struct error *err)
{
	_cleanup_strv_ char **protect = json_strv(json_sub(request, "protect"));
	const char *target = json_text(request, "target");
	json_t *items, *overlaps;

	if (target && !verb_id(request, "target", err))
		return -1;
	if (read_entries(repo, request, all, err) < 0)
		return -1;
	items = json_array();
	for (size_t i = 0; i < all->count; i++) {
		json_t *item = NULL;

		if (describe(repo, all, &all->items[i], target, protect, &item, err) < 0) {
			json_decref(items);
			return -1;
		}
		json_array_append_new(items, item);
	}
	overlaps = json_array();
	for (size_t i = 0; i < all->count; i++)
		for (size_t k = i + 1; k < all->count; k++) {
			json_t *found = overlap(&all->items[i], &all->items[k]);

			if (found)
				json_array_append_new(overlaps, found);
		}
	*answer = json_pack("{s:o, s:o}", "items", items, "overlaps", overlaps);
	return 0;
}

int verb_compare(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct entries all = {NULL, 0};
	int rc;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	rc = compare(request, &repo, &all, answer, err);
	for (size_t i = 0; i < all.count; i++)
		changes_finish(&all.items[i].changes);
	free(all.items);
	return rc;
}
