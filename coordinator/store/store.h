/* The store: one SQLite file, one connection, opened by the serving coordinator alone.
 *
 * Errors stick: the first failed statement is remembered, later ones do nothing, and
 * whoever opened the savepoint asks store_failed() before it releases it. So no write can
 * be forgotten, and the code that writes reads like prose.
 *
 * Rows come out as plain structs whose text is a copy; each has its *_finish. */
#ifndef PLEACH_STORE_H
#define PLEACH_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "schema.h"
#include "words.h"

struct store;

/* Opens or creates the file and migrates it. Errors: EXTERNAL (disk, corrupt, newer). */
int store_open(const char *file, struct store **out, struct error *err);
void store_close(struct store *store); /* NULL is accepted */

/* One transaction a turn, one savepoint a request. */
int store_begin(struct store *store, struct error *err);
int store_commit(struct store *store, struct error *err); /* on failure it is rolled back */
/* The same in two: between them the disk works on what was written. What is committed may be read
 * then, but must not be told to anybody. */
int store_commit_begin(struct store *store, struct error *err);
int store_commit_end(struct store *store, struct error *err);
void store_rollback(struct store *store);
void store_savepoint(struct store *store);
void store_release(struct store *store);
void store_rollback_to(struct store *store); /* and release; clears what stuck */
/* True when a statement failed since the savepoint; fills err. */
bool store_failed(const struct store *store, struct error *err);
/* Inside the next commit, once the change is in the log and before it is synced: a death of this
 * process keeps it, a power cut need not. `written` says whether it told anybody; a commit that
 * fails after that ends this process, and the next one finds the change. */
typedef bool (*store_written_fn)(void *context);
/* So many commits may wait for their sync at most: what a power cut can take of what workers know.
 */
#define STORE_UNSYNCED_MAX 16
/* may_wait: nobody else is to be told of that commit. Where `written` told somebody it then ends
 * without its sync, until store_settle or the next commit that syncs. */
void store_on_written(struct store *store, store_written_fn written, void *context, bool may_wait);
/* Before anybody hears of anything that outlives a power cut: what is committed is on the disk. A
 * call when it is already. This process dies where that fails. */
void store_settle(struct store *store);
/* So many commits wait for that; and so many ever did, with these. */
int store_unsynced(const struct store *store);
int64_t store_synced_later(const struct store *store);
/* The same beside the loop, one at a time: whether there is something to sync, which another thread
 * then does with store_sync_beside. What is committed meanwhile waits for the next one.
 * store_sync_end takes what became of it: 0, or an errno, of which this process dies. */
bool store_sync_begin(struct store *store);
int store_sync_beside(const struct store *store);
void store_sync_end(struct store *store, int error);

/* For who will commit much: a thread of its own makes the log as large as it ever gets by commits
 * of usual size, beside whatever else is done. Where there is no space for that it grows with each.
 */
void store_make_room(struct store *store);

/* VACUUM INTO a new file, synced; outside a transaction. CONFLICT where there is one; nothing is
 * left of a copy that failed. */
int store_snapshot(struct store *store, const char *file, struct error *err);

/* Settings of this store: small facts that outlive the process. Caller frees. */
char *store_setting(struct store *store, const char *key);
void store_set_setting(struct store *store, const char *key, const char *value);

/* ---- plans (store_plan.c) ---- */
#define PLAN_LANDS_ALL     1u /* merge: auto */
#define PLAN_LANDS_RESOLVE 2u /* resolve: what resolves a conflict */
struct plan_row {
	int64_t id;
	char *name;
	char *source;
	char *base;     /* commit, hex; NULL in an unborn repository */
	char *target;   /* branch; NULL: none given, HEAD detached */
	char *agents;   /* JSON: name → profile */
	char *limits;   /* JSON */
	char *landing;  /* JSON: what the plan says of landing; NULL: nothing */
	unsigned lands; /* what its tasks do by themselves when completed: PLAN_LANDS */
};
void plan_row_finish(struct plan_row *row);
bool plan_row_same(const struct plan_row *a, const struct plan_row *b); /* but for the id */
bool store_plan_find(struct store *store, const char *name, struct plan_row *out);
bool store_plan_get(struct store *store, int64_t id, struct plan_row *out);
/* Of a plan, parsed: name -> profile, and how many at once. Borrowed until anything is written or
 * undone; NULL: no such plan. */
