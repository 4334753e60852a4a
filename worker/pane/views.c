/* Serving views. Output is queued per view up to a limit, then dropped for that view; when
 * it reads again it gets the recent output anew, so that its screen is right. */
#include "views.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ansi.h"
#include "buf.h"
#include "frames.h"
#include "log.h"
#include "mem.h"

#define VIEWS_MAX  64
#define QUEUE_MAX  (512u << 10) /* bytes that wait for one view */
#define STUCK_MS   60000        /* a view that took nothing for so long is closed */
#define READ_CHUNK (16u << 10)
#define CLEAR      "\033[0m\033[2J\033[H"

struct view {
	uv_poll_t poll;
	uv_timer_t stuck;
	int handles;
	struct views *views;
	int fd, events;
	struct buf in, out;
	size_t sent; /* bytes of `out` that are gone */
	bool observer, lost, closed, sized;
	uint64_t took; /* when it last took something */
	struct view *next;
};

struct views {
	uv_loop_t *loop;
	uv_poll_t poll;
	int fd;
	char *path;
	ino_t inode;
	const struct views_handler *handler;
	void *context;
	struct view *list;
	size_t count;
	char *title;
};

static void view_freed(uv_handle_t *handle)
{
	struct view *v = handle->data;

	if (--v->handles)
		return;
	buf_finish(&v->in);
	buf_finish(&v->out);
	free(v);
}

static void view_close(struct view *v)
{
	if (v->closed)
		return;
	v->closed = true;
	for (struct view **at = &v->views->list; *at; at = &(*at)->next) {
		if (*at == v) {
			*at = v->next;
			break;
		}
	}
	v->views->count--;
	uv_poll_stop(&v->poll);
	close(v->fd);
	uv_close((uv_handle_t *)&v->poll, view_freed);
	uv_close((uv_handle_t *)&v->stuck, view_freed);
}

static void view_event(uv_poll_t *poll, int status, int events);

static void view_watch(struct view *v)
{
	int events = UV_READABLE | (v->out.len > v->sent ? UV_WRITABLE : 0);

	if (v->closed || events == v->events)
		return;
	v->events = events;
	uv_poll_start(&v->poll, events, view_event);
}

static void view_queue_recent(struct view *v)
{
	struct ansi_filter filter = ANSI_FILTER_INIT(ANSI_PASS_REPLAY);
	_cleanup_buf_ struct buf safe = BUF_INIT;
	_cleanup_buf_ struct buf recent = BUF_INIT;

	v->views->handler->recent(v->views->context, &recent);
	buf_add_str(&safe, CLEAR);
	if (recent.len)
		ansi_filter(&filter, &safe, recent.data, recent.len);
	frame_add(&v->out, FRAME_DATA, safe.data, safe.len);
}

static void view_flush(struct view *v)
{
	while (!v->closed && v->sent < v->out.len) {
		ssize_t n = send(v->fd, v->out.data + v->sent, v->out.len - v->sent,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			view_close(v);
			return;
		}
		v->sent += (size_t)n;
		v->took = uv_now(v->views->loop);
	}
	if (v->closed)
		return;
	if (v->sent == v->out.len) {
		v->out.len = v->sent = 0;
		uv_timer_stop(&v->stuck);
		if (v->out.cap > (64u << 10))
			buf_finish(&v->out);
		if (v->lost) {
			v->lost = false;
			view_queue_recent(v);
		}
	} else if (v->sent > QUEUE_MAX / 2) {
		buf_drop_front(&v->out, v->sent);
		v->sent = 0;
	}
	view_watch(v);
}

static void view_stuck(uv_timer_t *timer)
{
	struct view *v = timer->data;

	if (uv_now(v->views->loop) - v->took < STUCK_MS)
		return;
	log_info("views", "a view that does not read is closed");
	view_close(v);
}

static void view_send(struct view *v, char kind, const void *data, size_t len)
{
	bool waiting = v->out.len > v->sent;

	if (kind == FRAME_DATA && (v->lost || v->out.len - v->sent + len > QUEUE_MAX)) {
		v->lost = true;
		return;
	}
	frame_add(&v->out, kind, data, len);
	if (waiting) {
		if (!uv_is_active((uv_handle_t *)&v->stuck))
			uv_timer_start(&v->stuck, view_stuck, STUCK_MS, STUCK_MS);
		return;
	}
	v->took = uv_now(v->views->loop);
	view_flush(v);
}

static void view_take(struct view *v, const struct frame *frame)
{
	struct views *views = v->views;
	uint16_t columns, rows;
	bool joined = !v->sized;

	switch (frame->kind) {
	case FRAME_KEYS:
		if (!v->observer)
			views->handler->on_keys(views->context, frame->data, frame->len);
		return;
	case FRAME_RESIZE:
		if (frame_read_resize(frame, &columns, &rows) != 0)
			return;
		v->sized = true;
		views->handler->on_size(views->context, columns, rows, joined);
		return;
	case FRAME_OBSERVER:
		v->observer = true;
		return;
	default:
		return; /* of a newer view */
	}
}

