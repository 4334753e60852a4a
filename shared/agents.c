/* The built-in agents' text, and what becomes of a profile's command. Nothing is parsed here: who
 * needs a built-in agent reads its part of the text (plan_agents.c). */
#include "agents.h"

#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "proc.h"

#define AGENT_ARGUMENT_MAX (100u << 10) /* MAX_ARG_STRLEN of Linux is 128 KiB */
#define AGENTS_MAX         64

/* agents.yaml as it is, NUL-terminated: made by plan.cmake. */
extern const char agents_text[];

static const char *const permission_words[] = {
#define X(name, word) word,
    AGENT_PERMISSIONS(X)
#undef X
};

const char *agent_permissions_word(enum agent_permissions value)
{
	return permission_words[value];
}

bool agent_permissions_from_word(const char *word, enum agent_permissions *out)
{
	for (unsigned i = 0; i < ARRAY_LEN(permission_words); i++) {
		if (strcmp(word, permission_words[i]) == 0) {
			*out = (enum agent_permissions)i;
			return true;
		}
	}
	return false;
}

/* A line that begins an agent: its name at the very left, and a colon. */
static size_t name_at(const char *line)
{
	size_t len = strcspn(line, ": #\n");

	return line[len] == ':' && line[len + 1] == '\n' ? len : 0;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

const char *agents_builtin(const char *name, size_t *bytes)
{
	const char *begin = NULL;

	for (const char *line = agents_text; *line; line = next_line(line)) {
		size_t len = name_at(line);

		if (!len)
			continue;
		if (begin) {
			*bytes = (size_t)(line - begin);
			return begin;
		}
		if (len == strlen(name) && memcmp(line, name, len) == 0)
			begin = line;
	}
	if (begin)
		*bytes = strlen(begin);
	return begin;
}

const char *const *agents_names(void)
{
	static const char *names[AGENTS_MAX + 1];
	size_t count = 0;

	if (names[0])
		return names;
	for (const char *line = agents_text; *line && count < AGENTS_MAX; line = next_line(line)) {
		size_t len = name_at(line);

		if (len)
			names[count++] = xstrndup(line, len);
	}
	return names;
}

const char *agents_first_installed(const char *path)
{
	for (const char *const *name = agents_names(); *name; name++) {
		_cleanup_free_ char *program = proc_find_program(*name, path);
		if (program)
			return *name;
	}
	return NULL;
}

/* The part of the profile that suits a prompt of that size. Borrowed. */
static const json_t *profile_part(const json_t *profile, size_t prompt_bytes)
{
	const json_t *large = json_sub(profile, "large");
	return large && prompt_bytes > AGENT_ARGUMENT_MAX ? large : profile;
}

const char *agents_prompt_way(const json_t *profile, size_t prompt_bytes)
{
	const char *way = json_text(profile_part(profile, prompt_bytes), "prompt");
	return way ? way : "none";
}

bool agents_mentions(const json_t *command, const char *placeholder)
{
	size_t i;
	json_t *arg;
	json_array_foreach (command, i, arg) {
		if (json_is_string(arg) && strstr(json_string_value(arg), placeholder))
			return true;
	}
	return false;
}

struct placeholder {
	const char *name;
	const char *value;
};

/* Replaces what is between braces where the name is known, in one pass: what a value holds
 * is never looked at again. */
static char *expand(const char *arg, const struct placeholder *known)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	while (*arg) {
		size_t plain = strcspn(arg, "{");
		buf_add(&out, arg, plain);
		arg += plain;
		if (!*arg)
			break;
		const struct placeholder *p = known;
		while (p->name && strncmp(arg, p->name, strlen(p->name)) != 0)
			p++;
		if (p->name) {
			buf_add_str(&out, p->value ? p->value : "");
			arg += strlen(p->name);
		} else {
			buf_add(&out, arg++, 1);
		}
	}
	return buf_take(&out);
}

/* What an argument is without a value for it: none, and the option before it ("-…") goes along. */
static bool is_left_out(const json_t *command, size_t i, const char *mark, const char *value)
{
	const char *arg = json_string_value(json_array_get(command, i));
	const char *next = json_string_value(json_array_get(command, i + 1));
	bool option = arg[0] == '-';

	if ((value && *value) || i == 0)
		return false;
	return strcmp(arg, mark) == 0 || (option && strstr(arg, mark)) ||
	       (option && next && strcmp(next, mark) == 0);
}

static void add_arguments(char ***argv, const json_t *args, const struct placeholder *known)
{
	size_t i;
	json_t *arg;

	json_array_foreach ((json_t *)args, i, arg) {
		if (json_is_string(arg))
			strv_push(argv, expand(json_string_value(arg), known));
	}
}

char **agents_arguments(const json_t *profile, const json_t *command,
                        const struct agents_values *values)
{
	const struct placeholder known[] = {
	    {"{prompt}", values->prompt},
	    {"{prompt_file}", values->prompt_file},
	    {"{worktree}", values->worktree},
	    {"{task}", values->task},
	    {"{key}", values->key},
	    {"{branch}", values->branch},
	    {"{base}", values->base},
	    {"{session}", values->session},
	    {"{model}", values->model},
	    {"{hook}", values->hook},
	    {"{hooks_file}", values->hooks_file},
	    {NULL, NULL},
	};
	char **argv = NULL;
	size_t i;
	json_t *item;

	json_array_foreach (command, i, item) {
		const char *arg = json_string_value(item);

		if (!arg || is_left_out(command, i, "{model}", values->model) ||
		    is_left_out(command, i, "{session}", values->session))
			continue;
		if (strcmp(arg, "{hooks}") != 0)
			strv_push(&argv, expand(arg, known));
		else if (values->hook)
			add_arguments(&argv, json_sub(json_sub(profile, "hooks"), "args"), known);
	}
	return argv ? argv : xcalloc(1, sizeof(*argv));
}

char **agents_command(const json_t *profile, const struct agents_values *values)
{
	size_t bytes = values->prompt ? strlen(values->prompt) : 0;

	return agents_arguments(profile, json_sub(profile_part(profile, bytes), "command"), values);
}

/* The same JSON with {hook} and {hooks_file} replaced in its strings. New reference. */
static json_t *expand_json(const json_t *value, const struct placeholder *known)
{
	if (json_is_string(value)) {
		_cleanup_free_ char *text = expand(json_string_value(value), known);

		return json_string_nocheck(text);
	}
	if (!json_is_object(value) && !json_is_array(value))
		return json_incref((json_t *)value);
	json_t *out = json_is_object(value) ? json_object() : json_array();
	const char *key;
	json_t *item;
	size_t i;

	json_object_foreach ((json_t *)value, key, item) {
		json_object_set_new_nocheck(out, key, expand_json(item, known));
	}
	json_array_foreach (value, i, item) {
		json_array_append_new(out, expand_json(item, known));
	}
	return out;
}

json_t *agents_hooks(const json_t *profile, const struct agents_values *values)
{
	const struct placeholder known[] = {
	    {"{hook}", values->hook}, {"{hooks_file}", values->hooks_file}, {NULL, NULL}};

	return expand_json(json_sub(profile, "hooks"), known);
}
