/* Starting a process. The child borrows our memory until its exec, as posix_spawn's does
 * (CLONE_VM | CLONE_VFORK), but on a piece of its caller's stack: posix_spawn maps one each time,
 * and puts 64 signals to their default, which together are a quarter of what a start takes while
 * somebody waits for it (docs/performance.md).
 *
 * What the child may do is little: the thread that called stands still, all others go on. It makes
 * system calls by their numbers (the wrappers of a sanitizer keep books of our own descriptors and
 * signals, and the child has copies of those), and it writes nowhere but into struct birth. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "proc.h"

#define CHILD_STACK   (16u << 10)
#define STANDARD_MAX  31 /* the standard signals; nothing of ours touches those behind them */
#define FIRST_FREE_FD 16 /* what the child is given is copied to here, out of the way of 0..3 */
#define KERNEL_SIGSET (_NSIG / 8)

#if defined(__clang__)
#define UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
#else
#define UNINSTRUMENTED __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define PROC_THREAD_CHECK 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define PROC_THREAD_CHECK 1
#endif
#ifdef PROC_THREAD_CHECK
/* Its own clone takes the child for a fork, and forgets in our memory what it knows of our threads.
 */
extern int __clone(int (*child)(void *), void *stack, int flags, void *argument, ...);
#define clone __clone
#endif

extern char **environ;

enum birth_step { STEP_SESSION, STEP_DIRECTORY, STEP_DESCRIPTORS, STEP_PROGRAM };

struct birth {
	const struct proc_spec *spec;
	const char *program;
	const char *const *env;
	/* What the child says before it gives up: */
	enum birth_step step;
	int failed; /* errno; 0: it lives */
};

/* None is handled (one that comes before the exec would run our handler, in our memory) and none is
 * ignored (which an exec would hand on). */
UNINSTRUMENTED static void reset_signals(void)
{
	static const char as_default[256]; /* the kernel's struct sigaction: all of it 0 */

	for (int n = 1; n <= STANDARD_MAX; n++)
		syscall(SYS_rt_sigaction, n, as_default, NULL, KERNEL_SIGSET);
}

/* A descriptor that is in nobody's way. -1: there is none, or errno. */
UNINSTRUMENTED static int out_of_the_way(int fd)
{
	return fd >= 0 && fd < FIRST_FREE_FD
	           ? (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD)
	           : fd;
}

UNINSTRUMENTED static int open_file(const char *path, int flags)
{
	return out_of_the_way((int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0));
}

/* The terminal is opened by the new session's leader, as its first one, which makes it the
 * controlling terminal without an ioctl. All are out of the way before the first is put in its
 * place. */
UNINSTRUMENTED static int place_descriptors(const struct proc_spec *spec)
{
	const int given[4] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd, spec->pass_fd};
	int tty = spec->tty ? open_file(spec->tty, O_RDWR) : -1, from[4];

	if (spec->tty && tty < 0)
		return -1;
	for (int to = 0; to < 4; to++) {
		if (given[to] >= 0)
			from[to] = out_of_the_way(given[to]);
		else if (to < 3 && !spec->tty)
			from[to] = open_file("/dev/null", to ? O_WRONLY : O_RDONLY);
		else
			from[to] = to < 3 ? tty : -1;
		if (from[to] < 0 && (to < 3 || given[to] >= 0))
			return -1;
	}
	for (int to = 0; to < 4; to++)
		if (from[to] >= 0 && syscall(SYS_dup3, from[to], to, 0) < 0)
			return -1;
	closefrom(from[3] >= 0 ? 4 : 3);
	return 0;
}

UNINSTRUMENTED static int become(struct birth *b)
{
	static const char no_signals[KERNEL_SIGSET];
	const struct proc_spec *spec = b->spec;

	reset_signals();
	if ((spec->new_session || spec->tty) && syscall(SYS_setsid) < 0)
		return -1;
	b->step = STEP_DIRECTORY;
	if (spec->cwd && syscall(SYS_chdir, spec->cwd) < 0)
		return -1;
	b->step = STEP_DESCRIPTORS;
	if (place_descriptors(spec) < 0)
		return -1;
	b->step = STEP_PROGRAM;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, no_signals, NULL, KERNEL_SIGSET);
	syscall(SYS_execve, b->program, spec->argv, b->env);
	return -1;
}

UNINSTRUMENTED static int child(void *context)
{
	struct birth *b = context;

	become(b);
	b->failed = errno;
	syscall(SYS_exit_group, 127);
	return 127;
}

/* Its pid, or -1 and errno: the child's too, which then is gone. */
static pid_t give_birth(struct birth *b)
{
	char stack[CHILD_STACK] __attribute__((aligned(16)));
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0 || !b->failed)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = b->failed;
	return -1;
}

static const char *env_get(const char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env && env[i]; i++)
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
			return env[i] + n + 1;
	return NULL;
}

int proc_spawn(const struct proc_spec *spec, struct proc *out, struct error *err)
{
	struct birth b = {.spec = spec,
	                  .env = spec->env ? spec->env : (const char *const *)environ};
	_cleanup_free_ char *program = NULL;
	struct proc proc = {.pidfd = -1};

	/* A relative program with a slash is looked up in the child's directory. */
	if (!strchr(spec->argv[0], '/'))
		program = proc_find_program(spec->argv[0], env_get(b.env, "PATH"));
	b.program = program ? program : spec->argv[0];
	if (!program && !strchr(spec->argv[0], '/'))
		return error_set(err, ERROR_NOT_FOUND, "%s: no such program on PATH",
		                 spec->argv[0]);
	proc.pid = give_birth(&b);
	if (proc.pid < 0) {
		int why = errno;

		if (b.step == STEP_DIRECTORY)
			return error_errno(err, "cannot start %s in %s", spec->argv[0], spec->cwd);
		error_errno(err, "cannot start %s", spec->argv[0]);
		if (err && b.step == STEP_PROGRAM &&
		    (why == ENOENT || why == ENOTDIR || why == EACCES))
			err->code = ERROR_NOT_FOUND;
		return -1;
	}
	proc.pidfd = (int)syscall(SYS_pidfd_open, proc.pid, 0);
	if (proc.pidfd < 0) {
		int saved = errno;

		kill(proc.pid, SIGKILL);
		waitpid(proc.pid, NULL, 0);
		errno = saved;
		return error_errno(err, "cannot watch %s", spec->argv[0]);
	}
	if (spec->child_only || proc_start_time(proc.pid, &proc.start_time) < 0)
		proc.start_time = 0;
	*out = proc;
	return 0;
}
