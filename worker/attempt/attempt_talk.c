/* What an attempt knows of its agent's state, and what it says to it: reports of all sources in,
 * `attempt.state` out; texts in, one at a time and in order, to whoever runs. Decides nothing
 * about the task. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attempt_private.h"
#include "buf.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define LOOK_MS   200   /* after its screen has changed */
#define DIALOG_MS 15000 /* for what comes on the screen at first, and behind a dialog */

static json_t *input_json(const struct state_view *v)
{
	json_t *input;

	if (v->state != AGENT_NEEDS_INPUT)
		return NULL;
	input = json_pack("{s:s, s:o, s:o, s:I}", "reason", v->reason ? v->reason : "question",
	                  "text", json_text_or_null(v->text), "options",
	                  v->options ? json_incref(v->options) : json_null(), "request",
	                  (json_int_t)v->request);
	return input;
}

void attempt_tell(struct attempt *a)
{
	const struct state_view *v = state_now(a->state);
	pid_t pid = a->phase == PHASE_WORKING ? attempt_child(a) : 0;
	json_t *said;
	char until[32];

	if (a->stale)
		return;
	said = json_pack("{s:I, s:s, s:o, s:o}", "attempt", (json_int_t)a->id, "phase",
	                 attempt_phase_word(a->phase), "agent_pid", json_int_or_null(pid, 0),
	                 "slot", json_text_or_null(a->has_slot ? a->cwd : NULL));
	if (v->state != AGENT_UNKNOWN && a->phase == PHASE_WORKING) {
		json_object_set_new(said, "state", json_string(agent_state_word(v->state)));
		if (v->state == AGENT_LIMITED && v->until_ms) {
			text_format_time(v->until_ms, until);
			json_object_set_new(said, "until", json_string(until));
		}
		if (v->state == AGENT_NEEDS_INPUT)
			json_object_set_new(said, "input", input_json(v));
	}
	attempt_limits_say(a, said);
	resume_say(a, said);
	control_state(a->w, said);
	worker_changed(a->w);
}

static void state_due_now(uv_timer_t *timer);
static void hand_over(struct attempt *a);

static void arm(struct attempt *a)
{
	int64_t due = state_due(a->state), now = time_now_ms();

	if (!due)
		uv_timer_stop(&a->w->agent_timer);
	else
		uv_timer_start(&a->w->agent_timer, state_due_now,
		               due > now ? (uint64_t)(due - now) : 0, 0);
}

static void state_due_now(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (!w->attempt)
		return;
	if (state_tick(w->attempt->state, time_now_ms()))
		attempt_tell(w->attempt);
	arm(w->attempt);
}

void attempt_report(struct attempt *a, const struct state_report *report)
{
	if (report->state == AGENT_WORKING)
		attempt_progress(a);
	if (state_report(a->state, report, time_now_ms()))
		attempt_tell(a);
	arm(a);
	hand_over(a); /* what waited while something was asked */
}

/* ---- what it shows ---- */

static void look(uv_timer_t *timer)
{
	struct worker *w = timer->data;
	struct attempt *a = w->attempt;
	_cleanup_free_ char *asked = NULL;
	enum agent_state seen;

	if (!a || !a->screen)
		return;
	seen = screen_state(a->screen, a->patterns, &asked);
	attempt_report(
	    a, &(struct state_report){.source = STATE_SCREEN,
	                              .state = seen,
	                              .reason = seen == AGENT_NEEDS_INPUT ? "question" : NULL,
	                              .text = asked});
}

/* Looked at a moment after it changed, however much it changes. */
void attempt_talk_output(struct attempt *a, const char *data, size_t len)
{
	uv_timer_t *timer = &a->w->screen_timer;

	if (!a->screen)
		return;
	screen_add(a->screen, data, len);
	if (!uv_is_active((uv_handle_t *)timer))
		uv_timer_start(timer, look, LOOK_MS, 0);
}

static void watch_screen(struct attempt *a)
{
	const json_t *patterns = json_sub(a->profile, "screen");

	a->patterns = screen_patterns_new(patterns);
	if (a->patterns)
		a->screen = screen_new(a->w->columns, a->w->rows);
}

static void unwatch_screen(struct attempt *a)
{
	uv_timer_stop(&a->w->screen_timer);
	screen_free(a->screen);
	screen_patterns_free(a->patterns);
	a->screen = NULL;
	a->patterns = NULL;
}

