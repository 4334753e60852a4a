/* Everything of a file but its tasks: names, limits, team, defaults, from config.yaml over
 * pleach.yaml to the plan, the nearest winning key by key. */
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "plan_internal.h"
#include "text.h"

static const char *const top_keys[] = {
    "name",    "base",    "target",   "merge",       "verify", "setup", "copy", "link",
    "env",     "limits",  "defaults", "permissions", "agents", "team",  "keys", "tasks",
    "measure", "resolve", "paths",    "setup_when",  "budget", NULL};

#define LIMIT_MAX 1000

static int read_name(struct plan_reader *r, const struct yaml_node *n)
{
	json_t *name = NULL;
	if (plan_value_word(r, n, "name", &name))
		return -1;
	json_object_set_new(r->settings, "name", name);
	return 0;
}

static int read_revision(struct plan_reader *r, const struct yaml_node *n, const char *key)
{
	json_t *text = NULL;
	if (plan_value_revision(r, n, key, &text))
		return -1;
	json_object_set_new(r->settings, key, text);
	if (json_is_null(text))
		return 0;
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN);
	if (strcmp(key, "target") == 0 && !plan_is_branch(n->text))
		return plan_fail(r, n, "target: %s is not a branch", shown);
	_cleanup_free_ char *at = plan_place(r, n);
	_cleanup_free_ char *at_key = xasprintf("%s_at", key);
	json_object_set_new(r->settings, at_key, json_string_nocheck(at));
	return 0;
}

static int read_env(struct plan_reader *r, const struct yaml_node *n)
{
	_cleanup_json_ json_t *env = NULL;
	if (plan_value_env(r, n, "env", &env))
		return -1;
	json_object_update(r->env, env);
	return 0;
}

/* The names are checked when all agents are known. */
static int read_limits(struct plan_reader *r, const struct yaml_node *n)
{
	json_t *limits = json_object_get(r->settings, "limits");
	if (n->type != YAML_MAP && !plan_is_null(n))
		return plan_fail(r, n, "limits must be a mapping such as {total: 4, claude: 2}");
	if (!limits) {
		limits = json_object();
		json_object_set_new(r->settings, "limits", limits);
	}
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i += 2) {
		const struct yaml_node *name = n->items[i];
		_cleanup_free_ char *shown = text_safe(name->text, PLAN_SHOWN);
		_cleanup_free_ char *what = xasprintf("limit %s", shown);
		json_t *value = NULL;
		if (plan_value_integer(r, n->items[i + 1], what, 1, LIMIT_MAX, &value))
			return -1;
		json_object_set_new_nocheck(limits, name->text, value);
	}
	return 0;
}

int plan_config_check_limits(struct plan_reader *r)
{
	for (size_t s = 0; s < r->source_count; s++) {
		r->at = &r->sources[s];
		const struct yaml_node *n = r->at->doc ? yaml_get(r->at->root, "limits") : NULL;
		for (size_t i = 0; n && n->type == YAML_MAP && i < n->count; i += 2) {
			json_t *agent = NULL;
			if (strcmp(n->items[i]->text, "total") == 0)
				continue;
			if (plan_agent_named(r, n->items[i], n->items[i]->text, &agent))
				return -1;
			json_decref(agent);
		}
	}
	return 0;
}

/* --- the team ------------------------------------------------------------------------ */

