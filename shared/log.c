/* The log of a long-lived process. */
#include "log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#define LOG_LINE_MAX 2048

static int log_fd = STDERR_FILENO;
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
}
