/* The worktrees of a repository: who has what checked out, and the two files that tie
 * a worktree to its git directory. Reads git's own small files; starts no program but
 * to add and remove. Private to git/. */
#ifndef PLEACH_GIT_WORKTREE_H
#define PLEACH_GIT_WORKTREE_H

#include "repo.h"

struct worktree {
	char *dir; /* its top; NULL for a bare repository's own entry */
	char *git_dir;
	char *branch;      /* refs/heads/...; NULL: detached */
	char *head;        /* object id when detached and readable */
	char *in_use;      /* a branch that a rebase or bisect in it will come back to */
	const char *doing; /* "rebase", "bisect" or NULL */
	char *lock_reason; /* NULL: not locked */
	bool missing;      /* its directory or .git file is gone */
};

struct worktrees {
	struct worktree *items; /* the main one first */
	size_t count;
};

#define WORKTREES_INIT                                                                             \
	{                                                                                          \
		NULL, 0                                                                            \
	}
/* How the reason begins for which a slot is locked; a person may lock for any other. */
#define WORKTREE_OF_TEAMMATE "pleach: teammate "

/* Locked by us: a slot. Its teammate looks after it. */
bool worktree_is_ours(const struct worktree *tree);
int worktrees_read(const struct repo *repo, struct worktrees *out, struct error *err);
void worktrees_finish(struct worktrees *list);
#define _cleanup_worktrees_ __attribute__((cleanup(worktrees_finish)))

/* The git directory of the worktree at `dir` (settled path), or NULL: none of this
 * repository is registered there. Caller frees. */
char *worktree_git_dir(const struct repo *repo, const char *dir);
/* True when the .git file at `dir` names git_dir. */
bool worktree_link_is_right(const char *dir, const char *git_dir);
/* Writes it anew. What is in its place and is no file is an error. */
int worktree_link_repair(const char *dir, const char *git_dir, struct error *err);

/* Takes the lock that serialises changes of worktree metadata; close the descriptor. */
int worktree_lock(const struct repo *repo, struct error *err);
/* Another one, for who makes worktrees for people: held until their files are there, which may take
 * long. Taken before the one above. */
int worktree_open_lock(const struct repo *repo, struct error *err);
/* A further file of an entry. */
struct worktree_file {
	const char *name, *text;
};

/* Adds a worktree at `dir` (which may be there), nothing checked out; undone when it fails
 * half-way. The metadata lock is taken inside. head: a branch (full name), or a commit: detached.
 * reason: it is locked for that, or NULL. more: as durable as the entry; or NULL. Not by `git
 * worktree add`: that reads every other entry, fails on one that is damaged, and gets slower with
 * each. `*git_dir`: caller frees. */
int worktree_add(const struct repo *repo, const char *dir, const char *head, const char *reason,
                 const struct worktree_file *more, char **git_dir, struct error *err);
/* Removes the directory when it is there, and its entry. */
int worktree_remove(const struct repo *repo, const char *dir, struct error *err);
/* Removes entries for `dir` (settled path) that name no worktree yet: their maker died. */
int worktree_remove_half(const struct repo *repo, const char *dir, struct error *err);
/* As worktree_add for a directory that is there (settled path), without the lock. */
int worktree_register(const struct repo *repo, const char *dir, const char *head,
                      const char *reason, const struct worktree_file *more, char **git_dir,
                      struct error *err);

/* Settings of its own (config.worktree) as they were when it was made: those of the main one. */
int worktree_reset_settings(const struct repo *repo, const char *git_dir, struct error *err);

/* HEAD of a worktree. 1 with the commit, 0 unborn or broken; `*branch` (caller frees, may be
 * NULL) is the full name of the branch it is on. */
int worktree_head(const struct repo *repo, const char *git_dir, char hex[HEX_SIZE], char **branch,
                  struct error *err);
/* Points it at a branch (full name) or at a commit. Atomic. */
int worktree_set_head(const char *git_dir, const char *branch_or_hex, struct error *err);

#endif
