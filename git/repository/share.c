#include "share.h"

#include <unistd.h>

/* As many as that is worth. */
static void start_threads(struct share *share, size_t count)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = count / share->chunk;

	if (cores > 0 && want > (size_t)cores)
		want = (size_t)cores;
	if (want > SHARE_THREADS_MAX)
		want = SHARE_THREADS_MAX;
	while (share->running + 1 < want && pthread_create(&share->threads[share->running], NULL,
	                                                   share->work, share->context) == 0)
		share->running++;
}

static void publish(struct share *share, size_t count, bool ended)
{
	pthread_mutex_lock(&share->lock);
	share->count = count;
	share->ended = ended;
	pthread_cond_broadcast(&share->more);
	pthread_mutex_unlock(&share->lock);
	start_threads(share, count);
}

void share_grow(struct share *share, size_t count)
{
	if (count >= share->count + share->chunk)
		publish(share, count, false);
}

void share_finish(struct share *share, size_t count)
{
	publish(share, count, true);
	share->work(share->context);
	while (share->running)
		pthread_join(share->threads[--share->running], NULL);
}

bool share_take(struct share *share, size_t *from, size_t *to)
{
	bool taken;

	pthread_mutex_lock(&share->lock);
	while (share->next == share->count && !share->ended)
		pthread_cond_wait(&share->more, &share->lock);
	taken = share->next < share->count;
	*from = share->next;
	*to = share->count - *from > share->chunk ? *from + share->chunk : share->count;
	share->next = *to;
	pthread_mutex_unlock(&share->lock);
	return taken;
}
