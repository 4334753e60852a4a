/* Commits and refs: reading, comparing, moving by compare-and-swap, and the kept
 * refs under which nothing is lost. Private to git/. */
#ifndef PLEACH_GIT_REFS_H
#define PLEACH_GIT_REFS_H

#include "repo.h"

/* 1 and the object id, 0 when there is no such ref, -1. `name` is a full name. */
int ref_read(const struct repo *repo, const char *name, char hex[HEX_SIZE], struct error *err);
/* Points `name` at `hex`. old: NULL whatever it was, "" it must not exist, else what it
 * must be. Errors: CONFLICT (it is something else now, or the name cannot be made beside
 * the refs that are there), EXTERNAL. */
int ref_write(const struct repo *repo, const char *name, const char *hex, const char *old,
              const char *why, struct error *err);
/* set: more environment of the git that does it (git_run.set), NULL: none. */
int ref_delete(const struct repo *repo, const char *name, const char *old, const char *const *set,
               struct error *err);
/* True for a ref of ours, a file of its own, that names no commit that is there: as a power cut
 * leaves them. What people and agents have on their own branches is theirs to judge. */
bool ref_is_broken(const struct repo *repo, const char *name);
/* Removes such a one. */
void ref_drop_broken(const struct repo *repo, const char *name);
/* The names of all refs below a prefix that ends in '/'; caller frees with strv_free. */
int ref_list(const struct repo *repo, const char *prefix, char ***names, struct error *err);
/* "^HEX\n", for rev-list, of what branches, tags, remote branches and (`ours`) pleach refs name:
 * git itself dies of one that is empty or names what is not there. Those are left out. */
void refs_add_undamaged(const struct repo *repo, bool ours, struct buf *lines);

/* 1 when `old` is `commit` or one of its ancestors, 0 when not, -1. */
int commit_contains(const struct repo *repo, const char *commit, const char *old,
                    struct error *err);
/* 1 or 0. A power cut may leave a commit without its tree: nothing can be done with such a one, so
 * it counts as none. */
int commit_exists(const struct repo *repo, const char *hex);
/* The ids of those of these names (one a line) that are commits, in their order; NULL: none is.
 * Caller frees. */
char **commits_among(const struct repo *repo, const struct buf *names);
int commit_tree(const struct repo *repo, const char *commit, char tree[HEX_SIZE],
                struct error *err);
/* Anything git understands as a revision, peeled to a commit. Errors: NOT_FOUND. */
int commit_resolve(const struct repo *repo, const char *rev, char hex[HEX_SIZE], struct error *err);

/* A new commit. parents: ended by NULL. when: seconds since the epoch for a commit that
 * must come out the same each time (by pleach itself), or -1: now, by the user. */
int commit_make(const struct repo *repo, const char *tree, const char *const *parents,
                const char *message, int64_t when, char hex[HEX_SIZE], struct error *err);
/* The later of the commit times, for commits that must come out the same each time. */
int commit_time(const struct repo *repo, const char *commit, int64_t *when, struct error *err);

/* Keeps `hex` under `stem`, or stem-2, stem-3, ... where that is taken by something that
 * is not contained in it. `*name` (caller frees; may be NULL) is the ref. */
int ref_keep(const struct repo *repo, const char *stem, const char *hex, char **name,
             struct error *err);
/* Keeps those of `candidates` (NULL-terminated commits) that no branch, tag, remote branch
 * or pleach ref reaches, nor any of `reached`. */
int ref_keep_unreached(const struct repo *repo, const char *stem, const char *const *candidates,
                       const char *const *reached, struct error *err);
/* 1 when a branch, tag, remote branch or pleach ref reaches it, 0 when not, -1. */
int commit_is_reached(const struct repo *repo, const char *commit, struct error *err);

/* refs/pleach/kept/<attempt>, or for content of no attempt …/slot-<teammate>. Caller frees. */
char *ref_kept_stem(int64_t attempt, const char *teammate, const char *suffix);

#endif
