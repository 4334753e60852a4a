/* What the files that implement slots share. Private to git/. */
#ifndef PLEACH_GIT_SLOT_INTERNAL_H
#define PLEACH_GIT_SLOT_INTERNAL_H

#include "capture.h"
#include "marker.h"
#include "refs.h"
#include "repo.h"
#include "slot.h"
#include "worktree.h"

struct slot {
	struct repo repo;
	char *dir;     /* settled */
	char *git_dir; /* <common>/worktrees/<name> */
	char *teammate;
	int lock_fd;
	bool scratch;   /* what verify changes in it is not kept */
	bool untouched; /* checked out by this call of slot_open, and nobody was in it since */
	bool unmarked;  /* and the marker does not say so yet */
	bool unsynced;  /* refs were written that must outlive a power cut */
	struct timespec fence; /* as capture_source.fence; zero until something was looked at */
	struct marker marker;
	char **tampering; /* not yet asked for */
	char **told;
	char *proof_tree; /* what verify was given, while a proof is under way */
};

/* As slot_open; with `any`, any worktree of the repository, not only those that we made. */
int slot_open_any(const char *root, const char *dir, const char *teammate, const char *pinned_file,
                  const char *base, const char *const *paths, bool any, struct slot **out,
                  struct error *err);
/* No index, and nothing but its link: it was never checked out. */
bool slot_holds_nothing(const struct slot *slot);
int slot_first_checkout(struct slot *slot, const char *base, const char *const *paths,
                        struct error *err);
/* The commit that a new slot starts at: base, or HEAD when it is NULL. */
int slot_first_commit(const struct repo *repo, const char *base, char hex[HEX_SIZE],
                      struct error *err);
/* Says in the marker what slot_first_checkout left to be said. */
int slot_mark(struct slot *slot, struct error *err);
/* Before anything is done in a slot: the configuration as it is now, the .git file as it
 * must be (a repository that an agent made in its place is moved aside). */
int slot_prepare(struct slot *slot, struct error *err);
/* Notes what slot_take_tampering tells, unless it was told. */
void slot_note_tampering(struct slot *slot, const char *what);
/* The slot's content, private paths left out. */
int slot_capture(struct slot *slot, bool anyhow, struct capture *out, struct error *err);
/* capture_install, after which the capture's look is the last one. */
int slot_install(struct slot *slot, struct capture *capture, struct error *err);
/* Keeps what is about to become unreachable and is in no working tree: staged content,
 * and the commits that the slot's reflog and half-done operations name. `reached` (may be
 * NULL) is a commit that stays reachable. */
int slot_keep_loose_ends(struct slot *slot, int64_t attempt, const struct capture *capture,
                         const char *reached, struct error *err);
/* Makes what was kept durable. */
int slot_sync(struct slot *slot, struct error *err);
/* Keeps the slot's content and loose ends. As slot_snapshot; `*capture` is what was found. */
int slot_keep_content(struct slot *slot, int64_t attempt, struct capture *capture, char **head,
                      struct error *err);
/* Forgets half-done operations (merge, rebase, bisect) and the reflog of HEAD, once kept. */
int slot_forget_state(struct slot *slot, struct error *err);
/* Locks that a git left which was killed in here: the slot is ours alone. */
void slot_forget_locks(const struct slot *slot);
/* Moves something of the slot out of the way, to <slots>/.kept/: on the same file system, and
 * where nothing of git or of an agent destroys it. */
int slot_move_aside(const struct slot *slot, int64_t attempt, const char *path, struct error *err);
/* Copies the history of a repository that is not ours (history.c) into our objects and keeps it
 * under refs/pleach/kept/<attempt>-<suffix>; `what` is its name in the message. 1 all of it,
 * 0 it could not be copied: only the repository itself has it; -1. */
int slot_keep_history(struct slot *slot, int64_t attempt, const char *git_dir, const char *suffix,
                      const char *what, struct error *err);
