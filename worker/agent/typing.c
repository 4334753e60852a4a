/* Typing into an agent.
 *
 * A prompt typed too early is lost, one typed with its return in a burst is taken for a
 * paste and never submitted: so a text goes in when the first output has settled, and its
 * carriage return follows after a pause, once what was typed has been read: a busy program that
 * reads both at once may take the return for a part of the text. It is bracketed only where the
 * agent switched that on. Whatever the terminal itself would act on (escape, and the special
 * characters of the modes that are set at that moment) is left out: a text may come from another
 * agent. */
#include "typing.h"

#include <stdlib.h>
#include <string.h>

#include "ansi.h"
#include "buf.h"
#include "mem.h"

#define SETTLE_QUIET_MS  300   /* no output for this long after the first: it is ready */
#define SETTLE_SILENT_MS 2000  /* it prints nothing at all: it reads, presumably */
#define SETTLE_MAX_MS    15000 /* it never stops printing (a spinner) */
#define SETTLE_LAST_MS   60000 /* it neither set its terminal up nor reads it: no sign will come */
#define RETURN_PAUSE_MS  150
#define LONG_TEXT        (16u << 10) /* a program takes its time to read that */
#define LONG_PAUSE_MS    3000        /* at most so much */
#define NEXT_PAUSE_MS    100
#define LOOK_MS          20    /* whether it was read */
#define UNREAD_MAX_MS    10000 /* it does not read: it gets the rest all the same */
#define BEGIN_AGAIN_MS   1000
#define COOKED_PIECE     1000 /* bytes of a line; the line discipline cuts it at 4,095 */
#define HELD_KEYS_MAX    (64u << 10)

enum typing_state {
	TYPING_WAITS,
	TYPING_IDLE,
	TYPING_TEXT,
	TYPING_PAUSE,
	TYPING_RETURN,
	TYPING_TAKEN
};

struct typing_item {
	char *text;
	size_t len;
	int64_t id;
	struct typing_item *next;
};

struct typing {
	uv_timer_t timer;
	struct terminal *terminal;
	const struct typing_handler *handler;
	void *context;
	enum typing_state state;
	uint64_t started, last_output;
	uint64_t rests_until; /* between two texts */
	bool printed;
	bool unsettled;       /* another screen comes: the next text waits as the first one did */
	bool cooked;          /* the text under way was written for a terminal in canonical mode */
	uint64_t unread_from; /* since when what was written may be unread */
	uint64_t read_at;     /* since when it is not; 0: it is */
	bool emptied;         /* the last look found nothing unread */
	bool shown;           /* it printed something since then */
	struct ansi_watch watch;
	struct typing_item *first, **last;
	struct buf held_keys;
};

struct typing *typing_new(uv_loop_t *loop, struct terminal *terminal,
                          const struct typing_handler *handler, void *context)
{
	struct typing *t = xcalloc(1, sizeof *t);

	uv_timer_init(loop, &t->timer);
	t->timer.data = t;
	t->terminal = terminal;
	t->handler = handler;
	t->context = context;
	t->started = uv_now(loop);
	t->last = &t->first;
	return t;
}

static void typing_closed(uv_handle_t *handle)
{
	struct typing *t = handle->data;
	struct typing_item *next;

	for (struct typing_item *item = t->first; item; item = next) {
		next = item->next;
		free(item->text);
		free(item);
	}
	buf_finish(&t->held_keys);
	free(t);
}

void typing_free(struct typing *t)
{
	if (!t)
		return;
	t->terminal = NULL;
	uv_close((uv_handle_t *)&t->timer, typing_closed);
}

static bool is_cc(const struct termios *modes, int index, char c)
{
	return modes->c_cc[index] != _POSIX_VDISABLE && modes->c_cc[index] == (cc_t)c;
}

/* Whether the line discipline would act on the character instead of passing it on. */
static bool acts_on(const struct termios *m, char c)
{
	bool canonical = m->c_lflag & ICANON, extended = m->c_lflag & IEXTEN;

	if (c == '\n' || c == '\t')
		return false;
	if ((m->c_lflag & ISIG) && (is_cc(m, VINTR, c) || is_cc(m, VQUIT, c) || is_cc(m, VSUSP, c)))
		return true;
	if (canonical && (is_cc(m, VEOF, c) || is_cc(m, VERASE, c) || is_cc(m, VKILL, c) ||
	                  is_cc(m, VEOL, c) || is_cc(m, VEOL2, c)))
		return true;
	if (canonical && extended && (is_cc(m, VWERASE, c) || is_cc(m, VREPRINT, c)))
		return true;
	if (extended && is_cc(m, VLNEXT, c))
		return true;
	return (m->c_iflag & IXON) && (is_cc(m, VSTART, c) || is_cc(m, VSTOP, c));
}

/* In canonical mode an end-of-file character behind something hands it to the reader
 * without ending the line: so a long line arrives in pieces, and whole. */
