/* The files of a plan: finding and parsing them, messages that name a place, and the check
 * that a mapping holds only keys that mean something. Values are read elsewhere. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"
#include "plan_internal.h"
#include "text.h"

void plan_reader_init(struct plan_reader *r, const struct plan_context *ctx, struct error *err)
{
	static struct error nobody;
	*r = (struct plan_reader){.ctx = ctx, .err = err ? err : &nobody};
	if (ctx->keep) {
		_cleanup_free_ char *state = place_state_home();
		r->kept = xasprintf("%s/.yaml", state);
	}
	r->agents = json_object();
	r->used = json_object();
	r->fields = json_object();
	r->settings = json_object();
	r->env = json_object();
	r->warnings = json_array();
}

static void source_finish(struct plan_source *source)
{
	yaml_free(source->doc);
	free(source->name);
	free(source->path);
	free(source->dir);
}

void plan_reader_finish(struct plan_reader *r)
{
	for (size_t i = 0; i < r->source_count; i++)
		source_finish(&r->sources[i]);
	source_finish(&r->user_agents);
	source_finish(&r->left_out);
	free(r->kept);
	json_decref(r->agents);
	json_decref(r->used);
	json_decref(r->fields);
	json_decref(r->settings);
	json_decref(r->env);
	json_decref(r->warnings);
	json_decref(r->default_agent);
	strv_free(r->agent_names);
	buf_finish(&r->mistakes);
}

static char *message(const struct plan_reader *r, const struct yaml_node *node, const char *fmt,
                     va_list args)
{
	_cleanup_free_ char *what = xvasprintf(fmt, args), *place = plan_place(r, node);

	return xasprintf("%s: %s", place, what);
}

int plan_fail(struct plan_reader *r, const struct yaml_node *node, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	_cleanup_free_ char *text = message(r, node, fmt, args);
	va_end(args);
	return error_set(r->err, ERROR_INVALID, "%s", text);
}

int plan_note(struct plan_reader *r)
{
	static const size_t room = ERROR_TEXT_MAX - 64; /* for what plan_noted adds */
	size_t len = strlen(r->err->text);
	if (r->err->code != ERROR_INVALID || r->enough)
		return -1;
	if (r->mistakes.len && strstr(r->mistakes.data, r->err->text))
		return 0;
	if (r->mistake_count && r->mistakes.len + 1 + len > room) {
		r->enough = true;
		return -1;
	}
	if (r->mistake_count++)
		buf_add_str(&r->mistakes, "\n");
	buf_add(&r->mistakes, r->err->text, len);
	r->enough = r->mistake_count >= PLAN_MISTAKES_MAX;
	return r->enough ? -1 : 0;
}

int plan_noted(struct plan_reader *r)
{
	if (!r->mistake_count)
		return 0;
	return error_set(r->err, ERROR_INVALID, "%s%s", r->mistakes.data,
	                 r->enough ? "\n(mend these first: there may be more)" : "");
}

int plan_tell(struct plan_reader *r)
{
	plan_note(r); /* whether or not there may be more */
	plan_noted(r);
	return -1;
}

void plan_warn(struct plan_reader *r, const struct yaml_node *node, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	_cleanup_free_ char *text = message(r, node, fmt, args);
	va_end(args);
	json_array_append_new(r->warnings, json_string_nocheck(text));
}

char *plan_place(const struct plan_reader *r, const struct yaml_node *node)
{
	const char *name = r->at ? r->at->name : "plan";
	if (r->at && !r->at->doc)
		return xstrdup(name); /* the command line has no lines */
	return xasprintf("%s:%d:%d", name, node ? node->line : 1, node ? node->column : 1);
}

char *plan_path(const struct plan_reader *r, const char *path)
{
	if (path[0] == '/')
		return xstrdup(path);
	return xasprintf("%s/%s", r->at->dir, path);
}

json_t *plan_text_json(const struct yaml_node *node)
{
	return json_stringn_nocheck(node->text, node->len);
}

/* --- keys ---------------------------------------------------------------------------- */

