/* A view: this terminal in raw mode, joined to a worker's view socket. It waits with poll for
 * keys, signals and frames; while the worker is away it says so once and tries again, at most
 * once a second. It holds nothing that matters: killing it costs a window. */
#include "view.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "ansi.h"
#include "buf.h"
#include "frames.h"
#include "keys.h"
#include "mem.h"
#include "text.h"

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS   1000
#define QUEUE_MAX      (256u << 10) /* bytes for a terminal that does not take them */
#define WRITE_PIECE    1024
#define READ_CHUNK     (64u << 10)
#define EXIT_NOBODY    6
/* Whatever a program may have switched on is switched off when we leave. */
#define LEAVE                                                                                      \
	"\0337\033[r\0338\033[?1049l\033[?25h\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?"   \
	"1004l\033[?2004l"                                                                         \
	"\033[?1l\033>\033[<u\033[>4m\033[0m\r\n"

struct view {
	const struct view_options *options;
	struct termios before;
	bool raw;       /* `before` has to be restored */
	int signals;    /* signalfd */
	int fd;         /* the worker; -1 while it is away */
	bool said_away; /* the line about it is on the screen */
	bool greeted;   /* connected at least once */
	int retry_ms;
	int64_t retry_at;
	struct buf in, out, screen;
	struct ansi_filter filter;
	int status; /* the exit status, once it is >= 0 */
};

static void say(struct view *v, const char *text)
{
	buf_printf(&v->screen, "\r\n\033[0m\033[2m— %s %s —\033[0m\r\n", v->options->name, text);
}

static void terminal_raw(struct view *v)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &v->before) != 0)
		return;
	raw = v->before;
	cfmakeraw(&raw);
	v->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void terminal_restore(struct view *v)
{
	if (!v->raw)
		return;
	if (v->options->attach && write_all(STDOUT_FILENO, LEAVE, sizeof LEAVE - 1) != 0)
		v->raw = true; /* the terminal is gone; its modes may still be set back */
	tcsetattr(STDIN_FILENO, TCSANOW, &v->before);
	v->raw = false;
}

static void send_size(struct view *v)
{
	struct winsize size;

	if (v->fd >= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col &&
	    size.ws_row)
		frame_add_resize(&v->out, size.ws_col, size.ws_row);
}

static void retry_later(struct view *v)
{
	v->retry_at = time_mono_ms() + v->retry_ms;
	v->retry_ms = v->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : v->retry_ms * 2;
}

static void worker_gone(struct view *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	v->in.len = v->out.len = 0;
	if (!v->said_away)
		say(v, v->greeted ? "is away; waiting for it" : "has not started; waiting for it");
	v->said_away = true;
	retry_later(v);
}

static void worker_connect(struct view *v)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = v->options->socket;
	int fd;

	if (strlen(path) >= sizeof address.sun_path) {
		fprintf(stderr, "pleach-worker: %s is too long for a socket\n", path);
		v->status = 2;
		return;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		if (fd >= 0)
			close(fd);
		if (v->options->attach && !v->greeted) {
			fprintf(stderr, "pleach: %s: its worker does not run\n", v->options->name);
			v->status = EXIT_NOBODY;
			return;
		}
		worker_gone(v);
		return;
	}
	v->fd = fd;
	v->greeted = true;
	v->said_away = false;
	v->filter = (struct ansi_filter)ANSI_FILTER_INIT(ANSI_PASS_LIVE);
	if (v->options->read_only)
		frame_add(&v->out, FRAME_OBSERVER, NULL, 0);
	send_size(v);
}

static void show_title(struct view *v, const struct frame *frame)
{
	_cleanup_free_ char *raw = xstrndup(frame->data, frame->len);
	_cleanup_free_ char *title = text_safe(raw, 120);

	buf_printf(&v->screen, "\033]2;%s\033\\", title);
}

static void take_frame(struct view *v, const struct frame *frame)
{
	switch (frame->kind) {
	case FRAME_DATA:
		v->retry_ms = RETRY_FIRST_MS;
		ansi_filter(&v->filter, &v->screen, frame->data, frame->len);
		return;
	case FRAME_TITLE:
		show_title(v, frame);
		return;
	case FRAME_END:
		say(v, "has ended");
		v->said_away = true;
		if (v->options->attach)
			v->status = 0;
		return;
	default:
		return; /* of a newer worker */
	}
}

static void read_worker(struct view *v)
{
	ssize_t n = buf_read(&v->in, v->fd, READ_CHUNK);
	size_t offset = 0;
	struct frame frame;
	int rc = 0;

	if (n > 0) {
		while (v->status < 0 && (rc = frame_next(&v->in, &offset, &frame)) > 0)
			take_frame(v, &frame);
		buf_drop_front(&v->in, offset);
	}
	if (n == 0 || rc < 0 || (n < 0 && errno != EAGAIN))
		worker_gone(v);
}

