/* prepare: merges chosen work onto a target in memory, each step verified. Nothing that
 * anybody sees moves. */
#include <stdlib.h>
#include <string.h>

#include "integrate.h"
#include "jsonl.h"
#include "mem.h"
#include "merge.h"
#include "refs.h"
#include "stat.h"
#include "verb.h"

enum item_state { ITEM_WAITS, ITEM_MERGED, ITEM_FAILED };

struct item {
	json_int_t task;
	const char *key, *head, *base;
	const json_t *request;
	enum item_state state;
	bool squashed;
};

struct landing {
	const struct repo *repo;
	const json_t *request;
	struct item *items;
	size_t count;
	char tip[HEX_SIZE];
	struct integration *integration; /* NULL where nothing is verified */
	json_t *merged, *conflicts, *verify_failed, *stopped, *verify;
};

static json_t *name_of(const struct item *item)
{
	return json_pack("{s:I, s:s?}", "task", item->task, "key", item->key);
}

static int read_items(struct landing *landing, struct error *err)
{
	const json_t *list = json_sub(landing->request, "items"), *entry;
	size_t i;

	landing->items = xcalloc(json_array_size(list), sizeof *landing->items);
	json_array_foreach (list, i, entry) {
		struct item *item = &landing->items[landing->count++];

		item->task = json_int(entry, "task", 0);
		item->key = json_text(entry, "key");
		item->request = entry;
		item->head = verb_id(entry, "head", err);
		if (!item->head)
			return -1;
		item->base = json_text(entry, "base");
		if (item->base && !(item->base = verb_id(entry, "base", err)))
			return -1;
	}
	return 0;
}

static struct item *find_item(struct landing *landing, json_int_t task)
{
	for (size_t i = 0; i < landing->count; i++)
		if (landing->items[i].task == task)
			return &landing->items[i];
	return NULL;
}

/* The keys of failed items that this one comes after; NULL when there are none. */
static json_t *failed_before(struct landing *landing, const struct item *item)
{
	json_t *after = json_sub(item->request, "after"), *id, *keys = NULL;
	size_t i;

	json_array_foreach (after, i, id) {
		struct item *other = find_item(landing, json_integer_value(id));

		if (!other || other->state != ITEM_FAILED)
			continue;
		if (!keys)
			keys = json_array();
		json_array_append_new(keys, json_string(other->key ? other->key : ""));
	}
	return keys;
}

/* True when what the item is based on has landed in another shape: squashed. */
static bool base_was_squashed(struct landing *landing, const struct item *item)
{
	json_t *after = json_sub(item->request, "after"), *id;
	size_t i;

	if (json_flag(item->request, "base_landed"))
		return true;
	json_array_foreach (after, i, id) {
		struct item *other = find_item(landing, json_integer_value(id));

		if (other && other->squashed)
			return true;
	}
	return false;
}

