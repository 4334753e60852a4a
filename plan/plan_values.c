/* Values of a plan, one function a type: what it must be, its range, and the JSON it makes.
 * Which key takes which type is said elsewhere. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "plan_internal.h"
#include "text.h"

bool plan_is_null(const struct yaml_node *n)
{
	return n->type == YAML_SCALAR && n->scalar == YAML_NULL;
}

static bool is_text(const struct yaml_node *n)
{
	return n->type == YAML_SCALAR && n->scalar == YAML_TEXT;
}

/* What a value is, for messages. */
static const char *kind_of(const struct yaml_node *n)
{
	static const char *const kinds[] = {"text", "nothing", "true or false", "a number",
	                                    "a number"};
	if (n->type == YAML_LIST)
		return "a list";
	if (n->type == YAML_MAP)
		return "a mapping";
	return kinds[n->scalar];
}

static int wrong_type(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      const char *wanted)
{
	return plan_fail(r, n, "%s must be %s, not %s", what, wanted, kind_of(n));
}

/* YAML's null, which an empty value is too, is often a slip: never taken for the text "null". */
int plan_refuse_null(struct plan_reader *r, const struct yaml_node *n, const char *what)
{
	if (!plan_is_null(n))
		return 0;
	return plan_fail(
	    r, n,
	    "%s must be text, and here is none (write it; the word null is text only in "
	    "quotes)",
	    what);
}

int plan_value_text(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out)
{
	if (plan_refuse_null(r, n, what))
		return -1;
	if (!is_text(n))
		return wrong_type(r, n, what,
		                  n->type == YAML_SCALAR ? "text (put it in quotes)" : "text");
	*out = plan_text_json(n);
	return 0;
}

int plan_value_word(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out)
{
	if (plan_refuse_null(r, n, what))
		return -1;
	if (n->type != YAML_SCALAR)
		return wrong_type(r, n, what, "text");
	*out = plan_text_json(n);
	return 0;
}

int plan_value_bool(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out)
{
	if (n->type != YAML_SCALAR || n->scalar != YAML_BOOL)
		return wrong_type(r, n, what, "true or false");
	*out = json_boolean(n->boolean);
	return 0;
}

int plan_value_integer(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_int_t least, json_int_t most, json_t **out)
{
	if (n->type == YAML_SCALAR && n->scalar == YAML_REAL)
		return plan_fail(r, n, "%s must be a whole number from %lld to %lld", what,
		                 (long long)least, (long long)most);
	if (n->type != YAML_SCALAR || n->scalar != YAML_INT)
		return wrong_type(r, n, what, "a whole number");
	if (n->integer < least || n->integer > most)
		return plan_fail(r, n, "%s %lld is out of range (%lld to %lld)", what,
		                 (long long)n->integer, (long long)least, (long long)most);
	*out = json_integer(n->integer);
	return 0;
}

static json_t *seconds_json(double seconds)
{
	if (seconds == (double)(json_int_t)seconds)
		return json_integer((json_int_t)seconds);
	return json_real(seconds);
}

int plan_value_duration(struct plan_reader *r, const struct yaml_node *n, const char *what,
                        json_t **out)
{
	double seconds = 0;
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (n->type != YAML_SCALAR || n->scalar == YAML_BOOL)
		return wrong_type(r, n, what, "a time such as 90s, 30m, 2h or 1d");
	if (n->scalar == YAML_TEXT && !text_parse_duration(n->text, &seconds)) {
		_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN);
		return plan_fail(r, n, "%s: %s is not a time (90s, 30m, 2h, 1d, or seconds)", what,
		                 shown);
	}
	if (n->scalar != YAML_TEXT)
		seconds = n->scalar == YAML_INT ? (double)n->integer : n->real;
	if (seconds <= 0 || seconds > PLAN_SECONDS_MAX)
		return plan_fail(r, n, "%s is out of range (more than 0, at most 366d)", what);
	*out = seconds_json(seconds);
	return 0;
}

int plan_value_choice(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      const char *const *words, json_t **out)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	for (size_t i = 0; words[i]; i++) {
		if (is_text(n) && strcmp(n->text, words[i]) == 0) {
			*out = plan_text_json(n);
			return 0;
		}
		buf_printf(&list, "%s%s", i ? (words[i + 1] ? ", " : " or ") : "", words[i]);
	}
	if (!is_text(n))
		return wrong_type(r, n, what, list.data);
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN);
	return plan_fail(r, n, "%s must be %s, not %s", what, list.data, shown);
}

