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

#define FILES_MAX 5000       /* names listed of one item */
#define PATCH_MAX (1u << 20) /* bytes of one item's patch, whatever was asked for */

struct entry {
	json_int_t id;
	const char *base, *head;
	char left[HEX_SIZE]; /* where it left the target, when no base was given */
	char tree[HEX_SIZE];
	struct changes changes;
};

struct entries {
	struct entry *items;
	size_t count;
};

static int find_base(const struct repo *repo, const json_t *item, const char *target,
                     struct entry *entry, struct error *err)
{
	if (json_text(item, "base")) {
		entry->base = verb_id(item, "base", err);
		return entry->base ? 0 : -1;
	}
	if (!target)
		return error_set(err, ERROR_INVALID, "no base, and no target to find one");
	entry->base = entry->left;
	return commits_merge_base(repo, target, entry->head, entry->left, err);
}

static int read_entries(const struct repo *repo, const json_t *request, struct entries *out,
                        struct error *err)
{
	const char *target = json_text(request, "target");
	const json_t *list = json_sub(request, "items"), *item;
	size_t i;

	out->items = xcalloc(json_array_size(list), sizeof *out->items);
	json_array_foreach (list, i, item) {
		struct entry *entry = &out->items[out->count++];

		entry->id = json_int(item, "id", 0);
		entry->head = verb_id(item, "head", err);
		if (!entry->head || find_base(repo, item, target, entry, err) < 0 ||
		    commit_tree(repo, entry->head, entry->tree, err) < 0 ||
		    changes_read(repo, entry->base, entry->head, &entry->changes, err) < 0)
			return -1;
	}
	return 0;
}

/* Tests are what is called so in most repositories, and what is protected. */
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

static bool is_protected(const char *path, char *const *protect)
{
	for (size_t i = 0; protect && protect[i]; i++)
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

/* What a result changed, tests apart from the source. */
struct part {
	int files, insertions, deletions;
};

struct sums {
	struct part tests, source;
	int tests_added;
	bool tests_edited;
	json_t *files, *protected;
};

static void add_change(struct sums *sums, const struct change *change, char *const *protect)
{
	bool protected = is_protected(change->path, protect);
	bool test = protected || is_test_name(change->path);
	struct part *part = test ? &sums->tests : &sums->source;

	part->files++;
	part->insertions += change->insertions;
	part->deletions += change->deletions;
	sums->tests_added += test && change->status == 'A';
	sums->tests_edited |= test && change->status != 'A';
	if (json_array_size(sums->files) < FILES_MAX)
		json_array_append_new(sums->files, verb_text(change->path));
	if (protected && json_array_size(sums->protected) < FILES_MAX)
		json_array_append_new(sums->protected, verb_text(change->path));
}

static json_t *part_json(const struct part *part)
{
	return json_pack("{s:i, s:i, s:i}", "files", part->files, "insertions", part->insertions,
	                 "deletions", part->deletions);
}

/* The patch as git prints it, for who reads all of them at once; cut with a mark. */
static int add_patch(const struct repo *repo, const struct entry *entry, size_t most, json_t *out,
                     struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};
	bool cut;

	if (git_run(repo, &run,
	            GIT_ARGS("diff-tree", "-r", "-p", "--no-color", "--no-renames", "--no-ext-diff",
	                     "--no-textconv", entry->base, entry->head),
	            err) < 0)
		return -1;
	cut = text.len > most;
	if (cut)
		text.len = most;
	buf_add_str(&text, cut ? "\n[pleach: the rest of the patch was left out]\n" : "");
	json_object_set_new(out, "patch", verb_text(text.data));
	json_object_set_new(out, "patch_cut", json_boolean(cut));
	return 0;
}

static int describe(const struct repo *repo, const struct entries *all, const struct entry *entry,
                    const char *target, char *const *protect, json_t **out, struct error *err)
{
	struct sums sums = {.tests_added = 0};
	json_t *conflicts = NULL;
	int commits;

	if (conflicts_with(repo, target, entry->head, &conflicts, err) < 0)
		return -1;
	commits = commits_between(repo, entry->base, entry->head, err);
	if (commits < 0) {
		json_decref(conflicts);
		return -1;
	}
	sums.files = json_array();
	sums.protected = json_array();
	for (size_t i = 0; i < entry->changes.count; i++)
		add_change(&sums, &entry->changes.items[i], protect);
	*out =
	    json_pack("{s:I, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:b, s:i, s:o, s:o, s:o, s:o, s:s}",
	              "id", entry->id, "files_changed", (int)entry->changes.count, "insertions",
	              sums.tests.insertions + sums.source.insertions, "deletions",
	              sums.tests.deletions + sums.source.deletions, "commits", commits, "tree",
	              entry->tree, "conflicts", conflicts, "same_as", same_as(all, entry),
	              "tests_edited", sums.tests_edited, "tests_added", sums.tests_added, "files",
	              sums.files, "protected", sums.protected, "tests", part_json(&sums.tests),
	              "source", part_json(&sums.source), "base", entry->base);
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
		/* Lines of one base are not lines of another. */
		if (strcmp(a->base, b->base) == 0)
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
	int64_t patch = json_int(request, "patch", 0);
	json_t *items, *overlaps;

	if (target && !verb_id(request, "target", err))
		return -1;
	if (read_entries(repo, request, all, err) < 0)
		return -1;
	items = json_array();
	for (size_t i = 0; i < all->count; i++) {
		json_t *item = NULL;

		if (describe(repo, all, &all->items[i], target, protect, &item, err) < 0 ||
		    (patch > 0 &&
		     add_patch(repo, &all->items[i], patch < PATCH_MAX ? (size_t)patch : PATCH_MAX,
		               item, err) < 0)) {
			json_decref(item);
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
