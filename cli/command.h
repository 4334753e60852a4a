/* A command is a value in a table: its names, its options, and the function that does it.
 * `struct cli` is what every command is given: the command line, the place, the connection. */
#ifndef PLEACH_CLI_COMMAND_H
#define PLEACH_CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "options.h"
#include "place.h"
#include "rpc_client.h"

#define ARGS_ANY 1000000

struct cli;

struct command {
	const char *name;    /* one word, or two with a space */
	const char *aliases; /* other names, commas between; NULL: none */
	const char *usage;   /* its arguments, as help shows them */
	const char *summary; /* one line */
	const struct option *options;
	int least_args, most_args;
	enum option_kind args; /* for completion */
	bool takes_rest;       /* a command may follow "--" */
	bool hidden;           /* for our own scripts */
	/* Exit status, or -1 with err. */
	int (*exec)(struct cli *cli, struct error *err);
};

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct cli {
	const struct command *command; /* NULL: bare pleach */
	const char *group;             /* only the first of two words was given, and -h */
	struct options options;
	bool json, quiet, verbose, no_input;
	enum color color;
	bool colored;     /* stdout gets colours */
	bool on_terminal; /* stdout is a terminal that can move its cursor */
	const char *dir;  /* -C; NULL: the current directory */
	struct place place;
	bool has_place;
	bool in_slot; /* PLEACH_SOCKET is set: never start a coordinator */
	bool started; /* this command started the coordinator */
	char *socket; /* that we are connected to */
	struct rpc_client *client;
	struct rpc_call *first; /* while it is connected for that: goes with the hello */
};

/* Every command, in the order of the manual; each is in cmd_<name>.c. */
/* clang-format off */
#define COMMANDS(X)                                                                                \
	X(run) X(try) X(add) X(compare) X(diff) X(pick) X(merge) X(undo)                           \
	X(task_list) X(task_show) X(task_update) X(task_wait) X(task_stop) X(task_retry)           \
	X(answer) X(logs) X(attach) X(send) X(messages) X(open) X(path)                            \
	X(team_list) X(team_add) X(team_remove) X(team_pause) X(team_resume)                       \
	X(up) X(down) X(status) X(usage) X(done) X(ask) X(progress) X(hook)                                         \
	X(events) X(gc) X(agents) X(doctor) X(init) X(store_snapshot) X(help) X(version) X(completion) X(names)
/* clang-format on */
#define X(name) extern const struct command command_##name;
COMMANDS(X)
#undef X
extern const struct command command_home;      /* bare pleach */
extern const struct command *const commands[]; /* NULL-terminated (commands.c) */
extern const struct option global_options[];

/* The command of that name or alias ("task list", "ls"), or NULL. */
const struct command *command_find(const char *name);
/* True when the word is the first of two ("task"). */
bool command_is_group(const char *word);
bool command_is_in_group(const struct command *command, const char *word);
/* The nearest name or NULL. Borrowed. */
const char *command_nearest(const char *name);

/* help.c: text on stdout. */
void help_print(const struct command *command);
/* The commands that begin with that word ("task"). */
void help_print_group(const char *group);

#endif
