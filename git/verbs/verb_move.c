/* move: the target branch to a prepared commit; back: to where it was before; contains:
 * whether it got there.
 *
 * Where somebody has the target checked out, their files move with it, and what they
 * changed and did not commit is never touched. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "moving.h"
#include "refs.h"
#include "target.h"
#include "verb.h"

#define KILLED_TRIES 3

struct move {
	struct repo *repo;
	struct target target;
	const char *before, *after;
	bool back;   /* after is what before was built on */
	bool killed; /* the last git that changed something */
};

/* The files in the way of a move by their names; 0 where there are none. */
static int refuse_in_way(struct move *move, const struct changes *changes, struct error *err)
{
	_cleanup_strv_ char **paths = NULL;
	_cleanup_free_ char *names = NULL;

	if (target_in_way(&move->target, changes, &paths, err) < 0)
		return -1;
	if (!paths)
		return 0;
	names = target_name_paths(paths);
	return error_set(err, ERROR_BUSY,
	                 "%s is checked out in %s, where your changes are in the way: %s (commit "
	                 "or move them)",
	                 move->target.name, move->target.tree->dir, names);
}

/* Turns git's refusal into the names of the files that are in the way. */
static void explain(struct move *move, struct error *err)
{
	_cleanup_free_ char *lock = repo_path(move->target.tree->git_dir, "index.lock");
	_cleanup_changes_ struct changes changes = CHANGES_INIT;
	struct error why = ERROR_INIT;

	if (file_exists(lock))
		error_set(err, ERROR_BUSY, "another git is at work in %s", move->target.tree->dir);
	else if (changes_read(move->repo, move->before, move->after, &changes, NULL) == 0 &&
	         refuse_in_way(move, &changes, &why) < 0 && why.code == ERROR_BUSY)
		*err = why;
}

static int move_forth(struct move *move, struct error *err)
{
	const char *const set[] = {"GIT_REFLOG_ACTION",  "pleach merge",
	                           "GIT_MERGE_AUTOEDIT", "no",
	                           MOVING_VARIABLE,      move->repo->place.common_dir,
	                           MOVING_SYNC,          NULL};
	const struct worktree *tree = move->target.tree;
	struct git_run run = {
	    .git_dir = tree->git_dir, .work_tree = tree->dir, .set = set, .killed = &move->killed};

	if (git_run(move->repo, &run,
	            GIT_ARGS("merge", "--ff-only", "--no-overwrite-ignore", "--no-stat",
	                     "--no-autostash", "--no-verify-signatures", "--commit", "--no-squash",
	                     "-q", move->after),
	            err) == 0)
		return 0;
	if (!move->killed)
		explain(move, err);
	return -1;
}

static int two_way(struct move *move, const char *from, const char *to, struct error *err)
{
	const struct worktree *tree = move->target.tree;
	const char *const set[] = {MOVING_VARIABLE, move->repo->place.common_dir, MOVING_SYNC,
	                           NULL};
	struct git_run run = {
	    .git_dir = tree->git_dir, .work_tree = tree->dir, .set = set, .killed = &move->killed};

	return git_run(move->repo, &run, GIT_ARGS("read-tree", "-m", "-u", from, to), err);
}

/* Dead between the files and the branch, and asked again: they are at `after` already. */
static int is_there(const struct move *move, const struct changes *changes, struct error *err)
{
	const struct worktree *tree = move->target.tree;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.git_dir = tree->git_dir, .work_tree = tree->dir, .out = &text};

	if (git_run(move->repo, &run,
	            GIT_ARGS("diff-index", "-z", "--name-only", "--ignore-submodules", move->after),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1)
		if (changes_find(changes, text.data + at))
			return 0;
	return 1;
}

/* As `git checkout` goes from one commit to another: what the user staged or changed
 * elsewhere stays as it is. The files first: dead in between, doing it again finds them
 * there already. A branch that moved at that very moment takes its files back. */
static int move_back(struct move *move, struct error *err)
{
	const struct worktree *tree = move->target.tree;
	const char *const set[] = {MOVING_VARIABLE, move->repo->place.common_dir, MOVING_SYNC,
	                           NULL};
	struct git_run run = {
	    .git_dir = tree->git_dir, .work_tree = tree->dir, .set = set, .killed = &move->killed};
	_cleanup_changes_ struct changes changes = CHANGES_INIT;
	int there;

	if (changes_read(move->repo, move->before, move->after, &changes, err) < 0 ||
	    (there = is_there(move, &changes, err)) < 0 ||
	    (!there && refuse_in_way(move, &changes, err) < 0))
		return -1;
	if (!there && two_way(move, move->before, move->after, err) < 0) {
		explain(move, err);
		return -1;
	}
	if (git_run(move->repo, &run,
	            GIT_ARGS("update-ref", "-m", "pleach undo", "HEAD", move->after, move->before),
	            err) == 0)
		return 0;
	if (move->killed)
		return -1;
	two_way(move, move->after, move->before, NULL);
	return error_set(err, ERROR_CONFLICT, "%s moved meanwhile", move->target.name);
}

