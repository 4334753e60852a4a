/* One agent as a file describes it (agents.yaml, `agents:` of a plan): its keys read and checked
 * where they stand, laid over what it changes, and made into the PROFILE of one mode. A
 * description is JSON with only what was said:
 *   {"exec"|"tui"|"acp":WAY,"levels":{"edit"|"ask"|"all":{"args","env"}},"mode","permissions",
 *    "model","env","output","version","limits","screen","hooks"}, WAY = {"command","prompt",
 *    "large","resume","session"}. Which names there are is not known here. */
#include <regex.h>
#include <string.h>

#include "plan_agents.h"
#include "text.h"

#define PATTERNS_MAX 64

static const char *const way_keys[] = {"command", "prompt", "large", "resume", "session", NULL};
static const char *const entry_keys[] = {"command",     "prompt", "large",  "resume",  "session",
                                         "mode",        "exec",   "tui",    "acp",     "env",
                                         "permissions", "model",  "levels", "output",  "version",
                                         "limits",      "screen", "hooks",  "extends", NULL};
static const char *const prompt_words[] = {"argv", "stdin", "type", "none", NULL};
static const char *const session_words[] = {"given", "reported", "none", NULL};
static const char *const until_words[] = {"seconds", "minutes", "epoch", "clock", "iso", NULL};
static const char *const output_words[] = {"text",     "claude", "codex",   "gemini",
                                           "opencode", "pi",     "copilot", NULL};
static const char *const mode_words[] = {"exec", "tui", "acp", NULL};
static const char *const permission_words[] = {"edit", "ask", "all", NULL};

static int need_map(struct plan_reader *r, const struct yaml_node *n, const char *what)
{
	return n->type == YAML_MAP ? 0 : plan_fail(r, n, "%s must be a mapping", what);
}

