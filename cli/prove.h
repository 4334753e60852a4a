/* Commits that no task made, verified side by side in worktrees of their own, which are removed
 * afterwards whatever happened. */
#ifndef PLEACH_CLI_PROVE_H
#define PLEACH_CLI_PROVE_H

#include "command.h"

#define PROVE_PARALLEL_MAX 16

struct prove_job {
	const json_t
	    *common; /* of each request: "items" (the one VERIFY, setup, copy, link), "env" */
	const json_t *items; /* [{"name","commit","base"}] */
	long parallel;       /* at most so many at once, 1 to PROVE_PARALLEL_MAX */
	const char *slots;   /* the folder of the worktrees */
	const char *logs;    /* a folder of ours: N.log of each item */
};

/* `*results`: of each item {"exit_code","seconds","command","tail","log"}, or {"error":TEXT} where
 * it could not be tried. New reference. 0; -1; or 128 + n after a signal, with everything ended and
 * removed, and no results. */
int prove_all(struct cli *cli, const struct prove_job *job, json_t **results, struct error *err);

#endif
