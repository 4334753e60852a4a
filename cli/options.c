/* Options: reading a command line by its tables. Owns no meaning: what an option does is the
 * command's business. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

void options_finish(struct options *options)
{
	free(options->values);
	free(options->args);
	*options = (struct options){0};
}

static void add_value(struct options *out, const struct option *option, const char *text)
{
	out->values = xrealloc(out->values, (out->count + 1) * sizeof *out->values);
	out->values[out->count++] = (struct option_value){option, text};
}

static void add_arg(struct options *out, char *arg)
{
	out->args = xrealloc(out->args, (out->arg_count + 2) * sizeof *out->args);
	out->args[out->arg_count++] = arg;
	out->args[out->arg_count] = NULL;
}

static const struct option *find_long(const struct option *const *tables, const char *name,
                                      size_t len)
{
	for (; *tables; tables++)
		for (const struct option *o = *tables; o->name; o++)
			if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
				return o;
	return NULL;
}

static const struct option *find_short(const struct option *const *tables, char letter)
{
	for (; *tables; tables++)
		for (const struct option *o = *tables; o->name; o++)
			if (o->letter == letter)
				return o;
	return NULL;
}

static int unknown_long(const struct option *const *tables, const char *name, size_t len,
                        struct error *err)
{
	_cleanup_free_ char *word = xstrndup(name, len), *shown = text_safe(word, 40);
	_cleanup_free_ const char **names = NULL;
	size_t n = 0;
	const char *nearest;

	for (const struct option *const *table = tables; *table; table++)
		for (const struct option *o = *table; o->name; o++) {
			names = xrealloc(names, (n + 2) * sizeof *names);
			names[n++] = o->name;
			names[n] = NULL;
		}
	nearest = text_nearest(word, names);
	if (nearest)
		return error_set(err, ERROR_INVALID, "unknown option --%s (did you mean --%s?)",
		                 shown, nearest);
	return error_set(err, ERROR_INVALID, "unknown option --%s (--help lists them)", shown);
}

/* --name, --name=value, --name value. `argv` stands at it. */
static int parse_long(const struct option *const *tables, char **argv, struct options *out,
                      size_t *used, struct error *err)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *option = find_long(tables, name, len);

	*used = 1;
	if (!option)
		return unknown_long(tables, name, len, err);
	if (!option->value) {
		if (equals)
			return error_set(err, ERROR_INVALID, "--%s takes no value", option->name);
		add_value(out, option, NULL);
		return 0;
	}
	if (equals) {
		add_value(out, option, equals + 1);
		return 0;
	}
	if (!argv[1])
		return error_set(err, ERROR_INVALID, "--%s needs a value (%s)", option->name,
		                 option->value);
	add_value(out, option, argv[1]);
	*used = 2;
	return 0;
}

/* -a, -ab, -nVALUE, -n VALUE. */
static int parse_short(const struct option *const *tables, char **argv, struct options *out,
                       size_t *used, struct error *err)
{
	*used = 1;
	for (const char *c = argv[0] + 1; *c; c++) {
		const struct option *option = find_short(tables, *c);

		if (!option) {
			_cleanup_free_ char *shown = text_safe(c, 20);

			return error_set(err, ERROR_INVALID,
			                 "unknown option -%s (--help lists them)", shown);
		}
		if (!option->value) {
			add_value(out, option, NULL);
			continue;
		}
		if (c[1]) {
			add_value(out, option, c + 1);
			return 0;
		}
		if (!argv[1])
			return error_set(err, ERROR_INVALID, "-%c needs a value (%s)", *c,
			                 option->value);
		add_value(out, option, argv[1]);
		*used = 2;
		return 0;
	}
	return 0;
}

/* True when `text` is one of the words. */
static bool is_among(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = words; *at;) {
		size_t n = strcspn(at, " ");

		if (n == len && memcmp(at, text, n) == 0)
			return true;
		at += n + (at[n] == ' ');
	}
	return false;
}

static int check_words(const struct options *options, size_t from, struct error *err)
{
	for (size_t i = from; i < options->count; i++) {
		const struct option *o = options->values[i].option;
		const char *text = options->values[i].text;

		if (o->kind == KIND_WORDS && o->words && text && !is_among(o->words, text)) {
			_cleanup_free_ char *shown = text_safe(text, 40);

			return error_set(err, ERROR_INVALID, "--%s %s: it is one of: %s", o->name,
			                 shown, o->words);
		}
	}
	return 0;
}

int options_parse(const struct option *const *tables, char **argv, bool stop_at_word,
                  struct options *out, size_t *used, struct error *err)
{
	size_t i = 0, before = out->count;

	while (argv[i]) {
		size_t n = 1;

		if (strcmp(argv[i], "--") == 0) {
			if (stop_at_word)
				break;
			out->rest = argv + i + 1;
			i += 1 + strv_len((const char *const *)out->rest);
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1]) {
			if (stop_at_word)
				break;
			add_arg(out, argv[i]);
		} else if (argv[i][1] == '-') {
			if (parse_long(tables, argv + i, out, &n, err) < 0)
				return -1;
		} else if (parse_short(tables, argv + i, out, &n, err) < 0) {
			return -1;
		}
		i += n;
	}
	if (used)
		*used = i;
	return check_words(out, before, err);
}

void options_take_rest(struct options *options)
{
	for (; options->rest && *options->rest; options->rest++)
		add_arg(options, *options->rest);
	options->rest = NULL;
}

bool options_flag(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->count; i++)
		if (strcmp(options->values[i].option->name, name) == 0)
			return true;
	return false;
}

const char *options_text(const struct options *options, const char *name)
{
	for (size_t i = options->count; i-- > 0;)
		if (strcmp(options->values[i].option->name, name) == 0)
			return options->values[i].text;
	return NULL;
}

const char **options_list(const struct options *options, const char *name)
{
	const char **list = xcalloc(options->count + 1, sizeof *list);
	size_t n = 0;

	for (size_t i = 0; i < options->count; i++)
		if (strcmp(options->values[i].option->name, name) == 0)
			list[n++] = options->values[i].text;
	return list;
}

int options_number(const struct options *options, const char *name, long least, long otherwise,
                   long *out, struct error *err)
{
	const char *text = options_text(options, name);
	char *end = NULL;
	long value;

	if (!text) {
		*out = otherwise;
		return 0;
	}
	errno = 0;
	value = strtol(text, &end, 10);
	if (!*text || *end || errno || value < least) {
		_cleanup_free_ char *shown = text_safe(text, 40);

		return error_set(err, ERROR_INVALID,
		                 "--%s %s: a whole number of at least %ld is needed", name, shown,
		                 least);
	}
	*out = value;
	return 0;
}

int options_duration(const struct options *options, const char *name, double otherwise, double *out,
                     struct error *err)
{
	const char *text = options_text(options, name);

	*out = otherwise;
	if (text && !text_parse_duration(text, out)) {
		_cleanup_free_ char *shown = text_safe(text, 40);

		return error_set(err, ERROR_INVALID,
		                 "--%s %s: a duration is like 90s, 30m, 2h or 1d", name, shown);
	}
	return 0;
}
