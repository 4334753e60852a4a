/* Options: one table a command drives parsing, --help, shell completion and the check of
 * the manual. Nothing here knows what an option means. */
#ifndef PLEACH_CLI_OPTIONS_H
#define PLEACH_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* What stands in an option's or argument's place, for completion. */
enum option_kind {
	KIND_TEXT,
	KIND_FILE,
	KIND_DIR,
	KIND_TASK,
	KIND_WHO,
	KIND_AGENT,
	KIND_PLAN,
	KIND_BRANCH,
	KIND_COMMAND,
	KIND_WORDS
};

struct option {
	const char *name;  /* long name, without dashes; NULL ends a table */
	char letter;       /* short name; 0: none */
	const char *value; /* what help calls its value; NULL: a flag */
	const char *help;  /* one line */
	bool repeat;       /* may be given several times; otherwise the last one counts */
	enum option_kind kind;
	const char *words; /* KIND_WORDS: the values it may have, with spaces between */
};

struct option_value {
	const struct option *option;
	const char *text; /* borrowed from argv; NULL: a flag */
};

struct options {
	struct option_value *values;
	size_t count;
	char **args; /* what is no option; borrowed from argv, NULL-terminated */
	size_t arg_count;
	char **rest; /* what stands after "--"; NULL: there is none */
};

void options_finish(struct options *options);
/* Reads argv[0..] with all of the tables (NULL-terminated), up to the end, or with
 * `stop_at_word` up to the first argument that is no option (`*used` says how many were read).
 * Adds to what is there. Errors: INVALID. */
int options_parse(const struct option *const *tables, char **argv, bool stop_at_word,
                  struct options *out, size_t *used, struct error *err);
/* What stands after "--" are arguments like the others, whatever they begin with. */
void options_take_rest(struct options *options);

bool options_flag(const struct options *options, const char *name);
/* The last value given, or NULL. Borrowed. */
const char *options_text(const struct options *options, const char *name);
/* Every value given; caller frees the vector only (free), NULL-terminated. */
const char **options_list(const struct options *options, const char *name);
/* A whole number of at least `least`; `otherwise` when it is not given. */
int options_number(const struct options *options, const char *name, long least, long otherwise,
                   long *out, struct error *err);
/* A duration in seconds; `otherwise` when it is not given. */
int options_duration(const struct options *options, const char *name, double otherwise, double *out,
                     struct error *err);

#endif
