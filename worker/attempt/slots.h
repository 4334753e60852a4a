/* The worker's one slot, asked from the loop: every call runs on a thread, one at a time,
 * and its end is an event. */
#ifndef PLEACH_WORKER_SLOTS_H
#define PLEACH_WORKER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"
#include "slot.h"

struct slots;

enum slots_verb {
	SLOTS_PREPARE,   /* open the slot where it is not, switch it; running unless setup is due */
	SLOTS_RUN,       /* setup succeeded: recorded, then running */
	SLOTS_COMMIT,    /* commit what the attempt did; prove_begin where `prove` and it counts */
	SLOTS_PROVE_END, /* undo what verify did */
	SLOTS_SNAPSHOT,  /* keep what is there, move nothing */
	SLOTS_KEEP,      /* point a kept ref at `head` */
};

struct slots_job {
	enum slots_verb verb;
	int64_t attempt;
	/* Borrowed until `done` was called. */
	struct slot_order order; /* PREPARE; its branch and base are COMMIT's too */
	const char *subject, *head, *overlay;
	const char *const *protect;
	bool prove; /* COMMIT: a verify will follow */
	bool expect_changes;
	bool again; /* the last try found that the disk takes nothing */
	/* What came of it. */
	int rc;
	struct error err;
	bool setup_due;            /* PREPARE */
	bool half;                 /* PREPARE failed, and the slot holds the branch */
	struct slot_result result; /* COMMIT */
	bool committed;            /* COMMIT: `result` is filled, even where prove_begin failed */
	bool proving;              /* COMMIT: prove_begin succeeded */
	bool unwritable;           /* it failed, and no disk would take it now */
	char **env;                /* PREPARE, RUN: what the agent's git must know; NAME=value */
	char **tampering;          /* slot_take_tampering; both are freed with slots_job_finish */
	char kept[65];             /* SNAPSHOT: the kept commit, or "" */
	void (*done)(struct slots_job *job);
	void *context;
	/* Private. */
	uv_work_t work;
	struct slots *slots;
};

/* All strings are copied. Caller frees with slots_free. */
struct slots *slots_new(uv_loop_t *loop, const char *root, const char *dir, const char *teammate,
                        const char *pinned_file);
void slots_free(struct slots *slots); /* no job may be running; the lock is given back */
const char *slots_dir(const struct slots *slots);
/* Loads the git library beside the loop, so that the first job need not; starts no process and
 * touches no slot. Once: later calls do nothing. */
void slots_load(struct slots *slots);
bool slots_busy(const struct slots *slots);
/* The job is the caller's and must live until `done`. */
void slots_job_finish(struct slots_job *job);
void slots_start(struct slots *slots, struct slots_job *job);

#endif
