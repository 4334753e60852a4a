/* Whose repository it is. git refuses to work in somebody else's, whose configuration would run
 * programs as us, unless the user says so (safe.directory). We run git with GIT_DIR set, and then
 * it does not ask: so it is asked here, once, before anything is written there. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"
#include "place.h"
#include "proc.h"

extern char **environ;

static bool is_mine(const char *path)
{
	struct stat st;

	return !path || (lstat(path, &st) == 0 && st.st_uid == geteuid());
}

int place_check_owner(const struct place *place, struct error *err)
{
	const char *argv[] = {"git", "rev-parse", "--git-dir", NULL};
	_cleanup_buf_ struct buf why = BUF_INIT;
	_cleanup_strv_ char **env = NULL;
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	int status;

	if (is_mine(place->root) && is_mine(place->git_dir) && is_mine(place->common_dir) &&
	    is_mine(place->worktree))
		return 0;
	for (char **p = environ; *p; p++)
		if (strncmp(*p, "GIT_DIR=", 8) != 0 && strncmp(*p, "GIT_WORK_TREE=", 14) != 0)
			strv_push(&env, xstrdup(*p));
	run.spec.argv = argv;
	run.spec.env = (const char *const *)env;
	run.spec.cwd = place->worktree ? place->worktree : place->root;
	run.err_out = &why;
	if (proc_run(&run, &status, err) < 0)
		return -1;
	if (status == 0)
		return 0;
	buf_add(&why, "", 0);
	why.data[strcspn(why.data, "\n")] = '\0';
	return error_set(err, ERROR_EXTERNAL,
	                 "git refuses %s: %s (if you trust it: git config --global --add "
	                 "safe.directory %s)",
	                 place->root, why.data[0] ? why.data : proc_status_text(status),
	                 place->root);
}
