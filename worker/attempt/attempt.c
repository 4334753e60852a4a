/* One attempt as a machine: prepare the slot, set it up, run the agent, commit, verify,
 * deliver. Every step that takes time is a slot job or a command; at most one is under way,
 * and when it ends the next step is chosen from what is known by then. An order to stop only
 * sets a flag and ends the command that runs. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "text.h"

static const char *const phase_words[] = {
#define X(name, word) word,
    ATTEMPT_PHASES(X)
#undef X
};

#define STALE_GRACE 2.0 /* seconds a stale agent has between SIGTERM and SIGKILL */

const char *attempt_phase_word(enum attempt_phase phase)
{
	return phase_words[phase];
}

int64_t attempt_id(const struct attempt *a)
{
	return a->id;
}

enum attempt_phase attempt_phase(const struct attempt *a)
{
	return a->phase;
}

const char *attempt_key(const struct attempt *a)
{
	return a->key;
}

double attempt_grace(const struct attempt *a)
{
	return a->stop_grace;
}

void attempt_set_phase(struct attempt *a, enum attempt_phase phase)
{
	if (a->phase == phase)
		return;
	a->phase = phase;
	attempt_tell(a);
}

static void attempt_free(struct attempt *a)
{
	terminal_close(a->terminal);
	output_free(a->output);
	output_free(a->verified);
	attempt_stream_end(a);
	report_free(a->report);
	attempt_talk_finish(a);
	state_free(a->state);
	attempt_limits_free(a);
	resume_free(a);
	attempt_turns_free(a);
	json_decref(a->evidence);
	json_decref(a->measures);
	json_decref(a->tampering);
	strv_free(a->git_env);
	json_decref(a->assignment);
	strv_free(a->env);
	strv_free(a->copy);
	strv_free(a->link);
	strv_free(a->paths);
	strv_free(a->setup_when);
	strv_free(a->protect);
	free(a->overlay);
	free(a->dir);
	free(a->prompt_file);
	free(a->inputs_file);
	free(a->cwd);
	free(a->marker);
	free(a->error_text);
	free(a->acp_problem);
	free(a->kept);
	free(a->waits_for);
	free(a);
}

static void deliver(struct attempt *a)
{
	struct worker *w = a->w;
	json_t *finish;

	if (attempt_hold_end(a))
		return;
	if (a->stopping) {
		a->outcome = a->stop_outcome;
		a->error = TASK_ERROR_NONE;
	}
	finish = a->stale ? NULL : attempt_result(a);
	if (a->outcome != OUTCOME_COMPLETED || a->has_slot || a->stale)
		log_info("attempt", "attempt=%lld task=%lld %s%s%s", (long long)a->id,
		         (long long)a->task, a->stale ? "stale" : attempt_outcome_word(a->outcome),
		         a->error_text && !a->stopping ? ": " : "",
		         a->error_text && !a->stopping ? task_error_word(a->error) : "");
	attempt_show_end(a);
	w->attempt = NULL;
	worker_attempt_over(w, a->id, finish);
	attempt_free(a);
}

/* Takes over what a slot job brought. */
static void take_job(struct attempt *a)
{
	struct slots_job *job = &a->job;

	for (size_t i = 0; job->tampering && job->tampering[i]; i++) {
		if (!a->tampering)
			a->tampering = json_array();
		json_array_append_new(a->tampering, json_text_or_null(job->tampering[i]));
	}
	if (job->env) {
		strv_free(a->git_env);
		a->git_env = job->env;
		job->env = NULL;
	}
	slots_job_finish(job);
}

static void job_ended(struct slots_job *job)
{
	struct attempt *a = job->context;

	take_job(a);
	if (!attempt_waits(a))
		a->job_done(job);
}

