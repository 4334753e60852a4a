/* pleach task list, show, update, stop, retry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "connect.h"
#include "jsonl.h"
#include "kept.h"
#include "mem.h"
#include "names.h"
#include "plan.h"
#include "print.h"
#include "prompt.h"
#include "report.h"
#include "table.h"
#include "task_view.h"
#include "team_start.h"
#include "text.h"
#include "words.h"

#define STATUS_WORDS "pending in_progress needs_input completed failed cancelled"

/* ---- list ---- */

static const struct option list_options[] = {
    {.name = "status",
     .value = "S",
     .help = "only these: " STATUS_WORDS,
     .repeat = true,
     .kind = KIND_WORDS,
     .words = STATUS_WORDS},
    {.name = "plan", .value = "P", .help = "only this plan's", .kind = KIND_PLAN},
    {0}};

static void add_task_row(struct table *table, const json_t *task, const json_t *index)
{
	_cleanup_free_ char *agent = task_agent(task), *story = task_story(task, index);
	double seconds = json_num(task, "seconds", -1);
	struct task_mark mark = task_mark_among(task, index);
	char time[32] = "-";

	if (seconds >= 0)
		text_format_duration(seconds, time);
	table_addf(table, STYLE_DIM, "%lld", (long long)json_int(task, "id", 0));
	table_add(table, STYLE_PLAIN, json_text(task, "plan"));
	table_add(table, STYLE_BOLD, json_text(task, "key"));
	table_addf(table, mark.style, "%s %s", mark.sign, mark.word);
	table_add(table, STYLE_PLAIN, agent);
	table_add(table, STYLE_PLAIN, time);
	table_add(table, STYLE_DIM, *story ? story : json_text(task, "subject"));
}

static int print_tasks(struct cli *cli, const json_t *tasks, struct error *err)
{
	static const struct table_column columns[] = {
	    {"ID", true, false},      {"PLAN", false, false}, {"KEY", false, false},
	    {"STATUS", false, false}, {"AGENT", false, true}, {"TIME", true, false},
	    {"", false, true}};
	_cleanup_json_ json_t *index = names_index(cli, tasks, false);
	_cleanup_table_ struct table table = {0};
	json_t *task;
	size_t i;

	table_init(&table, columns, ARRAY_LEN(columns));
	json_array_foreach (tasks, i, task)
		add_task_row(&table, task, index);
	if (!json_array_size(tasks)) {
		if (!cli->quiet)
			printf("no tasks\n");
		return 0;
	}
	return table_print(&table, cli, err);
}

static int list_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ const char **statuses = options_list(&cli->options, "status");
	const char *plan = options_text(&cli->options, "plan");
	_cleanup_json_ json_t *result = NULL;
	json_t *params = json_object(), *list;

	if (plan)
		json_object_set_new(params, "plan", json_text_or_null(plan));
	if (statuses[0]) {
		list = json_array();
		for (size_t i = 0; statuses[i]; i++)
			json_array_append_new(list, json_string(statuses[i]));
		json_object_set_new(params, "status", list);
	}
	if (cli_list_tasks(cli, params, !cli->json, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	return print_tasks(cli, json_sub(result, "tasks"), err);
}

const struct command command_task_list = {
    .name = "task list",
    .aliases = "ls",
    .usage = "[--status S]… [--plan P]",
    .summary = "all tasks, or those asked for",
    .options = list_options,
    .exec = list_exec,
};

/* ---- show ---- */

static void print_field(const struct cli *cli, const char *name, const char *text)
{
	struct line line;

	if (!text || !*text)
		return;
	line_begin(&line, 0, cli->colored);
	line_cell(&line, STYLE_DIM, name, 10);
	line_add(&line, STYLE_PLAIN, text);
	line_print(&line);
	line_finish(&line);
}

/* Tasks by their keys; those of another plan with its name. */
static void print_others(const struct cli *cli, const char *name, const json_t *task,
                         const char *field, const json_t *index)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *plan = json_text(task, "plan");
	json_t *id;
	size_t i;

	json_array_foreach (json_object_get(task, field), i, id) {
		const json_t *other = task_indexed(index, json_integer_value(id));
		const char *key = json_text(other, "key"), *of = json_text(other, "plan");

		buf_add_str(&out, i ? ", " : "");
		if (!key)
			buf_printf(&out, "%lld", (long long)json_integer_value(id));
		else if (of && plan && strcmp(of, plan) != 0)
			buf_printf(&out, "%s/%s", of, key);
		else
			buf_add_str(&out, key);
	}
	print_field(cli, name, out.data);
}

