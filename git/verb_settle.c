/* settle: the slot of a worker that died. What it held is kept, and its branch is let go of,
 * so that the task can be tried again in another slot. */
#include <string.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "slot_internal.h"
#include "verb.h"

int verb_settle(const json_t *request, json_t **answer, struct error *err)
{
	const char *wanted = json_text(request, "dir");
	_cleanup_free_ char *dir = wanted ? path_settle_parent(wanted) : NULL, *kept = NULL,
	                    *git_dir = NULL;
	const char *name = dir ? strrchr(dir, '/') : NULL;
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct slot *slot = NULL;
	int rc;

	if (!name)
		return error_set(err, ERROR_INVALID, "dir must be an absolute path");
	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	/* Asked first: opening what is not there would make it. */
	git_dir = file_exists(dir) ? worktree_git_dir(&repo, dir) : NULL;
	if (git_dir) {
		if (slot_open(json_text(request, "root"), dir, name + 1,
		              json_text(request, "pinned"), NULL, NULL, &slot, err) < 0)
			return -1;
		rc = slot_snapshot(slot, slot_attempt(slot), &kept, err);
		slot_close(slot);
		if (rc < 0)
			return -1;
	}
	*answer = json_pack("{s:s?}", "kept", kept);
	return 0;
}