/* One argument: numbers and booleans are taken as they are written (`[sleep, 1]`). */
static int read_argument(struct plan_reader *r, const struct yaml_node *n, const char *what,
                         json_t **out)
{
	if (n->type != YAML_SCALAR || n->scalar == YAML_NULL)
		return wrong_type(r, n, what, "text in every place");
	if (n->len > PLAN_COMMAND_MAX)
		return plan_fail(r, n, "%s: an argument of more than %u KiB", what,
		                 PLAN_COMMAND_MAX >> 10);
	*out = plan_text_json(n);
	return 0;
}

int plan_value_command(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_t **out)
{
	if (n->type == YAML_SCALAR) {
		/* `verify: true` can only mean the command of that name. */
		if (n->scalar != YAML_TEXT && n->scalar != YAML_BOOL)
			return wrong_type(r, n, what, "a command (text, or a list of arguments)");
		if (!n->text[strspn(n->text, " \t\r\n")])
			return plan_fail(r, n, "%s is empty", what);
		if (n->filled)
			return plan_fail(r, n,
			                 "%s: {item.…} inside shell code is never replaced (write "
			                 "a list, or give it in env)",
			                 what);
		return read_argument(r, n, what, out);
	}
	if (n->type != YAML_LIST)
		return wrong_type(r, n, what, "a command (text, or a list of arguments)");
	if (n->count == 0)
		return plan_fail(r, n, "%s is empty", what);
	_cleanup_json_ json_t *argv = json_array();
	for (size_t i = 0; i < n->count; i++) {
		json_t *arg = NULL;
		if (read_argument(r, n->items[i], what, &arg))
			return -1;
		json_array_append_new(argv, arg);
	}
	if (!n->items[0]->len)
		return plan_fail(r, n->items[0], "%s: the program's name is empty", what);
	*out = json_incref(argv);
	return 0;
}

/* A path inside the repository: relative, no way out of it, nothing of git's own. */
static int check_inside(struct plan_reader *r, const struct yaml_node *n, const char *what)
{
	const char *path = n->text;
	if (!*path)
		return plan_fail(r, n, "%s: an empty path", what);
	if (*path == '/')
		return plan_fail(r, n,
		                 "%s: %.200s is absolute (name it from the top of the "
		                 "repository)",
		                 what, path);
	while (*path) {
		size_t len = strcspn(path, "/");
		if (len == 2 && memcmp(path, "..", 2) == 0)
			return plan_fail(r, n, "%s: a path with .. leaves the repository", what);
		if (len == 4 && strncasecmp(path, ".git", 4) == 0)
			return plan_fail(r, n, "%s: .git is git's own", what);
		path += len;
		path += *path == '/';
	}
	return 0;
}

int plan_value_paths(struct plan_reader *r, const struct yaml_node *n, const char *what,
                     json_t **out)
{
	_cleanup_json_ json_t *paths = json_array();
	if (n->type != YAML_LIST && !plan_is_null(n))
		return wrong_type(r, n, what, "a list of paths such as [.env]");
	for (size_t i = 0; n->type == YAML_LIST && i < n->count; i++) {
		json_t *path = NULL;
		if (plan_value_word(r, n->items[i], what, &path))
			return -1;
		json_array_append_new(paths, path);
		if (check_inside(r, n->items[i], what))
			return -1;
	}
	*out = json_incref(paths);
	return 0;
}

static bool is_variable(const char *name)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	return *name && !(*name >= '0' && *name <= '9') && !name[strspn(name, set)];
}

int plan_value_env(struct plan_reader *r, const struct yaml_node *n, const char *what, json_t **out)
{
	_cleanup_json_ json_t *env = json_object();
	if (n->type != YAML_MAP && !plan_is_null(n))
		return wrong_type(r, n, what, "a mapping of names to values");
	for (size_t i = 0; n->type == YAML_MAP && i < n->count; i += 2) {
		const struct yaml_node *name = n->items[i], *value = n->items[i + 1];
		_cleanup_free_ char *shown = text_safe(name->text, PLAN_SHOWN);
		if (!is_variable(name->text))
			return plan_fail(r, name, "%s: %s is not a variable's name", what, shown);
		if (strncmp(name->text, "PLEACH_", 7) == 0)
			return plan_fail(r, name, "%s: %s is set by pleach itself", what, shown);
		if (value->type != YAML_SCALAR || value->scalar == YAML_NULL)
			return wrong_type(r, value, shown, "text");
		if (value->len > PLAN_COMMAND_MAX)
			return plan_fail(r, value, "%s: a value of more than %u KiB", shown,
			                 PLAN_COMMAND_MAX >> 10);
		json_object_set_new_nocheck(env, name->text, plan_text_json(value));
	}
	*out = json_incref(env);
	return 0;
}

