/* What tmux says in control mode: the same events however the bytes are cut, and words and
 * names that cannot break out of a command. */
#include <ctype.h>
#include <string.h>

#include "fuzz.h"
#include "mem.h"
#include "tmux_proto.h"

static void read_it(const uint8_t *data, size_t size, unsigned seed, struct buf *log)
{
	struct tmux_stream stream;
	struct tmux_event event;

	tmux_stream_init(&stream);
	for (size_t at = 0; at < size;) {
		size_t n = seed ? fuzz_piece(&seed, size - at) : size;

		tmux_stream_feed(&stream, data + at, n);
		at += n;
		while (tmux_stream_next(&stream, &event)) {
			promise(event.text && event.text[event.len] == '\0');
			promise((event.kind == TMUX_NOTIFY) == (event.name != NULL));
			buf_printf(log, "%d %d %d %d %llu %s ", event.kind, event.ok, event.ours,
			           event.truncated, (unsigned long long)event.number,
			           event.name ? event.name : "-");
			buf_add(log, event.text, event.len);
			buf_add(log, "\n", 1);
		}
	}
	tmux_stream_finish(&stream);
}

static void check_words(const char *text)
{
	struct buf word = BUF_INIT, name = BUF_INIT;
	char *argument = tmux_argv_word(text);

	tmux_add_word(&word, text);
	promise(word.len >= 2 && word.data[0] == '"' && word.data[word.len - 1] == '"');
	for (size_t i = 1; i + 1 < word.len; i++) {
		unsigned char c = (unsigned char)word.data[i];

		promise(c >= 0x20 && c != 0x7f);
		if (c == '\\')
			i++; /* what it protects */
		else
			promise(c != '"' && c != '$');
	}
	promise(!*argument || argument[strlen(argument) - 1] != ';' ||
	        (strlen(argument) > 1 && argument[strlen(argument) - 2] == '\\'));
	tmux_add_name(&name, text, 32);
	promise(name.len <= 32);
	for (size_t i = 0; i < name.len; i++)
		promise(isalnum((unsigned char)name.data[i]) || strchr("_-", name.data[i]));
	promise(!name.len || name.data[0] != '-');
	free(argument);
	buf_finish(&word);
	buf_finish(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, pieces = BUF_INIT;
	char *text = xstrndup((const char *)data, size);

	read_it(data, size, 0, &whole);
	read_it(data, size, 1 + (unsigned)size, &pieces);
	promise(whole.len == pieces.len);
	promise(!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0);
	check_words(text);
	free(text);
	buf_finish(&whole);
	buf_finish(&pieces);
	return 0;
}
