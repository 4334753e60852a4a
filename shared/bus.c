/* The status plane on nng: the only file that knows nng. */
#include "bus.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mem.h"
#include "text.h"

/* Messages that wait for one subscriber: a burst is longer than the 16 that nng has. */
#define QUEUE_MAX 1024
#define PROBE_MS  1000 /* how long a healthy listener may take to greet us on a busy machine */
/* What a sub0 socket says first (SP over a stream: 0, "SP", 0, its protocol 33, 0). */
#define HELLO "\0SP\0\0!\0\0"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define BUS_THREAD_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define BUS_THREAD_SANITIZER 1
#endif
#ifdef BUS_THREAD_SANITIZER
/* nng itself is not compiled with it: its atomic counters cannot be seen, only that what they
 * guard is sent by one thread and freed by another. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:libnng.so\n";
}
#endif

struct bus_pub {
	nng_socket socket;
	nng_listener listener;
	char *url;
	atomic_int here; /* pipes after the handshake, counted by nng's threads */
};

struct bus_sub {
	nng_socket socket;
	int fd;
};

static int bus_error(struct error *err, const char *what, const char *url, int rc)
{
	return error_set(err, ERROR_EXTERNAL, "bus: %s %s: %s", what, url, nng_strerror(rc));
}

static void count_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
	struct bus_pub *pub = context;

	(void)pipe;
	atomic_fetch_add(&pub->here, event == NNG_PIPE_EV_REM_POST ? -1 : 1);
}

/* A path left by a dead process is in the way of bind; nng itself does not remove it. */
static int bus_listen(struct bus_pub *pub)
{
	int rc = nng_listener_create(&pub->listener, pub->socket, pub->url);

	if (rc == 0) {
		nng_listener_set_int(pub->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
		nng_listener_set_size(pub->listener, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX);
		rc = nng_listener_start(pub->listener, 0);
		if (rc == NNG_EADDRINUSE) {
			unlink(pub->url + strlen("ipc://"));
			rc = nng_listener_start(pub->listener, 0);
		}
		if (rc != 0)
			nng_listener_close(pub->listener);
	}
	return rc;
}

int bus_pub_open(const char *url, struct bus_pub **out, struct error *err)
{
	struct bus_pub *pub = xcalloc(1, sizeof *pub);
	int rc = nng_pub0_open(&pub->socket);

	pub->url = xstrdup(url);
	if (rc == 0) {
		nng_socket_set_int(pub->socket, NNG_OPT_SENDBUF, QUEUE_MAX);
		nng_pipe_notify(pub->socket, NNG_PIPE_EV_ADD_POST, count_pipe, pub);
		nng_pipe_notify(pub->socket, NNG_PIPE_EV_REM_POST, count_pipe, pub);
		rc = bus_listen(pub);
	}
	if (rc != 0) {
		free(pub->url);
		free(pub);
		return bus_error(err, "cannot listen on", url, rc);
	}
	*out = pub;
	return 0;
}

bool bus_pub_heard(const struct bus_pub *pub)
{
	return atomic_load(&pub->here) > 0;
}

void bus_pub_send(struct bus_pub *pub, const void *data, size_t len)
{
	nng_msg *message;

	if (len > BUS_MESSAGE_MAX || nng_msg_alloc(&message, 0) != 0)
		return;
	if (nng_msg_append(message, data, len) != 0 ||
	    nng_sendmsg(pub->socket, message, NNG_FLAG_NONBLOCK) != 0)
		nng_msg_free(message);
}

/* The answer to a hello, and then the end, within PROBE_MS. What is published meanwhile comes in
 * between: a probe is a subscriber like any other. */
static bool greets_and_ends(int fd)
{
	int64_t end = time_mono_ms() + PROBE_MS, left;
	char bytes[4096];
	size_t got = 0;
	ssize_t n = -1;

	while (n != 0 && (left = end - time_mono_ms()) > 0) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

		if (poll(&poll_fd, 1, (int)left) != 1)
			continue;
		n = read(fd, bytes, sizeof bytes);
		if (n < 0 && errno != EINTR)
			return false;
		got += n > 0 ? (size_t)n : 0;
	}
	return n == 0 && got >= sizeof HELLO - 1;
}

/* Says hello as a subscriber, and by a shut half of the connection that it will say no more: nng
 * answers, then ends the connection. To go before that would kill the very listener. */
static bool is_alive(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const ssize_t len = sizeof HELLO - 1;

	if (strlen(path) >= sizeof address.sun_path)
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	       send(fd, HELLO, (size_t)len, MSG_NOSIGNAL) == len && shutdown(fd, SHUT_WR) == 0 &&
	       greets_and_ends(fd);
}

int bus_pub_heal(struct bus_pub *pub, struct error *err)
{
	const char *path = pub->url + strlen("ipc://");
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return error_errno(err, "bus: cannot probe %s", pub->url);
	if (is_alive(fd, path))
		return 0;
	/* This ends the connections that the listener made: subscribers come back by themselves. */
	nng_listener_close(pub->listener);
	unlink(path);
	rc = bus_listen(pub);
	return rc == 0 ? 1 : bus_error(err, "cannot listen again on", pub->url, rc);
}

int bus_sub_open(struct bus_sub **out, struct error *err)
{
	struct bus_sub *sub = xcalloc(1, sizeof *sub);
	int rc = nng_sub0_open(&sub->socket);

	if (rc == 0)
		rc = nng_socket_set(sub->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0);
	if (rc == 0)
		rc = nng_socket_set_size(sub->socket, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX);
	if (rc == 0)
		rc = nng_socket_get_int(sub->socket, NNG_OPT_RECVFD, &sub->fd);
	if (rc != 0) {
		free(sub);
		return bus_error(err, "cannot subscribe", "", rc);
	}
	nng_socket_set_int(sub->socket, NNG_OPT_RECVBUF, QUEUE_MAX);
	nng_socket_set_ms(sub->socket, NNG_OPT_RECONNMINT, 50);
	nng_socket_set_ms(sub->socket, NNG_OPT_RECONNMAXT, 2000);
	*out = sub;
	return 0;
}

int bus_sub_dial(struct bus_sub *sub, const char *url, struct error *err)
{
	int rc = nng_dial(sub->socket, url, NULL, NNG_FLAG_NONBLOCK);

	return rc == 0 ? 0 : bus_error(err, "cannot dial", url, rc);
}

int bus_sub_fd(const struct bus_sub *sub)
{
	return sub->fd;
}

int bus_sub_receive(struct bus_sub *sub, char **data, size_t *len, struct error *err)
{
	nng_msg *message;
	int rc = nng_recvmsg(sub->socket, &message, NNG_FLAG_NONBLOCK);

	if (rc == NNG_EAGAIN)
		return 0;
	if (rc != 0)
		return bus_error(err, "cannot receive", "", rc);
	*len = nng_msg_len(message);
	*data = xcalloc(1, *len + 1);
	memcpy(*data, nng_msg_body(message), *len);
	nng_msg_free(message);
	return 1;
}
