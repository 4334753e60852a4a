/* A control-mode client process: pipes, pending replies, its end.
 *
 * The pipes go to tmux's server itself (the client passes its descriptors on), so lines keep
 * coming until both have let go of them. The connection counts as lost when the client
 * process has ended or its output has: whichever is seen first. */
#include "tmux_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "tmux_proto.h"

#define OUT_MAX   (4u << 20) /* bytes that may wait for a server that does not read */
#define NOISE_MAX 256
#define READ_SIZE (64u << 10)

struct pending {
	struct pending *next;
	tmux_reply_fn fn;
	void *context;
	int commands; /* blocks still to come */
	struct buf text;
};

struct tmux_client {
	uv_loop_t *loop;
	const struct tmux_client_handler *handler;
	void *context;
	struct proc proc;
	uv_pipe_t in;  /* we write commands */
	uv_pipe_t out; /* we read answers */
	uv_poll_t ended;
	uv_idle_t late; /* says `lost` from the loop, never out of a call of the owner */
	int open_handles;
	bool lost, closing, reaped;
	struct tmux_stream stream;
	struct pending *first, **last;
	char noise[NOISE_MAX];
	char chunk[READ_SIZE];
	void (*on_closed)(void *context);
	void *closed_context;
};

struct write_request {
	uv_write_t request;
	char data[];
};

static void pending_answer(struct tmux_client *client, bool ok, const char *text)
{
	struct pending *pending = client->first;

	client->first = pending->next;
	if (!client->first)
		client->last = &client->first;
	if (pending->fn)
		pending->fn(client, ok, text, pending->context);
	buf_finish(&pending->text);
	free(pending);
}

static void say_lost(uv_idle_t *idle)
{
	struct tmux_client *client = idle->data;

	uv_idle_stop(idle);
	if (client->closing)
		return;
	while (client->first && !client->closing)
		pending_answer(client, false, NULL);
	if (!client->closing)
		client->handler->on_lost(client, client->noise, client->context);
}

static void set_lost(struct tmux_client *client)
{
	if (client->lost || client->closing)
		return;
	client->lost = true;
	uv_idle_start(&client->late, say_lost);
}

static void take_block(struct tmux_client *client, const struct tmux_event *event)
{
	struct pending *pending = client->first;

	if (!event->ours)
		return;
	if (!pending) {
		log_warn("tmux", "an answer that nobody asked for: connection dropped");
		set_lost(client);
		return;
	}
	if (!event->ok) {
		pending_answer(client, false, event->text);
		return;
	}
	buf_add(&pending->text, event->text, event->len);
	if (--pending->commands > 0)
		return;
	pending_answer(client, true, pending->text.data);
}

static void take_events(struct tmux_client *client)
{
	struct tmux_event event;

	while (!client->lost && !client->closing && tmux_stream_next(&client->stream, &event)) {
		switch (event.kind) {
		case TMUX_BLOCK:
			take_block(client, &event);
			break;
		case TMUX_NOTIFY:
			client->handler->on_notify(client, event.name, event.text, client->context);
			break;
		case TMUX_NOISE:
			snprintf(client->noise, sizeof client->noise, "%s", event.text);
			break;
		}
	}
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct tmux_client *client = handle->data;

	(void)size;
	*buf = uv_buf_init(client->chunk, sizeof client->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct tmux_client *client = stream->data;

	if (n > 0) {
		tmux_stream_feed(&client->stream, buf->base, (size_t)n);
		take_events(client);
	} else if (n < 0) {
		uv_read_stop(stream);
		set_lost(client);
	}
}

static void free_when_done(struct tmux_client *client)
{
	if (client->open_handles > 0 || !client->closing)
		return;
	close(client->proc.pidfd);
	tmux_stream_finish(&client->stream);
	void (*on_closed)(void *) = client->on_closed;
	void *context = client->closed_context;
	free(client);
	if (on_closed)
		on_closed(context);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct tmux_client *client = handle->data;

	client->open_handles--;
	free_when_done(client);
}

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_handle_closed);
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
	struct tmux_client *client = poll->data;
	int exit_status;

	(void)status;
	(void)events;
	if (!client->reaped) {
		client->reaped = true;
		proc_wait(&client->proc, &exit_status, NULL);
		close_handle((uv_handle_t *)poll);
	}
	/* Its last words may still be in the pipe. on_read says lost at their end; but the
	 * server holds the other end of the pipe too, and may be stopped. */
	if (!client->closing && !client->lost) {
		ssize_t n;
		int fd;
		if (uv_fileno((uv_handle_t *)&client->out, &fd) == 0) {
			while ((n = read(fd, client->chunk, sizeof client->chunk)) > 0)
				tmux_stream_feed(&client->stream, client->chunk, (size_t)n);
			take_events(client);
		}
		set_lost(client);
	}
}

