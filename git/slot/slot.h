/* Slots: a teammate's worktree, its content, and the snapshots that keep it.
 *
 * Everything here is synchronous and may take as long as git takes: callers with
 * a loop run it on a thread of their own. All git programs run with the pinned
 * environment of git/repository/pinned.h. Nothing here ever removes the only copy of a file
 * that git does not ignore. */
#ifndef PLEACH_GIT_SLOT_H
#define PLEACH_GIT_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* What a slot's content means; written (and synced) to the marker before each step.
 * Content found in READY or RUNNING belongs to that attempt; in SWITCHING the
 * snapshot before it is complete and the switch is redone. */
enum slot_phase { SLOT_NEW, SLOT_SWITCHING, SLOT_READY, SLOT_RUNNING, SLOT_SNAPSHOTTED };

struct slot; /* holds the slot's flock for life */

/* Starts the git library, which the first slot_open does otherwise. */
void slot_start_library(void);

/* Opens the slot at `dir`, creating the worktree (detached, at `base`, or at HEAD
 * when base is NULL) if it is not there, and takes its lock.
 * root: the main worktree or bare repository. teammate: for the marker and the
 * worktree's lock reason. pinned_file: see git/repository/pinned.h.
 * paths: what a new slot is limited to, as slot_order.paths.
 * Errors: BUSY (another live worker holds it), EXTERNAL (no room for it, git fails). Caller frees
 * with slot_close. */
int slot_open(const char *root, const char *dir, const char *teammate, const char *pinned_file,
              const char *base, const char *const *paths, struct slot **out, struct error *err);
void slot_close(struct slot *slot); /* NULL is accepted; the worktree stays */

const char *slot_dir(const struct slot *slot); /* borrowed */
/* What an agent did that would have run a program of its in our hands, or led us elsewhere, since
 * this was last asked: drivers (filter.x, diff.x, merge.x) that were not there when the user
 * started and are treated as undefined, a .git of another kind. Each is told once. Caller frees
 * with strv_free; NULL when nothing. */
char **slot_take_tampering(struct slot *slot);
bool slot_is_new(const struct slot *slot);     /* setup has not succeeded in it yet */
void slot_set_up(struct slot *slot);           /* setup succeeded: recorded in the marker */
int64_t slot_attempt(const struct slot *slot); /* whose content it holds; 0: nobody's */
/* HEAD is on the branch of that attempt: nobody else can have it checked out. */
bool slot_holds_branch(const struct slot *slot, int64_t attempt);
enum slot_phase slot_phase(const struct slot *slot);

/* Keeps whatever the slot holds (dirty, untracked, staged, conflicted, detached,
 * HEAD on any branch) as commits under refs/pleach/kept/<attempt>[-n] when it is
 * not already reachable from a branch or kept ref; lets go of the branch (HEAD is
 * detached where it is); records phase SNAPSHOTTED.
 * `*head` (caller frees) is the kept commit, or NULL when there was nothing to keep. */
int slot_snapshot(struct slot *slot, int64_t attempt, char **head, struct error *err);

/* What a slot is to be for an attempt. Lists end with NULL, and may be NULL. */
struct slot_order {
	const char *branch; /* short name; NULL: none, detached */
	const char *base;
	/* Paths and patterns below root, copied or symlinked into the slot when they exist there
	 * and are untracked; always excluded from what is committed. */
	const char *const *copy, *const *link;
	const char *const *paths;      /* directories to check out; an empty list: everything;
	                                * NULL: what the main worktree has */
	const char *const *setup_when; /* files whose change makes setup due again */
	bool fresh;                    /* ignored files go too */
	bool run;   /* the agent follows: phase RUNNING at once, unless a setup is due before it */
	bool setup; /* the task has a setup */
};

/* Puts the slot on a new state of `branch` at `base` for `attempt`: snapshot of what
 * is there, then switch; the old head of that branch is kept under
 * refs/pleach/kept/<attempt>-before unless base contains it. Ignored files stay, unless fresh.
 * The branch (short name; NULL: none, detached) is checked out at base when this returns.
 * Phase READY, or RUNNING (order.run). Errors: BUSY (the branch is checked out elsewhere), CONFLICT
 * (its name cannot be made beside the branches that are there), INVALID, EXTERNAL.
 */
int slot_switch(struct slot *slot, int64_t attempt, const struct slot_order *order,
                struct error *err);
/* What the agent's own git must know of the slot: that it starts no maintenance of the repository,
 * that copied and linked files are not to be added (core.excludesFile), and which part is checked
 * out. */
int slot_agent_environment(const struct slot *slot, char ***env, struct error *err);
/* The agent is about to run: phase RUNNING. */
int slot_running(struct slot *slot, struct error *err);

struct slot_result {
	char head[65]; /* hex of the commit the attempt ended at */
	char tree[65];
	bool unchanged;                           /* same tree as base */
	bool descends;                            /* head descends from base */
	bool committed;                           /* something uncommitted was committed by us */
	int files_changed, insertions, deletions; /* base to head */
};
/* Commits what is uncommitted (message from subject), on top of wherever HEAD is,
 * moves `branch` to it by compare-and-swap, detaches HEAD, and syncs the
 * repository: when it returns the head is durable. */
int slot_commit(struct slot *slot, int64_t attempt, const char *branch, const char *base,
                const char *subject, struct slot_result *out, struct error *err);

/* Prepares the tree that verify looks at: protected paths reset to base, the files of
 * overlay_dir (absolute, or below root) laid over; when neither is given nothing happens. */
int slot_prove_begin(struct slot *slot, const char *base, const char *const *protect,
                     const char *overlay_dir, struct error *err);
/* Undoes it and what verify changed (changes of tracked files are kept under
 * refs/pleach/kept/<attempt>-verify when there are any), back to `head`. */
int slot_prove_end(struct slot *slot, int64_t attempt, const char *head, struct error *err);

/* Asks the disks of the repository around `root` and of the slot at `dir` (it need not be there) to
 * take something, once something failed. Errors: EXTERNAL (one is full, broken or read-only). Any
 * other trouble is none of the disk's: 0. */
int slot_can_write(const char *root, const char *dir, const char *teammate, struct error *err);

/* Points refs/pleach/kept/<attempt> at head (durable). */
int slot_keep(struct slot *slot, int64_t attempt, const char *head, struct error *err);

#endif
