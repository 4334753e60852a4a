/* One task, two teammates, a coordinator that crashes and forgets, workers that die, stop and
 * continue, connections that break with replies under way: assign, ask, answer, finish, lose,
 * release, cancel, retry.
 *
 * What stands for what:
 *   table.pml             coordinator/decide/transition.c, generated from it (tests/model/table.c)
 *   apply                 task_transition               settle, finish_apply   finish.c
 *   finish_lost           finish.c                      schedule               store_tasks_ready, assign
 *   hello, next           worker_link.c                 died, swept            team_worker.c
 *   cancel, doomed        stop.c                        restart                recovery.c
 *   proctype worker       worker/control.c, worker.c    saved                  attempts/N/result.json
 * A turn of the coordinator is one transaction: it is one atomic step here. Its replies leave after
 * the commit or, when the coordinator dies in between, never.
 *
 * Faults are counted out, so every run ends. Two checks make "no task is stuck for ever": there is no
 * cycle at all (run.sh asks for non-progress cycles), and where nothing can move any more the task
 * is settled (proctype rest). Each NO_… switches one guard off: the model must find what it is for. */
#include "table.pml"

#define TEAM 2
#define ATTEMPTS 8 /* more than the faults can cause; assign asserts it */

/* How often, at most: run.sh gives them (-DCRASHES=1 …). */
#ifndef CRASHES
#define CRASHES 0 /* of the coordinator */
#endif
#ifndef DEATHS
#define DEATHS 0 /* of workers; their agents live on until they are swept */
#endif
#ifndef STOPS
#define STOPS 0 /* SIGSTOP of a worker, SIGCONT some time later */
#endif
#ifndef BREAKS
#define BREAKS 0 /* of a connection: what was under way is lost */
#endif
#ifndef REBOOTS
#define REBOOTS 0 /* of the machine */
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef RETRIES
#define RETRIES 0 /* by a person, of what was cancelled or has failed */
#endif
#ifndef FAILS
#define FAILS 0 /* agents that fail; one retry is in the plan */
#endif
#ifndef TERMS
#define TERMS 0 /* workers that are told to go, and release */
#endif
#ifndef ASKS
#define ASKS 0 /* questions of an agent */
#endif
#define PLAN_RETRIES 1

mtype = { HELLO, NEXT, FINISH, RESUME, STALE, ASSIGN, FINISHED, STOP }
mtype = { DOWN, GREETING, READY, ASKING }

/* --- the store: what survives everything --- */
byte status = TASK_PENDING
byte current, newest, losses, failures
byte outcome[ATTEMPTS] = OUTCOME_NONE
byte owner[ATTEMPTS]
byte saved[TEAM], saved_verdict[TEAM] /* result.json, synced */
bool dead_boot[TEAM] /* its worker was of an earlier boot */

/* --- the coordinator's memory --- */
bool linked[TEAM] = true /* its worker said hello on this connection */
byte linked_line[TEAM]
bool idle[TEAM] = true /* holds a worker.next */
byte doomed[TEAM]
bool swept[TEAM]
bool completed[TEAM] /* what became of the result that came with worker.next */

/* --- the workers --- */
bool alive[TEAM] = true
bool stopped[TEAM]
bool broken[TEAM] /* its connection ended; not noticed yet */
mtype link[TEAM] = ASKING
byte line[TEAM] /* the how-manyth connection */
byte work[TEAM]  /* the attempt it runs */
byte agent[TEAM] /* the attempt whose agent lives; it may outlive its worker */
byte ending[TEAM] /* the outcome it was told to end with, 0: none */
byte result[TEAM], verdict[TEAM]

chan up[TEAM] = [4] of { byte, mtype, byte, byte }
chan down[TEAM] = [4] of { mtype, byte, bool }

/* --- what is left of each kind of fault --- */
byte crashes = CRASHES, deaths = DEATHS, stops = STOPS, breaks = BREAKS, reboots = REBOOTS
byte cancels = CANCELS, retries = RETRIES, fails = FAILS, terms = TERMS, asks = ASKS

