/* prove: the user's verify on a merged commit, in an integration slot. Moves nothing. */
#include <stdlib.h>
#include <string.h>

#include "integrate.h"
#include "jsonl.h"
#include "mem.h"
#include "refs.h"
#include "verb.h"
#include "verify.h"

struct proof {
	const json_t *request;
	const char *commit, *base;
	char made[HEX_SIZE];             /* the commit as hooks made it anew */
	struct integration *integration; /* opened for the first one that has to run */
	json_t *done;                    /* the VERIFYs that have passed, each with its "env" */
	json_t *verify;
	char *tail;
};

/* What an item runs, and with what. New reference. */
static json_t *run_of(const json_t *item)
{
	return json_pack("[O, O?]", json_sub(item, "verify"), json_object_get(item, "env"));
}

static bool is_done(const struct proof *proof, const json_t *item)
{
	_cleanup_json_ json_t *run = run_of(item);
	json_t *other;
	size_t i;

	json_array_foreach (proof->done, i, other)
		if (json_equal(other, run))
			return true;
	return false;
}

static void take_result(struct proof *proof, const struct integration_result *result)
{
	json_decref(proof->verify);
	proof->verify = json_pack("{s:o, s:i, s:f}", "command", verb_text(result->command),
	                          "exit_code", result->exit_code, "seconds", result->seconds);
	free(result->command);
	free(proof->tail);
	proof->tail = result->tail;
}

/* 0 passed or nothing to run, 1 failed, -1. */
static int prove_item(struct proof *proof, const json_t *item, const char *tree, struct error *err)
{
	const char *known = json_text(item, "verified_tree");
	json_t *verify = json_sub(item, "verify");
	struct integration_result result = {.tail = NULL};

	/* Proven already, as the head of its own task. */
	if (!verify || is_done(proof, item) || (known && strcmp(known, tree) == 0))
		return 0;
	if (!proof->integration &&
	    integration_open(proof->request, proof->commit, &proof->integration, err) < 0)
		return -1;
	if (integration_verify(proof->integration, item, verify, proof->base, proof->commit,
	                       &result, err) < 0)
		return -1;
	json_array_append_new(proof->done, run_of(item));
	take_result(proof, &result);
	return result.exit_code != 0;
}

/* What the user's hooks make of the commit is what is proven and lands. 0, 1 refused, -1. */
static int run_hooks(struct proof *proof, struct error *err)
{
	const json_t *item = json_array_get(json_sub(proof->request, "items"), 0);
	struct integration_result result = {.tail = NULL};
	int rc;

	if (!json_flag(proof->request, "hooks"))
		return 0;
	if (integration_open(proof->request, proof->commit, &proof->integration, err) < 0)
		return -1;
	rc = integration_hooks(proof->integration, item, proof->base, proof->commit, proof->made,
	                       &result, err);
	if (rc == 1)
		take_result(proof, &result);
	if (rc == 0)
		proof->commit = proof->made;
	return rc;
}

static int prove(struct proof *proof, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	json_t *item;
	char tree[HEX_SIZE];
	size_t i;
	int rc = run_hooks(proof, err);

	if (rc < 0 || verb_open_repo(proof->request, &repo, err) < 0 ||
	    commit_tree(&repo, proof->commit, tree, err) < 0)
		return -1;
	json_array_foreach (json_sub(proof->request, "items"), i, item)
		if (rc == 0)
			rc = prove_item(proof, item, tree, err);
	if (rc < 0)
		return -1;
	*answer =
	    json_pack("{s:b, s:s, s:O?, s:o}", "passed", rc == 0, "commit", proof->commit, "verify",
	              proof->verify, "tail", proof->tail ? verb_text(proof->tail) : json_null());
	return 0;
}

int verb_prove(const json_t *request, json_t **answer, struct error *err)
{
	struct proof proof = {.request = request};
	int rc;

	verify_heed_term();
	proof.commit = verb_id(request, "commit", err);
	proof.base = verb_id(request, "base", err);
	if (!proof.commit || !proof.base)
		return -1;
	proof.done = json_array();
	rc = prove(&proof, answer, err);
	integration_close(proof.integration);
	json_decref(proof.done);
	json_decref(proof.verify);
	free(proof.tail);
	return rc;
}

/* What gpg and ssh need of the user's own environment, and no more. */
static char **signing_environment(const json_t *env)
{
	static const char *const names[] = {"GNUPGHOME", "SSH_AUTH_SOCK", "GPG_AGENT_INFO",
	                                    "GPG_TTY"};
	char **set = xcalloc(1, sizeof *set);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = json_text(env, names[i]);

		if (!value)
			continue;
		strv_push(&set, xstrdup(names[i]));
		strv_push(&set, xstrdup(value));
	}
	return set;
}

int verb_commit(const struct repo *repo, const json_t *request, const char *tree,
                const char *const *parents, const char *message, char hex[HEX_SIZE],
                struct error *err)
{
	_cleanup_strv_ char **set = NULL, **args = NULL;
	struct git_run run = {.in = message, .in_len = strlen(message)};

	if (!json_flag(request, "sign"))
		return commit_make(repo, tree, parents, message, -1, hex, err);
	set = signing_environment(json_sub(request, "env"));
	run.set = (const char *const *)set;
	strv_push(&args, xstrdup("commit-tree"));
	strv_push(&args, xstrdup("-S"));
	for (size_t i = 0; parents[i]; i++) {
		strv_push(&args, xstrdup("-p"));
		strv_push(&args, xstrdup(parents[i]));
	}
	strv_push(&args, xstrdup(tree));
	if (git_run_id(repo, &run, (const char *const *)args, hex, err) < 0)
		return error_wrap(err, "cannot sign");
	return 0;
}
