/* The team as it runs: teammates, their workers' processes and connections. What must
 * outlive this process is in the store; the rest is learnt again from the workers. */
#ifndef PLEACH_TEAM_H
#define PLEACH_TEAM_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "error.h"
#include "proc.h"
#include "words.h"

#define TEAM_MAX 128 /* teammates of one repository */

struct coordinator;
struct conn;
struct later;
struct watch;

struct teammate {
	char *name;
	int number;    /* PLEACH_SLOT; reused when the teammate is gone */
	char *agent;   /* NULL: takes any task */
	char *profile; /* JSON, of its agent; NULL: the plan's */
	bool paused;
	bool removing;     /* ends when its attempt has ended */
	bool reserved;     /* for a task that is about to go on there (session.c); of this turn */
	bool keep_session; /* its next task goes to the agent's session of its last */
	/* The worker's process; pid 0: none. */
	struct proc proc;
	char *settled;       /* where its attempt stood when it died; NULL: not known */
	struct watch *watch; /* of its pidfd; NULL: none */
	bool sweeping;       /* dead; its survivors are being ended, then its slot is settled */
	bool settling;       /* of that: git was asked, and says when it is over */
	int64_t spawned_ms;  /* awake time */
	int64_t backoff_ms;
	uv_timer_t timer;  /* spawns it again, or kills a worker that does not obey */
	int64_t doomed;    /* the attempt for which the timer kills; 0: it spawns */
	int64_t doom_ms;   /* when, awake time */
	int stopped_looks; /* how often in a row its worker was seen stopped meanwhile */
	/* Its connection, and its held worker.next. */
	struct conn *conn;
	bool heard_by_bus; /* its status url is dialled, for good: nng comes back by itself */
	struct later *idle;
	bool takes_early; /* may be answered before the change is synced */
	/* What it says it does. */
	int64_t attempt, task;
	char *key, *phase, *last_output, *progress;
	int64_t offered; /* the last message that its worker was offered, while more wait; else 0 */
	enum teammate_state
	    says;         /* of its agent: working idle needs_input limited; else STARTING */
	int64_t until_ms; /* limited: wall clock; 0: not known */
	int64_t since_ms, heard_ms, progress_ms, progress_seq;
	json_t *finished; /* what became of its last result, to be told with the next task */
	int64_t released; /* the attempt that was told to end, through no fault of its own */
	struct teammate *next;
};

struct team {
	struct teammate *first;
	bool
	    wanted; /* up was asked since the machine was started: dead workers are started again */
};

/* Opens the views unless they are. Errors: EXTERNAL (no tmux). */
int team_views_open(struct coordinator *c, struct error *err);

/* Reads the team from the store; starts nothing. */
void team_load(struct coordinator *c);
struct teammate *team_find(struct coordinator *c, const char *name);
size_t team_size(const struct coordinator *c);

struct team_member {
	const char *name;            /* NULL: the next free one */
	const char *agent, *profile; /* may be NULL */
	bool keep_session;
};
/* In a turn: the row is written, the worker is started after the commit. Errors: INVALID (name),
 * CONFLICT (exists), BUSY (full). */
int team_add(struct coordinator *c, const struct team_member *who, struct teammate **out,
             struct error *err);
/* In a turn: what people may change of it, as it is now. */
void team_store(struct coordinator *c, const struct teammate *t);
/* In a turn. now: its attempt is released; else it ends after its attempt. */
void team_remove(struct coordinator *c, struct teammate *t, bool now);
/* One that was to be removed and has no worker any more: opens a step of its own. */
void team_gone(struct coordinator *c, struct teammate *t);
/* Out of the list; freed when its timer has closed. In memory only. */
void team_forget(struct coordinator *c, struct teammate *t);
void team_unwatch(struct teammate *t);
#define TEAM_BACKOFF_FIRST_MS 100 /* before a worker that died is started again; doubles */
/* Starts the worker unless it runs. After a commit. */
void team_start(struct coordinator *c, struct teammate *t);
/* Takes over a worker that says hello, or that the store remembers. */
void team_watch(struct coordinator *c, struct teammate *t, pid_t pid, uint64_t start_time);
/* Its worker is proven dead: survivors are ended, then its attempt is lost. */
void team_worker_died(struct coordinator *c, struct teammate *t);
/* Kills the worker if it still runs that attempt after ms; much sooner when it is stopped. */
void team_doom(struct coordinator *c, struct teammate *t, int64_t attempt, int64_t ms);
/* Tells every worker to end when idle (at once with now). */
void team_dismiss(struct coordinator *c);
/* True when no worker's process is left. */
bool team_is_gone(const struct coordinator *c);

enum teammate_state teammate_state(struct coordinator *c, const struct teammate *t);
/* What a view's border and the status say may have changed. */
void teammate_changed(struct coordinator *c, struct teammate *t);
/* <runtime>/w-<name>.sock; <slots>/<name>. Callers free. */
char *teammate_view_socket(const struct coordinator *c, const char *name);
/* What the environment of its worker holds, and nobody else's. Caller frees. */
char *teammate_marker(const struct coordinator *c, const char *name);
char *teammate_slot(const struct coordinator *c, const char *name);
/* ../<repo>.pleach, or under the state directory where the parent is not writable. */
char *team_slots_dir(const struct coordinator *c);
void teammate_set_task(struct teammate *t, int64_t attempt, int64_t task, const char *key);
void teammate_notify(struct teammate *t, const char *method, json_t *params); /* takes params */

/* The worker's side of the control plane (worker_link.c). */
struct request;
int worker_hello(struct request *r, struct error *err);
int method_worker_next(struct request *r, struct error *err);
int method_attempt_finish(struct request *r, struct error *err);
int method_attempt_state(struct request *r, struct error *err);
/* Hears its status on the bus, once that is open. */
void worker_listen_to(struct coordinator *c, struct teammate *t);
void worker_link_lost(struct coordinator *c, struct teammate *t); /* its connection ended */
/* Answers the held worker.next with the assignment, once what stored it is committed (deliver.c).
 */
void worker_deliver_later(struct coordinator *c, const struct teammate *t, int64_t attempt);
/* Right before the commit: whoever may hear of it before the sync, will. may_wait: as
 * store_on_written. */
void worker_tell_early(struct coordinator *c, bool may_wait);

#endif
