/* The inside of an attempt, for attempt*.c. */
#ifndef PLEACH_WORKER_ATTEMPT_PRIVATE_H
#define PLEACH_WORKER_ATTEMPT_PRIVATE_H

#include "acp.h"
#include "attempt.h"
#include "command.h"
#include "output.h"
#include "permissions.h"
#include "readable.h"
#include "report.h"
#include "resume.h"
#include "screen.h"
#include "slots.h"
#include "state.h"
#include "terminal.h"
#include "typing.h"
#include "worker.h"

#define ATTEMPT_ARGUMENT_MAX (128u << 10) /* MAX_ARG_STRLEN of Linux, its NUL included */

/* What holds an attempt, and what it has used so far (attempt_limits.c). */
struct attempt_limits {
	unsigned seen;     /* report_version as of the last look */
	uint64_t told;     /* uv_now of the last attempt.state with what was used */
	bool untold;       /* more was used since */
	json_t *used;      /* by agents of this attempt that have ended, or NULL */
	json_t *before;    /* by the session that its agent goes on with, or NULL */
	char *limited;     /* what its service said, while that holds it; or NULL */
	int64_t until;     /* when that is over, ms since the epoch; 0: not told */
	uint64_t progress; /* uv_now when it was last seen to do something */
	int64_t progress_wall;
	bool asked; /* it waits for a person: no progress is expected, its time stands still */
	uint64_t asked_at;
	bool looking; /* its files are being looked at */
	bool wrapped; /* it was told to come to an end */
	uint64_t started;
	enum task_error cut; /* why we ended it; TASK_ERROR_NONE: we did not */
	char *cut_text;
};

struct attempt_stream {
	struct readable *readable; /* of an agent that prints JSON lines, or NULL */
	struct output *raw;
};

struct attempt_queued {
	int64_t id;
	char *text;
	size_t len;
	bool answer; /* to what its agent asks: goes before everything else */
	struct attempt_queued *next;
};

struct attempt_asks; /* what waits for leave (attempt_asks.c) */

/* What is told to a headless agent between its runs (attempt_turns.c). */
struct attempt_turns {
	bool asking;  /* the coordinator is asked what waits */
	int asks;     /* in vain so far */
	bool runs;    /* the agent runs, or ran last, for messages */
	bool over;    /* one failed: there is no other in this attempt */
	bool limited; /* that one was refused by its service, and nothing ran since */
	int count;
	int64_t *ids; /* of the messages in its prompt, until it is known whether it heard them */
	size_t id_count;
	uint64_t started; /* uv_now when its process was */
	int64_t after;    /* every message up to this one was told, or never fits */
};

/* A message that came: what is offered again after a reconnect is not handed over again. */
struct attempt_known {
	int64_t id;
	bool done;
};

struct attempt {
	struct worker *w;
	json_t *assignment;
	/* Borrowed from the assignment. */
	int64_t id, task;
	const char *key, *plan, *agent, *model, *token, *branch, *base, *subject, *prompt;
	size_t prompt_len;
	const json_t *profile, *spec, *verify;
	enum agent_mode mode;
	double stop_grace;
	bool has_slot;

	char *dir; /* <state>/attempts/<id> */
	char *prompt_file;
	char *inputs_file;
	char *cwd;
	char *marker; /* PLEACH_TOKEN=<token> */
	char **env;   /* made once, the same for setup, agent and verify */

	enum attempt_phase phase;
	uint64_t started;        /* uv_hrtime */
	struct command *command; /* the one that runs, or NULL */
	struct command *living;  /* the agent, held still while verify runs; or NULL */
	bool ending;             /* that one is told to end: its result stands already */
	struct terminal *terminal;
	struct typing *typing;
	struct acp *acp;
	char *acp_problem;       /* why the protocol ended too early, or NULL */
	struct output *output;   /* the agent's, and setup's */
	struct output *verified; /* verify's */
	struct screen *screen;   /* what it shows; NULL: nobody looks */
	struct screen_patterns *patterns;
	struct state *state;   /* what its agent does, as far as anybody says */
	struct report *report; /* of a headless agent that prints JSON lines, or NULL */
	bool agent_ran;
	bool slot_ready;                              /* the slot is switched to this attempt */
	struct attempt_queued *queued, **queued_last; /* to be handed over, in this order */
	struct attempt_queued *in_hand;               /* the one that is under way, or NULL */
	uint64_t dialog_until; /* a dialog on its screen was answered: time for the next screen */
	struct attempt_known *known;
	size_t known_count;
	int journal; /* what was handed over, on disk; -1: nothing yet */
	struct attempt_asks *asks;
	bool answer_told;        /* the assignment's answer */
	char *hook, *hooks_file; /* what it is told of `pleach hook`; NULL: nothing */
	char *session;           /* of the agent, as it says; NULL: unknown */
	char *said;              /* its last words, as its hook told them; NULL: none */

