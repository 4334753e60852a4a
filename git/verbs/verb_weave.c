/* weave: chosen work merged onto a target in memory, one commit after the other, each on the
 * assumed result of those before. Proves nothing and moves nothing that anybody sees. */
#include <stdlib.h>
#include <string.h>

#include "added.h"
#include "jsonl.h"
#include "mem.h"
#include "merge.h"
#include "moving.h"
#include "refs.h"
#include "stat.h"
#include "target.h"
#include "verb.h"

#define BLOB_MAX (4u << 20) /* of a file that is searched for marks of a conflict */

struct item {
	json_int_t task;
	const char *key, *head, *base;
	const char *work;   /* what is merged: its head, or what a person has added to that */
	const char *landed; /* the commit that it landed by, as is written down; NULL: it has not */
	const json_t *request;
	bool failed, merged, squashed;
	char *damage; /* what git says of its objects; NULL: it reads them all */
	struct added added;
	json_t *more; /* {"branch","commits","tip","taken"}: as every step of it tells; or NULL */
};

struct weave {
	struct repo *repo;
	const json_t *request;
	struct target target;
	struct item *items;
	size_t count;
	char tip[HEX_SIZE];
	json_t *steps;
};

/* A step is told in the order in which it came. */
static json_t *add_step(struct weave *weave, const struct item *item, const char *kind)
{
	json_t *step = json_pack("{s:I, s:s?, s:s, s:s, s:s}", "task", item->task, "key", item->key,
	                         "kind", kind, "head", item->head, "before", weave->tip);

	if (item->more)
		json_object_set(step, "more", item->more);
	json_array_append_new(weave->steps, step);
	return step;
}

/* Where a person asked for it: what the task's branch has beyond its head. */
static int read_added(struct weave *weave, struct item *item, struct error *err)
{
	_cleanup_free_ char *branch = NULL;

	item->work = item->head;
	if (!json_text(item->request, "branch"))
		return 0;
	branch = verb_branch(item->request, "branch", err);
	if (!branch)
		return -1;
	added_find(weave->repo, branch, item->head, &item->added);
	if (item->added.theirs)
		item->work = item->added.tip;
	return 0;
}

