/* Following a run: what `run` and `try` do between the submit and the end, on a terminal, in a
 * pipe or as JSON; and what a signal means to them. */
#ifndef PLEACH_CLI_FOLLOW_H
#define PLEACH_CLI_FOLLOW_H

#include "command.h"

struct follow {
	const char *plan;     /* what it is called */
	const char *of;       /* the plan that its tasks belong to */
	const char *again;    /* what is typed to return, without "pleach " */
	const char *go_on;    /* what is typed after a signal stopped it; NULL: `again` */
	const char *base;     /* as the plan calls it, or NULL */
	json_t *ids;          /* [id] of every task of the run; borrowed */
	json_t *started;      /* [NAME] of the teammates that this run started, or NULL; borrowed */
	int64_t since;        /* seq that events are read from */
	double detach_after;  /* seconds; < 0: never */
	bool lands;           /* merge: auto: what has not landed has not ended well */
	bool signal_detaches; /* --on-signal detach, or a terminal */
};

/* Blocks the signals that a run answers; from here on they are read by follow_run. Returns a
 * descriptor that polls readable when one came. */
int follow_catch_signals(void);
/* Shows progress until every task is settled or stuck, the time passed or a signal came.
 * `*tasks` (new reference) are the tasks at the end, NULL when it detached. Returns the exit
 * status of the run, or -1. */
int follow_run(struct cli *cli, const struct follow *follow, int signals, json_t **tasks,
               struct error *err);
/* The options that every following command has, and reading them. */
#define FOLLOW_OPTIONS                                                                             \
	{.name = "detach", .help = "start it and return at once"},                                 \
	    {.name = "detach-after",                                                               \
	     .value = "DUR",                                                                       \
	     .help = "show progress that long, then let it go on alone"},                          \
	    {.name = "on-signal",                                                                  \
	     .value = "WHAT",                                                                      \
	     .help = "without a terminal: release (default) or detach",                            \
	     .kind = KIND_WORDS,                                                                   \
	     .words = "release detach"},                                                           \
	    {.name = "headless", .help = "teammates without tmux panes"},                          \
	{                                                                                          \
		.name = "team", .value = "N", .help = "that many teammates"                        \
	}
int follow_read_options(const struct cli *cli, struct follow *out, struct error *err);

#endif
