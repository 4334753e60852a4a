/* pleach completion: a script for bash, zsh or fish, made from the tables. Names of tasks and
 * teammates come from the hidden command `names`, which never starts a coordinator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "text.h"

/* What stands for the kind in a script: the words themselves, or where they come from. */
static const char *kind_word(enum option_kind kind)
{
	static const char *const words[] = {"", "@file", "@dir", "@task", "@who", "@agent", ""};

	return words[kind];
}

static void print_options(const struct option *options)
{
	for (const struct option *o = options; o && o->name; o++) {
		printf(" --%s", o->name);
		if (o->letter)
			printf(" -%c", o->letter);
	}
}

/* Lines `command|argument kind|options`: what all three scripts look their answers up in. */
static void print_table(void)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		_cleanup_free_ char *words = xstrdup(c->aliases ? c->aliases : "");
		char *aliases = words;

		if (c->hidden)
			continue;
		for (char *name = (char *)c->name; name; name = strsep(&aliases, ",")) {
			if (!*name)
				continue;
			printf("%s|%s|", name, kind_word(c->args));
			print_options(c->options);
			putchar('\n');
		}
	}
	printf("*||");
	print_options(global_options);
	putchar('\n');
}

/* Lines `--option|words or kind`. */
static void print_values(void)
{
	const struct option *tables[64] = {global_options};
	size_t n = 1;

	for (size_t i = 0; commands[i] && n < ARRAY_LEN(tables); i++)
		tables[n++] = commands[i]->options;
	for (size_t t = 0; t < n; t++)
		for (const struct option *o = tables[t]; o && o->name; o++)
			if (o->value && (o->kind != KIND_TEXT))
				printf("--%s|%s\n", o->name,
				       o->kind == KIND_WORDS ? o->words : kind_word(o->kind));
}

