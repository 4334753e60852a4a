/* Work on many items, shared out among threads: as many as there are cores, each takes the next few
 * items until none is left. Private to git/. */
#ifndef PLEACH_GIT_SHARE_H
#define PLEACH_GIT_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct share {
	size_t count, chunk; /* items, and how many one thread takes at a time */
	atomic_size_t next;
};

/* Runs `work` on as many threads as that is worth, this one among them; all have returned when this
 * does. Where no thread can be had this one does it all. */
void share_run(struct share *share, void *(*work)(void *), void *context);
/* For `work`: the next items, from..to. False: none is left. */
bool share_take(struct share *share, size_t *from, size_t *to);

#endif
