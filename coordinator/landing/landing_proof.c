/* Proofs of a lane: the user's verify on each merge of the chain, several at a time, each in an
 * integration slot of its own. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "landing_lane.h"
#include "log.h"
#include "mem.h"

#define PROOF_TRIES 3

static unsigned take_slot(struct coordinator *c)
{
	unsigned slot = 0;

	while (c->landings->slots & 1u << slot)
		slot++;
	c->landings->slots |= 1u << slot;
	return slot;
}

/* Caller frees. */
static char *slot_path(const struct coordinator *c, unsigned slot)
{
	_cleanup_free_ char *slots = team_slots_dir(c);

	return slot ? xasprintf("%s/integration-%u", slots, slot + 1)
	            : xasprintf("%s/integration", slots);
}

static bool slots_left(const struct coordinator *c)
{
	return c->landings->slots != (1u << LANDING_AHEAD_MAX) - 1;
}

json_t *proofs_slots(const struct coordinator *c)
{
	json_t *dirs = json_array();

	for (unsigned slot = 0; slot < LANDING_AHEAD_MAX; slot++) {
		_cleanup_free_ char *dir = slot_path(c, slot);

		if (access(dir, F_OK) == 0)
			json_array_append_new(dirs, json_text_or_null(dir));
	}
	return dirs;
}

void proofs_tidied(const json_t *result, const struct error *why)
{
	const json_t *problem;
	size_t i;

	if (!result)
		log_warn("landing", "after a proof that died: %s", why->text);
	json_array_foreach (json_sub(result, "problems"), i, problem)
		log_warn("landing", "after a proof that died: %s", json_string_value(problem));
}

/* Hooks may have made another commit of it: what was merged onto the first is merged anew. */
static void take_commit(struct lane *lane, struct step *step)
{
	const char *commit = json_text(step->result, "commit");

	if (!commit || strcmp(commit, step->commit) == 0)
		return;
	free(step->commit);
	step->commit = xstrdup(commit);
	json_object_set_new(json_array_get(step->items, 0), "commit", json_string(commit));
	chain_cut(lane, &step->next);
}

/* Somebody killed it, its setup failed, the disk is full: nothing is known of the merge. */
static bool is_proven_again(const struct coordinator *c, struct step *step, const struct error *why)
{
	return (why->code == ERROR_EXTERNAL || why->code == ERROR_NEEDS_PERSON) && !c->ending &&
	       ++step->tries < PROOF_TRIES;
}

/* Whatever is built on it fails, too. */
static void fail_step(struct lane *lane, struct step *step, const char *why)
{
	step->state = STEP_FAILED;
	step->why = xstrdup(why);
	chain_cut(lane, &step->next);
}

static void ended(struct coordinator *c, struct proof *proof, const json_t *result,
                  const struct error *why)
{
	struct lane *lane = proof->lane;
	struct step *step = proof->step;
	bool blames = proof->blames;

	c->landings->slots &= ~(1u << proof->slot);
	lane->proofs--;
	free(proof->dir);
	free(proof);
	if (step && !result && is_proven_again(c, step, why)) {
		log_warn("landing", "target=%s %s (again)", lane->target, why->text);
		step->proof = NULL;
		step->state = STEP_NEW;
	} else if (step) {
		step->proof = NULL;
		step->result = json_incref((json_t *)result);
		take_commit(lane, step);
		if (json_flag(result, "passed"))
			step->state = STEP_PASSED;
		else if (result || blames)
			fail_step(lane, step, result ? NULL : why->text);
		else
			lane_fail(lane, why);
	}
	lane_advance(lane);
}

struct died {
	struct proof *proof;
	struct error why;
};

static void tidied(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	struct died *died = context;

	proofs_tidied(result, why);
	ended(c, died->proof, NULL, &died->why);
	free(died);
}

/* What a proof that could not end left in its slot is put away first: it may be long until that
 * slot is used again. */
static void proved(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	struct proof *proof = context;
	struct died *died;

	proof->blames = !result && (gitq_was_killed(why) || why->code == ERROR_NEEDS_PERSON);
	if (result || gitq_is_unasked(why) || c->ending) {
		ended(c, proof, result, why);
		return;
	}
	died = xcalloc(1, sizeof *died);
	*died = (struct died){proof, *why};
	gitq_ask(c, "tidy", json_pack("{s:[o]}", "dirs", json_text_or_null(proof->dir)), tidied,
	         died);
}

