/* Going on with an agent's own session: after a verify that failed (a round: the same agent is told
 * what failed), and in an attempt that continues another one. Keeps what a crash must not lose in
 * <attempt>/round.json, which the attempt that continues this one reads. Decides no outcome. */
#include "resume.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agents.h"
#include "attempt_private.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "place.h"
#include "proc.h"
#include "session.h"
#include "text.h"

#define TAIL_LINES  60
#define TAIL_BYTES  (6u << 10)
#define TASK_BYTES  (16u << 10) /* a longer prompt is not said again */
#define ROUND_BYTES (64u << 10)
#define REFUSED_S   30.0 /* an agent that fails sooner than this did not know the session */
#define ERROR_WIDTH 300

/* ---- what a crash must not lose ---- */

static char *round_file(const struct attempt *a, int64_t attempt)
{
	return xasprintf("%s/attempts/%lld/round.json", a->w->options.state, (long long)attempt);
}

static void write_round(const struct attempt *a, const json_t *json)
{
	_cleanup_free_ char *file = round_file(a, a->id), *text = jsonl_text(json);
	struct error err = ERROR_INIT;

	if (attempt_make_dir(a, &err) != 0 || place_write_file(file, text, strlen(text), &err) != 0)
		log_warn("resume", "attempt=%lld %s", (long long)a->id, err.text);
}

/* Where it stands: `proving` (verify decides what is next), `failed` (the agent is told next).
 * clean: the slot holds what the agent left, and nothing of verify's. */
static void save(const struct attempt *a, const char *state, bool clean)
{
	_cleanup_json_ json_t *json = NULL;

	if (!a->resume.session || !session_can_resume(a->profile))
		return;
	json =
	    json_pack("{s:s, s:b, s:I, s:s?, s:O?, s:s?}", "state", state, "clean", clean, "round",
	              (json_int_t)a->resume.round, "head", a->committed ? a->result.head : NULL,
	              "verify", a->evidence, "tail", a->resume.tail);
	write_round(a, json);
}

static json_t *load(const struct attempt *a, int64_t attempt)
{
	_cleanup_free_ char *file = round_file(a, attempt), *text = NULL;
	size_t len = 0;

	if (place_read_file(file, ROUND_BYTES, &text, &len, NULL) != 0)
		return NULL;
	return jsonl_parse(text, len, NULL);
}

/* ---- what the agent is told ---- */

/* The last lines, each behind spaces, so that nobody takes them for words of ours. */
static void add_quoted(struct buf *out, const char *text)
{
	size_t len = text ? strlen(text) : 0, from = len, lines = 0;

	while (len && strchr("\r\n \t", text[len - 1]))
		len--;
	for (from = len; from && len - from < TAIL_BYTES; from--)
		if (text[from - 1] == '\n' && ++lines == TAIL_LINES)
			break;
	while (from && from < len && ((unsigned char)text[from] & 0xc0) == 0x80)
		from++;
	if (from >= len) {
		buf_add_str(out, "\n(it printed nothing)\n");
		return;
	}
	buf_add_str(out, from ? "\nThe end of its output:\n\n" : "\nIts output:\n\n");
	while (from < len) {
		const char *newline = memchr(text + from, '\n', len - from);
		size_t n = newline ? (size_t)(newline - (text + from)) : len - from;

		buf_add_str(out, "    ");
		text_add_safe(out, text + from, n, 0, false);
		buf_add_str(out, "\n");
		from += n + (newline ? 1 : 0);
	}
}

static void add_proof(struct buf *out, const json_t *proof, const char *tail)
{
	const char *command = json_text(proof, "command");
	int64_t code = json_int(proof, "exit_code", 1);

	buf_add_str(out, "The check of your work failed: `");
	if (command)
		text_add_safe(out, command, strlen(command), ERROR_WIDTH, false);
	if (code == 124)
		buf_add_str(out, "` did not end in time.\n");
	else
		buf_printf(out, "` ended with exit status %lld.\n", (long long)code);
	add_quoted(out, tail);
}

static char *feedback(const struct attempt *a, const json_t *proof, const char *tail)
{
	struct buf out = BUF_INIT;

	add_proof(&out, proof, tail);
	buf_printf(&out,
	           "\nYour work so far is committed. Mend what fails, in this worktree, and end as "
	           "before; it will be checked again (%lld of %lld).\n",
	           (long long)a->resume.round, (long long)json_int(a->spec, "verify_retries", 0));
	return buf_take(&out);
}

