/* A move of a branch that a user has checked out, by a git that may be killed in the middle: its
 * locks and half-written files must not be the user's to clean up. Private to git/. */
#ifndef PLEACH_GIT_MOVING_H
#define PLEACH_GIT_MOVING_H

#include "controls.h"
#include "repo.h"
#include "worktree.h"

struct moving {
	const struct repo *repo;
	const struct worktree *tree; /* NULL: nobody has the branch checked out */
	const char *ref, *from, *to; /* borrowed */
};

/* Held while a move is under way, by the process that moves (its git does not inherit it): no
 * other one undoes what is being done. On the directory itself, so that no file stays. Close the
 * descriptor. Not `wait`: BUSY where somebody has it. */
int moving_lock(const struct repo *repo, const struct worktree *tree, bool wait, struct error *err);
/* Undoes what a move left whose process died with it, before anybody takes that for the user's
 * changes. Where one is under way it does nothing. */
int moving_recover(const struct repo *repo, const struct worktree *tree, struct error *err);
/* With the lock: says in the worktree's git directory that a git of ours is about to go from one
 * commit to the other; first undoes what an earlier one, whose process died with it, left. */
int moving_begin(const struct moving *moving, struct error *err);
/* How long another git's lock of an index is waited for, and how often it is looked at. */
#define MOVING_LOCK_WAIT_MS 3000
#define MOVING_LOCK_STEP_MS 5

/* Locks the index of the worktree as git does: no other git changes it, nor what is checked out
 * there, until moving_unlock_index, which takes NULL too. One that has it and began just now is
 * waited for. NULL: BUSY where another git has it. */
char *moving_lock_index(const struct moving *moving, struct error *err);
void moving_unlock_index(char **lock);
/* With that lock: files and index from one commit to the other, as `git checkout` goes. What git
 * has changed when it fails is put back by moving_undo (where it was killed) or moving_restore. */
int moving_read_tree(const struct moving *moving, const char *from, const char *to, bool *killed,
                     struct error *err);
/* Our git was killed: ends what is left of it, removes its locks, and puts the files that it
 * has written already, or was about to write, back to what the index says. What the user
 * has changed is not among them: git would not have begun. */
int moving_undo(const struct moving *moving, struct error *err);
/* The last part of that, with the lock of the index: our git ended by itself and halfway, for want
 * of space or of a filter. Only where none of the user's changes were in the way before, and no
 * other git had the index. */
int moving_restore(const struct moving *moving, struct error *err);
/* With that lock: the files are at `to`, where the worktree's HEAD is not, whatever it is by now:
 * back to HEAD. */
int moving_leave(const struct moving *moving, struct error *err);
/* It ended by itself, and what was held for it was let go of. */
void moving_end(const struct moving *moving);

/* The ref that holds what is about to move a branch (full name). Caller frees. */
char *moving_held_ref(const char *ref);

/* For the environment of such a git: NAME, value. */
#define MOVING_VARIABLE "PLEACH_MOVING"
/* Likewise, the last pair: their index is synced, too, for a power cut would leave it empty. */
#define MOVING_SYNC                                                                                \
	control_off("fsync-git") ? NULL : "GIT_CONFIG_PARAMETERS",                                 \
	    "'core.fsync'='committed,loose-object,reference,index'"

#endif
