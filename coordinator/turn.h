/* A turn: everything that is read in one go of the loop is one transaction, each request
 * in its own savepoint. Replies, notifications, spawns and kills are effects: they are
 * queued, run after the commit, dropped on rollback. */
#ifndef PLEACH_TURN_H
#define PLEACH_TURN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "error.h"

struct coordinator;

/* run: after the commit. drop: instead of it, `why` NULL when only its savepoint was rolled
 * back, else why the commit failed. Either frees context. drop NULL: free(context). What they
 * queue in turn is of the next turn, and of its fate. */
typedef void (*effect_fn)(struct coordinator *c, void *context);
typedef void (*effect_drop_fn)(struct coordinator *c, void *context, const struct error *why);

enum effect_kind {
	EFFECT_SYNCED,  /* all that is committed is synced before */
	EFFECT_INNER,   /* needs no sync */
	EFFECT_PATIENT, /* waits for the next sync, whoever needs that */
};

struct effect {
	effect_fn prepare; /* may be NULL */
	effect_fn run;
	effect_drop_fn drop;
	void *context;
	enum effect_kind kind;
};

/* turn_sync.c: syncs that come after their commits. */
struct turn_sync {
	uv_timer_t timer; /* after a commit that only workers were told of */
	bool behind;      /* a sync is under way beside the loop, with: */
	uv_work_t work;
	uv_sem_t ended; /* its thread has done it */
	int error;
	struct patient {
		struct effect effect;
		int64_t mark; /* store_synced_later when it began to wait */
	} * patient;
	size_t n, cap;
};

struct turn {
	bool open;      /* a transaction is open */
	bool nested;    /* a savepoint is open */
	bool preparing; /* what effects will tell is made */
	bool running;   /* effects are being run */
	bool trim;      /* much is freed: it goes back to the kernel once the replies have left */
	json_t *gone;   /* turn_forget */
	struct effect *effects;
	size_t n, cap;
	uv_timer_t timer; /* after a commit that failed */
	struct turn_sync sync;
};

void turn_init(struct coordinator *c);

/* Runs a step in its savepoint; opens the turn when none is open. When `step` fails or a
 * statement failed, all of it is undone. Returns step's value; err is filled on -1. */
typedef int (*turn_step_fn)(struct coordinator *c, void *context, struct error *err);
int turn_step(struct coordinator *c, turn_step_fn step, void *context, struct error *err);

/* After the commit; at once where no turn is open. */
void turn_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context);
/* The same. prepare is called before, while the disk works on the commit, or after it: it makes
 * what `run` will tell, of what is committed then; it queues nothing and tells nobody. Where no
 * turn is open only `run` is called. */
void turn_prepared_effect(struct coordinator *c, effect_fn prepare, effect_fn run,
                          effect_drop_fn drop, void *context);
/* The same, for what nobody sees outside of this process (and no pane): may be run before the
 * commit is on the disk. What it then tells others, in turn, is not. */
void turn_inner_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context);
/* After the next sync of all that is committed then, which it does not ask for: for an answer to
 * who can wait that long (SYNC_MS in turn_sync.c) rather than keep all workers waiting. */
void turn_patient_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context);
/* After the commit like an effect, and while no transaction is open: effects before it may have
 * begun the next turn, then it is of that one. */
void turn_alone(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context);
/* Schedules, commits, runs effects, answers held requests. Nothing when no turn is open. */
void turn_close(struct coordinator *c);
/* Takes what may be megabytes and nobody needs any more: it is freed once the replies have left. */
void turn_forget(struct coordinator *c, json_t *value);
/* At the end of the loop, which does not run again: all is synced, nobody waits, no thread has the
 * store. */
void turn_sync_finish(struct coordinator *c);
/* Sends what is committed and was not sent yet on the bus, once that is open. Outside a turn. */
void turn_publish(struct coordinator *c);

#endif