static void start_job(struct attempt *a, enum slots_verb verb, void (*done)(struct slots_job *))
{
	struct slots_job *job = &a->job;
	const json_t *setup = json_object_get(a->spec, "setup");
	bool has_setup = setup && !json_is_null(setup);

	*job = (struct slots_job){
	    .verb = verb,
	    .attempt = a->id,
	    .order = {.branch = a->branch,
	              .base = verb == SLOTS_PREPARE && a->resume.start_at ? a->resume.start_at
	                                                                  : a->base,
	              .copy = (const char *const *)a->copy,
	              .link = (const char *const *)a->link,
	              .paths = (const char *const *)a->paths,
	              .setup_when = (const char *const *)a->setup_when,
	              .fresh = json_flag(a->spec, "fresh") && !a->resume.ran,
	              .run = true,
	              .setup = has_setup},
	    .subject = a->subject,
	    .head = a->committed ? a->result.head : NULL,
	    .overlay = a->overlay,
	    .protect = (const char *const *)a->protect,
	    .prove = a->outcome == OUTCOME_COMPLETED &&
	             (a->verify || json_sub(a->spec, "measure")) && !a->stopping && !a->stale,
	    .expect_changes = json_flag(a->spec, "expect_changes"),
	    .again = a->waits_for != NULL,
	    .done = job_ended,
	    .context = a,
	};
	a->job_done = done;
	slots_start(a->w->slots, job);
}

void attempt_run_agent(struct attempt *a)
{
	struct error err = ERROR_INIT;

	if (attempt_hold_let_go(a)) {
		attempt_limits_begin(a);
		attempt_set_phase(a, PHASE_WORKING);
		return;
	}
	if ((a->limits.cut != TASK_ERROR_NONE && attempt_limits_failed(a, true)) ||
	    resume_verify_first(a)) { /* before it began */
		attempt_advance(a);
		return;
	}
	if (attempt_start_agent(a, &err) != 0) {
		attempt_show_line(a, err.text);
		if (!attempt_turn_unstarted(a, err.text))
			attempt_fail(a,
			             err.code == ERROR_NOT_FOUND ? TASK_ERROR_AGENT_EXIT
			                                         : TASK_ERROR_INTERNAL,
			             "%s", err.text);
		attempt_advance(a);
		return;
	}
	resume_started(a);
	attempt_limits_begin(a);
	attempt_set_phase(a, PHASE_WORKING);
}

static void prepared(struct slots_job *job);

/* The agent is started (again): from a slot that is as it is to find it. */
static void begin_work(struct attempt *a)
{
	if (a->has_slot) {
		attempt_set_phase(a, PHASE_PREPARING);
		start_job(a, SLOTS_PREPARE, prepared);
	} else {
		resume_ready(a);
		attempt_run_agent(a);
	}
}

void attempt_agent_ended(void *context, const struct command_end *end)
{
	struct attempt *a = context;
	bool held = attempt_hold_ended(a);

	if (!held)
		a->command = NULL;
	a->agent_ran = true;
	a->resume.worked += end->seconds - end->held;
	a->limits.asked = false; /* what it asked ends with it */
	terminal_drain(a->terminal);
	attempt_stream_end(a);
	attempt_limits_end(a);
	attempt_talk_end(a);
	if (a->has_slot || a->verify) {
		terminal_close(a->terminal);
		a->terminal = NULL;
	} /* else with the attempt, after the result was sent */
	if (held)
		return; /* what it made is being proven */
	if (a->ending) {
		attempt_advance(a);
		return;
	}
	if (!attempt_turn_failed(a, end) && !a->stopping && !a->stale &&
	    a->outcome != OUTCOME_FAILED) {
		_cleanup_free_ char *why = NULL;

		if (end->timed_out) {
			attempt_fail(a, TASK_ERROR_TIMEOUT, "time limit of %gs passed",
			             json_num(a->spec, "timeout", 0));
		} else if (attempt_limits_failed(a, a->done || end->status == 0)) {
			/* it said why, or we did */
		} else if (resume_refused(a, end)) {
			begin_work(a);
			return;
		} else if (a->acp_problem && !a->done) {
			attempt_fail(a, TASK_ERROR_AGENT_EXIT, "acp: %s (%s)", a->acp_problem,
			             proc_status_text(end->status));
		} else if (a->done || end->status == 0) {
			a->outcome = OUTCOME_COMPLETED;
		} else {
			why = attempt_end_text(end, a->output, report_activity(a->report));
			attempt_fail(a,
			             WIFSIGNALED(end->status) ? TASK_ERROR_AGENT_SIGNAL
			                                      : TASK_ERROR_AGENT_EXIT,
			             "%s", why);
		}
	}
	a->resume.ran = true;
	if (!attempt_turn_asks(a))
		attempt_advance(a);
}

