/* move: the target branch to a prepared commit; back: to where it was before; contains:
 * whether it got there.
 *
 * Where somebody has the target checked out, their files move with it, and what they
 * changed and did not commit is never touched. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "moving.h"
#include "proc.h"
#include "refs.h"
#include "target.h"
#include "text.h"
#include "verb.h"

#define KILLED_TRIES 3
#define OPEN_TRIES   20

struct move {
	struct repo *repo;
	const json_t *request;
	struct target target;
	const char *before, *after;
	bool back;   /* after is what before was built on */
	bool killed; /* the last git that changed something */
	bool left;   /* the worktree is on something else by now: nothing was changed */
	char *lock;  /* of its index; NULL: not held */
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

/* They were looked up before the lock: a switch that had it until then may have been at work in
 * them. */
static int refuse_surely(struct move *move, const struct changes *changes, struct error *err)
{
	struct error why = ERROR_INIT;

	if (refuse_in_way(move, changes, &why) == 0)
		return 0;
	target_forget_dirty(&move->target);
	return refuse_in_way(move, changes, err);
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

/* As `git checkout` goes from one commit to another: what the user staged or changed elsewhere
 * stays as it is. Where git gives up halfway (no space, a filter of the user's that fails) the
 * files are put back, and its reason is told. */
static int move_files(struct move *move, const struct moving *moving, struct error *err)
{
	_cleanup_changes_ struct changes changes = CHANGES_INIT;
	struct error why = ERROR_INIT;
	int there;

	if (changes_read(move->repo, move->before, move->after, &changes, err) < 0)
		return -1;
	if (refuse_surely(move, &changes, &why) < 0) {
		there = why.code == ERROR_BUSY ? is_there(move, &changes, err) : 0;
		if (there <= 0 && why.code != ERROR_NONE)
			*err = why;
		return there > 0 ? 0 : -1;
	}
	if (moving_read_tree(moving, move->before, move->after, &move->killed, err) == 0)
		return 0;
	if (move->killed)
		return -1;
	moving_restore(moving, NULL);
	target_forget_dirty(&move->target);
	if (refuse_in_way(move, &changes, &why) < 0 && why.code == ERROR_BUSY)
		*err = why;
	return -1;
}

/* By its name: HEAD is whatever its user has switched to meanwhile. */
static int move_branch(struct move *move, const struct moving *moving, struct error *err)
{
	const char *const set[] = {MOVING_VARIABLE, move->repo->place.common_dir, MOVING_SYNC,
	                           NULL};
	struct git_run run = {
	    .git_dir = moving->tree->git_dir, .set = set, .killed = &move->killed};
	char now[HEX_SIZE];
	int rc = git_run(move->repo, &run,
	                 GIT_ARGS("update-ref", "-m", move->back ? "pleach undo" : "pleach merge",
	                          move->target.ref, move->after, move->before),
	                 err);

	if (rc == 0 || move->killed)
		return rc;
	moving_leave(moving, NULL);
	if (ref_read(move->repo, move->target.ref, now, NULL) != 1 ||
	    strcmp(now, move->before) != 0)
		error_set(err, ERROR_CONFLICT, "%s moved meanwhile", move->target.name);
	return -1;
}

static bool is_on_target(const struct move *move, const struct worktree *tree)
{
	_cleanup_free_ char *branch = NULL;
	char hex[HEX_SIZE];

	return worktree_head(move->repo, tree->git_dir, hex, &branch, NULL) >= 0 && branch &&
	       strcmp(branch, move->target.ref) == 0;
}

/* The files first: dead in between, doing it again finds them there already. The index is locked
 * all the time: whoever switches in between would take for changes of theirs what is not. A git of
 * ours that somebody kills is undone and run again. */
static int move_tree(struct move *move, const struct moving *moving, struct error *err)
{
	int rc = -1;

	for (int i = 0; i < KILLED_TRIES; i++) {
		move->killed = false;
		if (target_read_dirty(&move->target, err) < 0)
			return -1;
		move->lock = moving_lock_index(moving, err);
		move->left = move->lock && !is_on_target(move, moving->tree);
		if (!move->lock || move->left)
			return -1;
		rc = move_files(move, moving, err);
		if (rc == 0)
			rc = move_branch(move, moving, err);
		if (!move->killed)
			break;
		moving_unlock_index(&move->lock);
		if (moving_undo(moving, err) < 0)
			return -1;
		target_forget_dirty(&move->target);
	}
	return rc;
}

/* Its user is on a new branch at the old commit, for which git asks no lock: what we changed there
 * was not theirs. */
static void leave_alone(const struct move *move, const struct moving *moving)
{
	if (!is_on_target(move, moving->tree))
		moving_leave(moving, NULL);
}

/* A git that is at work now may be about to change HEAD: a switch that began before our move knows
 * the branch as it was. It has the index for a part of that time only, and may be none that we see
 * (somebody else's, or in another namespace), so both are waited for. Slots are on branches of
 * ours. */
static void await_others(const struct worktree *tree, int64_t until)
{
	const struct timespec step = {.tv_nsec = MOVING_LOCK_STEP_MS * 1000000L};
	_cleanup_free_ char *lock = repo_path(tree->git_dir, "index.lock");
	int64_t left = until - time_mono_ms();

	if (worktree_is_ours(tree))
		return;
	proc_await_in(tree->dir, "git", left > 0 ? (int)left : 0);
	while (file_exists(lock) && time_mono_ms() < until)
		nanosleep(&step, NULL);
}

static int take_files_along(struct move *move, const struct moving *moving, struct error *err)
{
	int rc = 0;

	move->lock = moving_lock_index(moving, err);
	if (!move->lock)
		return -1;
	if (is_on_target(move, moving->tree)) /* else they have left it again */
		rc = move_files(move, moving, err);
	if (rc == 0)
		leave_alone(move, moving);
	return rc;
}

/* Nobody was on the branch, and somebody may have come meanwhile: their files are as before. Where
 * their changes are in the way it is as if it had not been moved. */
static int take_along(struct move *move, struct error *err)
{
	int64_t until = time_mono_ms() + MOVING_LOCK_WAIT_MS;
	struct moving moving = {.repo = move->repo, .from = move->before, .to = move->after};

	for (size_t i = 0; i < move->target.list.count; i++)
		if (!move->target.list.items[i].missing)
			await_others(&move->target.list.items[i], until);
	if (target_look_again(&move->target, move->request, err) >= 0) {
		moving.tree = move->target.tree;
		moving.ref = move->target.ref;
		if (!moving.tree || take_files_along(move, &moving, err) == 0)
			return 0;
	}
	if (ref_write(move->repo, move->target.ref, move->before, move->after, "pleach: taken back",
	              NULL) < 0)
		return 0; /* somebody goes on from there */
	return -1;
}

static int move_ref(struct move *move, const struct moving *moving, struct error *err)
{
	if (moving->tree)
		return move_tree(move, moving, err);
	if (ref_write(move->repo, move->target.ref, move->after, move->before,
	              move->back ? "pleach undo" : "pleach merge", err) < 0)
		return -1;
	return take_along(move, err);
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
 * was held is left to be let go of. The lock may have been waited for: who is on the target is
 * looked up again under it. */
static int move_marked(struct move *move, struct error *err)
{
	_cleanup_close_ int lock = moving_lock(move->repo, move->target.tree, true, err);
	struct moving moving = {.repo = move->repo, .from = move->before, .to = move->after};
	int rc = lock < 0 ? -1 : target_look_again(&move->target, move->request, err);

	move->left = rc == 0;
	if (rc <= 0)
		return -1;
	moving.tree = move->target.tree;
	moving.ref = move->target.ref;
	if (moving_begin(&moving, err) < 0)
		return -1;
	rc = find_tip(move, err);
	if (rc == 0)
		rc = move_ref(move, &moving, err);
	if (rc >= 0)
		rc = repo_sync(move->repo, err);
	if (rc == 0)
		let_go(move);
	if (rc == 0 && moving.tree)
		leave_alone(move, &moving);
	moving_unlock_index(&move->lock);
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

/* Whoever leaves the target, or comes to it, while we look is followed. */
static int run_move(struct move *move, json_t **answer, struct error *err)
{
	int rc = check_order(move, err);

	for (int i = 0; rc == 0 && i < OPEN_TRIES; i++) {
		target_finish(&move->target);
		move->left = false;
		rc = target_open(move->repo, move->request, &move->target, err) < 0 ||
		             moving_recover(move->repo, move->target.tree, err) < 0 ||
		             move_marked(move, err) < 0
		         ? -1
		         : 0;
		if (!move->left)
			break;
		rc = i + 1 < OPEN_TRIES
		         ? 0
		         : error_set(err, ERROR_BUSY, "%s is switched to and left all the time",
		                     move->target.name);
	}
	if (rc < 0)
		return -1;
	*answer = json_pack("{s:b, s:o}", "moved", 1, "worktree",
	                    move->target.tree ? verb_text(move->target.tree->dir) : json_null());
	return 0;
}

static int move_verb(const json_t *request, bool back, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	struct move move = {.repo = &repo, .request = request, .target = TARGET_INIT, .back = back};
	int rc;

	move.before = verb_id(request, "before", err);
	move.after = verb_id(request, "after", err);
	rc = move.before && move.after && verb_open_repo(request, &repo, err) == 0
	         ? run_move(&move, answer, err)
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
