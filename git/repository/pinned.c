/* The pinned environment: what git would read from its configuration, held against
 * what the user's configuration was, and the overrides that make up the difference.
 *
 * Only keys that can name a program, or change which bytes git takes for a file's
 * content, are looked at: the rules below. All others are left to the repository. */
#include "pinned.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "controls.h"
#include "jsonl.h"
#include "mem.h"
#include "pinned_rules.h"
#include "place.h"
#include "proc.h"
#include "program.h"

#define LISTING_MAX  (16u << 20)
#define PIN_FILE_MAX (4u << 20)

extern char **environ;

struct setting {
	char *key;
	char *value;
	bool own; /* from the repository's own files, which agents can write */
};

struct settings {
	struct setting *items;
	size_t count;
};

struct pinned_watch {
	struct watched {
		char *path;
		struct stat st; /* all zero: there was no such file */
	} * items;
	size_t count;
};

static void settings_add(struct settings *list, const char *key, const char *value, bool own)
{
	list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
	list->items[list->count++] = (struct setting){xstrdup(key), xstrdup(value), own};
}

static void settings_finish(struct settings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].key);
		free(list->items[i].value);
	}
	free(list->items);
}
#define _cleanup_settings_ __attribute__((cleanup(settings_finish)))

/* git takes the last value of a key. */
static const struct setting *settings_last(const struct settings *list, const char *key)
{
	for (size_t i = list->count; i-- > 0;)
		if (strcmp(list->items[i].key, key) == 0)
			return &list->items[i];
	return NULL;
}

static void watch_add(struct pinned_watch *watch, const char *path)
{
	struct watched item = {.path = NULL};

	for (size_t i = 0; i < watch->count; i++)
		if (strcmp(watch->items[i].path, path) == 0)
			return;
	if (stat(path, &item.st) < 0)
		memset(&item.st, 0, sizeof item.st);
	item.path = xstrdup(path);
	watch->items = xrealloc(watch->items, (watch->count + 1) * sizeof *watch->items);
	watch->items[watch->count++] = item;
}

void pinned_watch_free(struct pinned_watch *watch)
{
	for (size_t i = 0; watch && i < watch->count; i++)
		free(watch->items[i].path);
	if (watch)
		free(watch->items);
	free(watch);
}

bool pinned_watch_knows(const struct pinned_watch *watch, const char *path)
{
	for (size_t i = 0; watch && i < watch->count; i++)
		if (strcmp(watch->items[i].path, path) == 0)
			return true;
	return false;
}

bool pinned_watch_same(const struct pinned_watch *watch)
{
	for (size_t i = 0; watch && i < watch->count; i++) {
		const struct stat *old = &watch->items[i].st;
		struct stat now;

		if (stat(watch->items[i].path, &now) < 0)
			memset(&now, 0, sizeof now);
		if (now.st_ino != old->st_ino || now.st_dev != old->st_dev ||
		    now.st_size != old->st_size || now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
		    now.st_mtim.tv_nsec != old->st_mtim.tv_nsec ||
		    now.st_ctim.tv_sec != old->st_ctim.tv_sec ||
		    now.st_ctim.tv_nsec != old->st_ctim.tv_nsec)
			return false;
	}
	return watch != NULL;
}

/* Our environment without what would steer git elsewhere. The user's own identity, ssh
 * command and configuration files stay: no agent can write our environment. */
static char **base_environment(void)
{
	static const char *const kept[] = {
	    "GIT_CONFIG_GLOBAL=", "GIT_CONFIG_SYSTEM=",  "GIT_CONFIG_NOSYSTEM=", "GIT_AUTHOR_NAME=",
	    "GIT_AUTHOR_EMAIL=",  "GIT_COMMITTER_NAME=", "GIT_COMMITTER_EMAIL=", "GIT_EXEC_PATH=",
	    "GIT_SSH=",           "GIT_SSH_COMMAND=",
	};
	char **env = xcalloc(1, sizeof *env);

	for (char **p = environ; *p; p++) {
		bool keep = strncmp(*p, "GIT_", 4) != 0;

		for (size_t i = 0; !keep && i < ARRAY_LEN(kept); i++)
			keep = strncmp(*p, kept[i], strlen(kept[i])) == 0;
		if (keep)
			strv_push(&env, xstrdup(*p));
	}
	return env;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
}

