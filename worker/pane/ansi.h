/* Escape sequences in the bytes of a terminal: leaving them out, leaving out those that
 * ask the terminal for an answer, and noticing the modes that matter to us. */
#ifndef PLEACH_WORKER_ANSI_H
#define PLEACH_WORKER_ANSI_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Appends what a person would read: no escape sequences, a carriage return starts its line
 * again, a backspace takes one character back. Control characters stay otherwise. */
void ansi_add_plain(struct buf *out, const char *data, size_t len);

/* A filter that remembers where it was between calls. */
enum ansi_pass {
	ANSI_PASS_LIVE,  /* to a person's terminal: without clipboard, device control strings, C1 */
	ANSI_PASS_REPLAY /* old output shown again: also without whatever makes a terminal answer */
};
struct ansi_filter {
	enum ansi_pass pass;
	int state;
	char held[256]; /* the sequence so far, until it is known whether it may pass */
	size_t held_len;
	bool drop;          /* the rest of this string is left out */
	bool after_c2;      /* the byte C2 came; it is not passed on yet */
	unsigned utf8_left; /* bytes that the character under way still has */
};
#define ANSI_FILTER_INIT(pass)                                                                     \
	{                                                                                          \
		pass, 0, {0}, 0, false, false, 0                                                   \
	}
void ansi_filter(struct ansi_filter *filter, struct buf *out, const char *data, size_t len);

/* What an agent told its terminal. */
struct ansi_watch {
	int state;
	unsigned number;
	bool private_mode, plain;
	bool has_2004;
	/* results */
	bool bracketed_paste;
	/* what it asked and nobody answered; the reader sets them back to 0 */
	unsigned asked_position, asked_status, asked_device;
};
void ansi_watch(struct ansi_watch *watch, const char *data, size_t len);

#endif
