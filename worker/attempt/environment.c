/* Building environments: small vectors with linear search; a few dozen names. */
#include "environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "place.h"
#include "proc.h"

#define FILE_MAX (32u << 20)

extern char **environ;

struct environment {
	char *path;
	struct stat seen;
	bool known;
	json_t *file;         /* what environment.json held, or NULL */
	char **base;          /* made of it, or NULL */
	char *searched, *dir; /* the last PATH looked through, and what it had to become */
};

struct vector {
	char **items; /* NULL-terminated when n < cap */
	size_t n, cap;
};

/* What must not leak from where `up` was typed: another terminal multiplexer, another
 * repository (the list of `git rev-parse --local-env-vars` and git's internal ones), sizes of
 * another terminal, a worker's own secret. */
static const char *const never[] = {
    "TMUX",
    "TMUX_PANE",
    "COLUMNS",
    "LINES",
    "OLDPWD",
    "PLEACH_WORKER_TOKEN",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
    "GIT_EXEC_PATH",
    "GIT_REFLOG_ACTION",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
};
static const char *const never_starting[] = {"GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_",
                                             "GIT_INTERNAL_"};

struct environment *environment_new(const char *runtime_dir)
{
	struct environment *e = xcalloc(1, sizeof *e);

	e->path = xasprintf("%s/environment.json", runtime_dir);
	return e;
}

void environment_free(struct environment *e)
{
	if (!e)
		return;
	json_decref(e->file);
	strv_free(e->base);
	free(e->path);
	free(e->searched);
	free(e->dir);
	free(e);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Keeps what it knew when the file cannot be read: better than agents without variables. */
static void reload(struct environment *e)
{
	_cleanup_free_ char *text = NULL;
	struct error err = ERROR_INIT;
	struct stat now;
	size_t len;
	json_t *file;

	if (stat(e->path, &now) != 0 || (e->known && same_file(&now, &e->seen)))
		return;
	if (place_read_file(e->path, FILE_MAX, &text, &len, &err) != 0 ||
	    !(file = jsonl_parse(text, len, &err))) {
		log_warn("environment", "%s", err.text);
		return;
	}
	json_decref(e->file);
	strv_free(e->base);
	e->base = NULL;
	e->file = file;
	e->seen = now;
	e->known = true;
	explicit_bzero(text, len);
}

static size_t vector_find(const struct vector *v, const char *name, size_t len)
{
	for (size_t i = 0; i < v->n; i++)
		if (*v->items[i] == *name && strncmp(v->items[i], name, len) == 0 &&
		    v->items[i][len] == '=')
			return i;
	return v->n;
}

static void vector_remove(struct vector *v, const char *name)
{
	size_t i = vector_find(v, name, strlen(name));

	if (i == v->n)
		return;
	free(v->items[i]);
	v->items[i] = v->items[--v->n];
	v->items[v->n] = NULL;
}

/* Takes item (NAME=VALUE). fresh: the caller knows that the name is not there yet. */
static void vector_put(struct vector *v, char *item, bool fresh)
{
	size_t i = fresh ? v->n : vector_find(v, item, strcspn(item, "="));

	if (i < v->n) {
		free(v->items[i]);
		v->items[i] = item;
		return;
	}
	if (v->n + 1 >= v->cap) {
		v->cap = v->cap ? v->cap * 2 : 96;
		v->items = xrealloc(v->items, v->cap * sizeof *v->items);
	}
	v->items[v->n++] = item;
	v->items[v->n] = NULL;
}

static void vector_set(struct vector *v, const char *name, const char *value, bool fresh)
{
	if (!*name || strchr(name, '='))
		return;
	vector_put(v, xasprintf("%s=%s", name, value), fresh);
}

/* Numbers and booleans are written as YAML would have them. */
static void vector_add_json(struct vector *v, const json_t *map, bool fresh)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)map, name, value) {
		char number[32];

		if (json_is_string(value)) {
			vector_set(v, name, json_string_value(value), fresh);
		} else if (json_is_integer(value)) {
			snprintf(number, sizeof number, "%lld", json_integer_value(value));
			vector_set(v, name, number, fresh);
		} else if (json_is_real(value)) {
			snprintf(number, sizeof number, "%.17g", json_real_value(value));
			vector_set(v, name, number, fresh);
		} else if (json_is_boolean(value)) {
			vector_set(v, name, json_is_true(value) ? "true" : "false", fresh);
		}
	}
}