	struct attempt_stream stream;
	struct attempt_limits limits;
	struct attempt_resume resume;
	struct attempt_turns turns;

	/* How it is to end: whatever came first of these. */
	bool stopping, stale, done;
	enum attempt_outcome stop_outcome;

	/* The result as it grows. */
	enum attempt_outcome outcome;
	enum task_error error;
	char *error_text;
	bool committed, proving;
	struct slot_result result;
	json_t *evidence;
	json_t *measures;  /* what was measured, or NULL */
	size_t measured;   /* how many of them */
	json_t *tampering; /* what the slot told of, or NULL */
	char **git_env;    /* what the agent's git must know of the slot */
	char *kept;

	char *waits_for; /* why the slot cannot be let go yet, or NULL (attempt_wait.c) */

	struct slots_job job;
	void (*job_done)(struct slots_job *job);
	char **copy, **link, **paths, **setup_when, **protect;
	char *overlay;
};

/* attempt_agent.c: files, environment, argv, starting. */
int attempt_make_dir(const struct attempt *a, struct error *err);
int attempt_write_files(struct attempt *a, struct error *err);
void attempt_make_env(struct attempt *a);
/* argv of a COMMAND (a string for the shell, or an array). Caller frees with strv_free; NULL
 * when it is neither. */
char **attempt_command_argv(const json_t *command);
char *attempt_command_text(const json_t *command); /* one line to show; caller frees */
/* Starts the agent on a new pseudo-terminal. */
int attempt_start_agent(struct attempt *a, struct error *err);
/* Starts setup or verify; its output goes to `verified` where that is there, else `output`. */
int attempt_start_command(struct attempt *a, const json_t *command, double timeout,
                          void (*on_end)(void *, const struct command_end *), struct error *err);
void attempt_agent_ended(void *context, const struct command_end *end);

/* attempt_stream.c: what a headless agent prints, for people. True: it was shown. */
void attempt_stream_begin(struct attempt *a, const char *kind);
bool attempt_stream_data(struct attempt *a, const char *data, size_t len);
void attempt_stream_end(struct attempt *a); /* twice does nothing more */

/* attempt_talk.c: what its agent does, and what is said to it. */
void attempt_report(struct attempt *a, const struct state_report *report);
void attempt_talk_terminal(struct attempt *a, bool type_prompt); /* it runs on a->terminal */
void attempt_talk_acp(struct attempt *a, int fd);                /* takes fd */
void attempt_talk_output(struct attempt *a, const char *data, size_t len);
void attempt_talk_keys(struct attempt *a, const char *keys, size_t len); /* of a person */
void attempt_talk_end(struct attempt *a);                                /* its agent has ended */
void attempt_talk_finish(struct attempt *a);
/* A text for the agent, behind what waits already. */
void attempt_say(struct attempt *a, const char *text, size_t len);

/* The record of what was handed over: 'b' before the first byte, 'd' behind the last, 'u': it did
 * not begin after all. */
bool attempt_journal(struct attempt *a, char what, int64_t id);
void attempt_handed(struct attempt *a, int64_t id);
/* Offered for the first time; else, when it was handed over already, that is said again. */
bool attempt_is_new(struct attempt *a, int64_t id);

/* attempt_turns.c: a headless agent's messages. */
/* Its run has ended. True: what becomes of the attempt is decided later. */
bool attempt_turn_asks(struct attempt *a);
bool attempt_turn_begins(struct attempt *a);  /* its process starts; false: it must not */
void attempt_turn_started(struct attempt *a); /* it did */
void attempt_turn_data(struct attempt *a);    /* it printed something */
/* A turn for messages failed, or could not be started: true, and the attempt has completed, as it
 * had before the turn. False where it ran for none, or ended well, or was told to end. */
