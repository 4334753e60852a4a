/* Escape sequences (ECMA-48, and xterm's strings): small byte machines, no tables of
 * terminals. They never fail: bytes that make no sense pass, or are left out, as they come. */
#include "ansi.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT, ESC, ESC_MORE, CSI, STRING, STRING_ESC };

#define BYTE_ESC  0x1b
#define BYTE_BEL  0x07
#define BYTE_ENQ  0x05
#define BYTE_CAN  0x18
#define BYTE_SUB  0x1a
#define SHIFT_OUT 0x0e
#define SHIFT_IN  0x0f

/* The state after `c`; `*done` is set when a sequence (or string) ends with it. */
static int advance(int state, unsigned char c, bool *done)
{
	*done = false;
	if (state != TEXT && (c == BYTE_CAN || c == BYTE_SUB)) { /* broken off */
		*done = true;
		return TEXT;
	}
	switch (state) {
	case ESC:
		if (c < 0x20 && c != BYTE_ESC) /* a control inside is carried out, and it goes on */
			return ESC;
		if (c == '[')
			return CSI;
		if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
			return STRING;
		if (c == BYTE_ESC)
			return ESC;
		if (c >= 0x20 && c <= 0x2f)
			return ESC_MORE;
		*done = true;
		return TEXT;
	case ESC_MORE:
		if (c == BYTE_ESC)
			return ESC;
		if (c <= 0x2f)
			return ESC_MORE;
		*done = true;
		return TEXT;
	case CSI:
		if (c == BYTE_ESC)
			return ESC;
		if (c <= 0x3f)
			return CSI;
		*done = true;
		return TEXT;
	case STRING:
		if (c == BYTE_ESC)
			return STRING_ESC;
		if (c != BYTE_BEL)
			return STRING;
		*done = true;
		return TEXT;
	case STRING_ESC:
		/* ESC \ ends a string; any other ESC ends it too and begins something new. */
		if (c == '\\') {
			*done = true;
			return TEXT;
		}
		return advance(ESC, c, done);
	default:
		return c == BYTE_ESC ? ESC : TEXT;
	}
}

static size_t line_start(const struct buf *out, size_t from)
{
	size_t at = out->len;

	while (at > from && out->data[at - 1] != '\n')
		at--;
	return at;
}

static void cut(struct buf *out, size_t len)
{
	out->len = len;
	if (out->data)
		out->data[len] = '\0';
}

static void take_back(struct buf *out, size_t from)
{
	size_t at = out->len;

	if (at == from || out->data[at - 1] == '\n')
		return;
	do {
		at--;
	} while (at > from && ((unsigned char)out->data[at] & 0xc0) == 0x80);
	cut(out, at);
}

void ansi_add_plain(struct buf *out, const char *data, size_t len)
{
	size_t from = out->len;
	bool pending_return = false;
	int state = TEXT;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		bool done;

		if (state != TEXT || c == BYTE_ESC) {
			state = advance(state, c, &done);
			continue;
		}
		if (c == SHIFT_OUT || c == SHIFT_IN) /* of character sets: nothing to read */
			continue;
		if (c == '\r') {
			pending_return = true;
			continue;
		}
		if (pending_return && c != '\n')
			cut(out, line_start(out, from));
		pending_return = false;
		if (c == '\b')
			take_back(out, from);
		else
			buf_add(out, &data[i], 1);
	}
}

/* Whether a whole control sequence makes the terminal answer: device attributes, status
 * reports, mode and size requests, kitty's keyboard question. */
static bool csi_asks(const char *seq, size_t len)
{
	char final = seq[len - 1];

	switch (final) {
	case 'c':
	case 'n':
	case 'x':
		return true;
	case 'p':
		return len > 3 && seq[len - 2] == '$';
	case 't':
		return true;
	case 'q':
		return len > 3 && seq[2] == '>';
	case 'u':
		return len > 3 && seq[2] == '?';
	default:
		return false;
	}
}