static void snapshot_done(struct slots_job *job)
{
	struct attempt *a = job->context;

	if (job->rc != 0)
		log_error("attempt", "attempt=%lld cannot keep its work: %s", (long long)a->id,
		          job->err.text);
	else if (job->kept[0])
		a->kept = xasprintf("refs/pleach/kept/%lld", (long long)a->id);
	a->slot_ready = false;
	deliver(a);
}

static void prove_ended(struct slots_job *job)
{
	struct attempt *a = job->context;

	if (job->rc != 0)
		log_warn("attempt", "attempt=%lld after verify: %s", (long long)a->id,
		         job->err.text);
	attempt_advance(a);
}

static void committed(struct slots_job *job)
{
	struct attempt *a = job->context;

	a->committed = job->committed;
	a->proving = job->proving;
	if (job->committed)
		a->result = job->result;
	if (!job->committed) {
		attempt_fail(a, TASK_ERROR_INTERNAL, "cannot commit: %s", job->err.text);
		log_error("attempt", "attempt=%lld cannot commit: %s", (long long)a->id,
		          job->err.text);
		start_job(a, SLOTS_SNAPSHOT, snapshot_done);
		return;
	}
	if (a->stopping || a->stale || a->outcome != OUTCOME_COMPLETED) {
		attempt_advance(a);
		return;
	}
	if (!job->result.descends)
		attempt_fail(a, TASK_ERROR_NOT_DESCENDANT,
		             "head %.12s does not descend from base %.12s", job->result.head,
		             a->base ? a->base : "");
	else if (job->result.unchanged && json_flag(a->spec, "expect_changes"))
		attempt_fail(a, TASK_ERROR_UNCHANGED, "nothing was changed");
	else if (job->rc != 0)
		attempt_fail(a, TASK_ERROR_INTERNAL, "cannot prepare verify: %s", job->err.text);
	if (a->outcome == OUTCOME_COMPLETED && a->verify)
		attempt_verify(a);
	else
		attempt_advance(a);
}

/* The next step when no command and no job is under way, after the agent (or instead). */
void attempt_advance(struct attempt *a)
{
	bool decided = a->evidence || a->outcome != OUTCOME_COMPLETED || a->stopping || a->stale;

	if (decided && !a->resume.due && attempt_hold_end(a))
		return;
	if (attempt_measure_due(a) && attempt_measure_start(a)) {
		attempt_set_phase(a, PHASE_VERIFYING);
		return;
	}
	if (a->proving) {
		a->proving = false;
		start_job(a, SLOTS_PROVE_END, prove_ended);
		return;
	}
	if (a->stale) {
		/* The branch belongs to the next attempt by now: nothing but a kept ref moves. */
		if (a->slot_ready)
			start_job(a, SLOTS_SNAPSHOT, snapshot_done);
		else
			deliver(a);
		return;
	}
	if (resume_round_due(a)) {
		begin_work(a);
		return;
	}
	attempt_set_phase(a, PHASE_FINISHING);
	if (a->slot_ready && !a->committed) {
		start_job(a, SLOTS_COMMIT, committed);
		return;
	}
	if (!a->has_slot && a->verify && a->outcome == OUTCOME_COMPLETED && !a->evidence &&
	    !a->stopping) {
		attempt_verify(a);
		return;
	}
	deliver(a);
}

