/* The user's own hooks, for landings whose plan asks for them. Agents can write the shared
 * hooks directory: only files that are as they were when the user ran up or run are hooks.
 * Private to git/. */
#ifndef PLEACH_GIT_HOOKS_H
#define PLEACH_GIT_HOOKS_H

#include "repo.h"

/* Writes down where the hooks are and what is in them, beside the pin file; with `keep` only where
 * nobody has. */
int hooks_pin(const struct repo *repo, const char *pinned_file, bool keep, struct error *err);
/* The file of a hook, or NULL where the user had none. A relative core.hooksPath is in the tree
 * that lands (`dir`), as its tests are. Errors: CONFLICT (the file is another one now). Caller
 * frees *file. */
int hooks_find(const char *pinned_file, const char *dir, const char *name, char **file,
               struct error *err);

#endif
