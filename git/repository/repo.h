/* One repository, opened for our own git work: its places, the pinned environment
 * for git programs, and libgit2 where libgit2 can open it. Private to git/.
 *
 * Every question has two ways to its answer: libgit2 in this process, or a git
 * program where libgit2 does not understand the repository (sha256, reftable,
 * split index, shallow history). Object ids are hex text in both. */
#ifndef PLEACH_GIT_REPO_H
#define PLEACH_GIT_REPO_H

#include <git2.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "error.h"
#include "pinned.h"
#include "place.h"

#define HEX_SIZE 65 /* 64 hex digits of a sha256 id, and NUL */

struct repo {
	struct place place;
	char *pinned_file; /* NULL: none */
	char *also;        /* git directory of a linked worktree whose settings count; NULL: none */
	char **env;        /* for git programs, without GIT_DIR; NULL until it is needed */
	char **unknown;    /* drivers that were not pinned */
	struct pinned_watch *watch;
	git_repository *git; /* NULL where libgit2 refuses */
	size_t id_len;       /* bytes of an object id: 20, or 32 with sha256 */
};

#define REPO_INIT                                                                                  \
	{                                                                                          \
		.git = NULL                                                                        \
	}

/* Opens the repository that `root` belongs to. pinned_file may be NULL.
 * Errors: EXTERNAL (no repository, git fails). Release with repo_close. */
int repo_open(const char *root, const char *pinned_file, struct repo *out, struct error *err);
void repo_close(struct repo *repo);
/* From now on the settings of that linked worktree count too. */
int repo_look_at(struct repo *repo, const char *git_dir, struct error *err);
/* Reads the configuration again when a file of it has changed since. */
int repo_refresh(struct repo *repo, struct error *err);
#define _cleanup_repo_ __attribute__((cleanup(repo_close)))

/* The value of NAME in an environment, or NULL. Borrowed. */
const char *env_get(char *const *env, const char *name);
/* Sets NAME=value in place of what is there; value NULL removes it. */
void env_set(char ***env, const char *name, const char *value);

/* How to run one git program. Zero is the default for everything. */
struct git_run {
	const char *git_dir;    /* NULL: the common directory */
	const char *work_tree;  /* NULL: none; also the directory it runs in */
	const char *index;      /* NULL: git's own */
	const char *const *set; /* NAME, value, NAME, value, ..., NULL: more environment */
	const void *in;
	size_t in_len;
	struct buf *out;
	struct buf *why;          /* what it wrote to stderr; may be NULL */
	bool *killed;             /* when given: whether it was, and it is not run again for that */
	const char *const *locks; /* as of git_program; NULL: that of the index, where it is ours */
	int *exit_code;           /* when given, an exit status other than 0 is not an error */
};

/* Runs `git ARGS`. Errors: EXTERNAL with the last line that git wrote to stderr. */
int git_run(const struct repo *repo, const struct git_run *run, const char *const *args,
            struct error *err);
#define GIT_ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
/* As git_run; the output is one object id. */
int git_run_id(const struct repo *repo, const struct git_run *run, const char *const *args,
               char hex[HEX_SIZE], struct error *err);
/* What git finds under a name (`spec`, as of gitrevisions(7)). 1, 0 it finds nothing, -1. */
int git_find_id(const struct repo *repo, const char *spec, char hex[HEX_SIZE], struct error *err);
/* The environment of such a program; caller frees with strv_free. NULL with err. */
char **git_run_environment(const struct repo *repo, const struct git_run *run, struct error *err);
/* Makes sure that repo->env is there: it takes a git program to read the configuration. */
int repo_environment(const struct repo *repo, struct error *err);

/* More environment (git_run.set) that sets configuration: pairs of key and value, ended by NULL.
 * The environment must be there. Caller frees with strv_free. */
char **repo_settings(const struct repo *repo, const char *const *pairs);
/* Adds one setting to an environment that may have some. */
void env_add_setting(char ***env, const char *key, const char *value);
/* A partial clone that the user made: objects may have to be fetched. */
bool repo_is_partial(const struct repo *repo);

bool hex_is_id(const char *text); /* 40 or 64 lower-case hex digits */
/* Makes everything that was written to the repository so far survive a power cut. */
int repo_sync(const struct repo *repo, struct error *err);
/* Removes the lock of a `git maintenance` that was killed. One that a process has open stays. */
void repo_drop_dead_lock(const struct repo *repo);

/* A short-lived name under the git directory; caller frees. */
char *repo_path(const char *git_dir, const char *name);

#endif
