/* Memory and descriptors: allocation that never returns NULL (out of memory ends
 * the process), and cleanup attributes that release on every way out. */
#ifndef PLEACH_MEM_H
#define PLEACH_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void *xcalloc(size_t count, size_t size);   /* caller frees; zeroed */
void *xrealloc(void *old, size_t size);     /* caller frees */
char *xstrdup(const char *text);            /* caller frees; NULL stays NULL */
char *xstrndup(const char *text, size_t n); /* caller frees */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* caller frees */
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0))); /* the same */

/* NULL-terminated string vectors (argv, envp). */
void strv_free(char **strv);               /* NULL is accepted */
char **strv_copy(const char *const *strv); /* caller frees with strv_free */
size_t strv_len(const char *const *strv);
void strv_push(char ***strv, char *item); /* takes item; *strv may be NULL */

void cleanup_free(void *p);
void cleanup_strv(char ***p);
void cleanup_close(int *fd);
void cleanup_file(FILE **file);

#define _cleanup_free_  __attribute__((cleanup(cleanup_free)))
#define _cleanup_strv_  __attribute__((cleanup(cleanup_strv)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))
#define _cleanup_file_  __attribute__((cleanup(cleanup_file)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