/* That of nested repositories; that of submodules. Part of slot_keep_loose_ends. */
int slot_keep_nested(struct slot *slot, int64_t attempt, const struct capture *capture,
                     struct error *err);
int slot_keep_module_history(struct slot *slot, int64_t attempt, struct error *err);
/* Moves the repositories of submodules out of what is about to be removed: those inside their
 * directories, and with `all` those in the slot's git directory. */
int slot_move_modules(struct slot *slot, int64_t attempt, const struct capture *capture, bool all,
                      struct error *err);
/* Moves the repositories inside nested directories, once their files are kept, out of the
 * slot, into <slots>/.kept/. */
int slot_move_nested(struct slot *slot, int64_t attempt, const struct capture *capture,
                     struct error *err);
/* As slot_move_nested, for files that a snapshot has kept under another name: git does not know
 * theirs, and they would stay for ever. */
int slot_move_strange(struct slot *slot, int64_t attempt, const struct capture *capture,
                      struct error *err);
/* Keeps what submodules hold (modules.c); `head` (may be NULL) is the parent of what is made. */
int slot_keep_modules(struct slot *slot, int64_t attempt, const struct capture *capture,
                      const char *head, struct error *err);
/* Empties those that are not exactly as `base` links to them, once they are kept. */
int slot_reset_modules(struct slot *slot, int64_t attempt, const struct capture *capture,
                       const char *base, struct error *err);
/* Sets the working tree and index to `commit` from what `capture` found. Takes its index. */
int slot_check_out(struct slot *slot, struct capture *capture, const char *commit,
                   struct error *err);
/* The paths of copy and link that `base` does not track, as they are written in a tree:
 * these are private (private.c). Errors: INVALID (a path that leaves the repository). */
int slot_private_paths(struct slot *slot, const char *base, const char *const *copy,
                       const char *const *link, char ***paths, struct error *err);
/* Puts the private files in place; removes what an earlier attempt had (`old`) and this one
 * has not. */
int slot_place_private(struct slot *slot, const char *const *copy, const char *const *link,
                       const char *const *old, struct error *err);
/* Another worktree than the slot's that has the branch (full name), or is about to come
 * back to it, is an error: BUSY. One that `pleach open` made leaves it (opened.h). */
int slot_branch_free(struct slot *slot, const char *branch, struct error *err);
/* Patterns among the paths below root as what they match (globs.c); others as they are. `*out`:
 * caller frees with strv_free; NULL when nothing. */
int slot_expand(const struct slot *slot, const char *const *list, char ***out, struct error *err);
/* Which part of the tree is to be checked out, into the marker (sparse.c). */
int slot_sparse_choose(struct slot *slot, const char *const *paths, struct error *err);
/* Readies the slot's git directory for it; `*set` is more environment for the git program that
 * checks out (caller frees with strv_free). skipped: the index has parts left out. */
int slot_sparse_apply(const struct slot *slot, bool skipped, char ***set, struct error *err);
void slot_sparse_environment(const struct slot *slot, char ***env);
/* An error when the commit's files are more than the slot's disk has room for (space.c). */
int slot_check_space(const struct slot *slot, const char *commit, struct error *err);
/* As slot_can_write, of the repository alone. */
int space_can_write(const struct repo *repo, const char *teammate, struct error *err);
/* Undoes an overlay that is recorded in the marker (overlay.c). */
int slot_undo_overlay(struct slot *slot, struct error *err);
bool slot_is_overlay_save(const char *path); /* a file that stepped aside for an overlay */
int slot_lay_overlay(struct slot *slot, const char *overlay, struct error *err);
/* Points the branch (full name) at hex, keeping its old head under `stem` unless hex or the
 * commit `known` contains it. */
int slot_move_branch(struct slot *slot, const char *branch, const char *hex, const char *stem,
                     struct error *err);
/* 1 and the object's id when `commit` has `path`, 0 when not, -1. */
int commit_path_id(const struct repo *repo, const char *commit, const char *path,
                   char hex[HEX_SIZE], struct error *err);

#endif
