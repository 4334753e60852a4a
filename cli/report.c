/* How a command ends: errors told once, at the edge, and the exit status. */
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "text.h"

static void write_stderr(const char *text, size_t len)
{
	fflush(stdout);
	fwrite(text, 1, len, stderr);
	fflush(stderr);
}

/* FILE:LINE:COLUMN: at its start, as compilers say it: editors jump to that. */
static bool has_place(const struct error *err)
{
	const char *p = err->text;

	if (err->code != ERROR_INVALID)
		return false;
	while ((p = strchr(p, ':'))) {
		size_t line = strspn(p + 1, "0123456789");
		const char *next = p + 1 + line;
		size_t column = line && *next == ':' ? strspn(next + 1, "0123456789") : 0;

		if (column && next[1 + column] == ':')
			return strchr(err->text, '\n') == NULL || strchr(err->text, '\n') > next;
		p++;
	}
	return false;
}

int report_error(const struct cli *cli, const struct error *err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (cli->json) {
		_cleanup_free_ char *text = text_is_utf8(err->text, strlen(err->text))
		                                ? xstrdup(err->text)
		                                : text_safe(err->text, 0);
		_cleanup_json_ json_t *error =
		    json_pack("{s:{s:s, s:s, s:n}}", "error", "code", error_code_word(err->code),
		              "message", text, "data");

		print_add_json(&out, error, STDERR_FILENO);
	} else {
		if (!has_place(err))
			buf_add_str(&out, "pleach: ");
		text_add_safe(&out, err->text, strlen(err->text), 0, true);
		buf_add_str(&out, "\n");
	}
	write_stderr(out.data, out.len);
	return error_exit_status(err->code);
}

void report_note(const struct cli *cli, const char *fmt, ...)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	buf_add_str(&out, "pleach: ");
	text_add_safe(&out, text, strlen(text), 0, true);
	buf_add_str(&out, "\n");
	write_stderr(out.data, out.len);
}

void report_warnings(const struct cli *cli, const json_t *warnings)
{
	json_t *text;
	size_t i;

	json_array_foreach (warnings, i, text) {
		if (json_is_string(text))
			report_note(cli, "%s", json_string_value(text));
	}
}

int report_finish(const struct cli *cli, int status)
{
	struct error err = ERROR_INIT;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return 128 + SIGPIPE;
	error_errno(&err, "cannot write the output");
	return report_error(cli, &err);
}
