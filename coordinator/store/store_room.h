/* Room in the log before it is needed. A sync of a file that grew writes its inode as well, and
 * waits for it: twice the time and more. Once the log has begun anew it stays as large as it was; a
 * thread makes a new one that large, beside what is done meanwhile. Behind its last frame SQLite
 * takes whatever is there for the end.
 *
 * Owns what the log's file is known to hold. Must not write where somebody else may have written:
 * both take turns. Of store_wal.c alone. */
#ifndef PLEACH_STORE_ROOM_H
#define PLEACH_STORE_ROOM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What the log has when it begins anew: 1,000 pages (SQLite's own limit) and their headers. */
#define STORE_ROOM_BYTES (4 << 20)
/* And none is made where less than this is free. */
#define STORE_ROOM_SPARE (64u << 20)

struct store_room {
	pthread_mutex_t turn;
	pthread_t maker;
	bool made; /* there is a thread to be waited for */
	bool stop;
	int fd;      /* of the thread alone: of an error of the disk each descriptor is told once */
	int64_t end; /* of the file: behind it nobody has written */
};

void store_room_init(struct store_room *room);
/* Each write of somebody else is between these two; `end` is where it ended. */
void store_room_enter(struct store_room *room);
void store_room_leave(struct store_room *room, int64_t end);
/* The file ends there now. */
void store_room_is(struct store_room *room, int64_t end);
/* Begins to make it, once; ends early where there is no space. */
void store_room_make(struct store_room *room, const char *log);
/* Waits for the piece that is being made, if any; no other is made. */
void store_room_finish(struct store_room *room);

#endif
