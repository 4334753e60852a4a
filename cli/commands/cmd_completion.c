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
	static const char *const words[] = {"",       "@file", "@dir",    "@task",    "@who",
	                                    "@agent", "@plan", "@branch", "@command", ""};

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

/* Lines `command|argument kind|options`. */
static void print_line(const char *name, const struct command *c)
{
	printf("%s|%s|", name, kind_word(c->args));
	print_options(c->options);
	putchar('\n');
}

/* Lines `command|option|words or kind`, of those that take a value. */
static void print_values(const char *name, const struct option *options)
{
	for (const struct option *o = options; o && o->name; o++) {
		const char *kind = o->kind == KIND_WORDS ? o->words : kind_word(o->kind);

		if (o->value)
			printf("%s|--%s|%s\n", name, o->name, kind);
		if (o->value && o->letter)
			printf("%s|-%c|%s\n", name, o->letter, kind);
	}
}

/* Under each of its names: what all three scripts look their answers up in. */
static void print_tables(bool values)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		_cleanup_free_ char *words = xstrdup(c->aliases ? c->aliases : "");
		char *aliases = words;

		if (c->hidden)
			continue;
		for (const char *name = c->name; name; name = strsep(&aliases, ",")) {
			if (*name && values)
				print_values(name, c->options);
			else if (*name)
				print_line(name, c);
		}
	}
	if (values) {
		print_values("*", global_options);
		return;
	}
	printf("*||");
	print_options(global_options);
	putchar('\n');
}

/* clang-format off */
static const char bash_script[] =
    "_pleach_words() { # KIND DIR: candidates, one a line\n"
    "\tcase $1 in\n"
    "\t@task|@who|@agent|@plan) pleach ${2:+-C \"$2\"} names \"${1#@}\" 2>/dev/null ;;\n"
    "\t@branch) git ${2:+-C \"$2\"} for-each-ref --format='%(refname:short)' refs/heads 2>/dev/null ;;\n"
    "\t*) printf '%s\\n' $1 ;;\n"
    "\tesac\n"
    "}\n"
    "_pleach_offer() { # CUR, candidates on stdin: one may hold what the shell would run\n"
    "\tlocal word\n"
    "\twhile IFS= read -r word; do\n"
    "\t\tcase $word in\n"
    "\t\t'') ;;\n"
    "\t\t\"$1\"*) COMPREPLY+=(\"$(printf %q \"$word\")\") ;;\n"
    "\t\tesac\n"
    "\tdone\n"
    "}\n"
    "_pleach_offer_kind() { # KIND DIR CUR\n"
    "\tcase $1 in\n"
    "\t'') ;;\n"
    "\t@file|@dir) COMPREPLY=($(compgen -f -- \"$3\")) ;;\n"
    "\t*) _pleach_offer \"$3\" <<END\n"
    "$(_pleach_words \"$1\" \"$2\")\n"
    "END\n"
    "\t;;\n"
    "\tesac\n"
    "}\n"
    "_pleach_seconds() { # WORD: what may follow it; typed by somebody, it is no pattern\n"
    "\tlocal command rest\n"
    "\twhile IFS='|' read -r command rest; do\n"
    "\t\tcase $command in\n"
    "\t\t\"$1 \"*) printf '%s\\n' \"${command#\"$1 \"}\" ;;\n"
    "\t\tesac\n"
    "\tdone <<END\n"
    "$(_pleach_table)\n"
    "END\n"
    "}\n"
    "_pleach_firsts() {\n"
    "\t_pleach_table | sed '/^\\*/d; s/[ |].*//' | sort -u\n"
    "}\n"
    "_pleach_takes() { # COMMAND OPTION: the kind of its value; 1: it takes none\n"
    "\tlocal command option kind\n"
    "\twhile IFS='|' read -r command option kind; do\n"
    "\t\tif [ \"$option\" = \"$2\" ] && { [ \"$command\" = '*' ] || [ \"$command\" = \"$1\" ]; }; then\n"
    "\t\t\tprintf '%s\\n' \"$kind\"\n"
    "\t\t\treturn 0\n"
    "\t\tfi\n"
    "\tdone <<END\n"
    "$(_pleach_values)\n"
    "END\n"
    "\treturn 1\n"
    "}\n"
    "_pleach_line() { # COMMAND: kind of its arguments|options\n"
    "\tlocal command rest\n"
    "\twhile IFS='|' read -r command rest; do\n"
    "\t\tif [ \"$command\" = \"$1\" ]; then\n"
    "\t\t\tprintf '%s\\n' \"$rest\"\n"
    "\t\t\treturn 0\n"
    "\t\tfi\n"
    "\tdone <<END\n"
    "$(_pleach_table)\n"
    "END\n"
    "\treturn 1\n"
    "}\n"
    "_pleach() {\n"
    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd= group= arg= dir= word kind line i n\n"
    "\tCOMPREPLY=()\n"
    "\t[ \"$cur\" != = ] || cur=\n"
    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
    "\t\tword=${COMP_WORDS[i]}\n"
    "\t\tif [ \"$word\" = -- ]; then\n"
    "\t\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
    "\t\t\treturn\n"
    "\t\tfi\n"
    "\t\tcase $word in\n"
    "\t\t-*)\n"
    "\t\t\tkind=$(_pleach_takes \"$cmd\" \"$word\") || continue\n"
    "\t\t\tn=$((i + 1))\n"
    "\t\t\tif [ \"$n\" -lt \"$COMP_CWORD\" ] && [ \"${COMP_WORDS[n]}\" = = ]; then n=$((n + 1)); fi\n"
    "\t\t\tif [ \"$n\" -ge \"$COMP_CWORD\" ]; then\n"
    "\t\t\t\t_pleach_offer_kind \"$kind\" \"$dir\" \"$cur\"\n"
    "\t\t\t\treturn\n"
    "\t\t\tfi\n"
    "\t\t\tcase $word in -C|--dir) dir=${COMP_WORDS[n]} ;; esac\n"
    "\t\t\ti=$n\n"
    "\t\t\t;;\n"
    "\t\t*)\n"
    "\t\t\tif [ -n \"$group\" ]; then\n"
    "\t\t\t\tcmd=\"$group $word\" group=\n"
    "\t\t\telif [ -n \"$cmd\" ]; then\n"
    "\t\t\t\targ=$word\n"
    "\t\t\telif [ -n \"$(_pleach_seconds \"$word\")\" ]; then\n"
    "\t\t\t\tgroup=$word\n"
    "\t\t\telse\n"
    "\t\t\t\tcmd=$word\n"
    "\t\t\tfi\n"
    "\t\t\t;;\n"
    "\t\tesac\n"
    "\tdone\n"
    "\tline=$(_pleach_line \"$cmd\")\n"
    "\tcase $cur in\n"
    "\t-*)\n"
    "\t\t_pleach_offer \"$cur\" <<END\n"
    "$(printf '%s\\n' ${line#*|} $(_pleach_line '*' | sed 's/.*|//'))\n"
    "END\n"
    "\t\treturn\n"
    "\t\t;;\n"
    "\tesac\n"
    "\tif [ -n \"$group\" ]; then kind=\"$(_pleach_seconds \"$group\")\"\n"
    "\telif [ -z \"$cmd\" ]; then kind=\"$(_pleach_firsts)\"\n"
    "\telse kind=${line%%|*}\n"
    "\tfi\n"
    "\tif [ \"$kind\" = @command ]; then\n"
    "\t\tif [ -n \"$arg\" ]; then kind=\"$(_pleach_seconds \"$arg\")\"; else kind=\"$(_pleach_firsts)\"; fi\n"
    "\tfi\n"
    "\t_pleach_offer_kind \"$kind\" \"$dir\" \"$cur\"\n"
    "}\n";
