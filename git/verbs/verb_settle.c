/* settle: the slot of a worker that died. What it held is kept, and its branch is let go of,
 * so that the task can be tried again in another slot. tidy: slots in which a proof died; what a
 * proof of a merge changed is nobody's work, and the next one finds it as ever. */
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "slot_internal.h"
#include "verb.h"

struct settling {
	char *dir, *kept;
	int64_t attempt;
	char head[HEX_SIZE];
};

static int settle_slot(const json_t *request, const struct repo *repo, const char *git_dir,
                       struct settling *s, struct error *err)
{
	struct slot *slot = NULL;
	int rc;

	if (slot_open(json_text(request, "root"), s->dir, strrchr(s->dir, '/') + 1,
	              json_text(request, "pinned"), NULL, NULL, &slot, err) < 0)
		return -1;
	/* In the middle of a switch it is of neither attempt. */
	if (slot_phase(slot) != SLOT_NEW && slot_phase(slot) != SLOT_SWITCHING)
		s->attempt = slot_attempt(slot);
	rc = slot_snapshot(slot, slot_attempt(slot), &s->kept, err);
	slot_close(slot);
	if (rc == 0 && s->attempt && !s->kept &&
	    worktree_head(repo, git_dir, s->head, NULL, NULL) != 1)
		s->attempt = 0;
	return rc;
}

/* A disk that takes nothing is no fault of the slot's: whoever asked asks again. */
int verb_settle(const json_t *request, json_t **answer, struct error *err)
{
	const char *wanted = json_text(request, "dir");
	struct settling s = {.dir = wanted ? path_settle_parent(wanted) : NULL};
	_cleanup_free_ char *dir = s.dir, *git_dir = NULL;
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct error unwritable = ERROR_INIT;

	if (!dir || !strrchr(dir, '/'))
		return error_set(err, ERROR_INVALID, "dir must be an absolute path");
	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	/* Asked first: opening what is not there would make it. */
	git_dir = file_exists(dir) ? worktree_git_dir(&repo, dir) : NULL;
	if (git_dir && settle_slot(request, &repo, git_dir, &s, err) < 0) {
		if (space_can_write(&repo, strrchr(dir, '/') + 1, &unwritable) == 0)
			return -1;
		*answer = json_pack("{s:s}", "unwritable", unwritable.text);
		return 0;
	}
	*answer =
	    json_pack("{s:s?, s:I, s:s?}", "kept", s.kept, "attempt", (json_int_t)s.attempt, "head",
	              !s.attempt ? NULL
	              : s.kept   ? s.kept
	                         : s.head);
	free(s.kept);
	return 0;
}

/* Opening a slot puts away what its last process left half done. */
static int tidy(const json_t *request, const struct repo *repo, const char *wanted,
                struct error *err)
{
	_cleanup_free_ char *dir = *wanted == '/' ? path_settle_parent(wanted) : NULL,
	                    *git_dir = NULL;
	struct slot *slot = NULL;

	if (!dir || !file_is_dir(dir))
		return 0;
	if (worktree_remove_half(repo, dir, err) < 0)
		return -1;
	git_dir = worktree_git_dir(repo, dir);
	if (!git_dir) {
		rmdir(dir); /* it had got no further; what is in it is somebody else's */
		return 0;
	}
	if (slot_open(json_text(request, "root"), dir, strrchr(dir, '/') + 1,
	              json_text(request, "pinned"), NULL, NULL, &slot, err) < 0)
		return -1;
	slot_forget_locks(slot);
	slot_close(slot);
	return 0;
}

int verb_tidy(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_strv_ char **dirs = json_strv(json_sub(request, "dirs")), **problems = NULL;
	_cleanup_repo_ struct repo repo = REPO_INIT;

	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	for (size_t i = 0; dirs && dirs[i]; i++) {
		struct error why = ERROR_INIT;

		if (tidy(request, &repo, dirs[i], &why) < 0)
			strv_push(&problems, xasprintf("%s: %s", dirs[i], why.text));
	}
	*answer = json_pack("{s:o}", "problems", verb_texts(problems));
	return 0;
}