const char *plan_agent_program(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* --- ways ---------------------------------------------------------------------------- */

/* A placeholder inside shell code would make code of the prompt. */
static int check_shell(struct plan_reader *r, const struct yaml_node *n, const json_t *command)
{
	static const char *const marks[] = {
	    "{prompt}", "{prompt_file}", "{worktree}", "{task}",       "{key}",  "{branch}",
	    "{base}",   "{session}",     "{model}",    "{hooks_file}", "{hook}", "{permissions}"};
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
	const char *program = plan_agent_program(json_string_value(json_array_get(command, 0)));
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

static int read_command(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	json_t *command = NULL;
	if (plan_value_command(r, n, "command", &command))
		return -1;
	*out = command;
	return check_shell(r, n, command);
}

/* `large` and `resume`: another command, and how it gets its prompt. */
static int read_other(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      json_t **out)
{
	static const char *const keys[] = {"command", "prompt", NULL};
	const struct yaml_node *prompt;
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	*out = json_object();
	if (need_map(r, n, what) || plan_check_keys(r, n, keys, what))
		return -1;
	if (!yaml_get(n, "command"))
		return plan_fail(r, n, "%s needs a command", what);
	json_t *command = NULL, *word = NULL;
	int status = read_command(r, yaml_get(n, "command"), &command);
	json_object_set_new(*out, "command", command ? command : json_null());
	prompt = yaml_get(n, "prompt");
	if (status || (prompt && plan_value_choice(r, prompt, "prompt", prompt_words, &word)))
		return -1;
	if (word)
		json_object_set_new(*out, "prompt", word);
	return 0;
}

/* 1: not a key of a way. */
static int read_way_key(struct plan_reader *r, const char *key, const struct yaml_node *n,
                        json_t *way)
{
	json_t *value = NULL;
	int status = 1;
	if (strcmp(key, "command") == 0)
		status = read_command(r, n, &value);
	else if (strcmp(key, "prompt") == 0)
		status = plan_value_choice(r, n, key, prompt_words, &value);
	else if (strcmp(key, "session") == 0)
		status = plan_value_choice(r, n, key, session_words, &value);
	else if (strcmp(key, "large") == 0 || strcmp(key, "resume") == 0)
		status = read_other(r, n, key, &value);
	if (value)
		json_object_set_new(way, key, value);
	return status;
}

static int read_way(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out)
{
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	*out = json_object();
	if (need_map(r, n, what) || plan_check_keys(r, n, way_keys, what))
		return -1;
	for (size_t i = 0; i < n->count; i += 2) {
		if (read_way_key(r, n->items[i]->text, n->items[i + 1], *out))
			return -1;
	}
	return 0;
}

/* --- the other keys ------------------------------------------------------------------ */

static int read_list(struct plan_reader *r, const struct yaml_node *n, const char *what,
                     json_t **out)
{
	*out = json_array();
	if (n->type != YAML_LIST && !plan_is_null(n))
		return plan_fail(r, n, "%s must be a list", what);
	for (size_t i = 0; n->type == YAML_LIST && i < n->count; i++) {
		json_t *word = NULL;
		if (plan_value_word(r, n->items[i], what, &word))
			return -1;
		json_array_append_new(*out, word);
	}
	return 0;
}

static int check_pattern(struct plan_reader *r, const struct yaml_node *n, const char *text,
                         bool has_group)
{
	regex_t regex;
	char why[128];
	int status = regcomp(&regex, text, REG_EXTENDED);
	if (status) {
		regerror(status, &regex, why, sizeof why);
		return plan_fail(r, n, "not a regular expression: %s", why);
	}
	size_t groups = regex.re_nsub;
	regfree(&regex);
	if (has_group && !groups)
		return plan_fail(r, n, "until: the expression has no group (…) that it could read");
	return 0;
}

static int read_patterns(struct plan_reader *r, const struct yaml_node *n, const char *what,
                         json_t **out)
{
	if (read_list(r, n, what, out))
		return -1;
	if (json_array_size(*out) > PATTERNS_MAX)
		return plan_fail(r, n, "%s: more than %d expressions", what, PATTERNS_MAX);
	for (size_t i = 0; n->type == YAML_LIST && i < n->count; i++) {
		if (check_pattern(r, n->items[i], n->items[i]->text, false))
			return -1;
	}
	return 0;
}

static int read_limit(struct plan_reader *r, const struct yaml_node *n, json_t *limits)
{
	static const char *const keys[] = {"match", "until", NULL};
	_cleanup_json_ json_t *match = NULL, *until = json_null();
	if (need_map(r, n, "a limit") || plan_check_keys(r, n, keys, "a limit"))
		return -1;
	const struct yaml_node *m = yaml_get(n, "match"), *u = yaml_get(n, "until");
	if (!m)
		return plan_fail(r, n, "a limit needs match: a regular expression");
	if (plan_value_text(r, m, "match", &match))
		return -1;
	if (u && !plan_is_null(u) && plan_value_choice(r, u, "until", until_words, &until))
		return -1;
	if (check_pattern(r, m, m->text, json_is_string(until)))
		return -1;
	json_array_append_new(limits, json_pack("{s:O,s:O}", "match", match, "until", until));
	return 0;
}

static int read_limits(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	*out = json_array();
	if (n->type != YAML_LIST && !plan_is_null(n))
		return plan_fail(r, n, "limits must be a list of {match, until}");
	if (n->type == YAML_LIST && n->count > PATTERNS_MAX)
		return plan_fail(r, n, "limits: more than %d expressions", PATTERNS_MAX);
	for (size_t i = 0; n->type == YAML_LIST && i < n->count; i++) {
		if (read_limit(r, n->items[i], *out))
			return -1;
	}
	return 0;
}

static int read_screen(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	static const char *const keys[] = {"needs_input", "working", "idle", NULL};
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	*out = json_object();
	if (need_map(r, n, "screen") || plan_check_keys(r, n, keys, "screen"))
		return -1;
	for (size_t i = 0; keys[i]; i++) {
		const struct yaml_node *list = yaml_get(n, keys[i]);
		json_t *patterns = NULL;
		int status = list ? read_patterns(r, list, keys[i], &patterns) : 0;
		json_object_set_new(*out, keys[i], patterns ? patterns : json_array());
		if (status)
			return -1;
	}
	return 0;
}

static int read_hooks_file(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	static const char *const keys[] = {"name", "content", NULL};
	json_t *name = NULL;
	*out = json_object();
	if (need_map(r, n, "file") || plan_check_keys(r, n, keys, "file"))
		return -1;
	if (!yaml_get(n, "name") || !yaml_get(n, "content"))
		return plan_fail(r, n, "file needs a name and a content");
	if (plan_value_word(r, yaml_get(n, "name"), "name", &name))
		return -1;
	json_object_set_new(*out, "name", name);
	if (!plan_agent_is_name(json_string_value(name)))
		return plan_fail(r, yaml_get(n, "name"), "name: the bare name of a file");
	json_object_set_new(*out, "content", yaml_json(yaml_get(n, "content")));
	return 0;
}

static int read_hooks(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	static const char *const keys[] = {"args", "env", "file", NULL};
	const struct yaml_node *args, *env, *file;
	json_t *part[3] = {NULL, NULL, NULL};
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (need_map(r, n, "hooks") || plan_check_keys(r, n, keys, "hooks"))
		return -1;
	args = yaml_get(n, "args");
	env = yaml_get(n, "env");
	file = yaml_get(n, "file");
	int status = (args && read_list(r, args, "args", &part[0])) ||
	             (env && plan_value_env(r, env, "env", &part[1])) ||
	             (file && !plan_is_null(file) && read_hooks_file(r, file, &part[2]));
	*out =
	    json_pack("{s:o,s:o,s:o}", "args", part[0] ? part[0] : json_array(), "env",
	              part[1] ? part[1] : json_object(), "file", part[2] ? part[2] : json_null());
	return status ? -1 : 0;
}

static int read_levels(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	static const char *const keys[] = {"args", "env", NULL};
	*out = json_object();
	if (need_map(r, n, "levels") || plan_check_keys(r, n, permission_words, "levels"))
		return -1;
	for (size_t i = 0; i < n->count; i += 2) {
		const struct yaml_node *level = n->items[i + 1];
		json_t *args = NULL, *env = NULL;
		if (need_map(r, level, n->items[i]->text) ||
		    plan_check_keys(r, level, keys, "a level"))
			return -1;
		const struct yaml_node *a = yaml_get(level, "args"), *e = yaml_get(level, "env");
		int status = (a && read_list(r, a, "args", &args)) ||
		             (e && plan_value_env(r, e, "env", &env));
		json_object_set_new(*out, n->items[i]->text,
		                    json_pack("{s:o,s:o}", "args", args ? args : json_array(),
		                              "env", env ? env : json_object()));
		if (status)
			return -1;
	}
	return 0;
}

static int read_key(struct plan_reader *r, const char *key, const struct yaml_node *n,
                    json_t **value)
{
	if (strcmp(key, "exec") == 0 || strcmp(key, "tui") == 0 || strcmp(key, "acp") == 0)
		return read_way(r, n, key, value);
	if (strcmp(key, "mode") == 0)
		return plan_value_choice(r, n, key, mode_words, value);
	if (strcmp(key, "permissions") == 0)
		return plan_value_choice(r, n, key, permission_words, value);
	if (strcmp(key, "output") == 0)
		return plan_value_choice(r, n, key, output_words, value);
	if (strcmp(key, "model") == 0 || strcmp(key, "extends") == 0)
		return plan_value_word(r, n, key, value);
	if (strcmp(key, "env") == 0)
		return plan_value_env(r, n, key, value);
	if (strcmp(key, "version") == 0)
		return read_list(r, n, key, value);
	if (strcmp(key, "limits") == 0)
		return read_limits(r, n, value);
	if (strcmp(key, "screen") == 0)
		return read_screen(r, n, value);
	if (strcmp(key, "hooks") == 0)
		return read_hooks(r, n, value);
	return read_levels(r, n, value);
}

int plan_agent_entry_read(struct plan_reader *r, const struct yaml_node *map, const char *where,
                          json_t **out)
{
	_cleanup_json_ json_t *entry = json_object(), *way = json_object();
	if (plan_check_keys(r, map, entry_keys, where))
		return -1;
	for (size_t i = 0; i < map->count; i += 2) {
		const char *key = map->items[i]->text;
		json_t *value = NULL;
		int status = read_way_key(r, key, map->items[i + 1], way);
		if (status == 1)
			status = read_key(r, key, map->items[i + 1], &value);
		if (value)
			json_object_set_new(entry, key, value);
		if (status)
			return -1;
	}
	if (json_object_size(way))
		json_object_set(entry, "way", way);
	*out = json_incref(entry);
	return 0;
}

/* --- laying one over another --------------------------------------------------------- */

/* What a way's command says of its prompt is of that command only. */
static void lay_way(json_t *base, const json_t *said)
{
	if (json_object_get(said, "command") && !json_object_get(said, "prompt"))
		json_object_del(base, "prompt");
	json_object_update(base, (json_t *)said);
}

static void lay_key(json_t *out, const char *key, json_t *value)
{
	bool is_way = plan_agent_mode_known(key);
	json_t *base = json_object_get(out, key);
	if (is_way && json_is_object(base) && json_is_object(value))
		lay_way(base, value);
	else if ((strcmp(key, "levels") == 0 || strcmp(key, "env") == 0) && json_is_object(base))
		json_object_update(base, value);
	else
		json_object_set_new(out, key, json_deep_copy(value));
}

json_t *plan_agent_entry_lay(const json_t *base, const json_t *said)
{
	json_t *out = base ? json_deep_copy(base) : json_object();
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)said, key, value) {
		if (strcmp(key, "way") != 0 && strcmp(key, "extends") != 0)
			lay_key(out, key, value);
	}
	/* Keys of a way without a way are those of the mode it runs in. */
	json_t *way = json_object_get(said, "way");
	const char *mode = json_text(out, "mode");
	if (!way)
		return out;
	mode = mode ? mode : "exec";
	if (json_object_get(way, "command"))
		json_object_del(out, mode);
	if (!json_is_object(json_object_get(out, mode)))
		json_object_set_new(out, mode, json_object());
	lay_way(json_object_get(out, mode), way);
	return out;
}

