/* The supervisor: small enough never to fail. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coordinator.h"
#include "log.h"
#include "machine.h"
#include "mem.h"
#include "proc.h"
#include "text.h"

#define BACKLOG          512
#define LOOK_MS          10000 /* how often the socket is looked after */
#define RESTART_FIRST_MS 10
#define RESTART_MAX_MS   1000
#define LOCK_TEXT_MAX    (PATH_MAX + 1024)
#define MOVED_WAIT_MS    20000 /* until it has let go where the repository was */
#define DEAD_WAIT_MS     1000  /* for a lock that nobody who lives is said to hold */
#define LOCK_LOOK_MS     5
#define STABLE_MS        1000
#define FIRST_TRIES      5 /* before it served once: then it cannot */

static char *lock_file(const struct place *place)
{
	return xasprintf("%s/pleach/lock", place->common_dir);
}

/* What the lock's file says, for whoever is refused. Caller frees. */
static char *lock_text(int fd)
{
	char text[2 * LOCK_TEXT_MAX];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return xstrdup(text);
}

static int refuse(const char *text, struct error *err)
{
	_cleanup_free_ char *first = xstrndup(text, strcspn(text, "\n"));
	_cleanup_free_ char *line = text_safe(first, 300);

	return error_set(err, ERROR_BUSY, "another coordinator serves this repository: %s%s",
	                 *line ? line : "it has not said who",
	                 machine_is_other(text) ? " (use pleach there, or pleach down there first)"
	                                        : "");
}

/* The lock is free, but its last owner did not end by itself, and where it ran nobody can look
 * from here: its team may work still. */
static int check_last_owner(const struct place *place, const char *text, struct error *err)
{
	_cleanup_free_ char *file = NULL, *name = NULL;

	if (!machine_is_other(text))
		return 0;
	file = lock_file(place);
	name = machine_name(text);
	return error_set(err, ERROR_BUSY,
	                 "the team of this repository may still run on %s, or in another "
	                 "container: its coordinator did not end by itself (pleach down there; "
	                 "if all of it is gone for good: rm %s)",
	                 name, file);
}

/* Its pid; 0 where the lock's file names nobody who can be looked for here. */
static pid_t owner_of(const char *text)
{
	const char *at = strstr(text, "pid ");
	long pid = at && !machine_is_other(text) ? strtol(at + 4, NULL, 10) : 0;

	return pid > 1 ? (pid_t)pid : 0;
}

/* Whoever is named has ended, or ended by itself: the lock is held for a moment by a command that
 * looks whether somebody has it. */
static bool owner_is_gone(const char *text)
{
	pid_t pid = owner_of(text);

	return pid ? kill(pid, 0) < 0 && errno == ESRCH : !machine_is_other(text);
}

/* A coordinator on this machine that holds the lock is asked to look after its places: it may be
 * that its socket has vanished, or that the repository is not where it knows it. */
static void nudge(const char *text)
{
	_cleanup_free_ char *path = NULL, *name = NULL;
	pid_t pid = owner_of(text);

	if (!pid)
		return;
	path = xasprintf("/proc/%d/comm", (int)pid);
	if (place_read_file(path, 64, &name, NULL, NULL) == 0 &&
	    strncmp(name, "pleach-coordinat", 15) == 0)
		kill(pid, SIGUSR1);
}

/* True when its owner serves the repository at another place: it was moved meanwhile. */
static bool serves_elsewhere(const struct place *place, const char *text)
{
	_cleanup_free_ char *line = xasprintf("\nroot %s\n", place->root);

	return !machine_is_other(text) && strstr(text, "\nroot ") && !strstr(text, line);
}

