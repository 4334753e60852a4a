/* For programs under Debian 12's valgrind, which does not know pidfd_open: preloaded, it gives
 * a pipe instead, whose other end a thread closes when the process is dead or a zombie, and lets
 * waitid find the process by that. Slow and for nothing else. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FDS 4096

static pid_t pid_of[FDS];

struct watch {
	pid_t pid;
	int fd;
};

static int has_ended(pid_t pid)
{
	char path[64], text[512], *end;
	FILE *file;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 1;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	end = strrchr(text, ')');
	return !end || end[2] == 'Z' || end[2] == 'X';
}

static void *wait_for_end(void *context)
{
	const struct timespec pause = {0, 5000000};
	struct watch *watch = context;

	while (!has_ended(watch->pid))
		nanosleep(&pause, NULL);
	if (write(watch->fd, "", 1) == 1) /* readable, as a pidfd is then */
		close(watch->fd);
	free(watch);
	return NULL;
}

static long open_pidfd(pid_t pid)
{
	struct watch *watch;
	sigset_t all, before;
	pthread_t thread;
	int fds[2];

	if (kill(pid, 0) < 0 && errno == ESRCH)
		return -1;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	watch = malloc(sizeof *watch);
	if (!watch || fds[0] >= FDS)
		abort();
	*watch = (struct watch){pid, fds[1]};
	pid_of[fds[0]] = pid;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (pthread_create(&thread, NULL, wait_for_end, watch) != 0)
		abort();
	pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return fds[0];
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a, b, c, d, e, f;
	va_list ap;

	va_start(ap, number);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	f = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_pidfd_open)
		return open_pidfd((pid_t)a);
	if (number == SYS_pidfd_send_signal)
		return a >= 0 && a < FDS ? kill(pid_of[a], (int)b) : -1;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	return real(number, a, b, c, d, e, f);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	static int (*real)(idtype_t, id_t, siginfo_t *, int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "waitid");
	if (type == P_PIDFD && id < FDS)
		return real(P_PID, (id_t)pid_of[id], info, options);
	return real(type, id, info, options);
}
