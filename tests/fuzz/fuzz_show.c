/* Tasks, teammates and logs of any content on the screen of `run` and in `logs`: each line is
 * text with our own colours, within its width; nothing else reaches the terminal. JSON
 * {"tasks","teammates"} is a screen, anything else a log. The first byte is the width. */
#include <string.h>

#include "fuzz.h"
#include "jsonl.h"
#include "mem.h"
#include "run_screen.h"
#include "safe_stream.h"
#include "task_view.h"
#include "text.h"

/* Text, and of the escape sequences ESC [ digits and semicolons m. */
static void check_shown(const char *text, size_t len, bool lines, struct buf *plain)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == 0x1b) {
			promise(i + 1 < len && text[i + 1] == '[');
			i += 2 + strspn(text + i + 2, "0123456789;:");
			promise(i < len && text[i] == 'm');
			continue;
		}
		promise((c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')));
		promise(c != 0xc2 || i + 1 == len || (unsigned char)text[i + 1] >= 0xa0);
		buf_add(plain, &text[i], 1);
	}
	promise(text_is_utf8(text, len));
}

/* What the coordinator guarantees of a Task; all else may be anything. */
static json_t *only_tasks(const json_t *given)
{
	json_t *tasks = json_array(), *task;
	size_t i;

	json_array_foreach (json_sub(given, "tasks"), i, task) {
		if (json_is_object(task) && json_text(task, "key") && json_text(task, "status") &&
		    json_is_integer(json_object_get(task, "id"))) {
			task_seen(task, 1000);
			json_array_append(tasks, task);
		}
	}
	return tasks;
}

static void check_screen(const json_t *given, size_t width)
{
	_cleanup_json_ json_t *tasks = only_tasks(given), *index = task_index(tasks);
	struct screen screen = {.plan = "p",
	                        .tasks = tasks,
	                        .index = index,
	                        .teammates = json_object_get(given, "teammates"),
	                        .key_columns = screen_key_columns(tasks, false),
	                        .now_ms = 9000,
	                        .width = width,
	                        .height = 24,
	                        .colored = width & 1};
	char **lines = screen_render(&screen);
	struct buf painted = BUF_INIT;

	screen_paint(&painted, NULL, lines);
	for (size_t i = 0; lines[i]; i++) {
		struct buf plain = BUF_INIT;

		check_shown(lines[i], strlen(lines[i]), false, &plain);
		promise(!plain.len || width < 2 || text_width(plain.data) <= width);
		buf_finish(&plain);
	}
	buf_finish(&painted);
	strv_free(lines);
}

static void check_log(const char *data, size_t len, bool colors)
{
	struct safe_stream stream = {.keep_colors = colors};
	struct buf out = BUF_INIT, plain = BUF_INIT;
	unsigned seed = 1 + (unsigned)len;

	for (size_t at = 0; at < len;) {
		size_t n = fuzz_piece(&seed, len - at);

		safe_stream_add(&stream, data + at, n, &out);
		at += n;
	}
	safe_stream_end(&stream, &out);
	if (out.len)
		check_shown(out.data, out.len, true, &plain);
	safe_stream_finish(&stream);
	buf_finish(&out);
	buf_finish(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes + 1;

	if (!size)
		return 0;
	_cleanup_json_ json_t *given = jsonl_parse(data, size - 1, NULL);

	if (json_is_object(given))
		check_screen(given, bytes[0]);
	else
		check_log(data, size - 1, bytes[0] & 1);
	return 0;
}