bool plan_agent_mode_known(const char *mode)
{
	for (size_t i = 0; mode_words[i]; i++) {
		if (strcmp(mode, mode_words[i]) == 0)
			return true;
	}
	return false;
}

/* --- the profile of one mode --------------------------------------------------------- */

/* argv with the arguments of that level in the place of "{permissions}". New reference. */
static json_t *way_command(const json_t *command, const json_t *level)
{
	if (json_is_string(command))
		return json_pack("[s,s,O]", "/bin/sh", "-c", command);
	json_t *out = json_array();
	size_t i;
	json_t *arg;
	json_array_foreach (command, i, arg) {
		if (strcmp(json_string_value(arg), "{permissions}") != 0)
			json_array_append(out, arg);
		else
			json_array_extend(out, json_object_get(level, "args"));
	}
	return out;
}

static const char *prompt_way(const json_t *way, const json_t *command, const char *mode)
{
	const char *said = json_text(way, "prompt");
	if (said)
		return said;
	if (agents_mentions(command, "{prompt}") || agents_mentions(command, "{prompt_file}"))
		return "argv";
	return strcmp(mode, "exec") == 0 ? "stdin" : "none";
}

static json_t *other_way(const json_t *way, const char *key, const json_t *level, const char *mode)
{
	const json_t *other = json_object_get(way, key);
	if (!json_is_object(other))
		return json_null();
	json_t *command = way_command(json_object_get(other, "command"), level);
	return json_pack("{s:o,s:s}", "command", command, "prompt",
	                 prompt_way(other, command, mode));
}

