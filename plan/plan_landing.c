/* What a plan says of landing: `merge: auto`, or a mapping of when and how, and the agent that
 * resolves conflicts. */
#include <string.h>

#include "plan_internal.h"

#define MESSAGE_MAX 4096

static const char *const when_words[] = {"manual", "auto", NULL};
static const char *const merge_keys[] = {"when",  "squash", "message", "sign",
                                         "hooks", "ahead",  "batch",   NULL};

static json_t *landing_of(struct plan_reader *r)
{
	json_t *landing = json_object_get(r->settings, "landing");
	if (!landing) {
		landing = json_object();
		json_object_set_new(r->settings, "landing", landing);
	}
	return landing;
}

static int read_when(struct plan_reader *r, const struct yaml_node *n, const char *what)
{
	json_t *word = NULL;
	if (plan_value_choice(r, n, what, when_words, &word))
		return -1;
	json_object_set_new(landing_of(r), "auto",
	                    json_boolean(strcmp(json_string_value(word), "auto") == 0));
	json_decref(word);
	return 0;
}

static int read_message(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	json_t *text = NULL;
	if (plan_value_text(r, n, "message", &text))
		return -1;
	if (!n->len || n->len > MESSAGE_MAX) {
		json_decref(text);
		return plan_fail(r, n, "message must have 1 to %d bytes", MESSAGE_MAX);
	}
	*out = text;
	return 0;
}

static int read_key(struct plan_reader *r, const char *key, const struct yaml_node *n)
{
	json_t *value = NULL;
	int rc;
	if (strcmp(key, "when") == 0)
		return read_when(r, n, "when");
	if (strcmp(key, "message") == 0)
		rc = read_message(r, n, &value);
	else if (strcmp(key, "ahead") == 0)
		rc = plan_value_integer(r, n, key, 1, PLAN_AHEAD_MAX, &value);
	else if (strcmp(key, "batch") == 0)
		rc = plan_value_integer(r, n, key, 1, PLAN_BATCH_MAX, &value);
	else
		rc = plan_value_bool(r, n, key, &value); /* squash, sign, hooks */
	if (rc)
		return -1;
	json_object_set_new(landing_of(r), key, value);
	return 0;
}

static int read_merge(struct plan_reader *r, const struct yaml_node *n)
{
	if (n->type != YAML_MAP)
		return read_when(r, n, "merge");
	if (plan_check_keys(r, n, merge_keys, "merge"))
		return -1;
	for (size_t i = 0; i < n->count; i += 2) {
		if (read_key(r, n->items[i]->text, n->items[i + 1]))
			return -1;
	}
	return 0;
}

static int read_resolve(struct plan_reader *r, const struct yaml_node *n)
{
	_cleanup_json_ json_t *agent = NULL;
	if (plan_is_null(n)) {
		json_object_set_new(landing_of(r), "resolve", json_null());
		return 0;
	}
	if (plan_agent_value(r, n, "resolve", &agent))
		return -1;
	const char *name = json_text(agent, "name"), *model = json_text(agent, "model");
	json_object_set_new(landing_of(r), "resolve",
	                    model ? json_sprintf("%s/%s", name, model) : json_string(name));
	json_object_set_new(r->settings, "resolve_agent", json_string(name));
	return 0;
}

int plan_landing_read(struct plan_reader *r, const char *key, const struct yaml_node *n)
{
	return strcmp(key, "merge") == 0 ? read_merge(r, n) : read_resolve(r, n);
}

json_t *plan_landing(struct plan_reader *r)
{
	if (json_text(landing_of(r), "resolve"))
		plan_agent_use(r, json_text(r->settings, "resolve_agent"));
	return json_incref(landing_of(r));
}
