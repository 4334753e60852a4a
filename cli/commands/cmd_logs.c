/* pleach logs: the output of an agent, of a verify, or of the coordinator. The file is read
 * directly; with -f it is watched, and the held event.list tells when the attempt ended. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"
#include "report.h"
#include "safe_stream.h"

#define CHUNK (64u << 10)

static const struct option logs_options[] = {
    {.name = "follow", .letter = 'f', .help = "go on until the attempt ends"},
    {.name = "lines", .letter = 'n', .value = "N", .help = "only the last N lines"},
    {.name = "attempt", .value = "N", .help = "that attempt's"},
    {.name = "verify", .help = "the output of verify"},
    {.name = "raw", .help = "the JSON lines as the agent printed them"},
    {.name = "coordinator", .help = "the coordinator's own log"},
    {0}};

struct logs {
	struct cli *cli;
	char *path;
	int fd;          /* -1: nothing was written yet */
	int watch;       /* inotify */
	bool watching;   /* the log's folder is there */
	int64_t attempt; /* 0: the coordinator's, which does not end */
	int64_t since;
	int64_t request;
	struct safe_stream safe;
	bool plain;    /* no terminal reads it: a line ends as the agent's program ended it */
	bool returned; /* a carriage return is held back, until it is known what follows */
};

/* Offset of the last n lines. */
static off_t tail_offset(int fd, long n)
{
	char block[CHUNK];
	struct stat st;
	off_t at;
	bool at_end = true;

	if (fstat(fd, &st) < 0)
		return 0;
	for (at = st.st_size; at > 0 && n >= 0;) {
		off_t from = at > (off_t)sizeof block ? at - (off_t)sizeof block : 0;
		ssize_t got = pread(fd, block, (size_t)(at - from), from);

		if (got <= 0)
			return from;
		for (ssize_t i = got - 1; i >= 0; i--) {
			/* The newline at the very end ends the last line. */
			if (block[i] == '\n' && !at_end && --n <= 0)
				return from + i + 1;
			if (block[i] == '\n' && at_end && n == 0)
				return st.st_size;
			at_end = false;
		}
		at = from;
	}
	return 0;
}

