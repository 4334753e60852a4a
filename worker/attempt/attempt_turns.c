/* Messages to a headless agent: it hears nothing while it runs, so what waits for it when its run
 * has ended is told to the same session as one more turn, before anything is proven. What waits is
 * the coordinator's to say: the agent may have read it by itself. Each message is in one turn at
 * most: written down before the process starts, told as delivered once it was heard. A turn only
 * adds: whatever becomes of it, the run before has ended well, and that counts. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "resume.h"
#include "rpc_peer.h"
#include "session.h"

#define TURNS_MAX    12 /* of an attempt: teammates that thank each other come to an end */
#define TURN_BYTES   (1u << 20)
#define TIME_LEFT_S  60.0 /* of its time limit: in less nothing is done about a message */
#define ASK_AGAIN_MS 250
#define ASKS_MAX     20 /* then the coordinator is away for longer: what waits stays queued */

static bool wanted(const struct attempt *a)
{
	return a->mode == MODE_EXEC && a->outcome == OUTCOME_COMPLETED && !a->stopping &&
	       !a->stale && !a->turns.over && a->resume.session && session_way(a->profile);
}

/* Why what waits stays queued; NULL: it does not. */
static const char *refusal(const struct attempt *a)
{
	double limit = json_num(a->spec, "timeout", 0);
	double needed = limit / 10 < TIME_LEFT_S ? limit / 10 : TIME_LEFT_S;

	if (a->turns.count >= TURNS_MAX)
		return "no further turn in this attempt";
	return limit > 0 && limit - a->resume.worked < needed ? "its time is over" : NULL;
}

/* ---- the turn ---- */

static void tell(struct attempt *a, const char *line)
{
	attempt_show_line(a, line);
	log_info("turns", "attempt=%lld %s", (long long)a->id, line);
}

/* One that its agent's arguments never have room for. */
static void pass_over(struct attempt *a, int64_t id)
{
	_cleanup_free_ char *line = xasprintf(
	    "message %lld stays queued: too long for its agent's arguments", (long long)id);

	tell(a, line);
}

/* Those of `messages` that fit, in order; `left`: how many come later. Caller frees; NULL: none. */
static char *take(struct attempt *a, const json_t *messages, size_t *left)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const json_t *message;
	size_t i;

	*left = 0;

	json_array_foreach ((json_t *)messages, i, message) {
		int64_t id = json_int(message, "id", 0);
		const char *words = json_text(message, "text");
		size_t len = words ? strlen(words) : 0;
		bool fits = resume_takes(a, len + 2);

		if (*left ||
		    (fits && text.len &&
		     (!resume_takes(a, text.len + len + 2) || text.len + len > TURN_BYTES))) {
			++*left;
			continue;
		}
		a->turns.after = id;
		if (!fits)
			pass_over(a, id);
		if (!fits || !attempt_is_new(a, id))
			continue;
		if (text.len)
			buf_add_str(&text, "\n\n");
		buf_add(&text, words, len);
		a->turns.ids =
		    xrealloc(a->turns.ids, (a->turns.id_count + 1) * sizeof *a->turns.ids);
		a->turns.ids[a->turns.id_count++] = id;
	}
	return text.len ? buf_take(&text) : NULL;
}

static void ask(struct attempt *a);

static void go_on(struct attempt *a, const json_t *messages)
{
	int64_t after = a->turns.after;
	const char *why = refusal(a);
	size_t left = json_array_size(messages);
	char *text = why ? NULL : take(a, messages, &left);
	_cleanup_free_ char *line = NULL;

	if (!text && a->turns.after > after) { /* behind those that never fit one may that does */
		ask(a);
		return;
	}
	a->turns.asking = false;
	if (why && left)
		line = xasprintf("messages stay queued: %s", why);
	else if (text)
		line = xasprintf("messages for its agent: turn %d of at most %d",
		                 a->turns.count + 1, TURNS_MAX);
	if (line)
		tell(a, line);
	if (!text) {
		attempt_advance(a);
		return;
	}
	a->turns.count++;
	a->turns.runs = true;
	resume_say_next(a, text);
	attempt_run_agent(a);
}

static void ask_again(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (w->attempt && w->attempt->turns.asking)
		ask(w->attempt);
}

static void ask_later(struct attempt *a)
{
	if (++a->turns.asks < ASKS_MAX && !a->stopping && !a->stale)
		uv_timer_start(&a->w->hold_timer, ask_again, ASK_AGAIN_MS, 0);
	else
		go_on(a, NULL);
}