/* What people write who know other tools. Used where the right word is a key there. */
static const struct {
	const char *wrong;
	const char *right;
} aliases[] = {
    {"needs", "blocked_by"},
    {"depends_on", "blocked_by"},
    {"depends", "blocked_by"},
    {"dependencies", "blocked_by"},
    {"deps", "blocked_by"},
    {"after", "blocked_by"},
    {"requires", "blocked_by"},
    {"blockers", "blocked_by"},
    {"test", "verify"},
    {"tests", "verify"},
    {"check", "verify"},
    {"checks", "verify"},
    {"validate", "verify"},
    {"cmd", "command"},
    {"run", "command"},
    {"args", "command"},
    {"argv", "command"},
    {"program", "command"},
    {"name", "id"},
    {"key", "id"},
    {"title", "subject"},
    {"summary", "subject"},
    {"description", "prompt"},
    {"task", "prompt"},
    {"text", "prompt"},
    {"instructions", "prompt"},
    {"file", "prompt_file"},
    {"variants", "alternatives"},
    {"candidates", "alternatives"},
    {"steps", "tasks"},
    {"jobs", "tasks"},
    {"teammates", "team"},
    {"workers", "team"},
    {"branch", "target"},
    {"into", "target"},
    {"environment", "env"},
    {"permission", "permissions"},
    {"max_retries", "retries"},
    {"retry", "retries"},
    {"attempts", "retries"},
    {"time_limit", "timeout"},
    {"max_time", "timeout"},
    {"soft_timeout", "wrap_up"},
    {"idle_timeout", "no_progress"},
    {"inactivity", "no_progress"},
    {"max_cost", "budget"},
    {"cost", "budget"},
    {"meta", "metadata"},
    {"labels", "metadata"},
    {"default", "defaults"},
    {"limit", "limits"},
    {"symlink", "link"},
    {"before", "setup"},
    {"init", "setup"},
    {"select", "choose"},
    {"pick", "choose"},
    {"worktree", "slot"},
    {"model", "agent: NAME/MODEL"},
};

static bool known_key(const char *key, const char *const *known)
{
	for (; *known; known++) {
		if (strcmp(key, *known) == 0)
			return true;
	}
	return false;
}

static const char *alias_of(const char *key, const char *const *known)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		if (strcmp(aliases[i].wrong, key) != 0)
			continue;
		if (known_key(aliases[i].right, known))
			return aliases[i].right;
		if (strcmp(key, "model") == 0 && known_key("agent", known))
			return aliases[i].right;
	}
	return NULL;
}

/* The key that was meant, or NULL. Borrowed. */
static const char *suggest(const char *key, const char *const *known)
{
	/* Dashes and capitals for underscores and small letters: dependsOn, depends-on. */
	_cleanup_buf_ struct buf plain = BUF_INIT;
	for (const char *c = key; *c; c++) {
		char low = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
		if (isupper((unsigned char)*c) && c > key && islower((unsigned char)c[-1]))
			buf_add_str(&plain, "_");
		buf_add(&plain, &low, 1);
	}
	const char *right = alias_of(plain.len ? plain.data : key, known);
	return right ? right : text_nearest(plain.len ? plain.data : key, known);
}

/* `*listed`: what there is was told already, with another key of the same mapping. */
static int fail_key(struct plan_reader *r, const struct yaml_node *key, const char *const *known,
                    const char *where, bool *listed)
{
	_cleanup_free_ char *shown = text_safe(key->text, PLAN_SHOWN);
	const char *right = suggest(key->text, known);
	if (known_key("tasks", known) && known_key(key->text, plan_field_names))
		return plan_fail(r, key,
		                 "unknown key %s in %s (it belongs to a task or under "
		                 "defaults:)",
		                 shown, where);
	if (right)
		return plan_fail(r, key, "unknown key %s in %s (did you mean %s?)", shown, where,
		                 right);
	if (*listed)
		return plan_fail(r, key, "unknown key %s in %s", shown, where);
	*listed = true;
	_cleanup_buf_ struct buf list = BUF_INIT;
	for (size_t i = 0; known[i]; i++)
		buf_printf(&list, "%s%s", i ? " " : "", known[i]);
	return plan_fail(r, key, "unknown key %s in %s (it takes: %s)", shown, where, list.data);
}

int plan_check_keys(struct plan_reader *r, const struct yaml_node *map, const char *const *known,
                    const char *where)
{
	bool listed = false;
	int status = 0;
	for (size_t i = 0; i < map->count; i += 2) {
		if (known_key(map->items[i]->text, known))
			continue;
		status = fail_key(r, map->items[i], known, where, &listed);
		if (plan_note(r))
			return -1;
	}
	return status;
}

/* --- files --------------------------------------------------------------------------- */

static int read_stdin(char **data, size_t *len, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	ssize_t n;
	while ((n = buf_read(&text, STDIN_FILENO, 64u << 10)) > 0) {
		if (text.len > PLAN_FILE_MAX)
			return error_set(err, ERROR_INVALID,
			                 "stdin:1:1: a plan of more than %u MiB",
			                 PLAN_FILE_MAX >> 20);
	}
	if (n < 0)
		return error_errno(err, "cannot read the plan from stdin");
	*len = text.len;
	*data = buf_take(&text);
	return 0;
}

