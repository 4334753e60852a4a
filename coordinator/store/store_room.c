#include "store_room.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mem.h"

#define PIECE (256 << 10) /* whoever wants to write waits for one at most: 0.1 ms */

void store_room_init(struct store_room *room)
{
	*room = (struct store_room){.fd = -1};
	pthread_mutex_init(&room->turn, NULL);
}

void store_room_enter(struct store_room *room)
{
	pthread_mutex_lock(&room->turn);
}

void store_room_leave(struct store_room *room, int64_t end)
{
	if (end > room->end)
		room->end = end;
	pthread_mutex_unlock(&room->turn);
}

void store_room_is(struct store_room *room, int64_t end)
{
	pthread_mutex_lock(&room->turn);
	room->end = end;
	pthread_mutex_unlock(&room->turn);
}

/* What is not needed yet takes nobody's last space. */
static bool disk_has_room(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize >= STORE_ROOM_SPARE;
}

/* False: that was the last one. */
static bool make_piece(struct store_room *room)
{
	static const char zeros[PIECE];
	int64_t left;
	ssize_t n = 0;

	pthread_mutex_lock(&room->turn);
	left = room->stop ? 0 : STORE_ROOM_BYTES - room->end;
	if (left > 0)
		n = pwrite(room->fd, zeros, left < PIECE ? (size_t)left : PIECE, room->end);
	if (n > 0)
		room->end += n;
	pthread_mutex_unlock(&room->turn);
	return n > 0;
}

/* Each piece is synced before the next: a commit's own sync would have all of them to write. */
static void *make_all(void *context)
{
	struct store_room *room = context;

	while (disk_has_room(room->fd) && make_piece(room))
		fdatasync(room->fd);
	close(room->fd);
	return NULL;
}

void store_room_make(struct store_room *room, const char *log)
{
	sigset_t all, before;

	if (room->made || room->end >= STORE_ROOM_BYTES)
		return;
	room->fd = open(log, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (room->fd < 0)
		return;
	sigfillset(&all); /* a limit of the file's size is an error, too, not a signal */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	room->made = pthread_create(&room->maker, NULL, make_all, room) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!room->made)
		close(room->fd);
}

void store_room_finish(struct store_room *room)
{
	pthread_mutex_lock(&room->turn);
	room->stop = true;
	pthread_mutex_unlock(&room->turn);
	if (room->made)
		pthread_join(room->maker, NULL);
	room->made = false;
}
