/* Ending everything that an agent (or a setup or verify command) left behind, without
 * stopping the loop. */
#ifndef PLEACH_WORKER_SWEEP_H
#define PLEACH_WORKER_SWEEP_H

#include <stdbool.h>
#include <uv.h>

struct sweep {
	uv_timer_t timer;
	char *marker;
	bool thorough, killed, running;
	uint64_t started;
	unsigned rounds;
	void (*on_clean)(void *context);
	void *context;
};

/* The process must be a child subreaper. */
void sweep_init(struct sweep *sweep, uv_loop_t *loop);
/* Kills every descendant of this process until none is left (or ten seconds have passed: a
 * process in the kernel's hands cannot be killed). thorough: then also looks for processes
 * elsewhere whose environment holds `marker` (NAME=VALUE). on_clean may be called before this
 * returns. */
void sweep_start(struct sweep *sweep, const char *marker, bool thorough,
                 void (*on_clean)(void *context), void *context);
/* Stops every descendant of this process, so that none of them changes anything; a sweep ends only
 * who comes after. Until sweep_let_go, after which they run on, or are ended. */
void sweep_hold(void);
void sweep_let_go(bool end);
/* Reaps descendants that ended under us, except `keep` (0: none): call it from time to time
 * while no other child of ours is waited for. */
void sweep_reap(pid_t keep);

#endif
