/* The supervisor: holds the lock and the listening socket, keeps the serving process alive.
 * While that is dead, connections queue. */
#ifndef PLEACH_SUPERVISOR_H
#define PLEACH_SUPERVISOR_H

#include "error.h"
#include "place.h"

/* Becomes the supervisor of the repository. Returns only when it is over, or with an error:
 * BUSY (another coordinator; says whose), EXTERNAL. `ready` is called once requests are
 * answered. */
int supervise(struct place *place, void (*ready)(void), struct error *err);

#endif
