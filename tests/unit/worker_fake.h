/* A coordinator for tests of the real worker: one process that listens at a control socket,
 * speaks JSON lines and believes nothing. Every wait has a limit; nothing sleeps. */
#ifndef PLEACH_TEST_WORKER_FAKE_H
#define PLEACH_TEST_WORKER_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "frames.h"
#include "jsonl.h"
#include "mem.h"
#include "place.h"
#include "proc.h"
#include "rpc.h"
#include "text.h"

#define FAKE_WAIT_MS 60000 /* a starved machine is slow, not wrong; less than ctest's limit */

static char fake_token[33];  /* of every attempt of this program */
static char fake_last[1024]; /* what came last: told when nothing comes any more */

struct fake {
	char dir[64]; /* everything of the test is below it */
	char *root, *state, *runtime, *socket, *slot;
	int listener, fd;
	struct jsonl_reader in;
	struct proc worker;
	json_t *next_id; /* of the held worker.next */
	json_t *result;  /* the last FINISH */
	json_t *hello;   /* the last hello's params */
};

static inline char *fake_path(const struct fake *f, const char *name)
{
	return xasprintf("%s/%s", f->dir, name);
}

static inline void fake_wait_fd(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int rc;

	do {
		rc = poll(&p, 1, FAKE_WAIT_MS);
	} while (rc < 0 && errno == EINTR);
	if (rc <= 0)
		fail_msg("nothing came in %d s; the last message was: %s", FAKE_WAIT_MS / 1000,
		         *fake_last ? fake_last : "none");
}

static inline int fake_listen(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline void fake_write_environment(const struct fake *f, const char *json)
{
	_cleanup_free_ char *path = xasprintf("%s/environment.json", f->runtime);
	struct error err = ERROR_INIT;

	assert_int_equal(place_write_file(path, json, strlen(json), &err), 0);
}

/* What it says on stderr (a sanitizer's report) is a failure, seen at the teardown. */
static inline void fake_spawn_worker(struct fake *f)
{
	_cleanup_free_ char *file = fake_path(f, "complaints");
	_cleanup_close_ int complaints =
	    open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	_cleanup_free_ char *program = xasprintf("%s/../../pleach-worker", proc_own_dir());
	const char *argv[] = {program,   "--name",    "ash",      "--number", "3",      "--socket",
	                      f->socket, "--runtime", f->runtime, "--state",  f->state, "--root",
	                      f->root,   "--common",  f->root,    "--slot",   f->slot,  NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;

	setenv("PLEACH_WORKER_TOKEN", "worker-secret", 1);
	spec.argv = argv;
	spec.new_session = true;
	spec.stderr_fd = complaints;
	if (proc_spawn(&spec, &f->worker, &err) != 0)
		fail_msg("%s", err.text);
	unsetenv("PLEACH_WORKER_TOKEN");
}

static inline void fake_hang_up(struct fake *f)
{
	close(f->fd);
	f->fd = -1;
	jsonl_reader_finish(&f->in);
	json_decref(f->next_id);
	f->next_id = NULL;
}

static inline void fake_send(struct fake *f, json_t *message)
{
	struct buf line = BUF_INIT;

	jsonl_add(&line, message);
	json_decref(message);
	assert_int_equal(write_all(f->fd, line.data, line.len), 0);
	buf_finish(&line);
}

static inline void fake_remember(const json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);

	snprintf(fake_last, sizeof fake_last, "%s", text ? text : "");
	free(text);
}

static inline json_t *fake_read(struct fake *f)
{
	struct error err = ERROR_INIT;
	json_t *message;
	int rc;

	while ((rc = jsonl_next(&f->in, &message, &err)) == 0) {
		fake_wait_fd(f->fd, POLLIN);
		if (buf_read(&f->in.in, f->fd, 65536) <= 0)
			fail_msg("the worker hung up");
	}
	if (rc < 0)
		fail_msg("%s", err.text);
	fake_remember(message);
	return message;
}

/* Reads until a message with that method comes; its params are a new reference. Remembers
 * worker.next and the result in it. */
static inline json_t *fake_wait(struct fake *f, const char *method)
{
	for (;;) {
		_cleanup_json_ json_t *message = fake_read(f);
		const char *got = json_text(message, "method");
		json_t *params = json_object_get(message, "params");

		if (!got)
			continue;
		if (strcmp(got, "worker.next") == 0) {
			json_decref(f->next_id);
			f->next_id = json_incref(json_object_get(message, "id"));
			json_decref(f->result);
			f->result = json_incref(json_object_get(params, "result"));
		} else if (strcmp(got, "attempt.finish") == 0) {
			json_decref(f->result);
			f->result = json_incref(params);
			fake_send(f, rpc_result(json_object_get(message, "id"),
			                        json_pack("{s:b,s:s}", "accepted", 1, "status",
			                                  "pending")));
		}
		if (strcmp(got, method) == 0)
			return params ? json_incref(params) : json_object();
	}
}

/* Takes a connection and its hello. The hello's id, a new reference. */
static inline json_t *fake_take_hello(struct fake *f)
{
	_cleanup_json_ json_t *message = NULL;

	fake_wait_fd(f->listener, POLLIN);
	f->fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f->fd >= 0);
	jsonl_reader_init(&f->in, JSONL_WORKER_MAX);
	message = fake_read(f);
	assert_string_equal(json_text(message, "method"), "hello");
	json_decref(f->hello);
	f->hello = json_incref(json_object_get(message, "params"));
	assert_string_equal(json_text(f->hello, "token"), "worker-secret");
	return json_incref(json_object_get(message, "id"));
}

