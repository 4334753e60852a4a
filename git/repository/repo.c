/* Opening a repository for our own git work, and running git programs in it. */
#include "repo.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controls.h"
#include "mem.h"
#include "pipes.h"
#include "proc.h"
#include "program.h"

static int read_environment(struct repo *repo, struct error *err)
{
	struct pinned_watch *watch = NULL;
	char **unknown = NULL;
	char **env = pinned_environment_at(repo->place.common_dir, repo->also, repo->pinned_file,
	                                   &unknown, &watch, err);

	if (!env)
		return -1;
	strv_free(repo->env);
	strv_free(repo->unknown);
	pinned_watch_free(repo->watch);
	repo->env = env;
	repo->unknown = unknown;
	repo->watch = watch;
	return 0;
}

/* libgit2 opens sha1 repositories alone; of others git is asked. */
static void read_id_len(struct repo *repo)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};

	repo->id_len = GIT_OID_RAWSZ;
	if (!repo->git &&
	    git_run(repo, &run, GIT_ARGS("rev-parse", "--show-object-format"), NULL) == 0 &&
	    text.len && strncmp(text.data, "sha256", 6) == 0)
		repo->id_len = 32;
}

int repo_open(const char *root, const char *pinned_file, struct repo *out, struct error *err)
{
	struct repo repo = REPO_INIT;

	if (place_find(root, &repo.place, err) < 0)
		return -1;
	repo.pinned_file = xstrdup(pinned_file);
	pipes_remove_own(repo.place.common_dir);
	/* Never ended again: begun anew it has lost what its other threads had. */
	if (git_libgit2_init() > 0 &&
	    git_repository_open_ext(&repo.git, repo.place.common_dir,
	                            GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_NO_DOTGIT,
	                            NULL) < 0)
		repo.git = NULL;
	read_id_len(&repo);
	*out = repo;
	return 0;
}

void repo_close(struct repo *repo)
{
	git_repository_free(repo->git);
	strv_free(repo->env);
	strv_free(repo->unknown);
	pinned_watch_free(repo->watch);
	free(repo->pinned_file);
	free(repo->also);
	if (repo->place.common_dir)
		place_finish(&repo->place);
	*repo = (struct repo)REPO_INIT;
}

int repo_environment(const struct repo *repo, struct error *err)
{
	/* Filled on first use: to those who look on it was always there. */
	return repo->env ? 0 : read_environment((struct repo *)repo, err);
}

int repo_look_at(struct repo *repo, const char *git_dir, struct error *err)
{
	_cleanup_free_ char *file = repo_path(git_dir, "config.worktree");

	if (repo->also && strcmp(repo->also, git_dir) == 0)
		return 0;
	free(repo->also);
	repo->also = xstrdup(git_dir);
	/* Nothing there: from the next reading on it is watched. */
	if (!repo->watch || access(file, F_OK) < 0)
		return 0;
	return read_environment(repo, err);
}

int repo_refresh(struct repo *repo, struct error *err)
{
	_cleanup_free_ char *file = repo->also ? repo_path(repo->also, "config.worktree") : NULL;

	pipes_remove_own(repo->place.common_dir);
	if (file && repo->watch && !pinned_watch_knows(repo->watch, file) &&
	    access(file, F_OK) == 0)
		return read_environment(repo, err);

	return pinned_watch_same(repo->watch) ? 0 : read_environment(repo, err);
}

const char *env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env && env[i]; i++)
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
			return env[i] + n + 1;
	return NULL;
}

void env_set(char ***env, const char *name, const char *value)
{
	size_t n = strlen(name), kept = 0;

	for (size_t i = 0; *env && (*env)[i]; i++) {
		char *item = (*env)[i];

		if (strncmp(item, name, n) == 0 && item[n] == '=')
			free(item);
		else
			(*env)[kept++] = item;
	}
	if (*env)
		(*env)[kept] = NULL;
	if (value)
		strv_push(env, xasprintf("%s=%s", name, value));
}

