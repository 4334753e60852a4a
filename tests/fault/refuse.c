/* Calls that fail when a test wants it: a page of rules at $PLEACH_REFUSE, mapped by every process
 * of the universe, so that a rule can be set and taken back while they run. A rule names calls, a
 * part of the path, a program, an errno, and which of the matching calls fail; what it saw and
 * refused is counted in the page. tests/fault/refuse.py writes it: the layout is known to both. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "preload.h"

#define RULES   8
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct rule {
	char calls[48]; /* names with commas around them: ,open,write, */
	char path[128]; /* part of it; empty: any, none as well */
	char program[32];
	int32_t error;          /* 0: nobody looks at this rule */
	uint32_t first, count;  /* of the matching calls, from 1; count 0: all from there */
	uint32_t seen, refused; /* counted here */
	char unused[28];
};

_Static_assert(sizeof(struct rule) == 256, "refuse.py packs it");

_Thread_local bool preload_inside;
static struct rule *rules;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

void *preload_next(const char *name)
{
	bool before = preload_inside;
	void *found;

	preload_inside = true;
	found = dlsym(RTLD_NEXT, name);
	preload_inside = before;
	if (!found)
		abort();
	return found;
}

__attribute__((constructor)) static void map_rules(void)
{
	const char *file = getenv("PLEACH_REFUSE");
	int fd = file ? REAL(open)(file, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	rules = page == MAP_FAILED ? NULL : page;
}

bool preload_path(int fd, char *path, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, size - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0 && path[0] == '/';
}

static bool names(const char *calls, const char *call)
{
	char wanted[24];

	snprintf(wanted, sizeof wanted, ",%s,", call);
	return strstr(calls, wanted) != NULL;
}

int refuse_call(const char *call, const char *path)
{
	if (!rules || preload_inside)
		return 0;
	for (int i = 0; i < RULES; i++) {
		struct rule *rule = &rules[i];
		uint32_t nth;

		if (!__atomic_load_n(&rule->error, __ATOMIC_ACQUIRE) || !names(rule->calls, call) ||
		    (rule->path[0] && (!path || !strstr(path, rule->path))) ||
		    (rule->program[0] && strcmp(rule->program, program_invocation_short_name) != 0))
			continue;
		nth = __atomic_add_fetch(&rule->seen, 1, __ATOMIC_ACQ_REL);
		if (nth < rule->first || (rule->count && nth - rule->first >= rule->count))
			continue;
		__atomic_add_fetch(&rule->refused, 1, __ATOMIC_ACQ_REL);
		return rule->error;
	}
	return 0;
}

int refuse_fd(const char *call, int fd)
{
	char path[PATH_MAX];

	if (!rules || preload_inside)
		return 0;
	preload_path(fd, path, sizeof path);
	return refuse_call(call, path);
}

/* ---- in front of libc ---- */

#define REFUSED(why, otherwise)                                                                    \
	do {                                                                                       \
		int refused_ = why;                                                                \
		if (refused_) {                                                                    \
			errno = refused_;                                                          \
			return otherwise;                                                          \
		}                                                                                  \
	} while (0)

/* Another boot of the machine is a file of the test's, written when it starts. */
static const char *opened_path(const char *path)
{
	const char *boot = getenv("PLEACH_FAULT_BOOT");

	return boot && strcmp(path, BOOT_ID) == 0 ? boot : path;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	const char *boot = clock == CLOCK_BOOTTIME ? getenv("PLEACH_FAULT_BOOT") : NULL;
	int rc = REAL(clock_gettime)(boot ? CLOCK_REALTIME : clock, out);
	struct stat st;

	if (boot && stat(boot, &st) == 0)
		out->tv_sec -= st.st_mtim.tv_sec;
	return rc;
}

static int refuse_open(const char *path, int flags)
{
	int why = flags & O_CREAT ? refuse_call("create", path) : 0;

	return why ? why : refuse_call("open", path);
}

#define OPEN_AS(name)                                                                              \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		if (flags & (O_CREAT | __O_TMPFILE))                                               \
			mode = va_arg(ap, mode_t);                                                 \
		va_end(ap);                                                                        \
		REFUSED(refuse_open(path, flags), -1);                                             \
		return REAL(name)(opened_path(path), flags, mode);                                 \
	}
