/* Starting the team: checks, the environment, team.up. */
#include "team_start.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "proc.h"
#include "report.h"
#include "run_plan.h"
#include "task_view.h"
#include "text.h"

#define MISSING_TOLD 8 /* agents whose program is missing, by name */

int team_plan_context(struct cli *cli, struct plan_context *out, struct error *err)
{
	if (cli_place(cli, err) < 0)
		return -1;
	*out = (struct plan_context){
	    .root = cli->place.bare ? cli->place.worktree : cli->place.root,
	    .cwd = cli->place.cwd,
	    .first_agent = agents_first_installed,
	    .keep = true,
	};
	return 0;
}

int team_check_size(long size, struct error *err)
{
	if (size <= PLAN_TEAM_MAX)
		return 0;
	return error_set(err, ERROR_INVALID, "--team: a team has at most %d teammates",
	                 PLAN_TEAM_MAX);
}

int team_check_tmux(const struct cli *cli, bool headless, struct error *err)
{
	_cleanup_free_ char *tmux = headless ? NULL : proc_find_program("tmux", NULL);

	if (headless || tmux)
		return 0;
	return error_set(err, ERROR_EXTERNAL,
	                 "%s: tmux is not installed (install it, or --headless for teammates "
	                 "without panes)",
	                 cli->command->name);
}

/* PATH as that agent will have it: its own env:, the plan's, ours. Borrowed; NULL: ours. */
static const char *path_of(const char *agent, const json_t *profile, const json_t *secrets)
{
	const json_t *maps[] = {json_object_get(json_sub(secrets, "agents"), agent),
	                        json_sub(profile, "env"), json_sub(secrets, "plan")};

	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		if (json_text(maps[i], "PATH"))
			return json_text(maps[i], "PATH");
	return NULL;
}

static bool program_is_there(const char *program, const char *path)
{
	_cleanup_free_ char *found = NULL;

	/* A relative path starts in a slot that is not there yet; {…} is known later. */
	if (strchr(program, '{') || (strchr(program, '/') && program[0] != '/'))
		return true;
	found = proc_find_program(program, path);
	return found != NULL;
}

int team_check_agents(const struct cli *cli, const json_t *agents, const json_t *used,
                      const json_t *secrets, struct error *err)
{
	_cleanup_buf_ struct buf missing = BUF_INIT;
	const char *name;
	json_t *profile;
	int count = 0;

	json_object_foreach ((json_t *)agents, name, profile) {
		const char *program = json_text(profile, "program");

		if (used && !json_object_get(used, name))
			continue;
		if (!program || program_is_there(program, path_of(name, profile, secrets)))
			continue;
		_cleanup_free_ char *agent = text_safe(name, 64), *shown = text_safe(program, 100);
		if (++count <= MISSING_TOLD)
			buf_printf(&missing, "%sagent \"%s\": program \"%s\" not found",
			           count > 1 ? "; " : "", agent, shown);
	}
	if (!count)
		return 0;
	if (count > MISSING_TOLD)
		buf_printf(&missing, "; and %d more", count - MISSING_TOLD);
	return error_set(err, ERROR_EXTERNAL, "%s: %s (install %s or choose %s)",
	                 cli->command->name, missing.data, count > 1 ? "them" : "it",
	                 count > 1 ? "other agents" : "another agent");
}

/* Ours, whole. JSON holds no bytes that are not UTF-8: such variables are left out. */
json_t *team_environment(const struct cli *cli)
{
	json_t *all = json_object();

	for (char **at = environ; *at; at++) {
		const char *equals = strchr(*at, '=');

		if (!equals || equals == *at)
			continue;
		_cleanup_free_ char *name = xstrndup(*at, (size_t)(equals - *at));
		json_t *value = json_string(equals + 1);
		if (!value || json_object_set_new(all, name, value) < 0)
			report_note(cli,
			            "the environment variable %s is not UTF-8: agents will not "
			            "have it",
			            name);
	}
	return all;
}

int team_start(struct cli *cli, const struct team_start *start, json_t **result, struct error *err)
{
	json_t *params = json_pack(
	    "{s:b, s:o, s:o}", "headless", start->headless, "environment", team_environment(cli),
	    "profiles", start->profiles ? json_incref((json_t *)start->profiles) : json_object());

	if (json_is_object(start->keys))
		json_object_set(params, "keys", (json_t *)start->keys);
	if (json_object_size(start->budget_day))
		json_object_set(params, "budget_day", (json_t *)start->budget_day);
	if (start->accept)
		json_object_set_new(params, "accept", json_true());
	if (start->size > 0)
		json_object_set_new(params, "size", json_integer(start->size));
	if (start->teammates && json_array_size(start->teammates))
		json_object_set(params, "teammates", (json_t *)start->teammates);
	return cli_ask(cli, "team.up", params, true, result, err);
}

long team_default_size(const json_t *tasks)
{
	long ready = 0, moving = 0;
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task) {
		if (task_is_choice(task))
			continue;
		ready += json_flag(task, "ready");
		moving += task_is(task, "in_progress") ||
		          (task_is(task, "pending") && !task_is_stuck(task));
	}
	if (ready > RUN_TEAM_MAX)
		return RUN_TEAM_MAX;
	return ready ? ready : moving ? 1 : 0;
}
