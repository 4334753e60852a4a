/* Reaching the coordinator. It is started with nothing of ours but a pipe for its one-line
 * error; it makes itself a daemon and says by its exit status whether it serves. When two
 * commands start one at once, the second coordinator finds the lock taken: both commands
 * then connect to the first. */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jsonl.h"
#include "machine.h"
#include "mem.h"
#include "proc.h"
#include "text.h"

#define CONNECT_MS    10000
#define WHY_MAX       4096
#define LOCK_TEXT_MAX 16384
#define DOWN_LOOK_MS  64   /* between two looks whether it has ended */
#define END_MS        5000 /* for one that is just ending */

int cli_place(struct cli *cli, struct error *err)
{
	if (cli->has_place)
		return 0;
	if (place_find(cli->dir, &cli->place, err) < 0)
		return -1;
	cli->has_place = true;
	return 0;
}

char *cli_program(const char *name, struct error *err)
{
	static const char *const places[] = {"", "/../libexec/pleach"};
	char *found;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		found = xasprintf("%s%s/%s", proc_own_dir(), places[i], name);
		if (access(found, X_OK) == 0)
			return found;
		free(found);
	}
	found = proc_find_program(name, NULL);
	if (!found)
		error_set(err, ERROR_EXTERNAL, "%s is missing beside %s (install pleach again)",
		          name, proc_own_dir());
	return found;
}

/* The line it wrote; what holds the pipe after its end is not waited for. */
static void read_why(int fd, struct buf *why)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (why->len < WHY_MAX && buf_read(why, fd, WHY_MAX) > 0)
		;
	while (why->len && strchr("\r\n ", why->data[why->len - 1]))
		why->data[--why->len] = '\0';
}

