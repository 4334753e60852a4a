/* The agents of a plan: declared, built in, and written into a task; each becomes a named
 * PROFILE. A name means one thing in a whole plan; the nearest file's declaration wins. */
#include <string.h>

#include "plan_internal.h"
#include "text.h"

static const char *const agent_keys[] = {"command", "mode",        "prompt", "env",
                                         "model",   "permissions", NULL};
static const char *const prompt_words[] = {"argv", "stdin", "type", "none", NULL};
static const char *const mode_words[] = {"exec", "tui", "acp", NULL};
static const char *const permission_words[] = {"edit", "ask", "all", NULL};

/* What an agent's mapping said; NULL where it said nothing. Every reference is ours. */
struct said {
	json_t *command;
	json_t *mode;
	json_t *prompt;
	json_t *env;
	json_t *model;
	json_t *permissions;
};

static void said_finish(struct said *said)
{
	json_decref(said->command);
	json_decref(said->mode);
	json_decref(said->prompt);
	json_decref(said->env);
	json_decref(said->model);
	json_decref(said->permissions);
}

static bool is_agent_name(const char *name)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strlen(name);
	return len && len <= PLAN_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       !name[strspn(name, set)];
}

static int read_said(struct plan_reader *r, const struct yaml_node *map, struct said *said)
{
	for (size_t i = 0; i < map->count; i += 2) {
		const char *key = map->items[i]->text;
		const struct yaml_node *value = map->items[i + 1];
		int status;
		if (strcmp(key, "command") == 0)
			status = plan_value_command(r, value, key, &said->command);
		else if (strcmp(key, "mode") == 0)
			status = plan_value_choice(r, value, key, mode_words, &said->mode);
		else if (strcmp(key, "prompt") == 0)
			status = plan_value_choice(r, value, key, prompt_words, &said->prompt);
		else if (strcmp(key, "env") == 0)
			status = plan_value_env(r, value, key, &said->env);
		else if (strcmp(key, "model") == 0)
			status = plan_value_word(r, value, key, &said->model);
		else
			status =
			    plan_value_choice(r, value, key, permission_words, &said->permissions);
		if (status)
			return -1;
	}
	return 0;
}

static enum agent_mode said_mode(const struct said *said)
{
	enum agent_mode mode = MODE_EXEC;
	if (said->mode)
		agent_mode_from_word(json_string_value(said->mode), &mode);
	return mode;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* A placeholder inside shell code would make code of the prompt. */
static int check_shell(struct plan_reader *r, const struct yaml_node *n, const json_t *command)
{
	static const char *const marks[] = {"{prompt}", "{prompt_file}", "{worktree}",
	                                    "{task}",   "{key}",         "{branch}",
	                                    "{base}",   "{session}",     "{model}"};
	static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ksh"};
	if (json_is_string(command)) {
		for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
			if (strstr(json_string_value(command), marks[i]))
				return plan_fail(r, n,
				                 "command: %s inside shell code is never replaced "
				                 "(write a list, or use $PLEACH_PROMPT_FILE)",
				                 marks[i]);
		}
		return 0;
	}
	const char *program = base_name(json_string_value(json_array_get(command, 0)));
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		const char *flag = json_string_value(json_array_get(command, 1));
		const char *code = json_string_value(json_array_get(command, 2));
		if (strcmp(program, shells[i]) == 0 && flag && strcmp(flag, "-c") == 0 && code &&
		    strstr(code, "{prompt}"))
			plan_warn(r, n,
			          "command: the prompt becomes shell code here (pass it on: "
			          "[sh, -c, 'cmd \"$1\"', sh, \"{prompt}\"])");
	}
	return 0;
}

static const char *prompt_way(const struct said *said, const json_t *command, enum agent_mode mode)
{
	if (said->prompt)
		return json_string_value(said->prompt);
	if (agents_mentions(command, "{prompt}") || agents_mentions(command, "{prompt_file}"))
		return "argv";
	return mode == MODE_EXEC ? "stdin" : "none";
}

/* The profile of an agent with a command of its own. New reference. */
static json_t *command_profile(const struct said *said)
{
	_cleanup_json_ json_t *command = json_is_string(said->command)
	                                     ? json_pack("[s,s,O]", "/bin/sh", "-c", said->command)
	                                     : json_incref(said->command);
	enum agent_mode mode = said_mode(said);
	const char *program = json_string_value(json_array_get(command, 0));
	const struct agent *like = agents_find(base_name(program));
	const char *output = "text";
	_cleanup_json_ json_t *known = like ? agents_profile(like, mode, PERMISSIONS_ASK) : NULL;
	if (known && json_text(known, "output"))
		output = json_text(known, "output");
	return json_pack("{s:O,s:s,s:s,s:{},s:s,s:s,s:n}", "command", command, "mode",
	                 agent_mode_word(mode), "prompt", prompt_way(said, command, mode), "env",
	                 "program", program, "output", output, "large");
}