static int read_teammate(struct plan_reader *r, const struct yaml_node *n, json_t *names,
                         json_t **out)
{
	static const char *const keys[] = {"name", "agent", "session", NULL};
	static const char *const session_words[] = {"keep", "new", NULL};
	const struct yaml_node *name = n->type == YAML_MAP ? yaml_get(n, "name") : n;
	const struct yaml_node *agent_node = n->type == YAML_MAP ? yaml_get(n, "agent") : NULL;
	const struct yaml_node *session_node = n->type == YAML_MAP ? yaml_get(n, "session") : NULL;
	_cleanup_json_ json_t *agent = json_null(), *session = NULL;
	json_t *text = NULL;
	if (n->type == YAML_MAP && plan_check_keys(r, n, keys, "a teammate"))
		return -1;
	if (!name)
		return plan_fail(r, n, "a teammate needs a name");
	if (plan_value_word(r, name, "a teammate's name", &text))
		return -1;
	json_decref(text);
	_cleanup_free_ char *shown = text_safe(name->text, PLAN_SHOWN);
	if (!text_is_teammate(name->text))
		return plan_fail(r, name,
		                 "teammate %s: a name is a small letter, then small letters, "
		                 "digits and -, at most %d characters",
		                 shown, TEXT_TEAMMATE_MAX);
	if (json_object_get(names, name->text))
		return plan_fail(r, name, "teammate %s again", shown);
	json_object_set_new(names, name->text, json_true());
	if (agent_node && plan_agent_value(r, agent_node, "agent", &agent))
		return -1;
	if (session_node && plan_value_choice(r, session_node, "session", session_words, &session))
		return -1;
	const char *agent_name = json_text(agent, "name");
	*out =
	    json_pack("{s:s,s:o,s:o}", "name", name->text, "agent", json_text_or_null(agent_name),
	              "model", json_text_or_null(json_text(agent, "model")));
	if (session && strcmp(json_string_value(session), "keep") == 0)
		json_object_set(*out, "session", session);
	return 0;
}

static int read_team(struct plan_reader *r, const struct yaml_node *n)
{
	json_t *team = NULL;
	if (plan_is_null(n))
		return 0;
	if (n->type != YAML_LIST) {
		if (n->type == YAML_MAP)
			return plan_fail(r, n, "team must be a number or a list of teammates");
		if (plan_value_integer(r, n, "team", 1, PLAN_TEAM_MAX, &team))
			return -1;
		json_object_set_new(r->settings, "team", team);
		return 0;
	}
	if (n->count < 1 || n->count > PLAN_TEAM_MAX)
		return plan_fail(r, n, "team: %zu teammates (1 to %d)", n->count, PLAN_TEAM_MAX);
	team = json_array();
	json_object_set_new(r->settings, "team", team);
	_cleanup_json_ json_t *names = json_object();
	for (size_t i = 0; i < n->count; i++) {
		json_t *teammate = NULL;
		if (read_teammate(r, n->items[i], names, &teammate))
			return -1;
		json_array_append_new(team, teammate);
	}
	return 0;
}

json_t *plan_config_team(struct plan_reader *r)
{
	json_t *team = json_object_get(r->settings, "team");
	size_t i;
	json_t *teammate;
	if (r->ctx->team)
		return json_pack("{s:i,s:n}", "size", r->ctx->team, "teammates");
	if (!json_is_array(team))
		return json_pack("{s:O?,s:n}", "size", team, "teammates");
	json_array_foreach (team, i, teammate) {
		plan_agent_use(r, json_text(teammate, "agent"));
	}
	return json_pack("{s:n,s:O}", "size", "teammates", team);
}

bool plan_team_decides(struct plan_reader *r)
{
	json_t *team = json_object_get(r->settings, "team");
	size_t i;
	json_t *teammate;
	if (r->ctx->team || !json_is_array(team))
		return false;
	json_array_foreach (team, i, teammate) {
		if (json_text(teammate, "agent"))
			return true;
	}
	return false;
}

int plan_default_agent(struct plan_reader *r, json_t **agent)
{
	const char *first;

	if (plan_team_decides(r)) {
		*agent = json_null();
		return 0;
	}
	first = r->ctx->default_agent;
	if (!first && r->ctx->first_agent)
		first = r->ctx->first_agent(NULL);
	if (first && *first)
		return plan_agent_named(r, NULL, first, agent);
	return plan_fail(r, NULL,
	                 "no agent: none is installed that pleach knows (set agent: in "
	                 "defaults, or install claude, codex, gemini, opencode, …)");
}