/* Where a user has it checked out. A git of ours that somebody kills is undone and run again. */
static int move_tree(struct move *move, const struct moving *moving, struct error *err)
{
	int rc = -1;

	for (int i = 0; i < KILLED_TRIES; i++) {
		move->killed = false;
		rc = move->back ? move_back(move, err) : move_forth(move, err);
		if (!move->killed)
			break;
		if (moving_undo(moving, err) < 0)
			return -1;
	}
	return rc;
}

static int move_ref(struct move *move, const struct moving *moving, struct error *err)
{
	if (move->target.tree)
		return move_tree(move, moving, err);
	return ref_write(move->repo, move->target.ref, move->after, move->before,
	                 move->back ? "pleach undo" : "pleach merge", err);
}

/* What was held for the move is reached by the target now. */
static void let_go(const struct move *move)
{
	const char *const set[] = {MOVING_VARIABLE, move->repo->place.common_dir, NULL};
	_cleanup_free_ char *held = moving_held_ref(move->target.ref);
	char now[HEX_SIZE];

	if (ref_read(move->repo, held, now, NULL) == 1 && strcmp(now, move->after) == 0)
		ref_delete(move->repo, held, now, set, NULL);
}

/* 1 there already, 0 where it is moved from, -1. Asked under the lock: whoever had it until now, a
 * process of ours that is asked the same, may have moved it. */
static int find_tip(struct move *move, struct error *err)
{
	char now[HEX_SIZE];

	if (target_tip(&move->target, now, err) < 0)
		return -1;
	if (strcmp(now, move->after) == 0)
		return 1;
	if (strcmp(now, move->before) == 0)
		return 0;
	return error_set(err, ERROR_CONFLICT, "%s moved meanwhile (it is at %.12s, not %.12s)",
	                 move->target.name, now, move->before);
}

/* Under the mark, so that whoever comes after our death finds no lock of ours: also when only what
 * was held is left to be let go of. */
static int move_marked(struct move *move, struct error *err)
{
	const struct moving moving = {.repo = move->repo,
	                              .tree = move->target.tree,
	                              .ref = move->target.ref,
	                              .from = move->before,
	                              .to = move->after};
	_cleanup_close_ int lock = moving_lock(move->repo, move->target.tree, true, err);
	int rc = lock < 0 ? -1 : moving_begin(&moving, err);

	if (rc < 0)
		return -1;
	rc = find_tip(move, err);
	if (rc == 0)
		rc = move_ref(move, &moving, err);
	if (rc >= 0)
		rc = repo_sync(move->repo, err);
	if (rc == 0)
		let_go(move);
	if (!move->killed)
		moving_end(&moving);
	return rc;
}

static int check_order(const struct move *move, struct error *err)
{
	const char *newer = move->back ? move->before : move->after;
	const char *older = move->back ? move->after : move->before;
	int rc = commit_contains(move->repo, newer, older, err);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return error_set(err, ERROR_INVALID, "%.12s does not come after %.12s", newer,
		                 older);
	return 0;
}

static int run_move(struct move *move, const json_t *request, json_t **answer, struct error *err)
{
	if (check_order(move, err) < 0 ||
	    target_open(move->repo, request, &move->target, err) < 0 ||
	    moving_recover(move->repo, move->target.tree, err) < 0 || move_marked(move, err) < 0)
		return -1;
	*answer = json_pack("{s:b, s:o}", "moved", 1, "worktree",
	                    move->target.tree ? verb_text(move->target.tree->dir) : json_null());
	return 0;
}

static int move_verb(const json_t *request, bool back, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct move move = {.repo = &repo, .target = TARGET_INIT, .back = back};
	int rc;

	move.before = verb_id(request, "before", err);
	move.after = verb_id(request, "after", err);
	rc = move.before && move.after && verb_open_repo(request, &repo, err) == 0
	         ? run_move(&move, request, answer, err)
	         : -1;
	target_finish(&move.target);
	return rc;
}

int verb_move(const json_t *request, json_t **answer, struct error *err)
{
	return move_verb(request, false, answer, err);
}

int verb_back(const json_t *request, json_t **answer, struct error *err)
{
	return move_verb(request, true, answer, err);
}

int verb_contains(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_free_ char *ref = verb_branch(request, "target", err);
	const char *commit = verb_id(request, "commit", err);
	char tip[HEX_SIZE];
	int found, within = 0;

	if (!ref || !commit || verb_open_repo(request, &repo, err) < 0)
		return -1;
	found = ref_read(&repo, ref, tip, err);
	if (found < 0)
		return -1;
	if (found && commit_exists(&repo, commit))
		within = commit_contains(&repo, tip, commit, err);
	if (within < 0)
		return -1;
	*answer = json_pack("{s:b, s:s?}", "contains", within, "tip", found ? tip : NULL);
	return 0;
}