char **git_run_environment(const struct repo *repo, const struct git_run *run, struct error *err)
{
	char **env;

	if (repo_environment(repo, err) < 0)
		return NULL;
	env = strv_copy((const char *const *)repo->env);
	env_set(&env, "GIT_DIR", run->git_dir ? run->git_dir : repo->place.common_dir);
	/* Whatever an agent wrote into a worktree's entry: this repository, its pinned settings. */
	if (run->git_dir)
		env_set(&env, "GIT_COMMON_DIR", repo->place.common_dir);
	if (run->work_tree)
		env_set(&env, "GIT_WORK_TREE", run->work_tree);
	if (run->index)
		env_set(&env, "GIT_INDEX_FILE", run->index);
	for (size_t i = 0; run->set && run->set[i]; i += 2)
		env_set(&env, run->set[i], run->set[i + 1]);
	return env;
}

char **repo_settings(const struct repo *repo, const char *const *pairs)
{
	const char *count = env_get(repo->env, "GIT_CONFIG_COUNT");
	int n = count ? atoi(count) : 0;
	char **set = NULL;

	for (; pairs[0]; pairs += 2, n++) {
		strv_push(&set, xasprintf("GIT_CONFIG_KEY_%d", n));
		strv_push(&set, xstrdup(pairs[0]));
		strv_push(&set, xasprintf("GIT_CONFIG_VALUE_%d", n));
		strv_push(&set, xstrdup(pairs[1]));
	}
	strv_push(&set, xstrdup("GIT_CONFIG_COUNT"));
	strv_push(&set, xasprintf("%d", n));
	return set;
}

void env_add_setting(char ***env, const char *key, const char *value)
{
	const char *count = env_get(*env, "GIT_CONFIG_COUNT");
	int n = count ? atoi(count) : 0;
	_cleanup_free_ char *name = xasprintf("GIT_CONFIG_KEY_%d", n);
	_cleanup_free_ char *other = xasprintf("GIT_CONFIG_VALUE_%d", n);
	_cleanup_free_ char *more = xasprintf("%d", n + 1);

	env_set(env, name, key);
	env_set(env, other, value);
	env_set(env, "GIT_CONFIG_COUNT", more);
}

bool repo_is_partial(const struct repo *repo)
{
	const char *protocols = env_get(repo->env, "GIT_ALLOW_PROTOCOL");

	return protocols && strcmp(protocols, "none") != 0;
}

/* The last line that says something, without git's own prefix. */
static const char *last_line(struct buf *text)
{
	char *line;

	while (text->len && strchr("\r\n \t", text->data[text->len - 1]))
		text->data[--text->len] = '\0';
	if (!text->len)
		return NULL;
	line = strrchr(text->data, '\n');
	line = line ? line + 1 : text->data;
	if (strncmp(line, "fatal: ", 7) == 0 || strncmp(line, "error: ", 7) == 0)
		line += 7;
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	return line;
}

/* The file that a git program holds while it writes an index that is ours alone: not that of
 * the user's own working tree. NULL where there is none; caller frees. */
static char *own_lock(const struct repo *repo, const struct git_run *run)
{
	if (run->index)
		return xasprintf("%s.lock", run->index);
	if (run->git_dir && strcmp(run->git_dir, repo->place.common_dir) != 0)
		return repo_path(run->git_dir, "index.lock");
	return NULL;
}

/* Where a git program runs that takes long. */
struct standing {
	const char *common_dir, *work_tree; /* NULL: none, or the user's */
};

static void look_for_pipes(void *context)
{
	const struct standing *where = context;

	pipes_remove_own(where->common_dir);
	if (where->work_tree)
		pipes_remove(where->work_tree);
}

int git_run(const struct repo *repo, const struct git_run *run, const char *const *args,
            struct error *err)
{
	_cleanup_free_ char *lock = own_lock(repo, run);
	const char *const index_lock[] = {lock, NULL};
	const char *const *locks = run->locks ? run->locks : index_lock;
	size_t n = strv_len(args);
	_cleanup_free_ const char **argv = xcalloc(n + 2, sizeof *argv);
	_cleanup_strv_ char **env = git_run_environment(repo, run, err);
	_cleanup_buf_ struct buf own_why = BUF_INIT;
	struct buf *why = run->why ? run->why : &own_why;
	struct proc_run proc = {.spec = PROC_SPEC_INIT};
	struct standing standing = {repo->place.common_dir, NULL};
	const char *line;
	int status;

