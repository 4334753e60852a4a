/* The log of a long-lived process. */
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "text.h"

#define LOG_LINE_MAX 2048
#define LOG_FILE_MAX (8u << 20)  /* then it becomes NAME.1, in place of the one before */
#define LOG_LOOK     (64u << 10) /* bytes of ours between looks */

static int log_fd = STDERR_FILENO;
static size_t log_since_look;
static enum log_level log_least = LOG_INFO;

static const char *const log_level_words[] = {"debug", "info", "warn", "error"};

void log_open(const char *file)
{
	const char *level = getenv("PLEACH_LOG");

	for (int i = 0; level && i < 4; i++)
		if (strcmp(level, log_level_words[i]) == 0)
			log_least = (enum log_level)i;
	if (file) {
		int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd >= 0)
			log_fd = fd;
	}
}

/* Copied and cut rather than renamed: other processes write to the same open file, each line at
 * its end. What they write between the copy and the cut is lost; a log is no promise. */
void log_rotate(int fd)
{
	char name[64], path[PATH_MAX], chunk[1 << 16];
	_cleanup_free_ char *old = NULL;
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < LOG_FILE_MAX)
		return;
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof path - 1);
	if (n <= 0)
		return;
	path[n] = '\0';
	old = xasprintf("%s.1", path);
	from = open(name, O_RDONLY | O_CLOEXEC);
	unlink(old);
	to = open(old, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* On a full disk the newest lines are worth more than the old ones. */
	while (from >= 0 && to >= 0 && (n = read(from, chunk, sizeof chunk)) > 0)
		if (write(to, chunk, (size_t)n) != n)
			break;
	if (ftruncate(fd, 0) < 0)
		return;
}

void log_write(enum log_level level, const char *module, const char *fmt, ...)
{
	char line[LOG_LINE_MAX], when[32];
	va_list ap;
	int n, m;

	if (level < log_least)
		return;
	text_format_time(time_now_ms(), when);
	n = snprintf(line, sizeof line, "%s %s %s ", when, log_level_words[level], module);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n += m < 0 ? 0 : m;
	if ((size_t)n > sizeof line - 2)
		n = sizeof line - 2;
	for (char *p = line; p < line + n; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	line[n++] = '\n';
	if (write(log_fd, line, (size_t)n) < 0)
		return; /* a full disk must not stop the work; the store says what happened */
	log_since_look += (size_t)n;
	if (log_fd != STDERR_FILENO && log_since_look > LOG_LOOK) {
		log_since_look = 0;
		log_rotate(log_fd);
	}
}
