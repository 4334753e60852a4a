/* The users' environment and the plans' `env:`: in one 0600 file beside the socket, never in
 * the store, never logged. Workers read the same file. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"

#define ENVIRONMENT_FILE_MAX (16u << 20)

static char *environment_file(const struct coordinator *c)
{
	return xasprintf("%s/environment.json", c->place.runtime_dir);
}

void environment_load(struct coordinator *c)
{
	_cleanup_free_ char *file = environment_file(c), *text = NULL;
	size_t len = 0;

	if (place_read_file(file, ENVIRONMENT_FILE_MAX, &text, &len, NULL) == 0)
		c->environment = jsonl_parse(text, len, NULL);
	if (!json_is_object(c->environment)) {
		json_decref(c->environment);
		c->environment = json_pack("{s:{}, s:{}}", "base", "plans");
	}
}

int environment_write(struct coordinator *c, struct error *err)
{
	_cleanup_free_ char *file = environment_file(c), *text = jsonl_text(c->environment);

	return place_write_file(file, text, strlen(text), err);
}

int environment_set_base(struct coordinator *c, const json_t *base, struct error *err)
{
	if (!json_is_object(base) || json_equal(base, json_object_get(c->environment, "base")))
		return 0;
	json_object_set(c->environment, "base", (json_t *)base);
	return environment_write(c, err);
}

/* What is there stays; what is new joins. */
static json_t *merged_secrets(const json_t *old, const json_t *new)
{
	static const char *const maps[] = {"plan", "agents", "tasks"};
	json_t *merged = json_object();

	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		json_t *map = json_object();

		json_object_update(map, json_sub(old, maps[i]));
		json_object_update(map, json_sub(new, maps[i]));
		json_object_set_new(merged, maps[i], map);
	}
	return merged;
}

int environment_set_plan(struct coordinator *c, const char *plan, const json_t *secrets, bool part,
                         struct error *err)
{
	json_t *plans = json_object_get(c->environment, "plans");
	_cleanup_json_ json_t *wanted = NULL;
	const json_t *old;

	if (!json_is_object(secrets))
		return 0;
	if (!json_is_object(plans)) {
		plans = json_object();
		json_object_set_new(c->environment, "plans", plans);
	}
	old = json_object_get(plans, plan);
	wanted = part ? merged_secrets(old, secrets) : json_incref((json_t *)secrets);
	if (json_equal(wanted, old))
		return 0;
	json_object_set(plans, plan, wanted);
	return environment_write(c, err);
}

const json_t *environment_of_tasks(struct coordinator *c, const char *plan)
{
	return json_object_get(json_object_get(json_object_get(c->environment, "plans"), plan),
	                       "tasks");
}

json_t *environment_of_task(struct coordinator *c, const char *plan, const char *key)
{
	return json_object_get(environment_of_tasks(c, plan), key);
}

json_t *environment_of_work(struct coordinator *c, const struct task_row *task)
{
	const json_t *secrets =
	    json_object_get(json_object_get(c->environment, "plans"), task->plan_name);
	_cleanup_attempt_ struct attempt_row attempt = {0};
	json_t *env = json_object();
	const char *agent = task->agent;

	if (!agent && store_attempt_get(c->store, task->attempt, &attempt))
		agent = attempt.agent; /* its teammate's */
	if (agent)
		json_object_update(env, json_object_get(json_object_get(secrets, "agents"), agent));
	json_object_update(env, json_object_get(json_object_get(secrets, "tasks"), task->key));
	return env;
}

json_t *environment_for(struct coordinator *c, const char *plan, const char *key)
{
	json_t *env = json_object();
	const json_t *secrets = json_object_get(json_object_get(c->environment, "plans"), plan);

	json_object_update(env, json_object_get(c->environment, "base"));
	json_object_update(env, json_object_get(secrets, "plan"));
	json_object_update(env, json_object_get(json_object_get(secrets, "tasks"), key));
	return env;
}