json_t *plan_config_limits(struct plan_reader *r)
{
	json_t *limits = json_object_get(r->settings, "limits");
	json_t *agents = limits ? json_copy(limits) : json_object();
	json_t *total = json_object_get(agents, "total");
	json_t *out =
	    json_pack("{s:O?,s:o,s:o}", "total", total, "agents", agents, "budget", plan_budget(r));
	json_object_del(agents, "total");
	return out;
}

/* --- keys ------------------------------------------------------------------------- */

/* One key, one action. */
static int check_keys_apart(struct plan_reader *r, const struct yaml_node *n, const json_t *keys)
{
	for (unsigned a = 0; a < key_action_count; a++) {
		const char *one = key_of(keys, a);
		for (unsigned b = 0; b < a && strcmp(one, "none") != 0; b++) {
			const char *other = key_of(keys, b);
			if (strcmp(one, other) == 0 ||
			    (a == KEY_TEAMMATE && strncmp(other, "M-", 2) == 0 && other[2] >= '1' &&
			     other[2] <= '9'))
				return plan_fail(r, n, "keys: %s is for %s and for %s", other,
				                 key_action_word(b), key_action_word(a));
		}
	}
	return 0;
}

static int read_keys(struct plan_reader *r, const struct yaml_node *n)
{
	static const char *const names[] = {"detach", "next", "zoom", "teammate", NULL};
	json_t *keys = json_object_get(r->settings, "keys");
	if (n->type != YAML_MAP && !plan_is_null(n))
		return plan_fail(r, n, "keys must be a mapping of actions to keys");
	if (n->type == YAML_MAP && plan_check_keys(r, n, names, "keys"))
		return -1;
	if (!keys) {
		keys = json_object();
		json_object_set_new(r->settings, "keys", keys);
	}
	for (unsigned action = 0; n->type == YAML_MAP && action < key_action_count; action++) {
		const struct yaml_node *value = yaml_get(n, key_action_word(action));
		json_t *key = NULL;
		if (!value)
			continue;
		if (plan_value_word(r, value, "a key", &key))
			return -1;
		json_object_set_new(keys, key_action_word(action), key);
		_cleanup_free_ char *shown = text_safe(value->text, PLAN_SHOWN);
		if (!key_is_valid(action, value->text))
			return plan_fail(
			    r, value,
			    action == KEY_TEAMMATE
			        ? "teammate: %s (it is M-1, for M-1 to M-9, or none)"
			        : "%s is no key (C- and a small letter but i, j, m; M- "
			          "and a letter or digit; F1 to F12; none)",
			    shown);
	}
	return check_keys_apart(r, n, keys);
}

/* --- a whole file -------------------------------------------------------------------- */

static int read_setting(struct plan_reader *r, const char *key, const struct yaml_node *n)
{
	if (strcmp(key, "name") == 0)
		return read_name(r, n);
	if (strcmp(key, "base") == 0 || strcmp(key, "target") == 0)
		return read_revision(r, n, key);
	if (strcmp(key, "merge") == 0 || strcmp(key, "resolve") == 0)
		return plan_landing_read(r, key, n);
	if (strcmp(key, "env") == 0)
		return read_env(r, n);
	if (strcmp(key, "limits") == 0)
		return read_limits(r, n);
	if (strcmp(key, "budget") == 0)
		return plan_budget_read(r, n);
	if (strcmp(key, "team") == 0)
		return read_team(r, n);
	if (strcmp(key, "keys") == 0)
		return read_keys(r, n);
	return 0; /* read elsewhere */
}

