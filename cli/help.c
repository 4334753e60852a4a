/* Help and shell completion, made from the tables. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "mem.h"
#include "text.h"

#define NAME_COLUMNS 30

static void print_option(const struct option *option)
{
	char name[80];

	snprintf(name, sizeof name, "%s%c%s--%s%s%s", option->letter ? "-" : " ",
	         option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
	         option->value ? " " : "", option->value ? option->value : "");
	printf("  %-*s %s%s\n", NAME_COLUMNS, name, option->help,
	       option->repeat ? " (may be repeated)" : "");
}

static void print_command(const struct command *c)
{
	_cleanup_free_ char *name =
	    c->aliases ? xasprintf("%s, %s", c->name, c->aliases) : xstrdup(c->name);

	printf("  %-*s %s\n", NAME_COLUMNS, name, c->summary);
}

void help_print_group(const char *group)
{
	printf("usage: pleach %s COMMAND [ARGUMENT…]\n\ncommands:\n", group);
	for (size_t i = 0; commands[i]; i++)
		if (!commands[i]->hidden && command_is_in_group(commands[i], group))
			print_command(commands[i]);
	printf("\nMore: pleach %s COMMAND -h\n", group);
}

static void print_all(void)
{
	printf("usage: pleach [OPTION…] COMMAND [ARGUMENT…]\n\n"
	       "Runs a team of coding agents on this git repository.\n\ncommands:\n");
	for (size_t i = 0; commands[i]; i++)
		if (!commands[i]->hidden)
			print_command(commands[i]);
	printf("\noptions, anywhere before --:\n");
	for (const struct option *o = global_options; o->name; o++)
		print_option(o);
	printf("\nexit status: 0 done, 1 something failed, 2 bad usage or input, 3 a person is "
	       "needed,\n"
	       "4 not found, 5 refused, 6 surroundings, 124 time limit, 128+n signal.\n"
	       "More: pleach COMMAND -h, man pleach\n");
}

void help_print(const struct command *command)
{
	if (!command) {
		print_all();
		return;
	}
	printf("usage: pleach %s%s%s\n\n%s\n", command->name, *command->usage ? " " : "",
	       command->usage, command->summary);
	if (command->aliases)
		printf("also: %s\n", command->aliases);
	if (command->options && command->options->name)
		printf("\noptions:\n");
	for (const struct option *o = command->options; o && o->name; o++)
		print_option(o);
	printf("\noptions of every command:\n");
	for (const struct option *o = global_options; o->name; o++)
		print_option(o);
}