/* Takes apart `scope NUL origin NUL key LF value NUL ...`. */
static void parse_listing(const struct buf *text, const char *cwd, struct settings *out,
                          struct pinned_watch *watch)
{
	const char *p = text->data, *end = text->data + text->len;

	while (p && p < end) {
		const char *scope = p, *origin = scope + strlen(scope) + 1;
		const char *item, *newline;

		if (origin >= end)
			return;
		item = origin + strlen(origin) + 1;
		if (item >= end)
			return;
		p = item + strlen(item) + 1;
		newline = strchr(item, '\n');

		_cleanup_free_ char *key =
		    newline ? xstrndup(item, (size_t)(newline - item)) : xstrdup(item);
		bool own = strcmp(scope, "local") == 0 || strcmp(scope, "worktree") == 0;

		/* A key without a value means true. */
		settings_add(out, key, newline ? newline + 1 : "true", own);
		if (!watch || strncmp(origin, "file:", 5) != 0)
			continue;

		_cleanup_free_ char *file =
		    origin[5] == '/' ? xstrdup(origin + 5) : xasprintf("%s/%s", cwd, origin + 5);
		watch_add(watch, file);
		/* An included file may not be there yet. */
		if (strncmp(key, "include", 7) == 0 && newline && newline[1]) {
			_cleanup_free_ char *dir = parent_of(file);
			_cleanup_free_ char *included = newline[1] == '/'
			                                    ? xstrdup(newline + 1)
			                                    : xasprintf("%s/%s", dir, newline + 1);
			watch_add(watch, included);
		}
	}
}

static void watch_usual_files(struct pinned_watch *watch, const char *git_dir)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	_cleanup_free_ char *common = xasprintf("%s/config", git_dir);
	_cleanup_free_ char *worktree = xasprintf("%s/config.worktree", git_dir);

	watch_add(watch, common);
	watch_add(watch, worktree);
	watch_add(watch, "/etc/gitconfig");
	if (getenv("GIT_CONFIG_GLOBAL"))
		watch_add(watch, getenv("GIT_CONFIG_GLOBAL"));
	if (home) {
		_cleanup_free_ char *file = xasprintf("%s/.gitconfig", home);
		watch_add(watch, file);
	}
	if (home || xdg) {
		_cleanup_free_ char *file = xdg ? xasprintf("%s/git/config", xdg)
		                                : xasprintf("%s/.config/git/config", home);
		watch_add(watch, file);
	}
}

/* What git itself reads for this git directory, includes followed. common_dir: of a linked
 * worktree's, whose own word for that is not taken; else NULL. */
static int read_settings(const char *git_dir, const char *common_dir, struct settings *out,
                         struct pinned_watch *watch, struct error *err)
{
	static const char *const argv[] = {"git",           "config",       "--list", "-z",
	                                   "--show-origin", "--show-scope", NULL};
	_cleanup_buf_ struct buf text = BUF_INIT, why = BUF_INIT;
	_cleanup_strv_ char **env = base_environment();
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	int status;

