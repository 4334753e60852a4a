/* The bytes of tmux's control mode: events out of a stream, words into a command line.
 * Everything that is read here may be hostile: lines and blocks are bounded, numbers are
 * parsed strictly, and a block ends only at the guard line that carries its own numbers. */
#include "tmux_proto.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

void tmux_stream_init(struct tmux_stream *stream)
{
	memset(stream, 0, sizeof(*stream));
}

void tmux_stream_finish(struct tmux_stream *stream)
{
	buf_finish(&stream->in);
	buf_finish(&stream->block);
	buf_finish(&stream->line);
}

void tmux_stream_feed(struct tmux_stream *stream, const void *data, size_t len)
{
	buf_add(&stream->in, data, len);
}

/* Puts the next whole line into stream->line, without its newline. A line over the limit is
 * handed out when its end arrives, cut; what is behind the limit is dropped as it comes. */
static bool take_line(struct tmux_stream *stream)
{
	struct buf *in = &stream->in;
	size_t from = stream->taken + stream->scanned;
	size_t left = in->len - stream->taken;
	char *start = in->data == NULL ? NULL : in->data + stream->taken;
	char *end = in->len > from ? memchr(in->data + from, '\n', in->len - from) : NULL;
	size_t len = end == NULL ? left : (size_t)(end - start);

	if (!stream->dropping && (end != NULL || len > TMUX_LINE_MAX)) {
		size_t keep = len > TMUX_LINE_MAX ? TMUX_LINE_MAX : len;
		stream->line.len = 0;
		stream->cut = keep < len;
		buf_add(&stream->line, start, keep);
		stream->dropping = stream->cut;
	}
	if (end != NULL) {
		stream->taken += len + 1;
		stream->scanned = 0;
		stream->dropping = false;
		return true;
	}
	if (stream->dropping) {
		in->len = 0;
		stream->taken = stream->scanned = 0;
		return false;
	}
	buf_drop_front(in, stream->taken);
	stream->taken = 0;
	stream->scanned = in->len;
	return false;
}

static bool parse_number(const char **p, uint64_t *out)
{
	const char *s = *p;
	uint64_t value = 0;
	int digits = 0;

	while (*s == ' ')
		s++;
	for (; isdigit((unsigned char)*s); s++) {
		if (++digits > 18)
			return false;
		value = value * 10 + (uint64_t)(*s - '0');
	}
	if (digits == 0 || (*s != ' ' && *s != '\0'))
		return false;
	*p = s;
	*out = value;
	return true;
}

/* `%begin 1795252621 271 1`: the three numbers behind the word. */
static bool parse_guard(const char *line, const char *word, uint64_t numbers[3])
{
	size_t len = strlen(word);
	const char *p = line + len;

	if (strncmp(line, word, len) != 0 || *p != ' ')
		return false;
	for (int i = 0; i < 3; i++) {
		if (!parse_number(&p, &numbers[i]))
			return false;
	}
	return *p == '\0';
}

static bool ends_block(const struct tmux_stream *stream, const char *line, bool *ok)
{
	uint64_t n[3];

	*ok = parse_guard(line, "%end", n);
	if (!*ok && !parse_guard(line, "%error", n))
		return false;
	return n[0] == stream->time && n[1] == stream->number && n[2] == stream->flags;
}

static void add_to_block(struct tmux_stream *stream)
{
	struct buf *block = &stream->block;

	stream->block_cut |= stream->cut;
	if (block->len + stream->line.len + 1 > TMUX_BLOCK_MAX) {
		stream->block_cut = true;
		return;
	}
	buf_add(block, stream->line.data, stream->line.len);
	buf_add(block, "\n", 1);
}

static void set_block(struct tmux_stream *stream, bool ok, struct tmux_event *out)
{
	buf_reserve(&stream->block, 1);
	*out = (struct tmux_event){
	    .kind = TMUX_BLOCK,
	    .ok = ok,
	    .ours = (stream->flags & 1) != 0,
	    .truncated = stream->block_cut,
	    .number = stream->number,
	    .text = stream->block.len > 0 ? stream->block.data : "",
	    .len = stream->block.len,
	};
	stream->in_block = false;
}

static void set_line(struct tmux_stream *stream, struct tmux_event *out)
{
	char *text = stream->line.data;

	*out = (struct tmux_event){
	    .kind = TMUX_NOISE,
	    .truncated = stream->cut,
	    .text = text,
	    .len = stream->line.len,
	};
	if (text[0] != '%' || !islower((unsigned char)text[1]))
		return;
	char *space = strchr(text, ' ');
	out->kind = TMUX_NOTIFY;
	out->name = text + 1;
	out->text = "";
	out->len = 0;
	if (space != NULL) {
		*space = '\0';
		out->text = space + 1;
		out->len = stream->line.len - (size_t)(space + 1 - text);
	}
}

bool tmux_stream_next(struct tmux_stream *stream, struct tmux_event *out)
{
	while (take_line(stream)) {
		uint64_t n[3];
		bool ok;

		const char *line = stream->line.data;
		if (stream->in_block) {
			if (ends_block(stream, line, &ok)) {
				set_block(stream, ok, out);
				return true;
			}
			add_to_block(stream);
			continue;
		}
		if (parse_guard(line, "%begin", n)) {
			stream->in_block = true;
			stream->block_cut = false;
			stream->block.len = 0;
			stream->time = n[0];
			stream->number = n[1];
			stream->flags = n[2];
			continue;
		}
		set_line(stream, out);
		return true;
	}
	return false;
}

void tmux_add_word(struct buf *out, const char *text)
{
	buf_add(out, "\"", 1);
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == '"' || c == '\\' || c == '$')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\%03o", c);
		else
			buf_add(out, p, 1);
	}
	buf_add(out, "\"", 1);
}

char *tmux_argv_word(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || text[len - 1] != ';')
		return xstrdup(text);
	return xasprintf("%.*s\\;", (int)(len - 1), text);
}

void tmux_add_name(struct buf *out, const char *text, size_t max)
{
	for (size_t i = 0; i < max && text[i] != '\0'; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = c < 0x80 && (isalnum(c) || c == '_' || c == '-');
		if (!plain || (i == 0 && c == '-'))
			c = i == 0 ? '_' : '-';
		buf_add(out, &c, 1);
	}
}
