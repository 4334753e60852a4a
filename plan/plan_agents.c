/* The agents of a plan: built in, the user's, declared, and written into a task; each becomes a
 * named PROFILE. A name means one thing in a whole plan. A declaration with a command stands for
 * itself; one without changes what the name meant before, key by key: built in, agents.yaml,
 * config.yaml, pleach.yaml, the plan. */
#include "plan_agents.h"

#include <string.h>

#include "text.h"

#define EXTENDS_MAX 16

bool plan_agent_is_name(const char *name)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strlen(name);
	return len && len <= PLAN_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       !name[strspn(name, set)];
}

/* --- entries: NAME → {"said","profile","model","env","from":[FILE]} ------------------- */

static const char *mode_of(const json_t *said)
{
	static const char *const modes[] = {"exec", "tui", "acp"};
	const char *mode = json_text(said, "mode");
	for (size_t i = 0; !mode && i < ARRAY_LEN(modes); i++) {
		if (json_object_get(json_object_get(said, modes[i]), "command"))
			mode = modes[i];
	}
	return mode ? mode : "exec";
}

/* Takes `from`. New reference; NULL: there is no command for that mode. */
static json_t *entry_new(struct plan_reader *r, const json_t *said, const char *mode, json_t *from)
{
	const char *permissions = json_text(said, "permissions");
	json_t *profile = plan_agent_entry_profile(
	    said, mode, permissions ? permissions : agent_permissions_word(r->permissions));
	json_t *model = json_object_get(said, "model"), *env = json_object_get(said, "env");
	if (!profile) {
		json_decref(from);
		return NULL;
	}
	return json_pack("{s:O,s:o,s:o,s:o,s:o}", "said", said, "profile", profile, "model",
	                 model ? json_incref(model) : json_null(), "env",
	                 env ? json_incref(env) : json_object(), "from", from);
}

static void entry_add(struct plan_reader *r, const char *name, json_t *entry)
{
	json_object_set_new_nocheck(r->agents, name, entry);
	strv_free(r->agent_names);
	r->agent_names = NULL;
}

/* Of agents.yaml inside the program only the one that is wanted is parsed. */
static json_t *builtin_read(struct plan_reader *r, const char *name)
{
	const struct yaml_limits limits = {
	    .depth = PLAN_DEPTH_MAX, .nodes = PLAN_NODES_MAX, .kept = r->kept};
	struct plan_source source = {.name = (char *)"built-in agents"}, *before = r->at;
	struct error err = ERROR_INIT, *errors = r->err;
	json_t *said = NULL;
	size_t bytes = 0;
	const char *text = agents_builtin(name, &bytes);
	if (!text)
		return NULL;
	r->at = &source;
	r->err = &err;
	if (yaml_parse(source.name, text, bytes, &limits, &source.doc, &err))
		die("%s", err.text);
	source.root = yaml_root(source.doc);
	if (!source.root || source.root->type != YAML_MAP || source.root->count != 2)
		die("%s: what was kept of them is no agent (remove %s)", source.name, r->kept);
	if (plan_agent_entry_read(r, source.root->items[1], name, &said))
		die("%s", err.text);
	yaml_free(source.doc);
	r->at = before;
	r->err = errors;
	return said;
}

/* The entry of a name, made of the built-in agent where it is not there yet. Borrowed. */
static json_t *entry_find(struct plan_reader *r, const char *name)
{
	json_t *entry = json_object_get(r->agents, name);
	_cleanup_json_ json_t *said = entry ? NULL : builtin_read(r, name);
	if (said)
		entry_add(r, name, entry_new(r, said, mode_of(said), json_pack("[s]", "built in")));
	return json_object_get(r->agents, name);
}

