/* Running the user's own commands (setup, verify) in the integration slot, in a session of
 * their own, with a log, a time limit, and no survivors. Private to git/. */
#ifndef PLEACH_GIT_VERIFY_H
#define PLEACH_GIT_VERIFY_H

#include <jansson.h>

#include "buf.h"
#include "error.h"

#define VERIFY_TIMED_OUT 124

/* From now on SIGTERM ends the command that runs, or is about to: BUSY. */
void verify_heed_term(void);

struct verify_run {
	const json_t *command; /* a string for /bin/sh -c, or an array: argv */
	const char *dir;
	const json_t *env; /* {NAME:VALUE} laid over our own environment; may be NULL */
	const char *log;   /* appended to; may be NULL */
	double timeout_s;  /* 0: none */
};

struct verify_result {
	int exit_code; /* 128 + n after signal n, 124 after the time limit */
	double seconds;
	char *tail; /* the last of its output, safe to show; caller frees */
};

/* Errors: INVALID (no command), EXTERNAL (it cannot be started), BUSY (told to end). */
int verify_run(const struct verify_run *run, struct verify_result *out, struct error *err);
/* Our environment with `env` over it, without what would lead git elsewhere; `marker` (may be
 * NULL) is the value by which survivors are found. Caller frees. */
char **verify_environment(const json_t *env, const char *marker);
/* argv of a COMMAND. Caller frees with strv_free; NULL when it is none. */
char **verify_argv(const json_t *command);
/* The command as people know it. Caller frees. */
char *verify_command_text(const json_t *command);

#endif