/* --- witnesses: they decide nothing --- */
byte completions
byte ends[ATTEMPTS], starts[ATTEMPTS]
bool promised /* a worker was told that its finish completed the task */

#define RUNNING_OF(w) \
	((newest > 0 && outcome[newest] == OUTCOME_NONE && owner[newest] == w) -> newest : \
	 ((newest > 1 && outcome[newest - 1] == OUTCOME_NONE && owner[newest - 1] == w) -> newest - 1 : 0))
#define RUNNING (newest > 0 && (outcome[newest] == OUTCOME_NONE || \
	(newest > 1 && outcome[newest - 1] == OUTCOME_NONE)))
#define TERMINAL (status == TASK_COMPLETED || status == TASK_FAILED || status == TASK_CANCELLED)

#define OWNED(a) (current == a && (status == TASK_IN_PROGRESS || status == TASK_NEEDS_INPUT))

/* The guards that can be switched off. */
#define REOPENED false
#ifdef NO_IDEMPOTENCE
#define KNOWN false
#elif defined(NO_FENCE)
#undef REOPENED
#define REOPENED true
#define KNOWN (outcome[a] != OUTCOME_LOST)
#else
#define KNOWN true
#endif
#ifdef NO_LETGO
#define LET_GO true
#else
#define LET_GO (!RUNNING)
#endif
#ifdef NO_PROOF
#define DEAD(w) (!alive[w] || stopped[w])
#else
#define DEAD(w) (!alive[w])
#endif
#ifdef NO_RESEND
#define RESENT false
#else
#define RESENT true
#endif

inline check()
{
	assert(completions <= 1);
	assert(!promised || status == TASK_COMPLETED);
	assert(!(agent[0] && agent[1])); /* one owner at a time */
	assert(!agent[0] || agent[0] == current); /* who is stale touches nothing */
	assert(!agent[1] || agent[1] == current)
}

/* --- task_transition --- */
inline apply()
{
	look_up(verb);
	if
	:: cell == CELL_REFUSED || cell == CELL_CHOICE_COMPLETED || cell == CELL_CHOICE_FAILED -> skip
	:: cell == CELL_PENDING ->
		if
		:: verb == VERB_RETRY -> failures = 0; losses = 0
		:: else
		fi;
		status = TASK_PENDING
	:: cell == CELL_IN_PROGRESS -> status = TASK_IN_PROGRESS
	:: cell == CELL_NEEDS_INPUT -> status = TASK_NEEDS_INPUT
	:: cell == CELL_COMPLETED -> status = TASK_COMPLETED; completions++
	:: cell == CELL_CANCELLED -> status = TASK_CANCELLED
	:: cell == CELL_FAIL ->
		failures++;
		status = (failures > PLAN_RETRIES -> TASK_FAILED : TASK_PENDING)
	:: cell == CELL_LOSE ->
		losses++;
		status = (losses >= LOSSES_MAX -> TASK_FAILED : TASK_PENDING)
	:: cell == CELL_ANSWER ->
		status = ((current && outcome[current] == OUTCOME_NONE) -> TASK_IN_PROGRESS : TASK_PENDING)
	fi
}

/* --- finish.c --- */
inline settle(a, o)
{
	accepted = (current == a);
#ifdef NO_FENCE
	accepted = true;
#endif
	if
	:: accepted && (status == TASK_IN_PROGRESS || status == TASK_NEEDS_INPUT) ->
		assert(current == a); /* who is stale decides nothing */
		if
		:: o == OUTCOME_COMPLETED -> verb = VERB_COMPLETE
		:: o == OUTCOME_FAILED -> verb = VERB_FAIL
		:: o == OUTCOME_CANCELLED -> verb = VERB_CANCEL
		:: o == OUTCOME_RELEASED -> verb = VERB_RELEASE
		:: o == OUTCOME_LOST -> verb = VERB_LOSE
		fi;
		apply()
	:: else
	fi
}

inline end_attempt(a, o)
{
	ends[a]++;
	assert(ends[a] <= 1 || REOPENED); /* one end an attempt, whatever is said again */
	outcome[a] = o;
	settle(a, o)
}

