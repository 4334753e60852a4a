/* The serving process: what its parts share. One thread, one loop; nothing here blocks. */
#ifndef PLEACH_COORDINATOR_H
#define PLEACH_COORDINATOR_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "bus.h"
#include "error.h"
#include "place.h"
#include "rpc_peer.h"
#include "store.h"
#include "team.h"
#include "token.h"
#include "turn.h"
#include "views.h"

/* How the serving process tells its supervisor why it ended. */
#define SERVE_EXIT_DOWN 42 /* asked to: the supervisor ends too */

#define IDLE_END_MS  (10 * 60 * 1000) /* without a team and without callers */
#define STOP_GRACE_S 10               /* between TERM and KILL of an agent */

struct conn;
struct held;
struct gitq;
struct landings;
struct clashes;
struct places;
struct transition;

struct coordinator {
	uv_loop_t loop;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_poll_t accept_poll;
	uv_timer_t idle_timer, accept_timer;
	int listen_fd;
	struct place place;
	char *pinned_file; /* <state>/pinned.json */
	char boot[37];
	int64_t started_at; /* ms since the epoch */
	int64_t supervisor; /* its pid */
	struct store *store;
	struct token_secret secret;
	struct turn turn;
	struct conn *conns;
	struct held *held;
	struct gitq *gitq;
	struct landings *landings;
	struct clashes *clashes;
	struct places *places;
	struct team team;
	struct views *views; /* NULL: headless, or no tmux */
	char *views_problem; /* why there are none, to be said once */
	struct bus_pub *bus;
	struct bus_sub *bus_sub;
	uv_poll_t bus_poll;
	uv_timer_t bus_timer;
	json_t *environment; /* environment.c */
	struct disk {
		uint64_t reserve, room; /* bytes; room of the fullest, while it is low */
		bool low;               /* nothing starts */
		char *path;             /* where */
		int64_t looked_ms;
		uv_timer_t timer;
	} disk;
	uv_timer_t limited_timer;
	int64_t published; /* the last event that was sent on the bus */
	uv_work_t heal;
	bool healing;
	int64_t healed; /* as of the last look after its listener */
	bool moving;    /* the repository was: slots are settled before anything is assigned */
	int pinning;    /* asked of git and not answered: nor is anything assigned before */
	bool draining;  /* down was asked: nothing is assigned any more */
	bool ending;    /* the end has begun: workers exit */
	bool ended;     /* they have; the views are closed last */
};

/* ---- agents' own sessions (session.c) ---- */
struct session_start {
	char *session;
	char *continues; /* JSON, for the attempt's row */
	char *base;      /* where the diff begins; NULL: as any attempt */
};
#define _cleanup_session_ __attribute__((cleanup(session_start_finish)))
void session_start_finish(struct session_start *start);
/* Asking session_continue is worth it. */
bool session_may_continue(const struct task_row *task, const struct teammate *t);
/* The session that an attempt which is about to be assigned goes on with; false: a new one.
 * `next` is its row as far as it is known; profile may be NULL. */
bool session_continue(struct coordinator *c, const struct task_row *task, const struct teammate *t,
                      const struct attempt_row *next, const json_t *profile,
                      struct session_start *out);
/* Where a ready task can go on: THERE, and LATER (not in this turn), name the teammate. */
enum session_place { SESSION_ANYWHERE, SESSION_THERE, SESSION_LATER };
enum session_place session_place(struct coordinator *c, const struct ready_row *ready,
                                 struct teammate **out);
/* Marks the teammates for which a task in its back-off waits: it went on there before. */
void session_reserve(struct coordinator *c);
/* `resume` of the ASSIGNMENT. New reference. */
json_t *session_resume_json(struct coordinator *c, const struct attempt_row *attempt);
/* 0 when a person's wish to go on with the last attempt's session can be met. Errors: INVALID
 * (its agent knows no way), CONFLICT (no session, or nothing kept), BUSY. */
int session_check(struct coordinator *c, const struct task_row *task, struct error *err);
/* In a turn: takes `session`, `refused` and `rounds` of an attempt.state or a FINISH. */
void session_note(struct coordinator *c, struct attempt_row *row, const json_t *said);
bool session_is_told(const json_t *said); /* any of them is there */