	if (!env)
		return -1;
	argv[0] = "git";
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = args[i];
	proc.spec.argv = argv;
	proc.spec.env = (const char *const *)env;
	proc.spec.cwd = run->work_tree ? run->work_tree
	                : run->git_dir ? run->git_dir
	                               : repo->place.common_dir;
	proc.in = run->in;
	proc.in_len = run->in_len;
	proc.out = run->out;
	proc.err_out = why;
	proc.max_out = (size_t)1 << 30;
	if (run->work_tree && run->git_dir && strcmp(run->git_dir, repo->place.common_dir) != 0)
		standing.work_tree = run->work_tree;
	proc.long_ms = PIPES_LOOK_MS;
	proc.on_long = look_for_pipes;
	proc.context = &standing;
	if ((run->killed ? proc_run(&proc, &status, err)
	                 : git_program(&proc, locks, &status, err)) < 0)
		return error_wrap(err, "git %s", args[0]);
	if (run->killed)
		*run->killed = WIFSIGNALED(status);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || run->exit_code)) {
		if (run->exit_code)
			*run->exit_code = WEXITSTATUS(status);
		/* Callers that look at the exit status may still need git's reason. */
		line = WEXITSTATUS(status) ? last_line(why) : NULL;
		if (line)
			error_set(err, ERROR_EXTERNAL, "git %s: %s", args[0], line);
		return 0;
	}
	line = last_line(why);
	return error_set(err, ERROR_EXTERNAL, "git %s: %s", args[0],
	                 line ? line : proc_status_text(status));
}

bool hex_is_id(const char *text)
{
	size_t n = text ? strspn(text, "0123456789abcdef") : 0;

	return (n == 40 || n == 64) && text[n] == '\0';
}

int git_find_id(const struct repo *repo, const char *spec, char hex[HEX_SIZE], struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int code = 0;
	struct git_run run = {.exit_code = &code, .out = &text};

	if (git_run(repo, &run,
	            GIT_ARGS("rev-parse", "--verify", "--quiet", "--end-of-options", spec),
	            err) < 0)
		return -1;
	buf_add(&text, "", 0);
	text.data[strcspn(text.data, "\n")] = '\0';
	if (code != 0 || !hex_is_id(text.data))
		return 0;
	memcpy(hex, text.data, strlen(text.data) + 1);
	return 1;
}

int git_run_id(const struct repo *repo, const struct git_run *run, const char *const *args,
               char hex[HEX_SIZE], struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run with_out = *run;

	with_out.out = &text;
	if (git_run(repo, &with_out, args, err) < 0)
		return -1;
	buf_add(&text, "", 0);
	text.data[strcspn(text.data, "\n")] = '\0';
	if (!hex_is_id(text.data))
		return error_set(err, ERROR_EXTERNAL, "git %s did not answer with an object id",
		                 args[0]);
	memcpy(hex, text.data, strlen(text.data) + 1);
	return 0;
}

int repo_sync(const struct repo *repo, struct error *err)
{
	_cleanup_close_ int fd = open(repo->place.common_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *objects = repo_path(repo->place.common_dir, "objects");
	_cleanup_close_ int objects_fd = open(objects, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat a, b;

	if (control_off("fsync-git"))
		return 0;
	if (fd < 0 || syncfs(fd) < 0)
		return error_errno(err, "cannot sync %s", repo->place.common_dir);
	/* The objects may be on another file system. */
	if (objects_fd >= 0 && fstat(fd, &a) == 0 && fstat(objects_fd, &b) == 0 &&
	    a.st_dev != b.st_dev && syncfs(objects_fd) < 0)
		return error_errno(err, "cannot sync %s", objects);
	return 0;
}

char *repo_path(const char *git_dir, const char *name)
{
	return xasprintf("%s/%s", git_dir, name);
}