const json_t *store_plan_agents(struct store *store, int64_t id);
/* Profiles ({name: profile}) that the plan does not have yet join it; one of a name that it has
 * stays as it is. */
void store_plan_add_agents(struct store *store, int64_t id, const json_t *profiles);
const json_t *store_plan_limits(struct store *store, int64_t id);
bool store_plan_is_empty(struct store *store, int64_t id);
/* Inserts or updates by name; returns its id. */
int64_t store_plan_put(struct store *store, const struct plan_row *row);
json_t *store_plan_list(struct store *store); /* [{"id","name","counts"…}]; new reference */

/* ---- tasks (store_task.c, store_tasks.c) ---- */
struct task_row {
	int64_t id, plan, parent, chosen, attempt; /* 0: none */
	char *plan_name;
	char *key;
	enum task_kind kind;
	enum task_status status;
	int64_t priority, unfinished, delay_ms;
	int64_t attempts, failures, losses;
	bool settled_blockers; /* when: settled */
	bool slot_none;
	bool budgeted; /* its spec has a budget */
	bool stopped;  /* by a signal to its run: it does not start until somebody asks */
	char *agent;   /* NULL: the teammate's */
	char *model;
	char *choose;    /* NULL but for a choice */
	char *root_base; /* the commit of its plan when it was submitted */
	char *next_base; /* what its next attempt starts from; NULL: not computed yet */
	char *base, *head, *tree;
	bool unchanged;
	enum task_error error_code;
	char *error_message;
	char *input; /* JSON; NULL */
	enum landing_state landing;
	char *landing_detail; /* JSON; NULL */
	char *answer;         /* what a person answered last, for the attempt that asked */
	int64_t resume;       /* the attempt that the next one is to continue; 0: none */
	int64_t created_at, started_at, finished_at; /* ms since the epoch, 0: not yet */
};
void task_row_finish(struct task_row *row);
void task_row_copy(const struct task_row *from, struct task_row *to);
void cleanup_task_row(struct task_row *row);
#define _cleanup_task_ __attribute__((cleanup(cleanup_task_row)))

bool store_task_get(struct store *store, int64_t id, struct task_row *out);
/* With plan NULL: the newest plan that has the key; of what belongs to no plan. 0: none. */
int64_t store_task_find(struct store *store, const char *plan, const char *key);
int64_t store_task_find_adhoc(struct store *store, const char *key);
/* What a person wrote: prompt and the rest. Borrowed-free: new reference
 * {"subject","prompt","metadata","spec","definition"}. */
json_t *store_task_text(struct store *store, int64_t id);
/* Appends the members "subject" and "prompt" of that; with its spec, a new reference. */
json_t *store_task_put_text(struct store *store, int64_t id, struct buf *out);
json_t *store_task_spec(struct store *store, int64_t id); /* new reference */
void store_task_set_spec(struct store *store, int64_t id, const json_t *spec);
/* What the judge of a choice said: {"order":[{"id","reason"}]}. New reference, NULL: nothing. */
json_t *store_verdict(struct store *store, int64_t choice);
void store_verdict_put(struct store *store, int64_t choice, const json_t *verdict); /* NULL: none */
int64_t *store_choices_judged(struct store *store); /* pending choices that a judge decides */
void store_task_set_choose(struct store *store, int64_t id, const char *choose);
/* A plain task that has ended, and whose head has not landed, becomes a choice, to be decided by a
 * person; its attempts and its result are those of a new task of that key, its only alternative so
 * far. Returns that one's id; the choice's status is still that of before (task_transition). */
int64_t store_task_make_choice(struct store *store, int64_t id, const char *key);

struct task_new {
	int64_t plan, parent;
	const char *key, *subject, *prompt, *agent, *model, *choose, *root_base, *definition,
	    *nonce;
	enum task_kind kind;
	int64_t priority;
	int64_t unfinished; /* blockers, where the caller knows and adds them */
	bool settled_blockers, slot_none;
	const json_t *spec, *metadata;
};
int64_t store_task_insert(struct store *store, const struct task_new *task);
/* Takes up a changed definition (not the blockers). */
void store_task_redefine(struct store *store, int64_t id, const struct task_new *task);
int64_t store_task_by_nonce(struct store *store, const char *nonce); /* 0: none */
char *store_task_definition(struct store *store, int64_t id);        /* caller frees */