/* A session that the command does not mention cannot have been given. */
static const char *session_of(const json_t *way, const json_t *command)
{
	const char *said = json_text(way, "session");
	bool mentioned = agents_mentions(command, "{session}");
	if (said && (strcmp(said, "given") != 0 || mentioned))
		return said;
	return mentioned ? "given" : "none";
}

static json_t *part_or(const json_t *entry, const char *key, json_t *otherwise)
{
	json_t *part = json_object_get(entry, key);
	if (!part)
		return otherwise;
	json_decref(otherwise);
	return json_incref(part);
}

json_t *plan_agent_entry_profile(const json_t *entry, const char *mode, const char *permissions)
{
	const json_t *way = json_object_get(entry, mode);
	const json_t *level = json_sub(json_object_get(entry, "levels"), permissions);
	if (!json_object_get(way, "command"))
		return NULL;
	json_t *command = way_command(json_object_get(way, "command"), level);
	json_t *env = json_object_get(level, "env");
	const char *output = json_text(entry, "output");
	bool exec = strcmp(mode, "exec") == 0;
	return json_pack(
	    "{s:o,s:s,s:s,s:o,s:O,s:s,s:o,s:s,s:o,s:o,s:o,s:o,s:o}", "command", command, "mode",
	    mode, "prompt", prompt_way(way, command, mode), "env",
	    env ? json_incref(env) : json_object(), "program", json_array_get(command, 0), "output",
	    exec && output ? output : "text", "large", other_way(way, "large", level, mode),
	    "session", session_of(way, command), "resume", other_way(way, "resume", level, mode),
	    "limits", part_or(entry, "limits", json_array()), "screen",
	    part_or(entry, "screen", json_null()), "hooks",
	    /* ACP says all that hooks would, and its requests have options: one source, not two. */
	    strcmp(mode, "acp") == 0 ? json_null() : part_or(entry, "hooks", json_null()),
	    "version", part_or(entry, "version", json_array()));
}
