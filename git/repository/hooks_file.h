/* hooks.json: where the user's hooks are and what was in them when the user ran up or run. Needs no
 * git library. Private to git/. */
#ifndef PLEACH_GIT_HOOKS_FILE_H
#define PLEACH_GIT_HOOKS_FILE_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"

/* The hooks that a landing can run; NULL at the end. */
extern const char *const hooks_names[];

/* Its path: in the folder of the pin file. Caller frees. */
char *hooks_file(const char *pinned_file);
/* Whether a hook that could be run is in dir. */
bool hooks_any(const char *dir);
/* dir: borrowed. digests: {NAME: HEX}; taken. */
int hooks_file_write(const char *pinned_file, const char *dir, json_t *digests, struct error *err);

#endif
