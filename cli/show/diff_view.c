/* Patches from pleach-git to stdout. It streams them and tells an error as JSON, which a patch
 * never looks like; so the first byte decides. */
#include "diff_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "pager.h"
#include "print.h"
#include "proc.h"
#include "safe_stream.h"

#define CHUNK (64u << 10)

struct sink {
	int fd; /* the pager's stdin, or stdout */
	struct pager pager;
	struct safe_stream safe;
};

static int spawn_git(struct cli *cli, json_t *request, struct proc *proc, int *from,
                     struct error *err)
{
	_cleanup_free_ char *program = cli_program("pleach-git", err);
	const char *argv[] = {program, "diff", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	_cleanup_close_ int in = -1;
	int pipe_fds[2], rc;

	if (!program || cli_git_request(cli, request, err) < 0)
		return -1;
	in = cli_git_file(request, err);
	if (in < 0)
		return -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	spec.argv = argv;
	spec.stdin_fd = in;
	spec.stdout_fd = pipe_fds[1];
	spec.stderr_fd = STDERR_FILENO;
	rc = proc_spawn(&spec, proc, err);
	close(pipe_fds[1]);
	if (rc < 0) {
		close(pipe_fds[0]);
		return -1;
	}
	*from = pipe_fds[0];
	return 0;
}

static int sink_write(struct sink *sink, struct buf *out)
{
	int rc = out->len ? write_all(sink->fd, out->data, out->len) : 0;

	out->len = 0;
	return rc;
}

/* Copies until the end. What begins with '{' is an error, kept in `error`. */
static int copy(int from, struct sink *sink, struct buf *error, struct error *err)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
	bool first = true, broken = false;
	int why = 0;
	ssize_t n;

	while ((n = buf_read(&in, from, CHUNK)) > 0) {
		if (error->len || (first && in.data[0] == '{')) {
			buf_add(error, in.data, in.len);
		} else if (!broken) {
			safe_stream_add(&sink->safe, in.data, in.len, &out);
			broken = sink_write(sink, &out) < 0;
			why = errno;
		}
		first = false;
		in.len = 0;
		if (broken)
			break; /* nobody reads on */
	}
	if (n < 0)
		return error_errno(err, "cannot read the patch");
	safe_stream_end(&sink->safe, &out);
	if (!broken && sink_write(sink, &out) < 0) {
		broken = true;
		why = errno;
	}
	if (!broken || sink->pager.fd >= 0) /* a pager may be left before its end */
		return 0;
	errno = why;
	return error_errno(err, "cannot write the output");
}

static int told(const struct buf *text, struct error *err)
{
	_cleanup_json_ json_t *answer = jsonl_parse(text->data, text->len, NULL);
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_text(error, "message");

	return error_set(err, error_code_from_word(json_text(error, "code")), "%s",
	                 message ? message : "git diff failed");
}

/* Its end, when all was read, and what it complained about. */
static int git_ended(struct proc *proc, int rc, const struct buf *error, struct error *err)
{
	int status = 0;

	if (proc_wait(proc, &status, rc < 0 ? NULL : err) < 0)
		rc = -1;
	close(proc->pidfd);
	if (rc < 0)
		return -1;
	if (error->len)
		return told(error, err);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_EXTERNAL, "pleach-git: %s", proc_status_text(status));
	return 0;
}

int diff_print_json(struct cli *cli, json_t *request, struct error *err)
{
	_cleanup_json_ json_t *taken = request, *answer = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_close_ int from = -1;
	const struct buf none = BUF_INIT;
	const char *what = json_flag(taken, "stat") ? "stat" : "patch";
	json_t *patch = NULL;
	struct proc proc = {0};
	ssize_t n;

	if (spawn_git(cli, taken, &proc, &from, err) < 0)
		return -1;
	while ((n = buf_read(&text, from, CHUNK)) > 0)
		;
	close(from);
	from = -1;
	if (git_ended(&proc, n < 0 ? error_errno(err, "cannot read the patch") : 0,
	              text.len && text.data[0] == '{' ? &text : &none, err) < 0)
		return -1;
	patch = json_stringn(text.len ? text.data : "", text.len); /* NULL: it is no UTF-8 */
	answer = json_pack("{s:O, s:O?, s:o}", "base", json_object_get(taken, "base"), "head",
	                   json_object_get(taken, "head"), what, patch ? patch : json_null());
	return print_json(answer);
}

int diff_show(struct cli *cli, json_t *request, bool page, struct error *err)
{
	_cleanup_json_ json_t *taken = request;
	_cleanup_buf_ struct buf error = BUF_INIT;
	struct sink sink = {.fd = STDOUT_FILENO, .pager = PAGER_INIT};
	_cleanup_close_ int from = -1;
	struct proc proc = {0};
	int rc;

	json_object_set_new(taken, "color", json_boolean(cli->colored));
	sink.safe.raw = !isatty(STDOUT_FILENO);
	sink.safe.keep_colors = cli->colored;
	fflush(stdout);
	if (spawn_git(cli, taken, &proc, &from, err) < 0)
		return -1;
	if (page && isatty(STDOUT_FILENO) && cli->on_terminal && !cli->no_input)
		pager_start(&sink.pager);
	if (sink.pager.fd >= 0)
		sink.fd = sink.pager.fd;
	rc = copy(from, &sink, &error, err);
	close(from);
	from = -1;
	pager_end(&sink.pager);
	safe_stream_finish(&sink.safe);
	return git_ended(&proc, rc, &error, err);
}

int diff_request(struct cli *cli, bool stat, json_t **out, struct error *err)
{
	_cleanup_json_ json_t *found = NULL;
	const char *base, *head, *slot;

	if (cli_ask(cli, "task.locate", names_task(cli, 0, "task"), true, &found, err) < 0)
		return -1;
	base = json_text(found, "base");
	head = json_text(found, "head");
	slot = json_flag(found, "running") ? json_text(found, "slot") : NULL;
	if (!base || (!head && !slot)) {
		const char *key = json_text(found, "key");

		return error_set(err, ERROR_NOT_FOUND, "diff: %s has no work yet",
		                 key ? key : "it");
	}
	*out = json_pack("{s:s, s:s?, s:s?, s:b}", "base", base, "head", slot ? NULL : head, "slot",
	                 slot, "stat", stat);
	return 0;
}