static void print_attempts(const struct cli *cli, const json_t *ids)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	json_t *id;
	size_t i;

	json_array_foreach (ids, i, id)
		buf_printf(&out, "%s%lld", i ? ", " : "", (long long)json_integer_value(id));
	if (out.len) {
		_cleanup_free_ char *numbers = buf_take(&out);

		buf_printf(&out, "%zu (number%s %s)", i, i == 1 ? "" : "s", numbers);
	}
	print_field(cli, "attempts", out.data);
}

static void print_texts(const struct cli *cli, const char *name, const json_t *texts)
{
	json_t *text;
	size_t i;

	json_array_foreach (texts, i, text)
		print_field(cli, name, json_string_value(text));
}

static void print_block(const struct cli *cli, const char *title, const char *text)
{
	struct line line;

	if (!text || !*text)
		return;
	line_begin(&line, 0, cli->colored);
	line_add(&line, STYLE_DIM, title);
	putchar('\n');
	line_print(&line);
	line_finish(&line);
	print_text(text);
}

/* What its agent remembers, from where, and how often it was sent back to work. */
static void print_session(const struct cli *cli, const json_t *task)
{
	const json_t *continues = json_sub(task, "continues");
	size_t rounds = json_array_size(json_object_get(task, "rounds"));
	_cleanup_free_ char *from = NULL, *times = NULL;

	print_field(cli, "session", json_text(task, "session"));
	if (continues)
		from = xasprintf(
		    "attempt %lld (%s)%s", (long long)json_int(continues, "attempt", 0),
		    json_text(continues, "why") ? json_text(continues, "why") : "?",
		    json_flag(continues, "refused") ? ", but its session was not known any more"
		                                    : "");
	if (rounds)
		times = xasprintf("%zu verified (pleach logs --verify)", rounds);
	print_field(cli, "continues", from);
	print_field(cli, "rounds", times);
}

static void print_used(const struct cli *cli, const json_t *task)
{
	const json_t *usage = json_sub(task, "usage");
	double cost = json_num(usage, "cost_usd", -1);
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (json_is_integer(json_object_get(usage, "input_tokens")))
		buf_printf(&out, "%lld tokens in, %lld out",
		           (long long)json_int(usage, "input_tokens", 0),
		           (long long)json_int(usage, "output_tokens", 0));
	if (cost >= 0)
		buf_printf(&out, cost > 0 && cost < 0.01 ? "%s$%.4f" : "%s$%.2f",
		           out.len ? ", " : "", cost);
	print_field(cli, "used", out.len ? out.data : NULL);
}

/* Its state, and why it did not land. */
static void print_landing(const struct cli *cli, const json_t *landing)
{
	const char *state = json_text(landing, "state"), *message = json_text(landing, "message");
	_cleanup_free_ char *both = message ? xasprintf("%s: %s", state, message) : NULL;

	print_field(cli, "landing", both ? both : state);
}