/* Keys of the items merged before that touch one of the paths. */
static json_t *clash_with(struct landing *landing, const struct item *item, char *const *paths)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < landing->count && &landing->items[i] != item; i++) {
		const struct item *other = &landing->items[i];
		_cleanup_changes_ struct changes changes = CHANGES_INIT;
		bool touches = false;

		if (other->state != ITEM_MERGED || !other->base || !other->key ||
		    changes_read(landing->repo, other->base, other->head, &changes, NULL) < 0)
			continue;
		for (size_t k = 0; paths[k] && !touches; k++)
			touches = changes_find(&changes, paths[k]) != NULL;
		if (touches)
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
static int base_adds_nothing(struct landing *landing, const struct item *item, struct error *err)
{
	char merged[HEX_SIZE], tip[HEX_SIZE];
	char **paths = NULL;
	int rc = merge_commits(landing->repo, landing->tip, item->base, merged, &paths, err);

	strv_free(paths);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (commit_tree(landing->repo, landing->tip, tip, err) < 0)
		return -1;
	return strcmp(merged, tip) == 0;
}

/* 0 with the tree, 1 conflict, -1. Work on top of what was squashed clashes with it falsely:
 * then only what it adds to its own base counts. */
static int merge_item_tree(struct landing *landing, const struct item *item, char tree[HEX_SIZE],
                           char ***paths, struct error *err)
{
	const struct repo *repo = landing->repo;
	bool squashed = item->base && base_was_squashed(landing, item);
	int rc, landed;

	if (squashed)
		return merge_from_base(repo, item->base, landing->tip, item->head, tree, paths,
		                       err);
	rc = merge_commits(repo, landing->tip, item->head, tree, paths, err);
	if (rc != 1 || !item->base)
		return rc;
	landed = base_adds_nothing(landing, item, err);
	if (landed <= 0)
		return landed < 0 ? -1 : 1;
	strv_free(*paths);
	*paths = NULL;
	return merge_from_base(repo, item->base, landing->tip, item->head, tree, paths, err);
}

/* Merges one item onto the tip. 0 with the new tip in `next`, 1 conflict, -1. */
static int merge_item(struct landing *landing, const struct item *item, bool squash,
                      char next[HEX_SIZE], char ***paths, struct error *err)
{
	const char *const both[] = {landing->tip, item->head, NULL};
	const char *const one[] = {landing->tip, NULL};
	_cleanup_free_ char *message = message_of(item, squash);
	char tree[HEX_SIZE];
	int rc;

	if (!squash) {
		rc = commit_contains(landing->repo, item->head, landing->tip, err);
		if (rc < 0)
			return -1;
		if (rc == 1) {
			memcpy(next, item->head, strlen(item->head) + 1);
			return 0;
		}
	}
	rc = merge_item_tree(landing, item, tree, paths, err);
	if (rc != 0)
		return rc;
	return commit_make(landing->repo, tree, squash ? one : both, message, -1, next, err);
}

static void record_merged(struct landing *landing, struct item *item, const char *commit,
                          bool skipped)
{
	json_t *entry = name_of(item);

	item->state = ITEM_MERGED;
	json_object_set_new(entry, "commit", json_string(commit));
	json_object_set_new(entry, "skipped", json_boolean(skipped));
	json_array_append_new(landing->merged, entry);
}

/* 0 passed or nothing to run, 1 failed (recorded), -1. */
static int verify_item(struct landing *landing, struct item *item, const char *commit,
                       struct error *err)
{
	const char *known = json_text(item->request, "verified_tree");
	const json_t *verify = json_sub(item->request, "verify");
	struct integration_result result = {.tail = NULL};
	char tree[HEX_SIZE];
	json_t *entry;

	if (!verify)
		verify = json_sub(landing->request, "verify");
	if (!verify || !landing->integration)
		return 0;
	if (commit_tree(landing->repo, commit, tree, err) < 0)
		return -1;
	/* Proven already, as the head of its own task. */
	if (known && strcmp(known, tree) == 0)
		return 0;
	if (integration_verify(landing->integration, item->request, verify, landing->tip, commit,
	                       &result, err) < 0)
		return -1;
	json_decref(landing->verify);
	landing->verify = json_pack("{s:o, s:i, s:f}", "command", verb_text(result.command),
	                            "exit_code", result.exit_code, "seconds", result.seconds);
	if (result.exit_code != 0) {
		entry = name_of(item);
		json_object_set_new(entry, "exit_code", json_integer(result.exit_code));
		json_object_set_new(entry, "tail", verb_text(result.tail));
		json_array_append_new(landing->verify_failed, entry);
	}
	free(result.command);
	free(result.tail);
	return result.exit_code != 0;
}

static int record_conflict(struct landing *landing, struct item *item, char **paths)
{
	json_t *entry = name_of(item);

	item->state = ITEM_FAILED;
	json_object_set_new(entry, "paths", verb_texts(paths));
	json_object_set_new(entry, "with", clash_with(landing, item, paths));
	json_array_append_new(landing->conflicts, entry);
	strv_free(paths);
	return 0;
}

static int land_item(struct landing *landing, struct item *item, struct error *err)
{
	bool squash = json_flag(landing->request, "squash") || json_flag(item->request, "squash");
	json_t *before = failed_before(landing, item);
	char next[HEX_SIZE];
	char **paths = NULL;
	int rc;

	if (before) {
		json_t *entry = name_of(item);

		item->state = ITEM_FAILED;
		json_object_set_new(entry, "after", before);
		json_array_append_new(landing->stopped, entry);
		return 0;
	}
	rc = commit_contains(landing->repo, landing->tip, item->head, err);
	if (rc < 0)
		return -1;
	if (rc == 1) {
		record_merged(landing, item, item->head, true);
		return 0;
	}
	rc = merge_item(landing, item, squash, next, &paths, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return record_conflict(landing, item, paths);
	rc = verify_item(landing, item, next, err);
	if (rc < 0)
		return -1;
	if (rc == 1) {
		item->state = ITEM_FAILED;
		return 0;
	}
	item->squashed = squash;
	memcpy(landing->tip, next, sizeof next);
	record_merged(landing, item, next, false);
	return 0;
}

/* A merge that nothing names yet is held until it has moved the target, or the next one. */
static int hold_result(const struct landing *landing, const char *target, const char *before,
                       struct error *err)
{
	_cleanup_free_ char *ref = xasprintf("refs/pleach/landing/%s", target);

	if (json_flag(landing->request, "dry_run") || strcmp(before, landing->tip) == 0)
		return 0;
	if (ref_write(landing->repo, ref, landing->tip, NULL, "pleach: prepared", err) < 0)
		return -1;
	return repo_sync(landing->repo, err);
}

static bool needs_proof(const struct landing *landing)
{
	bool any = json_sub(landing->request, "verify") != NULL;

	for (size_t i = 0; i < landing->count; i++)
		any |= json_sub(landing->items[i].request, "verify") != NULL;
	return any && !json_flag(landing->request, "dry_run");
}

static int land(struct landing *landing, json_t **answer, struct error *err)
{
	const char *onto = json_text(landing->request, "onto");
	_cleanup_free_ char *ref = verb_branch(landing->request, "target", err);
	char before[HEX_SIZE];
	int found;

	if (!ref || read_items(landing, err) < 0)
		return -1;
	if (onto && !verb_id(landing->request, "onto", err))
		return -1;
	found = onto ? 1 : ref_read(landing->repo, ref, before, err);
	if (found < 0)
		return -1;
	if (!found)
		return error_set(err, ERROR_NOT_FOUND, "branch %s: no such branch",
		                 json_text(landing->request, "target"));
	if (onto)
		memcpy(before, onto, strlen(onto) + 1);
	memcpy(landing->tip, before, sizeof before);
	if (needs_proof(landing) &&
	    integration_open(landing->request, before, &landing->integration, err) < 0)
		return -1;
	for (size_t i = 0; i < landing->count; i++)
		if (land_item(landing, &landing->items[i], err) < 0)
			return error_wrap(err, "%s",
			                  landing->items[i].key ? landing->items[i].key : "merge");
	if (hold_result(landing, json_text(landing->request, "target"), before, err) < 0)
		return -1;
	*answer = json_pack("{s:s, s:s, s:O, s:O, s:O, s:O, s:O}", "before", before, "after",
	                    landing->tip, "merged", landing->merged, "conflicts",
	                    landing->conflicts, "verify_failed", landing->verify_failed, "stopped",
	                    landing->stopped, "verify", landing->verify);
	return 0;
}

int verb_prepare(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct landing landing = {.repo = &repo, .request = request};
	int rc;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	landing.merged = json_array();
	landing.conflicts = json_array();
	landing.verify_failed = json_array();
	landing.stopped = json_array();
	landing.verify = json_null();
	rc = land(&landing, answer, err);
	integration_close(landing.integration);
	json_decref(landing.merged);
	json_decref(landing.conflicts);
	json_decref(landing.verify_failed);
	json_decref(landing.stopped);
	json_decref(landing.verify);
	free(landing.items);
	return rc;
}
