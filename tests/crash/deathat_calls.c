/* Which processes are which, and which system calls change something: files, links, locks,
 * sockets, processes, and the end of a process itself. Waking oneself up (eventfd), threads and
 * nng's lossy traffic change nothing that lasts and are no points. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deathat.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))

static const char *const role_names[] = {"other",  "cli",        "supervisor", "serving",
                                         "worker", "pleach-git", "git"};

unsigned role_mask(const char *names)
{
	unsigned mask = 0;

	while (*names) {
		size_t len = strcspn(names, ","), i;

		for (i = 0; i < ARRAY_LEN(role_names); i++)
			if (strlen(role_names[i]) == len && strncmp(role_names[i], names, len) == 0)
				break;
		if (i == ARRAY_LEN(role_names))
			return 0;
		mask |= 1u << i;
		names += len + (names[len] == ',');
	}
	return mask;
}

const char *role_name(unsigned role)
{
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
		if (role == 1u << i)
			return role_names[i];
	return "?";
}

/* The bytes of a file of /proc; their number. */
static size_t proc_read(pid_t tid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static unsigned role_of(pid_t tid)
{
	char line[4096], exe[4096], path[64];
	size_t len = proc_read(tid, "cmdline", line, sizeof line);
	const char *name, *second = line + strlen(line) + 1;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/exe", (int)tid);
	n = readlink(path, exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = '\0';
	name = base_name(exe);
	if (strcmp(name, "pleach-coordinator") == 0)
		return role_mask(second < line + len && strcmp(second, "--serve") == 0
		                     ? "serving"
		                     : "supervisor");
	if (strcmp(name, "pleach") == 0)
		return role_mask("cli");
	if (strcmp(name, "pleach-worker") == 0)
		return role_mask("worker");
	if (strcmp(name, "pleach-git") == 0 || strcmp(name, "git") == 0)
		return role_mask(name);
	return role_mask("other");
}

static pid_t group_of(pid_t tid)
{
	char text[2048];
	size_t len = proc_read(tid, "status", text, sizeof text);
	const char *at = len ? strstr(text, "\nTgid:") : NULL;

	return at ? (pid_t)strtol(at + 6, NULL, 10) : tid;
}

void tracee_look(struct tracee *t)
{
	t->pid = group_of(t->tid);
	t->role = role_of(t->tid);
	t->looked = true;
}

bool is_bystander(const struct tracee *t)
{
	char comm[64];

	return t->tid != t->pid && proc_read(t->tid, "comm", comm, sizeof comm) &&
	       strncmp(comm, "nng:", 4) == 0;
}

/* ---- calls ---- */

enum kind {
	ALWAYS,
	ON_FD,    /* args[0], which must be something that lasts or somebody else reads */
	PATH,     /* args[0] */
	MKDIR,    /* args[0], where it is not there yet */
	PATH_AT,  /* args[1] */
	OPEN,     /* flags in args[1], path args[0] */
	OPEN_AT,  /* flags in args[2], path args[1] */
	OPEN_AT2, /* struct open_how at args[2] */
	CLONE,    /* flags in args[0] */
	CLONE3,   /* struct clone_args at args[0] */
	LOCK,     /* fcntl */
	SIGNAL,   /* args[1], where 0 only asks */
};

static const struct call {
	long number;
	const char *name;
	enum kind kind;
} calls[] = {
#define CALL(name, kind) {SYS_##name, #name, kind},
    CALL(write, ON_FD) CALL(pwrite64, ON_FD) CALL(writev, ON_FD) CALL(pwritev, ON_FD)
        CALL(sendto, ON_FD) CALL(sendmsg, ON_FD) CALL(sendmmsg, ON_FD) CALL(sendfile, ON_FD) CALL(
            copy_file_range, ALWAYS) CALL(fsync, ON_FD) CALL(fdatasync, ON_FD) CALL(syncfs, ON_FD)
            CALL(sync_file_range, ON_FD) CALL(ftruncate, ON_FD) CALL(fallocate, ON_FD)
                CALL(fchmod, ON_FD) CALL(flock, ON_FD) CALL(truncate, PATH) CALL(openat, OPEN_AT)
                    CALL(openat2, OPEN_AT2) CALL(renameat2, PATH_AT) CALL(unlinkat, PATH_AT)
                        CALL(linkat, PATH_AT) CALL(symlinkat, PATH) CALL(mkdirat, PATH_AT)
                            CALL(fchmodat, PATH_AT) CALL(utimensat, PATH_AT) CALL(execve, PATH)
                                CALL(execveat, PATH_AT) CALL(clone, CLONE) CALL(clone3, CLONE3)
                                    CALL(kill, SIGNAL) CALL(pidfd_send_signal, SIGNAL) CALL(
                                        bind, ALWAYS) CALL(listen, ALWAYS) CALL(shutdown, ALWAYS)
                                        CALL(fcntl, LOCK) CALL(exit_group, ALWAYS)
#ifdef SYS_open /* what newer machines do not have any more */
                                            CALL(open, OPEN) CALL(creat, PATH) CALL(rename, PATH)
                                                CALL(renameat, PATH_AT) CALL(unlink, PATH)
                                                    CALL(link, PATH) CALL(symlink, PATH)
                                                        CALL(mkdir, MKDIR) CALL(rmdir, PATH)
                                                            CALL(chmod, PATH) CALL(fork, ALWAYS)
                                                                CALL(vfork, ALWAYS)
#endif
#undef CALL
};

static bool peek(pid_t tid, uint64_t address, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)address, size};

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* A string of the tracee's, as much as can be read. */
static void peek_text(pid_t tid, uint64_t address, char *text, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && peek(tid, address + n, text + n, 1) && text[n])
		n++;
	text[n] = '\0';
}