/* After an interruption, or when a person asked to go on. */
static char *carry_on(const struct attempt *a, const json_t *round)
{
	const char *error = json_text(a->resume.from, "error");
	const json_t *proof = json_sub(round, "verify");
	const char *state = json_text(round, "state");
	struct buf out = BUF_INIT;

	if (proof && state && strcmp(state, "failed") == 0) {
		add_proof(&out, proof, json_text(round, "tail"));
	} else if (strcmp(a->resume.why, "asked") == 0 && error) {
		buf_add_str(&out, "Your last attempt at this task ended: ");
		text_add_safe(&out, error, strlen(error), ERROR_WIDTH, false);
		buf_add_str(&out, "\n");
	} else {
		buf_add_str(&out, "You were interrupted before this task was done.\n");
	}
	buf_add_str(&out,
	            "\nYour work so far is in this worktree, and is committed. Go on with the "
	            "task, and end as before.\n");
	if (a->prompt_len && a->prompt_len <= TASK_BYTES) {
		buf_add_str(&out, "The task was:\n\n");
		buf_add(&out, a->prompt, a->prompt_len);
		buf_add(&out, "", 0);
	}
	return buf_take(&out);
}

/* ---- the beginning of an attempt ---- */

static bool why_is(const struct attempt *a, const char *why)
{
	return a->resume.why && strcmp(a->resume.why, why) == 0;
}

/* What the attempt before had come to. */
static void take_over(struct attempt *a, const json_t *round)
{
	struct attempt_resume *r = &a->resume;
	const char *state = json_text(round, "state"), *head = json_text(round, "head");
	int64_t most = json_int(a->spec, "verify_retries", 0), at = json_int(round, "round", 0);
	bool proving = state && strcmp(state, "proving") == 0;

	r->start_at = xstrdup(json_text(r->from, "head"));
	if (head && (proving || !json_flag(round, "clean"))) {
		free(r->start_at);
		r->start_at = xstrdup(head);
	}
	if (!why_is(a, "interrupted") || at < 0) {
		r->text = carry_on(a, round);
		return;
	}
	/* All that was left was to see whether it is right: nobody need be asked again. */
	r->verify_first = (proving || at > most) && a->verify && (head || !a->has_slot);
	r->round = at > most ? most : at;
	if (!proving && state && !r->verify_first) {
		r->text = feedback(a, json_sub(round, "verify"), json_text(round, "tail"));
	} else {
		r->text = carry_on(a, round);
	}
}

/* A line of ours at the beginning of a log, apart: no word of the program whose log it is. */
static void add_apart(const struct attempt *a, const char *path, const char *line)
{
	struct output *log = output_new(path, a->w->options.log_cap);

	output_add(log, line, strlen(line));
	output_free(log);
}

void resume_begin(struct attempt *a)
{
	struct attempt_resume *r = &a->resume;
	_cleanup_json_ json_t *round = NULL;
	_cleanup_free_ char *line = NULL, *path = NULL;
	const char *session;

	r->from = json_sub(a->assignment, "resume");
	session = json_text(r->from, "session");
	r->why = json_text(r->from, "why");
	if (!session || !r->why || !session_is_id(session) || !session_can_resume(a->profile)) {
		r->from = NULL;
		r->why = NULL;
		return;
	}
	r->session = xstrdup(session);
	r->going_on = true;
	if (!why_is(a, "keep")) {
		round = load(a, json_int(r->from, "attempt", 0));
		take_over(a, round);
	}
	if (why_is(a, "interrupted") && round) { /* it may be interrupted again */
		write_round(a, round);
		r->taken = json_incref(round);
	}
	path = xasprintf("%s/output.log", a->dir);
	line = xasprintf("[pleach: goes on with the session of attempt %lld (%s)]\r\n",
	                 (long long)json_int(r->from, "attempt", 0), r->why);
	add_apart(a, path, line);
	log_info("resume", "attempt=%lld goes on with the session of attempt=%lld (%s)",
	         (long long)a->id, (long long)json_int(r->from, "attempt", 0), r->why);
}

void resume_free(struct attempt *a)
{
	struct attempt_resume *r = &a->resume;

	free(r->session);
	free(r->text);
	free(r->tail);
	free(r->start_at);
	free(r->refused);
	json_decref(r->rounds);
	json_decref(r->taken);
}

/* ---- a start of the agent ---- */

