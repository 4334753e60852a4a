/* Strays: what a look found in the tree's directories and not in the index. git's own rules say
 * which of it is ignored. Private to git/. */
#ifndef PLEACH_GIT_STRAYS_H
#define PLEACH_GIT_STRAYS_H

#include "look.h"

/* What is not ignored becomes items of the look, in git's order. 0, or 1: it takes git to say. */
int strays_judge(const struct capture_source *source, struct look *look);

#endif
