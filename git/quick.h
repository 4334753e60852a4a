/* resolve, answered from git's plain files where that is certain: HEAD and branches. */
#ifndef PLEACH_GIT_QUICK_H
#define PLEACH_GIT_QUICK_H

#include <jansson.h>

/* The answer to a `resolve` request (see main.c), or NULL where the git library has to be
 * asked: other revisions, names that could mean several things, formats other than files.
 * New reference. */
json_t *quick_resolve(const json_t *request);

#endif