/* ---- the reserve of disk (disk.c) ---- */
void disk_init(struct coordinator *c);
/* Whether an attempt may start; tells when that changes, and looks again by itself. */
bool disk_has_room(struct coordinator *c);
/* Why nothing starts, ready to print; NULL where it does. Caller frees. */
char *disk_story(const struct coordinator *c);

/* ---- agents that their service does not serve for a while (limited.c) ---- */
void limited_init(struct coordinator *c);
void limited_arm(struct coordinator *c);                         /* after a restart */
bool limited_is(struct coordinator *c, const char *agent);       /* agent may be NULL */
int64_t limited_until(struct coordinator *c, const char *agent); /* 0: it is not */
bool limited_by(struct coordinator *c, int64_t attempt);         /* it is what stands still */
/* In a step: an attempt tells that its service refuses it, until then (ms since the epoch; 0: not
 * told, and it backs off); that it is served again, or has ended for another reason. */
void limited_note(struct coordinator *c, const struct attempt_row *attempt, int64_t until,
                  const char *message);
void limited_over(struct coordinator *c, const struct attempt_row *attempt);
/* In a step: a person ends the wait of an agent (NULL: of all). Whether there was one. */
bool limited_end(struct coordinator *c, const char *agent);
void limited_hold(struct coordinator *c, const char *agent, int64_t attempt, int64_t until,
                  int64_t tries, const char *message); /* agent "": the day's budget */
void limited_end_day(struct coordinator *c);
json_t *limited_json(struct coordinator *c); /* [{"agent","until","since","message"}] */

/* ---- budgets (budget.c), what was used (usage.c) ---- */
bool budget_day_allows(struct coordinator *c); /* anything may start */
/* What the configuration says of a day, where it says anything. */
void budget_set_day(struct coordinator *c, const json_t *said);
json_t *budget_day_json(struct coordinator *c); /* or null; new reference */
/* Why nothing of a plan starts; NULL: its budget allows it. Caller frees. */
char *budget_of_plan_story(struct coordinator *c, int64_t plan, const json_t *limits);
/* In a step: a ready task may not start for its budget or its plan's: a person is asked. */
bool budget_holds(struct coordinator *c, const struct ready_row *row, const char *plan_story);
/* In a step: asked ones are looked at anew (plan 0: of all). */
void budget_raised(struct coordinator *c, int64_t plan);
/* In a step: parts of a task's own budget (null: none), also while it runs. */
void budget_set_task(struct coordinator *c, int64_t task, const json_t *said);
bool task_asks_for_budget(const struct task_row *row);
/* In a step: what an attempt has used so far. What is over its budget is told to end. */
void budget_used(struct coordinator *c, const struct attempt_row *row, const json_t *usage);
/* [{"of","message"}] of budgets that are nearly used up, under what runs. New reference. */
json_t *budget_near_json(struct coordinator *c);
/* The task's own budget is used up, not its plan's or the day's. */
bool budget_is_its_own(struct coordinator *c, int64_t task);
/* [TEXT] of agents that budgets of this PLAN cannot hold, appended. */
void budget_warn(const json_t *plan, json_t *warnings);
int method_usage(struct request *r, struct error *err);

/* ---- connections and requests (serve.c, answers.c) ---- */
enum role { ROLE_NONE, ROLE_CLI, ROLE_AGENT, ROLE_WORKER };

struct conn {
	struct coordinator *c;
	struct rpc_peer *peer;
	enum role role;
	int64_t attempt;           /* ROLE_AGENT: as whom it speaks */
	struct teammate *teammate; /* ROLE_WORKER */
	struct later *laters;
	struct conn *next;
};

struct request {
	struct coordinator *c;
	struct conn *conn;
	const json_t *id; /* NULL: a notification */
	const char *method;
	const json_t *params; /* never NULL: an empty object at least */

	bool failed; /* an error was sent already: what was asked was undone */
};

/* Sent after the commit. Takes result. */
void request_reply(struct request *r, json_t *result);
/* With that task, as this turn leaves it. */
void request_reply_task(struct request *r, int64_t task);
/* With a result that is encoded: text is a string that holds it, and is taken. patient: see
 * turn_patient_effect. */
void request_reply_text(struct request *r, json_t *text, bool patient);

/* A request that is answered later. Freed by the two that answer; when its caller is gone
 * they only free. */