/* Replaces the blockers and counts those that are unfinished. */
void store_task_set_blockers(struct store *store, int64_t id, const int64_t *blockers, size_t n);
struct edge {
	int64_t task, blocker;
};
/* Of new tasks whose unfinished ones were counted: only the edges; twice the same is once. Both
 * ends must be there: the store does not look. */
void store_edges_add(struct store *store, const struct edge *edges, size_t n);
/* True when `from` can be reached from `to` along blocked_by: an edge would close a cycle. */
bool store_task_reaches(struct store *store, int64_t from, int64_t to);
/* Vectors of ids end with 0; caller frees. */
int64_t *store_task_blockers(struct store *store, int64_t id);
/* Appends [{"id","key","status","head","output"}] under the key: what an agent gets to know of its
 * blockers. */
void store_task_put_inputs(struct store *store, int64_t id, const char *key, struct buf *out);
int64_t *store_task_blocks(struct store *store, int64_t id);
int64_t *store_task_alternatives(struct store *store, int64_t id);
int64_t *store_task_ids(struct store *store, int64_t plan); /* 0: of all plans; in id order */
/* Failed work, the newest first, without alternatives of what is decided. */
int64_t *store_tasks_failed(struct store *store, int64_t limit);
int64_t store_tasks_failed_count(struct store *store);
int64_t *store_tasks_that_ask(struct store *store); /* a person */
int64_t *store_tasks_delayed(struct store *store);
int64_t *store_tasks_landable(struct store *store); /* completed, with a head, not landed */
/* Ready work in order (priority, id) that has no base yet and needs one / can be assigned. */
int64_t *store_tasks_without_base(struct store *store, int64_t limit);
/* It is known that there are neither: since both were last looked for nothing has changed that. */
bool store_tasks_none_starts(struct store *store);
/* The roots that keep a pending task from running: failed, cancelled or waiting for a
 * person, found along the blockers. Empty: not stuck. */
int64_t *store_task_stuck_by(struct store *store, int64_t id);
int64_t store_stuck_count(struct store *store, int64_t plan);   /* 0: of all plans */
bool store_key_is_shared(struct store *store, const char *key); /* by tasks of two plans */
bool store_agent_has_tasks(struct store *store, const char *agent);
/* Names for "did you mean". NULL-terminated; caller frees with strv_free. */
char **store_task_keys(struct store *store, int64_t limit);

/* Tasks that an ended attempt still owns: a death between two writes. For recovery. */
int64_t *store_tasks_orphaned(struct store *store);

/* Fields outside the transition. */
void store_task_set_next_base(struct store *store, int64_t id, const char *commit);
void store_task_clear_next_base_of_dependents(struct store *store, int64_t id);
void store_task_set_chosen(struct store *store, int64_t id, int64_t chosen);
void store_task_set_delay(struct store *store, int64_t id, int64_t delay_ms);
/* It does not start, unless it has ended; it may again; all may (which looks at every task). */
void store_task_stop(struct store *store, int64_t id);
void store_task_go_on(struct store *store, int64_t id);
void store_tasks_go_on(struct store *store);
void store_task_set_landing(struct store *store, int64_t id, enum landing_state state,
                            const char *detail_json);
void store_task_set_output(struct store *store, int64_t id, const char *output);
void store_task_set_answer(struct store *store, int64_t id, const char *answer);
void store_task_set_resume(struct store *store, int64_t id, int64_t attempt);
void store_task_set_priority(struct store *store, int64_t id, int64_t priority);
void store_task_set_prompt(struct store *store, int64_t id, const char *prompt,
                           const char *subject);
void store_task_set_agent(struct store *store, int64_t id, const char *agent, const char *model);
void store_task_set_metadata(struct store *store, int64_t id, const json_t *metadata);
void store_task_set_root_base(struct store *store, int64_t id, const char *commit);
char *store_task_output(struct store *store, int64_t id); /* caller frees; NULL: none */

/* The head of an attempt that ended after its task was cancelled. */
void store_task_set_head(struct store *store, int64_t id, const char *head, const char *tree);

/* Written by task_transition alone. */
struct task_state_change {
	int64_t id;
	enum task_status status;
	int64_t attempt;                                   /* -1: as it was; 0: none */
	int64_t attempts_more, failures, losses, delay_ms; /* failures, losses: -1 as they were */
	const char *base;                                  /* NULL: as it was */
	bool set_result; /* the fields below are taken, NULLs included */
	const char *head, *tree;
	bool unchanged;
	enum task_error error_code;
	const char *error_message;
	const char *input;               /* NULL: cleared */
	int64_t started_at, finished_at; /* -1: as they were */
};
void store_task_write_state(struct store *store, const struct task_state_change *change);

