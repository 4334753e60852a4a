/* Who is alive, and ending what an attempt left behind: read from /proc. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"
#include "proc.h"
#include "text.h"

struct stat_line {
	char state;
	pid_t parent;
	uint64_t start_time;
};

/* Reads /proc/PID/stat behind the command's name, which may hold anything. */
static int stat_read(pid_t pid, struct stat_line *out)
{
	char path[64], text[1024], *p, *save = NULL;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || !p[1])
		return -1;
	p += 2;
	out->state = *p;
	/* state is field 3, the parent field 4, start time field 22 */
	p = strtok_r(p, " ", &save);
	for (int field = 3; p && field < 22; field++) {
		p = strtok_r(NULL, " ", &save);
		if (p && field == 3)
			out->parent = (pid_t)strtol(p, NULL, 10);
	}
	if (!p)
		return -1;
	out->start_time = strtoull(p, NULL, 10);
	return 0;
}

int proc_start_time(pid_t pid, uint64_t *out)
{
	struct stat_line now;

	if (stat_read(pid, &now) < 0)
		return -1;
	*out = now.start_time;
	return 0;
}

char proc_state(pid_t pid)
{
	struct stat_line now;

	return stat_read(pid, &now) < 0 ? '\0' : now.state;
}

pid_t proc_parent(pid_t pid)
{
	struct stat_line now;

	return stat_read(pid, &now) < 0 ? -1 : now.parent;
}

bool proc_alive(pid_t pid, uint64_t start_time)
{
	struct stat_line now;

	return pid > 0 && stat_read(pid, &now) == 0 && now.start_time == start_time &&
	       now.state != 'Z' && now.state != 'X';
}

bool proc_stopped(pid_t pid, uint64_t start_time)
{
	struct stat_line now;
	siginfo_t stop = {0};

	/* A child of ours the kernel answers for, at a tenth of what /proc costs. */
	if (pid > 0 && waitid(P_PID, (id_t)pid, &stop, WSTOPPED | WNOHANG | WNOWAIT) == 0)
		return stop.si_pid == pid;
	return pid > 0 && stat_read(pid, &now) == 0 && now.start_time == start_time &&
	       now.state == 'T';
}

void proc_kill_pid(const struct proc *proc)
{
	int pidfd = (int)syscall(SYS_pidfd_open, proc->pid, 0);

	if (pidfd < 0)
		return;
	if (proc_alive(proc->pid, proc->start_time))
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	close(pidfd);
}

void proc_boot_id(char out[37])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, 36) : -1;

	if (fd >= 0)
		close(fd);
	if (n != 36)
		snprintf(out, 37, "%s", "unknown");
	else
		out[36] = '\0';
}

/* In the midst of an exec a program has no environment. Nor has one that was started so, nor a
 * thread of the kernel, which has no program either. */
static bool is_program(pid_t pid)
{
	char path[64], byte;

	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	return readlink(path, &byte, 1) == 1;
}

/* `unsure` is set where it has none at all. */
static bool environ_has(pid_t pid, const char *marker, bool *unsure)
{
	_cleanup_buf_ struct buf env = BUF_INIT;
	size_t want = strlen(marker);
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	do {
		n = buf_read(&env, fd, 64u << 10);
	} while (n > 0 && env.len < (4u << 20));
	close(fd);
	if (!env.len && is_program(pid))
		*unsure = true;
	for (size_t at = 0; at < env.len; at += strlen(env.data + at) + 1)
		if (strlen(env.data + at) == want && memcmp(env.data + at, marker, want) == 0)
			return true;
	return false;
}

/* The kernel writes " (deleted)" behind the name of a folder that is gone; another folder may
 * really be called so. */
static bool cwd_is_in(pid_t pid, const char *dir)
{
	char path[64], cwd[PATH_MAX];
	size_t n = strlen(dir);
	struct stat st;
	ssize_t got;

	snprintf(path, sizeof path, "/proc/%d/cwd", pid);
	got = readlink(path, cwd, sizeof cwd - 1);
	if (got < (ssize_t)n)
		return false;
	cwd[got] = '\0';
	if (strncmp(cwd, dir, n) != 0)
		return false;
	return cwd[n] == '/' || cwd[n] == '\0' ||
	       (strcmp(cwd + n, " (deleted)") == 0 && stat(path, &st) == 0 && st.st_nlink == 0);
}

/* A family's number: a limit of 73,000 years and more, another one for every name (FNV-1a). */
static rlim_t family_number(const char *name)
{
	uint64_t hash = 14695981039346656037u;

	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	return (rlim_t)((hash & ((1ull << 61) - 1)) | 1ull << 61);
}

int proc_family_join(const char *name)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_RTTIME, &limit) < 0)
		return -1;
	limit.rlim_cur = family_number(name);
	return setrlimit(RLIMIT_RTTIME, &limit);
}