/* clang-format on */

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
	print_tables(false);
	printf("END\n}\n_pleach_values() {\ncat <<'END'\n");
	print_tables(true);
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
	struct plan_context context = {.keep = true};
	_cleanup_json_ json_t *agents = NULL, *warnings = NULL;

	if (cli_place(cli, NULL) == 0)
		context.root = cli->place.bare ? cli->place.worktree : cli->place.root;
	if (plan_agents_list(&context, &agents, &warnings, NULL) == 0) {
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
	_cleanup_json_ json_t *tasks = NULL, *team = NULL, *status = NULL;

	if (strcmp(kind, "agent") == 0)
		return print_agents(cli);
	if (cli_connect_running(cli, err) != 1)
		return 0;
	if (strcmp(kind, "plan") == 0) {
		if (rpc_client_ask(cli->client, "status", NULL, false, &status, err) == 0)
			print_field_of(json_sub(status, "plans"), "name");
		return 0;
	}
	if (cli_list_tasks(cli, NULL, true, &tasks, err) == 0)
		print_field_of(json_sub(tasks, "tasks"), "key");
	if (strcmp(kind, "who") == 0 &&
	    rpc_client_ask(cli->client, "team.list", NULL, false, &team, err) == 0)
		print_field_of(json_sub(team, "teammates"), "name");
	return 0;
}

const struct command command_names = {
    .name = "names",
    .usage = "task | who | agent | plan",
    .summary = "names, for completion",
    .options = no_options,
    .least_args = 1,
    .most_args = 1,
    .hidden = true,
    .exec = names_exec,
};