static int read_file(const char *path, const char *name, char **data, size_t *len,
                     struct error *err)
{
	struct stat st;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID, "%s:1:1: a directory, not a file", name);
	if (place_read_file(path, PLAN_FILE_MAX, data, len, err) == 0)
		return 0;
	if (err->code == ERROR_NOT_FOUND)
		return error_set(err, ERROR_NOT_FOUND, "%s:1:1: no such file", name);
	if (err->code == ERROR_INVALID)
		return error_set(err, ERROR_INVALID, "%s:1:1: a file of more than %u MiB", name,
		                 PLAN_FILE_MAX >> 20);
	return -1;
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static char *current_dir(const struct plan_context *ctx)
{
	char *cwd = realpath(ctx->cwd ? ctx->cwd : ".", NULL);
	return cwd ? cwd : xstrdup(".");
}

/* Takes the strings; parses. What came from no file (path NULL) is not kept in one either. */
static int source_add(struct plan_reader *r, char *name, char *path, char *dir, const char *data,
                      size_t len)
{
	const struct yaml_limits limits = {
	    .depth = PLAN_DEPTH_MAX, .nodes = PLAN_NODES_MAX, .kept = path ? r->kept : NULL};
	struct plan_source *source = &r->sources[r->source_count++];
	*source = (struct plan_source){.name = name, .path = path, .dir = dir};
	r->at = source;
	if (yaml_parse(name, data, len, &limits, &source->doc, r->err))
		return -1;
	source->root = yaml_root(source->doc);
	if (!source->root)
		return plan_fail(r, NULL, "the file is empty (a plan has tasks:)");
	if (source->root->type != YAML_MAP)
		return plan_fail(r, source->root, "not a mapping of keys to values");
	return 0;
}

int plan_source_read(struct plan_reader *r, const char *file)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	_cleanup_free_ char *cwd = current_dir(r->ctx);
	if (strcmp(file, "-") == 0) {
		if (read_stdin(&data, &len, r->err))
			return -1;
		return source_add(r, xstrdup("stdin"), NULL, xstrdup(cwd), data, len);
	}
	_cleanup_free_ char *joined =
	    file[0] == '/' ? xstrdup(file) : xasprintf("%s/%s", cwd, file);
	_cleanup_free_ char *name = text_safe(file, 0);
	if (read_file(joined, name, &data, &len, r->err)) {
		if (r->err->code == ERROR_NOT_FOUND)
			r->err->code = ERROR_INVALID; /* bad input, not a name that is gone */
		return -1;
	}
	_cleanup_free_ char *real = realpath(joined, NULL);
	const char *path = real ? real : joined;
	return source_add(r, xstrdup(name), xstrdup(path), dir_of(path), data, len);
}

static void source_drop_last(struct plan_reader *r)
{
	source_finish(&r->sources[--r->source_count]);
	r->at = NULL;
}

/* A configuration file: none, empty or only comments are all the same. */
static int config_add(struct plan_reader *r, const char *path, const char *name)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	if (read_file(path, name, &data, &len, r->err)) {
		if (r->err->code != ERROR_NOT_FOUND)
			return -1;
		*r->err = (struct error)ERROR_INIT;
		return 0;
	}
	if (source_add(r, xstrdup(name), xstrdup(path), dir_of(path), data, len) == 0)
		return 0;
	if (!r->at->doc || r->at->root)
		return -1;
	source_drop_last(r);
	*r->err = (struct error)ERROR_INIT;
	return 0;
}

int plan_sources_read_config(struct plan_reader *r, const char *plan_path, bool with_tasks)
{
	_cleanup_free_ char *config_dir =
	    r->ctx->config_dir ? xstrdup(r->ctx->config_dir) : place_config_dir();
	if (config_dir) {
		_cleanup_free_ char *agents = xasprintf("%s/agents.yaml", config_dir);
		_cleanup_free_ char *path = xasprintf("%s/config.yaml", config_dir);
		if (config_add(r, agents, agents))
			return -1;
		if (r->source_count)
			r->user_agents = r->sources[--r->source_count];
		if (config_add(r, path, path))
			return -1;
	}
	if (!r->ctx->root)
		return 0;
	_cleanup_free_ char *path = xasprintf("%s/pleach.yaml", r->ctx->root);
	_cleanup_free_ char *real = realpath(path, NULL);
	if (real && plan_path && strcmp(real, plan_path) == 0)
		return 0; /* it is the plan itself */
	_cleanup_free_ char *cwd = current_dir(r->ctx);
	_cleanup_free_ char *root = realpath(r->ctx->root, NULL);
	bool here = root && strcmp(cwd, root) == 0;
	size_t before = r->source_count;
	if (config_add(r, path, here ? "pleach.yaml" : path))
		return -1;
	if (r->source_count > before && !with_tasks && yaml_get(r->sources[before].root, "tasks")) {
		r->left_out = r->sources[--r->source_count];
		r->at = NULL;
	}
	return 0;
}
