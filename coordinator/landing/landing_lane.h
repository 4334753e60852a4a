/* The lane of one target, as its own files share it: the chain of what is merged, the proofs
 * that run. Only landing_chain.c, landing_lane.c and landing_proof.c include this. */
#ifndef PLEACH_LANDING_LANE_H
#define PLEACH_LANDING_LANE_H

#include "landing.h"

enum step_state { STEP_NEW, STEP_PROVING, STEP_PASSED, STEP_FAILED };

/* One proof: one task, or several of a batch; or, with nothing merged, what weave said of a
 * task that cannot land, told when all before it has been settled. */
struct step {
	json_t *items; /* steps of `pleach-git weave` */
	bool merges;
	char *before, *commit;
	enum step_state state;
	int tries; /* proofs that told nothing of the merge */
	char *why; /* of the last, where it is this merge's own fault; NULL: it is not */
	struct proof *proof;
	json_t *result; /* of `pleach-git prove` */
	struct step *next;
};

struct proof {
	struct coordinator *c;
	struct lane *lane;
	struct step *step; /* NULL: nobody wants to know any more */
	unsigned slot;
	char *dir;   /* of that slot */
	bool blames; /* the merge itself, that it told nothing */
};

struct lane {
	struct coordinator *c;
	char *target;
	struct step *chain;
	size_t proofs; /* that run, wanted or not */
	bool weaving, moving;
	bool busy, again; /* it is being advanced; and should be once more */
	bool stale;       /* what is being woven is for a chain that is gone */
	size_t batch;     /* after a batch failed: how many at once; 0: as the plan says */
	size_t doubted;   /* tasks of that batch that have not been settled */
	bool held;        /* nothing more is begun; hold_* tries again */
	int tries;
	int64_t row; /* the open landing */
	struct lane *next;
};

/* Does what can be done now. The lane may be gone afterwards. */
void lane_advance(struct lane *lane);
/* Nothing of its queue lands: a target that is not there or in a rebase, git or the disk. What
 * may pass is waited out. */
void lane_fail(struct lane *lane, const struct error *why);
/* As lane_fail: it could not be stored. */
void lane_fail_stored(struct lane *lane, struct error *why);
/* A number of the plan of the first that waits. */
size_t lane_limit(struct lane *lane, const char *key, size_t otherwise, size_t most);

bool lane_flag(struct lane *lane, const char *key);

/* ---- landing_chain.c ---- */
/* Frees the steps from there on; their proofs are told to end. */
void chain_cut(struct lane *lane, struct step **from);
void chain_pop(struct lane *lane);
struct step *chain_find(const struct lane *lane, int64_t task);
/* Asks git to merge more of the queue onto the end of the chain, when there is room. */
void chain_grow(struct lane *lane);

/* ---- landing_proof.c ---- */
/* Starts as many proofs as may run, the first of the chain first. */
void proofs_start(struct lane *lane);

#endif