inline finish_apply(a, o)
{
	if
	:: outcome[a] != OUTCOME_NONE && KNOWN ->
		accepted = (outcome[a] != OUTCOME_LOST && current == a)
	:: else -> end_attempt(a, o)
	fi
}

inline end_of_worker(w)
{
	a = RUNNING_OF(w);
	if
	:: a && saved[w] == a -> v = saved_verdict[w] /* finish_leftover */
	:: a && saved[w] != a -> v = (dead_boot[w] -> OUTCOME_RELEASED : OUTCOME_LOST)
	:: else
	fi;
	if
	:: a -> finish_apply(a, v)
	:: else
	fi
}

/* --- connections --- */
inline drop_up(queue)
{
	do
	:: nempty(queue) -> queue?_, _, _, _
	:: empty(queue) -> break
	od
}

inline cut(w) /* the worker's end of the connection is gone */
{
	do
	:: nempty(down[w]) -> down[w]?_, _, _
	:: empty(down[w]) -> break
	od;
	broken[w] = (alive[w] && link[w] != DOWN)
}

inline forget() /* the serving process dies and is started again: only the store is left */
{
	cut(0); cut(1);
	drop_up(up[0]); drop_up(up[1]);
	linked[0] = false; linked[1] = false;
	idle[0] = false; idle[1] = false;
	doomed[0] = 0; doomed[1] = 0;
	swept[0] = false; swept[1] = false
}

/* An effect, after the commit. A crash before it is read loses it: forget empties the queue. */
inline tell(w, k, x, y)
{
	if
	:: linked[w] && linked_line[w] == line[w] && alive[w] && link[w] != DOWN && !broken[w] ->
		assert(nfull(down[w])); down[w]!k, x, y
	:: else
	fi
}

inline say_hello(w)
{
	if
	:: alive[w] && ln == line[w] ->
		linked[w] = true;
		linked_line[w] = ln;
		idle[w] = false;
		k = RESUME;
		if
		:: x && (owner[x] != w || outcome[x] == OUTCOME_LOST) -> k = STALE
		:: else
		fi;
		tell(w, k, x, false);
		if /* resumed_effect: what it missed */
		:: x && k == RESUME && x == RUNNING_OF(w) && (current != x || status == TASK_CANCELLED) ->
			tell(w, STOP, x, false)
		:: else
		fi
	:: else /* a dead worker's, or an older connection's */
	fi
}

inline deliver(w, n)
{
	if
	:: idle[w] -> idle[w] = false; tell(w, ASSIGN, n, completed[w])
	:: else
	fi
}

inline tidy() /* nothing is left of a turn */
{
	w = 0; a = 0; x = 0; v = 0; ln = 0; k = 0; cell = 0; verb = 0; accepted = false
}

/* worker.next and attempt.finish: the latter does not ask for the next one, and counts on whatever
 * connection it comes: bytes of a worker that has died meanwhile are read, too. */
inline told(w)
{
	if
	:: x -> finish_apply(x, v); completed[w] = (accepted && status == TASK_COMPLETED)
	:: else
	fi;
	if
	:: k == FINISH && ln == linked_line[w] -> tell(w, FINISHED, x, completed[w])
	:: k == FINISH && ln != linked_line[w] -> skip /* nobody hears the answer */
	:: k == NEXT ->
		idle[w] = true;
		a = RUNNING_OF(w);
		if
		:: a && OWNED(a) && RESENT -> deliver(w, a)
		:: a && !OWNED(a) -> end_attempt(a, OUTCOME_RELEASED)
		:: else
		fi
	fi
}

inline kill(w)
{
	alive[w] = false; stopped[w] = false;
	cut(w);
	broken[w] = false;
	link[w] = DOWN;
	work[w] = 0; ending[w] = 0; result[w] = 0; verdict[w] = 0
}


#define TAKES(w) (idle[w] && !RUNNING_OF(w))
#define OVERDUE(w) (doomed[w] && RUNNING_OF(w) == doomed[w] && alive[w])
#define BOTH(condition) (condition(0) || condition(1))
#define WHICH(condition) if :: condition(0) -> w = 0 :: condition(1) -> w = 1 fi
#define GONE(w) (DEAD(w) && !swept[w])
#define ASKING_NOW (asks > 0 && status == TASK_IN_PROGRESS && (agent[0] == current || agent[1] == current))