static bool is_never(const char *item)
{
	size_t len = strcspn(item, "=");

	if (*item != 'G' && *item != 'T' && *item != 'C' && *item != 'L' && *item != 'O' &&
	    *item != 'P')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (strncmp(item, never[i], len) == 0 && !never[i][len])
			return true;
	for (size_t i = 0; i < ARRAY_LEN(never_starting); i++)
		if (strncmp(item, never_starting[i], strlen(never_starting[i])) == 0)
			return true;
	return false;
}

static void remove_never(struct vector *v)
{
	for (size_t i = 0; i < v->n;) {
		if (!is_never(v->items[i])) {
			i++;
			continue;
		}
		free(v->items[i]);
		v->items[i] = v->items[--v->n];
		v->items[v->n] = NULL;
	}
}

/* Agents call `pleach`: where PATH has none, our own folder goes behind everything else. */
static void ensure_pleach(struct environment *e, struct vector *v)
{
	const char *path = environment_get((const char *const *)v->items, "PATH");
	char *found;

	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	if (!e->searched || strcmp(e->searched, path) != 0) {
		free(e->searched);
		free(e->dir);
		e->searched = xstrdup(path);
		found = proc_find_program("pleach", path);
		e->dir = found ? NULL : xasprintf("PATH=%s:%s", path, proc_own_dir());
		free(found);
	}
	if (e->dir)
		vector_put(v, xstrdup(e->dir), false);
}

/* An alternative (KEY.N) has its parent's variables, then its own. */
static void add_task(struct vector *v, const json_t *tasks, const char *key)
{
	const char *dot = strchr(key, '.');

	if (dot) {
		_cleanup_free_ char *parent = xstrndup(key, (size_t)(dot - key));

		vector_add_json(v, json_sub(tasks, parent), false);
	}
	vector_add_json(v, json_sub(tasks, key), false);
}

/* What every environment starts from, made once for each state of the file. */
static void make_base(struct environment *e)
{
	struct vector v = {NULL, 0, 0};

	if (e->base)
		return;
	if (json_sub(e->file, "base")) {
		vector_add_json(&v, json_sub(e->file, "base"), true);
	} else {
		for (size_t i = 0; environ && environ[i]; i++)
			/* The one variable that we set for ourselves (main.c). */
			if (strchr(environ[i], '=') &&
			    strncmp(environ[i], "UV_THREADPOOL_SIZE=", 19) != 0)
				vector_put(&v, xstrdup(environ[i]), true);
	}
	remove_never(&v);
	vector_set(&v, "TERM", "xterm-256color", false);
	e->base = v.items;
}

char **environment_make(struct environment *e, const struct environment_want *want)
{
	struct vector v = {NULL, 0, 0};
	const json_t *plan;

	reload(e);
	make_base(e);
	for (char **item = e->base; *item; item++)
		vector_put(&v, xstrdup(*item), true);
	plan = want->plan ? json_sub(json_sub(e->file, "plans"), want->plan) : NULL;
	vector_add_json(&v, json_sub(plan, "plan"), false);
	if (want->agent)
		vector_add_json(&v, json_sub(json_sub(plan, "agents"), want->agent), false);
	vector_add_json(&v, want->profile_env, false);
	if (want->key)
		add_task(&v, json_sub(plan, "tasks"), want->key);
	if (want->cwd)
		vector_set(&v, "PWD", want->cwd, false);
	for (const char *const *p = want->ours; p && *p; p += 2) {
		if (p[1])
			vector_set(&v, p[0], p[1], false);
		else
			vector_remove(&v, p[0]);
	}
	ensure_pleach(e, &v);
	return v.items;
}

const char *environment_get(const char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; env && env[i]; i++)
		if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
			return env[i] + len + 1;
	return NULL;
}

static void set_count(char ***env, int count)
{
	char *text = xasprintf("GIT_CONFIG_COUNT=%d", count);

	for (size_t i = 0; *env && (*env)[i]; i++)
		if (strncmp((*env)[i], "GIT_CONFIG_COUNT=", 17) == 0) {
			free((*env)[i]);
			(*env)[i] = text;
			return;
		}
	strv_push(env, text);
}

void environment_add_git(char ***env, const char *const *more)
{
	const char *have = environment_get((const char *const *)*env, "GIT_CONFIG_COUNT");
	const char *added = environment_get(more, "GIT_CONFIG_COUNT");
	int before = have ? atoi(have) : 0;

	if (!added)
		return;
	for (size_t i = 0; more[i]; i++) {
		char word[8];
		int number, at = 0;

		if (sscanf(more[i], "GIT_CONFIG_%7[A-Z]_%d=%n", word, &number, &at) == 2 && at)
			strv_push(env, xasprintf("GIT_CONFIG_%s_%d=%s", word, before + number,
			                         more[i] + at));
	}
	set_count(env, before + atoi(added));
}