int plan_agent_set_mode(struct plan_reader *r, const char *name, const char *mode)
{
	const json_t *entry = entry_find(r, name);
	json_t *other = entry_new(r, json_object_get(entry, "said"), mode,
	                          json_incref(json_object_get(entry, "from")));
	if (!other)
		return -1;
	entry_add(r, name, other);
	return 0;
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

static int fail_unknown(struct plan_reader *r, const struct yaml_node *n, const char *name)
{
	_cleanup_free_ char *shown = text_safe(name, PLAN_SHOWN);
	const char *near = text_nearest(name, all_names(r));
	if (near)
		return plan_fail(r, n, "unknown agent %s (did you mean %s?)", shown, near);
	return plan_fail(r, n, "unknown agent %s (declare it under agents:)", shown);
}

/* --- declaring ----------------------------------------------------------------------- */

static bool has_own_command(const json_t *said)
{
	return json_object_get(json_object_get(said, "way"), "command") != NULL;
}

/* What a command of one's own is by itself: what its program prints is known by its name. */
static json_t *like(struct plan_reader *r, const json_t *said)
{
	static const char *const keys[] = {"output", "limits", "screen", "version"};
	const json_t *command = json_object_get(json_object_get(said, "way"), "command");
	const char *program = json_string_value(json_array_get(command, 0));
	_cleanup_json_ json_t *known =
	    program ? builtin_read(r, plan_agent_program(program)) : NULL;
	json_t *out = json_object();
	for (size_t i = 0; known && i < ARRAY_LEN(keys); i++) {
		if (json_object_get(known, keys[i]))
			json_object_set(out, keys[i], json_object_get(known, keys[i]));
	}
	return out;
}

static json_t *from_of(const struct plan_reader *r, const json_t *base)
{
	json_t *from = json_object_get(base, "from");
	json_t *out = from ? json_copy(from) : json_array();
	json_array_append_new(out, json_string_nocheck(r->at->name));
	return out;
}

/* What a declaration says, over what it changes. */
static int declare_over(struct plan_reader *r, const struct yaml_node *name,
                        const struct yaml_node *map, const json_t *said, const json_t *base)
{
	_cleanup_json_ json_t *alone = base ? NULL : like(r, said);
	_cleanup_json_ json_t *whole =
	    plan_agent_entry_lay(base ? json_object_get(base, "said") : alone, said);
	const char *mode = mode_of(whole);
	json_t *entry = entry_new(r, whole, mode, from_of(r, base));
	if (entry) {
		entry_add(r, name->text, entry);
		return 0;
	}
	if (base)
		return plan_fail(r, yaml_get(map, "mode"), "agent %s has no mode %s", name->text,
		                 mode);
	return plan_fail(r, name,
	                 "agent %s has no command (such as [sh, fix.sh, \"{prompt_file}\"])",
	                 name->text);
}

static int declare(struct plan_reader *r, const struct yaml_node *all, size_t at, json_t *done,
                   int depth);

/* The one that is extended: it may stand further down in the same file. */
static int find_base(struct plan_reader *r, const struct yaml_node *all, const char *name,
                     const struct yaml_node *map, const json_t *said, json_t *done, int depth,
                     json_t **base)
{
	const char *extends = json_text(said, "extends");
	const struct yaml_node *n = yaml_get(map, "extends");
	*base = NULL;
	if (!extends) {
		if (!has_own_command(said))
			*base = entry_find(r, name);
		return 0;
	}
	for (size_t i = 0; strcmp(extends, name) != 0 && i < all->count; i += 2) {
		if (strcmp(all->items[i]->text, extends) != 0 || json_object_get(done, extends))
			continue;
		if (depth >= EXTENDS_MAX)
			return plan_fail(r, n, "extends: agents that extend each other in a ring");
		if (declare(r, all, i, done, depth + 1))
			return -1;
	}
	*base = entry_find(r, extends);
	return *base ? 0 : fail_unknown(r, n, extends);
}

static int declare(struct plan_reader *r, const struct yaml_node *all, size_t at, json_t *done,
                   int depth)
{
	const struct yaml_node *name = all->items[at], *map = all->items[at + 1];
	_cleanup_free_ char *shown = text_safe(name->text, PLAN_SHOWN);
	_cleanup_free_ char *where = xasprintf("agent %s", shown);
	_cleanup_json_ json_t *said = NULL;
	json_t *base;
	if (json_object_get(done, name->text))
		return 0;
	if (!plan_agent_is_name(name->text))
		return plan_fail(r, name,
		                 "agent %s: a name has letters, digits, _ . - and at most %d "
		                 "characters",
		                 shown, PLAN_NAME_MAX);
	if (map->type != YAML_MAP)
		return plan_fail(r, map, "agent %s must be a mapping with a command", shown);
	if (plan_agent_entry_read(r, map, where, &said) ||
	    find_base(r, all, name->text, map, said, done, depth, &base) ||
	    declare_over(r, name, map, said, base))
		return -1;
	json_object_set_new_nocheck(done, name->text, json_true());
	return 0;
}

int plan_agents_read(struct plan_reader *r, const struct yaml_node *map)
{
	_cleanup_json_ json_t *done = json_object();
	if (map->type != YAML_MAP && !plan_is_null(map))
		return plan_fail(r, map, "agents must be a mapping of names to agents");
	for (size_t i = 0; map->type == YAML_MAP && i < map->count; i += 2) {
		if (declare(r, map, i, done, 0))
			return -1;
	}
	return 0;
}

/* --- naming one ---------------------------------------------------------------------- */

int plan_agent_named(struct plan_reader *r, const struct yaml_node *n, const char *text,
                     json_t **out)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *name = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	json_t *entry = entry_find(r, name);
	if (!entry)
		return fail_unknown(r, n, name);
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
	size_t bytes;
	for (const char *c = plan_agent_program(program); *c && name.len < PLAN_NAME_MAX - 8; c++) {
		char one[2] = {*c, '\0'};
		buf_add(&name, plan_agent_is_name(one) || (name.len && strchr(".-", *c)) ? c : "_",
		        1);
	}
	if (!name.len)
		buf_add_str(&name, "agent");
	*out = xstrdup(name.data);
	for (int n = 2;; n++) {
		json_t *there = json_object_get(r->agents, *out);
		if (there && json_equal(there, entry))
			break;
		if (!there && !agents_builtin(*out, &bytes)) {
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
	static const char *const keys[] = {"command", "mode",   "prompt", "large",
	                                   "session", "resume", "output", "limits",
	                                   "env",     "model",  NULL};
	_cleanup_json_ json_t *said = NULL;
	if (plan_check_keys(r, map, keys, "an agent") ||
	    plan_agent_entry_read(r, map, "an agent", &said))
		return -1;
	if (!has_own_command(said))
		return plan_fail(r, map, "an agent needs a command (or name one: agent: claude)");
	_cleanup_json_ json_t *known = like(r, said), *whole = plan_agent_entry_lay(known, said);
	json_t *entry = entry_new(r, whole, mode_of(whole), from_of(r, NULL));
	_cleanup_free_ char *name = NULL;
	inline_add(r, entry, &name);
	*out = json_pack("{s:s,s:O}", "name", name, "model",
	                 json_object_get(json_object_get(r->agents, name), "model"));
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

json_t *plan_agents_all(struct plan_reader *r)
{
	json_t *all = json_array();
	for (const char *const *name = agents_names(); *name; name++)
		entry_find(r, *name);
	for (const char *const *names = all_names(r); names && *names; names++) {
		const json_t *entry = entry_find(r, *names);
		json_array_append_new(all, json_pack("{s:s,s:O,s:O,s:O}", "name", *names, "from",
		                                     json_object_get(entry, "from"), "said",
		                                     json_object_get(entry, "said"), "profile",
		                                     json_object_get(entry, "profile")));
	}
	return all;
}
