/* pleach open and path: a worktree on a task's branch. One that is checked out already (the
 * slot while it runs) serves; otherwise pleach-git adds one beside the slots. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "kept.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "text.h"

static const struct option open_options[] = {
    {.name = "kept", .value = "REF", .help = "what an attempt of it left, as `task show` names it"},
    {0}};

/* A worktree on a branch, or (NULL) at a commit without one. */
static int open_at(struct cli *cli, const char *branch, const char *commit, char **dir,
                   struct error *err)
{
	_cleanup_free_ char *name = branch ? xstrdup(branch) : xasprintf("kept-%.12s", commit);
	_cleanup_free_ char *wanted = place_open_dir(&cli->place, name);
	json_t *request =
	    json_pack("{s:s?, s:s?, s:s}", "branch", branch, "commit", commit, "dir", wanted);
	_cleanup_json_ json_t *opened = NULL;

	if (cli_git(cli, "open", request, &opened, err) < 0)
		return -1;
	if (!json_text(opened, "dir"))
		return error_set(err, ERROR_EXTERNAL, "%s: pleach-git told no directory",
		                 cli->command->name);
	*dir = xstrdup(json_text(opened, "dir"));
	return 0;
}

/* 1: opened; 0: nothing is kept of it and none was asked for by name; -1. */
static int open_kept(struct cli *cli, const json_t *found, char **dir, struct error *err)
{
	const char *name = options_text(&cli->options, "kept"), *commit;
	_cleanup_json_ json_t *list = NULL;

	if (kept_of_task(cli, found, &list, err) < 0)
		return -1;
	commit = kept_find(list, name);
	if (!commit && name)
		return error_set(err, ERROR_NOT_FOUND,
		                 "%s: nothing of %s is kept as %s (pleach task show names what is)",
		                 cli->command->name, json_text(found, "key"), name);
	if (!commit)
		return 0;
	return open_at(cli, NULL, commit, dir, err) < 0 ? -1 : 1;
}

static int find_worktree(struct cli *cli, char **dir, struct error *err)
{
	_cleanup_json_ json_t *found = NULL;
	const char *branch, *head, *key, *alternative;
	struct error why = ERROR_INIT;
	int rc;

	if (cli_ask(cli, "task.locate", names_task(cli, 0, "task"), true, &found, err) < 0 ||
	    cli_place(cli, err) < 0)
		return -1;
	if (options_text(&cli->options, "kept"))
		return open_kept(cli, found, dir, err) < 0 ? -1 : 0;
	if (json_text(found, "slot") && json_flag(found, "running")) {
		*dir = xstrdup(json_text(found, "slot"));
		return 0;
	}
	branch = json_text(found, "branch");
	head = json_text(found, "head");
	key = json_text(found, "key");
	alternative = json_text(found, "alternative");
	if (alternative) /* a choice before it is decided: its work is that of its alternatives */
		return error_set(err, ERROR_NOT_FOUND, "%s: %s has no branch yet (pleach %s %s)",
		                 cli->command->name, key ? key : "it", cli->command->name,
		                 alternative);
	if (!branch) { /* slot: none works in the repository itself */
		*dir = xstrdup(cli->place.root);
		return 0;
	}
	if (!head && !json_text(found, "base"))
		return error_set(err, ERROR_NOT_FOUND, "%s: %s has no branch yet",
		                 cli->command->name, key ? key : "it");
	if (open_at(cli, branch, NULL, dir, &why) == 0)
		return 0;
	/* The branch has gone: what its newest attempt left. */
	rc = why.code == ERROR_NOT_FOUND ? open_kept(cli, found, dir, err) : 0;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	*err = why;
	return -1;
}

static int path_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_json_ json_t *answer = NULL;

	if (find_worktree(cli, &dir, err) < 0)
		return -1;
	if (cli->json) {
		answer = json_pack("{s:o}", "path", json_text_or_null(dir));
		return print_json(answer);
	}
	/* For scripts, so as it is; on a terminal made safe. */
	if (isatty(STDOUT_FILENO)) {
		_cleanup_free_ char *shown = text_safe(dir, 0);

		printf("%s\n", shown);
	} else {
		printf("%s\n", dir);
	}
	return 0;
}

const struct command command_path = {
    .name = "path",
    .usage = "[TASK] [--kept REF]",
    .summary = "the directory of a worktree on that task's branch",
    .options = open_options,
    .most_args = 1,
    .args = KIND_TASK,
    .exec = path_exec,
};

static int open_exec(struct cli *cli, struct error *err)
{
	const char *shell = getenv("SHELL");
	char *const alone[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};
	char *const *argv = cli->options.rest && cli->options.rest[0] ? cli->options.rest : alone;
	_cleanup_free_ char *dir = NULL;

	if (find_worktree(cli, &dir, err) < 0)
		return -1;
	if (chdir(dir) < 0)
		return error_errno(err, "open: cannot enter %s", dir);
	setenv("PWD", dir, 1);
	if (argv == alone && !cli->quiet) {
		_cleanup_free_ char *shown = text_safe(dir, 0);

		fprintf(stderr, "%s (exit leaves it)\n", shown);
	}
	fflush(stdout);
	execvp(argv[0], argv);
	return error_errno(err, "open: cannot start %s", argv[0]);
}

const struct command command_open = {
    .name = "open",
    .usage = "[TASK] [--kept REF] [-- CMD]",
    .summary = "a shell, or CMD, in a worktree on that task's branch",
    .options = open_options,
    .most_args = 1,
    .args = KIND_TASK,
    .takes_rest = true,
    .exec = open_exec,
};
