/* SHA-1, for the last twenty bytes of git's index file. For objects the git library is asked.
 * Private to git/. */
#ifndef PLEACH_GIT_SHA1_H
#define PLEACH_GIT_SHA1_H

#include <stddef.h>

#define SHA1_SIZE 20

void sha1(const void *data, size_t len, unsigned char out[SHA1_SIZE]);

#endif
