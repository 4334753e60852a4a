/* Starting the team: what `run`, `try`, `up` and `add -i` share. Checks first what can be
 * checked without changing anything. */
#ifndef PLEACH_CLI_TEAM_START_H
#define PLEACH_CLI_TEAM_START_H

#include "command.h"
#include "plan.h"

/* What the plan reader is to know. Borrows from cli. */
int team_plan_context(struct cli *cli, struct plan_context *out, struct error *err);

/* --team: not more than a team may have. Errors: INVALID. */
int team_check_size(long size, struct error *err);
/* EXTERNAL without tmux, unless headless. */
int team_check_tmux(const struct cli *cli, bool headless, struct error *err);
/* EXTERNAL when the program of one of these agents is not found. `agents`: {NAME:PROFILE};
 * `used`: {NAME:true}, NULL for all; `secrets`: as plan_read gives them, for PATH. */
int team_check_agents(const struct cli *cli, const json_t *agents, const json_t *used,
                      const json_t *secrets, struct error *err);

/* {NAME:VALUE} of our whole environment. New reference. */
json_t *team_environment(const struct cli *cli);

struct team_start {
	long size;                /* 0: the number of teammates named, or none */
	const json_t *teammates;  /* [{"name","agent"}] or NULL */
	const json_t *profiles;   /* {NAME:PROFILE} or NULL */
	const json_t *keys;       /* {ACTION:KEY} (keys.h) or NULL */
	const json_t *budget_day; /* {"usd","tokens"} or NULL */
	bool headless;
	bool accept; /* git's drivers as they are configured now are the user's */
};
/* Asks team.up with our whole environment. New reference: its result. */
int team_start(struct cli *cli, const struct team_start *start, json_t **result, struct error *err);
/* How many teammates the tasks are worth when nobody said: min(4, ready), 1 when something
 * can still move, 0 when nothing can. */
long team_default_size(const json_t *tasks);

#endif