/* The profile of a built-in agent, changed as said. NULL when it has not that mode. */
static json_t *builtin_profile(struct plan_reader *r, const struct agent *agent,
                               const struct said *said)
{
	enum agent_permissions permissions = r->permissions;
	if (said->permissions)
		agent_permissions_from_word(json_string_value(said->permissions), &permissions);
	json_t *profile = agents_profile(agent, said_mode(said), permissions);
	if (profile && said->prompt)
		json_object_set(profile, "prompt", said->prompt);
	return profile;
}

static json_t *entry_new(json_t *profile, const struct said *said)
{
	return json_pack("{s:o,s:o,s:o}", "profile", profile, "model",
	                 said->model ? json_incref(said->model) : json_null(), "env",
	                 said->env ? json_incref(said->env) : json_object());
}

static void entry_add(struct plan_reader *r, const char *name, json_t *entry)
{
	json_object_set_new_nocheck(r->agents, name, entry);
	strv_free(r->agent_names);
	r->agent_names = NULL;
}

static int declare(struct plan_reader *r, const struct yaml_node *name, const struct yaml_node *map)
{
	_cleanup_free_ char *shown = text_safe(name->text, PLAN_SHOWN);
	if (!is_agent_name(name->text))
		return plan_fail(r, name,
		                 "agent %s: a name has letters, digits, _ . - and at most %d "
		                 "characters",
		                 shown, PLAN_NAME_MAX);
	if (map->type != YAML_MAP)
		return plan_fail(r, map, "agent %s must be a mapping with a command", shown);
	_cleanup_free_ char *where = xasprintf("agent %s", shown);
	if (plan_check_keys(r, map, agent_keys, where))
		return -1;
	__attribute__((cleanup(said_finish))) struct said said = {0};
	if (read_said(r, map, &said))
		return -1;
	json_t *profile = NULL;
	if (said.command) {
		if (check_shell(r, yaml_get(map, "command"), said.command))
			return -1;
		profile = command_profile(&said);
	} else {
		const struct agent *agent = agents_find(name->text);
		if (!agent)
			return plan_fail(r, name,
			                 "agent %s has no command (such as "
			                 "[sh, fix.sh, \"{prompt_file}\"])",
			                 shown);
		profile = builtin_profile(r, agent, &said);
		if (!profile)
			return plan_fail(r, yaml_get(map, "mode"), "agent %s has no mode %s", shown,
			                 json_string_value(said.mode));
	}
	entry_add(r, name->text, entry_new(profile, &said));
	return 0;
}

int plan_agents_read(struct plan_reader *r, const struct yaml_node *map)
{
	if (map->type != YAML_MAP && !plan_is_null(map))
		return plan_fail(r, map, "agents must be a mapping of names to agents");
	for (size_t i = 0; map->type == YAML_MAP && i < map->count; i += 2) {
		if (declare(r, map->items[i], map->items[i + 1]))
			return -1;
	}
	return 0;
}

/* --- naming one ---------------------------------------------------------------------- */

/* The entry of a name, made from the table of built-in agents where it is not there yet. */
static json_t *entry_find(struct plan_reader *r, const char *name)
{
	json_t *entry = json_object_get(r->agents, name);
	const struct agent *agent = entry ? NULL : agents_find(name);
	if (!agent)
		return entry;
	const struct said nothing = {0};
	entry_add(r, name, entry_new(builtin_profile(r, agent, &nothing), &nothing));
	return json_object_get(r->agents, name);
}

static const char *const *all_names(struct plan_reader *r)
{
	const char *name;
	json_t *entry;
	if (r->agent_names)
		return (const char *const *)r->agent_names;
	json_object_foreach (r->agents, name, entry) {
		strv_push(&r->agent_names, xstrdup(name));
	}
	for (const char *const *names = agents_names(); *names; names++) {
		if (!json_object_get(r->agents, *names))
			strv_push(&r->agent_names, xstrdup(*names));
	}
	return (const char *const *)r->agent_names;
}

