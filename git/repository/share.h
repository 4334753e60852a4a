/* Work on many items, shared out among threads: as many as there are cores, each takes the next few
 * items until none is left. Private to git/. */
#ifndef PLEACH_GIT_SHARE_H
#define PLEACH_GIT_SHARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define SHARE_THREADS_MAX 8

struct share {
	void *(*work)(void *context); /* by each thread: takes until nothing is left */
	void *context;
	size_t chunk; /* how many items one thread takes at a time */
	size_t count; /* of those that can be taken */
	size_t next;
	bool ended; /* no more come */
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t threads[SHARE_THREADS_MAX];
	size_t running;
};
#define SHARE_INIT(how, with, size)                                                                \
	{                                                                                          \
		.work = (how), .context = (with), .chunk = (size),                                 \
		.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER                \
	}

/* The first `count` items can be taken from now on, by other threads, while this one finds more.
 * They stay where they are. */
void share_grow(struct share *share, size_t count);
/* There are `count` items and no more come: this thread works too, alone where no other can be had.
 * All have returned when this does. To be called whatever happened since the first share_grow. */
void share_finish(struct share *share, size_t count);
/* For `work`: the next items, from..to; waits for them. False: none is left. */
bool share_take(struct share *share, size_t *from, size_t *to);

#endif
