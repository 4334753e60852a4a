/* The table of commands, and finding one by what was typed. */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "mem.h"
#include "text.h"

const struct option global_options[] = {
    {.name = "dir",
     .letter = 'C',
     .value = "DIR",
     .help = "as if started in DIR",
     .kind = KIND_DIR},
    {.name = "json", .help = "print JSON: one object, or one a line"},
    {.name = "quiet", .letter = 'q', .help = "only errors and what was asked for"},
    {.name = "verbose", .letter = 'v', .help = "say more"},
    {.name = "color",
     .value = "WHEN",
     .help = "auto, always or never",
     .kind = KIND_WORDS,
     .words = "auto always never"},
    {.name = "no-input", .help = "never ask on the terminal"},
    {.name = "help", .letter = 'h', .help = "this text"},
    {.name = "version", .help = "the version"},
    {0}};

const struct command *const commands[] = {
#define X(name) &command_##name,
    COMMANDS(X)
#undef X
        NULL};

/* True when the list "a,b,c" has the name. */
static bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n == len && memcmp(list, name, n) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0 || list_has(commands[i]->aliases, name))
			return commands[i];
	return NULL;
}

static bool starts_group(const char *names, const char *word)
{
	size_t len = strlen(word);

	while (names && *names) {
		if (strncmp(names, word, len) == 0 && names[len] == ' ')
			return true;
		names += strcspn(names, ",");
		names += *names == ',';
	}
	return false;
}

bool command_is_in_group(const struct command *command, const char *word)
{
	return starts_group(command->name, word) || starts_group(command->aliases, word);
}

bool command_is_group(const char *word)
{
	for (size_t i = 0; commands[i]; i++)
		if (command_is_in_group(commands[i], word))
			return true;
	return false;
}

const char *command_nearest(const char *name)
{
	/* What other tools, and our own words, call it. */
	static const char *const called[][2] = {
	    {"cancel", "stop"}, {"kill", "stop"}, {"watch", "status"},  {"start", "run"},
	    {"list", "ls"},     {"log", "logs"},  {"shutdown", "down"}, {"choose", "pick"}};
	_cleanup_free_ const char **names = xcalloc(ARRAY_LEN(commands) * 2, sizeof *names);
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(called); i++)
		if (strcmp(called[i][0], name) == 0)
			return called[i][1];
	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->hidden)
			continue;
		names[n++] = commands[i]->name;
		if (commands[i]->aliases && !strchr(commands[i]->aliases, ','))
			names[n++] = commands[i]->aliases;
	}
	return text_nearest(name, names);
}