/* How a task is proven, as its plan says, and what hooks are told of it. `env`: its own. New
 * reference. */
static json_t *proof_item(const json_t *step, const json_t *spec, const char *verified_tree,
                          json_t *env)
{
	static const char *const of_spec[] = {"verify", "setup", "setup_when", "copy", "link"};
	static const char *const of_step[] = {"text", "squash"};
	json_t *item = json_pack("{s:s?, s:O?, s:s?}", "verified_tree", verified_tree, "env", env,
	                         "head", landing_step_head(step));

	for (size_t i = 0; i < ARRAY_LEN(of_spec); i++)
		json_object_set(item, of_spec[i], json_object_get(spec, of_spec[i]));
	for (size_t i = 0; i < ARRAY_LEN(of_step); i++)
		json_object_set(item, of_step[i], json_object_get(step, of_step[i]));
	return item;
}

/* What the tasks of a step want run. New reference; NULL where none wants anything. */
static json_t *proof_items(struct coordinator *c, const struct step *step, bool hooks,
                           int64_t *plan)
{
	json_t *items = json_array(), *item;
	/* Of all of them together: proven already where it is the tree of a task's own head. */
	const char *tree =
	    json_text(json_array_get(step->items, json_array_size(step->items) - 1), "tree");
	bool any = false;
	size_t i;

	json_array_foreach (step->items, i, item) {
		int64_t id = json_int(item, "task", 0);
		_cleanup_json_ json_t *spec = store_task_spec(c->store, id), *env = NULL;
		_cleanup_task_ struct task_row task = {0}, chosen = {0};

		if (!store_task_get(c->store, id, &task))
			continue;
		if (task.chosen)
			store_task_get(c->store, task.chosen, &chosen);
		*plan = task.plan;
		any = any || (json_sub(spec, "verify") &&
		              !(task.tree && tree && strcmp(task.tree, tree) == 0));
		env = environment_of_work(c, chosen.key ? &chosen : &task);
		json_array_append_new(items, proof_item(item, spec, task.tree, env));
	}
	if (any || hooks)
		return items;
	json_decref(items);
	return NULL;
}

static void start_proof(struct lane *lane, struct step *step)
{
	struct coordinator *c = lane->c;
	struct plan_row plan = {0};
	struct proof *proof;
	int64_t plan_id = 0;
	bool hooks = lane_flag(lane, "hooks");
	json_t *items = proof_items(c, step, hooks, &plan_id);

	if (!items) { /* nothing has to prove it (any more) */
		step->state = STEP_PASSED;
		return;
	}
	proof = xcalloc(1, sizeof *proof);
	*proof = (struct proof){.c = c, .lane = lane, .step = step, .slot = take_slot(c)};
	step->proof = proof;
	step->state = STEP_PROVING;
	lane->proofs++;
	proof->dir = slot_path(c, proof->slot);
	store_plan_get(c->store, plan_id, &plan);
	gitq_ask(c, "prove",
	         json_pack("{s:s, s:s, s:o, s:b, s:b, s:o, s:o, s:o}", "commit", step->commit,
	                   "base", step->before, "items", items, "hooks", hooks, "sign",
	                   lane_flag(lane, "sign"), "slot", json_text_or_null(proof->dir), "env",
	                   environment_for(c, plan.name ? plan.name : "", ""), "log",
	                   json_sprintf("%s/landing.log", c->place.state_dir)),
	         proved, proof);
	plan_row_finish(&plan);
}

/* The next one that may be proven, as long as none before it has failed. */
static struct step *next_unproven(struct lane *lane)
{
	for (struct step *step = lane->chain; step && step->state != STEP_FAILED; step = step->next)
		if (step->merges && step->state == STEP_NEW)
			return step;
	return NULL;
}

void proofs_start(struct lane *lane)
{
	size_t ahead = lane_limit(lane, "ahead", LANDING_AHEAD, LANDING_AHEAD_MAX);
	struct step *step;

	while (lane->proofs < ahead && slots_left(lane->c) && (step = next_unproven(lane)))
		start_proof(lane, step);
}