static void print_task_fields(const struct cli *cli, const json_t *task, const json_t *index)
{
	_cleanup_free_ char *agent = task_agent(task), *changes = task_changes(task);
	const json_t *verify = json_sub(task, "verify");
	double seconds = json_num(task, "seconds", -1);
	char time[32] = "";

	if (seconds >= 0)
		text_format_duration(seconds, time);
	print_field(cli, "plan", json_text(task, "plan"));
	print_field(cli, "subject", json_text(task, "subject"));
	print_field(cli, "agent", agent);
	print_field(cli, "owner", json_text(task, "owner"));
	print_others(cli, "blocked by", task, "blocked_by", index);
	print_others(cli, "blocks", task, "blocks", index);
	print_others(cli, "tried as", task, "alternatives", index);
	print_field(cli, "branch", json_text(task, "branch"));
	print_field(cli, "base", json_text(task, "base"));
	print_field(cli, "head", json_text(task, "head"));
	print_field(cli, "changes", changes);
	print_field(cli, "time", time);
	print_used(cli, task);
	print_attempts(cli, json_sub(task, "attempt_ids"));
	print_session(cli, task);
	if (verify) {
		_cleanup_free_ char *proof =
		    xasprintf("%s: exit %lld", json_text(verify, "command"),
		              (long long)json_int(verify, "exit_code", -1));
		print_field(cli, "verify", proof);
	}
	print_texts(cli, "kept", json_sub(task, "kept"));
	print_texts(cli, "kept as", json_sub(task, "kept_refs"));
	print_landing(cli, json_sub(task, "landing"));
	print_field(cli, "created", json_text(task, "created_at"));
	print_field(cli, "finished", json_text(task, "finished_at"));
}

static void print_task(struct cli *cli, const json_t *task, const json_t *index)
{
	names_print_task(cli, task, index);
	print_task_fields(cli, task, index);
	print_block(cli, "prompt", json_text(task, "prompt"));
	print_block(cli, "asks", json_text(json_sub(task, "input"), "text"));
	print_block(cli, "error", json_text(json_sub(task, "error"), "message"));
	print_block(cli, "output", json_text(task, "output"));
}

/* Its attempts, and the refs below which their work is kept, those that were lost included. Without
 * a repository the rest is shown all the same. */
static void add_attempts(struct cli *cli, json_t *task)
{
	_cleanup_json_ json_t *located = NULL, *list = NULL;
	_cleanup_free_ char *id = xasprintf("%lld", (long long)json_int(task, "id", 0));
	json_t *ids = json_array(), *names = json_array(), *item;
	struct error ignored = ERROR_INIT;
	size_t i;

	if (cli_ask(cli, "task.locate", json_pack("{s:s}", "task", id), true, &located, &ignored) ==
	        0 &&
	    kept_of_task(cli, located, &list, &ignored) == 0) {
		json_array_foreach (list, i, item)
			json_array_append(names, json_object_get(item, "ref"));
	}
	json_array_foreach (json_sub(located, "attempts"), i, item) /* the newest first */
		json_array_insert(ids, 0, item);
	json_object_set_new(task, "attempt_ids", ids);
	json_object_set_new(task, "kept_refs", names);
}

/* One Task, or a list of several. */
static int show_exec(struct cli *cli, struct error *err)
{
	size_t n = cli->options.arg_count ? cli->options.arg_count : 1, i;
	_cleanup_json_ json_t *tasks = json_array(), *list = NULL, *index = NULL;
	json_t *task;

	for (i = 0; i < n; i++) {
		if (cli_ask(cli, "task.show", names_task(cli, i, "task"), true, &task, err) < 0)
			return -1;
		add_attempts(cli, task);
		json_array_append_new(tasks, task);
	}
	if (cli->json && n == 1)
		return print_json(json_array_get(tasks, 0));
	if (cli->json) {
		list = json_pack("{s:O}", "tasks", tasks);
		return print_json(list);
	}
	index = names_index(cli, tasks, true);
	json_array_foreach (tasks, i, task) {
		if (i)
			putchar('\n');
		print_task(cli, task, index);
	}
	return 0;
}

static const struct option no_options[] = {{0}};

const struct command command_task_show = {
    .name = "task show",
    .aliases = "show",
    .usage = "[TASK...]",
    .summary = "all that is known of a task",
    .options = no_options,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = show_exec,
};

/* ---- update ---- */

static const struct option update_options[] = {
    {.name = "prompt", .value = "TEXT", .help = "a new prompt"},
    {.name = "file",
     .letter = 'F',
     .value = "FILE",
     .help = "a new prompt from a file (-: stdin)",
     .kind = KIND_FILE},
    {.name = "priority", .value = "N", .help = "higher first"},
    {.name = "agent",
     .value = "NAME[/MODEL]",
     .help = "the agent that does it",
     .kind = KIND_AGENT},
    {.name = "blocked-by",
     .value = "TASK",
     .help = "waits for these only",
     .repeat = true,
     .kind = KIND_TASK},
    {.name = "budget", .value = "USD", .help = "what it may cost, or none"},
    {.name = "budget-tokens", .value = "N", .help = "the tokens it may use, or none"},
    {.name = "metadata", .value = "JSON", .help = "an object kept with the task"},
    {0}};

