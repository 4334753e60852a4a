/* Measures: numbers that the plan's own commands find out about a result, one command after the
 * other, in the slot, on what verify has passed. A measure that fails is no reason to refuse the
 * result: its number is missing, and why is kept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt_private.h"
#include "jsonl.h"
#include "mem.h"

/* The number that stands alone on the last line, or false. */
static bool read_number(const char *line, double *out)
{
	char *end;

	if (!line)
		return false;
	*out = strtod(line, &end);
	return end != line && !end[strspn(end, " \t\r")] && isfinite(*out);
}

/* A whole number stays one: sizes and counts are compared by eye. */
static json_t *number_json(double value)
{
	bool whole = fabs(value) < 1e15 && value == (double)(json_int_t)value;

	return whole ? json_integer((json_int_t)value) : json_real(value);
}

static const char *name_at(const struct attempt *a, const json_t **measure)
{
	const json_t *all = json_sub(a->spec, "measure");
	const char *name;
	json_t *value;
	size_t i = 0;

	json_object_foreach ((json_t *)all, name, value)
		if (i++ == a->measured) {
			*measure = value;
			return name;
		}
	return NULL;
}

static void record(struct attempt *a, json_t *value, int code, double seconds, const char *problem)
{
	const json_t *measure = NULL;
	const char *name = name_at(a, &measure);

	if (!a->measures)
		a->measures = json_object();
	json_object_set_new(a->measures, name,
	                    json_pack("{s:o, s:i, s:f, s:o}", "value", value, "exit_code", code,
	                              "seconds", seconds, "error", json_text_or_null(problem)));
	a->measured++;
}

static void measure_ended(void *context, const struct command_end *end)
{
	struct attempt *a = context;
	_cleanup_free_ char *line = output_last_line(a->verified, 160), *problem = NULL;
	int code = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : 128 + WTERMSIG(end->status);
	double value = 0;

	a->command = NULL;
	if (end->timed_out)
		problem = xstrdup("its time limit passed");
	else if (code != 0)
		problem = attempt_end_text(end, a->verified, NULL);
	else if (!read_number(line, &value))
		problem = xasprintf("no number on its last line: %s", line ? line : "(nothing)");
	record(a, problem ? json_null() : number_json(value), end->timed_out ? 124 : code,
	       end->seconds, problem);
	attempt_advance(a);
}

bool attempt_measure_due(const struct attempt *a)
{
	const json_t *all = json_sub(a->spec, "measure");

	return json_object_size(all) > a->measured && a->outcome == OUTCOME_COMPLETED &&
	       !a->stopping && !a->stale && (a->has_slot ? a->committed : a->agent_ran) &&
	       (!a->verify || a->evidence);
}

bool attempt_measure_start(struct attempt *a)
{
	while (attempt_measure_due(a)) {
		_cleanup_free_ char *path = xasprintf("%s/verify.log", a->dir), *shown = NULL;
		const json_t *measure = NULL;
		const char *name = name_at(a, &measure);
		_cleanup_free_ char *text =
		    attempt_command_text(json_object_get(measure, "command"));
		struct error err = ERROR_INIT;

		shown = xasprintf("measure %s: %s", name, text);
		attempt_show_line(a, shown);
		/* The same log goes on; its last line is this command's. */
		output_free(a->verified);
		a->verified = output_new(path, a->w->options.log_cap);
		if (attempt_start_command(a, json_object_get(measure, "command"),
		                          json_num(measure, "timeout", 0), measure_ended,
		                          &err) == 0)
			return true;
		record(a, json_null(), err.code == ERROR_NOT_FOUND ? 127 : 126, 0, err.text);
	}
	return false;
}