/* Ready tasks that can be assigned now, in order (priority, then id). */
struct ready_row {
	int64_t id, plan, priority, attempt; /* attempt: the last one, 0: none */
	bool budgeted;
	char *agent; /* NULL: any teammate */
};
size_t store_tasks_ready(struct store *store, int64_t limit, struct ready_row **out);
void ready_rows_free(struct ready_row *rows, size_t n);
/* How many of a plan's tasks an agent (NULL: any) works on now. */
int64_t store_tasks_running(struct store *store, int64_t plan, const char *agent);
int64_t store_tasks_ready_count(struct store *store);

/* ---- attempts (store_attempt.c) ---- */
struct attempt_row {
	int64_t id, task;
	char *teammate, *branch, *base, *head, *tree, *agent, *model, *slot;
	enum attempt_outcome outcome;
	bool unchanged;
	char *verify, *usage, *changes, *measures, *kept, *error_message; /* JSON but for the last;
	                                                                   * NULL */
	char *session;   /* the agent's own, as far as it is known */
	char *continues; /* JSON: {"attempt","session","head","why"}; NULL: it began anew */
	char *rounds;    /* JSON: [proof], one a verify that was fed back or counts */
	enum task_error error_code;
	int64_t started_at, ended_at;
	double seconds;
};
void attempt_row_finish(struct attempt_row *row);
void attempt_row_copy(const struct attempt_row *from, struct attempt_row *to);
void cleanup_attempt_row(struct attempt_row *row);
#define _cleanup_attempt_ __attribute__((cleanup(cleanup_attempt_row)))

bool store_attempt_get(struct store *store, int64_t id, struct attempt_row *out);
int64_t store_attempt_insert(struct store *store, const struct attempt_row *row);
/* Leaves out as many numbers as there may be attempts that a power cut took: of each commit whose
 * sync may have waited, one a teammate. */
void store_attempts_skip(struct store *store);
void store_attempt_end(struct store *store, const struct attempt_row *row);
void store_attempt_set_session(struct store *store, int64_t id, const char *session,
                               const char *continues);
void store_attempt_set_rounds(struct store *store, int64_t id, const char *rounds);
bool store_session_in_use(struct store *store, const char *session); /* by an open attempt */
int64_t store_attempt_running_of(struct store *store, const char *teammate); /* 0: none */
int64_t store_attempt_last_of(struct store *store, const char *teammate);    /* likewise */
int64_t *store_attempts_running(struct store *store);
int64_t store_attempt_running_task(struct store *store, int64_t task); /* 0: none */
json_t *store_attempt_slots(struct store *store); /* [DIR] ever used; new reference */
int64_t store_attempt_previous(struct store *store, int64_t task, int64_t before); /* 0: none */
int64_t store_attempt_newest_of(struct store *store, const char *teammate);

/* ---- what attempts used (store_usage.c) ---- */
struct usage_sum {
	bool has_tokens, has_cost; /* somebody told */
	double input, output, cost_usd;
};
/* Sets what an attempt has used so far, all of it: what is more than on earlier days is that
 * day's (yyyymmdd). As often as wanted. usage: {"input_tokens","output_tokens","cost_usd"}. */
void store_usage_put(struct store *store, const struct attempt_row *row, int64_t day,
                     const json_t *usage);
struct usage_sum store_usage_of_task(struct store *store, int64_t task);
struct usage_sum store_usage_of_plan(struct store *store, int64_t plan);
/* Of a session, in attempts before that one. */
struct usage_sum store_usage_of_session(struct store *store, const char *session, int64_t before);
struct usage_sum store_usage_of_day(struct store *store, int64_t day);
/* Usage of the interface: null where nobody told anything. New reference. */
json_t *store_usage_json(const struct usage_sum *sum);
enum usage_by { USAGE_BY_TASK, USAGE_BY_AGENT, USAGE_BY_PLAN, USAGE_BY_DAY };
/* Rows of `usage`: of a plan (0: all), of attempts that ran at or after `since`. New reference. */
json_t *store_usage_list(struct store *store, enum usage_by by, int64_t plan, int64_t since);

