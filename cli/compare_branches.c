/* Comparing any revisions: each from where it left the target, in the same table and by the same
 * ranking as alternatives. Nothing of it is stored. */
#include "compare_branches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "prove.h"
#include "ranking.h"
#include "team_start.h"
#include "text.h"

#define ROWS_MAX 64

struct branches {
	struct cli *cli;
	json_t *names;    /* [TEXT] */
	json_t *commits;  /* [HEX] */
	json_t *defaults; /* of pleach.yaml; NULL: none were read */
	json_t *secrets;
	char *target, *target_commit, *base;
	json_t *found; /* of pleach-git compare */
};

static void branches_finish(struct branches *b)
{
	json_decref(b->names);
	json_decref(b->commits);
	json_decref(b->defaults);
	json_decref(b->secrets);
	json_decref(b->found);
	free(b->target);
	free(b->target_commit);
	free(b->base);
}
#define _cleanup_branches_ __attribute__((cleanup(branches_finish)))

static int read_names(struct branches *b, struct error *err)
{
	size_t n = b->cli->options.arg_count;

	if (n > ROWS_MAX)
		return error_set(err, ERROR_INVALID, "compare: at most %d branches", ROWS_MAX);
	b->names = json_array();
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(b->names, json_string(b->cli->options.args[i])) < 0)
			return error_set(err, ERROR_NOT_FOUND, "compare: a name is not UTF-8");
	return 0;
}

static int read_defaults(struct branches *b, struct error *err)
{
	_cleanup_json_ json_t *warnings = NULL;
	struct plan_context context;

	if (team_plan_context(b->cli, &context, err) < 0)
		return -1;
	return plan_defaults_read(&context, &b->defaults, &b->secrets, &warnings, err);
}

/* No revision: a task, then its result. */
static int task_commit(struct branches *b, const char *name, char **out, struct error *err)
{
	_cleanup_json_ json_t *found = NULL;
	struct error why = ERROR_INIT;

	if (cli_ask(b->cli, "task.locate", json_pack("{s:s}", "task", name), true, &found, &why) <
	    0) {
		_cleanup_free_ char *shown = text_safe(name, 80);

		if (why.code == ERROR_NOT_FOUND)
			return error_set(err, ERROR_NOT_FOUND,
			                 "compare: %s is no branch and no task", shown);
		*err = why;
		return -1;
	}
	if (!json_text(found, "head"))
		return error_set(err, ERROR_NOT_FOUND, "compare: %s has no result yet", name);
	*out = xstrdup(json_text(found, "head"));
	return 0;
}

static int resolve(struct branches *b, struct error *err)
{
	const char *target = json_text(b->defaults, "target");
	const char *base = options_text(&b->cli->options, "base");
	_cleanup_json_ json_t *answer = NULL, *revs = json_copy(b->names);
	const json_t *commits, *found;
	size_t n = json_array_size(b->names);

	json_array_append_new(revs, json_text_or_null(base)); /* without one: HEAD */
	if (cli_git(b->cli, "resolve",
	            json_pack("{s:O, s:o}", "revs", revs, "branches",
	                      target ? json_pack("[s]", target) : json_array()),
	            &answer, err) < 0)
		return -1;
	commits = json_sub(answer, "commits");
	found = json_array_get(commits, n);
	if (base && !json_text(found, "commit"))
		return error_set(err, ERROR_INVALID, "--base: %s is no commit", base);
	b->base = base ? xstrdup(json_text(found, "commit")) : NULL;
	b->target = xstrdup(target ? target : json_text(answer, "head_branch"));
	b->target_commit =
	    xstrdup(target ? json_text(json_array_get(json_sub(answer, "branches"), 0), "commit")
	                   : json_text(answer, "head"));
	b->commits = json_array();
	for (size_t i = 0; i < n; i++) {
		const char *commit = json_text(json_array_get(commits, i), "commit");
		_cleanup_free_ char *of_task = NULL;

		if (!commit && task_commit(b, json_string_value(json_array_get(b->names, i)),
		                           &of_task, err) < 0)
			return -1;
		json_array_append_new(b->commits, json_text_or_null(commit ? commit : of_task));
	}
	return 0;
}

static const json_t *protected_paths(const struct branches *b)
{
	return json_sub(json_sub(json_sub(b->defaults, "spec"), "verify"), "protect");
}