static void view_event(uv_poll_t *poll, int status, int events)
{
	struct view *v = poll->data;
	size_t offset = 0;
	struct frame frame;
	int rc = 0;
	ssize_t n;

	if (status < 0) {
		view_close(v);
		return;
	}
	if (events & UV_WRITABLE)
		view_flush(v);
	if (v->closed || !(events & UV_READABLE))
		return;
	n = buf_read(&v->in, v->fd, READ_CHUNK);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		view_close(v);
		return;
	}
	while (!v->closed && (rc = frame_next(&v->in, &offset, &frame)) > 0)
		view_take(v, &frame);
	if (v->closed)
		return;
	if (rc < 0)
		view_close(v);
	else
		buf_drop_front(&v->in, offset);
}

static void view_accept(struct views *views, int fd)
{
	struct view *v = xcalloc(1, sizeof *v);

	v->views = views;
	v->fd = fd;
	v->took = uv_now(views->loop);
	uv_poll_init(views->loop, &v->poll, fd);
	uv_timer_init(views->loop, &v->stuck);
	v->poll.data = v->stuck.data = v;
	v->handles = 2;
	v->next = views->list;
	views->list = v;
	views->count++;
	if (views->title)
		frame_add(&v->out, FRAME_TITLE, views->title, strlen(views->title));
	view_queue_recent(v);
	view_watch(v);
	view_flush(v);
}

static void views_event(uv_poll_t *poll, int status, int events)
{
	struct views *views = poll->data;

	(void)events;
	if (status < 0)
		return;
	for (;;) {
		int fd = accept4(views->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ucred who = {0, (uid_t)-1, 0};
		socklen_t len = sizeof who;

		if (fd < 0)
			return;
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
		if (who.uid != geteuid() || views->count >= VIEWS_MAX) {
			close(fd);
			continue;
		}
		view_accept(views, fd);
	}
}

static int views_listen(struct views *views, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (strlen(views->path) >= sizeof address.sun_path)
		return error_set(err, ERROR_EXTERNAL, "%s is too long for a socket", views->path);
	memcpy(address.sun_path, views->path, strlen(views->path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, "cannot make a socket");
	/* The coordinator starts one worker of a name at a time: what is there is a dead one's.
	 * The folder is private; the mode of the file is for the careful. */
	unlink(views->path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    chmod(views->path, 0600) < 0 || stat(views->path, &st) < 0 || listen(fd, 16) < 0)
		return error_errno(err, "cannot listen at %s", views->path);
	views->inode = st.st_ino;
	views->fd = fd;
	fd = -1;
	uv_poll_init(views->loop, &views->poll, views->fd);
	views->poll.data = views;
	uv_poll_start(&views->poll, UV_READABLE, views_event);
	return 0;
}

int views_open(uv_loop_t *loop, const char *path, const struct views_handler *handler,
               void *context, struct views **out, struct error *err)
{
	struct views *views = xcalloc(1, sizeof *views);

	views->loop = loop;
	views->path = xstrdup(path);
	views->handler = handler;
	views->context = context;
	if (views_listen(views, err) != 0) {
		free(views->path);
		free(views);
		return -1;
	}
	*out = views;
	return 0;
}

static void views_relisten(uv_handle_t *handle)
{
	struct views *views = handle->data;
	struct error err = ERROR_INIT;

	views->fd = -1;
	if (views_listen(views, &err) != 0)
		log_warn("views", "%s", err.text);
}

void views_heal(struct views *views)
{
	struct error err = ERROR_INIT;
	struct stat st;

	if (views->fd < 0) {
		if (views_listen(views, &err) != 0)
			log_warn("views", "%s", err.text);
		return;
	}
	if (uv_is_closing((uv_handle_t *)&views->poll) ||
	    (stat(views->path, &st) == 0 && st.st_ino == views->inode))
		return;
	log_info("views", "the view socket has vanished; listening again");
	uv_poll_stop(&views->poll);
	close(views->fd);
	uv_close((uv_handle_t *)&views->poll, views_relisten);
}

void views_end(struct views *views)
{
	struct stat st;

	/* Only our own socket: a successor may listen there by now. */
	if (stat(views->path, &st) == 0 && st.st_ino == views->inode)
		unlink(views->path);
	while (views->list) {
		struct view *v = views->list;

		view_send(v, FRAME_END, NULL, 0);
		view_close(v);
	}
}

size_t views_count(const struct views *views)
{
	return views->count;
}

void views_data(struct views *views, const void *data, size_t len)
{
	struct view *next;

	for (struct view *v = views->list; v; v = next) {
		next = v->next;
		view_send(v, FRAME_DATA, data, len);
	}
}

void views_title(struct views *views, const char *title)
{
	struct view *next;

	if (views->title && strcmp(views->title, title) == 0)
		return;
	free(views->title);
	views->title = xstrdup(title);
	for (struct view *v = views->list; v; v = next) {
		next = v->next;
		view_send(v, FRAME_TITLE, title, strlen(title));
	}
}