#define OPENAT_AS(name)                                                                            \
	int name(int dir, const char *path, int flags, ...)                                        \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		if (flags & (O_CREAT | __O_TMPFILE))                                               \
			mode = va_arg(ap, mode_t);                                                 \
		va_end(ap);                                                                        \
		REFUSED(refuse_open(path, flags), -1);                                             \
		return REAL(name)(dir, path, flags, mode);                                         \
	}

OPEN_AS(open)
OPEN_AS(open64)
OPENAT_AS(openat)
OPENAT_AS(openat64)

/* FD_AS: a call whose first argument is the descriptor that counts. */
#define FD_AS(type, name, call, args, pass)                                                        \
	type name args                                                                             \
	{                                                                                          \
		REFUSED(refuse_fd(call, fd), -1);                                                  \
		return REAL(name) pass;                                                            \
	}

FD_AS(ssize_t, write, "write", (int fd, const void *data, size_t n), (fd, data, n))
FD_AS(ssize_t, pwrite, "write", (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
FD_AS(ssize_t, pwrite64, "write", (int fd, const void *data, size_t n, off64_t at),
      (fd, data, n, at))
FD_AS(ssize_t, writev, "write", (int fd, const struct iovec *parts, int n), (fd, parts, n))
FD_AS(ssize_t, read, "read", (int fd, void *data, size_t n), (fd, data, n))
FD_AS(ssize_t, pread, "read", (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
FD_AS(ssize_t, pread64, "read", (int fd, void *data, size_t n, off64_t at), (fd, data, n, at))
FD_AS(int, ftruncate, "truncate", (int fd, off_t length), (fd, length))
FD_AS(int, ftruncate64, "truncate", (int fd, off64_t length), (fd, length))
FD_AS(ssize_t, send, "send", (int fd, const void *data, size_t n, int flags), (fd, data, n, flags))
FD_AS(ssize_t, sendmsg, "send", (int fd, const struct msghdr *message, int flags),
      (fd, message, flags))

/* PATH_AS: a call with a path that is made or changed. */
#define PATH_AS(name, call, path, args, pass)                                                      \
	int name args                                                                              \
	{                                                                                          \
		REFUSED(refuse_call(call, path), -1);                                              \
		return REAL(name) pass;                                                            \
	}

PATH_AS(rename, "rename", to, (const char *from, const char *to), (from, to))
PATH_AS(renameat, "rename", to, (int from_dir, const char *from, int to_dir, const char *to),
        (from_dir, from, to_dir, to))
PATH_AS(renameat2, "rename", to,
        (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
        (from_dir, from, to_dir, to, flags))
PATH_AS(mkdir, "mkdir", path, (const char *path, mode_t mode), (path, mode))
PATH_AS(link, "link", to, (const char *from, const char *to), (from, to))
PATH_AS(symlink, "link", to, (const char *from, const char *to), (from, to))
PATH_AS(unlink, "unlink", path, (const char *path), (path))
PATH_AS(socket, "socket", NULL, (int domain, int type, int protocol), (domain, type, protocol))
PATH_AS(pipe2, "pipe", NULL, (int fds[2], int flags), (fds, flags))

/* As proc_spawn.c calls it: with nothing behind the argument. */
int clone(int (*child)(void *), void *stack, int flags, void *argument, ...)
{
	REFUSED(refuse_call("spawn", NULL), -1);
	return REAL(clone)(child, stack, flags, argument);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	REFUSED(refuse_call("accept", NULL), -1);
	return REAL(accept4)(fd, address, size, flags);
}

void *malloc(size_t size)
{
	REFUSED(refuse_call("malloc", NULL), NULL);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	REFUSED(refuse_call("malloc", NULL), NULL);
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	REFUSED(refuse_call("malloc", NULL), NULL);
	return __libc_realloc(old, size);
}
