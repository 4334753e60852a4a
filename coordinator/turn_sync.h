/* Of turn.c alone: see turn_sync.c. */
#ifndef PLEACH_TURN_SYNC_H
#define PLEACH_TURN_SYNC_H

#include "turn.h"

void turn_sync_init(struct coordinator *c);
/* Runs it once all that is committed now is on the disk: at once where it is. */
void turn_sync_await(struct coordinator *c, struct effect effect);
/* After each commit: who waited for a sync that has happened waits no more, and the next is begun,
 * or will be. */
void turn_sync_go_on(struct coordinator *c);

#endif
