/* When was anything in a folder changed last: looked at off the loop, because it is slow. */
#ifndef PLEACH_WORKER_TOUCHED_H
#define PLEACH_WORKER_TOUCHED_H

#include <stdint.h>

/* The newest change (ctime) of a file or folder below `dir`, .git left out, in milliseconds since
 * the epoch; 0: none could be read. At most a hundred thousand of them are looked at. Blocks. */
int64_t touched_last(const char *dir);

#endif
