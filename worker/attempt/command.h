/* One command of an attempt (setup, agent or verify) from its start until it and everything
 * it left behind have ended: time limit, polite and forced end, survivors. */
#ifndef PLEACH_WORKER_COMMAND_H
#define PLEACH_WORKER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "error.h"

struct command;

struct command_end {
	int status; /* as of waitpid */
	bool timed_out;
	double seconds;
	double held; /* of these, its time limit stood still */
};

struct command_spec {
	const char *const *argv;
	const char *const *env;
	const char *cwd;
	const char *tty;    /* runs on this pseudo-terminal; NULL: its output comes by a pipe */
	bool tty_stdin;     /* its stdin is the terminal too; else stdin_fd */
	int stdin_fd;       /* -1: /dev/null */
	int stdout_fd;      /* with a tty, instead of it; -1: the tty */
	double timeout;     /* seconds of awake time; 0: none */
	double grace;       /* seconds between SIGTERM and SIGKILL when the time has passed */
	const char *marker; /* NAME=VALUE in the environment of everything that it starts */
	void (*on_data)(void *context, const char *data, size_t len); /* of the pipe */
	/* It has ended, nobody is left of it, and its pipe was read. The command is freed after. */
	void (*on_end)(void *context, const struct command_end *end);
	void *context;
};

/* Errors: NOT_FOUND (no such program), EXTERNAL. Freed by itself after on_end. */
int command_start(uv_loop_t *loop, const struct command_spec *spec, struct command **out,
                  struct error *err);
/* SIGTERM to its group, SIGKILL after `grace` seconds (0: at once). Again: the sooner wins. */
void command_stop(struct command *command, double grace);
/* Its time limit stands still until command_go_on, of each who held it; its processes are the
 * caller's business, also when it ends. */
void command_hold(struct command *command);
void command_go_on(struct command *command);
pid_t command_pid(const struct command *command);
/* Seconds since then (uv_hrtime), to the millisecond. */
double seconds_since(uint64_t started);

#endif
