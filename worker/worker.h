/* One worker process: its options, its connection, its one attempt. Shared by the files of
 * this folder; each field says who owns it. */
#ifndef PLEACH_WORKER_WORKER_H
#define PLEACH_WORKER_WORKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "attempt.h"
#include "environment.h"
#include "rpc_peer.h"
#include "slots.h"
#include "status.h"
#include "views.h"

struct worker_options {
	const char *name;
	int number;
	const char *socket, *runtime, *state, *root, *common, *slot;
	uint64_t log_cap;
};

/* Which of the coordinator's words we wait for. */
enum worker_link {
	LINK_DOWN,     /* not connected; a timer will try again */
	LINK_HELLO,    /* hello was sent */
	LINK_READY,    /* hello was answered; nothing is asked */
	LINK_ASKING,   /* worker.next is held (with a result: until it is confirmed too) */
	LINK_FINISHING /* attempt.finish was sent: we end after it */
};

/* A file that is kept open and written again for each attempt. fd -1: not open. */
struct worker_file {
	int fd;
	ino_t inode;
};

struct worker {
	struct worker_options options;
	char *token;
	uv_loop_t loop;

	/* worker.c: the connection */
	struct rpc_peer *peer;
	enum worker_link link;
	uv_timer_t retry;
	uv_timer_cb on_retry;
	unsigned retry_ms;
	uint64_t away_since; /* uv_now when the coordinator was lost */
	uint64_t start_time;
	char boot[37];

	/* control.c: what has to be said */
	json_t *result;    /* a FINISH that is not confirmed, or NULL */
	bool result_saved; /* it is in result.json */
	json_t *untold;    /* [[method, params]] since the coordinator went away, or NULL */
	json_t *state;     /* attempt.state that waits for company, or NULL */
	uv_timer_t state_timer;

	/* the attempt under way; NULL when idle */
	struct attempt *attempt;
	struct slots_job keep_job;
	char *keep_head;   /* a refused result's head, while it is being kept */
	json_t *held;      /* the next assignment, which waits for that */
	bool exit_unheard; /* the coordinator could not take the last result: it is saved */
	bool exit_wanted;  /* end as soon as nothing is under way */
	bool exiting;

	/* attempt_agent.c: the prompt file of attempts that need none of their own; -1: not open */
	struct worker_file prompt, inputs;

	uint16_t columns, rows; /* of the newest view */
	uv_timer_t upkeep;
	uv_timer_t trim;
	uv_timer_t exit_timer;
	uv_timer_t disk_timer;   /* attempt_wait.c */
	uv_timer_t hold_timer;   /* attempt_hold.c */
	uv_timer_t screen_timer; /* attempt_talk.c */
	uv_timer_t agent_timer;  /* attempt_talk.c */
	uv_timer_t limits_timer; /* attempt_limits.c */
	uv_signal_t terminate, interrupt;
	uv_prepare_t before_waiting; /* sends what was queued */

	struct environment *environment;
	struct slots *slots;
	struct views *views;
	struct status *status;
};

/* Runs a worker to its end; the process's exit status. Takes token. */
int worker_run(const struct worker_options *options, char *token);

/* For the attempt: it has ended. `finish` (taken) is its FINISH, or NULL when it was stale.
 * w->attempt is NULL already. */
void worker_attempt_over(struct worker *w, int64_t attempt, json_t *finish);
/* Something a person could see has changed. */
void worker_changed(struct worker *w);
/* Ends the process when that is wanted and nothing is under way. */
void worker_maybe_exit(struct worker *w);
/* Asks for work, delivering an unconfirmed result with it; does nothing where that is not due. */
void worker_ask(struct worker *w);
/* The coordinator does not want this worker: end it. */
void worker_unwanted(struct worker *w, const char *why);

/* control.c: messages of the control plane. */
void control_call(struct rpc_peer *peer, const json_t *id, const char *method, const json_t *params,
                  void *context);
void control_hello(struct worker *w);
void control_next(struct worker *w);
void control_finish(struct worker *w);
/* Queues an attempt.state, which is taken. */
void control_state(struct worker *w, json_t *state);
/* A notification, which is taken; kept while the coordinator is away. */
void control_tell(struct worker *w, const char *method, json_t *params);
void control_typed(struct worker *w, int64_t id);
/* Writes the unconfirmed result where recovery finds it (synced); removes it again. */
void control_save_result(struct worker *w);
void control_result_confirmed(struct worker *w);

#endif