static void add_cooked(struct buf *out, const struct termios *modes, const char *text, size_t len)
{
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		bool boundary = ((unsigned char)text[i] & 0xc0) != 0x80;

		if (text[i] == '\n')
			run = 0;
		else if (run >= COOKED_PIECE && boundary && modes->c_cc[VEOF] != _POSIX_VDISABLE) {
			buf_add(out, &modes->c_cc[VEOF], 1);
			run = 0;
		}
		buf_add(out, &text[i], 1);
		if (text[i] != '\n')
			run++;
	}
}

static void encode(struct typing *t, const struct typing_item *item, struct buf *out)
{
	_cleanup_buf_ struct buf clean = BUF_INIT;
	struct termios modes;
	bool bracketed = t->watch.bracketed_paste;

	if (terminal_modes(t->terminal, &modes) != 0)
		memset(&modes, 0, sizeof modes);
	t->cooked = modes.c_lflag & ICANON;
	for (size_t i = 0; i < item->len; i++) {
		char c = item->text[i];

		if (c == 0x1b || acts_on(&modes, c))
			continue;
		/* Unbracketed, a carriage return would submit. */
		if (c == '\r' && !bracketed) {
			if (i + 1 < item->len && item->text[i + 1] == '\n')
				continue;
			c = '\n';
		}
		buf_add(&clean, &c, 1);
	}
	if (bracketed)
		buf_add_str(out, "\033[200~");
	if (clean.len && t->cooked)
		add_cooked(out, &modes, clean.data, clean.len);
	else if (clean.len)
		buf_add(out, clean.data, clean.len);
	if (bracketed)
		buf_add_str(out, "\033[201~");
}

static void typing_step(uv_timer_t *timer);

static void wait_for(struct typing *t, uint64_t ms)
{
	uv_timer_start(&t->timer, typing_step, ms, 0);
}

/* It has set its terminal up for keys, or waits for a line. What prints without either is
 * still starting, however long that takes: what is typed then is lost, or submitted to nobody. */
static bool takes_input(const struct typing *t)
{
	struct termios modes;

	if (terminal_modes(t->terminal, &modes) != 0 || !(modes.c_lflag & ICANON))
		return true;
	return terminal_is_read(t->terminal);
}

/* How long until the agent counts as ready; 0: now. */
static uint64_t settle_left(const struct typing *t)
{
	uint64_t now = uv_now(t->timer.loop);
	uint64_t due =
	    t->printed ? t->last_output + SETTLE_QUIET_MS : t->started + SETTLE_SILENT_MS;

	if (due > t->started + SETTLE_MAX_MS)
		due = t->started + SETTLE_MAX_MS;
	if (due > now)
		return due - now;
	return now < t->started + SETTLE_LAST_MS && !takes_input(t) ? SETTLE_QUIET_MS : 0;
}

static void type_text(struct typing *t)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (!t->handler->on_begin(t->context, t->first->id)) {
		t->state = TYPING_WAITS;
		wait_for(t, BEGIN_AGAIN_MS);
		return;
	}
	encode(t, t->first, &out);
	if (!out.len) {
		t->state = TYPING_TEXT;
		typing_drained(t);
	} else if (terminal_write(t->terminal, out.data, out.len)) {
		t->state = TYPING_TEXT;
	} /* else the queue is full: again when it is empty */
}

/* How long to wait on for its program to have read what was written for `ms`; 0: no longer. In
 * canonical mode the terminal itself keeps lines apart, however late they are read. */
static uint64_t unread_left(struct typing *t, uint64_t ms)
{
	uint64_t now = uv_now(t->timer.loop);

	if (t->cooked || now >= t->unread_from + UNREAD_MAX_MS)
		return 0;
	if (terminal_is_unread(t->terminal)) {
		t->read_at = 0;
		t->emptied = false;
		return LOOK_MS;
	}
	/* What it printed before may not have come in yet: after one more turn of the loop. */
	if (!t->emptied) {
		t->emptied = true;
		return 1;
	}
	if (!t->read_at) {
		t->read_at = now;
		t->shown = false;
	}
	return now < t->read_at + ms ? t->read_at + ms - now : 0;
}

/* All of it was written: it is looked whether it is read. */
static void written(struct typing *t, enum typing_state next, uint64_t ms)
{
	t->state = next;
	t->unread_from = uv_now(t->timer.loop);
	t->read_at = 0;
	t->emptied = t->shown = false;
	wait_for(t, t->cooked ? 0 : ms);
}

/* The next text may come in a moment, and what a person typed meanwhile now. */
static void rest(struct typing *t)
{
	t->state = t->unsettled ? TYPING_WAITS : TYPING_IDLE;
	t->unsettled = false;
	if (t->held_keys.len) {
		terminal_write(t->terminal, t->held_keys.data, t->held_keys.len);
		buf_finish(&t->held_keys);
	}
	t->rests_until = uv_now(t->timer.loop) + NEXT_PAUSE_MS;
	if (t->first)
		wait_for(t, NEXT_PAUSE_MS);
}