void attempt_again(struct attempt *a)
{
	bool ends = a->stopping || a->stale;

	if (ends && a->job.verb == SLOTS_PREPARE && a->job.half)
		start_job(a, SLOTS_SNAPSHOT, snapshot_done);
	else if (ends && (a->job.verb == SLOTS_PREPARE || a->job.verb == SLOTS_RUN))
		attempt_advance(a);
	else if (a->stale && a->job.verb == SLOTS_COMMIT)
		attempt_advance(a);
	else
		start_job(a, a->job.verb, a->job_done);
}

static void setup_recorded(struct slots_job *job)
{
	struct attempt *a = job->context;

	if (job->rc != 0)
		attempt_fail(a, TASK_ERROR_INTERNAL, "%s", job->err.text);
	if (job->rc != 0 || a->stopping || a->stale)
		attempt_advance(a);
	else
		attempt_run_agent(a);
}

static void setup_ended(void *context, const struct command_end *end)
{
	struct attempt *a = context;
	_cleanup_free_ char *why = NULL;

	a->command = NULL;
	if (a->stopping || a->stale) {
		attempt_advance(a);
		return;
	}
	if (end->timed_out || end->status != 0) {
		why = attempt_end_text(end, a->output, NULL);
		if (end->timed_out)
			attempt_fail(a, TASK_ERROR_SETUP_FAILED, "setup: time limit passed");
		else
			attempt_fail(a, TASK_ERROR_SETUP_FAILED, "setup %s", why);
		attempt_advance(a);
		return;
	}
	start_job(a, SLOTS_RUN, setup_recorded);
}

static void prepared(struct slots_job *job)
{
	struct attempt *a = job->context;
	struct error err = ERROR_INIT;

	if (job->rc != 0 && resume_unprepared(a, job->err.text)) {
		begin_work(a);
		return;
	}
	if (job->rc != 0) {
		attempt_fail(a, TASK_ERROR_INTERNAL, "cannot prepare the slot: %s", job->err.text);
		log_error("attempt", "attempt=%lld cannot prepare the slot: %s", (long long)a->id,
		          job->err.text);
		attempt_show_line(a, job->err.text);
		if (job->half && !a->slot_ready) {
			/* Nothing was done in it; what it took of the branch is let go of. */
			attempt_set_phase(a, PHASE_FINISHING);
			start_job(a, SLOTS_SNAPSHOT, snapshot_done);
		} else {
			attempt_advance(a);
		}
		return;
	}
	a->slot_ready = true;
	resume_ready(a);
	if (a->stopping || a->stale) {
		attempt_advance(a);
	} else if (!job->setup_due) {
		attempt_run_agent(a);
	} else if (attempt_start_command(a, json_object_get(a->spec, "setup"),
	                                 json_num(a->spec, "timeout", 0), setup_ended, &err) != 0) {
		attempt_fail(a, TASK_ERROR_SETUP_FAILED, "setup: %s", err.text);
		attempt_show_line(a, err.text);
		attempt_advance(a);
	}
}

/* Reads the assignment. Errors: INVALID. */
static int attempt_parse(struct attempt *a, struct error *err)
{
	const json_t *as = a->assignment;
	const json_t *prompt = json_object_get(as, "prompt");
	const char *mode;

	a->id = json_int(as, "attempt", 0);
	a->task = json_int(as, "task", 0);
	a->key = json_text(as, "key");
	a->plan = json_text(as, "plan");
	a->agent = json_text(as, "agent");
	a->model = json_text(as, "model");
	a->token = json_text(as, "token");
	a->branch = json_text(as, "branch");
	a->base = json_text(as, "base");
	a->subject = json_text(as, "subject");
	a->prompt = json_is_string(prompt) ? json_string_value(prompt) : "";
	a->prompt_len = json_is_string(prompt) ? json_string_length(prompt) : 0;
	a->profile = json_sub(as, "profile");
	a->spec = json_sub(as, "spec");
	a->verify = json_sub(a->spec, "verify");
	a->stop_grace = json_num(as, "stop_grace", 10);
	if (!a->key)
		a->key = "?";
	if (!a->token)
		a->token = "";
	if (!a->subject)
		a->subject = a->key;
	mode = json_text(a->profile, "mode");
	if (!mode || !agent_mode_from_word(mode, &a->mode))
		a->mode = MODE_EXEC;
	if (a->id <= 0 || !a->profile || !a->spec)
		return error_set(err, ERROR_INVALID, "the assignment is incomplete");
	a->has_slot =
	    !json_text(a->spec, "slot") || strcmp(json_text(a->spec, "slot"), "none") != 0;
	if (a->has_slot && (!a->base || !a->branch))
		return error_set(err, ERROR_INVALID, "the assignment has no base or branch");
	return 0;
}

