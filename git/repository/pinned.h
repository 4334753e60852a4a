/* The pinned environment: how every git program of ours is run.
 *
 * Whatever an agent can write to the shared .git/config it could turn into code
 * that we run. So hooks and fsmonitor are off, gc is off, objects are synced, and
 * filter, diff and merge drivers, gpg.program, attributes and includes are as they
 * were when the user ran `up` (a JSON file that the coordinator keeps beside its
 * socket, 0600). A driver that was not there then is treated as undefined. */
#ifndef PLEACH_GIT_PINNED_H
#define PLEACH_GIT_PINNED_H

#include <stdbool.h>

#include "error.h"

/* Reads the repository's present configuration and writes the pin file (atomically).
 * Called by `pleach-git pin` when the user runs up or run, outside any slot. */
int pinned_write(const char *root, const char *pinned_file, struct error *err);
/* As pinned_write where there is no pin file; where there is one it stays, and `*changed` (caller
 * frees with strv_free; NULL when nothing) names what would be another with a new one. */
int pinned_keep(const char *root, const char *pinned_file, char ***changed, struct error *err);
/* Whether a key (in small letters) had a value when the pin file was written; true where that
 * cannot be known. */
bool pinned_has(const char *pinned_file, const char *key);

/* The environment for git programs run in `dir`: ours without GIT_*, plus
 * GIT_CONFIG_COUNT/KEY/VALUE overrides. pinned_file NULL or missing: the safe
 * minimum (no drivers of the repository's own config).
 * `unknown` (may be NULL): caller frees with strv_free; names of drivers (and of what else runs
 * programs) that are configured now and were not pinned, or with another command. Caller frees the
 * result with strv_free. */
char **pinned_environment(const char *dir, const char *pinned_file, char ***unknown,
                          struct error *err);

/* What follows is for git/ itself. */

/* The configuration files that an environment was made from. */
struct pinned_watch;
void pinned_watch_free(struct pinned_watch *watch); /* NULL is accepted */
bool pinned_watch_knows(const struct pinned_watch *watch, const char *path);
/* True while none of them has changed. */
bool pinned_watch_same(const struct pinned_watch *watch);

/* As pinned_environment, for a git directory that is known; `also` (may be NULL) is that of a
 * linked worktree, whose own settings count too; `watch` may be NULL, else
 * caller frees with pinned_watch_free. */
char **pinned_environment_at(const char *git_dir, const char *also, const char *pinned_file,
                             char ***unknown, struct pinned_watch **watch, struct error *err);

#endif