/* ---- the record of what was handed over ---- */

/* "b ID" before the first byte, "d ID" behind the last, "u ID" where it did not begin after all:
 * what the coordinator reads when this
 * worker cannot say any more what became of a message. Not synced: it matters only while the
 * machine lives, for the agent dies with it. */
bool attempt_journal(struct attempt *a, char what, int64_t id)
{
	_cleanup_free_ char *path = NULL, *line = NULL;

	if (!id)
		return true;
	if (a->journal < 0) {
		struct error err = ERROR_INIT;

		path = xasprintf("%s/typed", a->dir);
		if (attempt_make_dir(a, &err) == 0)
			a->journal = open(
			    path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	line = xasprintf("%c %lld\n", what, (long long)id);
	if (a->journal >= 0 && write_all(a->journal, line, strlen(line)) == 0)
		return true;
	log_warn("attempt", "attempt=%lld cannot write down a message: %s", (long long)a->id,
	         strerror(errno));
	return false;
}

static struct attempt_known *known(struct attempt *a, int64_t id)
{
	for (size_t i = 0; id && i < a->known_count; i++)
		if (a->known[i].id == id)
			return &a->known[i];
	return NULL;
}

bool attempt_is_new(struct attempt *a, int64_t id)
{
	const struct attempt_known *k = known(a, id);

	if (k) {
		if (k->done)
			control_typed(a->w, id);
		return false;
	}
	if (id) {
		a->known = xrealloc(a->known, (a->known_count + 1) * sizeof *a->known);
		a->known[a->known_count++] = (struct attempt_known){.id = id};
	}
	return true;
}

void attempt_handed(struct attempt *a, int64_t id)
{
	struct attempt_known *k = known(a, id);

	if (k)
		k->done = true;
	attempt_journal(a, 'd', id);
	if (id)
		control_typed(a->w, id);
}

/* ---- handing over ---- */

static void free_queued(struct attempt_queued *q)
{
	if (q)
		free(q->text);
	free(q);
}

static void queue(struct attempt *a, struct attempt_queued text)
{
	struct attempt_queued *q = xcalloc(1, sizeof *q);
	char *copy = xrealloc(NULL, text.len + 1);

	memcpy(copy, text.text, text.len);
	copy[text.len] = '\0';
	*q = text;
	q->text = copy;
	q->next = NULL;
	*a->queued_last = q;
	a->queued_last = &q->next;
}

/* The next one that may go now: an answer goes to whoever asks, anything else waits until
 * nothing is asked. NULL: none. */
static struct attempt_queued **next_queued(struct attempt *a)
{
	bool asked = state_now(a->state)->state == AGENT_NEEDS_INPUT;

	for (struct attempt_queued **at = &a->queued; *at; at = &(*at)->next)
		if ((*at)->answer)
			return at;
	return asked || !a->queued ? NULL : &a->queued;
}

/* A text that was not begun goes back to the head of the queue. */
static void take_back(struct attempt *a)
{
	struct attempt_queued *q = a->in_hand;

	if (!q || q->answer || !a->typing || !typing_take_back(a->typing))
		return;
	attempt_journal(a, 'u', q->id); /* its `b` may be there, where the terminal took nothing */
	a->in_hand = NULL;
	q->next = a->queued;
	if (!a->queued)
		a->queued_last = &q->next;
	a->queued = q;
}

static void hand_over(struct attempt *a)
{
	struct attempt_queued **at, *q;

	if (state_now(a->state)->state == AGENT_NEEDS_INPUT)
		take_back(a); /* the answer comes first */
	/* One that is held still gets it when it goes on, or nobody does. */
	while (!a->in_hand && !a->living && (a->typing || a->acp) && (at = next_queued(a))) {
		q = *at;
		*at = q->next;
		if (!q->next)
			a->queued_last = at;
		if (a->acp) {
			acp_prompt(a->acp, q->text, q->len, q->id);
			free_queued(q);
		} else {
			a->in_hand = q;
			typing_add(a->typing, q->text, q->len, q->id);
		}
	}
}

/* Where its profile tells what the screen is like that takes a text, that one is awaited. */
static void expect_screen(struct attempt *a)
{
	if (json_array_size(json_sub(json_sub(a->profile, "screen"), "idle")))
		a->dialog_until = uv_now(&a->w->loop) + DIALOG_MS;
}

/* Whoever said that a person is wanted has not seen yet that one came. */
static void went_on(struct attempt *a)
{
	const struct state_view *v = state_now(a->state);

	if (v->state != AGENT_NEEDS_INPUT || v->request)
		return;
	if (v->source == STATE_SCREEN && a->typing) {
		typing_settle(a->typing);
		expect_screen(a);
	}
	attempt_report(a, &(struct state_report){.source = v->source, .state = AGENT_WORKING});
}

/* Whether a text would be lost, or would answer what it is no answer to. Only where nothing but the
 * screen speaks; it is looked at as it is now, not as it has stood for a while. What follows a
 * dialog takes its time to come, and programs throw away what is typed before that. */
static bool screen_refuses(struct attempt *a)
{
	const struct state_view *v = state_now(a->state);
	_cleanup_free_ char *asked = NULL;
	enum agent_state seen;

	if (!a->screen || (v->state != AGENT_UNKNOWN && v->source > STATE_SCREEN))
		return false;
	seen = screen_state(a->screen, a->patterns, &asked);
	if (seen == AGENT_UNKNOWN)
		return uv_now(&a->w->loop) < a->dialog_until;
	if (seen != AGENT_NEEDS_INPUT)
		a->dialog_until = 0;
	return seen == AGENT_NEEDS_INPUT;
}

static bool typing_begins(void *context, int64_t id)
{
	struct attempt *a = context;

	if (!a->in_hand->answer && screen_refuses(a))
		return false;
	return attempt_journal(a, 'b', id);
}

static void typing_ended(void *context, int64_t id)
{
	struct attempt *a = context;
	bool answer = a->in_hand->answer;

	free_queued(a->in_hand);
	a->in_hand = NULL;
	attempt_handed(a, id);
	if (answer)
		went_on(a);
	hand_over(a);
}

/* What a person answered before this attempt: told once, however often its agent is started. */
static const char *answer_due(struct attempt *a)
{
	const char *answer = a->answer_told ? NULL : json_text(a->assignment, "answer");

	a->answer_told = true;
	return answer;
}

void attempt_talk_terminal(struct attempt *a, bool type_prompt)
{
	static const struct typing_handler handler = {typing_begins, typing_ended};
	const char *answer = answer_due(a), *prompt;
	struct attempt_queued *waiting = a->queued;
	size_t len;

	a->queued = NULL;
	a->queued_last = &a->queued;
	a->typing = typing_new(&a->w->loop, a->terminal, &handler, a);
	watch_screen(a);
	expect_screen(a); /* it may begin with a dialog, and late */
	prompt = resume_prompt(a, &len);
	if (type_prompt)
		queue(a, (struct attempt_queued){.text = (char *)prompt, .len = len});
	if (answer)
		queue(a, (struct attempt_queued){.text = (char *)answer, .len = strlen(answer)});
	*a->queued_last = waiting; /* what was sent before it ran */
	while (*a->queued_last)
		a->queued_last = &(*a->queued_last)->next;
	hand_over(a);
}

void attempt_talk_keys(struct attempt *a, const char *keys, size_t len)
{
	if (memchr(keys, '\r', len) || memchr(keys, '\n', len))
		went_on(a);
}

void attempt_message(struct attempt *a, int64_t id, const char *text, size_t len)
{
	/* Nothing is said to a headless agent while it runs: attempt_turns.c. */
	if (a->mode == MODE_EXEC) {
		if (known(a, id))
			attempt_is_new(a, id);
		return;
	}
	if ((a->agent_ran && !a->living) || !attempt_is_new(a, id))
		return;
	queue(a, (struct attempt_queued){.id = id, .text = (char *)text, .len = len});
	hand_over(a);
}

void attempt_say(struct attempt *a, const char *text, size_t len)
{
	attempt_message(a, 0, text, len);
}

void attempt_answer(struct attempt *a, int64_t id, int64_t request, const char *text, size_t len)
{
	if (request) {
		/* Not asked any more: there is nothing to answer. */
		if (attempt_is_new(a, id)) {
			attempt_ask_answer(a, request, text);
			attempt_handed(a, id);
		}
		return;
	}
	if (a->mode == MODE_EXEC || a->agent_ran || !attempt_is_new(a, id))
		return;
	queue(a,
	      (struct attempt_queued){.id = id, .text = (char *)text, .len = len, .answer = true});
	hand_over(a);
}

/* ---- an agent that speaks the protocol ---- */

static void acp_text(void *context, const char *text, size_t len)
{
	struct attempt *a = context;

	output_add(a->output, text, len);
	attempt_show_pipe(a, text, len);
	attempt_limits_data(a);
	worker_changed(a->w);
}

static void acp_words(void *context, const char *text, int more)
{
	struct attempt *a = context;

	report_say(a->report, text, more);
}

static void acp_begins(void *context, int64_t id)
{
	attempt_journal(context, 'b', id);
}

static void acp_took(void *context, int64_t id)
{
	attempt_handed(context, id);
}

static void acp_session(void *context, const char *session)
{
	resume_loaded(context, session);
}

static void acp_turn(void *context, bool working)
{
	/* A turn that ends is followed by the next one, or by the end. */
	if (working)
		attempt_report(context,
		               &(struct state_report){.source = STATE_ACP, .state = AGENT_WORKING});
}

static void acp_asks(void *context, int64_t number, const json_t *params)
{
	const json_t *tool = json_sub(params, "toolCall"), *raw = json_sub(tool, "rawInput");
	const json_t *place = json_array_get(json_sub(tool, "locations"), 0);
	const char *command = json_text(raw, "command"), *path = json_text(place, "path");
	const char *kind = json_text(tool, "kind"), *title = json_text(tool, "title");

	attempt_ask(context, &(struct attempt_asked){
	                         .title = title,
	                         .request = {.kind = kind ? kind : "other",
	                                     .argument = command ? command
	                                                 : path  ? path
	                                                         : json_text(raw, "url")},
	                         .options = json_sub(params, "options"),
	                         .number = number,
	                     });
}

static void acp_ask_gone(void *context, int64_t number)
{
	attempt_ask_gone(context, number, 0);
}

static void acp_used(void *context, int64_t input, int64_t output, double cost)
{
	struct attempt *a = context;

	report_used(a->report, input, output, cost);
	attempt_limits_data(a);
}

static void acp_ended(void *context, const char *problem)
{
	struct attempt *a = context;

	if (!problem) {
		attempt_done(a);
		return;
	}
	a->acp_problem = xstrdup(problem);
	if (a->command)
		command_stop(a->command, a->stop_grace);
}

void attempt_talk_acp(struct attempt *a, int fd)
{
	static const struct acp_handler handler = {acp_text,    acp_words, acp_begins, acp_took,
	                                           acp_session, acp_turn,  acp_asks,   acp_ask_gone,
	                                           acp_used,    acp_ended};
	const char *load = a->resume.going_on ? resume_session(a) : NULL;
	const char *answer = answer_due(a), *prompt;
	size_t len;

	prompt = resume_prompt(a, &len);
	a->acp = acp_new(&a->w->loop, fd, a->cwd, load, &handler, a);
	acp_prompt(a->acp, prompt, len, 0);
	if (answer)
		acp_prompt(a->acp, answer, strlen(answer), 0);
	hand_over(a);
}

/* ---- the end ---- */

void attempt_talk_end(struct attempt *a)
{
	if (a->in_hand && a->in_hand->id)
		take_back(a); /* for who comes next; what is ours is said anew */
	acp_free(a->acp);
	typing_free(a->typing);
	a->acp = NULL;
	a->typing = NULL;
	free_queued(a->in_hand);
	a->in_hand = NULL;
	a->dialog_until = 0;
	unwatch_screen(a);
	uv_timer_stop(&a->w->agent_timer);
	for (size_t i = 0; i < STATE_SOURCES; i++)
		state_report(
		    a->state,
		    &(struct state_report){.source = (enum state_source)i, .state = AGENT_UNKNOWN},
		    time_now_ms());
	attempt_asks_free(a);
}

void attempt_talk_finish(struct attempt *a)
{
	struct attempt_queued *next;

	attempt_talk_end(a);
	for (struct attempt_queued *q = a->queued; q; q = next) {
		next = q->next;
		free_queued(q);
	}
	if (a->journal >= 0)
		close(a->journal);
	free(a->known);
	free(a->said);
	free(a->hook);
	free(a->hooks_file);
}