/* It is the program's, whenever that reads it: it may end by it. */
static void type_done(struct typing *t)
{
	struct typing_item *item = t->first;
	int64_t id = item->id;

	t->first = item->next;
	if (!t->first)
		t->last = &t->first;
	free(item->text);
	free(item);
	if (t->cooked)
		rest(t);
	else
		written(t, TYPING_TAKEN, LOOK_MS);
	t->handler->on_typed(t->context, id);
}

/* How long until the carriage return may follow what was read. A long text is worked on for a
 * while, and a return that comes meanwhile is taken for a part of it: what the program shows once
 * it has read all of it tells when it is through. */
static uint64_t digest_left(const struct typing *t)
{
	uint64_t from = t->read_at ? t->read_at : t->unread_from;
	uint64_t now = uv_now(t->timer.loop), due = from + LONG_PAUSE_MS;

	if (t->cooked || t->first->len < LONG_TEXT)
		return 0;
	if (t->shown && t->last_output + RETURN_PAUSE_MS < due)
		due = t->last_output + RETURN_PAUSE_MS;
	return due > now ? due - now : 0;
}

static void type_return(struct typing *t)
{
	uint64_t left = unread_left(t, RETURN_PAUSE_MS);

	if (!left)
		left = digest_left(t);
	if (left) {
		wait_for(t, left < RETURN_PAUSE_MS ? left : RETURN_PAUSE_MS);
		return;
	}
	t->state = TYPING_RETURN;
	if (!terminal_write(t->terminal, "\r", 1)) {
		t->state = TYPING_PAUSE;
		wait_for(t, RETURN_PAUSE_MS);
	}
}

static void typing_step(uv_timer_t *timer)
{
	struct typing *t = timer->data;
	uint64_t left;

	if (!t->terminal || (!t->first && t->state != TYPING_TAKEN))
		return;
	switch (t->state) {
	case TYPING_WAITS:
		left = settle_left(t);
		if (left) {
			wait_for(t, left);
			return;
		}
		t->state = TYPING_IDLE;
		type_text(t);
		return;
	case TYPING_IDLE:
		type_text(t);
		return;
	case TYPING_PAUSE:
		type_return(t);
		return;
	case TYPING_TAKEN:
		left = unread_left(t, 0);
		if (left)
			wait_for(t, left);
		else
			rest(t);
		return;
	case TYPING_TEXT:
	case TYPING_RETURN:
		return;
	}
}

static uint64_t rest_left(const struct typing *t)
{
	uint64_t now = uv_now(t->timer.loop);

	return t->rests_until > now ? t->rests_until - now : 0;
}

void typing_add(struct typing *t, const char *text, size_t len, int64_t id)
{
	struct typing_item *item = xcalloc(1, sizeof *item);

	item->text = xrealloc(NULL, len + 1);
	memcpy(item->text, text, len);
	item->text[len] = '\0';
	item->len = len;
	item->id = id;
	*t->last = item;
	t->last = &item->next;
	if (t->first == item && (t->state == TYPING_WAITS || t->state == TYPING_IDLE))
		wait_for(t, t->state == TYPING_WAITS ? settle_left(t) : rest_left(t));
}

bool typing_take_back(struct typing *t)
{
	struct typing_item *item = t->first;

	if (!item || item->next || (t->state != TYPING_WAITS && t->state != TYPING_IDLE))
		return false;
	t->first = NULL;
	t->last = &t->first;
	free(item->text);
	free(item);
	uv_timer_stop(&t->timer);
	return true;
}

void typing_settle(struct typing *t)
{
	t->started = t->last_output = uv_now(t->timer.loop);
	if (t->state != TYPING_WAITS && t->state != TYPING_IDLE) {
		t->unsettled = true;
		return;
	}
	t->state = TYPING_WAITS;
	if (t->first)
		wait_for(t, settle_left(t));
}

void typing_keys(struct typing *t, const char *keys, size_t len)
{
	if (t->state == TYPING_WAITS || t->state == TYPING_IDLE)
		terminal_write(t->terminal, keys, len);
	else if (t->held_keys.len + len <= HELD_KEYS_MAX)
		buf_add(&t->held_keys, keys, len);
}

void typing_output(struct typing *t, const char *data, size_t len)
{
	t->printed = true;
	t->shown = true;
	t->last_output = uv_now(t->timer.loop);
	ansi_watch(&t->watch, data, len);
}

void typing_answer_queries(struct typing *t, bool alone)
{
	struct ansi_watch *w = &t->watch;

	if (alone) {
		/* Some place in the second row (in the first it would read like a key, F3), and the
		 * attributes of a VT100, as tmux says them. */
		if (w->asked_position)
			typing_keys(t, "\033[2;2R", 6);
		if (w->asked_status)
			typing_keys(t, "\033[0n", 4);
		if (w->asked_device)
			typing_keys(t, "\033[?1;2c", 7);
	}
	w->asked_position = w->asked_status = w->asked_device = 0;
}

void typing_drained(struct typing *t)
{
	if (t->state == TYPING_TEXT) {
		written(t, TYPING_PAUSE, LOOK_MS);
	} else if (t->state == TYPING_RETURN) {
		type_done(t);
	} else if (t->state == TYPING_IDLE && t->first) {
		wait_for(t, 0);
	}
}