proctype coordinator()
{
	byte a, x, v, w, cell, verb, ln
	mtype k
	bool accepted

	do
	:: atomic { /* a request: one turn */
		(nempty(up[0]) || nempty(up[1])) ->
		if
		:: nempty(up[0]) -> w = 0
		:: nempty(up[1]) -> w = 1
		fi;
		up[w]?ln, k, x, v;
		if
		:: k == HELLO -> say_hello(w)
		:: k == FINISH || (k == NEXT && linked[w] && ln == linked_line[w]) ->
#ifdef NO_COMMIT
			if /* answered before it is written down, and then it dies */
			:: k == FINISH && crashes > 0 && outcome[x] == OUTCOME_NONE && OWNED(x) ->
				tell(w, FINISHED, x, v == OUTCOME_COMPLETED);
				linked[w] = false
			:: true -> told(w)
			fi
#else
			told(w)
#endif
		:: else /* this worker was replaced */
		fi;
		check();
		tidy()
	   }
	:: atomic { /* the scheduler, people, agents that ask */
		if
		:: status == TASK_PENDING && LET_GO && TAKES(0) -> verb = VERB_ASSIGN; w = 0
		:: status == TASK_PENDING && LET_GO && TAKES(1) -> verb = VERB_ASSIGN; w = 1
		:: cancels > 0 && !TERMINAL -> verb = VERB_CANCEL; cancels--
		:: retries > 0 && (status == TASK_CANCELLED || status == TASK_FAILED) -> verb = VERB_RETRY; retries--
		:: ASKING_NOW -> verb = VERB_ASK; asks--
		:: status == TASK_NEEDS_INPUT -> verb = VERB_ANSWER
		fi;
		apply();
		assert(cell != CELL_REFUSED);
		if
		:: verb == VERB_ASSIGN ->
			newest++;
			assert(newest < ATTEMPTS && newest > current); /* attempts only grow */
			current = newest;
			owner[newest] = w;
			deliver(w, newest)
		:: verb == VERB_CANCEL && current && outcome[current] == OUTCOME_NONE ->
			w = owner[current];
			tell(w, STOP, current, false);
			doomed[w] = current
		:: else
		fi;
		check();
		tidy()
	   }
	:: atomic { /* a worker is proven dead: its survivors are ended first */
		BOTH(GONE) ->
		WHICH(GONE);
		linked[w] = false; idle[w] = false;
#ifndef NO_PROOF
		agent[w] = 0;
#endif
		swept[w] = true;
		tidy()
	   }
	:: atomic { /* then its result, or its loss, counts; a new one starts */
		(swept[0] || swept[1]) ->
		if
		:: swept[0] -> w = 0
		:: swept[1] -> w = 1
		fi;
		end_of_worker(w);
		swept[w] = false; dead_boot[w] = false; doomed[w] = 0;
		alive[w] = true;
		check();
		tidy()
	   }
	:: atomic { /* it did not let go within the grace: killed */
		BOTH(OVERDUE) ->
		WHICH(OVERDUE);
		doomed[w] = 0;
		kill(w);
		tidy()
	   }
	:: atomic { crashes > 0 -> crashes--; forget(); tidy() }
	:: atomic { /* the machine: workers of another boot are dead, and nobody is to blame */
		reboots > 0 ->
		reboots--;
		kill(0); kill(1);
		forget();
		agent[0] = 0; agent[1] = 0;
		dead_boot[0] = true; dead_boot[1] = true;
		tidy()
	   }
	od
}

/* --- worker/control.c and worker.c --- */
inline ended(o)
{
	result[me] = work[me];
	verdict[me] = o;
	work[me] = 0; agent[me] = 0; ending[me] = 0;
	if
	:: link[me] == DOWN || link[me] == GREETING -> save()
	:: else
	fi
}