static int update_budget_part(const struct cli *cli, const char *option, const char *part,
                              json_t *budget, struct error *err)
{
	const char *text = options_text(&cli->options, option);
	char *end = NULL;
	double n;

	if (!text)
		return 0;
	if (strcmp(text, "none") == 0)
		return json_object_set_new(budget, part, json_null());
	n = strtod(text, &end);
	if (*end || !(n > 0) || n > 1e12)
		return error_set(err, ERROR_INVALID, "task update: --%s %.40s is no amount", option,
		                 text);
	return json_object_set_new(budget, part, json_real(n));
}

static int update_budget(const struct cli *cli, json_t *params, struct error *err)
{
	_cleanup_json_ json_t *budget = json_object();

	if (update_budget_part(cli, "budget", "usd", budget, err) < 0 ||
	    update_budget_part(cli, "budget-tokens", "tokens", budget, err) < 0)
		return -1;
	return json_object_size(budget) ? json_object_set(params, "budget", budget) : 0;
}

static int update_blockers(const struct cli *cli, json_t *params)
{
	_cleanup_free_ const char **blockers = options_list(&cli->options, "blocked-by");
	json_t *list;

	if (!blockers[0])
		return 0;
	list = json_array();
	for (size_t i = 0; blockers[i]; i++)
		if (*blockers[i]) /* --blocked-by "" alone: nothing blocks it */
			json_array_append_new(list, json_text_or_null(blockers[i]));
	return json_object_set_new(params, "blocked_by", list);
}

static int update_metadata(const struct cli *cli, json_t *params, struct error *err)
{
	const char *text = options_text(&cli->options, "metadata");
	json_t *metadata = text ? jsonl_parse(text, strlen(text), err) : NULL;

	if (!text)
		return 0;
	if (!metadata)
		return error_wrap(err, "task update: --metadata");
	if (!json_is_object(metadata)) {
		json_decref(metadata);
		return error_set(err, ERROR_INVALID, "task update: --metadata is a JSON object");
	}
	return json_object_set_new(params, "metadata", metadata);
}

static int update_priority(const struct cli *cli, json_t *params, struct error *err)
{
	const char *text = options_text(&cli->options, "priority");
	char *end = NULL;
	long long n;

	if (!text)
		return 0;
	n = strtoll(text, &end, 10); /* of what is too large it makes the largest */
	if (!*text || *end)
		return error_set(err, ERROR_INVALID,
		                 "task update: --priority must be a whole number");
	if (n < -PRIORITY_MAX || n > PRIORITY_MAX)
		return error_set(err, ERROR_INVALID,
		                 "task update: --priority %lld is out of range (%d to %d)", n,
		                 -PRIORITY_MAX, PRIORITY_MAX);
	return json_object_set_new(params, "priority", json_integer(n));
}

/* The plan's own agents are known to the coordinator, those of the configuration are not. */
static int update_agent(struct cli *cli, json_t *params, struct error *err)
{
	const char *agent = options_text(&cli->options, "agent");
	_cleanup_json_ json_t *profile = NULL, *secrets = NULL;
	struct plan_context context;
	struct error why = ERROR_INIT;

	if (!agent)
		return 0;
	json_object_set_new(params, "agent", json_text_or_null(agent));
	if (team_plan_context(cli, &context, err) < 0)
		return -1;
	if (plan_profile_read(&context, agent, &profile, &secrets, &why) < 0) {
		if (why.code == ERROR_NOT_FOUND)
			return 0;
		*err = why;
		return -1;
	}
	json_object_set_new(params, "profiles",
	                    json_pack("{s%:O}", agent, strcspn(agent, "/"), profile));
	json_object_set_new(params, "secrets", json_pack("{s:O}", "agents", secrets));
	return 0;
}