static bool is_of_family(pid_t pid, rlim_t number)
{
	static const char title[] = "Max realtime timeout";
	char path[64], text[4096], *line;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/limits", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, title);
	return line && strtoull(line + sizeof title - 1, NULL, 10) == number;
}

/* Who is looked for. */
struct wanted {
	const char *marker, *dir;
	rlim_t family; /* 0: not asked */
	pid_t keep;
};

static bool is_wanted(pid_t pid, const struct wanted *wanted, bool *unsure)
{
	return (wanted->family && is_of_family(pid, wanted->family)) ||
	       (wanted->marker && environ_has(pid, wanted->marker, unsure)) ||
	       (wanted->dir && cwd_is_in(pid, wanted->dir));
}

/* Kills through a pidfd opened before the last look, so that a pid that was reused
 * between the look and the kill is never hit. */
static bool survivor_kill(pid_t pid, const struct wanted *wanted, bool *unsure)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool killed = false;

	if (pidfd < 0)
		return false;
	if (is_wanted(pid, wanted, unsure))
		killed = syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
	close(pidfd);
	return killed;
}

static int survivors_scan(const struct wanted *wanted, bool *unsure)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int killed = 0;

	if (!proc)
		return 0;
	while ((entry = readdir(proc))) {
		struct stat_line now;
		pid_t pid;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid <= 1 || pid == wanted->keep || pid == getpid() ||
		    !is_wanted(pid, wanted, unsure))
			continue;
		if (stat_read(pid, &now) < 0 || now.state == 'Z' || now.state == 'X')
			continue;
		killed += survivor_kill(pid, wanted, unsure);
	}
	closedir(proc);
	return killed;
}

/* As the kernel names it: links resolved, no slash at its end. A folder that is gone keeps its
 * name. NULL where it would be everybody's: not absolute, or the root. Caller frees. */
static char *survivors_dir(const char *dir)
{
	char *real = realpath(dir, NULL);
	size_t n;

	if (!real)
		real = xstrdup(dir);
	n = strlen(real);
	while (n > 1 && real[n - 1] == '/')
		real[--n] = '\0';
	if (dir[0] == '/' && n > 1)
		return real;
	free(real);
	return NULL;
}

bool proc_works_in(const char *dir)
{
	_cleanup_free_ char *folder = survivors_dir(dir);
	DIR *proc = folder ? opendir("/proc") : NULL;
	struct dirent *entry;
	bool found = false;

	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		found = pid > 0 && pid != getpid() && cwd_is_in(pid, folder);
	}
	if (proc)
		closedir(proc);
	return found;
}

static bool is_called(pid_t pid, const char *name)
{
	char path[64], line[64];
	size_t n = strlen(name);
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, line, sizeof line);
	close(fd);
	return got == (ssize_t)n + 1 && memcmp(line, name, n) == 0 && line[n] == '\n';
}

static bool is_young(pid_t pid, int ms)
{
	struct stat_line now;
	struct timespec up;

	if (stat_read(pid, &now) < 0 || clock_gettime(CLOCK_BOOTTIME, &up) < 0)
		return false;
	return up.tv_sec * 1000 + up.tv_nsec / 1000000 -
	           (int64_t)now.start_time * 1000 / sysconf(_SC_CLK_TCK) <
	       ms;
}

static void await_end(pid_t pid, int64_t until)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int64_t left;

	if (end.fd < 0)
		return;
	while ((left = until - time_mono_ms()) > 0 && poll(&end, 1, (int)left) < 0 &&
	       errno == EINTR)
		;
	close(end.fd);
}

void proc_await_in(const char *dir, const char *name, int ms)
{
	_cleanup_free_ char *folder = survivors_dir(dir);
	DIR *proc = folder ? opendir("/proc") : NULL;
	int64_t until = time_mono_ms() + ms;
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && pid != getpid() && cwd_is_in(pid, folder) && is_called(pid, name) &&
		    is_young(pid, ms))
			await_end(pid, until);
	}
	if (proc)
		closedir(proc);
}

int proc_kill_survivors(const char *marker, const char *dir, pid_t keep, int tries)
{
	return proc_kill_family(NULL, marker, dir, keep, tries);
}

int proc_kill_family(const char *family, const char *marker, const char *dir, pid_t keep, int tries)
{
	_cleanup_free_ char *folder = dir ? survivors_dir(dir) : NULL;
	struct wanted wanted = {marker, folder, family ? family_number(family) : 0, keep};
	int total = 0, clean = 0;

	/* NAME=VALUE, or it names nobody in particular */
	if (marker && (marker[0] == '=' || !strchr(marker, '=')))
		wanted.marker = NULL;
	if (!wanted.marker && !folder && !family)
		return 0;
	for (int i = 0; i < tries; i++) {
		bool unsure = false;
		int killed = survivors_scan(&wanted, &unsure);

		total += killed;
		clean = killed ? 0 : clean + 1;
		if (clean == 2)
			return total;
		if (killed || unsure)
			usleep(2000); /* let the kernel tear them down before the next look */
	}
	return clean ? total : -1;
}
