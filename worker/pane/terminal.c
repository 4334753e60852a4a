/* A pseudo-terminal: our end on a poll handle, the other end opened by its path in the
 * child, which makes it the child's controlling terminal (facts: 13 % cheaper than forkpty). We
 * hold the other end open as well: else our end hangs up when the agent ends, which is told apart
 * from its end, wakes us once more, and makes a poll return for ever. */
#include "terminal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "mem.h"

#define READ_CHUNK      (16u << 10)
#define READS_PER_TURN  16  /* then the loop gets to serve everybody else */
#define READS_PER_DRAIN 512 /* a drain ends even while somebody keeps printing */

struct terminal {
	uv_poll_t poll;
	int fd;    /* our end */
	int other; /* the children's end, held so that it never hangs up; -1: let go of */
	char path[32];
	int events;
	bool closed, busy; /* busy: a handler is being called */
	bool typed;
	bool in_line;     /* the last that was heard is no end of a line */
	struct stat node; /* of the other end, and how it was set, when it was made */
	struct termios modes;
	const struct terminal_handler *handler; /* NULL: nobody's; what is read is dropped */
	void *context;
	struct buf queue;
	size_t written; /* bytes of the queue that are gone already */
};

static void terminal_event(uv_poll_t *poll, int status, int events);