	/* Before the files are read: a change in between is seen as one. */
	if (watch)
		watch_usual_files(watch, git_dir);
	strv_push(&env, xasprintf("GIT_DIR=%s", git_dir));
	if (common_dir)
		strv_push(&env, xasprintf("GIT_COMMON_DIR=%s", common_dir));
	run.spec.argv = argv;
	run.spec.env = (const char *const *)env;
	run.spec.cwd = git_dir;
	run.out = &text;
	run.err_out = &why;
	run.max_out = LISTING_MAX;
	if (git_program(&run, NULL, &status, err) < 0)
		return -1;
	if (status != 0) {
		if (why.len)
			why.data[strcspn(why.data, "\n")] = '\0';
		return error_set(err, ERROR_EXTERNAL, "git cannot read the configuration of %s: %s",
		                 git_dir, why.len ? why.data : proc_status_text(status));
	}
	if (text.len >= LISTING_MAX)
		return error_set(err, ERROR_EXTERNAL, "the git configuration of %s is too large",
		                 git_dir);
	parse_listing(&text, git_dir, out, watch);
	return 0;
}

/* Names nobody can run: taken from the repository's own configuration too. */
static bool is_identity(const char *key)
{
	return strcmp(key, "user.name") == 0 || strcmp(key, "user.email") == 0;
}

/* An absent pin file pins what the repository's own files do not say. */
static int read_pins(const char *file, const struct settings *now, struct settings *pins,
                     struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *root = NULL;
	struct error local = ERROR_INIT;
	size_t len, i;
	json_t *item;

	if (file && place_read_file(file, PIN_FILE_MAX, &text, &len, &local) < 0 &&
	    local.code != ERROR_NOT_FOUND) {
		if (err)
			*err = local;
		return -1;
	}
	if (!text) {
		for (i = 0; i < now->count; i++)
			if (!now->items[i].own || is_identity(now->items[i].key))
				settings_add(pins, now->items[i].key, now->items[i].value, false);
		return 0;
	}
	root = jsonl_parse(text, len, err);
	if (!root)
		return error_wrap(err, "%s", file);
	json_array_foreach (json_sub(root, "config"), i, item) {
		const char *key = json_string_value(json_array_get(item, 0));
		const char *value = json_string_value(json_array_get(item, 1));

		if (key && value)
			settings_add(pins, key, value, false);
	}
	return 0;
}

struct overrides {
	char **env;
	int count;
};

static void override(struct overrides *list, const char *key, const char *value)
{
	strv_push(&list->env, xasprintf("GIT_CONFIG_KEY_%d=%s", list->count, key));
	strv_push(&list->env, xasprintf("GIT_CONFIG_VALUE_%d=%s", list->count, value));
	list->count++;
}

/* Keys that are overridden whatever they are, but whose appearance is worth telling. */
static bool is_watched(const char *key)
{
	return strcmp(key, "core.fsmonitor") == 0 || strcmp(key, "core.hookspath") == 0 ||
	       strcmp(key, "diff.external") == 0;
}

/* The driver that a key belongs to, for people: `filter.lfs`; or the key that is worth telling.
 * NULL for other keys. */
static char *driver_name(const char *key)
{
	const char *dot = strrchr(key, '.');
	bool driver = strncmp(key, "filter.", 7) == 0 || strncmp(key, "diff.", 5) == 0 ||
	              strncmp(key, "merge.", 6) == 0;

	if (is_watched(key))
		return xstrdup(key);
	if (!driver || !dot || dot == strchr(key, '.'))
		return NULL;
	return xstrndup(key, (size_t)(dot - key));
}

static void note_unknown(char ***unknown, const char *key)
{
	char *name = driver_name(key);

	for (size_t i = 0; name && *unknown && (*unknown)[i]; i++)
		if (strcmp((*unknown)[i], name) == 0) {
			free(name);
			return;
		}
	if (name)
		strv_push(unknown, name);
}

/* A new `process` command turns a pinned clean command off, and nothing can turn it on
 * again: better no snapshot than one that the user's filter has not seen. */
