/* What a plan measures of its results, and how it chooses between them. */
#include <string.h>

#include "plan_internal.h"
#include "text.h"

static const char *const choose_words[] = {"manual", "first", "best", NULL};
static const char *const order_words[] = {"min", "max", NULL};

/* A command alone, or {command, timeout}. */
static int read_measure(struct plan_reader *r, const struct yaml_node *n, const char *name,
                        json_t **out)
{
	static const char *const known[] = {"command", "timeout", NULL};
	const struct yaml_node *command = n->type == YAML_MAP ? yaml_get(n, "command") : n;
	const struct yaml_node *timeout = n->type == YAML_MAP ? yaml_get(n, "timeout") : NULL;
	_cleanup_json_ json_t *text = NULL, *limit = json_null();

	if (n->type == YAML_MAP && plan_check_keys(r, n, known, "a measure"))
		return -1;
	if (!command)
		return plan_fail(r, n, "measure %s has no command", name);
	if (plan_value_command(r, command, "measure", &text) ||
	    (timeout && plan_value_duration(r, timeout, "timeout", &limit)))
		return -1;
	*out = json_pack("{s:O,s:O}", "command", text, "timeout", limit);
	return 0;
}

int plan_value_measure(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_t **out)
{
	_cleanup_json_ json_t *measures = json_object();

	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (n->type != YAML_MAP)
		return plan_fail(r, n, "%s must be a mapping such as {bench: ./bench.sh}", what);
	if (n->count / 2 > PLAN_MEASURES_MAX)
		return plan_fail(r, n, "%s: more than %d", what, PLAN_MEASURES_MAX);
	for (size_t i = 0; i < n->count; i += 2) {
		const struct yaml_node *name = n->items[i];
		_cleanup_free_ char *shown = text_safe(name->text, PLAN_SHOWN);
		json_t *measure = NULL;

		if (!text_is_key(name->text))
			return plan_fail(r, name,
			                 "%s: %s: a name is a letter or _, then letters, digits, "
			                 "_ and -",
			                 what, shown);
		if (read_measure(r, n->items[i + 1], shown, &measure))
			return -1;
		json_object_set_new(measures, name->text, measure);
	}
	*out = json_incref(measures);
	return 0;
}

static int read_by(struct plan_reader *r, const struct yaml_node *by, const struct yaml_node *order,
                   json_t **out)
{
	_cleanup_json_ json_t *name = NULL, *word = json_string("min");

	if (plan_value_word(r, by, "by", &name))
		return -1;
	if (order) {
		json_decref(word);
		word = NULL;
		if (plan_value_choice(r, order, "order", order_words, &word))
			return -1;
	}
	*out = json_pack("{s:O,s:O}", "by", name, "order", word);
	return 0;
}

static int read_judge(struct plan_reader *r, const struct yaml_node *judge,
                      const struct yaml_node *timeout, json_t **out)
{
	_cleanup_json_ json_t *command = NULL, *limit = NULL;

	if (plan_value_command(r, judge, "judge", &command) ||
	    (timeout && plan_value_duration(r, timeout, "timeout", &limit)))
		return -1;
	*out = json_pack("{s:O}", "judge", command);
	if (json_is_number(limit))
		json_object_set(*out, "timeout", limit);
	return 0;
}

int plan_value_choose(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      json_t **out)
{
	static const char *const known[] = {"by", "order", "judge", "timeout", NULL};
	const struct yaml_node *by, *judge, *order, *timeout;

	if (n->type != YAML_MAP)
		return plan_value_choice(r, n, what, choose_words, out);
	if (plan_check_keys(r, n, known, "choose"))
		return -1;
	by = yaml_get(n, "by");
	judge = yaml_get(n, "judge");
	order = yaml_get(n, "order");
	timeout = yaml_get(n, "timeout");
	if (!by == !judge)
		return plan_fail(
		    r, n, "%s needs by: (a measure) or judge: (a command), one of them", what);
	if (by && timeout)
		return plan_fail(r, timeout, "timeout goes with judge:");
	if (judge && order)
		return plan_fail(r, order, "order goes with by:");
	return by ? read_by(r, by, order, out) : read_judge(r, judge, timeout, out);
}

int plan_choose_check(struct plan_reader *r, const struct yaml_node *n, const json_t *fields)
{
	const char *by = json_text(json_object_get(fields, "choose"), "by");
	json_t *measures = json_object_get(fields, "measure"), *measure;
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ char *shown = NULL;
	const char *name, *near;

	if (!by || json_object_get(measures, by))
		return 0;
	json_object_foreach (measures, name, measure)
		strv_push(&names, xstrdup(name));
	shown = text_safe(by, PLAN_SHOWN);
	near = names ? text_nearest(by, (const char *const *)names) : NULL;
	return plan_fail(r, n, "choose by %s, which is not measured (%s%s)", shown,
	                 near ? "did you mean " : "measure: {NAME: COMMAND}", near ? near : "");
}
