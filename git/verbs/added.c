#include "added.h"

#include <string.h>

#include "files.h"
#include "mem.h"
#include "opened.h"
#include "refs.h"

#define LOG_MAX (16u << 20)

/* The commit that HEAD of the worktree came to last, as its log has it. What moves the branch from
 * elsewhere is not written there. */
static bool log_ends_at(const struct worktree *tree, const char *tip)
{
	_cleanup_free_ char *path = repo_path(tree->git_dir, "logs/HEAD");
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *line, *id;
	size_t n = strlen(tip);

	if (file_read(path, LOG_MAX, &text, NULL) != 1 || !text.len)
		return false;
	if (text.data[text.len - 1] == '\n')
		text.data[text.len - 1] = '\0';
	line = strrchr(text.data, '\n');
	line = line ? line + 1 : text.data;
	id = strchr(line, ' ');
	return id && strncmp(id + 1, tip, n) == 0 && id[1 + n] == ' ';
}

/* In a worktree that is on the branch, and that `pleach open` made. */
static bool was_made_in_opened(const struct repo *repo, const char *branch, const char *tip)
{
	_cleanup_worktrees_ struct worktrees list = WORKTREES_INIT;

	if (worktrees_read(repo, &list, NULL) < 0)
		return false;
	for (size_t i = 1; i < list.count; i++) {
		const struct worktree *tree = &list.items[i];

		if (!tree->missing && tree->branch && strcmp(tree->branch, branch) == 0 &&
		    opened_is(repo, tree) && log_ends_at(tree, tip))
			return true;
	}
	return false;
}

void added_find(const struct repo *repo, const char *branch, const char *head, struct added *out)
{
	char tip[HEX_SIZE];

	*out = (struct added){.theirs = false};
	if (ref_read(repo, branch, tip, NULL) != 1 || strcmp(tip, head) == 0 ||
	    commit_exists(repo, tip) != 1 || commit_contains(repo, tip, head, NULL) != 1)
		return;
	memcpy(out->tip, tip, sizeof tip);
	out->theirs = was_made_in_opened(repo, branch, tip);
}