/* ---- agents that are held (store_hold.c) ---- */
struct hold_row {
	char *agent;          /* "": all, for today's budget is used up */
	int64_t until, since; /* ms since the epoch; until 0: it is over */
	int64_t deadline;     /* ms of CLOCK_BOOTTIME, of that boot */
	char *boot;
	int64_t tries;   /* how often in a row nobody said how long */
	int64_t attempt; /* whose word it was */
	char *message;
};
void hold_row_finish(struct hold_row *row);
void cleanup_hold_row(struct hold_row *row);
#define _cleanup_hold_ __attribute__((cleanup(cleanup_hold_row)))
bool store_hold_get(struct store *store, const char *agent, struct hold_row *out);
void store_hold_put(struct store *store, const struct hold_row *row);
void store_hold_remove(struct store *store, const char *agent);
bool store_hold_any(struct store *store);                           /* one that is not over */
size_t store_hold_list(struct store *store, struct hold_row **out); /* those; caller frees each */

/* ---- events (store_event.c) ---- */
/* Appends; returns seq. data is borrowed, may be NULL. 0 ids are null. */
int64_t store_event_add(struct store *store, const char *kind, int64_t task, int64_t attempt,
                        const char *teammate, const json_t *data);
/* task.created, for each of the tasks with these ids. */
void store_event_created(struct store *store, int64_t first, int64_t last);
/* Gives those with seq > since, at most limit, to `take`: what each is, and the Event, encoded.
 * Returns how many. */
typedef void (*store_event_fn)(void *context, int64_t seq, const char *kind,
                               const struct buf *event);
int64_t store_events(struct store *store, int64_t since, int64_t limit, store_event_fn take,
                     void *context);
/* Appends them to an array. Returns the seq of the last, or since. */
int64_t store_events_put(struct store *store, int64_t since, int64_t limit, struct buf *out);
int64_t store_event_last(struct store *store);
/* What became of the tasks of a plan since then, for who follows them. */
struct changes {
	int64_t *tasks;    /* that changed, once each; 0 at the end */
	struct buf events; /* encoded, without the brackets of their array: of no task, and those
	                    * that say more than the Task does */
	int64_t seq;       /* everything up to this one is in it */
};
/* At most `limit` tasks, and not too many events, of which other plans' may be most: there is more
 * where seq is not that of the last event. */
void store_changes(struct store *store, int64_t plan, int64_t since, size_t limit,
                   struct changes *out);
void changes_finish(struct changes *changes);
void store_event_forget(struct store *store, int64_t seq); /* old progress */

/* ---- messages (store_message.c) ---- */
enum message_state {
	MESSAGE_QUEUED,
	MESSAGE_DELIVERED,
	MESSAGE_UNKNOWN, /* its agent died while it was being handed over: never handed over again
	                  */
	MESSAGE_DROPPED  /* an answer whose question is gone */
};
const char *message_state_word(enum message_state state);
#define MESSAGE_PEOPLE "people" /* the recipient that is no teammate */

struct message_new {
	const char *to;    /* a teammate or MESSAGE_PEOPLE; NULL: whoever works on the task */
	int64_t task;      /* 0: none */
	const char *from;  /* a teammate; NULL: a person */
	int64_t from_task; /* what that teammate works on */
	int64_t attempt;   /* an answer: to that attempt and no other; 0: a message */
	int64_t request;   /* an answer: to that question of it; 0: it is typed */
	const char *text;
};
int64_t store_message_add(struct store *store, const struct message_new *message);
/* True when it was queued until now. */
bool store_message_settle(struct store *store, int64_t id, enum message_state state);
/* [{"id","text","from","from_key","request"}] queued for that teammate or its task, in the order
 * in which they were sent: those beyond `after`, until they have `most` bytes. New reference. */
json_t *store_message_waiting(struct store *store, const char *teammate, int64_t task,
                              int64_t after, size_t most);
/* The same of the answers to an attempt, all. */
json_t *store_message_answers(struct store *store, int64_t attempt);
/* How many of the agents of that task are queued, for anybody. */
int64_t store_message_queued_by(struct store *store, int64_t task, int64_t *bytes);
/* True when a person answered that question already. */
bool store_message_answered(struct store *store, int64_t attempt, int64_t request);
bool store_message_any_queued(struct store *store);
/* Answers to an attempt that has ended: nobody asks any more. */
void store_message_drop_answers(struct store *store, int64_t attempt);
/* The last `limit` ones of all, oldest first, of `bytes` together (one more may go over them);
 * `who` (NULL: of all): from or to that teammate, or about that task (0: none). [Message of
 * docs/protocol.md]. New reference. */
