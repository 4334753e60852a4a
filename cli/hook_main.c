/* pleach-hook: what an agent's hooks run. Reads the event (stdin, or a last argument that is an
 * object, as codex's notify gives it), hands it to the coordinator with the attempt's token, and
 * prints what comes back. It owns nothing, links nothing but the C library, and never breaks an
 * agent: without pleach it is silent, quick and successful.
 *
 *   pleach-hook            reports
 *   pleach-hook --decide   and waits for a decision, for as long as the agent lets it */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EVENT_MAX    (4u << 20) /* a larger one is not told: it is no longer about a state */
#define REPLY_MAX    (1u << 20)
#define REPORT_MS    2000  /* a report may take so long */
#define RECONNECT_MS 10000 /* a coordinator that went away may come back */
#define PAUSE_MS     50

struct bytes {
	char *data;
	size_t len, cap;
	bool failed; /* too long, or no memory */
};

static void add(struct bytes *b, const char *data, size_t len)
{
	if (b->failed)
		return;
	if (b->len + len + 1 > b->cap) {
		size_t cap = (b->len + len + 1) * 2;
		char *more = realloc(b->data, cap);

		if (!more) {
			b->failed = true;
			return;
		}
		b->data = more;
		b->cap = cap;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

static void add_text(struct bytes *b, const char *text)
{
	add(b, text, strlen(text));
}

/* As a JSON string. What is no UTF-8 makes the coordinator refuse it, and us silent. */
static void add_string(struct bytes *b, const char *data, size_t len)
{
	size_t from = 0;
	char escape[8];

	add_text(b, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		add(b, data + from, i - from);
		snprintf(escape, sizeof escape, "\\u%04x", c);
		add_text(b, escape);
		from = i + 1;
	}
	add(b, data + from, len - from);
	add_text(b, "\"");
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

static void read_stdin(struct bytes *event)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			add(event, chunk, (size_t)n);
		if (event->len > EVENT_MAX)
			event->failed = true;
		if (event->failed)
			return;
	}
}

static void make_request(struct bytes *out, const struct bytes *event, const char *token,
                         bool decide)
{
	char nonce[80];
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(nonce, sizeof nonce, "%ld.%lld.%09ld", (long)getpid(), (long long)t.tv_sec,
	         t.tv_nsec);
	add_text(out,
	         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{"
	         "\"protocol\":1,\"role\":\"cli\",\"version\":\"" PLEACH_VERSION "\",\"token\":");
	add_string(out, token, strlen(token));
	add_text(out, "}}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"agent.hook\",\"params\":{"
	              "\"decide\":");
	add_text(out, decide ? "true" : "false");
	add_text(out, ",\"nonce\":");
	add_string(out, nonce, strlen(nonce));
	add_text(out, ",\"event\":");
	add_string(out, event->data, event->len);
	add_text(out, "}}\n");
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Waits for it; end 0: without a limit. */
static bool ready(int fd, short events, long end)
{
	struct pollfd p = {.fd = fd, .events = events};
	int rc;

	do {
		long left = end ? end - now_ms() : -1;

		if (end && left <= 0)
			return false;
		rc = poll(&p, 1, (int)left);
	} while (rc < 0 && errno == EINTR);
	return rc > 0;
}

static bool send_all(int fd, const struct bytes *out, long end)
{
	size_t sent = 0;

	while (sent < out->len) {
		ssize_t n = send(fd, out->data + sent, out->len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno == EAGAIN && ready(fd, POLLOUT, end))
			continue;
		else if (n < 0 && errno == EINTR)
			continue;
		else
			return false;
	}
	return true;
}

/* Reads up to the reply to the second request: its line, or NULL. A refused hello is the end. */
static char *read_reply(int fd, struct bytes *in, long end)
{
	char chunk[16384], *at, *newline;
	ssize_t n;

	for (;;) {
		for (at = in->data; at && (newline = strchr(at, '\n')); at = newline + 1) {
			*newline = '\0';
			if (strstr(at, "\"id\":2"))
				return at;
			*newline = '\n';
		}
		if (in->failed || in->len > REPLY_MAX || !ready(fd, POLLIN, end))
			return NULL;
		n = recv(fd, chunk, sizeof chunk, 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return NULL;
		add(in, chunk, (size_t)n);
	}
}

static unsigned hex4(const char *text)
{
	char digits[5] = {0};

	memcpy(digits, text, 4);
	return (unsigned)strtoul(digits, NULL, 16);
}

static void add_character(struct bytes *out, unsigned c)
{
	char utf8[4];

	if (c < 0x80) {
		utf8[0] = (char)c;
		add(out, utf8, 1);
	} else if (c < 0x800) {
		utf8[0] = (char)(0xc0 | c >> 6);
		utf8[1] = (char)(0x80 | (c & 0x3f));
		add(out, utf8, 2);
	} else {
		utf8[0] = (char)(0xe0 | c >> 12);
		utf8[1] = (char)(0x80 | (c >> 6 & 0x3f));
		utf8[2] = (char)(0x80 | (c & 0x3f));
		add(out, utf8, 3);
	}
}

/* What is in "output" of the reply. The coordinator writes it compactly, and of the characters
 * that it escapes none needs two \u. */
static void take_output(const char *line, struct bytes *out)
{
	static const char codes[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
	const char *at = strstr(line, "\"output\":\"");

	for (at = at ? at + 10 : ""; *at && *at != '"'; at++) {
		const char *code = *at == '\\' && at[1] ? strchr(codes, at[1]) : NULL;

		if (*at != '\\') {
			add(out, at, 1);
		} else if (code) {
			add(out, &chars[code - codes], 1);
			at++;
		} else if (at[1] == 'u' && strlen(at + 2) >= 4) {
			add_character(out, hex4(at + 2));
			at += 5;
		}
	}
}

/* One go. 1: answered; 0: the connection was lost, or there was none. */
static int ask(const char *socket_path, const struct bytes *request, long end, struct bytes *output)
{
	struct bytes in = {0};
	int fd = connect_to(socket_path), answered = 0;
	char *line;

	if (fd < 0)
		return 0;
	line = send_all(fd, request, end) ? read_reply(fd, &in, end) : NULL;
	if (line) {
		answered = 1;
		take_output(line, output);
	}
	close(fd);
	free(in.data);
	return answered;
}

/* A question survives its coordinator: asked again under the same name. */
static void ask_patiently(const char *socket_path, const struct bytes *request,
                          struct bytes *output)
{
	long lost = now_ms();

	while (now_ms() - lost < RECONNECT_MS) {
		long began = now_ms();

		if (ask(socket_path, request, 0, output))
			return;
		if (now_ms() - began > RECONNECT_MS) /* it was held for a while: it was there */
			lost = now_ms();
		poll(NULL, 0, PAUSE_MS);
	}
}

int main(int argc, char **argv)
{
	const char *path = getenv("PLEACH_SOCKET"), *token = getenv("PLEACH_TOKEN");
	const char *last = argc > 1 ? argv[argc - 1] : "";
	bool decide = argc > 1 && strcmp(argv[1], "--decide") == 0;
	struct bytes event = {0}, request = {0}, output = {0};

	signal(SIGPIPE, SIG_IGN);
	if (*last == '{')
		add_text(&event, last);
	else if (!isatty(STDIN_FILENO))
		read_stdin(&event);
	if (path && *path && token && *token && event.len && !event.failed)
		make_request(&request, &event, token, decide);
	if (request.len && !request.failed && decide)
		ask_patiently(path, &request, &output);
	else if (request.len && !request.failed)
		ask(path, &request, now_ms() + REPORT_MS, &output);
	if (output.len && !output.failed) {
		fputs(output.data, stdout);
		fputc('\n', stdout);
	}
	fflush(stdout);
	free(event.data);
	free(request.data);
	free(output.data);
	return 0;
}