bool attempt_turn_unstarted(struct attempt *a, const char *why);
bool attempt_turn_failed(struct attempt *a, const struct command_end *end);
void attempt_turns_free(struct attempt *a);

/* attempt_hooks.c: how the agent is told of `pleach hook`. */
int attempt_hooks_install(struct attempt *a, struct error *err);
json_t *attempt_hooks_env(const struct attempt *a); /* profile's env and hooks'; new reference */

/* attempt_asks.c: leave that the agent asks for. */
struct attempt_asked {
	const char *title; /* what people read */
	struct permission_request request;
	const json_t *options; /* acp: [{"optionId","name","kind"}] */
	int64_t number;        /* acp: of the request; 0: a hook asks */
	int64_t hook;          /* the hook's number */
	const char *nonce, *event;
};
void attempt_ask(struct attempt *a, const struct attempt_asked *asked);
/* Nobody waits for that one any more. number: acp's; hook: the hook's. */
void attempt_ask_gone(struct attempt *a, int64_t number, int64_t hook);
/* A person's answer to that question. True when it was asked. */
bool attempt_ask_answer(struct attempt *a, int64_t request, const char *text);
bool attempt_asks_any(const struct attempt *a); /* something waits for a person */
void attempt_asks_free(struct attempt *a);

/* attempt.c: the next step when no command and no job is under way. */
void attempt_advance(struct attempt *a);
void attempt_run_agent(struct attempt *a); /* in a slot that is as it is to find it */
void attempt_set_phase(struct attempt *a, enum attempt_phase phase);

/* attempt_hold.c: an agent that lives on while its result is proven. */
bool attempt_hold_wanted(const struct attempt *a);
void attempt_hold(struct attempt *a); /* it said that it is done: verify comes next */
/* True when it was let go again, and told what failed. */
bool attempt_hold_let_go(struct attempt *a);
/* True when it is being ended: attempt_advance follows. */
bool attempt_hold_end(struct attempt *a);
/* It has ended by itself: true when it was held, and there is nothing more to do. */
bool attempt_hold_ended(struct attempt *a);

/* attempt_verify.c: starts verify; attempt_advance follows its end. */
void attempt_verify(struct attempt *a);

/* The job that ended last, once more. */
void attempt_again(struct attempt *a);

/* attempt_limits.c: limits of time, of the service, of money. */
void attempt_limits_begin(struct attempt *a); /* the agent runs */
void attempt_limits_data(struct attempt *a);  /* it said something */
void attempt_limits_end(struct attempt *a);   /* it has ended: nothing is watched any more */
void attempt_limits_free(struct attempt *a);
void attempt_limits_say(struct attempt *a, json_t *state); /* adds to an attempt.state */
void attempt_progress(struct attempt *a); /* it was seen to do something, whoever saw it */
/* Why it ended is known to the limits: the attempt is failed with it. True: it was. */
bool attempt_limits_failed(struct attempt *a, bool ok);
/* A round that does not count was ended for its silence: the next one is not. A budget that is
 * spent stays so. */
void attempt_uncut(struct attempt *a);
/* {"input_tokens","output_tokens","cost_usd"} of all agents of this attempt. New reference. */
json_t *attempt_usage(const struct attempt *a);
/* Before another agent of the same attempt: what the last one used stays counted, its report is
 * freed. */
void attempt_usage_keep(struct attempt *a);
json_t *attempt_limited(const struct attempt *a); /* {"until","message"} or null; new reference */

/* attempt_wait.c: true when the job that ended is tried again later. */
bool attempt_waits(struct attempt *a);

/* attempt_measure.c */
bool attempt_measure_due(const struct attempt *a);
bool attempt_measure_start(struct attempt *a); /* true: one runs now */

/* attempt_show.c: what views see. */
void attempt_show_start(struct attempt *a);
void attempt_show_line(struct attempt *a, const char *text);
void attempt_show_end(struct attempt *a);
/* Bytes of a pipe, as a terminal wants them. */
void attempt_show_pipe(struct attempt *a, const char *data, size_t len);

/* attempt_result.c */
json_t *attempt_result(const struct attempt *a); /* FINISH; new reference */
void attempt_fail(struct attempt *a, enum task_error error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "exit 2: last line"; `said` (may be NULL) instead of the last line. Caller frees. */
char *attempt_end_text(const struct command_end *end, const struct output *output,
                       const char *said);

#endif