static int update_params(struct cli *cli, json_t *params, struct error *err)
{
	const char *prompt = options_text(&cli->options, "prompt");
	_cleanup_free_ char *text = NULL;

	if (options_text(&cli->options, "file") && prompt_read(cli, 1, true, &text, err) < 0)
		return -1;
	if (text)
		prompt = text;
	if (prompt) {
		if (!text_is_utf8(prompt, strlen(prompt)))
			return error_set(err, ERROR_INVALID,
			                 "task update: the prompt is not UTF-8 text");
		json_object_set_new(params, "prompt", json_string(prompt));
	}
	if (update_priority(cli, params, err) < 0 || update_agent(cli, params, err) < 0)
		return -1;
	update_blockers(cli, params);
	if (update_metadata(cli, params, err) < 0 || update_budget(cli, params, err) < 0)
		return -1;
	if (!json_object_size(params))
		return error_set(err, ERROR_INVALID,
		                 "task update: nothing to change (pleach task "
		                 "update -h)");
	return 0;
}

static int update_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *params = json_object(), *of = NULL, *task = NULL;

	if (update_params(cli, params, err) < 0)
		return -1;
	of = names_task(cli, 0, "task");
	json_object_update(params, of);
	if (cli_ask(cli, "task.update", json_incref(params), true, &task, err) < 0)
		return -1;
	if (cli->json)
		return print_json(task);
	if (!cli->quiet)
		names_print_task(cli, task, NULL);
	return 0;
}

const struct command command_task_update = {
    .name = "task update",
    .aliases = "update",
    .usage = "[TASK] [--prompt TEXT | -F FILE] [--priority N] [--agent A] [--blocked-by T]… "
             "[--budget USD] [--budget-tokens N] [--metadata JSON]",
    .summary = "change a task that does not run",
    .options = update_options,
    .most_args = 1,
    .args = KIND_TASK,
    .exec = update_exec,
};

/* ---- stop, retry ---- */

/* One after the other; what was done stays done when a later one fails. */
static int each_task(struct cli *cli, const char *method, bool resume, struct error *err)
{
	_cleanup_json_ json_t *tasks = json_array(), *all = NULL;
	size_t n = cli->options.arg_count;

	/* A name that is none is found before anything is done to the others. */
	for (size_t i = 0; n > 1 && i < n; i++) {
		_cleanup_json_ json_t *task = NULL;

		if (cli_ask(cli, "task.show", names_task(cli, i, "task"), true, &task, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < (n ? n : 1); i++) {
		json_t *task = NULL, *params = names_task(cli, i, "task");

		if (resume)
			json_object_set_new(params, "resume", json_true());
		if (cli_ask(cli, method, params, false, &task, err) < 0)
			return -1;
		json_array_append_new(tasks, task);
		if (!cli->json && !cli->quiet)
			names_print_task(cli, task, NULL);
	}
	if (!cli->json)
		return 0;
	if (json_array_size(tasks) == 1)
		return print_json(json_array_get(tasks, 0));
	all = json_pack("{s:O}", "tasks", tasks);
	return print_json(all);
}

static int stop_exec(struct cli *cli, struct error *err)
{
	return each_task(cli, "task.stop", false, err);
}

static int retry_exec(struct cli *cli, struct error *err)
{
	return each_task(cli, "task.retry", options_flag(&cli->options, "resume"), err);
}

const struct command command_task_stop = {
    .name = "task stop",
    .aliases = "stop",
    .usage = "[TASK]…",
    .summary = "cancel a task; its work so far is kept",
    .options = no_options,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = stop_exec,
};

static const struct option retry_options[] = {
    {.name = "resume",
     .help = "go on with the agent's own session of the last attempt, from where it stood"},
    {0}};

const struct command command_task_retry = {
    .name = "task retry",
    .aliases = "retry",
    .usage = "[TASK]… [--resume]",
    .summary = "try a failed or cancelled task again",
    .options = retry_options,
    .most_args = ARGS_ANY,
    .args = KIND_TASK,
    .exec = retry_exec,
};
