/* Text made safe for a terminal: valid, without controls, within its width, and the same when
 * it is made safe again. The first byte is the width, the second whether lines are kept. */
#include <string.h>

#include "fuzz.h"
#include "text.h"

static void check(const char *text, size_t len, size_t width, bool lines)
{
	struct buf out = BUF_INIT, again = BUF_INIT;

	text_add_safe(&out, text, len, width, lines);
	buf_add(&out, "", 0);
	promise(text_is_utf8(out.data, out.len));
	promise(strlen(out.data) == out.len);
	for (size_t i = 0; i < out.len; i++) {
		unsigned char c = (unsigned char)out.data[i];

		promise((c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')));
		/* C1 controls, and the bidi and zero-width ones of U+2000 to U+206F */
		promise(!(c == 0xc2 && (unsigned char)out.data[i + 1] < 0xa0));
		promise(strncmp(out.data + i, "\xe2\x80\xae", 3) != 0);
		promise(strncmp(out.data + i, "\xe2\x80\x8b", 3) != 0);
		promise(strncmp(out.data + i, "\xef\xbb\xbf", 3) != 0);
	}
	if (width && !lines)
		promise(text_width(out.data) <= width);
	text_add_safe(&again, out.data, out.len, width, lines);
	promise(again.len == out.len);
	promise(!out.len || memcmp(again.data, out.data, out.len) == 0);
	buf_finish(&out);
	buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;

	if (size < 2)
		return 0;
	check(text, size - 2, data[0] % 100, data[1] & 1);
	if (text_is_utf8(text, size - 2) && !memchr(text, '\0', size - 2)) {
		struct buf copy = BUF_INIT;
		char *subject;
		double seconds;

		buf_add(&copy, text, size - 2);
		subject = text_subject(copy.data);
		promise(text_width(subject) <= 72);
		free(subject);
		if (text_parse_duration(copy.data, &seconds))
			promise(seconds >= 0 && seconds <= 1e9);
		promise(!text_is_key(copy.data) || copy.len <= TEXT_KEY_MAX);
		buf_finish(&copy);
	}
	return 0;
}
