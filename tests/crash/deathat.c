/* Kills a process at one exact system call: the Nth that changes something, counted over all
 * processes of the given roles, from the moment of attaching. The call itself is not executed:
 * the victim dies on its way in, all that it did before is there. Then everybody is let go, so
 * that what recovers does it untraced. With N = 0 nobody dies and the points are counted.
 *
 *   deathat FD [--all] ROLE[,ROLE…] N [PID…] [-- COMMAND…]
 *
 * attaches to these processes, starts the command, and follows their children. With --all
 * everybody who is followed dies at that moment, as when a container or a session ends.
 * Says on FD "ready" when attached, "point …" for each call where N is 0, "died …", "exit
 * STATUS" of the command; at the end of stdin it lets go and says "count C". Roles:
 * deathat_calls.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deathat.h"

#define TASKS_MAX 4096 /* threads that are followed at once */
#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |  \
	 PTRACE_O_TRACEEXEC)

static struct tracee tasks[TASKS_MAX];
static unsigned roles;
static long wanted, counted;
static FILE *report;
static bool all;      /* not only whose turn it is */
static bool over;     /* somebody died, or stdin ended: let go */
static pid_t command; /* what we started */
static int command_exit = -1;

static void fail(const char *what)
{
	fprintf(stderr, "deathat: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct tracee *find(pid_t tid)
{
	struct tracee *empty = NULL;

	for (size_t i = 0; i < TASKS_MAX; i++) {
		if (tasks[i].tid == tid)
			return &tasks[i];
		if (!tasks[i].tid && !empty)
			empty = &tasks[i];
	}
	if (!empty) {
		errno = EAGAIN;
		fail("too many threads");
	}
	*empty = (struct tracee){.tid = tid};
	return empty;
}

/* A thread that is gone meanwhile is none that could die. */
static void seize_threads(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;
	bool more = true;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	while (more) { /* until no new one appears between two looks */
		more = false;
		dir = opendir(path);
		if (!dir)
			return; /* it has ended */
		while ((entry = readdir(dir))) {
			pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
			struct tracee *t;

			if (tid <= 0 || (t = find(tid))->seized)
				continue;
			if (ptrace(PTRACE_SEIZE, tid, 0, OPTIONS) == 0) {
				t->seized = more = true;
				ptrace(PTRACE_INTERRUPT, tid, 0, 0);
			} else if (errno == ESRCH) {
				t->tid = 0;
			} else if (errno == EPERM) { /* a new thread is followed already */
				t->seized = true;
			} else {
				fail("cannot trace");
			}
		}
		closedir(dir);
	}
}

static void start_command(char **argv)
{
	int gate[2];
	char byte;

	if (pipe2(gate, O_CLOEXEC) < 0)
		fail("pipe");
	command = fork();
	if (command < 0)
		fail("fork");
	if (command == 0) {
		int null = open("/dev/null", O_RDWR);
		sigset_t none;

		close(gate[1]);
		dup2(null, STDIN_FILENO);
		close(null);
		if (read(gate[0], &byte, 1) != 1)
			_exit(127);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, command, 0, OPTIONS) < 0)
		fail("cannot trace");
	find(command)->seized = true;
	if (write(gate[1], "g", 1) != 1)
		fail("write");
	close(gate[0]);
	close(gate[1]);
	ptrace(PTRACE_INTERRUPT, command, 0, 0);
}

/* ---- the points ---- */

/* All threads of it; a call that it was about to enter is not entered any more. */
static void kill_now(struct tracee *t)
{
	for (size_t i = 0; all && i < TASKS_MAX; i++)
		if (tasks[i].tid && tasks[i].tid != t->tid)
			kill(tasks[i].tid, SIGKILL);
	kill(t->pid, SIGKILL);
	over = true;
}

static void at_entry(struct tracee *t, const struct __ptrace_syscall_info *info)
{
	char text[512];

	if (over)
		return;
	if (!t->looked)
		tracee_look(t);
	if (!(t->role & roles) || !call_changes(t, info, text, sizeof text) || is_bystander(t))
		return;
	if (t->embryo && strncmp(text, "execve", 6) == 0)
		return; /* that would be the death of what it becomes */
	counted++;
	if (wanted == 0)
		fprintf(report, "point %ld %s %d %s\n", counted, role_name(t->role), (int)t->pid,
		        text);
	if (counted != wanted)
		return;
	kill_now(t);
	fprintf(report, "died %ld %s %d %s\n", counted, role_name(t->role), (int)t->pid, text);
}

static void on_syscall(struct tracee *t)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof info, &info) > 0 &&
	    info.op == PTRACE_SYSCALL_INFO_ENTRY)
		at_entry(t, &info);
}