/* What the slot jobs need of it. */
static void attempt_read_spec(struct attempt *a)
{
	const char *overlay = json_text(a->verify, "overlay");

	a->copy = json_strv(json_sub(a->spec, "copy"));
	a->link = json_strv(json_sub(a->spec, "link"));
	if (json_sub(a->spec, "paths"))
		a->paths = json_strv(json_sub(a->spec, "paths"));
	a->setup_when = json_strv(json_sub(a->spec, "setup_when"));
	a->protect = json_strv(json_sub(a->verify, "protect"));
	a->overlay = xstrdup(overlay);
}

void attempt_begin(struct worker *w, json_t *assignment)
{
	struct attempt *a = xcalloc(1, sizeof *a);
	_cleanup_free_ char *log = NULL;
	struct error err = ERROR_INIT;
	int rc;

	a->w = w;
	a->assignment = json_incref(assignment);
	a->started = uv_hrtime();
	a->queued_last = &a->queued;
	a->journal = -1;
	a->state = state_new();
	w->attempt = a;
	rc = attempt_parse(a, &err);
	a->dir = xasprintf("%s/attempts/%lld", w->options.state, (long long)a->id);
	log = xasprintf("%s/output.log", a->dir);
	a->output = output_new(log, w->options.log_cap);
	a->marker = xasprintf("PLEACH_TOKEN=%s", a->token);
	a->cwd = xstrdup(a->has_slot ? w->options.slot : w->options.root);
	if (rc == 0)
		rc = attempt_write_files(a, &err);
	attempt_show_start(a);
	if (rc != 0) {
		attempt_fail(a, TASK_ERROR_INTERNAL, "%s", err.text);
		attempt_advance(a);
	} else {
		attempt_read_spec(a);
		resume_begin(a);
		begin_work(a);
	}
}

/* Ends whatever runs; a slot job ends by itself. */
static void end_command(struct attempt *a, double grace)
{
	if (a->command)
		command_stop(a->command, grace);
}

void attempt_stop(struct attempt *a, enum attempt_outcome outcome, double grace)
{
	if (!a->stopping)
		a->stop_outcome = outcome;
	a->stopping = true;
	acp_cancel(a->acp);
	end_command(a, grace);
}

void attempt_stale(struct attempt *a)
{
	a->stale = true;
	end_command(a, STALE_GRACE);
}

void attempt_done(struct attempt *a)
{
	/* Said by an agent that still runs: only then does it mean anything. */
	if (!a->terminal || !a->command || a->stopping)
		return;
	if (attempt_hold_wanted(a)) {
		attempt_hold(a);
		return;
	}
	a->done = true;
	end_command(a, a->stop_grace);
}

pid_t attempt_child(const struct attempt *a)
{
	return a->command ? command_pid(a->command) : 0;
}

char *attempt_last_line(const struct attempt *a)
{
	char *line = a->waits_for  ? xstrdup(a->waits_for)
	             : a->verified ? output_last_line(a->verified, 160)
	                           : NULL;

	if (!line && report_activity(a->report))
		line = text_safe(report_activity(a->report), 160);
	return line ? line : output_last_line(a->output, 160);
}
