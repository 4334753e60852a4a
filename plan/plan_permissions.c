/* `permissions:` of a plan, of defaults and of a task: a word, or rules of what its agent may do
 * (worker/agent/permissions.h says what they mean). Rules of a task are added to those of its plan:
 * none of them takes a refusal back. */
#include <string.h>

#include "plan_internal.h"
#include "text.h"

#define PATTERN_MAX  500
#define PATTERNS_MAX 200

static const char *const mode_words[] = {"edit", "ask", "all", NULL};
static const char *const rule_keys[] = {"mode", "allow", "ask", "deny", NULL};

static int add_pattern(struct plan_reader *r, const char *key, const struct yaml_node *n,
                       json_t *list)
{
	_cleanup_free_ char *shown = NULL;
	json_t *text = NULL;
	const char *pattern, *bracket;

	if (plan_value_word(r, n, key, &text))
		return -1;
	json_array_append_new(list, text);
	pattern = json_string_value(text);
	bracket = strchr(pattern, '(');
	shown = text_safe(pattern, PLAN_SHOWN);
	if (!*pattern || strlen(pattern) > PATTERN_MAX || pattern[strcspn(pattern, "\r\n")])
		return plan_fail(r, n, "%s: a pattern is one line of at most %d characters", key,
		                 PATTERN_MAX);
	if (bracket ? bracket == pattern || pattern[strlen(pattern) - 1] != ')'
	            : strchr(pattern, ')') != NULL)
		return plan_fail(r, n,
		                 "%s: %s is no pattern (a tool or a kind, with what it is about "
		                 "in brackets: Bash(git *), edit, \"*\")",
		                 key, shown);
	return 0;
}

static int read_rules(struct plan_reader *r, const char *key, const struct yaml_node *n,
                      json_t *rules)
{
	json_t *list = json_array();

	json_object_set_new(rules, key, list);
	if (plan_is_null(n))
		return 0;
	if (n->type != YAML_LIST)
		return add_pattern(r, key, n, list);
	if (n->count > PATTERNS_MAX)
		return plan_fail(r, n, "%s: more than %d patterns", key, PATTERNS_MAX);
	for (size_t i = 0; i < n->count; i++) {
		if (add_pattern(r, key, n->items[i], list))
			return -1;
	}
	return 0;
}

int plan_value_permissions(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	_cleanup_json_ json_t *rules = json_object();
	json_t *mode = NULL;

	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (n->type != YAML_MAP) {
		if (plan_value_choice(r, n, "permissions", mode_words, &mode))
			return -1;
		json_object_set_new(rules, "mode", mode);
		*out = json_incref(rules);
		return 0;
	}
	if (plan_check_keys(r, n, rule_keys, "permissions"))
		return -1;
	for (size_t i = 0; i < n->count; i += 2) {
		const char *key = n->items[i]->text;
		const struct yaml_node *value = n->items[i + 1];

		if (strcmp(key, "mode") == 0) {
			if (plan_value_choice(r, value, "mode", mode_words, &mode))
				return -1;
			json_object_set_new(rules, "mode", mode);
		} else if (read_rules(r, key, value, rules)) {
			return -1;
		}
	}
	*out = json_incref(rules);
	return 0;
}

json_t *plan_permissions_merge(const json_t *near, const json_t *far)
{
	json_t *merged, *value;
	const char *key;

	if (!json_is_object(near) || !json_is_object(far))
		return json_incref((json_t *)near);
	merged = json_deep_copy(far);
	json_object_foreach ((json_t *)near, key, value) {
		json_t *list = json_object_get(merged, key);

		if (json_is_array(list) && json_is_array(value))
			json_array_extend(list, value);
		else
			json_object_set(merged, key, value);
	}
	return merged;
}
