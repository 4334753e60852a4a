/* pleach init: a commented pleach.yaml to start from. Never overwrites one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "print.h"
#include "text.h"

static const char text[] =
    "# Tasks for a team of agents: `pleach run` does them, man pleach-plan says the rest.\n"
    "#\n"
    "# base: main               # where the work starts; without it, HEAD\n"
    "# target: main             # what chosen work is merged into; without it, this branch\n"
    "# verify: make test        # proves each result; a task is completed when it passed\n"
    "# setup: ./configure       # once in each new worktree\n"
    "# copy: [.env]             # untracked files that each worktree gets a copy of\n"
    "# link: [node_modules]     # or a symbolic link to\n"
    "# defaults: {agent: claude, timeout: 1h}\n"
    "# team: 4                  # teammates; without it, one a ready task, at most 4\n"
    "#\n"
    "# agents:                  # beside those that are built in: your own commands\n"
    "#   fixer:\n"
    "#     command: [sh, agents/fix.sh, \"{prompt_file}\"]\n"
    "\n"
    "tasks:\n"
    "  - id: first\n"
    "    prompt: " PLAN_PROMPT_UNWRITTEN "\n"
    "  # - id: second\n"
    "  #   prompt: This one starts from the result of the first.\n"
    "  #   blocked_by: [first]\n"
    "  # - id: third\n"
    "  #   prompt: This one is tried twice, and you pick.\n"
    "  #   alternatives: 2\n";

static int init_exec(struct cli *cli, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_json_ json_t *answer = NULL;
	int fd, rc;

	if (cli_place(cli, err) < 0)
		return -1;
	if (!cli->place.worktree)
		return error_set(err, ERROR_INVALID,
		                 "init: a bare repository has no files (write the plan anywhere: "
		                 "pleach run FILE)");
	path = xasprintf("%s/pleach.yaml", cli->place.worktree);
	/* O_EXCL: what is there, a link too, stays. */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return error_set(err, ERROR_CONFLICT, "init: %s is there already (edit it)", path);
	if (fd < 0)
		return error_errno(err, "init: cannot write %s", path);
	rc = write_all(fd, text, sizeof text - 1);
	if (close(fd) < 0)
		rc = -1;
	if (rc < 0) {
		error_errno(err, "init: cannot write %s", path);
		unlink(path);
		return -1;
	}
	if (cli->json) {
		answer = json_pack("{s:o}", "file", json_text_or_null(path));
		return print_json(answer);
	}
	_cleanup_free_ char *shown = text_safe(path, 0);
	printf("wrote %s: edit it, then pleach run\n", shown);
	return 0;
}

static const struct option no_options[] = {{0}};

const struct command command_init = {
    .name = "init",
    .usage = "",
    .summary = "write a pleach.yaml to start from",
    .options = no_options,
    .exec = init_exec,
};