static int read_items(struct weave *weave, struct error *err)
{
	const json_t *list = json_sub(weave->request, "items"), *entry;
	size_t i;

	weave->items = xcalloc(json_array_size(list), sizeof *weave->items);
	json_array_foreach (list, i, entry) {
		struct item *item = &weave->items[weave->count++];

		item->task = json_int(entry, "task", 0);
		item->key = json_text(entry, "key");
		item->request = entry;
		item->head = verb_id(entry, "head", err);
		if (!item->head)
			return -1;
		item->base = json_text(entry, "base");
		if (item->base && !(item->base = verb_id(entry, "base", err)))
			return -1;
		item->landed = json_text(entry, "landed");
		if (read_added(weave, item, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what cannot be read does not land ---- */

/* Lets git read all objects that the heads add to the tip. 1, 0 with git's words, -1. A merge alone
 * would not: it takes over what only one side has changed without a look at it; nor would git look
 * at what is packed where it may copy it as it is. */
static int can_read(const struct weave *weave, const struct item *items, size_t count,
                    struct error *why)
{
	_cleanup_buf_ struct buf heads = BUF_INIT;
	int code = 0;
	struct git_run run = {.exit_code = &code};

	buf_printf(&heads, "^%s\n", weave->tip);
	for (size_t i = 0; i < count; i++)
		buf_printf(&heads, "%s\n", items[i].work);
	run.in = heads.data;
	run.in_len = heads.len;
	if (git_run(weave->repo, &run,
	            GIT_ARGS("pack-objects", "--revs", "--stdout", "-q", "--window=0",
	                     "--compression=0", "--no-reuse-object", "--missing=allow-promisor"),
	            why) < 0)
		return -1;
	return code == 0;
}

/* Notes whose objects are damaged: the others land without them. A target that cannot be read is
 * nobody's of them. */
static int find_damage(struct weave *weave, struct error *err)
{
	int rc = can_read(weave, weave->items, weave->count, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (can_read(weave, NULL, 0, err) != 1)
		return -1;
	for (size_t i = 0; i < weave->count; i++) {
		struct error why = ERROR_INIT;

		rc = can_read(weave, &weave->items[i], 1, &why);
		if (rc < 0) {
			*err = why;
			return -1;
		}
		if (rc == 0)
			weave->items[i].damage = xstrdup(why.text);
	}
	return 0;
}

static void refuse_damaged(struct weave *weave, struct item *item)
{
	_cleanup_json_ json_t *damage = verb_text(item->damage);
	json_t *step = add_step(weave, item, "refused");

	item->failed = true;
	json_object_set_new(step, "paths", json_array());
	json_object_set_new(step, "message",
	                    json_sprintf("%s is damaged, git cannot read it: %s (git fsck names "
	                                 "all that is; pleach run --redo %s makes it anew)",
	                                 item->key ? item->key : item->head,
	                                 json_string_value(damage), item->key ? item->key : "KEY"));
}

/* The items of this request that this one comes after, as far as `wanted` holds of them. */
static json_t *keys_before(struct weave *weave, const struct item *item,
                           bool (*wanted)(const struct item *))
{
	json_t *after = json_sub(item->request, "after"), *id, *keys = NULL;
	size_t i;

	json_array_foreach (after, i, id)
		for (size_t k = 0; k < weave->count; k++) {
			const struct item *other = &weave->items[k];

			if (other->task != json_integer_value(id) || !wanted(other))
				continue;
			keys = keys ? keys : json_array();
			json_array_append_new(keys, json_string(other->key ? other->key : ""));
		}
	return keys;
}

static bool has_failed(const struct item *item)
{
	return item->failed;
}

static bool was_squashed(const struct item *item)
{
	return item->squashed;
}

/* True when what the item is based on has landed in another shape: squashed. */
static bool base_was_squashed(struct weave *weave, const struct item *item)
{
	_cleanup_json_ json_t *keys = keys_before(weave, item, was_squashed);

	return keys || json_flag(item->request, "base_landed");
}

/* True when the work between the two commits touches one of the paths. */
static bool touches(struct weave *weave, const char *base, const char *head, char *const *paths)
{
	_cleanup_changes_ struct changes changes = CHANGES_INIT;

	if (!base || !head || !hex_is_id(base) || !hex_is_id(head) ||
	    changes_read(weave->repo, base, head, &changes, NULL) < 0)
		return false;
	for (size_t k = 0; paths[k]; k++)
		if (changes_find(&changes, paths[k]))
			return true;
	return false;
}

/* Keys of the work merged before, here or earlier ("landed"), that touches one of the paths. */
static json_t *clash_with(struct weave *weave, const struct item *item, char *const *paths)
{
	const json_t *landed = json_sub(weave->request, "landed"), *entry;
	json_t *keys = json_array();
	size_t i;

	json_array_foreach (landed, i, entry)
		if (touches(weave, json_text(entry, "base"), json_text(entry, "head"), paths))
			json_array_append(keys, json_object_get(entry, "key"));
	for (i = 0; i < weave->count && &weave->items[i] != item; i++) {
		const struct item *other = &weave->items[i];

		if (other->merged && other->key && touches(weave, other->base, other->work, paths))
			json_array_append_new(keys, json_string(other->key));
	}
	return keys;
}

static char *message_of(const struct item *item, bool squash)
{
	const char *text = json_text(item->request, "message");

	if (text && *text)
		return text[strlen(text) - 1] == '\n' ? xstrdup(text) : xasprintf("%s\n", text);
	return xasprintf(squash ? "%s\n" : "Merge %s\n", item->key ? item->key : item->head);
}

/* True (1) when merging the item's base into the tip would change nothing: all that it is
 * based on is there, in whatever shape it landed. */
static int base_adds_nothing(struct weave *weave, const struct item *item, struct error *err)
{
	char merged[HEX_SIZE], tip[HEX_SIZE];
	char **paths = NULL;
	int rc = merge_commits(weave->repo, weave->tip, item->base, merged, &paths, err);

	strv_free(paths);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (commit_tree(weave->repo, weave->tip, tip, err) < 0)
		return -1;
	return strcmp(merged, tip) == 0;
}

/* 0 with the tree, 1 conflict, -1. Work on top of what was squashed clashes with it falsely:
 * then only what it adds to its own base counts. But a person may have merged the target into it:
 * then that says how. */
static int merge_tree(struct weave *weave, const struct item *item, char tree[HEX_SIZE],
                      char ***paths, struct error *err)
{
	const struct repo *repo = weave->repo;
	bool squashed = item->base && base_was_squashed(weave, item);
	int rc, landed;

	if (squashed && !item->added.theirs)
		return merge_from_base(repo, item->base, weave->tip, item->work, tree, paths, err);
	rc = merge_commits(repo, weave->tip, item->work, tree, paths, err);
	if (rc != 1 || !item->base)
		return rc;
	landed = squashed ? 1 : base_adds_nothing(weave, item, err);
	if (landed <= 0)
		return landed < 0 ? -1 : 1;
	strv_free(*paths);
	*paths = NULL;
	return merge_from_base(repo, item->base, weave->tip, item->work, tree, paths, err);
}

/* Merges one item onto the tip. 0 with the new commit in `next`, 1 conflict with the marked
 * tree, -1. */
static int merge_item(struct weave *weave, const struct item *item, bool squash,
                      char next[HEX_SIZE], char tree[HEX_SIZE], char ***paths, struct error *err)
{
	const char *const both[] = {weave->tip, item->work, NULL};
	const char *const one[] = {weave->tip, NULL};
	_cleanup_free_ char *message = message_of(item, squash);
	int rc;

	if (!squash && !json_flag(item->request, "commit")) {
		rc = commit_contains(weave->repo, item->work, weave->tip, err);
		if (rc < 0)
			return -1;
		if (rc == 1) {
			memcpy(next, item->work, strlen(item->work) + 1);
			return 0;
		}
	}
	rc = merge_tree(weave, item, tree, paths, err);
	if (rc != 0)
		return rc;
	return verb_commit(weave->repo, weave->request, tree, squash ? one : both, message, next,
	                   err);
}

/* What an agent is given to resolve: both sides merged, git's marks where they clash. */
static int mark_conflict(struct weave *weave, const struct item *item, const char *tree,
                         json_t *step, struct error *err)
{
	const char *const both[] = {weave->tip, item->work, NULL};
	_cleanup_free_ char *ref = xasprintf("refs/pleach/conflict/%lld", (long long)item->task);
	_cleanup_free_ char *message =
	    xasprintf("Merge %s, with conflicts\n", item->key ? item->key : item->head);
	char hex[HEX_SIZE];

	if (!json_flag(item->request, "resolve"))
		return 0;
	if (commit_make(weave->repo, tree, both, message, -1, hex, err) < 0 ||
	    ref_write(weave->repo, ref, hex, NULL, "pleach: conflict", err) < 0)
		return -1;
	json_object_set_new(step, "marked", json_string(hex));
	return 0;
}

static json_t *add_conflict(struct weave *weave, struct item *item, char *const *paths)
{
	json_t *step = add_step(weave, item, "conflict");

	item->failed = true;
	json_object_set_new(step, "paths", verb_texts(paths));
	json_object_set_new(step, "with", clash_with(weave, item, paths));
	return step;
}

/* A line that begins with git's mark, and one that ends the conflict. */
static bool is_marked(const struct repo *repo, const char *commit, const char *path)
{
	_cleanup_free_ char *spec = xasprintf("%s:%s", commit, path);
	_cleanup_buf_ struct buf text = BUF_INIT;
	int code = 0;
	struct git_run run = {.out = &text, .exit_code = &code};

	if (git_run(repo, &run, GIT_ARGS("cat-file", "blob", spec), NULL) < 0 || code != 0 ||
	    !text.len || text.len > BLOB_MAX)
		return false;
	return (strncmp(text.data, "<<<<<<< ", 8) == 0 || strstr(text.data, "\n<<<<<<< ")) &&
	       strstr(text.data, "\n>>>>>>> ");
}

/* Of the paths that the item's agent was to resolve, those that it did not. */
static char **unresolved(struct weave *weave, const struct item *item, const char *commit)
{
	_cleanup_strv_ char **paths = json_strv(json_sub(item->request, "resolves"));
	char **left = NULL;

	for (size_t i = 0; paths && paths[i]; i++)
		if (is_marked(weave->repo, commit, paths[i]))
			strv_push(&left, xstrdup(paths[i]));
	return left;
}

/* True (1) when the user's own files are in the way of it: told, and nothing lands. */
static int refuse_in_way(struct weave *weave, struct item *item, const char *next,
                         struct error *err)
{
	_cleanup_changes_ struct changes changes = CHANGES_INIT;
	_cleanup_strv_ char **paths = NULL;
	_cleanup_free_ char *names = NULL;
	json_t *step;

	if (!weave->target.tree)
		return 0;
	if (changes_read(weave->repo, weave->tip, next, &changes, err) < 0 ||
	    target_in_way(&weave->target, &changes, &paths, err) < 0)
		return -1;
	if (!paths)
		return 0;
	names = target_name_paths(paths);
	step = add_step(weave, item, "refused");
	item->failed = true;
	json_object_set_new(step, "paths", verb_texts(paths));
	json_object_set_new(
	    step, "message",
	    json_sprintf("%s is checked out in %s, where your changes are in the way: %s (commit "
	                 "or move them)",
	                 weave->target.name, weave->target.tree->dir, names));
	return 1;
}

static int add_merged(struct weave *weave, struct item *item, const char *next, bool squash,
                      struct error *err)
{
	_cleanup_strv_ char **left = unresolved(weave, item, next);
	char tree[HEX_SIZE];
	json_t *step;
	int rc;

	if (left) {
		json_object_set_new(add_conflict(weave, item, left), "unresolved", json_true());
		return 0;
	}
	rc = refuse_in_way(weave, item, next, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (commit_tree(weave->repo, next, tree, err) < 0)
		return -1;
	step = add_step(weave, item, "merge");
	json_object_set(step, "text", json_object_get(item->request, "message"));
	json_object_set_new(step, "commit", json_string(next));
	json_object_set_new(step, "tree", json_string(tree));
	json_object_set_new(step, "squash", json_boolean(squash));
	item->merged = true;
	item->squashed = squash;
	memcpy(weave->tip, next, strlen(next) + 1);
	return 0;
}

/* True (1) when what it landed by is in the target still. Squashed, its own head never is; and the
 * target may have been set back since. */
static int add_landed(struct weave *weave, struct item *item, struct error *err)
{
	const char *head = json_text(item->request, "landed_head");
	json_t *step;
	int rc;

	if (!item->landed || commit_exists(weave->repo, item->landed) != 1)
		return 0;
	rc = commit_contains(weave->repo, weave->tip, item->landed, err);
	if (rc != 1)
		return rc;
	/* What was added since is told, but not landed with it. */
	if (item->more && head && strcmp(item->added.tip, head) == 0) {
		json_decref(item->more);
		item->more = NULL;
	}
	if (item->more)
		json_object_set_new(item->more, "taken", json_false());
	step = add_step(weave, item, "contained");
	json_object_set_new(step, "commit", json_string(item->landed));
	json_object_set_new(step, "already", json_true());
	item->merged = true;
	item->squashed = json_flag(item->request, "landed_squashed");
	return 1;
}

/* How many commits of the branch are neither of its head nor in the target. */
static int count_more(struct weave *weave, struct item *item, struct error *err)
{
	const char *tip = item->added.tip;
	_cleanup_free_ char *from = xasprintf("^%s", item->head);
	_cleanup_free_ char *onto = xasprintf("^%s", weave->tip);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int code = 0;
	struct git_run run = {.out = &out, .exit_code = &code};
	long long n;

	if (!*tip || item->damage)
		return 0;
	if (git_run(weave->repo, &run, GIT_ARGS("rev-list", "--count", tip, from, onto), err) < 0)
		return -1;
	n = code == 0 && out.data ? strtoll(out.data, NULL, 10) : 0;
	if (n > 0)
		item->more = json_pack("{s:O, s:I, s:s, s:b}", "branch",
		                       json_object_get(item->request, "branch"), "commits",
		                       (json_int_t)n, "tip", tip, "taken", item->added.theirs);
	return 0;
}

static int weave_item(struct weave *weave, struct item *item, struct error *err)
{
	bool squash = json_flag(item->request, "squash");
	_cleanup_strv_ char **paths = NULL;
	char next[HEX_SIZE], tree[HEX_SIZE];
	json_t *before;
	int rc;

	if (count_more(weave, item, err) < 0)
		return -1;
	rc = add_landed(weave, item, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	before = keys_before(weave, item, has_failed);
	if (before) {
		item->failed = true;
		json_object_set_new(add_step(weave, item, "stopped"), "after", before);
		return 0;
	}
	if (item->damage) {
		refuse_damaged(weave, item);
		return 0;
	}
	rc = commit_contains(weave->repo, weave->tip, item->work, err);
	if (rc < 0)
		return -1;
	if (rc == 1) {
		item->merged = true;
		json_object_set_new(add_step(weave, item, "contained"), "commit",
		                    json_string(item->work));
		return 0;
	}
	rc = merge_item(weave, item, squash, next, tree, &paths, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return mark_conflict(weave, item, tree, add_conflict(weave, item, paths), err);
	return add_merged(weave, item, next, squash, err);
}

/* What nothing names yet is held until it has moved the target, or the next chain. */
static int hold(const struct weave *weave, const char *before, struct error *err)
{
	_cleanup_free_ char *ref = moving_held_ref(weave->target.ref);

	if (json_flag(weave->request, "dry_run") || strcmp(before, weave->tip) == 0)
		return 0;
	if (ref_write(weave->repo, ref, weave->tip, NULL, "pleach: prepared", err) < 0)
		return -1;
	return repo_sync(weave->repo, err);
}

static int weave_all(struct weave *weave, json_t **answer, struct error *err)
{
	const char *onto = json_text(weave->request, "onto");
	char before[HEX_SIZE];

	if (onto && !verb_id(weave->request, "onto", err))
		return -1;
	if (target_open(weave->repo, weave->request, &weave->target, err) < 0 ||
	    moving_recover(weave->repo, weave->target.tree, err) < 0 ||
	    target_tip(&weave->target, before, err) < 0 || read_items(weave, err) < 0)
		return -1;
	if (onto)
		memcpy(before, onto, strlen(onto) + 1);
	memcpy(weave->tip, before, sizeof before);
	if (find_damage(weave, err) < 0)
		return -1;
	for (size_t i = 0; i < weave->count; i++)
		if (weave_item(weave, &weave->items[i], err) < 0)
			return error_wrap(err, "%s",
			                  weave->items[i].key ? weave->items[i].key : "merge");
	if (hold(weave, before, err) < 0)
		return -1;
	*answer = json_pack("{s:s, s:s, s:O}", "before", before, "after", weave->tip, "steps",
	                    weave->steps);
	return 0;
}

int verb_weave(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct weave weave = {.repo = &repo, .request = request, .target = TARGET_INIT};
	int rc;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	weave.steps = json_array();
	rc = weave_all(&weave, answer, err);
	json_decref(weave.steps);
	target_finish(&weave.target);
	for (size_t i = 0; i < weave.count; i++) {
		free(weave.items[i].damage);
		json_decref(weave.items[i].more);
	}
	free(weave.items);
	return rc;
}