static int check_new_process(const char *key, const struct settings *pins, struct error *err)
{
	size_t stem = strlen(key) - strlen("process");
	_cleanup_free_ char *clean = NULL, *smudge = NULL;

	if (strncmp(key, "filter.", 7) != 0 || strcmp(key + stem, "process") != 0)
		return 0;
	clean = xasprintf("%.*sclean", (int)stem, key);
	smudge = xasprintf("%.*ssmudge", (int)stem, key);
	if (!settings_last(pins, clean) && !settings_last(pins, smudge))
		return 0;
	return error_set(err, ERROR_EXTERNAL,
	                 "git configuration: %s appeared beside a filter that was there before "
	                 "(remove it, or run `pleach up` to accept it)",
	                 key);
}

static int add_rules(const struct settings *now, const struct settings *pins,
                     struct overrides *list, char ***unknown, struct error *err)
{
	for (size_t i = 0; i < pins->count; i++) {
		const struct setting *pin = &pins->items[i];

		if (pinned_rule(pin->key) && settings_last(pins, pin->key) == pin)
			override(list, pin->key, pin->value);
	}
	for (size_t i = 0; i < now->count; i++) {
		const char *key = now->items[i].key;
		const struct pinned_rule *rule = pinned_rule(key);
		const struct setting *pin = settings_last(pins, key);
		_cleanup_free_ char *neutral = NULL;

		/* One that was there, with another value now. */
		if (settings_last(now, key) == &now->items[i] && (rule || is_watched(key)) &&
		    (pin ? strcmp(pin->value, now->items[i].value) != 0 : !rule))
			note_unknown(unknown, key);
		if (!rule || pin || settings_last(now, key) != &now->items[i])
			continue;
		if (check_new_process(key, pins, err) < 0)
			return -1;
		neutral = pinned_rule_neutral(rule);
		override(list, key, neutral);
		note_unknown(unknown, key);
	}
	for (size_t i = 0; pinned_fixed[i].key; i++)
		override(list, pinned_fixed[i].key, pinned_fixed[i].value);
	if (control_off("fsync-git"))
		override(list, "core.fsync", "none");
	return 0;
}

