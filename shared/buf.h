/* A growing byte buffer. Its data is always followed by a NUL that is not counted. */
#ifndef PLEACH_BUF_H
#define PLEACH_BUF_H

#include <stddef.h>
#include <sys/types.h>

struct buf {
	char *data; /* NULL while nothing was ever added */
	size_t len;
	size_t cap;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}
#define _cleanup_buf_ __attribute__((cleanup(buf_finish)))

void buf_finish(struct buf *buf);
void buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_drop_front(struct buf *buf, size_t n); /* keeps the memory */
char *buf_take(struct buf *buf); /* caller frees; "" when empty; the buffer is reset */
/* Reads once into the buffer, at most `max` bytes. As read(2). */
ssize_t buf_read(struct buf *buf, int fd, size_t max);
/* Writes all of it, through short writes and EINTR. 0, or -1 with errno. */
int write_all(int fd, const void *data, size_t len);

#endif
