/* The files of yaml_kept.h: a header, the bytes that were read, and the events that they gave. */
#include "yaml_kept.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"
#include "place.h"

#define MAGIC "pleachY1" /* another one for another form of the events */

struct header {
	char magic[8];
	uint64_t sum; /* of all behind it */
	uint32_t source, events;
};

/* Before its texts: text, tag, anchor. */
struct record {
	uint8_t type, style;
	int32_t line, column;
	uint32_t lengths[3]; /* 0: none; else one more than its bytes */
};

struct yaml_kept {
	char *path;
	const char *data;
	size_t len;
	char *file; /* what was found, whole; or NULL */
	struct yaml_text events;
	struct buf noted;
	bool secret; /* what was read may name one */
};

static uint64_t sum_of(uint64_t sum, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3u;
	return sum;
}

static uint64_t sum_all(const char *source, size_t len, const struct yaml_text *events)
{
	return sum_of(sum_of(0xcbf29ce484222325u, source, len), events->data, events->len);
}

static bool take_text(struct yaml_text *rest, uint32_t length, struct yaml_text *out)
{
	*out = (struct yaml_text){NULL, 0};
	if (!length)
		return true;
	if (length - 1 > rest->len)
		return false;
	*out = (struct yaml_text){rest->data, length - 1};
	rest->data += length - 1;
	rest->len -= length - 1;
	return true;
}

/* False where what is left is no event. */
static bool take_event(struct yaml_text *rest, struct yaml_event *out)
{
	struct record record;

	if (rest->len < sizeof record)
		return false;
	memcpy(&record, rest->data, sizeof record);
	rest->data += sizeof record;
	rest->len -= sizeof record;
	*out = (struct yaml_event){.type = record.type,
	                           .style = record.style,
	                           .line = record.line,
	                           .column = record.column};
	return record.type < YAML_EVENT_BAD && take_text(rest, record.lengths[0], &out->text) &&
	       take_text(rest, record.lengths[1], &out->tag) &&
	       take_text(rest, record.lengths[2], &out->anchor);
}

static bool is_whole(struct yaml_text events)
{
	struct yaml_event event;

	while (events.len)
		if (!take_event(&events, &event))
			return false;
	return true;
}

/* Two clocks: that of files may be the first to begin a second. */
static bool is_usable(const char *path)
{
	time_t age;
	struct stat st;

	if (lstat(path, &st) < 0)
		return false;
	age = time(NULL) - st.st_mtime;
	return S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) && age >= -1 &&
	       age < YAML_KEPT_SECONDS;
}

static void find(struct yaml_kept *kept)
{
	struct header header;
	struct yaml_text events;
	char *file = NULL;
	size_t len;

	if (!is_usable(kept->path) ||
	    place_read_file(kept->path, 16 * YAML_KEPT_FILE_MAX, &file, &len, NULL) < 0)
		return;
	if (len >= sizeof header) {
		memcpy(&header, file, sizeof header);
		events.data = file + sizeof header + kept->len;
		events.len = header.events;
		if (memcmp(header.magic, MAGIC, sizeof header.magic) == 0 &&
		    header.source == kept->len && len == sizeof header + kept->len + events.len &&
		    memcmp(file + sizeof header, kept->data, kept->len) == 0 &&
		    header.sum == sum_all(kept->data, kept->len, &events) && is_whole(events)) {
			kept->events = events;
			kept->file = file;
			return;
		}
	}
	free(file);
}

struct yaml_kept *yaml_kept_find(const char *dir, const char *data, size_t len)
{
	static const struct yaml_text nothing = {"", 0};
	struct yaml_kept *kept;

	if (!dir || len > YAML_KEPT_FILE_MAX)
		return NULL;
	kept = xcalloc(1, sizeof *kept);
	kept->data = data;
	kept->len = len;
	kept->path =
	    xasprintf("%s/%02x", dir, (unsigned)(sum_all(data, len, &nothing) % YAML_KEPT_FILES));
	find(kept);
	return kept;
}

int yaml_kept_read(const struct yaml_kept *kept, yaml_take *take, void *context)
{
	struct yaml_text rest;
	struct yaml_event event;
	int status = 0;

	if (!kept || !kept->file)
		return 1;
	rest = kept->events;
	while (status == 0 && take_event(&rest, &event))
		status = take(context, &event);
	return status;
}

static bool names_environment(const struct yaml_text *text)
{
	for (size_t i = 0; i + 3 <= text->len; i++)
		if (strncasecmp(text->data + i, "env", 3) == 0)
			return true;
	return false;
}

void yaml_kept_note(struct yaml_kept *kept, const struct yaml_event *event)
{
	const struct yaml_text *texts[] = {&event->text, &event->tag, &event->anchor};
	struct record record;

	if (!kept)
		return;
	memset(&record, 0, sizeof record); /* its gaps are written too */
	record.type = (uint8_t)event->type;
	record.style = (uint8_t)event->style;
	record.line = event->line;
	record.column = event->column;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		record.lengths[i] = texts[i]->data ? (uint32_t)texts[i]->len + 1 : 0;
	kept->secret = kept->secret || names_environment(&event->text);
	buf_add(&kept->noted, (const char *)&record, sizeof record);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i]->len)
			buf_add(&kept->noted, texts[i]->data, texts[i]->len);
}

static void remove_old(const char *dir)
{
	time_t now = time(NULL);

	for (unsigned i = 0; i < YAML_KEPT_FILES; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%02x", dir, i);
		struct stat st;

		if (lstat(path, &st) == 0 && now - st.st_mtime >= YAML_KEPT_SECONDS)
			unlink(path);
	}
}

void yaml_kept_write(struct yaml_kept *kept)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_free_ char *dir = NULL;
	struct header header = {.magic = MAGIC};
	struct yaml_text events;

	if (!kept || kept->secret)
		return;
	events = (struct yaml_text){kept->noted.data, kept->noted.len};
	header.source = (uint32_t)kept->len;
	header.events = (uint32_t)events.len;
	header.sum = sum_all(kept->data, kept->len, &events);
	buf_add(&file, (const char *)&header, sizeof header);
	buf_add(&file, kept->data, kept->len);
	if (events.len)
		buf_add(&file, events.data, events.len);
	dir = xstrndup(kept->path, (size_t)(strrchr(kept->path, '/') - kept->path));
	if (file.len > 16 * YAML_KEPT_FILE_MAX || place_make_private_dir(dir, NULL) < 0)
		return;
	remove_old(dir);
	place_write_file_lazily(kept->path, file.data, file.len, NULL);
}

void yaml_kept_free(struct yaml_kept *kept)
{
	if (!kept)
		return;
	buf_finish(&kept->noted);
	free(kept->file);
	free(kept->path);
	free(kept);
}