static int read_overlay(struct plan_reader *r, const struct yaml_node *n, json_t **out)
{
	json_t *text = NULL;
	if (plan_value_word(r, n, "overlay", &text))
		return -1;
	json_decref(text);
	_cleanup_free_ char *path = plan_path(r, n->text);
	_cleanup_free_ char *real = realpath(path, NULL);
	struct stat st;
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN);
	if (!real || stat(real, &st) || !S_ISDIR(st.st_mode))
		return plan_fail(r, n, "overlay: %s is not a directory", shown);
	*out = json_string(real);
	if (!*out)
		return plan_fail(r, n, "overlay: %s is not UTF-8", shown);
	return 0;
}

/* The parts of a verify that were named: {"command","timeout","protect","overlay"}. */
static int read_verify_map(struct plan_reader *r, const struct yaml_node *n, json_t *verify)
{
	static const char *const known[] = {"command", "timeout", "protect", "overlay", NULL};
	if (plan_check_keys(r, n, known, "verify"))
		return -1;
	for (size_t i = 0; i < n->count; i += 2) {
		const char *key = n->items[i]->text;
		const struct yaml_node *value = n->items[i + 1];
		json_t *out = NULL;
		int status;
		if (strcmp(key, "command") == 0)
			status = plan_value_command(r, value, "verify", &out);
		else if (strcmp(key, "timeout") == 0)
			status = plan_value_duration(r, value, "timeout", &out);
		else if (strcmp(key, "protect") == 0)
			status = plan_value_paths(r, value, "protect", &out);
		else
			status = plan_is_null(value) ? 0 : read_overlay(r, value, &out);
		if (status)
			return -1;
		json_object_set_new(verify, key, out ? out : json_null());
	}
	return 0;
}

int plan_value_verify(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      json_t **out)
{
	if (plan_is_null(n) || (is_text(n) && strcmp(n->text, "none") == 0)) {
		*out = json_null();
		return 0;
	}
	_cleanup_json_ json_t *verify = json_object();
	if (n->type == YAML_MAP) {
		if (read_verify_map(r, n, verify))
			return -1;
		*out = json_incref(verify);
		return 0;
	}
	json_t *command = NULL;
	if (plan_value_command(r, n, what, &command))
		return -1;
	*out = json_pack("{s:o}", "command", command);
	return 0;
}

int plan_value_revision(struct plan_reader *r, const struct yaml_node *n, const char *what,
                        json_t **out)
{
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN);
	bool fine = n->len > 0 && n->len <= 1000 && n->text[0] != '-';
	json_t *text = NULL;
	if (plan_is_null(n)) {
		*out = json_null();
		return 0;
	}
	if (plan_value_word(r, n, what, &text))
		return -1;
	for (const char *c = n->text; *c; c++)
		fine = fine && (unsigned char)*c > ' ' && *c != 0x7f;
	if (!fine) {
		json_decref(text);
		return plan_fail(r, n, "%s: %s is not a %s", what, shown,
		                 strcmp(what, "target") == 0 ? "branch" : "revision");
	}
	*out = text;
	return 0;
}

bool plan_is_branch(const char *name)
{
	size_t len = strlen(name);
	if (!len || len > 200 || name[0] == '-' || name[0] == '/' || name[len - 1] == '/' ||
	    name[len - 1] == '.' || strcmp(name, "@") == 0)
		return false;
	if (strstr(name, "..") || strstr(name, "//") || strstr(name, "@{") || strstr(name, "/.") ||
	    name[0] == '.')
		return false;
	for (const char *part = name; part; part = strchr(part, '/')) {
		part += *part == '/';
		size_t n = strcspn(part, "/");
		if (n >= 5 && memcmp(part + n - 5, ".lock", 5) == 0)
			return false;
	}
	for (const char *c = name; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("~^:?*[\\", *c))
			return false;
	}
	return true;
}