/* ---- the loop ---- */

/* Who cannot be let go is dying: its end is waited for, or nobody else would be told of it. */
static void go_on(struct tracee *t, int signal_number)
{
	void *data = (void *)(intptr_t)signal_number;

	if (!over)
		ptrace(PTRACE_SYSCALL, t->tid, 0, data);
	else if (ptrace(PTRACE_DETACH, t->tid, 0, data) == 0)
		t->tid = 0;
}

static void on_stop(pid_t tid, int status)
{
	struct tracee *t = find(tid);
	int number = WSTOPSIG(status), event = status >> 16;

	t->embryo |= !t->seized;
	t->seized = true;
	if (number == (SIGTRAP | 0x80)) {
		on_syscall(t);
		go_on(t, 0);
	} else if (event == PTRACE_EVENT_STOP && number != SIGTRAP && !over) {
		ptrace(PTRACE_LISTEN, tid, 0, 0); /* stopped as a job is */
	} else if (event == PTRACE_EVENT_EXEC) {
		t->looked = t->embryo = false;
		go_on(t, 0);
	} else if (event) {
		go_on(t, 0);
	} else {
		go_on(t, number);
	}
}

static void on_change(pid_t tid, int status)
{
	if (WIFSTOPPED(status)) {
		on_stop(tid, status);
		return;
	}
	if (tid == command) {
		command_exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		fprintf(report, "exit %d\n", command_exit);
		fflush(report);
	}
	find(tid)->tid = 0;
}

static bool reap(void)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
		on_change(tid, status);
	return tid == 0;
}

/* Whoever runs is stopped to be let go. */
static void let_go(void)
{
	over = true;
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (tasks[i].tid && tasks[i].seized)
			ptrace(PTRACE_INTERRUPT, tasks[i].tid, 0, 0);
}

static bool anybody(void)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (tasks[i].tid)
			return true;
	return false;
}

static void watch(int signals)
{
	struct pollfd fds[2] = {{.fd = signals, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	struct signalfd_siginfo info;
	bool letting_go = false;

	for (;;) {
		if (!reap() && !anybody())
			break;
		if (over && !letting_go) {
			letting_go = true;
			fflush(report);
			let_go();
			continue;
		}
		if (over && !anybody())
			break;
		if (poll(fds, 2, over ? 10 : -1) < 0 && errno != EINTR)
			fail("poll");
		if (fds[0].revents && read(signals, &info, sizeof info) < 0)
			fail("read");
		if (fds[1].revents) {
			over = true;
			fds[1].fd = -1;
		}
	}
}

/* The command goes on untraced, and is still our child. */
static void await_command(void)
{
	pid_t tid;
	int status;

	while (command && command_exit < 0 && (tid = waitpid(-1, &status, __WALL)) > 0)
		on_change(tid, status);
}

static int usage(void)
{
	fprintf(stderr, "usage: deathat FD [--all] ROLE,… N [PID…] [-- COMMAND…]\n");
	return 2;
}

int main(int argc, char **argv)
{
	sigset_t set;
	int signals, i = 2, fd = argc > 1 ? atoi(argv[1]) : -1;

	if (i < argc && strcmp(argv[i], "--all") == 0) {
		all = true;
		i++;
	}
	if (argc < i + 3 || !(roles = role_mask(argv[i])))
		return usage();
	wanted = strtol(argv[i + 1], NULL, 10);
	report = fdopen(fd, "w");
	if (!report || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		fail("the descriptor to report to");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	for (i += 2; i < argc && strcmp(argv[i], "--") != 0; i++)
		seize_threads((pid_t)strtol(argv[i], NULL, 10));
	fprintf(report, "ready\n");
	fflush(report);
	if (i + 1 < argc)
		start_command(argv + i + 1);
	watch(signals);
	await_command();
	fprintf(report, "count %ld\n", counted);
	return 0;
}
