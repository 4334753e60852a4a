/* The integration slot: where merged commits are verified before anything moves.
 * Private to git/. */
#ifndef PLEACH_GIT_INTEGRATE_H
#define PLEACH_GIT_INTEGRATE_H

#include <jansson.h>

#include "error.h"

struct integration;

struct integration_result {
	char *command; /* caller frees */
	char *tail;    /* caller frees */
	int exit_code;
	double seconds;
};

/* Opens the slot that a `prepare` request names ("slot"). Errors: as slot_open. */
int integration_open(const json_t *request, const char *base, struct integration **out,
                     struct error *err);
void integration_close(struct integration *integration); /* NULL is accepted */
/* Runs a VERIFY on `commit`, protected paths as in `base`. "setup" (once in a new slot), "copy"
 * and "link" are the item's, else the request's; "env" both's, "log" the request's.
 * Errors: NEEDS_PERSON when setup fails. */
int integration_verify(struct integration *integration, const json_t *item, const json_t *verify,
                       const char *base, const char *commit, struct integration_result *out,
                       struct error *err);

/* Runs the user's commit hooks on a commit that was made on `base` for an item ("text","head",
 * "squash"). 0 with the commit, which may be another one (hex); 1 when a hook refused: out says
 * which; -1. Errors: CONFLICT (a hook's file has changed), EXTERNAL. */
int integration_hooks(struct integration *integration, const json_t *item, const char *base,
                      const char *commit, char hex[65], struct integration_result *out,
                      struct error *err);

#endif