struct later {
	struct conn *conn; /* NULL: gone */
	json_t *id;
	struct request *request; /* while its step runs */
	struct later *next;
};
struct later *request_later(struct request *r);
void later_reply(struct coordinator *c, struct later *later, json_t *result); /* takes both */
/* After a step of this turn: as request_reply_task. */
void later_reply_task(struct coordinator *c, struct later *later, int64_t task);
/* As request_reply_text; takes both. */
void later_reply_text(struct coordinator *c, struct later *later, json_t *text, bool patient);
void later_fail(struct coordinator *c, struct later *later, const struct error *err);
void later_done(struct later *later); /* it was answered by other means; takes it */

/* A method: its name, who may call it, what it does. */
struct method {
	const char *name;
	unsigned roles; /* bits 1 << enum role */
	int (*run)(struct request *r, struct error *err);
};
#define BY_PEOPLE  (1u << ROLE_CLI)
#define BY_ALL     (1u << ROLE_CLI | 1u << ROLE_AGENT)
#define BY_AGENTS  (1u << ROLE_AGENT)
#define BY_WORKERS (1u << ROLE_WORKER)
const struct method *method_find(const char *name);

/* Runs to the end. `ready` is called when requests are answered. Takes what place holds. */
int serve(struct place *place, int listen_fd, int64_t supervisor, void (*ready)(void),
          struct error *err);
/* Opens the bus a moment from now (serve_bus.c). */
void serve_bus_later(struct coordinator *c);
/* Something was published: the bus is looked after for a while. */
void serve_published(struct coordinator *c);
/* As `down --now`, without anybody to answer. */
void serve_release_all(struct coordinator *c);
/* Part of a step: whoever takes our place under this supervisor goes down, too. */
void serve_will_end(struct coordinator *c);
/* Begins the end: workers exit, views close, then the process ends with DOWN. */
void serve_end(struct coordinator *c);

/* ---- what agents say and are told (methods_agent.c, messages.c, agent_state.c) ---- */
#define SAID_MAX 65536 /* bytes of a question, a progress line or a message */
int check_said(const char *text, struct error *err);
/* The attempt whose token the caller holds, while it is the current one. Errors: STALE. */
int request_attempt(struct request *r, struct attempt_row *attempt, struct task_row *task,
                    struct error *err);
/* Offers its worker what is queued for it, the oldest first and not more than it takes at once; to
 * that of a headless agent only answers. Now, or after the commit. */
void messages_deliver(struct coordinator *c, struct teammate *t);
void messages_deliver_later(struct coordinator *c, const struct teammate *t);
/* In a step: settles what was handed to its agent, as far as its worker wrote that down. */
void messages_attempt_ended(struct coordinator *c, int64_t attempt);
/* In a step: what an attempt.state says of the agent; its task follows. */
int agent_state_take(struct coordinator *c, struct teammate *t, const json_t *params,
                     struct error *err);

/* ---- names (resolve.c) ---- */
/* TASK → id. `ref` NULL: the caller's own (an agent in a pane), else INVALID.
 * Errors: NOT_FOUND with the nearest name, CONFLICT (ambiguous). */
int resolve_task(struct request *r, const char *ref, int64_t *out, struct error *err);
int resolve_task_text(struct coordinator *c, const char *ref, int64_t *out, struct error *err);
/* What to type for a task, in hints: its KEY, or PLAN/KEY where two plans have that. Caller frees.
 */
char *task_typed(struct coordinator *c, const struct task_row *row);
/* Appends a Task with that as its "name"; of a list of many (`among`) only what may need somebody
 * has one. False: there is none, or the store failed. */
bool task_put(struct coordinator *c, int64_t id, enum task_view of, bool sparse, size_t among,
              struct buf *out);
/* All of one, as a string that holds it; of none that holds null. New reference. */
json_t *task_encoded(struct coordinator *c, int64_t id);
/* One as a value, for who reads it here. New reference, or NULL. */
json_t *task_tree(struct coordinator *c, int64_t id, enum task_view of);
/* WHO → teammate: its name, or the one on a task. */
int resolve_who(struct request *r, const char *who, struct teammate **out, struct error *err);
/* Of a WHO that is no teammate: the task. */
int resolve_who_task(struct request *r, const char *who, int64_t *out, struct error *err);
/* By their names. Errors: NOT_FOUND with the nearest one. */
int resolve_teammate(struct coordinator *c, const char *name, struct teammate **out,
                     struct error *err);
