/* Memory: allocation that does not fail, and the cleanup attributes' bodies. */
#include "mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		die("out of memory (%zu bytes)", count * size);
	return p;
}

void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p)
		die("out of memory (%zu bytes)", size);
	return p;
}

char *xstrdup(const char *text)
{
	return text ? xstrndup(text, strlen(text)) : NULL;
}

char *xstrndup(const char *text, size_t n)
{
	size_t len = strnlen(text, n);
	char *copy = xrealloc(NULL, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		die("out of memory (formatting)");
	return text;
}

char *xasprintf(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	return text;
}

void strv_free(char **strv)
{
	for (size_t i = 0; strv && strv[i]; i++)
		free(strv[i]);
	free(strv);
}

size_t strv_len(const char *const *strv)
{
	size_t n = 0;

	while (strv && strv[n])
		n++;
	return n;
}

char **strv_copy(const char *const *strv)
{
	size_t n = strv_len(strv);
	char **copy = xcalloc(n + 1, sizeof *copy);

	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(strv[i]);
	return copy;
}

void strv_push(char ***strv, char *item)
{
	size_t n = strv_len((const char *const *)*strv);

	*strv = xrealloc(*strv, (n + 2) * sizeof **strv);
	(*strv)[n] = item;
	(*strv)[n + 1] = NULL;
}

void cleanup_free(void *p)
{
	free(*(void **)p);
}

void cleanup_strv(char ***p)
{
	strv_free(*p);
}

void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}