/* Operating system commands that may pass: titles, colours, links. Never the clipboard. */
static bool osc_passes(const char *seq, size_t len, enum ansi_pass pass)
{
	static const int allowed[] = {0, 1, 2, 4, 7, 8, 10, 11, 12, 104, 110, 111, 112, 133};
	int number = 0;
	size_t i = 2;

	if (i >= len || seq[i] < '0' || seq[i] > '9')
		return false;
	for (; i < len && i < 6 && seq[i] >= '0' && seq[i] <= '9'; i++)
		number = number * 10 + (seq[i] - '0');
	if (i < len && seq[i] >= '0' && seq[i] <= '9') /* 000052 is 52 to a terminal */
		return false;
	for (size_t n = 0; n < sizeof allowed / sizeof allowed[0]; n++) {
		if (allowed[n] != number)
			continue;
		return pass == ANSI_PASS_LIVE || !memchr(seq, '?', len) || number == 8;
	}
	return false;
}

static bool is_c1(unsigned char c)
{
	return c >= 0x80 && c <= 0x9f;
}

/* One byte that is no escape. U+0080 to U+009F are left out: to some terminals U+009D and
 * U+009B are what ESC ] and ESC [ are, and would get past us. So is their single byte, unless it
 * belongs to a character. */
static void pass_byte(struct ansi_filter *f, struct buf *out, unsigned char c)
{
	static const char c2 = '\xc2';
	char byte = (char)c;

	if (f->after_c2) {
		f->after_c2 = false;
		if (is_c1(c))
			return;
		buf_add(out, &c2, 1);
		f->utf8_left = 1;
	}
	if (c == 0xc2) {
		f->after_c2 = true;
		f->utf8_left = 0;
		return;
	}
	if (c >= 0x80 && c <= 0xbf) {
		if (!f->utf8_left && is_c1(c))
			return;
		f->utf8_left -= f->utf8_left > 0;
	} else {
		f->utf8_left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0;
	}
	buf_add(out, &byte, 1);
}

/* The text before an escape ends, whole or not. */
static void end_text(struct ansi_filter *f, struct buf *out)
{
	if (f->after_c2)
		buf_add(out, "\xc2", 1);
	f->after_c2 = false;
	f->utf8_left = 0;
}

/* A control inside a sequence is nothing that programs mean. Its end may be one. */
static bool has_control(const char *seq, size_t len)
{
	for (size_t i = 1; i + 1 < len; i++) {
		unsigned char c = (unsigned char)seq[i], after = (unsigned char)seq[i + 1];

		if (c < 0x20 && !(c == BYTE_ESC && after == 0x5c && i + 2 == len))
			return true;
		if (c == 0xc2 && is_c1(after))
			return true;
	}
	return (unsigned char)seq[len - 1] < 0x20 && seq[len - 1] != BYTE_BEL;
}

static bool sequence_passes(const struct ansi_filter *f)
{
	const char *seq = f->held;
	size_t len = f->held_len;

	if (len < 2 || has_control(seq, len) || (unsigned char)seq[len - 1] >= 0x7f)
		return false; /* the first half of a control may not stand at its end, either */
	if (seq[1] == '[')
		return f->pass == ANSI_PASS_LIVE || !csi_asks(seq, len);
	if (seq[1] == ']')
		return osc_passes(seq, len, f->pass);
	if (strchr("PX^_", seq[1]))
		return false;
	return f->pass == ANSI_PASS_LIVE || seq[1] != 'Z';
}

/* Too long to hold. Links and titles may be; they are judged by their start. */
static bool long_passes(const struct ansi_filter *f)
{
	return f->held[1] == ']' && !has_control(f->held, sizeof f->held - 1) &&
	       osc_passes(f->held, sizeof f->held, f->pass);
}

/* The terminal is inside a string that was too long to hold. */
static bool in_long(const struct ansi_filter *f)
{
	return !f->drop && f->held_len == sizeof f->held;
}