int resolve_plan(struct coordinator *c, const char *name, int64_t *out, struct error *err);

/* ---- what lies on the disk (places.c) ---- */
/* From now on it is looked after: every 10 s, and when SIGUSR1 asks. */
void places_watch(struct coordinator *c);
/* pinned.json was written: it is remembered. */
void places_pinned(struct coordinator *c);

/* ---- environment (environment.c) ---- */
/* Writes the file anew. */
int environment_write(struct coordinator *c, struct error *err);
void environment_load(struct coordinator *c);
/* Borrowed params; both are written to environment.json at once. */
int environment_set_base(struct coordinator *c, const json_t *base, struct error *err);
/* part: only some tasks of the plan are in secrets; the others keep theirs. */
int environment_set_plan(struct coordinator *c, const char *plan, const json_t *secrets, bool part,
                         struct error *err);
/* {KEY: {NAME: VALUE}}. Borrowed; NULL: nothing. */
const json_t *environment_of_tasks(struct coordinator *c, const char *plan);
/* What `env:` said of one task alone. Borrowed; NULL: nothing. */
json_t *environment_of_task(struct coordinator *c, const char *plan, const char *key);
/* Its agent's profile ← its own: what a proof of it has beyond its plan's. New reference. */
json_t *environment_of_work(struct coordinator *c, const struct task_row *task);
/* base ← plan ← task, for a landing's verify. New reference: {NAME: VALUE}. */
json_t *environment_for(struct coordinator *c, const char *plan, const char *key);

/* ---- pleach-git children (gitq.c) ---- */
typedef void (*git_done_fn)(struct coordinator *c, const json_t *result, const struct error *err,
                            void *context);
void gitq_init(struct coordinator *c);
/* Asks `pleach-git VERB`; root and pinned are added to the request, which is taken.
 * `done` is called outside any step (it opens its own where it writes) and frees context;
 * result NULL: err says why; &gitq_undone: never asked, because the step that asked was
 * undone: no step may be opened, and whoever opened that one answers. */
extern const struct error gitq_undone;
/* Never asked: undone, or the commit of the turn that asked failed; then a step may be opened, and
 * what was stored together with the question is not there. */
bool gitq_is_unasked(const struct error *why);
/* Somebody killed it over the user's commands (what those left running is ended). */
bool gitq_was_killed(const struct error *why);
void gitq_ask(struct coordinator *c, const char *verb, json_t *request, git_done_fn done,
              void *context);
/* Tells the proof that was asked for with this context to end; `done` is still called. */
void gitq_cancel(struct coordinator *c, const void *context);
/* Nobody runs, and nobody waits to. */
bool gitq_is_idle(const struct coordinator *c);
/* On the way down, each time that patience has ended: kills what runs (what moves a target from the
 * second time on) and starts nothing more. Of what had no answer by then `done` is not called. From
 * the third time on the queue is idle, whatever runs. */
void gitq_close(struct coordinator *c);
bool gitq_is_closed(const struct coordinator *c);

/* ---- held requests (held.c) ---- */
enum held_kind {
	HELD_TASKS,
	HELD_EVENTS,
	HELD_CHANGES,
	HELD_ANSWER,
	HELD_RELEASE,
	HELD_DOWN,
	HELD_HOOK
};
struct held {
	enum held_kind kind;
	struct later *later;
	int64_t *tasks; /* ids, 0 at the end; HELD_ANSWER: the task; HELD_HOOK: the attempt;
	                 * HELD_RELEASE, HELD_DOWN: the attempts that are released */
	int64_t since;  /* HELD_EVENTS, HELD_CHANGES; HELD_HOOK: its number */
	int64_t limit;
	int64_t plan; /* HELD_CHANGES */
	size_t at;    /* HELD_TASKS: those before it were at rest when last looked at */
	size_t
	    ready; /* HELD_EVENTS: bytes of its answer, which only has to be sent (held_prepare) */
	json_t *note;  /* HELD_RELEASE: who leaves;
	                * HELD_HOOK: {"event","nonce"}, and "output" once it is decided */
	bool now;      /* HELD_DOWN: goes on without its caller */
	bool brief;    /* HELD_TASKS: without prompts */
	bool lean;     /* HELD_CHANGES: what a line needs */
	bool unlisted; /* HELD_TASKS: the answer without the tasks */
	struct held *next;
};
void held_add(struct coordinator *c, struct held held); /* takes later and tasks */
/* {"events","seq" of the last one here,"last" of the log}, as a string that holds it. New
 * reference. */