static int lock_fd(const struct place *place, int fd, struct error *err)
{
	int64_t begin = time_mono_ms();
	bool nudged = false;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		_cleanup_free_ char *text = NULL;

		if (errno != EWOULDBLOCK)
			return error_errno(err, "cannot lock %s/pleach/lock", place->common_dir);
		text = lock_text(fd);
		if (owner_is_gone(text) && time_mono_ms() - begin < DEAD_WAIT_MS) {
			poll(NULL, 0, LOCK_LOOK_MS);
			continue;
		}
		if (!nudged)
			nudge(text);
		nudged = true;
		if (!serves_elsewhere(place, text) || time_mono_ms() - begin >= MOVED_WAIT_MS)
			return refuse(text, err);
		poll(NULL, 0, 20);
	}
	return 0;
}

static int take_lock(const struct place *place, int *out, struct error *err)
{
	_cleanup_free_ char *file = lock_file(place), *text = NULL, *was = NULL, *machine = NULL;
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char host[256] = "";

	if (fd < 0)
		return error_errno(err, "cannot open %s", file);
	if (lock_fd(place, fd, err) < 0)
		goto fail;
	was = lock_text(fd);
	if (check_last_owner(place, was, err) < 0)
		goto fail;
	gethostname(host, sizeof host - 1);
	machine = machine_here();
	text = xasprintf("uid %d on %s, pid %d, socket %s\n%s\nroot %s\n", (int)geteuid(), host,
	                 (int)getpid(), place->socket, machine, place->root);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0) {
		error_errno(err, "cannot write %s", file);
		goto fail;
	}
	*out = fd;
	return 0;
fail:
	close(fd);
	return -1;
}

/* With the lock held, a socket that is there is a dead coordinator's; anything else is not
 * ours to remove. */
static int clear_path(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_EXTERNAL,
		                 "%s is in the way of the coordinator's socket (remove it)", path);
	return unlink(path) == 0 ? 0 : error_errno(err, "cannot remove %s", path);
}

static int listen_at(const char *path, int *out, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof address.sun_path)
		return error_set(
		    err, ERROR_EXTERNAL,
		    "%s is too long for a socket (set PLEACH_RUNTIME_DIR to a shorter one)", path);
	if (clear_path(path, err) < 0)
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, "cannot make a socket");
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (rc < 0 || listen(fd, BACKLOG) < 0) {
		error_errno(err, "cannot listen at %s", path);
		close(fd);
		return -1;
	}
	*out = fd;
	return 0;
}

