/* pleach team list, add, remove, pause, resume. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "plan.h"
#include "print.h"
#include "table.h"
#include "team_start.h"
#include "text.h"

static const struct option no_options[] = {{0}};

static void add_row(struct table *table, const json_t *teammate)
{
	const char *state = json_text(teammate, "state"), *last = json_text(teammate, "progress");
	int64_t pid = json_int(teammate, "pid", 0);
	char since[48];

	print_ago(json_text(teammate, "since"), since);
	if (!last)
		last = json_text(teammate, "last_output");
	table_add(table, STYLE_BOLD, json_text(teammate, "name"));
	table_add(table,
	          state && strcmp(state, "needs_input") == 0 ? STYLE_YELLOW
	          : state && strcmp(state, "limited") == 0   ? STYLE_CYAN
	          : state && strcmp(state, "lost") == 0      ? STYLE_RED
	          : state && strcmp(state, "working") == 0   ? STYLE_GREEN
	                                                     : STYLE_PLAIN,
	          state);
	table_add(table, STYLE_PLAIN, since);
	table_add(table, STYLE_PLAIN, json_text(teammate, "key"));
	table_add(table, STYLE_PLAIN, json_text(teammate, "agent"));
	table_add(table, STYLE_DIM, json_text(teammate, "pane"));
	if (pid)
		table_addf(table, STYLE_DIM, "%lld", (long long)pid);
	else
		table_add(table, STYLE_DIM, NULL);
	table_add(table, STYLE_DIM, last);
}

static int print_team(const struct cli *cli, const json_t *teammates, struct error *err)
{
	static const struct table_column columns[] = {
	    {"NAME", false, false}, {"STATE", false, false},     {"SINCE", true, false},
	    {"TASK", false, false}, {"AGENT", false, true},      {"PANE", false, false},
	    {"PID", true, false},   {"LAST OUTPUT", false, true}};
	_cleanup_table_ struct table table = {0};
	json_t *teammate;
	size_t i;

	if (!json_array_size(teammates)) {
		if (!cli->quiet)
			printf("no team (pleach up)\n");
		return 0;
	}
	table_init(&table, columns, ARRAY_LEN(columns));
	json_array_foreach (teammates, i, teammate)
		add_row(&table, teammate);
	return table_print(&table, cli, err);
}

static int ask_and_print(struct cli *cli, const char *method, json_t *params, bool again,
                         struct error *err)
{
	_cleanup_json_ json_t *result = NULL;

	if (cli_ask(cli, method, params, again, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	return print_team(cli, json_sub(result, "teammates"), err);
}

static int list_exec(struct cli *cli, struct error *err)
{
	return ask_and_print(cli, "team.list", NULL, true, err);
}

const struct command command_team_list = {
    .name = "team list",
    .aliases = "ps",
    .usage = "",
    .summary = "the teammates and what they do",
    .options = no_options,
    .exec = list_exec,
};

static int pause_exec(struct cli *cli, struct error *err)
{
	return ask_and_print(cli, "team.pause", names_params(cli, 0, "name"), true, err);
}

static int resume_exec(struct cli *cli, struct error *err)
{
	const char *name = cli->options.arg_count ? cli->options.args[0] : NULL;
	int rc = ask_and_print(cli, "team.resume", names_params(cli, 0, "name"), true, err);

	/* The coordinator knows only agents that are used here. */
	if (rc < 0 && err->code == ERROR_NOT_FOUND && name)
		for (const char *const *agent = agents_names(); *agent; agent++)
			if (strcmp(*agent, name) == 0)
				return error_set(err, ERROR_NOT_FOUND, "%s is not limited", name);
	return rc;
}

const struct command command_team_pause = {
    .name = "team pause",
    .usage = "[NAME]",
    .summary = "give a teammate, or all, nothing new",
    .options = no_options,
    .most_args = 1,
    .args = KIND_WHO,
    .exec = pause_exec,
};

const struct command command_team_resume = {
    .name = "team resume",
    .usage = "[NAME]",
    .summary = "give a teammate, or all, tasks again",
    .options = no_options,
    .most_args = 1,
    .args = KIND_WHO,
    .exec = resume_exec,
};

static const struct option add_options[] = {
    {.name = "agent",
     .value = "NAME[/MODEL]",
     .help = "takes only this agent's tasks, and those of none",
     .kind = KIND_AGENT},
    {.name = "keep-session", .help = "each task goes to the agent's session of the one before"},
    {0}};

static int print_one(const struct cli *cli, const json_t *teammate, const char *what)
{
	if (cli->json)
		return print_json(teammate);
	if (!cli->quiet) {
		_cleanup_free_ char *name = text_safe(json_text(teammate, "name"), 40);

		printf("%s %s\n", name, what);
	}
	return 0;
}

static int add_exec(struct cli *cli, struct error *err)
{
	const char *agent = options_text(&cli->options, "agent");
	_cleanup_json_ json_t *profile = NULL, *secrets = NULL, *agents = NULL, *teammate = NULL;
	json_t *params = cli->options.arg_count ? names_params(cli, 0, "name") : json_object();
	struct plan_context context;

	if (agent) {
		if (team_plan_context(cli, &context, err) < 0 ||
		    plan_profile_read(&context, agent, &profile, &secrets, err) < 0)
			goto fail;
		agents = json_pack("{s:O}", agent, profile);
		if (team_check_agents(cli, agents, NULL, NULL, err) < 0)
			goto fail;
		json_object_set_new(params, "agent", json_text_or_null(agent));
		json_object_set(params, "profile", profile);
	}
	if (options_flag(&cli->options, "keep-session"))
		json_object_set_new(params, "session", json_string("keep"));
	json_object_set_new(params, "environment", team_environment(cli));
	if (cli_ask(cli, "team.add", params, false, &teammate, err) < 0)
		return -1;
	return print_one(cli, teammate, "joins");
fail:
	json_decref(params);
	return -1;
}

const struct command command_team_add = {
    .name = "team add",
    .usage = "[NAME] [--agent A] [--keep-session]",
    .summary = "one teammate more",
    .options = add_options,
    .most_args = 1,
    .exec = add_exec,
};

static const struct option remove_options[] = {
    {.name = "now", .help = "do not wait for its attempt: snapshot, and the task is pending again"},
    {0}};

static int remove_exec(struct cli *cli, struct error *err)
{
	json_t *params = names_params(cli, 0, "name");
	_cleanup_json_ json_t *teammate = NULL;

	json_object_set_new(params, "now", json_boolean(options_flag(&cli->options, "now")));
	if (cli_ask(cli, "team.remove", params, false, &teammate, err) < 0)
		return -1;
	return print_one(cli, teammate, "leaves");
}

const struct command command_team_remove = {
    .name = "team remove",
    .usage = "NAME [--now]",
    .summary = "one teammate less; its worktree's content is kept",
    .options = remove_options,
    .least_args = 1,
    .most_args = 1,
    .args = KIND_WHO,
    .exec = remove_exec,
};
