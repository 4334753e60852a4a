/* Survivors of an agent, while its worker lives.
 *
 * The worker is a child subreaper: whatever an agent starts stays below us in the process
 * tree, however often it forks, calls setsid or closes its descriptors; a parent that ends
 * hands its children up to us. So "no children" (one waitid that says ECHILD) proves that
 * nothing is left, without looking at /proc, and that is the answer after nearly every agent.
 * Only when there are children are their descendants collected and killed. The scan for the
 * marker is for what other programs started on the agent's behalf (a tmux server, a service
 * manager) with its environment: it is done after an attempt that was ended by force or left
 * something behind. The directory is not asked here: a person's shell may stand in the slot. */
#include "sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controls.h"
#include "log.h"
#include "mem.h"
#include "proc.h"

#define GIVE_UP_MS     10000
#define MARKER_TRIES   4
#define PAUSE_FIRST_MS 1
#define PAUSE_MAX_MS   20
#define HOLD_TRIES     100
#define STOP_LOOKS     1000 /* a millisecond apart */

struct process {
	pid_t pid, parent;
	bool ours;
};

struct processes {
	struct process *list;
	size_t n, cap;
};

/* Stopped by sweep_hold and not to be ended (one attempt at a time: one list). */
static struct processes held;

static bool is_held(pid_t pid)
{
	for (size_t i = 0; i < held.n; i++)
		if (held.list[i].pid == pid)
			return true;
	return false;
}

static void processes_read(struct processes *all)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	all->n = 0;
	while (proc && (entry = readdir(proc))) {
		pid_t pid, parent;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		parent = proc_parent(pid);
		if (parent < 0)
			continue;
		if (all->n == all->cap) {
			all->cap = all->cap ? all->cap * 2 : 256;
			all->list = xrealloc(all->list, all->cap * sizeof *all->list);
		}
		all->list[all->n++] = (struct process){pid, parent, false};
	}
	if (proc)
		closedir(proc);
}

/* Marks every process below us. */
static void mark_descendants(struct processes *all)
{
	pid_t self = getpid();
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			struct process *p = &all->list[i];

			if (p->ours)
				continue;
			p->ours = p->parent == self;
			for (size_t k = 0; !p->ours && k < all->n; k++)
				p->ours = all->list[k].ours && all->list[k].pid == p->parent;
			more = more || p->ours;
		}
	}
}

/* Through a pidfd, and only while it still is below the parent that we saw or us: a pid that
 * was reused meanwhile is never hit. */
static void kill_one(const struct process *p, int signal)
{
	int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	pid_t parent;

	if (pidfd < 0)
		return;
	parent = proc_parent(p->pid);
	if (parent == p->parent || parent == getpid())
		syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
	close(pidfd);
}

/* Stops all of them first, so that none forks while the others are killed. */
static void kill_descendants(void)
{
	struct processes all = {NULL, 0, 0};

	processes_read(&all);
	mark_descendants(&all);
	for (size_t i = 0; i < all.n; i++)
		if (all.list[i].ours && !is_held(all.list[i].pid))
			kill_one(&all.list[i], SIGSTOP);
	processes_read(&all);
	mark_descendants(&all);
	for (size_t i = 0; i < all.n; i++)
		if (all.list[i].ours && !is_held(all.list[i].pid))
			kill_one(&all.list[i], SIGKILL);
	free(all.list);
}

/* Whether anybody is left below us but those that are held. */
static bool any_descendant(void)
{
	struct processes all = {NULL, 0, 0};
	bool any = false;

	processes_read(&all);
	mark_descendants(&all);
	for (size_t i = 0; i < all.n && !any; i++)
		any = all.list[i].ours && !is_held(all.list[i].pid);
	free(all.list);
	return any;
}

static bool all_stopped(void)
{
	for (size_t i = 0; i < held.n; i++) {
		char state = proc_state(held.list[i].pid);

		if (state && !strchr("TtZX", state))
			return false;
	}
	return true;
}

/* A signal only asks: on a busy machine, or in the midst of a write, what was told to stop goes on
 * for a moment. */
static void await_stop(void)
{
	const struct timespec pause = {0, 1000000};

	for (int i = 0; i < STOP_LOOKS && !all_stopped(); i++)
		nanosleep(&pause, NULL);
}

void sweep_hold(void)
{
	struct processes all = {NULL, 0, 0};

	/* Until a look finds nobody new: what is stopped can start no more of them. */
	for (int i = 0, found = 1; found && i < HOLD_TRIES; i++) {
		found = 0;
		processes_read(&all);
		mark_descendants(&all);
		for (size_t k = 0; k < all.n; k++) {
			if (!all.list[k].ours || is_held(all.list[k].pid))
				continue;
			kill_one(&all.list[k], SIGSTOP);
			if (held.n == held.cap) {
				held.cap = held.cap ? held.cap * 2 : 16;
				held.list = xrealloc(held.list, held.cap * sizeof *held.list);
			}
			held.list[held.n++] = all.list[k];
			found++;
		}
		if (found)
			await_stop();
	}
	free(all.list);
}

void sweep_let_go(bool end)
{
	for (size_t i = 0; i < held.n; i++)
		kill_one(&held.list[i], end ? SIGKILL : SIGCONT);
	free(held.list);
	held = (struct processes){NULL, 0, 0};
}

/* Reaps what has ended. True while children are left. */
static bool reap_all(void)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (!info.si_pid)
			return true;
	}
}

void sweep_reap(pid_t keep)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		/* Looking first: the agent's own status belongs to whoever waits for it. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid ||
		    info.si_pid == keep)
			return;
		waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static void sweep_clean(struct sweep *s)
{
	if (s->marker && (s->thorough || s->killed) && !held.n && !control_off("sweep")) {
		int n = proc_kill_survivors(s->marker, NULL, 0, MARKER_TRIES);

		if (n != 0)
			log_info("sweep", "ended %d more by their environment", n);
	}
	free(s->marker);
	s->marker = NULL;
	s->running = false;
	s->on_clean(s->context);
}

static void sweep_round(uv_timer_t *timer)
{
	struct sweep *s = timer->data;
	uint64_t pause;

	if (!reap_all() || (held.n && !any_descendant()) || control_off("sweep")) {
		sweep_clean(s);
		return;
	}
	if (uv_now(timer->loop) - s->started > GIVE_UP_MS) {
		log_warn("sweep", "processes that cannot be killed are left behind");
		sweep_clean(s);
		return;
	}
	s->killed = true;
	kill_descendants();
	pause = PAUSE_FIRST_MS + s->rounds++;
	uv_timer_start(&s->timer, sweep_round, pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS, 0);
}

void sweep_init(struct sweep *s, uv_loop_t *loop)
{
	memset(s, 0, sizeof *s);
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
}

void sweep_start(struct sweep *s, const char *marker, bool thorough,
                 void (*on_clean)(void *context), void *context)
{
	s->marker = xstrdup(marker);
	s->thorough = thorough;
	s->killed = false;
	s->running = true;
	s->rounds = 0;
	s->started = uv_now(s->timer.loop);
	s->on_clean = on_clean;
	s->context = context;
	sweep_round(&s->timer);
}