static bool env_has(char *const *env, const char *prefix)
{
	for (size_t i = 0; env[i]; i++)
		if (strncmp(env[i], prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

/* Who our commits are by: the environment, then the configuration, then pleach. */
static void add_identity(char ***env, const struct settings *pins)
{
	const struct setting *name = settings_last(pins, "user.name");
	const struct setting *email = settings_last(pins, "user.email");
	const char *n = name && *name->value ? name->value : "pleach";
	const char *e = email && *email->value ? email->value : "pleach@localhost";

	if (!env_has(*env, "GIT_AUTHOR_NAME="))
		strv_push(env, xasprintf("GIT_AUTHOR_NAME=%s", n));
	if (!env_has(*env, "GIT_AUTHOR_EMAIL="))
		strv_push(env, xasprintf("GIT_AUTHOR_EMAIL=%s", e));
	if (!env_has(*env, "GIT_COMMITTER_NAME="))
		strv_push(env, xasprintf("GIT_COMMITTER_NAME=%s", n));
	if (!env_has(*env, "GIT_COMMITTER_EMAIL="))
		strv_push(env, xasprintf("GIT_COMMITTER_EMAIL=%s", e));
}

/* Only a partial clone fetches by itself, and only one that the user made. */
static const char *allowed_protocols(const struct settings *pins)
{
	for (size_t i = 0; i < pins->count; i++) {
		const char *key = pins->items[i].key, *dot = strrchr(key, '.');

		if (strncmp(key, "remote.", 7) == 0 && dot && strcmp(dot, ".promisor") == 0)
			return "https:http:ssh:file";
	}
	return "none";
}

/* What a linked worktree's own file says (extensions.worktreeConfig), where it has one. */
static int read_also(const char *also, const char *git_dir, struct settings *now,
                     struct pinned_watch *seen, struct error *err)
{
	_cleanup_free_ char *file = also ? xasprintf("%s/config.worktree", also) : NULL;

	if (!file)
		return 0;
	if (seen)
		watch_add(seen, file);
	return access(file, F_OK) == 0 ? read_settings(also, git_dir, now, seen, err) : 0;
}

char **pinned_environment_at(const char *git_dir, const char *also, const char *pinned_file,
                             char ***unknown, struct pinned_watch **watch, struct error *err)
{
	_cleanup_settings_ struct settings now = {NULL, 0}, pins = {NULL, 0};
	struct pinned_watch *seen = watch ? xcalloc(1, sizeof *seen) : NULL;
	struct overrides list = {NULL, 0};
	char **env = NULL, **names = NULL;

	if (seen && pinned_file)
		watch_add(seen, pinned_file);
	if (read_settings(git_dir, NULL, &now, seen, err) < 0 ||
	    read_also(also, git_dir, &now, seen, err) < 0 ||
	    read_pins(pinned_file, &now, &pins, err) < 0 ||
	    add_rules(&now, &pins, &list, &names, err) < 0) {
		strv_free(list.env);
		strv_free(names);
		pinned_watch_free(seen);
		return NULL;
	}
	env = base_environment();
	add_identity(&env, &pins);
	for (size_t i = 0; pinned_environment_fixed[i]; i++)
		strv_push(&env, xstrdup(pinned_environment_fixed[i]));
	strv_push(&env, xasprintf("GIT_ALLOW_PROTOCOL=%s", allowed_protocols(&pins)));
	strv_push(&env, xasprintf("GIT_CONFIG_COUNT=%d", list.count));
	for (size_t i = 0; list.env && list.env[i]; i++)
		strv_push(&env, list.env[i]);
	free(list.env);
	if (watch)
		*watch = seen;
	if (unknown)
		*unknown = names;
	else
		strv_free(names);
	return env;
}

char **pinned_environment(const char *dir, const char *pinned_file, char ***unknown,
                          struct error *err)
{
	struct place place;
	char **env;

	if (place_find(dir, &place, err) < 0)
		return NULL;
	env = pinned_environment_at(place.git_dir, NULL, pinned_file, unknown, NULL, err);
	place_finish(&place);
	return env;
}

int pinned_keep(const char *root, const char *pinned_file, char ***changed, struct error *err)
{
	struct place place;
	char **env;

	if (access(pinned_file, F_OK) < 0)
		return pinned_write(root, pinned_file, err);
	if (place_find(root, &place, err) < 0)
		return -1;
	env = pinned_environment_at(place.common_dir, NULL, pinned_file, changed, NULL, err);
	place_finish(&place);
	strv_free(env);
	return env ? 0 : -1;
}

bool pinned_has(const char *pinned_file, const char *key)
{
	_cleanup_settings_ struct settings none = {NULL, 0}, pins = {NULL, 0};

	return read_pins(pinned_file, &none, &pins, NULL) < 0 || settings_last(&pins, key);
}

int pinned_write(const char *root, const char *pinned_file, struct error *err)
{
	_cleanup_settings_ struct settings now = {NULL, 0};
	_cleanup_json_ json_t *pin = NULL;
	_cleanup_free_ char *text = NULL;
	struct place place;
	json_t *config;
	int rc;

	if (place_find(root, &place, err) < 0)
		return -1;
	rc = place_check_owner(&place, err);
	if (rc == 0)
		rc = read_settings(place.common_dir, NULL, &now, NULL, err);
	place_finish(&place);
	if (rc < 0)
		return -1;
	config = json_array();
	for (size_t i = 0; i < now.count; i++) {
		const struct setting *item = &now.items[i];

		if (!pinned_rule(item->key) && !is_identity(item->key) && !is_watched(item->key))
			continue;
		/* What is not UTF-8 cannot be pinned, and so counts as undefined. */
		if (settings_last(&now, item->key) == item)
			json_array_append_new(config,
			                      json_pack("[s?, s?]", item->key, item->value));
	}
	pin = json_pack("{s:i, s:o}", "version", 1, "config", config);
	text = jsonl_text(pin);
	return place_write_file(pinned_file, text, strlen(text), err);
}
