/* The log of an agent's output, and the end of it in memory. The file is written by
 * offset, never synced: a log is not a promise. See output.h for its shape at the limit. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ansi.h"
#include "buf.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define MARKER     "\r\n[pleach: %15" PRIu64 " bytes of output left out here]\r\n"
#define MARKER_LEN (sizeof "\r\n[pleach: 123456789012345 bytes of output left out here]\r\n" - 1)
#define COPY_CHUNK (64u << 10)

struct output {
	char *path;
	int fd;
	uint64_t size;               /* bytes in the file */
	uint64_t head_max;           /* the first part that stays */
	uint64_t tail_max;           /* room for the newest bytes */
	uint64_t tail_start;         /* 0: the head is not full yet */
	uint64_t move_from, move_to; /* the tail is being shortened: see move_some; 0: it is not */
	uint64_t move_drop;
	uint64_t left_out;
	uint64_t gap; /* bytes that could not be written since */
	uint64_t total;
	bool complained;
	struct buf recent; /* up to twice OUTPUT_RECENT, so that moving it is rare */
};

struct output *output_new(const char *path, uint64_t cap)
{
	struct output *o = xcalloc(1, sizeof *o);

	if (cap < 4096)
		cap = 4096;
	o->path = xstrdup(path);
	o->fd = -1;
	o->head_max = cap / 2;
	o->tail_max = cap - cap / 2;
	return o;
}

static void complain(struct output *o, const char *what)
{
	if (!o->complained)
		log_warn("output", "%s %s: %s", what, o->path, strerror(errno));
	o->complained = true;
}

static int make_parent(const char *path)
{
	_cleanup_free_ char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	return mkdir(dir, 0700);
}

static int open_file(struct output *o)
{
	off_t end;

	if (o->fd >= 0)
		return 0;
	o->fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0 && errno == ENOENT && make_parent(o->path) == 0)
		o->fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0) {
		complain(o, "cannot open");
		return -1;
	}
	end = lseek(o->fd, 0, SEEK_END);
	if (end > 0)
		o->size = (uint64_t)end < o->head_max ? (uint64_t)end : o->head_max;
	return 0;
}

/* Writes at an offset; says how much of it went. */
static size_t write_at(struct output *o, const char *data, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(o->fd, data + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			complain(o, "cannot write");
			break;
		}
		done += (size_t)n;
	}
	return done;
}

/* Whether all of it went. */
static bool write_marker_at(struct output *o, uint64_t bytes, uint64_t at)
{
	char marker[MARKER_LEN + 16];
	int n = snprintf(marker, sizeof marker, MARKER, bytes);

	return n > 0 && write_at(o, marker, (size_t)n, at) == (size_t)n;
}

static void write_marker(struct output *o)
{
	write_marker_at(o, o->left_out, o->tail_start - MARKER_LEN);
}

/* On a full disk bytes were left out: said before anything else is written. */
static bool close_gap(struct output *o)
{
	if (!o->gap)
		return true;
	if (!write_marker_at(o, o->gap, o->size))
		return false;
	o->size += MARKER_LEN;
	o->gap = 0;
	return true;
}

/* Copies one chunk of the tail down, at most to its end. */
static int copy_chunk(struct output *o)
{
	char chunk[COPY_CHUNK];
	uint64_t left = o->size - o->move_from;
	size_t want = left < sizeof chunk ? (size_t)left : sizeof chunk;
	ssize_t n;

	do {
		n = pread(o->fd, chunk, want, (off_t)o->move_from);
	} while (n < 0 && errno == EINTR);
	if (n <= 0 || write_at(o, chunk, (size_t)n, o->move_to) != (size_t)n)
		return -1;
	o->move_from += (uint64_t)n;
	o->move_to += (uint64_t)n;
	return 0;
}

static void tail_ends_at(struct output *o, uint64_t end, uint64_t dropped)
{
	o->left_out += dropped;
	o->size = end;
	o->move_from = 0;
	if (ftruncate(o->fd, (off_t)end) != 0)
		complain(o, "cannot shorten");
	write_marker(o);
}

/* At three quarters of its room the tail begins to lose its older half of the room: what
 * follows is copied down, a few chunks with each write rather than all at once, for the loop
 * has others to serve. Copying goes to lower places, so dying in between leaves some lines
 * twice and none lost. */
