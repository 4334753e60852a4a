/* What a headless agent prints about itself, of any kind: usage that can always be sent and
 * never runs over, words that are text, what people are shown is safe, all the same whatever the
 * pieces. The first byte is the kind. */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "jsonl.h"
#include "mem.h"
#include "readable.h"
#include "report.h"
#include "text.h"

static const char *const kinds[] = {"claude", "codex", "gemini", "opencode", "pi"};

struct shown {
	struct readable *readable;
	struct buf text;
};

/* Nothing of JSON acts on a terminal: only CR LF goes through. */
static void show_line(void *context, const json_t *line)
{
	struct shown *shown = context;
	size_t before = shown->text.len;

	readable_line(shown->readable, line, &shown->text);
	if (shown->text.len == before)
		return;
	promise(text_is_utf8(shown->text.data + before, shown->text.len - before));
	for (size_t i = before; i < shown->text.len; i++) {
		unsigned char c = (unsigned char)shown->text.data[i];

		promise(c >= 0x20 || c == '\t' || (c == '\r' && shown->text.data[i + 1] == '\n') ||
		        (c == '\n' && i && shown->text.data[i - 1] == '\r'));
		promise(c != 0x7f);
	}
}

static void show_plain(void *context, const char *data, size_t len)
{
	struct shown *shown = context;

	readable_plain(shown->readable, &shown->text);
	buf_add(&shown->text, data, len);
}

static void show_end(struct shown *shown, struct report *report)
{
	_cleanup_json_ json_t *usage = NULL;

	report_end(report);
	usage = report_usage(report);
	readable_end(shown->readable, usage, &shown->text);
	readable_free(shown->readable);
}

static struct report *read_it(const char *kind, const char *data, size_t size, unsigned seed,
                              struct shown *shown)
{
	struct report *report = report_new(kind);

	shown->readable = readable_new(kind);
	promise(report && shown->readable);
	report_watch(report, &(struct report_watch){show_line, show_plain, shown});
	for (size_t at = 0; at < size;) {
		size_t n = seed ? fuzz_piece(&seed, size - at) : size;

		report_add(report, data + at, n);
		at += n;
	}
	show_end(shown, report);
	return report;
}

static void check_usage(const json_t *usage)
{
	promise(json_is_null(usage) || json_is_object(usage));
	promise(json_int(usage, "input_tokens", 0) >= 0 &&
	        json_int(usage, "output_tokens", 0) >= 0);
	promise(isfinite(json_num(usage, "cost_usd", 0)) && json_num(usage, "cost_usd", 0) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes + 1, *kind;
	_cleanup_buf_ struct buf first = BUF_INIT, second = BUF_INIT;
	struct shown shown[2] = {{NULL, BUF_INIT}, {NULL, BUF_INIT}};
	struct report *whole, *pieces;

	if (!size)
		return 0;
	kind = kinds[bytes[0] % ARRAY_LEN(kinds)];
	whole = read_it(kind, data, size - 1, 0, &shown[0]);
	pieces = read_it(kind, data, size - 1, 1 + (unsigned)size, &shown[1]);
	first = shown[0].text;
	second = shown[1].text;
	promise(first.len == second.len &&
	        (!first.len || memcmp(first.data, second.data, first.len) == 0));
	promise(text_is_same(report_text(whole), report_text(pieces)));
	promise(text_is_same(report_activity(whole), report_activity(pieces)));
	if (report_text(whole))
		promise(text_is_utf8(report_text(whole), strlen(report_text(whole))));
	_cleanup_json_ json_t *usage = report_usage(whole), *again = report_usage(pieces);

	check_usage(usage);
	promise(json_equal(usage, again));
	report_free(whole);
	report_free(pieces);
	return 0;
}
