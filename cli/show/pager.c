/* A pager of the user's: started, fed through a pipe, waited for. It decides nothing about what is
 * printed. */
#include "pager.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

void pager_start(struct pager *pager)
{
	const char *wanted = getenv("PAGER");
	_cleanup_free_ char *less = proc_find_program("less", NULL);
	const char *by_shell[] = {"/bin/sh", "-c", wanted, NULL};
	const char *by_less[] = {less, "-FRX", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int pipe_fds[2];

	if (wanted && (!*wanted || strcmp(wanted, "cat") == 0))
		return;
	if ((!wanted && !less) || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	spec.argv = wanted ? by_shell : by_less;
	spec.stdin_fd = pipe_fds[0];
	spec.stdout_fd = STDOUT_FILENO;
	spec.stderr_fd = STDERR_FILENO;
	fflush(stdout);
	if (proc_spawn(&spec, &pager->proc, NULL) == 0) {
		pager->fd = pipe_fds[1];
		/* Ctrl-C is the pager's, and so is a pipe that it closes early. */
		signal(SIGINT, SIG_IGN);
		signal(SIGPIPE, SIG_IGN);
	} else {
		close(pipe_fds[1]);
	}
	close(pipe_fds[0]);
}

void pager_start_before_stdout(struct pager *pager)
{
	if (!isatty(STDOUT_FILENO))
		return;
	pager_start(pager);
	if (pager->fd < 0)
		return;
	pager->before = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(pager->fd, STDOUT_FILENO);
}

void pager_end(struct pager *pager)
{
	int status;

	if (pager->fd < 0)
		return;
	fflush(stdout);
	if (pager->before >= 0) {
		dup2(pager->before, STDOUT_FILENO);
		close(pager->before);
	}
	close(pager->fd);
	proc_wait(&pager->proc, &status, NULL);
	close(pager->proc.pidfd);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	clearerr(stdout);
	*pager = (struct pager)PAGER_INIT;
}