static int ask_git(struct branches *b, struct error *err)
{
	json_t *items = json_array();

	for (size_t i = 0; i < json_array_size(b->commits); i++)
		json_array_append_new(items,
		                      json_pack("{s:i, s:s?, s:O}", "id", (int)i + 1, "base",
		                                b->base, "head", json_array_get(b->commits, i)));
	return cli_git(b->cli, "compare",
	               json_pack("{s:s?, s:O?, s:o}", "target", b->target_commit, "protect",
	                         protected_paths(b), "items", items),
	               &b->found, err);
}

/* ---- proofs ---- */

/* The first row that verify would see the same of: the tree, and where paths are protected, the
 * base that they are put back to. */
static size_t first_alike(const struct branches *b, const json_t *rows, const json_t *row)
{
	bool bases = json_array_size(protected_paths(b)) > 0;
	size_t i;
	json_t *other;

	json_array_foreach (rows, i, other)
		if (json_equal(json_object_get(other, "tree"), json_object_get(row, "tree")) &&
		    (!bases ||
		     json_equal(json_object_get(other, "base"), json_object_get(row, "base"))))
			return i;
	return i;
}

static json_t *common_request(const struct branches *b, const char *command)
{
	static const char *const keys[] = {"setup", "copy", "link"};
	const json_t *spec = json_sub(b->defaults, "spec"), *of_plan = json_sub(spec, "verify");
	json_t *verify = of_plan ? json_deep_copy(of_plan) : json_object();
	json_t *item = json_pack("{s:o}", "verify", verify);

	json_object_set_new(verify, "command", json_text_or_null(command));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		json_object_set(item, keys[i], json_object_get(spec, keys[i]));
	return json_pack("{s:[o], s:O?}", "items", item, "env",
	                 json_object_get(b->secrets, "plan"));
}

static char *make_logs(struct branches *b, struct error *err)
{
	char *logs;

	if (cli_connect(b->cli, err) < 0) /* whoever starts it gives the repository its places */
		return NULL;
	if (!b->cli->place.state_dir) {
		error_set(err, ERROR_EXTERNAL, "compare: the repository has no state directory");
		return NULL;
	}
	logs = xasprintf("%s/compare", b->cli->place.state_dir);
	if (place_make_private_dir(logs, err) == 0)
		return logs;
	free(logs);
	return NULL;
}

/* Each tree once: [{"verify"} or {"error"}] of each row. */
static int prove(struct branches *b, const char *command, json_t **out, struct error *err)
{
	_cleanup_json_ json_t *common = common_request(b, command), *items = json_array();
	_cleanup_json_ json_t *results = NULL, *places = json_array();
	_cleanup_free_ char *slots = NULL, *logs = make_logs(b, err);
	const json_t *rows = json_sub(b->found, "items");
	struct prove_job job = {.common = common, .items = items, .logs = logs};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	json_t *row;
	size_t i;
	int rc;

	if (!logs || options_number(&b->cli->options, "jobs", 1, cpus < 4 ? cpus : 4, &job.parallel,
	                            err) < 0)
		return -1;
	json_array_foreach (rows, i, row) {
		size_t first = first_alike(b, rows, row);

		if (first != i) {
			json_array_append(places, json_array_get(places, first));
			continue;
		}
		json_array_append_new(places, json_integer((json_int_t)json_array_size(items)));
		json_array_append_new(items, json_pack("{s:O, s:O, s:O}", "name",
		                                       json_array_get(b->names, i), "commit",
		                                       json_array_get(b->commits, i), "base",
		                                       json_object_get(row, "base")));
	}
	if (job.parallel > (long)json_array_size(items))
		job.parallel = (long)json_array_size(items);
	if (job.parallel > PROVE_PARALLEL_MAX)
		job.parallel = PROVE_PARALLEL_MAX;
	slots = place_slots_dir(&b->cli->place);
	job.slots = slots;
	rc = prove_all(b->cli, &job, &results, err);
	if (rc)
		return rc;
	*out = json_array();
	json_array_foreach (places, i, row)
		json_array_append(*out, json_array_get(results, (size_t)json_integer_value(row)));
	return 0;
}

/* ---- the comparison ---- */