static void fd_target(const struct tracee *t, uint64_t fd, char *text, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)t->tid, (int)fd);
	n = readlink(path, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
}

static bool flags_change(uint64_t flags)
{
	return flags & (O_CREAT | O_TRUNC);
}

static bool is_thread(const struct tracee *t, const struct call *call, const uint64_t *args)
{
	struct clone_args how = {0};

	if (call->kind == CLONE)
		return args[0] & CLONE_THREAD;
	return peek(t->tid, args[0], &how, sizeof how.flags) && how.flags & CLONE_THREAD;
}

/* Whether it changes something, and on what it acts. */
static bool look_at(const struct tracee *t, const struct call *call, const uint64_t *args, char *on,
                    size_t size)
{
	struct open_how how = {0};

	*on = '\0';
	switch (call->kind) {
	case ON_FD:
		fd_target(t, args[0], on, size);
		return *on && strncmp(on, "anon_inode:", 11) != 0 &&
		       strncmp(on, "/proc/", 6) != 0 && strcmp(on, "/dev/null") != 0;
	case MKDIR:
		peek_text(t->tid, args[0], on, size);
		return *on != '/' || access(on, F_OK) != 0;
	case PATH:
		peek_text(t->tid, args[0], on, size);
		return true;
	case PATH_AT:
		peek_text(t->tid, args[1], on, size);
		return true;
	case OPEN:
		peek_text(t->tid, args[0], on, size);
		return flags_change(args[1]);
	case OPEN_AT:
		peek_text(t->tid, args[1], on, size);
		return flags_change(args[2]);
	case OPEN_AT2:
		peek_text(t->tid, args[1], on, size);
		return peek(t->tid, args[2], &how, sizeof how) && flags_change(how.flags);
	case CLONE:
	case CLONE3:
		return !is_thread(t, call, args);
	case LOCK:
		fd_target(t, args[0], on, size);
		return args[1] == F_SETLK || args[1] == F_SETLKW || args[1] == F_OFD_SETLK ||
		       args[1] == F_OFD_SETLKW;
	case SIGNAL:
		return args[1] != 0;
	case ALWAYS:
		break;
	}
	return true;
}

bool call_changes(const struct tracee *t, const struct __ptrace_syscall_info *info, char *text,
                  size_t size)
{
	uint64_t args[6];
	char on[400];

	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		args[i] = info->entry.args[i];
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if ((uint64_t)calls[i].number != info->entry.nr)
			continue;
		if (!look_at(t, &calls[i], args, on, sizeof on))
			return false;
		for (char *at = on; *at; at++)
			if (*at == '\n')
				*at = ' ';
		snprintf(text, size, "%s %s", calls[i].name, on);
		return true;
	}
	return false;
}
