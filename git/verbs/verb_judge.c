/* judge: one command of the user's that reads JSON and answers on stdout. It looks, it moves
 * nothing; here because what runs the user's commands is here, apart from the coordinator. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "proc.h"
#include "text.h"
#include "verb.h"
#include "verify.h"

#define OUTPUT_MAX (1u << 20)
#define TAIL_MAX   400u
#define MARKER     "PLEACH_VERIFY"
#define TRIES      50

static void write_log(const char *path, const struct buf *said)
{
	_cleanup_close_ int fd =
	    path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd >= 0) /* a full disk changes no verdict */
		(void)!write_all(fd, said->data, said->len);
}

/* The last line of its complaints. New reference. */
static json_t *tail_json(const struct buf *said)
{
	size_t end = said->len, from;
	_cleanup_buf_ struct buf safe = BUF_INIT;

	while (end && (said->data[end - 1] == '\n' || said->data[end - 1] == ' '))
		end--;
	for (from = end; from && said->data[from - 1] != '\n' && end - from < TAIL_MAX; from--)
		;
	text_add_safe(&safe, end ? said->data + from : "", end - from, 0, false);
	return json_text_or_null(safe.data ? safe.data : "");
}

static int run_judge(const json_t *request, const char *dir, char *const *argv, json_t **answer,
                     struct error *err)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT, complaints = BUF_INIT;
	_cleanup_free_ char *marker = NULL;
	_cleanup_strv_ char **env = NULL;
	struct proc_run run = {.out = &out, .err_out = &complaints, .max_out = OUTPUT_MAX};
	double timeout = json_num(request, "timeout", 0);
	int64_t start = time_mono_ms();
	struct error why = ERROR_INIT;
	bool timed_out = false;
	char random[33];
	int status = 0, code;

	jsonl_add(&in, json_object_get(request, "input"));
	text_random_hex(random, 16);
	env = verify_environment(json_sub(request, "env"), random);
	marker = xasprintf("%s=%s", MARKER, random);
	run.spec = (struct proc_spec)PROC_SPEC_INIT;
	run.spec.argv = (const char *const *)argv;
	run.spec.env = (const char *const *)env;
	run.spec.cwd = dir;
	run.spec.new_session = true;
	run.in = in.data;
	run.in_len = in.len;
	run.timeout_ms = timeout > 0 && timeout < INT_MAX / 1000 ? (int)(timeout * 1000) : INT_MAX;
	if (proc_run(&run, &status, &why) < 0) {
		timed_out = why.code == ERROR_TIMEOUT;
		if (!timed_out) {
			*err = why;
			return error_wrap(err, "cannot run %s", argv[0]);
		}
	}
	proc_kill_survivors(marker, NULL, 0, TRIES);
	write_log(json_text(request, "log"), &complaints);
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	buf_add(&out, "", 0);
	*answer =
	    json_pack("{s:i, s:f, s:b, s:o, s:o}", "exit_code", timed_out ? 124 : code, "seconds",
	              (double)(time_mono_ms() - start) / 1000.0, "timed_out", timed_out, "output",
	              json_text_or_null(out.data), "tail", tail_json(&complaints));
	return 0;
}

int verb_judge(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_strv_ char **argv = verify_argv(json_object_get(request, "command"));
	const char *dir = json_text(request, "root");

	if (!argv || !argv[0])
		return error_set(err, ERROR_INVALID, "judge: no command");
	return run_judge(request, dir, argv, answer, err);
}
