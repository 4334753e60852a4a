/* What is asked most, answered without the git library, which takes longer to load than the rest.
 */
#ifndef PLEACH_GIT_QUICK_H
#define PLEACH_GIT_QUICK_H

#include <jansson.h>

/* The answer to a `resolve` request (see main.c), or NULL where the git library has to be
 * asked: other revisions, names that could mean several things, formats other than files.
 * New reference. */
json_t *quick_resolve(const json_t *request);
/* The answer to a `pin` request once it is carried out, or NULL where the library has to do it
 * (again) and tell what went wrong: a user with hooks. New reference. */
json_t *quick_pin(const json_t *request);

#endif