json_t *store_message_list(struct store *store, const char *who, int64_t task, int64_t limit,
                           size_t bytes);
int64_t store_message_unread(struct store *store); /* by people */

/* ---- the team (store_team.c) ---- */
struct teammate_row {
	char *name;
	int64_t number;
	char *agent;   /* NULL: any */
	char *profile; /* JSON; NULL: the plan's */
	bool paused, removing, keep_session;
	int64_t pid, start_time;
	char *boot;
};
void teammate_row_finish(struct teammate_row *row);
/* Array of n rows; caller frees each and the array. */
size_t store_team_list(struct store *store, struct teammate_row **out);
void store_team_put(struct store *store, const struct teammate_row *row);
void store_team_set_process(struct store *store, const char *name, int64_t pid, int64_t start_time,
                            const char *boot);
void store_team_remove(struct store *store, const char *name);

/* ---- landings (store_landing.c) ---- */
struct landing_row {
	int64_t id;
	char *target, *before, *after;
	char *tasks;  /* JSON: [{"task","key","commit",…}] */
	char *undoes; /* JSON: [id] of the landings that this one takes back; NULL: it lands */
};
void landing_row_finish(struct landing_row *row);
int64_t store_landing_open(struct store *store, const struct landing_row *row);
void store_landing_close(struct store *store, int64_t id, bool landed);
void store_landing_undone(struct store *store, int64_t id);
/* The open landing after the one with that id, if any: one a target at a time. */
bool store_landing_pending(struct store *store, int64_t after, struct landing_row *out);
/* Completed tasks that conflicted, failed merged or were refused, the oldest first. 0 ends it. */
int64_t *store_tasks_unlanded(struct store *store, int64_t limit);
/* Those that conflict with something on that target. 0 ends it. */
int64_t *store_tasks_conflicting(struct store *store, const char *target);
/* The newest landing of a target that stands, older than that one (0: the newest). */
bool store_landing_last(struct store *store, const char *target, int64_t before,
                        struct landing_row *out);
/* The target of the newest landing that stands. Caller frees; NULL: none. */
char *store_landing_newest_target(struct store *store);

/* The queue of what waits to land. */
struct queue_row {
	int64_t id, task;
	char *target;
	bool squash;
	int64_t priority;
};
void queue_row_finish(struct queue_row *row);
/* Nothing when the task is in it. */
/* Those of the higher priority first, then the oldest; what waits for another has to be added
 * after it, and the other raised to its priority. */
void store_queue_add(struct store *store, const struct queue_row *row);
void store_queue_raise(struct store *store, int64_t task, int64_t priority);
void store_queue_remove(struct store *store, int64_t task);
bool store_queue_get(struct store *store, int64_t task, struct queue_row *out);
/* In order, the first `limit` (-1: all). */
int64_t *store_queue_tasks(struct store *store, const char *target, int64_t limit);
/* [{"task","key","target"}] of all targets, in order. New reference. */
json_t *store_queue_json(struct store *store);
char **store_queue_targets(struct store *store); /* caller frees with strv_free */
bool store_queue_any(struct store *store);
/* Completed tasks of plans with merge: auto (0: of all) that nobody has queued or undone. */
int64_t *store_queue_candidates(struct store *store, int64_t plan);
/* Completed tasks of the plan that were refused, through no fault of their own. */
int64_t *store_queue_refused(struct store *store, int64_t plan);
unsigned store_plan_lands(struct store *store, int64_t plan);
/* [{"key","base","head"}] of the newest tasks that landed on a target. New reference. */
json_t *store_landed_on(struct store *store, const char *target, int64_t limit);

/* ---- views of it all for people (store_view.c) ---- */
enum task_view {
	TASK_LINE,  /* what a line of `run` shows: no title, and no edges that it does not show */
	TASK_BRIEF, /* without what may be large: prompt and output */
	TASK_WHOLE
};
/* Appends the members of its Task but "name". sparse: without those that are null, false or empty.
 */
void store_task_put(struct store *store, const struct task_row *task, enum task_view of,
                    bool sparse, struct buf *out);
/* Of a task that was never begun and waits for its turn alone what its line needs, the cheap way:
 * id, key, kind, parent, status, ready. False, and nothing: it is another, or none. */
bool store_task_put_waiting(struct store *store, int64_t id, struct buf *out);
json_t *store_status_counts(struct store *store, int64_t plan); /* 0: all; new reference */

#endif