/* A byte of such a string. Its escape waits for what follows; no other control goes along. */
static void pass_long(struct ansi_filter *f, struct buf *out, char c, bool ends)
{
	if (ends) {
		end_text(f, out);
		buf_add_str(out, "\033\\");
	} else if ((unsigned char)c >= 0x20)
		pass_byte(f, out, (unsigned char)c);
}

static void hold(struct ansi_filter *f, struct buf *out, char c, bool ends)
{
	if (f->drop)
		return;
	if (f->held_len == sizeof f->held) {
		pass_long(f, out, c, ends);
		return;
	}
	f->held[f->held_len++] = c;
	if (f->held_len < sizeof f->held)
		return;
	f->drop = !long_passes(f);
	if (f->drop)
		return;
	buf_add(out, f->held, 2);
	for (size_t i = 2; i < f->held_len; i++)
		pass_long(f, out, f->held[i], ends && i + 1 == f->held_len);
}

static void release(struct ansi_filter *f, struct buf *out)
{
	if (!f->drop && f->held_len < sizeof f->held && sequence_passes(f))
		buf_add(out, f->held, f->held_len);
	f->held_len = 0;
	f->drop = false;
}

static void begin_anew(struct ansi_filter *f, struct buf *out, size_t escapes)
{
	if (in_long(f)) {
		end_text(f, out);
		buf_add_str(out, "\033\\");
	}
	f->held[0] = BYTE_ESC;
	f->held_len = escapes;
	f->drop = false;
}

void ansi_filter(struct ansi_filter *f, struct buf *out, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		unsigned char c = (unsigned char)data[i];
		bool done;
		int before = f->state;

		if (before == TEXT && c != BYTE_ESC) {
			const char *esc = memchr(data + i, BYTE_ESC, len - i);
			size_t end = esc ? (size_t)(esc - data) : len;

			for (; i < end; i++)
				if (data[i] != BYTE_ENQ)
					pass_byte(f, out, (unsigned char)data[i]);
			continue;
		}
		if (before == TEXT)
			end_text(f, out);
		f->state = advance(before, c, &done);
		if (before != TEXT && c == BYTE_ESC && f->state == ESC)
			begin_anew(f, out, 0); /* what was cut short is not passed on */
		else if (before == STRING_ESC && c != 0x5c)
			begin_anew(f, out, 1);
		hold(f, out, (char)c, done);
		if (done)
			release(f, out);
		i++;
	}
}

static void watch_final(struct ansi_watch *w, unsigned char c)
{
	if (w->number == 2004)
		w->has_2004 = true;
	if (w->private_mode && w->has_2004 && (c == 'h' || c == 'l'))
		w->bracketed_paste = c == 'h';
	if (!w->plain)
		return;
	if (c == 'n' && w->number == 6)
		w->asked_position++;
	else if (c == 'n' && w->number == 5)
		w->asked_status++;
	else if (c == 'c' && w->number == 0)
		w->asked_device++;
}

static void watch_csi(struct ansi_watch *w, unsigned char c)
{
	if (c >= '0' && c <= '9') {
		if (w->number < 100000)
			w->number = w->number * 10 + (c - '0');
	} else if (c == ';') {
		if (w->number == 2004)
			w->has_2004 = true;
		w->number = 0;
		w->plain = false;
	} else if (c == '?') {
		w->private_mode = true;
		w->plain = false;
	} else if (c < 0x40) {
		w->plain = false;
	}
}

void ansi_watch(struct ansi_watch *w, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		int before = w->state;
		bool done;

		if (before == TEXT && c != BYTE_ESC) {
			const char *esc = memchr(data + i, BYTE_ESC, len - i);

			if (!esc)
				return;
			i = (size_t)(esc - data);
			c = BYTE_ESC;
		}
		w->state = advance(before, c, &done);
		if (w->state == CSI && before != CSI) {
			w->number = 0;
			w->private_mode = w->has_2004 = false;
			w->plain = true;
		} else if (before == CSI && done) {
			watch_final(w, c);
		} else if (w->state == CSI) {
			watch_csi(w, c);
		}
	}
}
