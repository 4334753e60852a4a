/* What an attempt hands over when it ends: the FINISH of docs/protocol.md. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt_private.h"
#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "proc.h"
#include "text.h"

#define LINE_WIDTH 200

void attempt_fail(struct attempt *a, enum task_error error, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	va_list ap;

	/* What failed first is the reason. */
	if (a->outcome == OUTCOME_FAILED)
		return;
	va_start(ap, fmt);
	raw = xvasprintf(fmt, ap);
	va_end(ap);
	a->outcome = OUTCOME_FAILED;
	a->error = error;
	free(a->error_text);
	a->error_text = text_safe(raw, 0);
}

char *attempt_end_text(const struct command_end *end, const struct output *output, const char *said)
{
	_cleanup_free_ char *line = said     ? text_safe(said, LINE_WIDTH)
	                            : output ? output_last_line(output, LINE_WIDTH)
	                                     : NULL;
	const char *status = proc_status_text(end->status);

	return line ? xasprintf("%s: %s", status, line) : xstrdup(status);
}

/* What the agent said last: its own words where it prints JSON or its hooks tell them, else the end
 * of its output. */
static char *final_text(const struct attempt *a)
{
	const char *said = report_text(a->report) ? report_text(a->report) : a->said;
	struct buf safe = BUF_INIT;
	size_t len, from = 0;

	if (!said)
		return output_text(a->output);
	len = strlen(said);
	if (len > OUTPUT_TEXT_MAX)
		from = len - OUTPUT_TEXT_MAX;
	while (from && from < len && ((unsigned char)said[from] & 0xc0) == 0x80)
		from++;
	text_add_safe(&safe, said + from, len - from, 0, true);
	return buf_take(&safe);
}

/* What is null is not said: the coordinator reads each result before the next task can begin. */
static json_t *unless_null(json_t *value)
{
	return json_is_null(value) ? NULL : value;
}

json_t *attempt_result(const struct attempt *a)
{
	_cleanup_free_ char *text = final_text(a);
	const struct slot_result *r = a->committed ? &a->result : NULL;
	json_t *error = NULL, *changes = NULL, *kept = json_array(), *finish;

	if (a->error != TASK_ERROR_NONE)
		error = json_pack("{s:s, s:o}", "code", task_error_word(a->error), "message",
		                  json_text_or_null(a->error_text));
	if (r)
		changes = json_pack("{s:i, s:i, s:i}", "files", r->files_changed, "insertions",
		                    r->insertions, "deletions", r->deletions);
	if (a->kept)
		json_array_append_new(kept, json_string(a->kept));
	finish = json_pack(
	    "{s:I, s:s, s:s, s:s*, s:s*, s:b, s:O*, s:o*, s:o*, s:o*, s:o*, s:f, s:o, s:O*, s:O*,"
	    " s:o*}",
	    "attempt", (json_int_t)a->id, "token", a->token, "outcome",
	    attempt_outcome_word(a->outcome), "head", r ? r->head : NULL, "tree",
	    r ? r->tree : NULL, "unchanged", r && r->unchanged, "verify", a->evidence, "changes",
	    changes, "error", error, "usage", unless_null(attempt_usage(a)), "output",
	    unless_null(json_text_or_null(text)), "seconds", seconds_since(a->started), "kept",
	    kept, "measures", a->measures, "tampering", a->tampering, "limited",
	    unless_null(attempt_limited(a)));
	resume_say(a, finish);
	return finish;
}
