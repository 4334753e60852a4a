/* diff: git's own patch, streamed to stdout. With a slot, its files as they are now are
 * compared, through a copy of its index: an agent may be at work there. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "jsonl.h"
#include "marker.h"
#include "mem.h"
#include "proc.h"
#include "refs.h"
#include "verb.h"
#include "worktree.h"

static int stream(const struct repo *repo, const struct git_run *run, char *const *args,
                  struct error *err)
{
	_cleanup_strv_ char **env = git_run_environment(repo, run, err), **argv = NULL;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc proc;
	int status, rc;

	if (!env)
		return -1;
	strv_push(&argv, xstrdup("git"));
	for (size_t i = 0; args[i]; i++)
		strv_push(&argv, xstrdup(args[i]));
	spec.argv = (const char *const *)argv;
	spec.env = (const char *const *)env;
	spec.cwd = run->work_tree ? run->work_tree : repo->place.common_dir;
	spec.stdout_fd = STDOUT_FILENO;
	spec.stderr_fd = STDERR_FILENO;
	if (proc_spawn(&spec, &proc, err) < 0)
		return error_wrap(err, "git diff");
	rc = proc_wait(&proc, &status, err);
	close(proc.pidfd);
	if (rc < 0)
		return -1;
	/* Whoever read the patch may have seen enough. */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)
		return 0;
	return status == 0
	           ? 0
	           : error_set(err, ERROR_EXTERNAL, "git diff: %s", proc_status_text(status));
}

static void add_options(char ***args, const json_t *request)
{
	static const char *const fixed[] = {"diff",
	                                    "--no-ext-diff",
	                                    "--no-textconv",
	                                    "--src-prefix=a/",
	                                    "--dst-prefix=b/",
	                                    "--submodule=short"};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		strv_push(args, xstrdup(fixed[i]));
	if (json_flag(request, "stat")) {
		strv_push(args, xstrdup("--stat"));
	} else if (json_flag(request, "plain")) {
		strv_push(args, xstrdup("--patch"));
		strv_push(args, xstrdup("--unified=3"));
		strv_push(args, xstrdup("--no-renames"));
	} else {
		strv_push(args, xstrdup("--patch"));
		strv_push(args, xstrdup("--binary"));
		strv_push(args, xstrdup("--full-index"));
	}
	strv_push(args, xstrdup(json_flag(request, "color") ? "--color=always" : "--color=never"));
}

static void add_pathspecs(char ***args, char *const *without)
{
	strv_push(args, xstrdup("--"));
	strv_push(args, xstrdup("."));
	for (size_t i = 0; without && without[i]; i++)
		strv_push(args, xasprintf(":(exclude,top,literal)%s", without[i]));
}

/* A copy of the slot's index in which untracked files are announced, not stored. */
static int announce(const struct repo *repo, const struct git_run *slot, const char *git_dir,
                    char *const *without, struct error *err)
{
	_cleanup_free_ char *own = repo_path(git_dir, "index");
	_cleanup_strv_ char **args = NULL;
	struct git_run run = *slot;
	int code = 0;

	if (file_copy(own, slot->index, err) < 0)
		return -1;
	run.exit_code = &code;
	strv_push(&args, xstrdup("add"));
	strv_push(&args, xstrdup("--intent-to-add"));
	strv_push(&args, xstrdup("--ignore-errors"));
	strv_push(&args, xstrdup("--sparse"));
	add_pathspecs(&args, without);
	return git_run(repo, &run, (const char *const *)args, err);
}

static int diff_slot(struct repo *repo, const json_t *request, const char *base, const char *dir,
                     struct error *err)
{
	_cleanup_free_ char *settled = path_settle(dir), *git_dir = NULL, *index = NULL;
	_cleanup_strv_ char **args = NULL;
	struct marker marker = MARKER_INIT;
	char scratch[] = "/tmp/pleach-git-XXXXXX";
	struct git_run run = {.work_tree = settled};
	int rc;

	git_dir = settled ? worktree_git_dir(repo, settled) : NULL;
	if (!git_dir)
		return error_set(err, ERROR_NOT_FOUND, "%s is no slot of this repository", dir);
	if (!mkdtemp(scratch))
		return error_errno(err, "cannot make %s", scratch);
	index = repo_path(scratch, "index");
	run.git_dir = git_dir;
	run.index = index;
	marker_read(git_dir, &marker, NULL);
	rc = repo_look_at(repo, git_dir, err) < 0 || repo_refresh(repo, err) < 0
	         ? -1
	         : announce(repo, &run, git_dir, marker.private_paths, err);
	add_options(&args, request);
	strv_push(&args, xstrdup(base));
	add_pathspecs(&args, marker.private_paths);
	if (rc == 0)
		rc = stream(repo, &run, args, err);
	marker_finish(&marker);
	file_remove_all(scratch, NULL);
	return rc;
}

int verb_diff(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_strv_ char **args = NULL;
	const char *base = verb_id(request, "base", err), *slot = json_text(request, "slot");
	const char *head = json_text(request, "head");
	struct git_run run = {.git_dir = NULL};

	(void)answer;
	if (!base || (head && !verb_id(request, "head", err)))
		return -1;
	if (!head && !slot)
		return error_set(err, ERROR_INVALID, "diff: head or slot is missing");
	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	if (slot && !head)
		return diff_slot(&repo, request, base, slot, err);
	add_options(&args, request);
	strv_push(&args, xstrdup(base));
	strv_push(&args, xstrdup(head));
	strv_push(&args, xstrdup("--"));
	return stream(&repo, &run, args, err);
}