static const char bash_script[] =
    "_pleach_words() {\n"
    "	case $1 in\n"
    "	@task|@who|@agent) pleach names \"${1#@}\" 2>/dev/null ;;\n"
    "	*) printf '%s\\n' $1 ;;\n"
    "	esac\n"
    "}\n"
    "_pleach() {\n"
    "	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "	local cmd= two= i kind line\n"
    "	for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "		case ${COMP_WORDS[i]} in -*) continue ;; esac\n"
    "		if [ -z \"$cmd\" ]; then cmd=${COMP_WORDS[i]}; else two=\"$cmd ${COMP_WORDS[i]}\"; "
    "break; fi\n"
    "	done\n"
    "	kind=$(_pleach_values | sed -n \"s/^$prev|//p\" | head -n 1)\n"
    "	if [ \"$kind\" = @file ] || [ \"$kind\" = @dir ]; then COMPREPLY=($(compgen -f -- "
    "\"$cur\")); return; fi\n"
    "	if [ -n \"$kind\" ]; then COMPREPLY=($(compgen -W \"$(_pleach_words \"$kind\")\" -- "
    "\"$cur\")); return; fi\n"
    "	line=$(_pleach_table | grep -- \"^$two|\" || _pleach_table | grep -- \"^$cmd|\")\n"
    "	case $cur in\n"
    "	-*) COMPREPLY=($(compgen -W \"${line##*|} $(_pleach_table | sed -n 's/^\\*||//p')\" -- "
    "\"$cur\")); return ;;\n"
    "	esac\n"
    "	if [ -z \"$cmd\" ]; then\n"
    "		COMPREPLY=($(compgen -W \"$(_pleach_table | sed 's/[ |].*//' | sort -u)\" -- "
    "\"$cur\")); return\n"
    "	fi\n"
    "	if [ -z \"$line\" ]; then\n"
    "		COMPREPLY=($(compgen -W \"$(_pleach_table | sed -n \"s/^$cmd "
    "\\([^|]*\\)|.*/\\1/p\")\" -- \"$cur\")); return\n"
    "	fi\n"
    "	kind=${line#*|}; kind=${kind%%|*}\n"
    "	case $kind in\n"
    "	@file|'') COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "	*) COMPREPLY=($(compgen -W \"$(_pleach_words \"$kind\")\" -- \"$cur\")) ;;\n"
    "	esac\n"
    "}\n";

static const char fish_script[] = "function __pleach_words\n"
                                  "	set -l words (commandline -opc) (commandline -ct)\n"
                                  "	bash -c 'eval \"$(pleach completion bash)\"; "
                                  "COMP_WORDS=(\"$@\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                                  "_pleach; printf \"%s\\n\" \"${COMPREPLY[@]}\"' pleach $words\n"
                                  "end\n"
                                  "complete -c pleach -f -a '(__pleach_words)'\n";

static void print_bash(void)
{
	printf("_pleach_table() {\ncat <<'END'\n");
	print_table();
	printf("END\n}\n_pleach_values() {\ncat <<'END'\n");
	print_values();
	printf("END\n}\n%s", bash_script);
}

static int completion_exec(struct cli *cli, struct error *err)
{
	const char *shell = cli->options.args[0];

	if (strcmp(shell, "bash") == 0) {
		print_bash();
		printf("complete -F _pleach pleach\n");
	} else if (strcmp(shell, "zsh") == 0) {
		printf("#compdef pleach\nautoload -U +X bashcompinit && bashcompinit\n");
		print_bash();
		printf("complete -F _pleach pleach\n");
	} else if (strcmp(shell, "fish") == 0) {
		fputs(fish_script, stdout);
	} else {
		_cleanup_free_ char *shown = text_safe(shell, 40);

		return error_set(err, ERROR_INVALID, "completion: %s is none of bash, zsh, fish",
		                 shown);
	}
	return 0;
}

static const struct option no_options[] = {{0}};

const struct command command_completion = {
    .name = "completion",
    .usage = "bash | zsh | fish",
    .summary = "a completion script for that shell",
    .options = no_options,
    .least_args = 1,
    .most_args = 1,
    .exec = completion_exec,
};

static void print_field_of(const json_t *items, const char *field)
{
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		if (json_text(item, field)) {
			_cleanup_free_ char *shown = text_safe(json_text(item, field), 0);

			printf("%s\n", shown);
		}
	}
}

/* Those of the files, too; where these are broken, the built-in ones. */
static int print_agents(struct cli *cli)
{
	struct plan_context context = {0};
	const struct plan_module *module = plan_module_load(NULL);
	_cleanup_json_ json_t *agents = NULL, *warnings = NULL;

	if (cli_place(cli, NULL) == 0)
		context.root = cli->place.bare ? cli->place.worktree : cli->place.root;
	if (module && module->agents_list(&context, &agents, &warnings, NULL) == 0) {
		print_field_of(agents, "name");
		return 0;
	}
	for (const char *const *name = agents_names(); *name; name++)
		printf("%s\n", *name);
	return 0;
}

static int names_exec(struct cli *cli, struct error *err)
{
	const char *kind = cli->options.args[0];
	_cleanup_json_ json_t *tasks = NULL, *team = NULL;

	if (strcmp(kind, "agent") == 0)
		return print_agents(cli);
	if (cli_connect_running(cli, err) != 1)
		return 0;
	if (cli_list_tasks(cli, NULL, true, &tasks, err) == 0)
		print_field_of(json_sub(tasks, "tasks"), "key");
	if (strcmp(kind, "who") == 0 &&
	    rpc_client_ask(cli->client, "team.list", NULL, false, &team, err) == 0)
		print_field_of(json_sub(team, "teammates"), "name");
	return 0;
}

const struct command command_names = {
    .name = "names",
    .usage = "task | who | agent",
    .summary = "names, for completion",
    .options = no_options,
    .least_args = 1,
    .most_args = 1,
    .hidden = true,
    .exec = names_exec,
};
