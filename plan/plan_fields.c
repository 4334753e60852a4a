/* The task keys that `defaults` may carry too: read into one object that holds only what was
 * said, merged from near to far, and made into the SPEC of the control plane. */
#include <string.h>

#include "plan_internal.h"
#include "words.h"

const char *const plan_field_names[] = {
    "agent",       "timeout",  "retries",        "priority",
    "when",        "choose",   "slot",           "expect_changes",
    "verify",      "setup",    "copy",           "link",
    "env",         "metadata", "measure",        "paths",
    "setup_when",  "fresh",    "verify_retries", "wrap_up",
    "no_progress", "budget",   "permissions",    NULL};

static const char *const when_words[] = {"completed", "settled", NULL};
static const char *const slot_words[] = {"own", "none", NULL};

static int read_metadata(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	if (n->type != YAML_MAP && !plan_is_null(n))
		return plan_fail(r, n, "metadata must be a mapping");
	*out = yaml_json(n);
	return 0;
}

static int read_setup(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	if (!plan_is_null(n))
		return plan_value_command(r, n, "setup", out);
	*out = json_null();
	return 0;
}

static int read_slot(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	/* `slot: ~` and `slot: none` look alike to people, and mean the same. */
	if (plan_is_null(n)) {
		*out = json_string("none");
		return 0;
	}
	return plan_value_choice(r, n, "slot", slot_words, out);
}

static int read_field(struct plan_reader *r, const char *key, const struct yaml_node *n,
                      json_t **out)
{
	if (strcmp(key, "agent") == 0)
		return plan_agent_value(r, n, key, out);
	if (strcmp(key, "timeout") == 0 || strcmp(key, "wrap_up") == 0 ||
	    strcmp(key, "no_progress") == 0)
		return plan_value_duration(r, n, key, out);
	if (strcmp(key, "retries") == 0)
		return plan_value_integer(r, n, key, 0, PLAN_RETRIES_MAX, out);
	if (strcmp(key, "verify_retries") == 0)
		return plan_value_integer(r, n, key, 0, PLAN_VERIFY_RETRIES_MAX, out);
	if (strcmp(key, "priority") == 0)
		return plan_value_integer(r, n, key, -PRIORITY_MAX, PRIORITY_MAX, out);
	if (strcmp(key, "when") == 0)
		return plan_value_choice(r, n, key, when_words, out);
	if (strcmp(key, "choose") == 0)
		return plan_value_choose(r, n, key, out);
	if (strcmp(key, "slot") == 0)
		return read_slot(r, n, out);
	if (strcmp(key, "expect_changes") == 0 || strcmp(key, "fresh") == 0)
		return plan_value_bool(r, n, key, out);
	if (strcmp(key, "verify") == 0)
		return plan_value_verify(r, n, key, out);
	if (strcmp(key, "setup") == 0)
		return read_setup(r, n, out);
	if (strcmp(key, "measure") == 0)
		return plan_value_measure(r, n, key, out);
	if (strcmp(key, "env") == 0)
		return plan_value_env(r, n, key, out);
	if (strcmp(key, "budget") == 0)
		return plan_value_budget(r, n, false, out);
	if (strcmp(key, "permissions") == 0)
		return plan_value_permissions(r, n, out);
	if (strcmp(key, "metadata") == 0)
		return read_metadata(r, n, out);
	return plan_value_paths(r, n, key, out); /* copy, link, paths, setup_when */
}

static bool is_field(const char *key)
{
	for (const char *const *name = plan_field_names; *name; name++) {
		if (strcmp(key, *name) == 0)
			return true;
	}
	return false;
}

