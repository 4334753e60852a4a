/* The order of alternatives, and the reason that stands beside each. */
#include "ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"

json_t *ranking_rule(const char *choose)
{
	json_t *rule =
	    choose && choose[0] == '{' ? jsonl_parse(choose, strlen(choose), NULL) : NULL;

	return rule ? rule : json_string(choose ? choose : "manual");
}

bool ranking_is(const json_t *rule, const char *word)
{
	return json_is_string(rule) && strcmp(json_string_value(rule), word) == 0;
}

const json_t *ranking_judge(const json_t *rule)
{
	return json_object_get(rule, "judge");
}

/* What decides about one row; less is better, field by field. */
struct score {
	bool counts;
	bool unproven;
	size_t verdict; /* its place in the judge's order */
	bool unmeasured;
	double measure;
	int64_t lines;
	size_t at;
};

static size_t place_of(const json_t *verdict, json_int_t id, const char **reason)
{
	const json_t *order = json_object_get(verdict, "order");
	json_t *item;
	size_t i;

	json_array_foreach (order, i, item)
		if (json_int(item, "id", 0) == id) {
			*reason = json_text(item, "reason");
			return i;
		}
	return json_array_size(order);
}

static const json_t *measured(const json_t *row, const char *name)
{
	const json_t *value =
	    json_object_get(json_object_get(json_object_get(row, "measures"), name), "value");

	return json_is_number(value) ? value : NULL;
}

static struct score score_of(const json_t *row, size_t at, const json_t *rule,
                             const json_t *verdict)
{
	const char *status = json_text(row, "status"), *by = json_text(rule, "by");
	const char *order = json_text(rule, "order"), *reason = NULL;
	const json_t *value = by ? measured(row, by) : NULL;
	struct score score = {
	    .counts = status && strcmp(status, "completed") == 0,
	    .unproven = !json_is_integer(json_object_get(row, "verify_exit_code")),
	    .verdict = place_of(verdict, json_int(row, "id", 0), &reason),
	    .unmeasured = by && !value,
	    .measure = value ? json_number_value(value) : 0,
	    .lines = json_int(row, "insertions", 0) + json_int(row, "deletions", 0),
	    .at = at,
	};

	if (order && strcmp(order, "max") == 0)
		score.measure = -score.measure;
	return score;
}

static bool is_better(const struct score *a, const struct score *b)
{
	if (a->verdict != b->verdict)
		return a->verdict < b->verdict;
	if (a->unproven != b->unproven)
		return b->unproven;
	if (a->unmeasured != b->unmeasured)
		return b->unmeasured;
	if (a->measure < b->measure || a->measure > b->measure)
		return a->measure < b->measure;
	if (a->lines != b->lines)
		return a->lines < b->lines;
	return a->at < b->at;
}

static json_t *why(const json_t *row, const struct score *score, const json_t *rule,
                   const json_t *verdict)
{
	const char *code = json_text(json_object_get(row, "error"), "code");
	const char *by = json_text(rule, "by"), *reason = NULL;
	const char *proof = score->unproven ? "not verified" : "passed";

	if (!score->counts)
		return json_text_or_null(code ? code : json_text(row, "status"));
	place_of(verdict, json_int(row, "id", 0), &reason);
	if (reason)
		return json_sprintf("judge: %s", reason);
	if (by && score->unmeasured)
		return json_sprintf("%s, no %s", proof, by);
	if (by)
		return json_sprintf("%s, %s %.6g", proof, by, json_number_value(measured(row, by)));
	return json_sprintf("%s, %lld changed line%s", proof, (long long)score->lines,
	                    score->lines == 1 ? "" : "s");
}

void ranking_apply(json_t *rows, const json_t *rule, const json_t *verdict)
{
	size_t n = json_array_size(rows);
	_cleanup_free_ struct score *scores = xcalloc(n, sizeof *scores);

	for (size_t i = 0; i < n; i++)
		scores[i] = score_of(json_array_get(rows, i), i, rule, verdict);
	for (size_t i = 0; i < n; i++) {
		json_t *row = json_array_get(rows, i);
		json_int_t rank = 1;

		for (size_t j = 0; j < n; j++)
			rank += scores[j].counts && is_better(&scores[j], &scores[i]);
		json_object_set_new(row, "rank",
		                    scores[i].counts ? json_integer(rank) : json_null());
		json_object_set_new(row, "why", why(row, &scores[i], rule, verdict));
	}
}

json_int_t ranking_best(const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (json_int(row, "rank", 0) == 1)
			return json_int(row, "id", 0);
	return 0;
}