json_t *events_encoded(struct coordinator *c, int64_t since, int64_t limit);
/* The encoded answer to run.changes, NULL while nothing changed (methods_run.c). New reference. */
json_t *run_changes_text(struct coordinator *c, const struct held *h, struct error *err);
/* ---- hooks of agents (permissions.c) ---- */
/* Its worker is asked what hooks wait for: new ones, and all of them when it is back. */
void hooks_ask_again(struct coordinator *c, struct teammate *t);
json_t *hook_result(struct coordinator *c, const struct held *h, struct error *err);
void hook_gone(struct coordinator *c, const struct held *h);

/* Answers what can be answered now: after each commit that changed something. */
void held_check(struct coordinator *c);
/* Makes answers before what they tell of is synced. True: there are some. */
bool held_prepare(struct coordinator *c);
/* Sends them; or throws them away: that sync failed, or comes later. True: there were some. */
bool held_send_prepared(struct coordinator *c);
void held_unprepare(struct coordinator *c);

/* ---- deciding (schedule.c, base.c, choice.c, finish.c, stop.c) ---- */
/* Before the commit of each turn: bases, assignments. */
void schedule_turn(struct coordinator *c);
/* The profile of a task's agent: the plan's, else the teammate's own (t may be NULL). New
 * reference or NULL. */
json_t *attempt_profile(struct coordinator *c, const struct task_row *task, const char *agent,
                        const struct teammate *t);
/* The assignment of a running attempt as its worker gets it. */
struct assignment {
	struct buf text; /* encoded */
	int64_t task;
	char *key;
	bool has_slot;
};
/* finish: what became of its worker's last one, or NULL. False: there is none. */
bool assignment_make(struct coordinator *c, int64_t attempt, const json_t *finish,
                     struct assignment *out);
void assignment_finish(struct assignment *assignment);
/* Finds or starts to compute what ready tasks start from. */
void base_turn(struct coordinator *c);
/* Why tasks wait for what they start from: the disk; NULL: none does. Caller frees. */
char *base_story(void);
/* After any change of an alternative: may pick, ask or fail its parent. */
int choice_update(struct coordinator *c, int64_t alternative, struct error *err);
/* A pending choice whose alternatives may all be settled already. */
int choice_decide(struct coordinator *c, int64_t choice, struct error *err);
bool choice_is_settled(struct coordinator *c, int64_t choice); /* no alternative is open */
int choice_pick(struct coordinator *c, int64_t alternative, struct error *err);
int choice_refuse(struct coordinator *c, int64_t choice, struct error *err); /* pick --none */
/* A person must choose; `problem` (may be NULL) says why nobody else did. */
int choice_ask(struct coordinator *c, int64_t choice, const char *problem, struct error *err);

/* The judge of a choice (judge.c): asked after the commit, once at a time for each choice; the
 * winner is picked, or a person asked, when it has answered. */
int judge_start(struct coordinator *c, int64_t choice);
/* After a restart, once nothing of an earlier coordinator runs: choices that wait for one. */
void judges_resume(struct coordinator *c);
bool judges_busy(void);
void judges_cancel(struct coordinator *c); /* the end has begun; asked again after it */

/* Comparing (compare.c). A row of the table: what the store knows, and what git found (an item
 * of `pleach-git compare`, or NULL). New reference. */
json_t *compare_row(struct coordinator *c, int64_t id, const json_t *git);
/* The comparison is borrowed by `done`; NULL: `why`, which may be &gitq_undone. Called outside
 * any step. `tasks` (0 at the end) is taken; parent 0: no alternatives of one; `patch`: bytes
 * of each patch that go with it. */
typedef void (*compared_fn)(struct coordinator *c, json_t *comparison, const struct error *why,
                            void *context);
void compare_start(struct coordinator *c, int64_t parent, int64_t *tasks, int64_t patch,
                   compared_fn done, void *context);