static int coordinator_spawn(const struct place *place, int why_fd, struct proc *proc,
                             struct error *err)
{
	_cleanup_free_ char *program = cli_program("pleach-coordinator", err);
	const char *argv[] = {program, "--root", place->root, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	if (!program)
		return -1;
	spec.argv = argv;
	spec.cwd = "/";
	spec.stderr_fd = why_fd;
	return proc_spawn(&spec, proc, err);
}

/* Starts it and waits until it serves. 1: it does; 0: it said no, and why. */
static int coordinator_start(const struct place *place, struct buf *why, struct error *err)
{
	struct proc proc = {0};
	int pipe_fds[2], status = 0, rc;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	rc = coordinator_spawn(place, pipe_fds[1], &proc, err);
	close(pipe_fds[1]);
	if (rc == 0) {
		struct pollfd fd = {.fd = proc.pidfd, .events = POLLIN};

		while (poll(&fd, 1, -1) < 0 && errno == EINTR)
			;
		rc = proc_wait(&proc, &status, err);
		close(proc.pidfd);
		read_why(pipe_fds[0], why);
	}
	close(pipe_fds[0]);
	if (rc < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int try_connect(struct cli *cli, const char *socket, struct error *err)
{
	const char *token = cli->in_slot ? getenv("PLEACH_TOKEN") : NULL;

	if (rpc_client_connect(socket, token, cli->first, &cli->client, err) < 0)
		return -1;
	free(cli->socket);
	cli->socket = xstrdup(socket);
	return 0;
}

/* The id may be new, so the place is looked at again. */
static int place_again(struct cli *cli, struct error *err)
{
	place_finish(&cli->place);
	cli->has_place = false;
	return cli_place(cli, err);
}

/* "pleach-coordinator: text" → "text": our own name stands before it already. */
static int said_no(const struct buf *why, struct error *err)
{
	static const char name[] = "pleach-coordinator: ";
	_cleanup_free_ char *shown = text_safe(why->len ? why->data : "", 0);
	const char *text = shown;

	if (strncmp(text, name, sizeof name - 1) == 0)
		text += sizeof name - 1;
	else if (strncmp(text, "pleach: ", 8) == 0)
		text += 8;
	return error_set(err, ERROR_EXTERNAL, "%s",
	                 *text ? text : "the coordinator does not answer (pleach doctor)");
}

static bool lock_is_held(const struct place *place)
{
	_cleanup_free_ char *path = xasprintf("%s/pleach/lock", place->common_dir);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Connects to whoever serves: another command may have started one. 1: nobody does any more, and
 * nobody is about to. */
static int connect_patiently(struct cli *cli, int64_t end, const struct buf *why, struct error *err)
{
	int pause_ms = 1;

	for (;;) {
		struct error refused = ERROR_INIT;

		if (place_again(cli, err) < 0)
			return -1;
		if (cli->place.socket) {
			if (try_connect(cli, cli->place.socket, &refused) == 0)
				return 0;
			if (refused.code != ERROR_NOT_FOUND) {
				if (err)
					*err = refused;
				return -1;
			}
		}
		if (time_mono_ms() >= end)
			return said_no(why, err);
		if (!lock_is_held(&cli->place))
			return 1;
		poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < 50 ? pause_ms * 2 : 50;
	}
}

/* On another machine it will never serve us: its socket is there. */
static bool lock_is_elsewhere(const struct place *place)
{
	_cleanup_free_ char *path = xasprintf("%s/pleach/lock", place->common_dir), *text = NULL;

	return place_read_file(path, LOCK_TEXT_MAX, &text, NULL, NULL) == 0 &&
	       machine_is_other(text);
}

/* One that says no because another has the lock leaves it to that one; and where that was about to
 * die, or the one that we started did, the next is started, for up to 10 s. */
static int start_and_connect(struct cli *cli, struct error *err)
{
	int64_t end = time_mono_ms() + CONNECT_MS;
	int rc;

	do {
		_cleanup_buf_ struct buf why = BUF_INIT;
		bool held = lock_is_held(&cli->place);
		int started = coordinator_start(&cli->place, &why, err);

		if (started < 0 || place_again(cli, err) < 0)
			return -1;
		cli->started |= started;
		held = held || lock_is_held(&cli->place);
		if (!started && (!held || lock_is_elsewhere(&cli->place))) {
			if (cli->place.socket && try_connect(cli, cli->place.socket, err) == 0)
				return 0;
			return said_no(&why, err);
		}
		rc = connect_patiently(cli, end, &why, err);
	} while (rc > 0);
	return rc;
}

static int connect_in_slot(struct cli *cli, struct error *err)
{
	const char *socket = getenv("PLEACH_SOCKET");

	if (try_connect(cli, socket, err) == 0)
		return 0;
	if (err && err->code == ERROR_NOT_FOUND)
		return error_set(err, ERROR_EXTERNAL,
		                 "the coordinator of this slot does not answer (it ended; this "
		                 "attempt is over)");
	return -1;
}

int cli_connect(struct cli *cli, struct error *err)
{
	if (cli->client)
		return 0;
	if (cli->in_slot)
		return connect_in_slot(cli, err);
	if (cli_place(cli, err) < 0)
		return -1;
	if (cli->place.socket) {
		if (try_connect(cli, cli->place.socket, err) == 0)
			return 0;
		if (!err || err->code != ERROR_NOT_FOUND)
			return -1;
	}
	return start_and_connect(cli, err);
}

int cli_connect_running(struct cli *cli, struct error *err)
{
	if (cli->client)
		return 1;
	if (cli->in_slot)
		return connect_in_slot(cli, err) < 0 ? -1 : 1;
	if (cli_place(cli, err) < 0)
		return -1;
	if (!cli->place.socket)
		return 0;
	if (try_connect(cli, cli->place.socket, err) == 0)
		return 1;
	return err && err->code == ERROR_NOT_FOUND ? 0 : -1;
}

/* These may be heard after we have given up. */
static bool only_reads(const char *method)
{
	static const char *const methods[] = {"status",       "task.list", "task.show",
	                                      "task.waiting", "team.list", "event.list",
	                                      "task.locate",  "usage"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

int cli_ask(struct cli *cli, const char *method, json_t *params, bool again, json_t **result,
            struct error *err)
{
	struct rpc_call call = {method, params ? params : json_object(), again, -1, -1, 0};
	int rc;

	cli->first = only_reads(method) ? &call : NULL;
	rc = cli_connect(cli, err);
	cli->first = NULL;
	if (rc < 0) {
		json_decref(call.params);
		return -1;
	}
	return rpc_client_call(cli->client, &call, result, err);
}

int cli_list_tasks(struct cli *cli, json_t *params, bool brief, json_t **result, struct error *err)
{
	_cleanup_json_ json_t *asked = params ? params : json_object(), *tasks = json_array();
	bool more = true;

	if (brief)
		json_object_set_new(asked, "brief", json_true());
	while (more) {
		_cleanup_json_ json_t *part = NULL;

		if (cli_ask(cli, "task.list", json_incref(asked), true, &part, err) < 0)
			return -1;
		json_array_extend(tasks, json_object_get(part, "tasks"));
		more = json_array_size(json_object_get(part, "rest")) > 0;
		json_object_del(asked, "plan");
		json_object_set(asked, "ids", json_object_get(part, "rest"));
	}
	*result = json_pack("{s:O}", "tasks", tasks);
	return 0;
}

int cli_last_event(struct cli *cli, int64_t *seq, struct error *err)
{
	_cleanup_json_ json_t *result = NULL;

	if (cli_ask(cli, "event.list", json_pack("{s:i, s:i}", "since", 0, "limit", 1), true,
	            &result, err) < 0)
		return -1;
	*seq = json_int(result, "last", 0);
	return 0;
}

/* Of whoever has the lock; 0: it has not said, or ended by itself. */
static long lock_pid(const struct place *place)
{
	_cleanup_free_ char *path = xasprintf("%s/pleach/lock", place->common_dir), *text = NULL;
	const char *at;

	if (place_read_file(path, LOCK_TEXT_MAX, &text, NULL, NULL) < 0)
		return 0;
	at = strstr(text, "pid ");
	return at ? strtol(at + 4, NULL, 10) : 0;
}

/* One that nobody answers for at this place may just be ending. */
int cli_wait_for_end(const struct place *place, struct error *err)
{
	_cleanup_free_ char *path = xasprintf("%s/pleach/lock", place->common_dir);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t end = time_mono_ms() + END_MS;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot open %s", path);
	while (flock(fd, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_errno(err, "cannot ask for %s", path);
		if (time_mono_ms() >= end)
			return error_set(
			    err, ERROR_BUSY,
			    "a coordinator has this repository (pid %ld), but does not "
			    "answer at %s (run this with the XDG_STATE_HOME and "
			    "PLEACH_RUNTIME_DIR that it was started with)",
			    lock_pid(place),
			    place->socket ? place->socket : "the place it would have here");
		poll(NULL, 0, DOWN_LOOK_MS);
	}
	return 0;
}

/* Asks whoever serves to go down, if that is not `*serving`, which was asked. */
static void ask_successor(const struct cli *cli, int64_t *serving)
{
	struct rpc_client *client = NULL;
	_cleanup_json_ json_t *result = NULL;
	int64_t pid;

	if (rpc_client_connect(cli->place.socket, NULL, NULL, &client, NULL) < 0)
		return;
	pid = json_int(rpc_client_hello(client), "pid", 0);
	if (pid != *serving &&
	    rpc_client_ask(client, "coordinator.down", json_pack("{s:b}", "now", 1), true, &result,
	                   NULL) == 0)
		*serving = pid;
	rpc_client_close(client);
}

int cli_await_down(struct cli *cli, struct error *err)
{
	int64_t serving = json_int(rpc_client_hello(cli->client), "pid", 0);
	long supervisor;
	int pause_ms = 1;

	rpc_client_close(cli->client);
	cli->client = NULL;
	if (cli_place(cli, err) < 0)
		return -1;
	supervisor = lock_pid(&cli->place);
	while (lock_is_held(&cli->place)) {
		long now = lock_pid(&cli->place);

		if (now && now != supervisor)
			return 0; /* somebody else's: the one that was asked has ended */
		poll(NULL, 0, pause_ms);
		if (pause_ms < DOWN_LOOK_MS)
			pause_ms *= 2;
		else if (cli->place.socket)
			ask_successor(cli, &serving);
	}
	return 0;
}

int cli_git_answer(const struct buf *out, const struct buf *why, int status, json_t **result,
                   struct error *err)
{
	_cleanup_json_ json_t *answer = out->len ? jsonl_parse(out->data, out->len, err) : NULL;
	const json_t *error = json_object_get(answer, "error");

	if (error) {
		const char *text = json_text(error, "message");

		return error_set(err, error_code_from_word(json_text(error, "code")), "%s",
		                 text ? text : "git failed");
	}
	if (!answer || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		_cleanup_free_ char *shown = text_safe(why->len ? why->data : "", 400);

		return error_set(err, ERROR_EXTERNAL, "pleach-git: %s%s%s",
		                 proc_status_text(status), *shown ? ": " : "", shown);
	}
	*result = json_incref(answer);
	return 0;
}

int cli_git_request(struct cli *cli, json_t *request, struct error *err)
{
	if (cli_place(cli, err) < 0)
		return -1;
	json_object_set_new(request, "root", json_text_or_null(cli->place.root));
	if (cli->place.runtime_dir)
		json_object_set_new(request, "pinned",
		                    json_sprintf("%s/pinned.json", cli->place.state_dir));
	return 0;
}

int cli_git_file(const json_t *request, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int fd = memfd_create("request", MFD_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "cannot make a file in memory");
	jsonl_add(&text, request);
	if (write_all(fd, text.data, text.len) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return error_errno(err, "cannot write a file in memory");
	}
	return fd;
}

int cli_git(struct cli *cli, const char *verb, json_t *request, json_t **result, struct error *err)
{
	_cleanup_json_ json_t *taken = request ? request : json_object();
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT, why = BUF_INIT;
	_cleanup_free_ char *program = cli_program("pleach-git", err);
	const char *argv[] = {program, verb, NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT, .out = &out, .err_out = &why};
	int status = 0;

	if (!program || cli_git_request(cli, taken, err) < 0)
		return -1;
	jsonl_add(&in, taken);
	run.spec.argv = argv;
	run.in = in.data;
	run.in_len = in.len;
	if (proc_run(&run, &status, err) < 0)
		return -1;
	return cli_git_answer(&out, &why, status, result, err);
}
