/* Reads git's index file, versions 2 to 4 (gitformat-index(5)). It can be anybody's bytes:
 * every length is checked. The checksum is not: git does not check it either, and for 10,000
 * files it costs as much as everything else. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "files.h"
#include "mem.h"

#define FILE_MAX     (512u << 20)
#define HEADER       12u
#define STAT         40u /* times, device, inode, mode, owner, size */
#define MODE_AT      24u
#define ASSUMED      0x8000u
#define EXTENDED     0x4000u
#define SKIPPED      0x4000u /* of the second flags */
#define INTENDED     0x2000u
#define NAME_LEN_MAX 4096u

struct cursor {
	const unsigned char *data;
	size_t len, at;
};

static unsigned read32(const unsigned char *p)
{
	return (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
}

static unsigned read16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Version 4: how much of the name before to drop, in git's own variable-length form. */
static bool read_strip(struct cursor *in, size_t *out)
{
	size_t value = 0;
	unsigned char c;

	do {
		if (in->at >= in->len || value > FILE_MAX)
			return false;
		c = in->data[in->at++];
		value = (value << 7) + (c & 127);
		if (c & 128)
			value++;
	} while (c & 128);
	*out = value;
	return true;
}

/* Where the name is: in the file (versions 2 and 3), or spelled out in `names` (4). */
static bool read_name(struct cursor *in, unsigned version, size_t start, struct buf *last,
                      struct buf *names, size_t *offset)
{
	const char *name;
	size_t strip = 0, n;

	if (version == 4 && (!read_strip(in, &strip) || strip > last->len))
		return false;
	name = (const char *)in->data + in->at;
	n = strnlen(name, in->len - in->at);
	if (in->at + n >= in->len || n > NAME_LEN_MAX)
		return false;
	*offset = in->at;
	in->at += n + 1;
	if (version == 4) {
		*offset = names->len;
		last->len -= strip;
		buf_add(last, name, n);
		buf_add(names, last->data, last->len + 1);
		return last->len > 0 && last->len <= NAME_LEN_MAX;
	}
	/* Padded to eight bytes from the start of the entry, with one NUL at least. */
	in->at = start + ((in->at - 1 - start + 8) & ~(size_t)7);
	return n > 0 && in->at <= in->len;
}

static bool read_entry(struct cursor *in, unsigned version, size_t id_len, struct index_entry *out,
                       struct buf *last, struct buf *names, size_t *offset)
{
	size_t start = in->at;
	unsigned flags, more = 0;

	if (in->len - in->at < STAT + id_len + 4)
		return false;
	out->mode = read32(in->data + start + MODE_AT);
	memcpy(out->id, in->data + start + STAT, id_len);
	out->id_len = (unsigned char)id_len;
	flags = read16(in->data + start + STAT + id_len);
	in->at += STAT + id_len + 2;
	if (flags & EXTENDED) {
		if (version < 3)
			return false;
		more = read16(in->data + in->at);
		in->at += 2;
	}
	out->stage = (unsigned char)((flags >> 12) & 3);
	out->assumed = flags & ASSUMED;
	out->skipped = more & SKIPPED;
	out->intended = more & INTENDED;
	if (!read_name(in, version, start, last, names, offset))
		return false;
	out->raw = in->data + start;
	out->raw_len = in->at - start;
	return true;
}

/* The first entry of the TREE extension is the root: NUL, count SP subtrees LF, id. */
static void read_root(const unsigned char *data, size_t len, size_t id_len, char root[HEX_SIZE])
{
	struct index_entry entry = {.id_len = (unsigned char)id_len};
	const unsigned char *end = len ? memchr(data, '\n', len) : NULL;

	if (!end || data[0] != '\0' || len < 2 || data[1] == '-' ||
	    (size_t)(data + len - end) < id_len + 1)
		return;
	memcpy(entry.id, end + 1, id_len);
	index_entry_hex(&entry, root);
}

/* 0, or 1 where an extension changes what the entries mean. */
static int read_extensions(struct cursor *in, size_t id_len, struct index_view *view)
{
	while (in->len - in->at > id_len + 8) {
		const unsigned char *name = in->data + in->at;
		size_t n = read32(name + 4);

		in->at += 8;
		if (n > in->len - in->at)
			return 1;
		/* Small letters: cannot be left out (link: split, sdir: sparse). */
		if (name[0] < 'A' || name[0] > 'Z')
			return 1;
		if (memcmp(name, "TREE", 4) == 0) {
			read_root(name + 8, n, id_len, view->root);
			view->trees = name + 8;
			view->trees_len = n;
		}
		in->at += n;
	}
	return 0;
}

static int parse_entries(struct index_view *view, struct cursor *in, unsigned count, size_t id_len)
{
	unsigned version = read32(in->data + 4);
	_cleanup_free_ size_t *offsets = xcalloc(count, sizeof *offsets);
	_cleanup_buf_ struct buf last = BUF_INIT;
	struct buf names = BUF_INIT;

	view->items = xcalloc(count, sizeof *view->items);
	for (unsigned i = 0; i < count; i++)
		if (!read_entry(in, version, id_len, &view->items[i], &last, &names, &offsets[i])) {
			buf_finish(&names);
			return 1;
		}
	if (read_extensions(in, id_len, view) != 0) {
		buf_finish(&names);
		return 1;
	}
	/* Nothing moves any more: where the names are becomes what they are. */
	if (version == 4) {
		buf_finish(&view->text);
		view->text = names;
		view->trees = NULL;
	}
	for (unsigned i = 0; i < count; i++) {
		view->items[i].path = view->text.data + offsets[i];
		if (version == 4)
			view->items[i].raw = NULL;
	}
	view->version = version;
	view->count = count;
	return 0;
}

static int parse(struct index_view *view, size_t id_len)
{
	struct cursor in = {(const unsigned char *)view->text.data, view->text.len, HEADER};
	unsigned version, count;

	if (in.len < HEADER + id_len || memcmp(in.data, "DIRC", 4) != 0)
		return 1;
	version = read32(in.data + 4);
	count = read32(in.data + 8);
	if (version < 2 || version > 4 || count > in.len / (STAT + id_len))
		return 1;
	return parse_entries(view, &in, count, id_len);
}

int index_file_read(const char *file, size_t id_len, struct index_view *out)
{
	struct index_view view = INDEX_VIEW_INIT;

	if (file_read(file, FILE_MAX, &view.text, NULL) != 1 || parse(&view, id_len) != 0) {
		index_view_close(&view);
		return 1;
	}
	*out = view;
	return 0;
}