const char *resume_prompt(const struct attempt *a, size_t *len)
{
	*len = a->resume.text ? strlen(a->resume.text) : a->prompt_len;
	return a->resume.text ? a->resume.text : a->prompt;
}

bool resume_takes(const struct attempt *a, size_t len)
{
	const json_t *way = session_way(a->profile);

	return way &&
	       (len < ATTEMPT_ARGUMENT_MAX || strcmp(agents_prompt_way(way, 0), "argv") != 0 ||
	        agents_mentions(json_sub(way, "command"), "{prompt_file}"));
}

/* The way that the profile names, where the prompt fits into it. */
const json_t *resume_way(const struct attempt *a)
{
	size_t len;

	resume_prompt(a, &len);
	return a->resume.going_on && resume_takes(a, len) ? session_way(a->profile) : NULL;
}

const char *resume_session(const struct attempt *a)
{
	const char *given = json_text(a->assignment, "session");

	if (a->resume.going_on && a->resume.session)
		return a->resume.session;
	return given ? given : "";
}

int resume_write_prompt(struct attempt *a, char **file, struct error *err)
{
	if (!a->resume.text)
		return 0;
	*file = xasprintf("%s/prompt.%lld", a->dir, (long long)++a->resume.starts);
	return attempt_make_dir(a, err) != 0
	           ? -1
	           : place_write_file(*file, a->resume.text, strlen(a->resume.text), err);
}

double resume_time_left(const struct attempt *a)
{
	double limit = json_num(a->spec, "timeout", 0), left = limit - a->resume.worked;

	return limit <= 0 ? 0 : left > 1 ? left : 1;
}

void resume_started(struct attempt *a)
{
	struct attempt_resume *r = &a->resume;

	a->agent_ran = false;
	if (r->going_on || r->session || !session_is_given(a->profile))
		return;
	r->session = xstrdup(json_text(a->assignment, "session"));
}

void resume_heard(struct attempt *a, const char *session)
{
	struct attempt_resume *r = &a->resume;

	if (!session || (r->session && strcmp(session, r->session) == 0) ||
	    !session_is_id(session) || session_is_given(a->profile))
		return;
	free(r->session);
	r->session = xstrdup(session);
	attempt_tell(a);
}

void resume_loaded(struct attempt *a, const char *session)
{
	struct attempt_resume *r = &a->resume;

	if (r->going_on && r->session && strcmp(session, r->session) != 0 && !r->refused) {
		if ((why_is(a, "asked") || r->ran) && a->command) {
			attempt_fail(
			    a, r->ran ? TASK_ERROR_VERIFY_FAILED : TASK_ERROR_AGENT_EXIT, "%s",
			    "its session could not be continued: the agent began a new one");
			command_stop(a->command, a->stop_grace);
			return;
		}
		r->refused = xstrdup("the agent began a new session");
	}
	resume_heard(a, session);
}

void resume_say(const struct attempt *a, json_t *said)
{
	const struct attempt_resume *r = &a->resume;

	if (r->session)
		json_object_set_new(said, "session", json_string(r->session));
	if (r->refused)
		json_object_set_new(said, "refused", json_text_or_null(r->refused));
	if (r->rounds)
		json_object_set(said, "rounds", r->rounds);
}

/* ---- a session that is not known any more ---- */

static void start_anew(struct attempt *a, const char *why)
{
	struct attempt_resume *r = &a->resume;
	_cleanup_free_ char *line = NULL;

	r->refused = text_safe(why, ERROR_WIDTH);
	line = xasprintf("its session could not be continued (%s): a new one", r->refused);
	attempt_show_line(a, line);
	output_add(a->output, line, strlen(line));
	output_add(a->output, "\r\n", 2);
	log_warn("resume", "attempt=%lld %s", (long long)a->id, line);
	free(r->session);
	free(r->text);
	free(r->start_at);
	r->session = r->text = r->start_at = NULL;
	r->going_on = r->verify_first = false;
	r->round = 0;
	attempt_tell(a);
}

bool resume_worked(const struct attempt *a, double seconds)
{
	_cleanup_json_ json_t *usage = report_usage(a->report);

	return seconds > REFUSED_S || json_is_object(usage);
}

