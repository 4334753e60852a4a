/* tmux's control mode as bytes: what it says (blocks and notifications) and how a word
 * is written in its command language. Pure: no I/O, no process, no loop.
 *
 * What tmux 3.3a says (measured): every command of a line gives one block
 * `%begin TIME NUMBER FLAGS` … `%end|%error TIME NUMBER FLAGS`; FLAGS has bit 0 set when the
 * command came from this client. An error skips the rest of its line. Notifications never
 * come inside a block; a block may hold lines that look like anything. */
#ifndef PLEACH_TMUX_PROTO_H
#define PLEACH_TMUX_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define TMUX_LINE_MAX  (256u << 10) /* bytes kept of a line; the rest of it is dropped */
#define TMUX_BLOCK_MAX (1u << 20)   /* bytes kept of a block */

enum tmux_event_kind {
	TMUX_BLOCK,  /* the answer to one command */
	TMUX_NOTIFY, /* a notification: name without its %, rest behind the first space */
	TMUX_NOISE,  /* a line that is neither: what the client program itself complains of */
};

/* Strings are borrowed until the next call with the same stream; NUL-terminated. */
struct tmux_event {
	enum tmux_event_kind kind;
	bool ok;          /* block: ended by %end */
	bool ours;        /* block: answers a command of this client */
	bool truncated;   /* block or line was longer than is kept */
	uint64_t number;  /* block */
	const char *name; /* notification */
	const char *text; /* block: its lines; notification: the rest; noise: the line */
	size_t len;
};

struct tmux_stream {
	struct buf in;
	size_t taken;   /* bytes of `in` that were handed out */
	size_t scanned; /* bytes of `in` known to hold no newline behind `taken` */
	bool dropping;  /* inside the dropped tail of an over-long line */
	bool cut;       /* the line being read lost its tail */
	struct buf block;
	bool in_block;
	bool block_cut;
	uint64_t time, number, flags;
	struct buf line; /* what the last event borrows */
};

void tmux_stream_init(struct tmux_stream *stream);
void tmux_stream_finish(struct tmux_stream *stream);
void tmux_stream_feed(struct tmux_stream *stream, const void *data, size_t len);
/* Takes the next event out of what was fed: true, or false when more bytes are needed. */
bool tmux_stream_next(struct tmux_stream *stream, struct tmux_event *out);

/* Appends `text` as one word of a command line: double-quoted, so that spaces, `;`, `{`, `~`,
 * `#`, `$`, quotes, backslashes and control characters (a newline would end the line) arrive
 * as they are. Formats are not expanded by quoting: a word given to a command that expands
 * formats must not come from outside. */
void tmux_add_word(struct buf *out, const char *text);
/* The same for an argument of tmux's own argv, where only a `;` at the end means something.
 * Caller frees. */
char *tmux_argv_word(const char *text);
/* Appends text as a name that is safe wherever tmux expands, matches or styles: bytes that
 * are not in [A-Za-z0-9_-] become `-`, at most max bytes, never a leading `-`. */
void tmux_add_name(struct buf *out, const char *text, size_t max);

#endif