static void set_proof(json_t *row, const json_t *proof, const char *head)
{
	const char *problem = json_text(proof, "error");
	int64_t code = json_int(proof, "exit_code", -1);

	json_object_set_new(row, "status",
	                    json_string(proof && (problem || code) ? "failed" : "completed"));
	json_object_set_new(row, "verify", json_null());
	json_object_set_new(row, "verify_exit_code", json_null());
	json_object_set_new(row, "error", json_null());
	if (!proof)
		return;
	if (problem) {
		json_object_set_new(
		    row, "error", json_pack("{s:s, s:s}", "code", "internal", "message", problem));
		return;
	}
	json_object_set_new(
	    row, "verify",
	    json_pack("{s:O?, s:I, s:O?, s:s?, s:O?, s:O?}", "command",
	              json_object_get(proof, "command"), "exit_code", (json_int_t)code, "seconds",
	              json_object_get(proof, "seconds"), "head", head, "tree",
	              json_object_get(row, "tree"), "log", json_object_get(proof, "log")));
	json_object_set(row, "verify_exit_code", json_object_get(proof, "exit_code"));
	json_object_set(row, "seconds", json_object_get(proof, "seconds"));
	if (code)
		json_object_set_new(row, "error",
		                    json_pack("{s:s, s:O?}", "code", "verify_failed", "message",
		                              json_object_get(proof, "tail")));
}

static json_t *row_json(const struct branches *b, size_t i, const json_t *proofs)
{
	static const char *const none[] = {"agent", "model", "seconds", "usage", "measures"};
	json_t *row = json_deep_copy(json_array_get(json_sub(b->found, "items"), i));
	const char *head = json_string_value(json_array_get(b->commits, i));

	json_object_set(row, "key", json_array_get(b->names, i));
	json_object_set(row, "branch", json_array_get(b->names, i));
	json_object_set_new(row, "head", json_text_or_null(head));
	json_object_set_new(row, "chosen", json_false());
	for (size_t k = 0; k < ARRAY_LEN(none); k++)
		json_object_set_new(row, none[k], json_null());
	set_proof(row, proofs ? json_array_get(proofs, i) : NULL, head);
	return row;
}

/* The base that all of them have, or nothing. */
static const char *common_base(const json_t *rows)
{
	const char *base = json_text(json_array_get(rows, 0), "base");
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (!base || strcmp(base, json_text(row, "base")) != 0)
			return NULL;
	return base;
}

int compare_branches(struct cli *cli, json_t **out, struct error *err)
{
	const char *verify = options_text(&cli->options, "verify");
	_cleanup_branches_ struct branches b = {.cli = cli};
	_cleanup_json_ json_t *proofs = NULL, *rule = json_string("best");
	json_t *rows;
	int rc;

	if (verify && !text_is_utf8(verify, strlen(verify)))
		return error_set(err, ERROR_INVALID, "--verify is not UTF-8 text");
	if (cli_place(cli, err) < 0 || read_names(&b, err) < 0 || read_defaults(&b, err) < 0 ||
	    resolve(&b, err) < 0 || ask_git(&b, err) < 0)
		return -1;
	if (verify && strcmp(verify, "none") != 0) {
		rc = prove(&b, verify, &proofs, err);
		if (rc)
			return rc;
	}
	rows = json_array();
	for (size_t i = 0; i < json_array_size(b.names); i++)
		json_array_append_new(rows, row_json(&b, i, proofs));
	ranking_apply(rows, rule, NULL);
	*out = json_pack("{s:b, s:n, s:n, s:n, s:s?, s:s?, s:s?, s:s?, s:O, s:n, s:o, s:O?}",
	                 "branches", 1, "task", "key", "subject", "base", common_base(rows),
	                 "target", b.target, "target_commit", b.target_commit, "verify", verify,
	                 "choose", rule, "judge", "alternatives", rows, "overlaps",
	                 json_object_get(b.found, "overlaps"));
	return 0;
}

static const json_t *name_of(const json_t *rows, const json_t *id)
{
	return json_object_get(json_array_get(rows, (size_t)json_integer_value(id) - 1), "key");
}

void compare_branches_named(json_t *comparison)
{
	static const char *const sides[] = {"a", "b"};
	json_t *rows = json_object_get(comparison, "alternatives"), *row, *overlap, *id;
	size_t i, j;

	json_array_foreach (json_object_get(comparison, "overlaps"), i, overlap)
		for (j = 0; j < ARRAY_LEN(sides); j++)
			json_object_set(
			    overlap, sides[j],
			    (json_t *)name_of(rows, json_object_get(overlap, sides[j])));
	json_array_foreach (rows, i, row) {
		json_t *same = json_array();

		json_array_foreach (json_object_get(row, "same_as"), j, id)
			json_array_append(same, (json_t *)name_of(rows, id));
		json_object_set_new(row, "same_as", same);
		json_object_set_new(row, "id", json_null());
	}
}
