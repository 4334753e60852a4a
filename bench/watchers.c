/* One change, many who wait for it (S9): how long until each of N connections of one process has
 * its answer. Both sides alike: a child process changes something, this one has N connections in
 * one poll. Prints nanoseconds from the change to each arrival, a line each.
 *   watchers held SOCKET N ROUNDS   N held requests event.list at a coordinator; the change is
 *                                   `task.update` of task 1 on a connection of its own
 *   watchers nng N ROUNDS           N subscribers of an nng publisher in a process of its own */
#include <fcntl.h>
#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY  1000
#define BYTES 65536

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof address.sun_path)
		fail("path");
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		fail("connect");
	return fd;
}

static void say(int fd, const char *line)
{
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		fail("write");
}

/* A whole line; only what a round brings, so there is never more than one. */
static const char *hear(int fd)
{
	static char line[BYTES];
	size_t n = 0;

	do {
		ssize_t got = read(fd, line + n, sizeof line - 1 - n);

		if (got <= 0)
			fail("read");
		n += (size_t)got;
	} while (line[n - 1] != '\n' && n < sizeof line - 1);
	line[n] = '\0';
	return line;
}

static int64_t number_after(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

static void hello(int fd)
{
	say(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"protocol\":1,"
	        "\"role\":\"cli\",\"version\":\"bench\"}}\n");
	hear(fd);
}

static int64_t last_event(int fd)
{
	say(fd, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"event.list\",\"params\":{\"since\":0,"
	        "\"limit\":1}}\n");
	return number_after(hear(fd), "\"last\":");
}

/* Until every one of n descriptors has said something; take() reads it. */
static void gather(struct pollfd *fds, int n, int64_t since, void (*take)(int at))
{
	int left = n;

	for (int i = 0; i < n; i++)
		fds[i].events = POLLIN;
	while (left) {
		if (poll(fds, (nfds_t)n, 10000) <= 0)
			fail("nothing came");
		for (int i = 0; i < n; i++) {
			if (!(fds[i].revents & POLLIN))
				continue;
			take(i);
			printf("%" PRId64 "\n", now_ns() - since);
			fds[i].events = 0;
			left--;
		}
	}
}

static struct pollfd fds[MANY];

static void take_line(int at)
{
	hear(fds[at].fd);
}

static int held(const char *path, int n, int rounds)
{
	int control = dial(path);

	hello(control);
	for (int i = 0; i < n; i++) {
		fds[i].fd = dial(path);
		hello(fds[i].fd);
	}
	for (int round = 0; round < rounds; round++) {
		char line[256];
		int64_t since = last_event(control);

		snprintf(line, sizeof line,
		         "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"event.list\",\"params\":{"
		         "\"since\":%" PRId64 ",\"limit\":100,\"wait\":true}}\n",
		         since);
		for (int i = 0; i < n; i++)
			say(fds[i].fd, line);
		last_event(control); /* answered after they have been read */
		usleep(20000);
		snprintf(line, sizeof line,
		         "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"task.update\",\"params\":{"
		         "\"task\":\"1\",\"priority\":%d}}\n",
		         round + 1);
		since = now_ns();
		say(control, line);
		gather(fds, n, since, take_line);
		hear(control);
	}
	return 0;
}

static nng_socket subscribers[MANY];

static int64_t message_sent; /* the publisher says when it sent it */

static void take_message(int at)
{
	nng_msg *message;

	if (nng_recvmsg(subscribers[at], &message, 0) != 0)
		fail("receive");
	memcpy(&message_sent, nng_msg_body(message), sizeof message_sent);
	nng_msg_free(message);
}

/* Publishes when asked to, a byte each. */
static _Noreturn void publisher(const char *url, int ask, int answer)
{
	nng_socket pub;
	char byte;

	if (nng_pub0_open(&pub) != 0 || nng_listen(pub, url, NULL, 0) != 0)
		_exit(1);
	if (write(answer, "r", 1) != 1)
		_exit(1);
	while (read(ask, &byte, 1) == 1) {
		char body[200] = {0};
		int64_t now = now_ns();

		memcpy(body, &now, sizeof now);
		nng_send(pub, body, sizeof body, 0);
	}
	_exit(0);
}

static int nng(int n, int rounds)
{
	int ask[2], answer[2];
	char url[64], byte;
	pid_t child;

	snprintf(url, sizeof url, "ipc:///tmp/watchers-%d", getpid());
	if (pipe2(ask, O_CLOEXEC) < 0 || pipe2(answer, O_CLOEXEC) < 0)
		fail("pipe");
	child = fork();
	if (child == 0) {
		close(ask[1]);
		publisher(url, ask[0], answer[1]);
	}
	close(ask[0]);
	if (child < 0 || read(answer[0], &byte, 1) != 1)
		fail("publisher");
	for (int i = 0; i < n; i++) {
		if (nng_sub0_open(&subscribers[i]) != 0 ||
		    nng_socket_set(subscribers[i], NNG_OPT_SUB_SUBSCRIBE, "", 0) != 0 ||
		    nng_dial(subscribers[i], url, NULL, 0) != 0 ||
		    nng_socket_get_int(subscribers[i], NNG_OPT_RECVFD, &fds[i].fd) != 0)
			fail("subscribe");
	}
	usleep(300000);
	for (int round = 0; round < rounds; round++) {
		int64_t since;

		usleep(20000);
		since = now_ns();
		if (write(ask[1], "x", 1) != 1)
			fail("ask");
		gather(fds, n, since, take_message);
	}
	close(ask[1]);
	waitpid(child, NULL, 0);
	unlink(url + strlen("ipc://"));
	fflush(stdout);
	_exit(0); /* nng_close may hang */
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[argc - 2]) : 0, rounds = argc > 2 ? atoi(argv[argc - 1]) : 0;

	if (n < 1 || n > MANY || rounds < 1)
		return fprintf(stderr, "usage: watchers held SOCKET N ROUNDS | nng N ROUNDS\n"), 2;
	if (argc == 5 && strcmp(argv[1], "held") == 0)
		return held(argv[2], n, rounds);
	if (argc == 4 && strcmp(argv[1], "nng") == 0)
		return nng(n, rounds);
	return 2;
}
