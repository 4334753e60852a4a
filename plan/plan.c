/* The two readings of YAML files: a whole plan, and the defaults for what is not one. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"
#include "text.h"

/* Part of a branch's name: pleach/<plan>/<key>. */
static bool is_plan_name(const char *name)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strlen(name);
	return len && len <= PLAN_NAME_MAX && !name[strspn(name, set)] && plan_is_branch(name);
}

/* The file's stem, made fit for a name. Caller frees. */
static char *stem_name(const struct plan_reader *r)
{
	const char *path = r->at->path ? r->at->path : "stdin";
	const char *slash = strrchr(path, '/');
	char *name = xstrndup(slash ? slash + 1 : path, PLAN_NAME_MAX);
	char *dot = strrchr(name, '.');
	if (dot && dot != name)
		*dot = '\0';
	for (char *c = name; *c; c++) {
		char one[2] = {*c, '\0'};
		if (!is_plan_name(one))
			*c = '-';
	}
	if (name[0] == '-')
		name[0] = '_';
	return name;
}

/* Where it was said: on the command line or in the file. */
static int name_fail(struct plan_reader *r, const struct yaml_node *node, const char *name,
                     const char *what)
{
	_cleanup_free_ char *shown = text_safe(name, PLAN_SHOWN);
	if (r->ctx->name)
		return error_set(r->err, ERROR_INVALID, "--name %s%s", shown, what);
	return plan_fail(r, node, "name %s%s", shown, what);
}

static int plan_name(struct plan_reader *r, char **out)
{
	const struct yaml_node *node = yaml_get(r->at->root, "name");
	bool is_said = node && node->type == YAML_SCALAR && !plan_is_null(node);
	const char *written = is_said ? node->text : NULL; /* null is refused with the settings */
	const char *said = r->ctx->name ? r->ctx->name : written;
	_cleanup_free_ char *name = said ? xstrdup(said) : stem_name(r);
	_cleanup_free_ char *rule = xasprintf(
	    ": a plan's name has letters, digits, _ . and -, at most %d characters", PLAN_NAME_MAX);
	if (!is_plan_name(name))
		return name_fail(r, node, name, rule);
	if (text_is_adhoc(name))
		return name_fail(r, node, name,
		                 " is taken by tasks without a plan (set name: or --name)");
	*out = name;
	name = NULL;
	return 0;
}

static void set_or_null(json_t *out, const char *key, json_t *value)
{
	json_object_set_new(out, key, value ? json_incref(value) : json_null());
}

static void set_place(json_t *out, const struct plan_reader *r, const char *key)
{
	json_t *place = json_object_get(r->settings, key);
	_cleanup_free_ char *first = plan_place(r, NULL);
	json_object_set_new(out, key, place ? json_incref(place) : json_string_nocheck(first));
}

static json_t *plan_json(struct plan_reader *r, const char *name, json_t *tasks)
{
	json_t *plan = json_object();
	json_object_set_new(plan, "name", json_string(name));
	json_object_set_new(plan, "source", json_text_or_null(r->at->path));
	set_or_null(plan, "base", json_object_get(r->settings, "base"));
	set_or_null(plan, "target", json_object_get(r->settings, "target"));
	set_place(plan, r, "base_at");
	set_place(plan, r, "target_at");
	json_object_set_new(plan, "landing", plan_landing(r));
	set_or_null(plan, "keys", json_object_get(r->settings, "keys"));
	json_object_set_new(plan, "limits", plan_config_limits(r));
	json_object_set_new(plan, "budget_day", plan_budget_day(r));
	json_object_set_new(plan, "team", plan_config_team(r));
	json_object_set_new(plan, "agents", plan_agents_profiles(r));
	json_object_set(plan, "tasks", tasks);
	return plan;
}

/* What is wrong with one part does not keep the others from being read. */
static int read_all(struct plan_reader *r, char **name, json_t **tasks, json_t **task_secrets)
{
	if (plan_config_note(r) || (plan_name(r, name) && plan_note(r)) ||
	    plan_tasks_read(r, tasks, task_secrets))
		return -1;
	struct plan_source *source = r->at;
	if (plan_config_check_limits(r))
		return -1;
	r->at = source;
	return plan_noted(r);
}

/* The file whose defaults a reader might expect this plan to have. New reference. */
static json_t *left_out(const struct plan_source *file, const struct plan_source *plan)
{
	static const char *const defaults[] = {"verify", "setup", "agents", "defaults"};
	for (size_t i = 0; file->root && i < ARRAY_LEN(defaults); i++)
		if (yaml_get(file->root, defaults[i]) && !yaml_get(plan->root, defaults[i]))
			return json_string_nocheck(file->name);
	return json_null();
}