static inline void fake_answer_hello(struct fake *f, const json_t *id, const char *order)
{
	fake_send(f, rpc_result(id, json_pack("{s:i,s:s,s:i,s:s,s:s}", "protocol", 1, "version",
	                                      "0", "pid", 1, "store", "x", "order", order)));
}

static inline void fake_greet(struct fake *f, const char *order)
{
	_cleanup_json_ json_t *id = fake_take_hello(f);

	fake_answer_hello(f, id, order);
}

/* `finish` says what became of the last result, when there was one. */
static inline void fake_assign(struct fake *f, json_t *assignment)
{
	if (!f->next_id)
		json_decref(fake_wait(f, "worker.next"));
	if (f->result)
		json_object_set_new(assignment, "finish",
		                    json_pack("{s:b,s:s}", "accepted", 1, "status", "completed"));
	fake_send(f, rpc_result(f->next_id, assignment));
	json_decref(f->next_id);
	f->next_id = NULL;
	json_decref(f->result);
	f->result = NULL;
}

/* Waits for the result that comes with the next worker.next. Borrowed. */
static inline const json_t *fake_result(struct fake *f)
{
	do
		json_decref(fake_wait(f, "worker.next"));
	while (!f->result);
	return f->result;
}

static inline void fake_wait_phase(struct fake *f, const char *phase)
{
	for (;;) {
		_cleanup_json_ json_t *state = fake_wait(f, "attempt.state");

		if (strcmp(json_text(state, "phase"), phase) == 0)
			return;
	}
}

/* An assignment without a slot, running `script` by sh. */
static inline json_t *fake_task(int attempt, const char *script)
{
	return json_pack("{s:i,s:i,s:s,s:s,s:s,s:s,s:n,s:s,s:s,s:n,s:{s:[s,s,s],s:s,s:s,s:{}},"
	                 "s:{s:s,s:n,s:n,s:n,s:[],s:[]},s:s,s:[],s:f,s:n,s:n}",
	                 "attempt", attempt, "task", 7, "key", "parser", "plan", "fix", "subject",
	                 "Fix it", "prompt", "Do \"it\" now.\n", "base", "branch",
	                 "pleach/fix/parser", "agent", "fixer", "model", "profile", "command",
	                 "/bin/sh", "-c", script, "mode", "exec", "prompt", "argv", "env", "spec",
	                 "slot", "none", "timeout", "verify", "setup", "copy", "link", "token",
	                 fake_token, "inputs", "stop_grace", 0.3, "previous_head", "answer");
}

static inline json_t *fake_spec(json_t *task)
{
	return json_object_get(task, "spec");
}

static inline json_t *fake_profile(json_t *task)
{
	return json_object_get(task, "profile");
}

static inline void fake_notify(struct fake *f, const char *method, json_t *params)
{
	fake_send(f, rpc_notification(method, params));
}

static inline char *fake_file(const struct fake *f, const char *name, size_t *len)
{
	_cleanup_free_ char *path = fake_path(f, name);
	struct error err = ERROR_INIT;
	char *data = NULL;
	size_t n;

	if (place_read_file(path, 1u << 30, &data, &n, &err) != 0)
		fail_msg("%s", err.text);
	if (len)
		*len = n;
	return data;
}