/* Sends what waits for the worker. */
static void write_worker(struct view *v)
{
	ssize_t n = send(v->fd, v->out.data, v->out.len, MSG_NOSIGNAL);

	if (n > 0)
		buf_drop_front(&v->out, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		worker_gone(v);
}

static void write_screen(struct view *v)
{
	size_t piece = v->screen.len < WRITE_PIECE ? v->screen.len : WRITE_PIECE;
	ssize_t n = write(STDOUT_FILENO, v->screen.data, piece);

	if (n > 0)
		buf_drop_front(&v->screen, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		v->status = 128 + SIGHUP;
}

/* Where the key that leaves is among these; SIZE_MAX: nowhere. A key with M- counts only alone, as
 * terminals send it: within pasted text Escape and a letter are text. */
static size_t find_detach(const struct view *v, const char *keys, size_t len)
{
	const char *key = key_of(v->options->keys, KEY_DETACH);

	if (key[0] == 'M')
		return key_match(key, keys, len) == len ? 0 : SIZE_MAX;
	for (size_t i = 0; i < len; i++)
		if (key_match(key, keys + i, len - i))
			return i;
	return SIZE_MAX;
}

static bool is_key(const struct view *v, enum key_action action, const char *keys, size_t n)
{
	return key_match(key_of(v->options->keys, action), keys, n) == n;
}

/* `next` and M-1…9 leave for another screen; `zoom` does nothing, this one is alone already. They
 * come alone: the same bytes within pasted text are text. */
static bool is_switch(struct view *v, const char *keys, size_t n)
{
	char key[] = "M-1";

	if (is_key(v, KEY_NEXT, keys, n)) {
		v->status = VIEW_SWITCH;
		return true;
	}
	if (is_key(v, KEY_ZOOM, keys, n))
		return true;
	if (strcmp(key_of(v->options->keys, KEY_TEAMMATE), "none") == 0)
		return false;
	for (; key[2] <= '9'; key[2]++) {
		if (key_match(key, keys, n) == n) {
			v->status = VIEW_SWITCH + key[2] - '0';
			return true;
		}
	}
	return false;
}

static void read_keys(struct view *v)
{
	char keys[4096];
	ssize_t n = read(STDIN_FILENO, keys, sizeof keys);
	size_t detach = SIZE_MAX;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		v->status = 0; /* the terminal, or whoever typed for us, is gone */
		return;
	}
	if (v->options->attach && is_switch(v, keys, (size_t)n))
		return;
	if (v->options->attach)
		detach = find_detach(v, keys, (size_t)n);
	if (detach != SIZE_MAX) {
		n = (ssize_t)detach;
		v->status = 0;
	}
	if (v->fd >= 0 && !v->options->read_only && n && v->out.len < QUEUE_MAX)
		frame_add(&v->out, FRAME_KEYS, keys, (size_t)n);
}

static void read_signal(struct view *v)
{
	struct signalfd_siginfo info;

	if (read(v->signals, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGWINCH)
		send_size(v);
	else
		v->status = 128 + (int)info.ssi_signo;
}

static int catch_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void view_turn(struct view *v)
{
	bool full = v->screen.len > QUEUE_MAX;
	int64_t left = v->retry_at - time_mono_ms();
	struct pollfd fds[] = {
	    {.fd = STDIN_FILENO, .events = POLLIN},
	    {.fd = v->signals, .events = POLLIN},
	    {.fd = v->fd, .events = (short)((full ? 0 : POLLIN) | (v->out.len ? POLLOUT : 0))},
	    {.fd = v->screen.len ? STDOUT_FILENO : -1, .events = POLLOUT},
	};
	int timeout = v->fd >= 0 ? -1 : left > 0 ? (int)left : 0;

	if (poll(fds, ARRAY_LEN(fds), timeout) < 0 && errno != EINTR) {
		v->status = EXIT_NOBODY;
		return;
	}
	if (fds[1].revents)
		read_signal(v);
	if (fds[0].revents)
		read_keys(v);
	if (v->fd >= 0 && (fds[2].revents & POLLOUT) && v->out.len)
		write_worker(v);
	if (v->fd >= 0 && (fds[2].revents & (POLLIN | POLLHUP | POLLERR)) && !full)
		read_worker(v);
	if (fds[3].revents)
		write_screen(v);
	if (v->status < 0 && v->fd < 0 && time_mono_ms() >= v->retry_at)
		worker_connect(v);
}

int view_run(const struct view_options *options)
{
	struct view v = {.options = options, .fd = -1, .status = -1, .retry_ms = RETRY_FIRST_MS};

	v.signals = catch_signals();
	worker_connect(&v);
	if (v.status >= 0)
		return v.status;
	terminal_raw(&v);
	while (v.status < 0)
		view_turn(&v);
	if (v.fd >= 0 && v.out.len) /* the keys before the one that detaches */
		write_worker(&v);
	terminal_restore(&v);
	if (options->attach && v.status == 0 && v.fd >= 0)
		printf("[detached from %s]\n", options->name);
	if (v.fd >= 0)
		close(v.fd);
	buf_finish(&v.in);
	buf_finish(&v.out);
	buf_finish(&v.screen);
	return v.status;
}
