/* What the views of a teammate see besides the agent's own output: a line at the start of
 * an attempt, one for each step, one at its end. Made only while somebody looks. */
#include <stdlib.h>
#include <string.h>

#include "attempt_private.h"
#include "buf.h"
#include "mem.h"
#include "text.h"

/* Ends whatever the last program switched on: scroll region (which moves the cursor, hence
 * saved around it), alternate screen, hidden cursor, mouse, bracketed paste, application
 * keys, colours. */
#define RESET                                                                                      \
	"\0337\033[r\0338\033[?1049l\033[?25h\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?"   \
	"1004l\033[?2004l"                                                                         \
	"\033[?1l\033>\033[0m"
#define DIM   "\033[2m"
#define PLAIN "\033[0m"
#define CLEAR "\033[H\033[2J"

static bool nobody(const struct attempt *a)
{
	return !a->w->views || views_count(a->w->views) == 0;
}

static void add_header(const struct attempt *a, struct buf *out)
{
	_cleanup_buf_ struct buf line = BUF_INIT;

	buf_printf(&line, "%s/%s · %s%s%s · attempt %lld", a->plan ? a->plan : "adhoc", a->key,
	           a->agent ? a->agent : "", a->model ? "/" : "", a->model ? a->model : "",
	           (long long)a->id);
	buf_add_str(out, DIM "— ");
	text_add_safe(out, line.data, line.len, 100, false);
	buf_add_str(out, " —" PLAIN "\r\n");
}

void attempt_show_start(struct attempt *a)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	worker_changed(a->w);
	if (nobody(a))
		return;
	buf_add_str(&out, RESET CLEAR);
	add_header(a, &out);
	views_data(a->w->views, out.data, out.len);
}

void attempt_show_line(struct attempt *a, const char *text)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (nobody(a))
		return;
	buf_add_str(&out, "\r\n" RESET DIM "— ");
	text_add_safe(&out, text, strlen(text), 100, false);
	buf_add_str(&out, " —" PLAIN "\r\n");
	views_data(a->w->views, out.data, out.len);
}

void attempt_show_end(struct attempt *a)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	worker_changed(a->w);
	if (nobody(a))
		return;
	buf_printf(&out, "\r\n" RESET DIM "— %s: %s", a->key,
	           a->stale ? "given to another teammate" : attempt_outcome_word(a->outcome));
	if (a->error_text && !a->stale && !a->stopping) {
		buf_add_str(&out, " · ");
		text_add_safe(&out, a->error_text, strlen(a->error_text), 100, false);
	}
	buf_add_str(&out, " —" PLAIN "\r\n");
	views_data(a->w->views, out.data, out.len);
}

/* A pipe has no line discipline: newlines need their carriage return. */
static void add_lines(struct buf *out, const char *data, size_t len)
{
	while (len) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) : len;

		buf_add(out, data, n);
		if (newline) {
			buf_add_str(out, "\r\n");
			n++;
		}
		data += n;
		len -= n;
	}
}

void attempt_show_pipe(struct attempt *a, const char *data, size_t len)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (nobody(a))
		return;
	add_lines(&out, data, len);
	views_data(a->w->views, out.data, out.len);
}

void attempt_add_recent(const struct attempt *a, struct buf *out)
{
	const char *recent;
	size_t len;

	add_header(a, out);
	recent = output_recent(a->output, &len);
	if (a->mode == MODE_ACP)
		add_lines(out, recent, len);
	else
		buf_add(out, recent, len);
	if (a->verified) {
		recent = output_recent(a->verified, &len);
		buf_add_str(out, "\r\n");
		add_lines(out, recent, len);
	}
}
