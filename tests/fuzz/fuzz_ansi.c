/* Bytes of a pseudo-terminal on their way to people: the same whatever the pieces; nothing that
 * reaches the clipboard, and in old output nothing that makes a terminal answer; plain text
 * without escapes; last lines that are safe in a table. */
#include <string.h>

#include "ansi.h"
#include "fuzz.h"
#include "mem.h"
#include "output.h"
#include "text.h"

static void filter_all(enum ansi_pass pass, const char *data, size_t size, unsigned seed,
                       struct buf *out)
{
	struct ansi_filter filter = ANSI_FILTER_INIT(pass);

	for (size_t at = 0; at < size;) {
		size_t n = seed ? fuzz_piece(&seed, size - at) : size;

		ansi_filter(&filter, out, data + at, n);
		at += n;
	}
}

static void same(const struct buf *a, const struct buf *b)
{
	promise(a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0));
}

/* However many zeros stand before it. */
static bool is_clipboard(const char *p, size_t len)
{
	while (len && *p == '0') {
		p++;
		len--;
	}
	return len > 2 && memcmp(p, "52;", 3) == 0;
}

/* No ESC P, X, ^ or _ , no OSC 52; no C1 control, which some terminals take for the same. */
static void check_passed(const struct buf *out, bool replay)
{
	const unsigned char *p = (const unsigned char *)out->data;

	for (size_t i = 0; i + 1 < out->len; i++) {
		promise(p[i] != 0xc2 || p[i + 1] < 0x80 || p[i + 1] > 0x9f);
		if (p[i] != 0x1b)
			continue;
		promise(!strchr("PX^_", p[i + 1]) || !p[i + 1]);
		promise(p[i + 1] != ']' ||
		        !is_clipboard((const char *)p + i + 2, out->len - i - 2));
		promise(!replay || out->len - i < 4 || memcmp(p + i, "\033[6n", 4) != 0);
	}
}

static void check_filter(enum ansi_pass pass, const char *data, size_t size)
{
	struct buf whole = BUF_INIT, pieces = BUF_INIT;

	filter_all(pass, data, size, 0, &whole);
	filter_all(pass, data, size, 1 + (unsigned)size, &pieces);
	same(&whole, &pieces);
	check_passed(&whole, pass == ANSI_PASS_REPLAY);
	buf_finish(&whole);
	buf_finish(&pieces);
}

static void check_watch(const char *data, size_t size)
{
	struct ansi_watch whole = {0}, pieces = {0};
	unsigned seed = 1 + (unsigned)size;

	ansi_watch(&whole, data, size);
	for (size_t at = 0; at < size;) {
		size_t n = fuzz_piece(&seed, size - at);

		ansi_watch(&pieces, data + at, n);
		at += n;
	}
	promise(whole.bracketed_paste == pieces.bracketed_paste);
	promise(whole.asked_position == pieces.asked_position);
	promise(whole.asked_status == pieces.asked_status);
	promise(whole.asked_device == pieces.asked_device);
}

static void check_plain(const char *data, size_t size)
{
	struct buf out = BUF_INIT;

	ansi_add_plain(&out, data, size);
	promise(!out.len || !memchr(out.data, 0x1b, out.len));
	buf_finish(&out);
}

static void check_safe(const char *text, bool lines)
{
	promise(text_is_utf8(text, strlen(text)));
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		promise((c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')));
		promise(c != 0xc2 || (unsigned char)p[1] >= 0xa0);
	}
}

static void check_output(const char *data, size_t size)
{
	struct output *output = output_new(NULL, 1000);
	char *last, *text;
	size_t len;

	output_add(output, data, size);
	promise(output_total(output) == size);
	output_recent(output, &len);
	promise(len <= OUTPUT_RECENT);
	last = output_last_line(output, 40);
	text = output_text(output);
	if (last) {
		check_safe(last, false);
		promise(text_width(last) <= 40);
	}
	if (text)
		check_safe(text, true);
	free(last);
	free(text);
	output_free(output);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;

	check_filter(ANSI_PASS_LIVE, data, size);
	check_filter(ANSI_PASS_REPLAY, data, size);
	check_watch(data, size);
	check_plain(data, size);
	check_output(data, size);
	return 0;
}
