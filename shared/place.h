/* Places: which repository this is, and where its files are. Read without any git
 * library: it is on the path of every command. */
#ifndef PLEACH_PLACE_H
#define PLEACH_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct place {
	char *cwd;        /* where the user stands (after -C) */
	char *worktree;   /* top of the worktree around cwd; NULL in a bare repository */
	char *root;       /* the main worktree, or the bare repository itself */
	char *git_dir;    /* of this worktree */
	char *common_dir; /* shared by all worktrees */
	char *name;       /* last part of root's path, safe for file names */
	bool bare;
	char *id; /* 16 hex; NULL where no coordinator ever ran */
	/* NULL while id is NULL: */
	char *state_dir;   /* $XDG_STATE_HOME/pleach/<name>-<id>; the name it had first stays */
	char *runtime_dir; /* /tmp/pleach-<uid>/<id>, or $PLEACH_RUNTIME_DIR/<id> */
	char *socket;      /* <runtime_dir>/control */
};

/* Finds the repository around `dir` (NULL: the current directory).
 * Errors: EXTERNAL "not a git repository". Caller releases with place_finish. */
int place_find(const char *dir, struct place *out, struct error *err);
/* As place_find, and gives the repository its id when it has none, renews it when the
 * repository is a copy (the place it came from still has the same id); makes state_dir
 * and runtime_dir (0700, owner checked, symlinks refused). `moved` (may be NULL) is set when
 * the repository was moved. */
int place_claim(const char *dir, struct place *out, bool *moved, struct error *err);
/* An error when git would refuse the repository as somebody else's. Part of place_claim. */
int place_check_owner(const struct place *place, struct error *err);
void place_finish(struct place *place);

/* Where slots are made: beside the repository, or below its state where that cannot be written.
 * Caller frees. */
char *place_slots_dir(const struct place *place);
/* Where `pleach open` makes a worktree of that branch: beside the slots, under a name of its own.
 * Caller frees. */
char *place_open_dir(const struct place *place, const char *branch);

/* Makes a directory with its parents, the last one 0700 and ours. Errors: EXTERNAL. */
int place_make_private_dir(const char *dir, struct error *err);
/* The name of a file or folder is on the disk when its folder was synced. -1 with errno. */
int place_sync_name(const char *path);
/* Writes a 0600 file whole: temporary file, fsync, rename, fsync of the directory. What a writer
 * that died left as the temporary file goes with the next write. */
#define PLACE_HALF ".half" /* behind the name of a file: its temporary one */
int place_write_file(const char *path, const void *data, size_t len, struct error *err);
/* The same without fsync: a power cut leaves the old file, the new one, or an empty one. */
int place_write_file_lazily(const char *path, const void *data, size_t len, struct error *err);
/* Reads a whole file, at most max bytes. NOT_FOUND, INVALID (too long), EXTERNAL. `*data` is
 * NUL-terminated; caller frees. */
int place_read_file(const char *path, size_t max, char **data, size_t *len, struct error *err);
/* $XDG_CONFIG_HOME/pleach, and $XDG_STATE_HOME/pleach with the state of all repositories. Caller
 * frees. */
char *place_config_dir(void);
char *place_state_home(void);

#endif
