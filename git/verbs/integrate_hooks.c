/* The user's commit hooks on a commit that is about to land, in the integration slot: what `git
 * merge` and `git commit` would have run before and while they make it. A hook may refuse, add
 * to the index, or write the message anew; then the commit is made again. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "hooks.h"
#include "integrate_private.h"
#include "jsonl.h"
#include "mem.h"
#include "verb.h"
#include "verify.h"

#define MESSAGE_MAX (1u << 20)

struct hooking {
	struct integration *integration;
	const json_t *item;
	const char *commit, *base;
	char *message_file;
	struct integration_result *out;
};

/* 0 passed or not there, 1 refused (told in out), -1. */
static int run_hook(struct hooking *hooking, const char *name, const char *const *args,
                    struct error *err)
{
	struct integration *integration = hooking->integration;
	const char *dir = slot_dir(integration->slot);
	_cleanup_json_ json_t *command = json_array();
	struct verify_run run = {.command = command,
	                         .dir = dir,
	                         .env = json_sub(integration->request, "env"),
	                         .log = json_text(integration->request, "log")};
	struct verify_result result = {.tail = NULL};
	_cleanup_free_ char *file = NULL;

	if (hooks_find(json_text(integration->request, "pinned"), dir, name, &file, err) < 0)
		return -1;
	if (!file)
		return 0;
	json_array_append_new(command, verb_text(file));
	for (size_t i = 0; args && args[i]; i++)
		json_array_append_new(command, verb_text(args[i]));
	if (verify_run(&run, &result, err) < 0)
		return error_wrap(err, "hook %s", name);
	if (result.exit_code == 0) {
		free(result.tail);
		return 0;
	}
	hooking->out->command = xasprintf("hook %s", name);
	hooking->out->exit_code = result.exit_code;
	hooking->out->seconds = result.seconds;
	hooking->out->tail = result.tail;
	return 1;
}

/* As in the middle of that commit: HEAD at what it is made on, index and files at its tree. */
static int begin(struct hooking *hooking, struct error *err)
{
	struct slot *slot = hooking->integration->slot;
	const char *message = json_text(hooking->item, "text");
	const struct slot_order order = {.base = hooking->commit};

	hooking->message_file = repo_path(slot->git_dir, "COMMIT_EDITMSG");
	if (slot_switch(slot, 0, &order, err) < 0 ||
	    worktree_set_head(slot->git_dir, hooking->base, err) < 0)
		return -1;
	message = message ? message : "";
	return place_write_file(hooking->message_file, message, strlen(message), err);
}

static int run_all(struct hooking *hooking, struct error *err)
{
	bool squash = json_flag(hooking->item, "squash");
	const char *const prepare[] = {hooking->message_file, squash ? "message" : "merge", NULL};
	const char *const check[] = {hooking->message_file, NULL};
	int rc = run_hook(hooking, squash ? "pre-commit" : "pre-merge-commit", NULL, err);

	if (rc == 0)
		rc = run_hook(hooking, "prepare-commit-msg", prepare, err);
	if (rc == 0)
		rc = run_hook(hooking, "commit-msg", check, err);
	return rc;
}

/* The commit again, of what the hooks left in the index and the message. */
static int make_again(struct hooking *hooking, char hex[HEX_SIZE], struct error *err)
{
	struct integration *integration = hooking->integration;
	struct slot *slot = integration->slot;
	const char *head = json_text(hooking->item, "head");
	bool squash = json_flag(hooking->item, "squash") || !head;
	const char *const parents[] = {hooking->base, squash ? NULL : head, NULL};
	struct git_run run = {.git_dir = slot->git_dir, .work_tree = slot->dir};
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *said = json_text(hooking->item, "text");
	char tree[HEX_SIZE], was[HEX_SIZE];

	if (git_run_id(&slot->repo, &run, GIT_ARGS("write-tree"), tree, err) < 0 ||
	    commit_tree(&slot->repo, hooking->commit, was, err) < 0)
		return -1;
	if (file_read(hooking->message_file, MESSAGE_MAX, &text, err) != 1 || !text.len)
		return error_set(err, ERROR_EXTERNAL, "the hooks left no message");
	if (strcmp(tree, was) == 0 && said && strcmp(text.data, said) == 0) {
		memcpy(hex, hooking->commit, strlen(hooking->commit) + 1);
		return 0;
	}
	return verb_commit(&slot->repo, integration->request, tree, parents, text.data, hex, err);
}

/* Files and index back at a commit: what the hooks left beside it is nobody's. */
static int end(struct hooking *hooking, const char *commit, struct error *err)
{
	struct slot *slot = hooking->integration->slot;
	struct git_run run = {.git_dir = slot->git_dir, .work_tree = slot->dir};

	if (worktree_set_head(slot->git_dir, commit, err) < 0)
		return -1;
	return git_run(&slot->repo, &run, GIT_ARGS("read-tree", "--reset", "-u", commit), err);
}

int integration_hooks(struct integration *integration, const json_t *item, const char *base,
                      const char *commit, char hex[65], struct integration_result *out,
                      struct error *err)
{
	struct hooking hooking = {
	    .integration = integration, .item = item, .commit = commit, .base = base, .out = out};
	int rc = begin(&hooking, err);

	if (rc == 0)
		rc = run_all(&hooking, err);
	if (rc == 0)
		rc = make_again(&hooking, hex, err);
	if (rc >= 0 && end(&hooking, rc == 0 ? hex : commit, err) < 0)
		rc = -1;
	free(hooking.message_file);
	return rc;
}
