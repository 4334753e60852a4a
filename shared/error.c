/* Errors: codes, stories, and the one way to die. */
#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void error_fill(struct error *err, enum error_code code, const char *fmt, va_list ap)
{
	err->code = code;
	vsnprintf(err->text, sizeof err->text, fmt, ap);
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	error_fill(err, code, fmt, ap);
	va_end(ap);
	return -1;
}

int error_errno(struct error *err, const char *fmt, ...)
{
	int saved = errno;
	size_t used;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	error_fill(err, ERROR_EXTERNAL, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(saved));
	errno = saved;
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char old[ERROR_TEXT_MAX];
	size_t used;
	va_list ap;

	if (!err)
		return -1;
	memcpy(old, err->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", old);
	return -1;
}

static const struct {
	const char *word;
	int exit_status;
} codes[] = {[ERROR_NONE] = {"none", 0},
#define X(name, word, exit_status) [ERROR_##name] = {word, exit_status},
             ERROR_CODES(X)
#undef X
};

const char *error_code_word(enum error_code code)
{
	return codes[code].word;
}

enum error_code error_code_from_word(const char *word)
{
	for (size_t i = 0; word && i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(codes[i].word, word) == 0)
			return (enum error_code)i;
	return ERROR_EXTERNAL;
}

int error_exit_status(enum error_code code)
{
	return codes[code].exit_status;
}

void die(const char *fmt, ...)
{
	va_list ap;

	fputs("pleach: internal: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