static int spawn_serving(const struct place *place, int listen_fd, int ready_fd, struct proc *out,
                         struct error *err)
{
	_cleanup_free_ char *program = xasprintf("%s/pleach-coordinator", proc_own_dir());
	_cleanup_free_ char *self = xasprintf("%d", (int)getpid());
	const char *argv[] = {program, "--serve", self, "--root", place->root, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.argv = argv;
	spec.cwd = "/";
	spec.stdin_fd = listen_fd;
	spec.stderr_fd = STDERR_FILENO;
	spec.pass_fd = ready_fd;
	return proc_spawn(&spec, out, err);
}

/* The serving process says "ok" or why it cannot. 0 when it serves. BUSY: it ended without a
 * word, somebody killed it. */
static int await_ready(int fd, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	while (buf_read(&text, fd, 4096) > 0)
		;
	if (text.len == 2 && memcmp(text.data, "ok", 2) == 0)
		return 0;
	if (!text.len)
		return error_set(err, ERROR_BUSY, "the serving process did not start");
	return error_set(err, ERROR_EXTERNAL, "%s", text.data);
}

/* Waits for the child's end, passing TERM on. */
static int watch(const struct place *place, const struct proc *proc, int signals)
{
	struct pollfd fds[2] = {{.fd = proc->pidfd, .events = POLLIN},
	                        {.fd = signals, .events = POLLIN}};
	int status = 0, vanished = 0;

	for (;;) {
		int n = poll(fds, 2, LOOK_MS);

		if (n < 0 && errno != EINTR)
			die("supervisor: poll: %s", strerror(errno));
		if (n > 0 && fds[1].revents & POLLIN) {
			struct signalfd_siginfo info;

			/* USR1: somebody cannot reach us; the serving process looks why. */
			if (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
				kill(proc->pid, info.ssi_signo == SIGUSR1 ? SIGUSR1 : SIGTERM);
		}
		if (n > 0 && fds[0].revents & POLLIN)
			break;
		if (n == 0)
			log_rotate(STDERR_FILENO); /* ours, the serving process's, the workers' */
		if (n == 0 && access(place->socket, F_OK) < 0 && ++vanished > 1) {
			/* Somebody cleaned up /tmp, and the serving process did not see to it:
			 * workers hold what they run and come back. */
			log_warn("supervisor", "%s has vanished: listening again", place->socket);
			kill(proc->pid, SIGKILL);
		}
	}
	proc_wait(proc, &status, NULL);
	close(proc->pidfd);
	return status;
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* One life of the serving process. `*ended`: it was asked to end. */
static int run_once(struct place *place, int listen_fd, int signals, void (*ready)(void),
                    bool *ended, struct error *err)
{
	struct proc proc = {.pidfd = -1};
	int fds[2], status, rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	rc = spawn_serving(place, listen_fd, fds[1], &proc, err);
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		return -1;
	}
	rc = await_ready(fds[0], err);
	close(fds[0]);
	if (rc == 0)
		ready();
	status = watch(place, &proc, signals);
	*ended = WIFEXITED(status) && WEXITSTATUS(status) == SERVE_EXIT_DOWN;
	if (!*ended && rc == 0)
		log_warn("supervisor", "the serving process ended (%s): again",
		         proc_status_text(status));
	return rc;
}

/* The socket's folder may be gone with it. */
static int relisten(const struct place *place, int *listen_fd, struct error *err)
{
	int fd = -1;

	if (place_make_private_dir(place->runtime_dir, err) < 0 ||
	    listen_at(place->socket, &fd, err) < 0)
		return -1;
	close(*listen_fd);
	*listen_fd = fd;
	return 0;
}

int supervise(struct place *place, void (*ready)(void), struct error *err)
{
	int lock = -1, listen_fd = -1, signals, pause_ms = 0, wordless = 0;
	bool ended = false, served = false;

	signals = signals_open(); /* before anybody can know our pid */
	if (take_lock(place, &lock, err) < 0)
		return -1;
	if (listen_at(place->socket, &listen_fd, err) < 0) {
		close(lock);
		return -1;
	}
	while (!ended) {
		int64_t started = time_mono_ms();
		struct error why = ERROR_INIT;

		if (served && access(place->socket, F_OK) < 0 &&
		    relisten(place, &listen_fd, &why) < 0)
			log_error("supervisor", "%s", why.text);
		if (run_once(place, listen_fd, signals, ready, &ended, &why) == 0) {
			served = true;
		} else if (!served && (why.code != ERROR_BUSY || ++wordless == FIRST_TRIES)) {
			unlink(place->socket); /* it never could: whoever asked is told */
			*err = why;
			err->code = ERROR_EXTERNAL;
			return -1;
		} else {
			log_error("supervisor", "%s", why.text);
			if (access(place->common_dir, F_OK) < 0 && errno == ENOENT)
				break; /* nobody can ask for us any more */
		}
		if (ended)
			break;
		if (time_mono_ms() - started > STABLE_MS)
			pause_ms = 0;
		poll(NULL, 0, pause_ms);
		pause_ms = pause_ms ? pause_ms * 2 : RESTART_FIRST_MS;
		if (pause_ms > RESTART_MAX_MS)
			pause_ms = RESTART_MAX_MS;
	}
	unlink(place->socket);
	if (ended && ftruncate(lock, 0) < 0) /* ended by itself: nothing of it runs */
		log_warn("supervisor", "its lock still names it: %s", strerror(errno));
	/* The lock goes with the process: whoever waits for it finds nobody left. */
	return 0;
}
