/* Lines for people: parts with a style, cut to a width. */
#include "print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "text.h"

const char *style_code(enum style style)
{
	static const char *const codes[] = {"",         "\033[1m",  "\033[2m", "\033[31m",
	                                    "\033[32m", "\033[33m", "\033[36m"};

	return codes[style];
}

void line_begin(struct line *line, size_t width, bool colored)
{
	*line = (struct line){.width = width, .colored = colored};
}

void line_finish(struct line *line)
{
	buf_finish(&line->text);
}

/* At most `columns` of it (0: all there is room for). */
static size_t add_part(struct line *line, enum style style, const char *text, size_t columns)
{
	size_t room = line->width ? line->width - line->used : 0, width, before = line->text.len;
	_cleanup_free_ char *safe = NULL;

	if (line->full || (line->width && !room)) {
		line->full = line->full || *text;
		return 0;
	}
	if (room && (!columns || room < columns))
		columns = room;
	safe = text_safe(text, columns);
	width = text_width(safe);
	if (style != STYLE_PLAIN && line->colored && *safe) {
		buf_add_str(&line->text, style_code(style));
		buf_add_str(&line->text, safe);
		buf_add_str(&line->text, "\033[0m");
	} else {
		buf_add_str(&line->text, safe);
	}
	line->used += width;
	if (line->width && line->used >= line->width && line->text.len > before)
		line->full = true;
	return width;
}

void line_add(struct line *line, enum style style, const char *text)
{
	if (text && *text)
		add_part(line, style, text, 0);
}

void line_addf(struct line *line, enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	line_add(line, style, text);
}

static void add_blanks(struct line *line, size_t count)
{
	for (; count && !line->full && (!line->width || line->used < line->width); count--) {
		buf_add_str(&line->text, " ");
		line->used++;
	}
}

/* Where there is no terminal (no width) nothing is cut. */
void line_cell(struct line *line, enum style style, const char *text, size_t columns)
{
	size_t width = add_part(line, style, text ? text : "", line->width ? columns : 0);

	add_blanks(line, (columns > width ? columns - width : 0) + 2);
}

void line_pad_to(struct line *line, size_t column)
{
	add_blanks(line, line->used < column ? column - line->used : 1);
}

void line_print(struct line *line)
{
	size_t len = line->text.len;

	while (len && line->text.data[len - 1] == ' ')
		len--;
	if (len)
		fwrite(line->text.data, 1, len, stdout);
	putc('\n', stdout);
	line->text.len = 0;
	line->used = 0;
	line->full = false;
}

void print_add_json(struct buf *out, const json_t *value, int fd)
{
	if (isatty(fd))
		jsonl_add_ascii(out, value);
	else
		jsonl_add_shown(out, value);
}

int print_json(const json_t *value)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	print_add_json(&out, value, STDOUT_FILENO);
	fwrite(out.data, 1, out.len, stdout);
	return 0;
}

void print_text(const char *text)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	text_add_safe(&out, text, strlen(text), 0, true);
	if (!out.len || out.data[out.len - 1] != '\n')
		buf_add_str(&out, "\n");
	fwrite(out.data, 1, out.len, stdout);
}

size_t print_width(const struct cli *cli)
{
	struct winsize size;

	if (!cli->on_terminal && !isatty(STDOUT_FILENO))
		return 0;
	/* Behind a pager the terminal is still that of stderr. */
	if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 &&
	     ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0) ||
	    !size.ws_col)
		return 80;
	return size.ws_col;
}

size_t print_height(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		return 24;
	return size.ws_row;
}

int64_t print_time_ms(const char *text)
{
	return text_parse_time(text);
}

void print_ago(const char *time, char out[48])
{
	int64_t ms = print_time_ms(time), passed;
	char text[32];

	if (ms < 0) {
		snprintf(out, 48, "-");
		return;
	}
	passed = time_now_ms() - ms;
	if (passed < 1000) {
		snprintf(out, 48, "just now");
		return;
	}
	text_format_duration((double)passed / 1000.0, text);
	snprintf(out, 48, "%s ago", text);
}
