/* Bytes on their way to a terminal: escape sequences out, the rest made safe. */
#include "safe_stream.h"

#include <string.h>

#include "text.h"

#define LINE_MAX_BYTES (64u << 10) /* a longer line is shown in pieces */

void safe_stream_finish(struct safe_stream *stream)
{
	buf_finish(&stream->line);
}

/* Length of the escape sequence at p; *is_color: it only sets colours. */
static size_t sequence_length(const char *p, size_t len, bool *is_color)
{
	size_t n = 2;

	*is_color = false;
	if (len < 2)
		return len;
	if (p[1] == '[') {
		while (n < len && p[n] >= 0x20 && p[n] <= 0x3f)
			n++;
		*is_color = n < len && p[n] == 'm' && strspn(p + 2, "0123456789;:") >= n - 2;
		return n < len ? n + 1 : len;
	}
	if (strchr("]P_^X", p[1])) { /* strings, to BEL or ESC \ */
		for (; n < len; n++) {
			if (p[n] == '\a')
				return n + 1;
			if (p[n] == '\033')
				return n + 1 < len && p[n + 1] == '\\' ? n + 2 : n;
		}
		return len;
	}
	if (strchr("()*+-./#% ", p[1]))
		return len < 3 ? len : 3;
	return 2;
}

static void add_plain(struct buf *out, const char *text, size_t len)
{
	text_add_safe(out, text, len, 0, true);
}

static void add_line(struct safe_stream *stream, const char *p, size_t len, struct buf *out)
{
	size_t from = 0, i = 0;
	bool is_color;

	while (len && (p[len - 1] == '\r'))
		len--;
	while (i < len) {
		size_t n;

		if (p[i] == '\r') {
			add_plain(out, p + from, i - from);
			buf_add_str(out, "\n");
			from = ++i;
			continue;
		}
		if (p[i] != '\033') {
			i++;
			continue;
		}
		add_plain(out, p + from, i - from);
		n = sequence_length(p + i, len - i, &is_color);
		if (is_color && stream->keep_colors)
			buf_add(out, p + i, n);
		i += n;
		from = i;
	}
	add_plain(out, p + from, len - from);
}

/* Where a line that is too long may be cut without cutting a character. */
static size_t cut_at(const struct buf *line)
{
	size_t n = LINE_MAX_BYTES;

	while (n > LINE_MAX_BYTES - 4 && ((unsigned char)line->data[n] & 0xc0) == 0x80)
		n--;
	return n;
}

void safe_stream_add(struct safe_stream *stream, const char *data, size_t len, struct buf *out)
{
	const char *newline;

	if (stream->raw) {
		buf_add(out, data, len);
		return;
	}
	while ((newline = memchr(data, '\n', len))) {
		size_t n = (size_t)(newline - data);

		buf_add(&stream->line, data, n);
		add_line(stream, stream->line.data ? stream->line.data : "", stream->line.len, out);
		buf_add_str(out, "\n");
		stream->line.len = 0;
		data += n + 1;
		len -= n + 1;
	}
	buf_add(&stream->line, data, len);
	while (stream->line.len > LINE_MAX_BYTES) {
		size_t n = cut_at(&stream->line);

		add_line(stream, stream->line.data, n, out);
		buf_drop_front(&stream->line, n);
	}
}

void safe_stream_end(struct safe_stream *stream, struct buf *out)
{
	if (!stream->line.len)
		return;
	add_line(stream, stream->line.data, stream->line.len, out);
	buf_add_str(out, "\n");
	stream->line.len = 0;
}