static void replied(struct rpc_peer *peer, const json_t *result, const struct error *err,
                    void *context)
{
	struct worker *w = context;
	struct attempt *a = w->attempt;

	(void)peer;
	if (w->exiting || !a || !a->turns.asking)
		return;
	if (a->stopping || a->stale)
		go_on(a, NULL);
	else if (err && (err->code == ERROR_EXTERNAL || err->code == ERROR_BUSY))
		ask_later(a);
	else
		go_on(a, json_sub(result, "messages"));
}

static void ask(struct attempt *a)
{
	struct worker *w = a->w;

	if (!w->peer || w->link != LINK_READY) {
		ask_later(a);
		return;
	}
	rpc_peer_ask(w->peer, "message.waiting",
	             json_pack("{s:I, s:I}", "attempt", (json_int_t)a->id, "after",
	                       (json_int_t)a->turns.after),
	             replied, w);
	rpc_peer_flush(w->peer);
}

bool attempt_turn_asks(struct attempt *a)
{
	a->turns.runs = false;
	if (!wanted(a))
		return false;
	a->turns.asking = true;
	a->turns.asks = 0;
	ask(a);
	return true;
}

/* ---- its start and its end ---- */

bool attempt_turn_begins(struct attempt *a)
{
	for (size_t i = 0; i < a->turns.id_count; i++)
		if (!attempt_journal(a, 'b', a->turns.ids[i]))
			return false;
	return true;
}

/* Whether it heard them: `d`, and they are delivered; or `u`, as if they had not begun. */
static void settle(struct attempt *a, bool heard)
{
	for (size_t i = 0; i < a->turns.id_count; i++) {
		if (heard)
			attempt_handed(a, a->turns.ids[i]);
		else
			attempt_journal(a, 'u', a->turns.ids[i]);
	}
	a->turns.id_count = 0;
}

void attempt_turn_data(struct attempt *a)
{
	if (a->turns.id_count &&
	    resume_worked(a, (double)(uv_now(&a->w->loop) - a->turns.started) / 1000))
		settle(a, true);
}

void attempt_turn_started(struct attempt *a)
{
	const char *said = report_text(a->report);

	a->turns.started = uv_now(&a->w->loop);
	if (!a->turns.runs || !said)
		return;
	free(a->said); /* its last words, if the turn brings none */
	a->said = xstrdup(said);
}

/* It ended at once and by itself, as one does that cannot go on with its session. */
static bool unheard(const struct attempt *a, const struct command_end *end)
{
	return WIFEXITED(end->status) && end->status != 0 && !end->timed_out && !a->stopping &&
	       !a->stale && a->limits.cut == TASK_ERROR_NONE && !resume_worked(a, end->seconds);
}

/* What it had made before is whole, and is all that counts. */
static void lost(struct attempt *a, bool heard, const char *why)
{
	_cleanup_free_ char *line =
	    xasprintf("a turn for messages failed, no other one follows: %s", why);

	settle(a, heard);
	tell(a, line);
	a->turns.limited = a->error == TASK_ERROR_LIMIT;
	attempt_uncut(a);
	free(a->error_text);
	a->error_text = NULL;
	a->error = TASK_ERROR_NONE;
	a->outcome = OUTCOME_COMPLETED;
	a->turns.over = true;
	a->turns.runs = false;
}

bool attempt_turn_unstarted(struct attempt *a, const char *why)
{
	if (!a->turns.runs)
		return false;
	lost(a, false, why);
	return true;
}

bool attempt_turn_failed(struct attempt *a, const struct command_end *end)
{
	bool ok = a->done || end->status == 0;
	_cleanup_free_ char *why = NULL;

	if (!a->turns.runs)
		return false;
	if (a->stopping || a->stale) {
		settle(a, true);
		return false;
	}
	if (attempt_limits_failed(a, ok)) /* what its service said holds all the same */
		why = xstrdup(a->error_text);
	else if (end->timed_out)
		why = xasprintf("time limit of %gs passed", json_num(a->spec, "timeout", 0));
	else if (!ok)
		why = attempt_end_text(end, a->output, report_activity(a->report));
	if (why)
		lost(a, !unheard(a, end), why);
	else
		settle(a, true);
	return why != NULL;
}

void attempt_turns_free(struct attempt *a)
{
	free(a->turns.ids);
}
