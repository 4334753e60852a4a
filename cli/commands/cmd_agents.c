/* pleach agents: which agents there are, which are installed, what becomes of one. Reads what the
 * configuration says (plan.h); starts nothing but, with --check, the programs themselves. Needs no
 * coordinator and no repository. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent_yaml.h"
#include "command.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "proc.h"
#include "report.h"
#include "table.h"
#include "text.h"

#define CHECK_SECONDS 10
#define CHECK_BYTES   4096
#define SHOWN         100 /* columns of a version */
#define CHECKS_MAX    64  /* at a time */

/* --- the check ----------------------------------------------------------------------- */

struct check {
	const char **argv;
	int timeout_ms;
	struct buf out;
	int status;
	bool ran;
	struct error err;
	pthread_t thread;
};

/* Without a terminal, from /, in a session of its own that is killed when it takes too long. */
static void *check_run(void *context)
{
	struct check *c = context;
	struct proc_run run = {.spec = PROC_SPEC_INIT,
	                       .out = &c->out,
	                       .err_out = &c->out,
	                       .max_out = CHECK_BYTES,
	                       .timeout_ms = c->timeout_ms};

	run.spec.argv = c->argv;
	run.spec.cwd = "/";
	run.spec.new_session = true;
	c->ran = proc_run(&run, &c->status, &c->err) == 0;
	return NULL;
}

/* The first line with anything on it. Caller frees. */
static char *first_line(const struct buf *out)
{
	const char *text = out->len ? out->data : "";
	_cleanup_free_ char *line = NULL;

	text += strspn(text, " \t\r\n");
	line = xstrndup(text, strcspn(text, "\r\n"));
	return text_safe(line, SHOWN);
}

static void check_tell(const struct check *c, json_t *agent)
{
	_cleanup_free_ char *line = first_line(&c->out), *why = NULL;

	if (!c->ran && c->err.code == ERROR_TIMEOUT)
		why = xasprintf("does not answer within %d s", c->timeout_ms / 1000);
	else if (!c->ran)
		why = text_safe(c->err.text, SHOWN);
	else if (!WIFEXITED(c->status) || WEXITSTATUS(c->status) != 0)
		why = xasprintf("%s%s%s", proc_status_text(c->status), *line ? ": " : "", line);
	if (why)
		json_object_set_new(agent, "error", json_string(why));
	else if (*line)
		json_object_set_new(agent, "version", json_string(line));
}

/* All that are installed at once: each is one slow start of an interpreter. */
static void check_all(json_t *agents, int timeout_ms)
{
	struct check checks[CHECKS_MAX] = {0};
	size_t i, count = json_array_size(agents);

	count = count < CHECKS_MAX ? count : CHECKS_MAX;
	for (i = 0; i < count; i++) {
		json_t *agent = json_array_get(agents, i);
		_cleanup_strv_ char **options =
		    json_strv(json_sub(json_sub(agent, "profile"), "version"));
		size_t n = 0;

		if (!json_text(agent, "path") || !options || !options[0])
			continue;
		while (options[n])
			n++;
		checks[i].argv = xcalloc(n + 2, sizeof *checks[i].argv);
		checks[i].argv[0] = json_text(agent, "path");
		for (size_t k = 0; k < n; k++)
			checks[i].argv[k + 1] = xstrdup(options[k]);
		checks[i].timeout_ms = timeout_ms;
		if (pthread_create(&checks[i].thread, NULL, check_run, &checks[i]) != 0)
			die("cannot make a thread");
	}
	for (i = 0; i < count; i++) {
		if (!checks[i].argv)
			continue;
		pthread_join(checks[i].thread, NULL);
		check_tell(&checks[i], json_array_get(agents, i));
		for (size_t k = 1; checks[i].argv[k]; k++)
			free((char *)checks[i].argv[k]);
		free(checks[i].argv);
		buf_finish(&checks[i].out);
	}
}

/* --- the list ------------------------------------------------------------------------ */

static const char *const modes[] = {"exec", "tui", "acp"};

/* {"name","program","path","modes","mode","from","version","error","profile"} */
static json_t *agent_json(const json_t *known)
{
	const json_t *profile = json_sub(known, "profile"), *said = json_sub(known, "said");
	const char *program = json_text(profile, "program");
	_cleanup_free_ char *path = program ? proc_find_program(program, NULL) : NULL;
	json_t *has = json_array();

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (json_sub(json_sub(said, modes[i]), "command"))
			json_array_append_new(has, json_string(modes[i]));
	return json_pack("{s:O, s:o, s:o, s:o, s:O, s:O, s:n, s:n, s:O}", "name",
	                 json_object_get(known, "name"), "program", json_text_or_null(program),
	                 "path", json_text_or_null(path), "modes", has, "mode",
	                 json_object_get(profile, "mode"), "from", json_object_get(known, "from"),
	                 "version", "error", "profile", profile);
}