/* The log appears when the agent starts, its folder a little before. */
static int open_log(struct logs *logs, struct error *err)
{
	_cleanup_free_ char *dir = xstrdup(logs->path);
	char *slash = strrchr(dir, '/');

	if (slash)
		*slash = '\0';
	if (logs->watch >= 0 && !logs->watching)
		logs->watching =
		    inotify_add_watch(logs->watch, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0;
	if (logs->fd < 0)
		logs->fd = open(logs->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (logs->fd < 0 && errno != ENOENT)
		return error_errno(err, "logs: cannot open %s", logs->path);
	return 0;
}

/* The agent's terminal made CR LF of each LF. */
static void write_text(struct logs *logs, const struct buf *text)
{
	if (!logs->plain)
		fwrite(text->data ? text->data : "", 1, text->len, stdout);
	for (size_t i = 0; logs->plain && i < text->len; i++) {
		if (logs->returned && text->data[i] != '\n')
			putchar('\r');
		logs->returned = text->data[i] == '\r';
		if (!logs->returned)
			putchar(text->data[i]);
	}
}

/* What the file has grown by, to stdout. */
static int copy_new(struct logs *logs, struct error *err)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
	struct stat st;
	ssize_t n;

	if (open_log(logs, err) < 0)
		return -1;
	if (logs->fd < 0)
		return 0;
	/* A log that reached its cap was shortened: what follows is appended to what is left. */
	if (fstat(logs->fd, &st) == 0 && st.st_size < lseek(logs->fd, 0, SEEK_CUR))
		lseek(logs->fd, 0, SEEK_END);
	while ((n = buf_read(&in, logs->fd, CHUNK)) > 0) {
		safe_stream_add(&logs->safe, in.data, in.len, &out);
		write_text(logs, &out);
		in.len = out.len = 0;
	}
	if (n < 0)
		return error_errno(err, "logs: cannot read");
	if (fflush(stdout) != 0)
		return error_errno(err, "logs: cannot write");
	return 0;
}

static int ask_events(struct logs *logs, struct error *err)
{
	if (!logs->attempt)
		return 0;
	logs->request =
	    rpc_client_send(logs->cli->client, "event.list",
	                    json_pack("{s:I, s:i, s:b}", "since", (json_int_t)logs->since, "limit",
	                              1000, "wait", 1),
	                    err);
	return logs->request > 0 ? 0 : -1;
}

static bool says_ended(struct logs *logs, const json_t *result)
{
	json_t *event;
	size_t i;

	json_array_foreach (json_sub(result, "events"), i, event) {
		const char *kind = json_text(event, "kind");

		logs->since = json_int(event, "seq", logs->since);
		if (kind && strcmp(kind, "attempt.ended") == 0 &&
		    json_int(event, "attempt", 0) == logs->attempt)
			return true;
	}
	return false;
}

/* 1 when the attempt has ended. */
static int read_events(struct logs *logs, struct error *err)
{
	for (;;) {
		_cleanup_json_ json_t *reply = NULL;
		int rc = rpc_client_next(logs->cli->client, &reply, err);

		if (rc < 0 &&
		    (rpc_client_reconnect(logs->cli->client, err) < 0 || ask_events(logs, err) < 0))
			return -1;
		if (rc <= 0)
			return 0;
		if (json_int(reply, "id", 0) != logs->request)
			continue;
		if (says_ended(logs, json_object_get(reply, "result")))
			return 1;
		if (ask_events(logs, err) < 0)
			return -1;
	}
}

static int follow(struct logs *logs, struct error *err)
{
	int ended = 0;

	if (ask_events(logs, err) < 0)
		return -1;
	while (!ended) {
		char changes[4096];
		struct pollfd fds[2] = {{.fd = logs->watch, .events = POLLIN},
		                        {.fd = -1, .events = POLLIN}};

		if (logs->attempt)
			fds[1].fd = rpc_client_fd(logs->cli->client);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return error_errno(err, "logs: cannot wait");
		while (read(logs->watch, changes, sizeof changes) > 0)
			;
		if (fds[1].fd >= 0 && (ended = read_events(logs, err)) < 0)
			return -1;
		if (copy_new(logs, err) < 0)
			return -1;
	}
	return 0;
}

/* Where the log is; -f wants to know from which event on to look for the end. */
static int locate(struct cli *cli, struct logs *logs, bool *running, struct error *err)
{
	_cleanup_json_ json_t *found = NULL;
	json_t *params;
	long attempt;

	if (options_flag(&cli->options, "coordinator")) {
		if (cli_place(cli, err) < 0)
			return -1;
		if (!cli->place.state_dir)
			return error_set(err, ERROR_NOT_FOUND,
			                 "logs: no coordinator ever ran here");
		logs->path = xasprintf("%s/coordinator.log", cli->place.state_dir);
		*running = true;
		found = json_pack("{s:o}", "path", json_text_or_null(logs->path));
		return cli->json ? print_json(found) : 0;
	}
	if (options_number(&cli->options, "attempt", 1, 0, &attempt, err) < 0)
		return -1;
	if (cli_last_event(cli, &logs->since, err) < 0)
		return -1;
	/* Every attempt has a number of its own, whoever's it is. */
	params = attempt ? names_params(cli, 0, "who") : names_task(cli, 0, "who");
	if (attempt)
		json_object_set_new(params, "attempt", json_integer(attempt));
	json_object_set_new(params, "verify", json_boolean(options_flag(&cli->options, "verify")));
	json_object_set_new(params, "raw", json_boolean(options_flag(&cli->options, "raw")));
	if (cli_ask(cli, "task.log", params, true, &found, err) < 0)
		return -1;
	if (cli->json)
		print_json(found);
	logs->path = xstrdup(json_text(found, "path"));
	*running = json_flag(found, "running");
	logs->attempt = json_int(found, "attempt", 0);
	return 0;
}

static int show(struct logs *logs, long lines, bool go_on, struct error *err)
{
	_cleanup_buf_ struct buf rest = BUF_INIT;
	int rc;

	if (go_on) {
		logs->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (logs->watch < 0)
			return error_errno(err, "logs: cannot watch %s", logs->path);
	}
	if (open_log(logs, err) < 0)
		return -1;
	if (logs->fd >= 0 && lines >= 0 &&
	    lseek(logs->fd, tail_offset(logs->fd, lines), SEEK_SET) < 0)
		return error_errno(err, "logs: cannot read");
	rc = copy_new(logs, err);
	if (rc == 0 && go_on)
		rc = follow(logs, err);
	safe_stream_end(&logs->safe, &rest);
	write_text(logs, &rest);
	if (logs->returned)
		putchar('\r');
	return rc;
}

static void logs_finish(struct logs *logs)
{
	safe_stream_finish(&logs->safe);
	if (logs->fd >= 0)
		close(logs->fd);
	if (logs->watch >= 0)
		close(logs->watch);
	free(logs->path);
}

static int logs_exec(struct cli *cli, struct error *err)
{
	struct logs logs = {.cli = cli,
	                    .fd = -1,
	                    .watch = -1,
	                    .plain = !isatty(STDOUT_FILENO) && !options_flag(&cli->options, "raw")};
	bool running = false, go_on;
	int rc = -1;
	long lines;

	if (options_number(&cli->options, "lines", 0, -1, &lines, err) < 0 ||
	    locate(cli, &logs, &running, err) < 0)
		goto end;
	rc = 0;
	if (cli->json)
		goto end;
	go_on = running && options_flag(&cli->options, "follow");
	logs.safe.raw = !isatty(STDOUT_FILENO);
	logs.safe.keep_colors = cli->colored;
	rc = show(&logs, lines, go_on, err);
end:
	logs_finish(&logs);
	return rc;
}

const struct command command_logs = {
    .name = "logs",
    .aliases = "task output",
    .usage = "[WHO] [-f] [-n N] [--attempt N] [--verify | --raw] [--coordinator]",
    .summary = "what an agent printed",
    .options = logs_options,
    .most_args = 1,
    .args = KIND_WHO,
    .exec = logs_exec,
};
