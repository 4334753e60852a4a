/* One state out of several sources.
 *
 * Each source has a slot with what it said last. The strongest slot that says anything is
 * believed, whatever a weaker one says: a screen looks idle between two tool calls of an agent
 * whose hooks say that it works. Only `limited` is apart: whoever saw the limit, it holds until
 * its time has passed or the agent is seen working again by the source that saw it, or a
 * stronger one. */
#include "state.h"

#include <stdlib.h>

#include "mem.h"
#include "text.h"

struct state {
	struct state_view said[STATE_SOURCES];
	struct state_view screen; /* what the screen says, and is not believed yet */
	int64_t screen_at;        /* when that is to be believed; 0: nothing waits */
	struct state_view limit;  /* state LIMITED while a limit holds */
};

static const char *const words[] = {
#define X(name, word) word,
    AGENT_STATES(X)
#undef X
};

static const struct state_view nothing = {.state = AGENT_UNKNOWN};

const char *agent_state_word(enum agent_state state)
{
	return words[state];
}

static void view_finish(struct state_view *v)
{
	free(v->reason);
	free(v->text);
	json_decref(v->options);
	*v = nothing;
}

struct state *state_new(void)
{
	return xcalloc(1, sizeof(struct state));
}

void state_free(struct state *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < STATE_SOURCES; i++)
		view_finish(&s->said[i]);
	view_finish(&s->screen);
	view_finish(&s->limit);
	free(s);
}

static bool same_json(const json_t *a, const json_t *b)
{
	return a && b ? json_equal(a, b) : a == b;
}

static bool same(const struct state_view *v, const struct state_report *r)
{
	return v->state == r->state && v->request == r->request && v->until_ms == r->until_ms &&
	       text_is_same(v->reason, r->reason) && text_is_same(v->text, r->text) &&
	       same_json(v->options, r->options);
}

static void view_set(struct state_view *v, const struct state_report *r)
{
	struct state_view fresh = {
	    .state = r->state,
	    .source = r->source,
	    .reason = xstrdup(r->reason),
	    .text = xstrdup(r->text),
	    .options = r->options ? json_deep_copy(r->options) : NULL,
	    .request = r->request,
	    .until_ms = r->until_ms,
	};

	view_finish(v);
	*v = fresh;
}

const struct state_view *state_now(const struct state *s)
{
	const struct state_view *best = &nothing;

	for (size_t i = STATE_SOURCES; i-- > 0;) {
		if (s->said[i].state != AGENT_UNKNOWN) {
			best = &s->said[i];
			break;
		}
	}
	/* A person is asked whatever limit there is: the answer may be what ends it. */
	if (s->limit.state == AGENT_LIMITED && best->state != AGENT_NEEDS_INPUT)
		return &s->limit;
	return best;
}

/* Whether the screen's word is believed at once. */
static bool screen_waits(struct state *s, const struct state_report *r, int64_t now_ms)
{
	bool still = r->state == AGENT_IDLE || r->state == AGENT_NEEDS_INPUT;

	if (!still || same(&s->said[STATE_SCREEN], r)) {
		s->screen_at = 0;
		return false;
	}
	if (!s->screen_at || !same(&s->screen, r)) {
		view_set(&s->screen, r);
		s->screen_at = now_ms + STATE_SCREEN_MS;
	}
	return now_ms < s->screen_at;
}

static bool take(struct state *s, const struct state_report *r)
{
	struct state_view *slot = &s->said[r->source];

	if (r->state == AGENT_LIMITED) {
		if (same(&s->limit, r))
			return false;
		view_set(&s->limit, r);
		return true;
	}
	if (r->state == AGENT_WORKING && s->limit.state == AGENT_LIMITED &&
	    r->source >= s->limit.source)
		view_finish(&s->limit);
	else if (same(slot, r))
		return false;
	view_set(slot, r);
	return true;
}

/* What is shown, to be held against what is shown afterwards. */
struct shown {
	const struct state_view *view;
	enum agent_state state;
};

static struct shown shown(const struct state *s)
{
	const struct state_view *v = state_now(s);

	return (struct shown){v, v->state};
}

/* `taken`: the slot that was written is another than before. */
static bool changed(const struct state *s, const struct shown *before, bool taken)
{
	const struct state_view *v = state_now(s);

	return v->state != before->state || v != before->view ||
	       (taken && v->state == AGENT_NEEDS_INPUT);
}

bool state_report(struct state *s, const struct state_report *r, int64_t now_ms)
{
	struct shown before;
	bool ticked = state_tick(s, now_ms), taken;

	if (r->source == STATE_SCREEN && screen_waits(s, r, now_ms))
		return ticked;
	before = shown(s);
	taken = take(s, r);
	/* A slot behind the one that is shown may change as it likes. */
	if (taken && state_now(s) != &s->said[r->source] && state_now(s) != &s->limit)
		taken = false;
	return (changed(s, &before, taken) || (taken && r->state == AGENT_LIMITED)) || ticked;
}

bool state_tick(struct state *s, int64_t now_ms)
{
	struct shown before = shown(s);
	bool taken = false;

	if (s->limit.state == AGENT_LIMITED && s->limit.until_ms && now_ms >= s->limit.until_ms)
		view_finish(&s->limit);
	if (s->screen_at && now_ms >= s->screen_at) {
		view_finish(&s->said[STATE_SCREEN]);
		s->said[STATE_SCREEN] = s->screen;
		s->screen = nothing;
		s->screen_at = 0;
		taken = state_now(s) == &s->said[STATE_SCREEN];
	}
	return changed(s, &before, taken);
}

int64_t state_due(const struct state *s)
{
	int64_t due = s->screen_at;

	if (s->limit.state == AGENT_LIMITED && s->limit.until_ms &&
	    (!due || s->limit.until_ms < due))
		due = s->limit.until_ms;
	return due;
}
