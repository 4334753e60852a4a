/* The stream of a headless agent that prints JSON lines: shown and logged as text for people, kept
 * as it is in a file of the attempt, `stream.jsonl`. What it means for the result is report.c's. */
#include <stdlib.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "mem.h"

static void show(struct attempt *a, const struct buf *text)
{
	if (!text->len)
		return;
	output_add(a->output, text->data, text->len);
	if (views_count(a->w->views))
		views_data(a->w->views, text->data, text->len);
}

static void stream_line(void *context, const json_t *line)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct attempt *a = context;

	readable_line(a->stream.readable, line, &text);
	show(a, &text);
}

static void stream_plain(void *context, const char *data, size_t len)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct attempt *a = context;

	readable_plain(a->stream.readable, &text);
	buf_add(&text, data, len);
	show(a, &text);
}

void attempt_stream_begin(struct attempt *a, const char *kind)
{
	_cleanup_free_ char *path = xasprintf("%s/stream.jsonl", a->dir);

	a->report = report_new(kind);
	a->stream.readable = readable_new(kind);
	if (!a->stream.readable)
		return;
	a->stream.raw = output_new(path, a->w->options.log_cap);
	report_watch(a->report, &(struct report_watch){stream_line, stream_plain, a});
}

bool attempt_stream_data(struct attempt *a, const char *data, size_t len)
{
	report_add(a->report, data, len);
	if (!a->stream.readable)
		return false;
	output_add(a->stream.raw, data, len);
	return true;
}

void attempt_stream_end(struct attempt *a)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *usage = NULL;

	report_end(a->report);
	if (!a->stream.readable)
		return;
	usage = report_usage(a->report);
	readable_end(a->stream.readable, usage, &text);
	show(a, &text);
	readable_free(a->stream.readable);
	output_free(a->stream.raw);
	a->stream = (struct attempt_stream){0};
}
