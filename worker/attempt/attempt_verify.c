/* Verify: the command that proves a result, run on exactly what was committed. Keeps the evidence;
 * what follows from it is decided elsewhere. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "mem.h"

static void verify_ended(void *context, const struct command_end *end)
{
	struct attempt *a = context;
	_cleanup_free_ char *text = NULL, *why = NULL;
	int code = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : 128 + WTERMSIG(end->status);

	a->command = NULL;
	if (a->stopping || a->stale) {
		attempt_advance(a);
		return;
	}
	if (end->timed_out)
		code = 124;
	text = attempt_command_text(json_object_get(a->verify, "command"));
	a->evidence = json_pack("{s:o, s:i, s:f, s:o, s:o}", "command", json_text_or_null(text),
	                        "exit_code", code, "seconds", end->seconds, "head",
	                        json_text_or_null(a->committed ? a->result.head : NULL), "tree",
	                        json_text_or_null(a->committed ? a->result.tree : NULL));
	resume_verified(a);
	if (end->timed_out) {
		attempt_fail(a, TASK_ERROR_TIMEOUT, "verify: time limit of %gs passed",
		             json_num(a->verify, "timeout", 0));
	} else if (code != 0) {
		why = attempt_end_text(end, a->verified, NULL);
		attempt_fail(a, TASK_ERROR_VERIFY_FAILED, "verify %s", why);
	}
	attempt_advance(a);
}

void attempt_verify(struct attempt *a)
{
	const json_t *command = json_object_get(a->verify, "command");
	_cleanup_free_ char *text = attempt_command_text(command);
	_cleanup_free_ char *path = xasprintf("%s/verify.log", a->dir);
	_cleanup_free_ char *line = xasprintf("verify: %s", text);
	struct error err = ERROR_INIT;

	resume_proving(a);
	output_free(a->verified);
	resume_head_log(a, path);
	a->verified = output_new(path, a->w->options.log_cap);
	attempt_show_line(a, line);
	if (attempt_start_command(a, command, json_num(a->verify, "timeout", 0), verify_ended,
	                          &err) != 0) {
		a->evidence =
		    json_pack("{s:o, s:i, s:f, s:o, s:o}", "command", json_text_or_null(text),
		              "exit_code", err.code == ERROR_NOT_FOUND ? 127 : 126, "seconds", 0.0,
		              "head", json_text_or_null(a->committed ? a->result.head : NULL),
		              "tree", json_text_or_null(a->committed ? a->result.tree : NULL));
		output_add(a->verified, err.text, strlen(err.text));
		output_add(a->verified, "\n", 1);
		resume_verified(a);
		attempt_fail(a, TASK_ERROR_VERIFY_FAILED, "verify: %s", err.text);
		attempt_advance(a);
		return;
	}
	attempt_set_phase(a, PHASE_VERIFYING);
}