/* FINISH → transition, evidence, events. Idempotent. `*accepted`: it was the current one. */
int finish_apply(struct coordinator *c, const json_t *finish, bool *accepted,
                 enum task_status *status, struct error *err);
/* The result that a worker wrote down because it could not deliver it. True: applied. */
bool finish_leftover(struct coordinator *c, int64_t attempt);
/* An end that a coordinator may write down by itself: what the worker says later is stale. */
bool finish_is_ours(enum attempt_outcome outcome);
/* The worker of a running attempt is dead. head: where its slot stood, if anybody knows. innocent:
 * it was told to end, nothing is counted. */
void finish_lost(struct coordinator *c, int64_t attempt, const char *head, bool innocent);
/* Whatever changes a task from outside its attempt goes through here: transition, then what
 * follows from it (choices, delays, held requests). */
int task_change(struct coordinator *c, const struct transition *t, struct error *err);
/* Cancels; its worker is told and, when it does not obey, killed after the grace. */
int stop_task(struct coordinator *c, int64_t task, struct error *err);
/* Ends an attempt without its fault: its task goes back to pending when the worker says so. */
void stop_release(struct coordinator *c, int64_t attempt);
/* Tells its worker to end that attempt, and kills the worker if it does not: now, or again after a
 * restart or a reconnect. outcome: "cancelled" or "released". */
void stop_tell(struct coordinator *c, struct teammate *t, int64_t attempt, const char *outcome);
/* Arms the back-off of a task that waits to be retried. */
void delay_arm(struct coordinator *c, int64_t task, int64_t ms);

/* ---- submitting, landing ---- */
int method_plan_submit(struct request *r, struct error *err);
int method_task_add(struct request *r, struct error *err);
int method_task_merge(struct request *r, struct error *err);
int method_task_undo(struct request *r, struct error *err);
int method_task_clashes(struct request *r, struct error *err);
int method_task_compare(struct request *r, struct error *err);
int method_task_more(struct request *r, struct error *err);
int method_gc(struct request *r, struct error *err);
void landings_init(struct coordinator *c);
/* Nothing of an earlier coordinator runs any more. */
bool landings_are_ready(const struct coordinator *c);
bool landings_busy(const struct coordinator *c); /* something waits to land, or is about to */
void landing_recover(struct coordinator *c);     /* goes on with what was queued */
json_t *landings_json(struct coordinator *c);    /* the queue; new reference */
/* Targets on which nothing lands until what the message says is over:
 * [{"target","message","since"}]. New reference. */
json_t *landing_holds_json(const struct coordinator *c);
/* In a step: a task was completed; one is to run again; a plan's merge: auto looked at anew
 * (0: all plans'); down --now. */
void landing_completed(struct coordinator *c, const struct task_row *task);
void landing_forget(struct coordinator *c, int64_t task);
void landing_scan(struct coordinator *c, int64_t plan);
void landings_end(struct coordinator *c);
/* This process ends: so do its proofs; what is queued goes on with the next one. */
void landings_stop(struct coordinator *c);
/* Made by pleach to resolve a conflict: no file has it. */
bool landing_is_resolver(struct coordinator *c, int64_t task);
/* It waits to land, or for the task that resolves its conflict. */
bool landing_is_under_way(struct coordinator *c, const struct task_row *task);

/* ---- who is about to conflict with whom (clashes.c) ---- */
void clashes_init(struct coordinator *c);
/* Something is being worked on: compared some time later. */
void clashes_changed(struct coordinator *c);
/* As of the last comparison, with work that is still under way. */
bool clashes_known(const struct coordinator *c); /* any at all */
bool clashes_with_running(struct coordinator *c, int64_t task);

/* ---- what people see (status.c, team_json.c) ---- */
/* What happened to the team that a person should know: shown by `status` until the next `up` or
 * `run`. Opens a step. */
void notice_set(struct coordinator *c, const char *text);
int method_status(struct request *r, struct error *err);
json_t *team_json(struct coordinator *c);
json_t *teammate_json(struct coordinator *c, const struct teammate *t);

/* ---- after a restart (recovery.c) ---- */
int recovery_run(struct coordinator *c, struct error *err);

/* The branch of a task. Caller frees. */
char *task_branch(const char *plan, const char *key);

#endif
