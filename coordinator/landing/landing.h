/* What the files of landing share: the queue of tasks that wait to land, one lane a target
 * that takes them there, and the requests that wait for what becomes of them.
 *
 * The queue is in the store; lanes and requests are rebuilt from it and from whoever asks
 * again. Only landing*.c include this. */
#ifndef PLEACH_LANDING_H
#define PLEACH_LANDING_H

#include "coordinator.h"
#include "jsonl.h"

#define LANDING_AHEAD     2   /* proofs of one target at a time, unless a plan says (ahead) */
#define LANDING_AHEAD_MAX 16  /* the most it may say; also all integration slots together */
#define LANDING_BATCH_MAX 64  /* tasks that may be proven as one (batch) */
#define LANDING_TRIES     10  /* how often a target that moved meanwhile is tried again */
#define LANDING_NAMED     200 /* landed tasks that a conflict is looked for in */

struct lane;
struct hold;
struct merge_request;

struct landings {
	struct lane *lanes;
	struct merge_request *requests;
	int64_t numbers;    /* of requests */
	char *undoing;      /* the target that is being moved back; NULL: none */
	unsigned slots;     /* bit n: integration slot n is in use */
	struct hold *holds; /* targets on which nothing lands meanwhile */
	uv_timer_t timer;   /* to try those again */
	bool refused;       /* something was that may be looked at again */
	bool open;          /* recovery has settled what was under way */
	bool cancelled;     /* down --now: nothing lands by itself any more */
};

/* What became of a queued task. */
enum landing_fate {
	FATE_LANDED,
	FATE_CONFLICT,
	FATE_VERIFY_FAILED,
	FATE_REFUSED, /* nobody's fault: files in the way, a target in a rebase, the end */
	FATE_STOPPED, /* a blocker did not land */
};

/* ---- landing.c ---- */
/* What the plan says of landing: {} where nothing. New reference. */
json_t *landing_policy(struct coordinator *c, int64_t plan);
/* In a step: into the queue, unless it is there. After the commit its lane is looked at. */
void landing_enqueue(struct coordinator *c, const struct task_row *task, const char *target,
                     bool squash);
/* In a step, completed tasks: they and their blockers, in order, onto the targets of their plans;
 * but for those that something has failed to land below. */
void landing_enqueue_all(struct coordinator *c, const int64_t *tasks);
/* In a step: looked at after the commit. target NULL: all. */
void landing_kick(struct coordinator *c, const char *target);
/* An item of `pleach-git weave`. asked: by a person, so with what people have committed on its
 * branch since. New reference; NULL when the task is gone. */
json_t *landing_item(struct coordinator *c, int64_t task, const char *target, bool squash,
                     bool asked);
/* Of a step of weave, borrowed: what a person has added to the task's head, or NULL; what lands,
 * that or the head. */
const char *landing_step_added(const json_t *step);
const char *landing_step_head(const json_t *step);
/* The rest of such a request: {"target","items","landed","sign","env"}. Takes items. */
json_t *landing_weave_request(struct coordinator *c, const char *target, json_t *items,
                              int64_t plan);

/* ---- landing_lane.c ---- */
/* Opens the lane of a target where something waits, and does what can be done in it. */
void lane_look(struct coordinator *c, const char *target);
/* A task is no longer what the lane has merged. */
void lane_drop(struct coordinator *c, int64_t task);
void lanes_end(struct coordinator *c); /* ends the proofs that run */
bool lanes_busy(const struct coordinator *c);
/* True while the lane of a target has proofs or moves under way. */
bool lane_is_open(const struct coordinator *c, const char *target);
/* "proving" or "proven" for what is beyond waiting, else "queued". */
const char *lane_state_of(const struct coordinator *c, int64_t task);

/* ---- landing_hold.c ---- */
void holds_init(struct coordinator *c);
/* Nothing lands there; tried again later, each time after a longer pause. */
void hold_begin(struct coordinator *c, const char *target, const struct error *why, bool person);
/* In a step: tells of it, once; something has landed there, or nothing waits any more. */
void hold_tell(struct coordinator *c, const char *target);
void hold_end(struct coordinator *c, const char *target);
bool hold_is_on(const struct coordinator *c, const char *target);
/* Waiting alone does not end it. */
bool hold_wants_person(const struct coordinator *c, const char *target);

/* ---- landing_proof.c ---- */
/* The integration slots that are there: paths. New reference. */
json_t *proofs_slots(const struct coordinator *c);
/* Logs what `pleach-git tidy` said of them. */
void proofs_tidied(const json_t *result, const struct error *why);

/* ---- landing_record.c: in a step ---- */
/* What was written, to be told after the step: [{"task","fate","entry"}]. */
/* steps: what weave said of the tasks that the target now contains. verify may be NULL. */
void landing_record_landed(struct coordinator *c, const char *target, const json_t *steps,
                           const json_t *verify, json_t *told);
/* Out of the queue without having landed; and so is what waits behind it. */
void landing_record_aside(struct coordinator *c, const char *target, const json_t *step,
                          enum landing_fate fate, json_t *told);
/* It does not get into the queue: what it waits for does not land by itself. */
void landing_record_stopped(struct coordinator *c, const struct task_row *task, int64_t by,
                            const char *target);
/* These keys were undone there: who conflicted with nothing else has not been tried any more. */
void landing_record_unclashed(struct coordinator *c, const char *target, const json_t *undone);
/* Everything of that target out of the queue; with `keep` what lands by itself stays there. */
void landing_record_end(struct coordinator *c, const char *target, const struct error *why,
                        bool keep, json_t *told);

/* ---- landing_request.c ---- */
/* Somebody waits for what becomes of it. */
bool landing_is_asked(const struct coordinator *c, int64_t task);
/* After the step that wrote it. */
void landing_tell(struct coordinator *c, const json_t *told);
/* The target has moved: from, to; or stands there: the same twice. `verify`: what proved it, or
 * NULL. */
void landing_tell_moved(struct coordinator *c, const char *target, const char *before,
                        const char *after, const json_t *verify);

/* ---- landing_resolve.c: in a step ---- */
/* Makes a task of a conflict, when the plan names an agent for it. 0: no. */
int64_t landing_resolve(struct coordinator *c, const struct task_row *task, const char *target,
                        const json_t *step);
/* A resolver's own result does not land: what it was to resolve is merged anew, for another one,
 * as often as is worth it. */
void landing_resolve_again(struct coordinator *c, const struct task_row *task, const char *target);
/* A task has landed: what it resolved has, too, and what waited behind that is queued. */
void landing_resolved(struct coordinator *c, int64_t task, const char *target, const char *commit,
                      json_t *told);
/* What was made to resolve a conflict is queued, for the target that it was made for. */
void landing_resolver_completed(struct coordinator *c, const struct task_row *task);
/* The task whose conflict this one resolves; 0: none. */
int64_t landing_resolved_task(struct coordinator *c, int64_t task);
/* The paths that this task was made to resolve. New reference or NULL. */
json_t *landing_resolves(const json_t *text);

#endif
