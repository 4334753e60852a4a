/* Whether a file's bytes are git's bytes in this repository: no filter, no line ends to change,
 * no encoding, no file system that lies about names or modes. In doubt they are not. Private to
 * git/. */
#ifndef PLEACH_GIT_PLAIN_H
#define PLEACH_GIT_PLAIN_H

#include "repo.h"

/* All but the attributes inside the tree, which the caller knows of. */
bool plain_repository(const struct repo *repo);
/* Patterns outside of the tree (info/exclude, core.excludesFile) may ignore something. */
bool plain_may_ignore(const struct repo *repo);

#endif
