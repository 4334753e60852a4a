/* The end of an attempt: what the agent left becomes a commit on the attempt's branch. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "mem.h"
#include "slot_internal.h"
#include "stat.h"

/* Parents of the commit to make: HEAD, and the other side of a merge that the agent
 * resolved but did not commit. */
static char **commit_parents(const struct slot *slot, const char *head,
                             const struct capture *capture)
{
	_cleanup_free_ char *file = repo_path(slot->git_dir, "MERGE_HEAD");
	_cleanup_buf_ struct buf text = BUF_INIT;
	char **parents = xcalloc(1, sizeof *parents), *save = NULL;

	if (head)
		strv_push(&parents, xstrdup(head));
	/* With paths still unmerged it is no merge yet: nobody may take it for one. */
	if (!head || capture->conflicted || file_read(file, 1u << 16, &text, NULL) != 1)
		return parents;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (hex_is_id(line) && commit_exists(&slot->repo, line) &&
		    strv_len((const char *const *)parents) < 8)
			strv_push(&parents, xstrdup(line));
	return parents;
}

static char *commit_message(const char *branch, const char *subject)
{
	const char *task = branch ? branch : "";

	if (strncmp(task, "refs/heads/", 11) == 0)
		task += 11;
	if (strncmp(task, "pleach/", 7) == 0)
		task += 7;
	if (!subject || !*subject)
		subject = *task ? task : "pleach";
	return *task ? xasprintf("%s\n\nPleach-Task: %s\n", subject, task)
	             : xasprintf("%s\n", subject);
}

/* True (1) when commits of the agent between base and head touch a private file. */
static int history_is_private(struct slot *slot, const char *base, const char *head,
                              struct error *err)
{
	_cleanup_strv_ char **args = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};
	char **paths = slot->marker.private_paths;

	if (!paths || !paths[0] || strcmp(base, head) == 0)
		return 0;
	strv_push(&args, xstrdup("rev-list"));
	strv_push(&args, xstrdup("--full-history"));
	strv_push(&args, xstrdup("-1"));
	strv_push(&args, xasprintf("^%s", base));
	strv_push(&args, xstrdup(head));
	strv_push(&args, xstrdup("--"));
	for (size_t i = 0; paths[i]; i++)
		strv_push(&args, xasprintf(":(literal)%s", paths[i]));
	if (git_run(&slot->repo, &run, (const char *const *)args, err) < 0)
		return -1;
	return text.len > 0;
}

/* The agent committed a file that must never leave this machine: its commits become one,
 * without it. What it made stays under a kept ref. */
static int flatten(struct slot *slot, int64_t attempt, const char *base, const char *head,
                   const struct capture *capture, const char *message, char hex[HEX_SIZE],
                   struct error *err)
{
	_cleanup_free_ char *stem = ref_kept_stem(attempt, slot->teammate, "private");

	if (ref_keep(&slot->repo, stem, head, NULL, err) < 0)
		return -1;
	return commit_make(&slot->repo, capture->tree, (const char *const[]){base, NULL}, message,
	                   -1, hex, err);
}

/* The commit that the attempt ends at. */
static int make_head(struct slot *slot, int64_t attempt, const char *branch, const char *base,
                     const char *subject, const struct capture *capture, const char *head,
                     struct slot_result *out, struct error *err)
{
	_cleanup_strv_ char **parents = commit_parents(slot, head, capture);
	_cleanup_free_ char *message = commit_message(branch, subject);
	size_t n = strv_len((const char *const *)parents);
	char tree[HEX_SIZE] = "";
	int descends = head ? commit_contains(&slot->repo, head, base, err) : 0, private = 0;

	if (descends < 0)
		return -1;
	if (descends && (private = history_is_private(slot, base, head, err)) < 0)
		return -1;
	if (head && commit_tree(&slot->repo, head, tree, err) < 0)
		return -1;
	if (private) {
		out->committed = true;
		out->descends = true;
		return flatten(slot, attempt, base, head, capture, message, out->head, err);
	}
	out->descends = descends;
	if (strcmp(tree, capture->tree) == 0 && n == 1) {
		memcpy(out->head, head, strlen(head) + 1);
		return 0;
	}
	out->committed = true;
	return commit_make(&slot->repo, capture->tree, (const char *const *)parents, message, -1,
	                   out->head, err);
}

/* The branch moves to the head; where that is not possible the head is kept all the same. */
static int publish(struct slot *slot, int64_t attempt, const char *branch, const char *head,
                   struct error *err)
{
	_cleanup_free_ char *kept = ref_kept_stem(attempt, slot->teammate, NULL);
	_cleanup_free_ char *other = ref_kept_stem(attempt, slot->teammate, "branch");
	_cleanup_free_ char *full = NULL;

	slot->unsynced = true;
	if (!branch)
		return ref_keep(&slot->repo, kept, head, NULL, err);
	full = strncmp(branch, "refs/heads/", 11) == 0 ? xstrdup(branch)
	                                               : xasprintf("refs/heads/%s", branch);
	if (slot_branch_free(slot, full, err) == 0 &&
	    slot_move_branch(slot, full, head, other, err) == 0)
		return 0;
	ref_keep(&slot->repo, kept, head, NULL, NULL);
	return -1;
}

static int describe(struct slot *slot, const char *base, struct slot_result *out, struct error *err)
{
	char tree[HEX_SIZE];
	struct diff_stat stat;

	if (commit_tree(&slot->repo, base, tree, err) < 0 ||
	    commit_tree(&slot->repo, out->head, out->tree, err) < 0)
		return -1;
	out->unchanged = strcmp(tree, out->tree) == 0;
	if (out->unchanged)
		return 0;
	if (diff_stat_read(&slot->repo, base, out->head, &stat, err) < 0)
		return -1;
	out->files_changed = stat.files_changed;
	out->insertions = stat.insertions;
	out->deletions = stat.deletions;
	return 0;
}

int slot_commit(struct slot *slot, int64_t attempt, const char *branch, const char *base,
                const char *subject, struct slot_result *out, struct error *err)
{
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	struct slot_result result = {.head = ""};
	char head[HEX_SIZE], from[HEX_SIZE];
	int found;

	if (slot_prepare(slot, err) < 0 || commit_resolve(&slot->repo, base, from, err) < 0 ||
	    slot_capture(slot, false, &capture, err) < 0) {
		slot_forget_locks(slot);
		return error_wrap(err, "commit in %s", slot->dir);
	}
	found = worktree_head(&slot->repo, slot->git_dir, head, NULL, err);
	if (found < 0 ||
	    make_head(slot, attempt, branch, from, subject, &capture, found ? head : NULL, &result,
	              err) < 0 ||
	    publish(slot, attempt, branch, result.head, err) < 0 ||
	    slot_keep_loose_ends(slot, attempt, &capture, result.head, err) < 0 ||
	    /* Their files are in the commit now; with the repository beside them git would
	     * neither see nor remove them. */
	    slot_move_nested(slot, attempt, &capture, err) < 0 ||
	    worktree_set_head(slot->git_dir, result.head, err) < 0 ||
	    slot_install(slot, &capture, err) < 0 || slot_forget_state(slot, err) < 0 ||
	    describe(slot, from, &result, err) < 0 || slot_sync(slot, err) < 0)
		return error_wrap(err, "commit in %s", slot->dir);
	*out = result;
	return 0;
}
