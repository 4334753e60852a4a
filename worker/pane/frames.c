/* Frames of the view socket: building and taking apart. */
#include "frames.h"

static void add_header(struct buf *out, char kind, size_t len)
{
	unsigned char header[FRAME_HEADER] = {(unsigned char)kind, (unsigned char)len,
	                                      (unsigned char)(len >> 8), (unsigned char)(len >> 16),
	                                      (unsigned char)(len >> 24)};

	buf_add(out, header, sizeof header);
}

void frame_add(struct buf *out, char kind, const void *data, size_t len)
{
	const char *p = data;

	do {
		size_t part = len > FRAME_MAX ? FRAME_MAX : len;

		add_header(out, kind, part);
		if (!part)
			return;
		buf_add(out, p, part);
		p += part;
		len -= part;
	} while (len);
}

void frame_add_resize(struct buf *out, uint16_t columns, uint16_t rows)
{
	unsigned char size[4] = {(unsigned char)columns, (unsigned char)(columns >> 8),
	                         (unsigned char)rows, (unsigned char)(rows >> 8)};

	frame_add(out, FRAME_RESIZE, size, sizeof size);
}

int frame_next(const struct buf *in, size_t *offset, struct frame *out)
{
	const unsigned char *p = (const unsigned char *)in->data + *offset;
	size_t have = in->len - *offset;
	size_t len;

	if (have < FRAME_HEADER)
		return 0;
	len = (size_t)p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16 | (size_t)p[4] << 24;
	if (len > FRAME_MAX)
		return -1;
	if (have < FRAME_HEADER + len)
		return 0;
	*out = (struct frame){(char)p[0], (const char *)p + FRAME_HEADER, len};
	*offset += FRAME_HEADER + len;
	return 1;
}

int frame_read_resize(const struct frame *frame, uint16_t *columns, uint16_t *rows)
{
	const unsigned char *p = (const unsigned char *)frame->data;
	unsigned c, r;

	if (frame->len != 4)
		return -1;
	c = p[0] | (unsigned)p[1] << 8;
	r = p[2] | (unsigned)p[3] << 8;
	if (!c || !r || c > 4096 || r > 4096)
		return -1;
	*columns = (uint16_t)c;
	*rows = (uint16_t)r;
	return 0;
}