int plan_read(const char *file, const struct plan_context *ctx, json_t **plan, json_t **secrets,
              json_t **warnings, struct error *err)
{
	_cleanup_reader_ struct plan_reader r;
	_cleanup_json_ json_t *tasks = NULL, *task_secrets = NULL;
	_cleanup_free_ char *name = NULL;
	plan_reader_init(&r, ctx, err);
	if (plan_source_read(&r, file))
		return -1;
	/* The plan is read first, so that its own mistakes are told first, but counts last. */
	struct plan_source first = r.sources[0];
	r.source_count = 0;
	int status = plan_sources_read_config(&r, first.path, false);
	r.sources[r.source_count++] = first;
	if (status)
		return -1;
	if (read_all(&r, &name, &tasks, &task_secrets))
		return plan_tell(&r);
	*plan = plan_json(&r, name, tasks);
	json_object_set_new(*plan, "left_out", left_out(&r.left_out, &first));
	*secrets = json_pack("{s:O,s:o,s:O}", "plan", r.env, "agents", plan_agents_secrets(&r),
	                     "tasks", task_secrets);
	*warnings = json_incref(r.warnings);
	return 0;
}

/* --- defaults ------------------------------------------------------------------------ */

static json_t *files_json(const struct plan_reader *r)
{
	json_t *files = json_array();
	for (size_t i = 0; i < r->source_count; i++) {
		if (r->sources[i].path)
			json_array_append_new(files, json_text_or_null(r->sources[i].path));
	}
	return files;
}

static void use_declared(struct plan_reader *r)
{
	const char *name;
	json_t *entry;
	json_object_foreach (r->agents, name, entry) {
		plan_agent_use(r, name);
	}
}

static json_t *defaults_json(struct plan_reader *r)
{
	static const char *const settings[] = {"base", "target"};
	static const char *const fields[] = {"priority", "when", "choose"};
	json_t *out = json_object();
	json_t *agent = json_object_get(r->fields, "agent");
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		set_or_null(out, settings[i], json_object_get(r->settings, settings[i]));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		set_or_null(out, fields[i], json_object_get(r->fields, fields[i]));
	json_object_set_new(out, "agent", json_text_or_null(json_text(agent, "name")));
	json_object_set_new(out, "model", json_text_or_null(json_text(agent, "model")));
	json_object_set_new(out, "spec", plan_fields_spec(r->fields));
	json_object_set_new(out, "limits", plan_config_limits(r));
	json_object_set_new(out, "budget_day", plan_budget_day(r));
	json_object_set_new(out, "team", plan_config_team(r));
	use_declared(r);
	json_object_set_new(out, "agents", plan_agents_profiles(r));
	json_t *keys = json_object_get(r->settings, "keys");
	json_object_set_new(out, "keys", keys ? json_incref(keys) : json_object());
	json_object_set_new(out, "files", files_json(r));
	return out;
}

int plan_defaults_read(const struct plan_context *ctx, json_t **defaults, json_t **secrets,
                       json_t **warnings, struct error *err)
{
	_cleanup_reader_ struct plan_reader r;
	plan_reader_init(&r, ctx, err);
	if (plan_sources_read_config(&r, NULL, true) || plan_config_read(&r))
		return -1;
	*defaults = defaults_json(&r);
	*secrets =
	    json_pack("{s:O,s:o,s:{}}", "plan", r.env, "agents", plan_agents_secrets(&r), "tasks");
	*warnings = json_incref(r.warnings);
	return 0;
}

int plan_profile_read(const struct plan_context *ctx, const char *agent, json_t **profile,
                      json_t **secrets, struct error *err)
{
	_cleanup_reader_ struct plan_reader r;
	_cleanup_json_ json_t *named = NULL;
	plan_reader_init(&r, ctx, err);
	if (plan_sources_read_config(&r, NULL, true) || plan_config_read(&r))
		return -1;
	struct plan_source options = {.name = (char *)"agent"};
	r.at = &options;
	if (plan_agent_named(&r, NULL, agent, &named)) {
		r.err->code = ERROR_NOT_FOUND;
		return -1;
	}
	plan_agent_use(&r, json_text(named, "name"));
	*profile = json_incref((json_t *)plan_agent_profile(&r, json_text(named, "name")));
	*secrets = plan_agents_secrets(&r);
	return 0;
}

int plan_agents_list(const struct plan_context *ctx, json_t **agents, json_t **warnings,
                     struct error *err)
{
	_cleanup_reader_ struct plan_reader r;
	plan_reader_init(&r, ctx, err);
	if (plan_sources_read_config(&r, NULL, true) || plan_config_read(&r))
		return -1;
	*agents = plan_agents_all(&r);
	*warnings = json_incref(r.warnings);
	return 0;
}