bool resume_refused(struct attempt *a, const struct command_end *end)
{
	struct attempt_resume *r = &a->resume;
	_cleanup_free_ char *why = NULL;

	if (!r->going_on || r->refused || a->stopping || a->stale || a->done || end->timed_out ||
	    end->status == 0 || resume_worked(a, end->seconds))
		return false;
	why = attempt_end_text(end, a->output,
	                       a->acp_problem ? a->acp_problem : report_activity(a->report));
	if (why_is(a, "asked") || r->ran) {
		attempt_fail(a, r->ran ? TASK_ERROR_VERIFY_FAILED : TASK_ERROR_AGENT_EXIT,
		             r->ran ? "verify failed, and its agent could not go on: %s"
		                    : "its session could not be continued: %s",
		             why);
		return false;
	}
	start_anew(a, why);
	return true;
}

bool resume_unprepared(struct attempt *a, const char *why)
{
	if (!a->resume.start_at || !why_is(a, "interrupted") || a->resume.ran || a->resume.refused)
		return false;
	start_anew(a, why);
	return true;
}

/* ---- rounds ---- */

bool resume_verify_first(struct attempt *a)
{
	if (!a->resume.verify_first)
		return false;
	a->resume.verify_first = false;
	a->agent_ran = true;
	a->outcome = OUTCOME_COMPLETED;
	return true;
}

void resume_proving(struct attempt *a)
{
	save(a, "proving", false);
}

void resume_head_log(const struct attempt *a, const char *path)
{
	int64_t most = json_int(a->spec, "verify_retries", 0);
	_cleanup_free_ char *line = NULL;

	if (!most)
		return;
	line = xasprintf("[pleach: verify %lld of at most %lld]\n", (long long)a->resume.round + 1,
	                 (long long)most + 1);
	add_apart(a, path, line);
}

/* Whether the agent can still be told anything: it lives, or knows its session. */
static bool can_go_on(const struct attempt *a)
{
	return a->living || (a->resume.session && session_can_resume(a->profile));
}

static bool may_go_on(const struct attempt *a)
{
	return a->resume.round < json_int(a->spec, "verify_retries", 0) && can_go_on(a);
}

void resume_verified(struct attempt *a)
{
	struct attempt_resume *r = &a->resume;
	bool passed = json_int(a->evidence, "exit_code", 1) == 0;

	if (json_int(a->spec, "verify_retries", 0) > 0) {
		json_t *proof = json_copy(a->evidence);

		json_object_set_new(proof, "round", json_integer(r->round + 1));
		if (!r->rounds)
			r->rounds = json_array();
		json_array_append_new(r->rounds, proof);
	}
	if (passed)
		return;
	free(r->tail);
	r->tail = output_text(a->verified);
	r->due = may_go_on(a);
	r->round++;
	save(a, "failed", false);
	attempt_tell(a);
}

/* What it said of its end does not hold: it is told something more. */
static void not_ended(struct attempt *a, char *text)
{
	struct attempt_resume *r = &a->resume;

	free(r->text);
	r->text = text;
	r->going_on = r->session != NULL;
	a->done = false;
	a->outcome = OUTCOME_NONE;
	a->error = TASK_ERROR_NONE;
	free(a->error_text);
	a->error_text = NULL;
}

void resume_say_next(struct attempt *a, char *text)
{
	not_ended(a, text);
}

bool resume_round_due(struct attempt *a)
{
	struct attempt_resume *r = &a->resume;
	_cleanup_free_ char *line = NULL;

	if (!r->due || a->stopping || a->stale)
		return false;
	r->due = false;
	if (!can_go_on(a))
		return false;
	line = xasprintf("verify failed: back to the agent (%lld of %lld)", (long long)r->round,
	                 (long long)json_int(a->spec, "verify_retries", 0));
	attempt_show_line(a, line);
	log_info("resume", "attempt=%lld %s", (long long)a->id, line);
	not_ended(a, feedback(a, a->evidence, r->tail));
	free(r->start_at);
	r->start_at = xstrdup(a->committed ? a->result.head : NULL);
	a->committed = false;
	return true;
}

void resume_ready(struct attempt *a)
{
	const char *state = json_text(a->resume.taken, "state");

	if (state && strcmp(state, "failed") == 0) {
		json_object_set_new(a->resume.taken, "clean", json_true());
		write_round(a, a->resume.taken);
	}
	json_decref(a->resume.taken);
	a->resume.taken = NULL;
	/* Of a later round only: the slot of a fresh attempt holds nothing yet. */
	if (a->resume.rounds && a->evidence) {
		save(a, "failed", true);
		json_decref(a->evidence);
		a->evidence = NULL;
		output_free(a->verified);
		a->verified = NULL;
	}
}