int plan_fields_read(struct plan_reader *r, const struct yaml_node *map, json_t **out)
{
	_cleanup_json_ json_t *fields = json_object();
	int status = 0;
	for (size_t i = 0; i < map->count; i += 2) {
		const char *key = map->items[i]->text;
		json_t *value = NULL;
		if (!is_field(key))
			continue;
		bool of_plan = map == r->at->root && strcmp(key, "budget") == 0;
		if (of_plan ? plan_value_budget(r, map->items[i + 1], true, &value)
		            : read_field(r, key, map->items[i + 1], &value)) {
			r->agents_doubted = r->agents_doubted || strcmp(key, "agent") == 0;
			if (plan_note(r))
				return -1;
			status = -1;
			continue;
		}
		json_object_set_new(fields, key, value);
	}
	if (status)
		return -1;
	*out = json_incref(fields);
	return 0;
}

/* Part by part: a task with a command of its own keeps the protected paths of its plan. */
static json_t *merge_verify(json_t *near, json_t *far)
{
	if (!json_is_object(near) || !json_is_object(far))
		return json_incref(near);
	json_t *verify = json_copy(far);
	json_object_update(verify, near);
	return verify;
}

json_t *plan_fields_merge(const json_t *near, const json_t *far)
{
	if (!json_object_size(near))
		return json_incref((json_t *)far);
	json_t *merged = json_copy((json_t *)far);
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)near, key, value) {
		json_t *other = json_object_get(merged, key);
		if (other && strcmp(key, "verify") == 0) {
			json_object_set_new(merged, key, merge_verify(value, other));
		} else if (other && strcmp(key, "permissions") == 0) {
			json_object_set_new(merged, key, plan_permissions_merge(value, other));
		} else if (json_is_object(other) && json_is_object(value) &&
		           (strcmp(key, "env") == 0 || strcmp(key, "budget") == 0)) {
			json_t *env = json_copy(other);
			json_object_update(env, value);
			json_object_set_new(merged, key, env);
		} else {
			json_object_set(merged, key, value);
		}
	}
	return merged;
}

static void take(json_t *spec, const json_t *fields, const char *key, json_t *otherwise)
{
	json_t *value = json_object_get(fields, key);
	if (value) {
		json_object_set(spec, key, value);
		json_decref(otherwise);
	} else {
		json_object_set_new(spec, key, otherwise);
	}
}

json_t *plan_fields_spec(const json_t *fields)
{
	static const char *const said[] = {"paths",       "setup_when", "wrap_up",
	                                   "no_progress", "budget",     "permissions"};
	json_t *spec = json_object();
	json_t *verify = json_object_get(fields, "verify");
	take(spec, fields, "slot", json_string("own"));
	take(spec, fields, "timeout", json_null());
	take(spec, fields, "retries", json_integer(0));
	take(spec, fields, "expect_changes", json_false());
	if (plan_fields_verify(fields)) {
		verify = json_copy(verify);
		if (!json_object_get(verify, "timeout"))
			json_object_set_new(verify, "timeout", json_null());
		if (!json_object_get(verify, "protect"))
			json_object_set_new(verify, "protect", json_array());
		if (!json_object_get(verify, "overlay"))
			json_object_set_new(verify, "overlay", json_null());
		json_object_set_new(spec, "verify", verify);
	} else {
		json_object_set_new(spec, "verify", json_null());
	}
	take(spec, fields, "setup", json_null());
	take(spec, fields, "copy", json_array());
	take(spec, fields, "link", json_array());
	/* Only where there is one: a task without is what it always was. */
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		json_t *value = json_object_get(fields, said[i]);
		if (value && !json_is_null(value))
			json_object_set(spec, said[i], value);
	}
	if (json_integer_value(json_object_get(fields, "verify_retries")) > 0)
		json_object_set(spec, "verify_retries", json_object_get(fields, "verify_retries"));
	if (json_is_true(json_object_get(fields, "fresh")))
		json_object_set_new(spec, "fresh", json_true());
	if (json_object_size(json_object_get(fields, "measure")))
		json_object_set(spec, "measure", json_object_get(fields, "measure"));
	return spec;
}

bool plan_fields_verify(const json_t *fields)
{
	return json_object_get(json_object_get(fields, "verify"), "command") != NULL;
}