static void add_words(struct table *table, enum style style, const json_t *words)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	json_t *word;
	size_t i;

	json_array_foreach ((json_t *)words, i, word) {
		buf_printf(&text, "%s%s", i ? " " : "", json_string_value(word));
	}
	table_add(table, style, text.len ? text.data : "-");
}

static int print_table(struct cli *cli, const json_t *agents, bool checked, struct error *err)
{
	static const struct table_column columns[] = {
	    {.name = "AGENT"}, {.name = "MODES"},   {.name = "PROGRAM", .cut = true},
	    {.name = "FROM"},  {.name = "VERSION"},
	};
	_cleanup_table_ struct table table;
	json_t *agent;
	size_t i;

	table_init(&table, columns, ARRAY_LEN(columns) - (checked ? 0 : 1));
	json_array_foreach ((json_t *)agents, i, agent) {
		const char *path = json_text(agent, "path"), *error = json_text(agent, "error");
		const char *version = json_text(agent, "version");
		enum style style = path ? STYLE_PLAIN : STYLE_DIM;

		table_add(&table, path ? STYLE_BOLD : STYLE_DIM, json_text(agent, "name"));
		add_words(&table, style, json_sub(agent, "modes"));
		table_add(&table, style, path ? path : "not installed");
		add_words(&table, style, json_sub(agent, "from"));
		if (checked)
			table_add(&table, error ? STYLE_RED : style,
			          error     ? error
			          : version ? version
			                    : "-");
	}
	return table_print(&table, cli, err);
}

static const json_t *agent_named(const json_t *agents, const char *name, struct error *err)
{
	_cleanup_free_ const char **names = xcalloc(json_array_size(agents) + 1, sizeof *names);
	_cleanup_free_ char *shown = text_safe(name, SHOWN);
	json_t *agent;
	size_t i;

	json_array_foreach ((json_t *)agents, i, agent) {
		names[i] = json_text(agent, "name");
		if (strcmp(names[i], name) == 0)
			return agent;
	}
	const char *near = text_nearest(name, names);
	if (near)
		error_set(err, ERROR_NOT_FOUND, "agents: there is no %s (did you mean %s?)", shown,
		          near);
	else
		error_set(err, ERROR_NOT_FOUND, "agents: there is no %s (pleach agents lists them)",
		          shown);
	return NULL;
}

/* Outside a repository the user's own files still count. */
static int read_agents(struct cli *cli, json_t **known, json_t **warnings, struct error *err)
{
	struct plan_context context = {.keep = true};

	if (cli_place(cli, err) == 0) {
		context.root = cli->place.bare ? cli->place.worktree : cli->place.root;
		context.cwd = cli->place.cwd;
	} else if (cli->dir) {
		return -1;
	} else {
		report_note(cli, "%s: no pleach.yaml is read", err->text);
		*err = (struct error)ERROR_INIT;
	}
	return plan_agents_list(&context, known, warnings, err);
}

static int agents_exec(struct cli *cli, struct error *err)
{
	const char *name = cli->options.arg_count ? cli->options.args[0] : NULL;
	_cleanup_json_ json_t *known = NULL, *warnings = NULL, *agents = json_array();
	bool check = options_flag(&cli->options, "check");
	const json_t *one = NULL;
	double seconds = CHECK_SECONDS;
	json_t *item;
	size_t i;

	if (options_duration(&cli->options, "timeout", CHECK_SECONDS, &seconds, err) < 0 ||
	    read_agents(cli, &known, &warnings, err) < 0)
		return -1;
	report_warnings(cli, warnings);
	if (name) {
		one = agent_named(known, name, err);
		if (!one)
			return -1;
	}
	json_array_foreach (known, i, item) {
		if (!one || item == one)
			json_array_append_new(agents, agent_json(item));
	}
	if (check)
		check_all(agents, (int)(seconds * 1000));
	if (cli->json) {
		_cleanup_json_ json_t *answer = json_pack("{s:O}", "agents", agents);

		return print_json(answer);
	}
	if (one && !check)
		return agent_yaml_print(one);
	return print_table(cli, agents, check, err);
}

static const struct option agents_options[] = {
    {.name = "check", .help = "start each with --version, all at once"},
    {.name = "timeout", .value = "DUR", .help = "how long each has for that (10s)"},
    {0}};

const struct command command_agents = {
    .name = "agents",
    .usage = "[NAME] [--check [--timeout DUR]]",
    .summary = "the agents, where they are, and one of them as YAML",
    .options = agents_options,
    .most_args = 1,
    .args = KIND_AGENT,
    .exec = agents_exec,
};