static inline bool fake_exists(const struct fake *f, const char *name)
{
	_cleanup_free_ char *path = fake_path(f, name);

	return access(path, F_OK) == 0;
}

/* Makes a fifo that a script writes to, to say that it is somewhere: no sleeping. */
static inline void fake_fifo(const struct fake *f, const char *name)
{
	_cleanup_free_ char *path = fake_path(f, name);

	assert_int_equal(mkfifo(path, 0600), 0);
}

/* Waits for a line from it. Caller frees. */
static inline char *fake_fifo_line(const struct fake *f, const char *name)
{
	_cleanup_free_ char *path = fake_path(f, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct buf line = BUF_INIT;

	assert_true(fd >= 0);
	while (!line.len || !memchr(line.data, '\n', line.len)) {
		fake_wait_fd(fd, POLLIN);
		buf_read(&line, fd, 256);
	}
	line.data[strcspn(line.data, "\n")] = '\0';
	return line.data;
}

/* Lets a script go on that reads from it; waits until it does. An open that waits for a reader
 * would wait for ever, and one for both would not wait at all. */
static inline void fake_go(const struct fake *f, const char *name)
{
	_cleanup_free_ char *path = fake_path(f, name);
	int64_t end = time_mono_ms() + FAKE_WAIT_MS;
	_cleanup_close_ int fd = -1;

	while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		assert_int_equal(errno, ENXIO);
		if (time_mono_ms() > end)
			fail_msg("nobody read from %s in %d s", name, FAKE_WAIT_MS / 1000);
		poll(NULL, 0, 1);
	}
	assert_int_equal(write_all(fd, "x\n", 2), 0);
}

static inline int fake_setup(void **state)
{
	struct fake *f = xcalloc(1, sizeof *f);

	signal(SIGPIPE, SIG_IGN);
	if (!fake_token[0])
		text_random_hex(fake_token, 16);
	snprintf(f->dir, sizeof f->dir, "/tmp/pleach-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->root = fake_path(f, "root");
	f->state = fake_path(f, "state");
	f->runtime = fake_path(f, "run");
	f->socket = fake_path(f, "run/control");
	f->slot = fake_path(f, "slots/ash");
	assert_int_equal(mkdir(f->root, 0700), 0);
	assert_int_equal(mkdir(f->state, 0700), 0);
	assert_int_equal(mkdir(f->runtime, 0700), 0);
	f->listener = fake_listen(f->socket);
	f->fd = -1;
	f->worker.pidfd = -1;
	*state = f;
	return 0;
}

static inline void fake_run(const char *const *argv)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct proc proc;
	int status = -1;

	spec.argv = argv;
	spec.stderr_fd = STDERR_FILENO;
	if (proc_spawn(&spec, &proc, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(proc_wait(&proc, &status, &err), 0);
	close(proc.pidfd);
	assert_int_equal(status, 0);
}

static inline int fake_teardown(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *marker = NULL;
	int status, failed = 0;

	if (f->worker.pid > 0) {
		kill(f->worker.pid, SIGKILL);
		proc_wait(&f->worker, &status, NULL);
		close(f->worker.pidfd);
	}
	/* A test that failed may leave an agent behind. */
	marker = xasprintf("PLEACH_TOKEN=%s", fake_token);
	proc_kill_survivors(marker, NULL, 0, 100);
	if (f->fd >= 0)
		fake_hang_up(f);
	close(f->listener);
	if (fake_exists(f, "complaints")) {
		_cleanup_free_ char *said = fake_file(f, "complaints", NULL);

		fputs(said, stderr);
		failed = *said != '\0';
	}
	fake_run((const char *[]){"/bin/rm", "-rf", f->dir, NULL});
	json_decref(f->result);
	json_decref(f->hello);
	free(f->root);
	free(f->state);
	free(f->runtime);
	free(f->socket);
	free(f->slot);
	free(f);
	return failed;
}

/* Started, greeted, its first worker.next held. */
static inline void fake_begin(struct fake *f)
{
	fake_spawn_worker(f);
	fake_greet(f, "next");
	json_decref(fake_wait(f, "worker.next"));
}

static inline void fake_wait_exit(struct fake *f)
{
	int status = -1;

	fake_wait_fd(f->worker.pidfd, POLLIN);
	assert_int_equal(proc_wait(&f->worker, &status, NULL), 0);
	assert_int_equal(status, 0);
	close(f->worker.pidfd);
	f->worker.pid = 0;
	f->worker.pidfd = -1;
}

#endif
