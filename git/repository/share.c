#include "share.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS_MAX 8

void share_run(struct share *share, void *(*work)(void *), void *context)
{
	pthread_t threads[THREADS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = share->count / share->chunk, count = 0;

	if (cores > 0 && want > (size_t)cores)
		want = (size_t)cores;
	if (want > THREADS_MAX)
		want = THREADS_MAX;
	while (count + 1 < want && pthread_create(&threads[count], NULL, work, context) == 0)
		count++;
	work(context);
	while (count)
		pthread_join(threads[--count], NULL);
}

bool share_take(struct share *share, size_t *from, size_t *to)
{
	*from = atomic_fetch_add(&share->next, share->chunk);
	if (*from >= share->count)
		return false;
	*to = *from + share->chunk < share->count ? *from + share->chunk : share->count;
	return true;
}
