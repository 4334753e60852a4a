/* What the interposed library's two halves share: the real functions behind ours, and which
 * calls are our own. shadow.c keeps what was synced, refuse.c makes calls fail. Both must leave
 * every call alone that nobody asked them to touch. */
#ifndef FAULT_PRELOAD_H
#define FAULT_PRELOAD_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

/* Within the library itself nothing is shadowed and nothing fails. */
extern _Thread_local bool preload_inside;

/* The function that ours stands in front of. */
#define REAL(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&name) real_##name;                                              \
		if (!real_##name)                                                                  \
			real_##name = (__typeof__(&name))preload_next(#name);                      \
		real_##name;                                                                       \
	})

void *preload_next(const char *name);

/* The path behind a descriptor; false where it has none (a pipe, a socket: "socket:[1]"). */
bool preload_path(int fd, char *path, size_t size);

/* An errno when the call is to fail, else 0. path may be NULL. */
int refuse_call(const char *call, const char *path);
int refuse_fd(const char *call, int fd);

#endif