static int check_defaults(struct plan_reader *r, const struct yaml_node *n)
{
	static const char *const never[] = {"id",         "prompt",       "prompt_file",
	                                    "blocked_by", "alternatives", "for_each"};
	if (plan_is_null(n))
		return 0;
	if (n->type != YAML_MAP)
		return plan_fail(r, n, "defaults must be a mapping");
	for (size_t i = 0; i < n->count; i += 2) {
		for (size_t k = 0; k < ARRAY_LEN(never); k++) {
			if (strcmp(n->items[i]->text, never[k]) == 0)
				return plan_fail(r, n->items[i],
				                 "%s belongs to a task, not to "
				                 "defaults",
				                 never[k]);
		}
	}
	return plan_check_keys(r, n, plan_field_names, "defaults");
}

/* What defaults says of the agent is not read then: that none stands in is no news. */
static void doubt_agent(struct plan_reader *r, const struct yaml_node *defaults)
{
	if (defaults && defaults->type == YAML_MAP && yaml_get(defaults, "agent"))
		r->agents_doubted = true;
}

/* The task keys at the top of a file, and nearer, its `defaults`. */
static int read_fields(struct plan_reader *r)
{
	static const char *const shared[] = {"verify",  "setup", "copy",       "link",
	                                     "measure", "paths", "setup_when", "permissions"};
	const struct yaml_node *defaults = yaml_get(r->at->root, "defaults");
	_cleanup_json_ json_t *all = NULL, *top = json_object(), *nearer = NULL;
	if (plan_fields_read(r, r->at->root, &all)) {
		doubt_agent(r, defaults);
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
		json_t *value = json_object_get(all, shared[i]);
		if (value)
			json_object_set(top, shared[i], value);
	}
	json_t *merged = plan_fields_merge(top, r->fields);
	json_decref(r->fields);
	r->fields = merged;
	if (!defaults || defaults->type != YAML_MAP)
		return 0; /* none, or its mistake was told */
	if (plan_fields_read(r, defaults, &nearer)) {
		doubt_agent(r, defaults);
		return -1;
	}
	merged = plan_fields_merge(nearer, r->fields);
	json_decref(r->fields);
	r->fields = merged;
	return 0;
}

/* What must be known of all files before any is read on. */
static int read_first(struct plan_reader *r)
{
	const struct yaml_node *permissions = yaml_get(r->at->root, "permissions");
	const struct yaml_node *defaults = yaml_get(r->at->root, "defaults");
	json_t *said = NULL;
	if (plan_check_keys(r, r->at->root, top_keys, "a plan"))
		return -1;
	if (defaults && check_defaults(r, defaults))
		return -1;
	if (!permissions)
		return 0;
	if (plan_value_permissions(r, permissions, &said))
		return -1;
	if (json_text(said, "mode"))
		agent_permissions_from_word(json_text(said, "mode"), &r->permissions);
	json_decref(said);
	return 0;
}

static int read_rest(struct plan_reader *r)
{
	const struct yaml_node *root = r->at->root;
	for (size_t i = 0; i < root->count; i += 2) {
		if (read_setting(r, root->items[i]->text, root->items[i + 1]) && plan_note(r))
			return -1;
	}
	return read_fields(r) ? plan_note(r) : 0;
}

/* What was noted is not told yet: of a plan its tasks are read first. */
int plan_config_note(struct plan_reader *r)
{
	for (size_t i = 0; i < r->source_count; i++) {
		r->at = &r->sources[i];
		if (read_first(r) && plan_note(r))
			return -1;
	}
	r->at = &r->user_agents;
	if (r->at->root && plan_agents_read(r, r->at->root))
		return -1;
	for (size_t i = 0; i < r->source_count; i++) {
		r->at = &r->sources[i];
		const struct yaml_node *agents = yaml_get(r->at->root, "agents");
		if (agents && plan_agents_read(r, agents))
			return -1;
	}
	for (size_t i = 0; i < r->source_count; i++) {
		r->at = &r->sources[i];
		if (read_rest(r))
			return -1;
	}
	return 0;
}

int plan_config_read(struct plan_reader *r)
{
	return plan_config_note(r) ? plan_tell(r) : plan_noted(r);
}