inline save()
{
	saved[me] = result[me];
	saved_verdict[me] = verdict[me]
}

inline confirmed() /* the coordinator has it: our copy goes */
{
	result[me] = 0; verdict[me] = 0;
	saved[me] = 0; saved_verdict[me] = 0
}

inline hear()
{
	if
	:: k == RESUME -> link[me] = READY
	:: k == STALE -> /* its work is kept under a ref of its own */
		link[me] = READY;
		agent[me] = 0; work[me] = 0; ending[me] = 0;
		confirmed()
	:: k == ASSIGN ->
		link[me] = READY;
		promised = promised || (result[me] && done);
		confirmed();
		work[me] = x;
		starts[x]++;
		assert(starts[x] <= 1); /* nothing run twice */
		agent[me] = x;
		check()
	:: k == FINISHED ->
		link[me] = READY;
		promised = promised || (result[me] && done);
		confirmed();
		check()
	:: k == STOP ->
		if
		:: work[me] == x -> ending[me] = OUTCOME_CANCELLED
		:: else
		fi
	fi;
	k = 0; x = 0; done = false
}

#define RUNS (alive[me] && !stopped[me])

proctype worker(byte me)
{
	mtype k
	byte x
	bool done

	do
	:: atomic {
		RUNS && broken[me] ->
		broken[me] = false;
		link[me] = DOWN;
#ifdef NO_REPLAY
		confirmed();
#endif
		save()
	   }
	:: atomic {
		RUNS && !broken[me] && link[me] == DOWN && nfull(up[me]) ->
		line[me] = (line[me] + 1) % 4;
		up[me]!line[me], HELLO, (work[me] -> work[me] : result[me]), 0;
		link[me] = GREETING
	   }
	:: atomic { RUNS && !broken[me] && nempty(down[me]) -> down[me]?k, x, done; hear() }
	:: atomic { /* its agent ends, or is ended */
		RUNS && work[me] ->
		if
		:: ending[me] -> ended(ending[me])
		:: !ending[me] -> ended(OUTCOME_COMPLETED)
		:: !ending[me] && fails > 0 -> fails--; ended(OUTCOME_FAILED)
		:: !ending[me] && terms > 0 -> terms--; ended(OUTCOME_RELEASED)
		fi
	   }
	:: atomic {
		RUNS && !broken[me] && link[me] == READY && !work[me] && nfull(up[me]) ->
		link[me] = ASKING;
		up[me]!line[me], NEXT, result[me], verdict[me]
	   }
	:: atomic { /* attempt.finish */
		RUNS && !broken[me] && link[me] == READY && result[me] && nfull(up[me]) ->
		link[me] = ASKING;
		up[me]!line[me], FINISH, result[me], verdict[me]
	   }
	od
}

/* --- what happens to them --- */
inline cut_off(w)
{
	breaks--;
	linked[w] = false; idle[w] = false;
	cut(w);
	if
	:: drop_up(up[w])
	:: true
	fi
}

proctype faults()
{
	do
	:: atomic { deaths > 0 && alive[0] -> deaths--; kill(0) }
	:: atomic { deaths > 0 && alive[1] -> deaths--; kill(1) }
	:: atomic { stops > 0 && alive[0] && !stopped[0] -> stops--; stopped[0] = true }
	:: atomic { stops > 0 && alive[1] && !stopped[1] -> stops--; stopped[1] = true }
	:: atomic { stopped[0] -> stopped[0] = false }
	:: atomic { stopped[1] -> stopped[1] = false }
	:: atomic { breaks > 0 && linked[0] -> cut_off(0) }
	:: atomic { breaks > 0 && linked[1] -> cut_off(1) }
	od
}

/* Nothing can move any more: then the task is settled and nobody holds anything. */
proctype rest()
{
	timeout ->
	assert(TERMINAL);
	assert(!RUNNING && !agent[0] && !agent[1]);
	assert(!promised || status == TASK_COMPLETED);
	assert(completions == (status == TASK_COMPLETED -> 1 : 0))
}

init {
	atomic {
		run coordinator(); run worker(0); run worker(1); run faults(); run rest()
	}
}
