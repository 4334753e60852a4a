/* `budget:` of a task (what all of its attempts may use), of a plan (what all of its tasks may),
 * and of a day (what all of this repository's may): money, tokens, or both. */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"
#include "text.h"

#define USD_MAX    1000000
#define TOKENS_MAX INT64_C(1000000000000)

static const char *const task_keys[] = {"usd", "tokens", NULL};
static const char *const plan_keys[] = {"usd", "tokens", "day_usd", "day_tokens", NULL};

static int read_usd(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out)
{
	double usd = n->type != YAML_SCALAR   ? 0
	             : n->scalar == YAML_INT  ? (double)n->integer
	             : n->scalar == YAML_REAL ? n->real
	                                      : 0;
	if (!(usd > 0) || usd > USD_MAX)
		return plan_fail(r, n, "%s must be an amount such as 2.50 (at most %d)", what,
		                 USD_MAX);
	*out = json_real(usd);
	return 0;
}

/* "500k" and "2M" are how people write them. */
static int read_tokens(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_t **out)
{
	double tokens = n->type == YAML_SCALAR && n->scalar == YAML_INT ? (double)n->integer : 0;
	if (n->type == YAML_SCALAR && n->scalar == YAML_TEXT) {
		char *end = NULL;
		size_t digits = strspn(n->text, "0123456789.");
		tokens = digits ? strtod(n->text, &end) : 0;
		if (!end || end != n->text + digits || !*end || end[1])
			tokens = 0;
		else
			tokens *= *end == 'k' || *end == 'K' ? 1e3 : *end == 'M' ? 1e6 : 0;
	}
	if (!(tokens >= 1) || tokens > (double)TOKENS_MAX)
		return plan_fail(r, n, "%s must be a number such as 500000, 500k or 2M", what);
	*out = json_integer((json_int_t)tokens);
	return 0;
}

static int read_part(struct plan_reader *r, const char *key, const struct yaml_node *n,
                     json_t *budget)
{
	json_t *value = NULL;
	if (plan_is_null(n))
		value = json_null();
	else if (strstr(key, "usd") ? read_usd(r, n, key, &value) : read_tokens(r, n, key, &value))
		return -1;
	json_object_set_new(budget, key, value);
	return 0;
}

int plan_value_budget(struct plan_reader *r, const struct yaml_node *n, bool plan, json_t **out)
{
	_cleanup_json_ json_t *budget = json_object();
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (n->type != YAML_MAP)
		return plan_fail(r, n, "budget must be a mapping such as {usd: 2.50, tokens: 2M}");
	if (plan_check_keys(r, n, plan ? plan_keys : task_keys,
	                    plan ? "a plan's budget" : "a task's budget"))
		return -1;
	for (size_t i = 0; i < n->count; i += 2) {
		if (read_part(r, n->items[i]->text, n->items[i + 1], budget))
			return -1;
	}
	*out = json_incref(budget);
	return 0;
}

int plan_budget_read(struct plan_reader *r, const struct yaml_node *n)
{
	_cleanup_json_ json_t *said = NULL;
	json_t *budget = json_object_get(r->settings, "budget");
	if (plan_value_budget(r, n, true, &said))
		return -1;
	if (!budget) {
		budget = json_object();
		json_object_set_new(r->settings, "budget", budget);
	}
	if (json_is_null(said)) {
		for (const char *const *key = plan_keys; *key; key++)
			json_object_set_new(budget, *key, json_null());
	} else {
		json_object_update(budget, said);
	}
	return 0;
}

static json_t *parts(struct plan_reader *r, const char *usd, const char *tokens)
{
	json_t *budget = json_object_get(r->settings, "budget"), *out = json_object();
	json_t *money = json_object_get(budget, usd), *count = json_object_get(budget, tokens);
	if (money)
		json_object_set(out, "usd", money);
	if (count)
		json_object_set(out, "tokens", count);
	return out;
}

json_t *plan_budget(struct plan_reader *r)
{
	return parts(r, "usd", "tokens");
}

json_t *plan_budget_day(struct plan_reader *r)
{
	return parts(r, "day_usd", "day_tokens");
}