static int open_other(const struct terminal *t)
{
	return open(t->path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

/* While it is nobody's, none but we can open it by its path. */
static int lock(int fd, bool locked)
{
	int on = locked;

	return ioctl(fd, TIOCSPTLCK, &on);
}

static int make(uv_loop_t *loop, struct terminal **out)
{
	_cleanup_close_ int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	struct terminal *t;
	int number;

	if (fd < 0 || lock(fd, false) < 0 || ioctl(fd, TIOCGPTN, &number) < 0)
		return -1;
	t = xcalloc(1, sizeof *t);
	snprintf(t->path, sizeof t->path, "/dev/pts/%d", number);
	t->other = open_other(t);
	if (t->other < 0 || fstat(t->other, &t->node) < 0 || tcgetattr(t->other, &t->modes) < 0 ||
	    lock(fd, true) < 0 || uv_poll_init(loop, &t->poll, fd) != 0) {
		if (t->other >= 0)
			close(t->other);
		free(t);
		return -1;
	}
	t->poll.data = t;
	t->fd = fd;
	fd = -1;
	t->events = UV_READABLE;
	uv_poll_start(&t->poll, UV_READABLE, terminal_event);
	*out = t;
	return 0;
}

/* The next one, which nobody has yet. */
static struct terminal *spare;
static bool no_spare; /* it could not be made: not tried again and again */

void terminal_prepare(uv_loop_t *loop)
{
	if (!spare && !no_spare)
		no_spare = make(loop, &spare) != 0;
}

static void terminal_free(uv_handle_t *handle)
{
	struct terminal *t = handle->data;

	buf_finish(&t->queue);
	free(t);
}

static void dispose(struct terminal *t)
{
	t->closed = true;
	uv_poll_stop(&t->poll);
	close(t->fd);
	if (t->other >= 0)
		close(t->other);
	uv_close((uv_handle_t *)&t->poll, terminal_free);
}

int terminal_open(uv_loop_t *loop, uint16_t columns, uint16_t rows,
                  const struct terminal_handler *handler, void *context, struct terminal **out,
                  struct error *err)
{
	struct terminal *t = spare;

	spare = NULL;
	no_spare = false;
	if (!t && make(loop, &t) != 0)
		return error_errno(err, "cannot open a pseudo-terminal");
	if (lock(t->fd, false) < 0) {
		error_errno(err, "cannot open a pseudo-terminal");
		dispose(t);
		return -1;
	}
	terminal_resize(t, columns, rows);
	t->handler = handler;
	t->context = context;
	*out = t;
	return 0;
}

static bool same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && a->c_line == b->c_line &&
	       memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

/* Root can forbid whoever comes next to change them. */
static bool modes_are_locked(int fd)
{
	static const struct termios free_modes;
	struct termios locked = free_modes;

	return ioctl(fd, TIOCGLCKTRMIOS, &locked) < 0 || !same_modes(&locked, &free_modes);
}

/* What cannot be seen: exclusive use, stopped output (this starts it again whoever stopped it), a
 * key that takes the next one literally (gone with a change of ICANON), and what waits to be read.
 */
static bool forget_unseen(struct terminal *t)
{
	struct termios other = t->modes;

	other.c_lflag ^= ICANON;
	return ioctl(t->other, TIOCNXCL) == 0 && tcflow(t->other, TCOOFF) == 0 &&
	       tcflow(t->other, TCOON) == 0 && tcsetattr(t->other, TCSANOW, &other) == 0 &&
	       tcsetattr(t->other, TCSANOW, &t->modes) == 0 && tcflush(t->other, TCIOFLUSH) == 0;
}

/* As it was made, for the next agent: to make another one is a fourteenth of a short process's
 * whole life (docs/performance.md). False: not where somebody has it open, or as a controlling
 * terminal, where something was typed, or where its rights or modes were changed. */
static bool renew(struct terminal *t)
{
	struct termios now;
	int discipline;
	struct stat st;
	char byte;

	if (t->busy || t->typed || t->in_line || t->other >= 0 || read(t->fd, &byte, 1) >= 0 ||
	    errno != EIO || tcgetsid(t->fd) >= 0)
		return false;
	t->other = open_other(t);
	if (t->other < 0 || fstat(t->other, &st) < 0 || st.st_mode != t->node.st_mode ||
	    st.st_uid != t->node.st_uid || st.st_gid != t->node.st_gid ||
	    tcgetattr(t->other, &now) < 0 || !same_modes(&now, &t->modes) ||
	    ioctl(t->other, TIOCGETD, &discipline) < 0 || discipline != N_TTY ||
	    modes_are_locked(t->other) || !forget_unseen(t))
		return false;
	/* Somebody may have come meanwhile, and have it as their controlling terminal. */
	return lock(t->fd, true) == 0 && tcgetsid(t->fd) < 0;
}

void terminal_close(struct terminal *t)
{
	if (!t || t->closed)
		return;
	if (!spare && renew(t)) {
		t->handler = NULL;
		spare = t;
		return;
	}
	dispose(t);
}

void terminal_forget(void)
{
	if (spare)
		dispose(spare);
	spare = NULL;
}

const char *terminal_path(const struct terminal *t)
{
	return t->path;
}

/* EIO means that nobody has the other end open, not even we: it was drained, and is still
 * somebody's. A poll would report the hang-up for ever. */
static void hold_open(struct terminal *t)
{
	if (t->other >= 0)
		return;
	t->other = open_other(t);
	if (t->other < 0) {
		log_warn("terminal", "cannot hold %s open: %s", t->path, strerror(errno));
		uv_poll_stop(&t->poll);
		t->events = 0;
	}
}

static void hear(struct terminal *t, const char *data, size_t len)
{
	t->in_line = data[len - 1] != '\n' && data[len - 1] != '\r';
	t->busy = true;
	if (t->handler)
		t->handler->on_data(t->context, data, len);
	t->busy = false;
}

/* Reads up to `reads` times. False: nothing more is there to be read yet. */
static bool read_some(struct terminal *t, int reads)
{
	char chunk[READ_CHUNK];

	while (reads-- > 0 && !t->closed) {
		ssize_t n = read(t->fd, chunk, sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0) {
			hear(t, chunk, (size_t)n);
			continue;
		}
		if (n == 0 || errno != EAGAIN)
			errno = EIO;
		return false;
	}
	return true;
}

static void watch(struct terminal *t)
{
	int events = UV_READABLE | (t->queue.len > t->written ? UV_WRITABLE : 0);

	if (events == t->events || t->other < 0)
		return;
	t->events = events;
	uv_poll_start(&t->poll, events, terminal_event);
}

static void write_some(struct terminal *t)
{
	while (t->written < t->queue.len) {
		size_t len = t->queue.len - t->written;
		ssize_t n;

		/* Small pieces: the line discipline takes what fits its 4,096 bytes. */
		n = write(t->fd, t->queue.data + t->written, len < 1024 ? len : 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		t->written += (size_t)n;
	}
	if (t->written < t->queue.len) {
		watch(t);
		return;
	}
	if (!t->queue.len)
		return;
	t->queue.len = t->written = 0;
	if (t->queue.cap > (64u << 10))
		buf_finish(&t->queue);
	watch(t);
	if (t->handler->on_drained)
		t->handler->on_drained(t->context);
}

static void terminal_event(uv_poll_t *poll, int status, int events)
{
	struct terminal *t = poll->data;

	/* libuv reports a hang-up as an error or as readable; the read tells which it is. */
	if (status < 0 || (events & (UV_READABLE | UV_DISCONNECT))) {
		if (!read_some(t, READS_PER_TURN) && !t->closed && errno == EIO)
			hold_open(t);
		if (status < 0 && !t->closed) {
			t->events = 0; /* libuv stopped the handle */
			watch(t);
		}
	}
	if (!t->closed && (events & UV_WRITABLE))
		write_some(t);
}

void terminal_drain(struct terminal *t)
{
	if (t->other >= 0) {
		close(t->other);
		t->other = -1;
	}
	read_some(t, READS_PER_DRAIN);
}

bool terminal_write(struct terminal *t, const void *data, size_t len)
{
	if (t->closed || t->queue.len - t->written + len > TERMINAL_QUEUE_MAX)
		return false;
	if (t->written) {
		buf_drop_front(&t->queue, t->written);
		t->written = 0;
	}
	buf_add(&t->queue, data, len);
	t->typed = true;
	watch(t);
	return true;
}

size_t terminal_queued(const struct terminal *t)
{
	return t->queue.len - t->written;
}

void terminal_resize(struct terminal *t, uint16_t columns, uint16_t rows)
{
	struct winsize size = {.ws_col = columns, .ws_row = rows};

	if (!t->closed)
		ioctl(t->fd, TIOCSWINSZ, &size);
}

bool terminal_is_unread(const struct terminal *t)
{
	_cleanup_close_ int opened = -1;
	int bytes = 0;

	if (t->closed)
		return false;
	if (t->other >= 0 && ioctl(t->other, FIONREAD, &bytes) == 0)
		return bytes > 0;
	/* Let go of, or hung up. To close it again changes nothing while a program has it. */
	opened = open(t->path, O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	return opened >= 0 && ioctl(opened, FIONREAD, &bytes) == 0 && bytes > 0;
}

int terminal_modes(const struct terminal *t, struct termios *out)
{
	return t->closed ? -1 : tcgetattr(t->fd, out);
}

/* The descriptor that it reads from in this moment (/proc/PID/syscall: the call's number, then its
 * arguments); -1: it does something else, or nobody may know. */
static int reads_from(const char *pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/syscall", pid);
	_cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
	char text[256] = "", *end;
	long call;

	if (file < 0 || read(file, text, sizeof text - 1) <= 0)
		return -1;
	call = strtol(text, &end, 10);
	if (end == text || call != SYS_read)
		return -1;
	return (int)strtoul(end, NULL, 16);
}

static bool is_path(const struct terminal *t, const char *pid, int fd)
{
	_cleanup_free_ char *link = xasprintf("/proc/%s/fd/%d", pid, fd);
	char target[64] = "";
	ssize_t n = readlink(link, target, sizeof target - 1);

	return n > 0 && (strcmp(target, t->path) == 0 || strcmp(target, "/dev/tty") == 0);
}

/* Of this terminal's session: by its number in /proc/PID/stat, which anybody may read. */
static bool sits_on(const struct terminal *t, const char *pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/stat", pid);
	_cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
	char text[512] = "", *at;
	int tty = 0, number = -1;

	if (file < 0 || read(file, text, sizeof text - 1) <= 0)
		return false;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %d", &tty) != 1 ||
	    ioctl(t->fd, TIOCGPTN, &number) != 0)
		return false;
	/* Major 136 and on are pseudo-terminals, 256 of them each. */
	return ((tty >> 8 & 0xfff) - 136) * 256 + (tty & 0xff) == number;
}

bool terminal_is_read(const struct terminal *t)
{
	DIR *proc = t->closed ? NULL : opendir("/proc");
	const struct dirent *entry;
	bool found = false;
	int fd;

	while (proc && !found && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !sits_on(t, entry->d_name))
			continue;
		fd = reads_from(entry->d_name);
		found = fd >= 0 && is_path(t, entry->d_name, fd);
	}
	if (proc)
		closedir(proc);
	return found;
}