static int start(const char *const *argv, const char *const *env, int *in, int *out,
                 struct proc *proc, struct error *err)
{
	int to_child[2] = {-1, -1}, from_child[2] = {-1, -1};
	int result = -1;

	if (pipe2(to_child, O_CLOEXEC) < 0 || pipe2(from_child, O_CLOEXEC) < 0) {
		error_errno(err, "tmux: pipe");
	} else {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = argv;
		spec.env = env;
		spec.cwd = "/";
		spec.stdin_fd = to_child[0];
		spec.stdout_fd = from_child[1];
		spec.stderr_fd = from_child[1];
		/* Its own session: a Ctrl-C meant for somebody else must not reach it. */
		spec.new_session = true;
		result = proc_spawn(&spec, proc, err);
	}
	if (to_child[0] >= 0)
		close(to_child[0]);
	if (from_child[1] >= 0)
		close(from_child[1]);
	if (result < 0) {
		if (to_child[1] >= 0)
			close(to_child[1]);
		if (from_child[0] >= 0)
			close(from_child[0]);
		return -1;
	}
	*in = to_child[1];
	*out = from_child[0];
	return 0;
}

int tmux_client_open(uv_loop_t *loop, const char *const *argv, const char *const *env,
                     const struct tmux_client_handler *handler, void *context,
                     struct tmux_client **out, struct error *err)
{
	struct tmux_client *client;
	struct proc proc;
	int in_fd, out_fd;

	if (start(argv, env, &in_fd, &out_fd, &proc, err) < 0)
		return error_wrap(err, "tmux");
	client = xcalloc(1, sizeof *client);
	client->loop = loop;
	client->handler = handler;
	client->context = context;
	client->proc = proc;
	client->last = &client->first;
	tmux_stream_init(&client->stream);
	/* None of these fails on a fresh pipe and pidfd; uv_pipe_open makes them non-blocking. */
	if (uv_pipe_init(loop, &client->in, 0) || uv_pipe_open(&client->in, in_fd) ||
	    uv_pipe_init(loop, &client->out, 0) || uv_pipe_open(&client->out, out_fd) ||
	    uv_poll_init(loop, &client->ended, proc.pidfd) || uv_idle_init(loop, &client->late))
		die("tmux: cannot watch a pipe");
	client->in.data = client->out.data = client->ended.data = client->late.data = client;
	client->open_handles = 4;
	uv_read_start((uv_stream_t *)&client->out, on_alloc, on_read);
	uv_poll_start(&client->ended, UV_READABLE, on_ended);
	*out = client;
	return 0;
}

static void on_written(uv_write_t *request, int status)
{
	(void)status; /* a broken pipe is followed by the end of the process */
	free(request->data);
}

void tmux_client_send(struct tmux_client *client, const char *line, int commands,
                      tmux_reply_fn on_reply, void *context)
{
	size_t len = strlen(line);
	struct pending *pending = xcalloc(1, sizeof *pending);

	assert(!client->closing && commands > 0 && !strchr(line, '\n'));
	pending->fn = on_reply;
	pending->context = context;
	pending->commands = commands;
	buf_reserve(&pending->text, 1);
	*client->last = pending;
	client->last = &pending->next;
	if (client->lost)
		return; /* answered by say_lost */
	if (uv_stream_get_write_queue_size((uv_stream_t *)&client->in) + len > OUT_MAX) {
		log_warn("tmux", "the server does not read: connection dropped");
		set_lost(client);
		return;
	}
	struct write_request *write = xcalloc(1, sizeof *write + len + 2);
	memcpy(write->data, line, len);
	write->data[len] = '\n';
	write->request.data = write;
	uv_buf_t buf = uv_buf_init(write->data, (unsigned)len + 1);
	if (uv_write(&write->request, (uv_stream_t *)&client->in, &buf, 1, on_written) != 0) {
		free(write);
		set_lost(client);
	}
}

pid_t tmux_client_pid(const struct tmux_client *client)
{
	return client->proc.pid;
}

void tmux_client_close(struct tmux_client *client, void (*on_closed)(void *context), void *context)
{
	if (client->closing)
		return;
	client->closing = true;
	client->on_closed = on_closed;
	client->closed_context = context;
	while (client->first)
		pending_answer(client, false, NULL);
	/* The client only relays; killing it is the one way that works with a server that is
	 * stopped. The poll on its pidfd reaps it and closes itself. */
	if (!client->reaped)
		kill(client->proc.pid, SIGKILL);
	close_handle((uv_handle_t *)&client->in);
	close_handle((uv_handle_t *)&client->out);
	close_handle((uv_handle_t *)&client->late);
}
