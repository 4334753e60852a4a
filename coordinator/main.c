/* pleach-coordinator: the daemon of one repository.
 *
 *   pleach-coordinator --root DIR            becomes a daemon; ends when it serves, or with
 *                                            one line that says why not
 *   pleach-coordinator --serve PID --root DIR  the serving process (run by the supervisor) */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <unistd.h>

#include "coordinator.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "supervisor.h"

#define LISTEN_FD 0 /* as the supervisor passes them */
#define READY_FD  3

static int ready_fd = -1;

static void say_ready(void)
{
	if (ready_fd < 0)
		return;
	if (write(ready_fd, "ok", 2) < 0)
		log_warn("main", "nobody waits for the start");
	close(ready_fd);
	ready_fd = -1;
}

static void say_failed(const struct error *err)
{
	if (ready_fd >= 0 && write(ready_fd, err->text, strlen(err->text)) < 0)
		log_error("main", "%s", err->text);
}

/* What a shell inside tmux, a slot or a git hook leaves in the environment is not ours. */
static void clean_environment(void)
{
	static const char *const names[] = {
	    "TMUX",           "TMUX_PANE",          "PLEACH_TASK",   "PLEACH_KEY",
	    "PLEACH_ATTEMPT", "PLEACH_TOKEN",       "PLEACH_SOCKET", "PLEACH_SLOT",
	    "PLEACH_BRANCH",  "PLEACH_BASE",        "PLEACH_ROOT",   "PLEACH_WORKTREE",
	    "PLEACH_INPUTS",  "PLEACH_PROMPT_FILE", "GIT_DIR",       "GIT_WORK_TREE",
	    "GIT_INDEX_FILE", "GIT_COMMON_DIR",     "GIT_PREFIX",    "GIT_OBJECT_DIRECTORY",
	    "GIT_NAMESPACE",  "PLEACH_GIT_JOB"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

static int run_serving(const char *root, const char *supervisor)
{
	int listen_fd = fcntl(LISTEN_FD, F_DUPFD_CLOEXEC, 10);
	struct error err = ERROR_INIT;
	struct place place;

	/* Without glibc's fast bins: what frees a plan of 10,000 tasks joined them hundreds of
	 * times. Small pieces come from its cache of each thread all the same. */
	mallopt(M_MXFAST, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != (pid_t)strtol(supervisor, NULL, 10))
		return 1; /* it died before we could ask to be told */
	ready_fd = fcntl(READY_FD, F_DUPFD_CLOEXEC, 10);
	close(READY_FD);
	if (place_claim(root, &place, NULL, &err) < 0 ||
	    serve(&place, listen_fd, strtol(supervisor, NULL, 10), say_ready, &err) < 0) {
		log_error("main", "%s", err.text);
		say_failed(&err);
		return 1;
	}
	/* nng's threads are left where they are: closing can hang. */
	proc_end(SERVE_EXIT_DOWN);
}

static int become_daemon(struct place *place)
{
	_cleanup_free_ char *log = xasprintf("%s/coordinator.log", place->state_dir);
	struct error err = ERROR_INIT;
	int null, fd;

	setsid();
	if (chdir("/") < 0)
		return 1;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	dup2(null, 0);
	dup2(null, 1);
	dup2(fd >= 0 ? fd : null, 2);

	signal(SIGHUP, SIG_IGN);
	proc_reset_realtime();
	if (supervise(place, say_ready, &err) == 0)
		return 0;
	log_error("main", "%s", err.text);
	say_failed(&err);
	return 1;
}

/* The parent waits until the daemon serves, so that whoever ran us can connect. */
static int await_daemon(int fd)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	while (buf_read(&text, fd, 4096) > 0)
		;
	if (text.len == 2 && memcmp(text.data, "ok", 2) == 0)
		return 0;
	fprintf(stderr, "%s\n", text.len ? text.data : "the coordinator did not start");
	return 6;
}

/* A worktree's .git file is one line that names the repository. */
static int check_path(const struct place *place, struct error *err)
{
	if (!strchr(place->root, '\n'))
		return 0;
	return error_set(
	    err, ERROR_EXTERNAL,
	    "the repository's path holds a line break: git cannot make worktrees of it "
	    "(rename the directory)");
}

static int run_daemon(const char *root)
{
	struct error err = ERROR_INIT;
	struct place place;
	int fds[2];
	pid_t pid;

	clean_environment();
	if (place_claim(root, &place, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 6;
	}
	if (check_path(&place, &err) < 0 || pipe2(fds, O_CLOEXEC) < 0) {
		fprintf(stderr, "%s\n", err.code ? err.text : strerror(errno));
		place_finish(&place);
		return 6;
	}
	/* This process is as small as it will ever be: a plain fork costs nothing here. */
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "cannot fork: %s\n", strerror(errno));
		return 6;
	}
	if (pid == 0) {
		close(fds[0]);
		ready_fd = fds[1];
		_exit(become_daemon(&place));
	}
	close(fds[1]);
	place_finish(&place);
	return await_daemon(fds[0]);
}

int main(int argc, char **argv)
{
	const char *root = NULL, *supervisor = NULL;

	proc_guard_std();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--root") == 0 && i + 1 < argc)
			root = argv[++i];
		else if (strcmp(argv[i], "--serve") == 0 && i + 1 < argc)
			supervisor = argv[++i];
		else if (strcmp(argv[i], "--version") == 0)
			return printf("pleach-coordinator %s\n", PLEACH_VERSION) < 0;
		else
			root = NULL;
	}
	if (!root) {
		fprintf(stderr,
		        "usage: pleach-coordinator --root DIR (pleach starts it by itself)\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open(NULL);
	return supervisor ? run_serving(root, supervisor) : run_daemon(root);
}