static void move_some(struct output *o, uint64_t bytes)
{
	if (!o->move_from) {
		if (o->size - o->tail_start < o->tail_max / 4 * 3)
			return;
		o->move_drop = o->tail_max / 2;
		o->move_from = o->tail_start + o->move_drop;
		o->move_to = o->tail_start;
	}
	for (uint64_t done = 0; done < bytes && o->move_from < o->size; done += COPY_CHUNK) {
		if (copy_chunk(o) != 0) {
			/* Unreadable: give up the whole tail rather than grow. */
			tail_ends_at(o, o->tail_start, o->size - o->tail_start);
			return;
		}
	}
	if (o->move_from == o->size)
		tail_ends_at(o, o->move_to, o->move_drop);
}

static void log_bytes(struct output *o, const char *data, size_t len)
{
	if (open_file(o) != 0 || !close_gap(o)) {
		o->gap += len;
		return;
	}
	if (!o->tail_start) {
		uint64_t room = o->head_max > o->size ? o->head_max - o->size : 0;
		size_t part = room < len ? (size_t)room : len;
		size_t done = write_at(o, data, part, o->size);

		o->size += done;
		if (done < part)
			o->gap = len - done;
		if (done < part || part == len)
			return;
		data += part;
		len -= part;
		o->tail_start = o->size + MARKER_LEN;
		o->size = o->tail_start;
		write_marker(o);
	}
	while (len) {
		size_t part = len < o->tail_max / 8 ? len : (size_t)(o->tail_max / 8);
		size_t done;

		done = write_at(o, data, part, o->size);
		o->size += done;
		move_some(o, 3 * part);
		if (done < part) {
			o->gap = len - done;
			return;
		}
		data += part;
		len -= part;
	}
}

void output_free(struct output *o)
{
	if (!o)
		return;
	if (o->fd >= 0)
		close_gap(o);
	if (o->fd >= 0 && o->move_from)
		move_some(o, UINT64_MAX - COPY_CHUNK);
	if (o->fd >= 0)
		close(o->fd);
	buf_finish(&o->recent);
	free(o->path);
	free(o);
}

void output_add(struct output *o, const void *data, size_t len)
{
	o->total += len;
	if (o->path)
		log_bytes(o, data, len);
	if (len >= OUTPUT_RECENT) {
		o->recent.len = 0;
		data = (const char *)data + (len - OUTPUT_RECENT);
		len = OUTPUT_RECENT;
	}
	buf_add(&o->recent, data, len);
	if (o->recent.len > 2 * OUTPUT_RECENT)
		buf_drop_front(&o->recent, o->recent.len - OUTPUT_RECENT);
}

uint64_t output_total(const struct output *o)
{
	return o->total;
}

/* The last `max` bytes in memory, from a line's start when something is cut off. */
static const char *last_bytes(const struct output *o, size_t max, size_t *len)
{
	const char *start = o->recent.data;
	size_t n = o->recent.len;
	const char *newline;

	if (n > max) {
		start += n - max;
		n = max;
	}
	if (n && n < o->total) {
		newline = memchr(start, '\n', n);
		if (newline && newline + 1 < o->recent.data + o->recent.len) {
			n -= (size_t)(newline + 1 - start);
			start = newline + 1;
		}
	}
	*len = n;
	return n ? start : "";
}

const char *output_recent(const struct output *o, size_t *len)
{
	return last_bytes(o, OUTPUT_RECENT, len);
}

char *output_last_line(const struct output *o, size_t max_width)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;
	_cleanup_buf_ struct buf safe = BUF_INIT;
	size_t len, end;
	const char *bytes = last_bytes(o, 4096, &len);

	ansi_add_plain(&plain, bytes, len);
	end = plain.len;
	while (end) {
		size_t start;

		while (end && strchr(" \t\n\v\f", plain.data[end - 1]) && plain.data[end - 1])
			end--;
		start = end;
		while (start && plain.data[start - 1] != '\n')
			start--;
		if (end > start) {
			text_add_safe(&safe, plain.data + start, end - start, max_width, false);
			return buf_take(&safe);
		}
	}
	return NULL;
}

char *output_text(const struct output *o)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;
	struct buf safe = BUF_INIT;
	size_t len, from = 0, end;
	const char *bytes = last_bytes(o, OUTPUT_RECENT, &len);

	ansi_add_plain(&plain, bytes, len);
	end = plain.len;
	while (end && strchr(" \t\n\v\f", plain.data[end - 1]) && plain.data[end - 1])
		end--;
	/* Making it safe may lengthen it (a control character becomes three bytes). */
	while (end - from > OUTPUT_TEXT_MAX)
		from = end - OUTPUT_TEXT_MAX;
	while (from && from < end && ((unsigned char)plain.data[from] & 0xc0) == 0x80)
		from++;
	text_add_safe(&safe, plain.data ? plain.data + from : "", end - from, 0, true);
	return buf_take(&safe);
}