int plan_agent_named(struct plan_reader *r, const struct yaml_node *n, const char *text,
                     json_t **out)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *name = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	json_t *entry = entry_find(r, name);
	if (!entry) {
		_cleanup_free_ char *shown = text_safe(name, PLAN_SHOWN);
		const char *near = text_nearest(name, all_names(r));
		if (near)
			return plan_fail(r, n, "unknown agent %s (did you mean %s?)", shown, near);
		return plan_fail(r, n, "unknown agent %s (declare it under agents:)", shown);
	}
	if (slash && !slash[1])
		return plan_fail(r, n, "agent %s/: the model is missing", name);
	for (const char *c = slash; c && *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return plan_fail(r, n, "agent %s: a model with control characters", name);
	}
	json_t *model =
	    slash ? json_string_nocheck(slash + 1) : json_incref(json_object_get(entry, "model"));
	*out = json_pack("{s:s,s:o}", "name", name, "model", model);
	return 0;
}

/* A free name for an inline agent: the basename of its program, then -2, -3… The same
 * agent written twice is one. */
static void inline_add(struct plan_reader *r, json_t *entry, char **out)
{
	const char *program = json_text(json_object_get(entry, "profile"), "program");
	_cleanup_buf_ struct buf name = BUF_INIT;
	for (const char *c = base_name(program); *c && name.len < PLAN_NAME_MAX - 8; c++) {
		char one[2] = {*c, '\0'};
		buf_add(&name, is_agent_name(one) || (name.len && strchr(".-", *c)) ? c : "_", 1);
	}
	if (!name.len)
		buf_add_str(&name, "agent");
	*out = xstrdup(name.data);
	for (int n = 2;; n++) {
		json_t *there = json_object_get(r->agents, *out);
		if (there && json_equal(there, entry))
			break;
		if (!there && !agents_find(*out)) {
			entry_add(r, *out, json_incref(entry));
			break;
		}
		cleanup_free(out);
		*out = xasprintf("%s-%d", name.data, n);
	}
	json_decref(entry);
}

static int read_inline(struct plan_reader *r, const struct yaml_node *map, json_t **out)
{
	static const char *const keys[] = {"command", "mode", "prompt", "env", "model", NULL};
	if (plan_check_keys(r, map, keys, "an agent"))
		return -1;
	__attribute__((cleanup(said_finish))) struct said said = {0};
	if (read_said(r, map, &said))
		return -1;
	if (!said.command)
		return plan_fail(r, map, "an agent needs a command (or name one: agent: claude)");
	if (check_shell(r, yaml_get(map, "command"), said.command))
		return -1;
	_cleanup_free_ char *name = NULL;
	inline_add(r, entry_new(command_profile(&said), &said), &name);
	*out = json_pack("{s:s,s:o}", "name", name, "model",
	                 said.model ? json_incref(said.model) : json_null());
	return 0;
}

int plan_agent_value(struct plan_reader *r, const struct yaml_node *n, const char *what,
                     json_t **out)
{
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (n->type == YAML_MAP)
		return read_inline(r, n, out);
	json_t *text = NULL;
	if (n->type == YAML_LIST)
		return plan_fail(r, n, "%s must be one agent (several are alternatives:)", what);
	if (plan_value_word(r, n, what, &text))
		return -1;
	json_decref(text);
	if (!n->len)
		return plan_fail(r, n, "%s is empty", what);
	return plan_agent_named(r, n, n->text, out);
}

/* --- what the plan gets -------------------------------------------------------------- */

void plan_agent_use(struct plan_reader *r, const char *name)
{
	if (name && !json_object_get(r->used, name))
		json_object_set_new_nocheck(r->used, name, json_true());
}

const json_t *plan_agent_profile(struct plan_reader *r, const char *name)
{
	json_t *entry = name ? entry_find(r, name) : NULL;
	return entry ? json_object_get(entry, "profile") : NULL;
}

static json_t *used_parts(struct plan_reader *r, const char *part, bool keep_empty)
{
	json_t *parts = json_object();
	const char *name;
	json_t *unused;
	json_object_foreach (r->used, name, unused) {
		json_t *value = json_object_get(entry_find(r, name), part);
		if (keep_empty || json_object_size(value))
			json_object_set(parts, name, value);
	}
	return parts;
}

json_t *plan_agents_profiles(struct plan_reader *r)
{
	return used_parts(r, "profile", true);
}

json_t *plan_agents_secrets(struct plan_reader *r)
{
	return used_parts(r, "env", false);
}
