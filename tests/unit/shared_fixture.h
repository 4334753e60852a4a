/* What the tests of shared/ and of the store have in common: cmocka's own includes, a
 * private folder for each test that is gone afterwards, and waiting for an event with a
 * deadline instead of sleeping. */
#ifndef PLEACH_SHARED_FIXTURE_H
#define PLEACH_SHARED_FIXTURE_H

#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "error.h"
#include "mem.h"
#include "text.h"

#define WAIT_MS 60000 /* the longest that any awaited event may take on a busy machine */

/* Said by `./dev valgrind`: all takes thirty times as long, and a vfork is a fork. */
static inline bool under_valgrind(void)
{
	return getenv("PLEACH_TEST_VALGRIND") != NULL;
}

/* So much longer than on a busy machine may something take here. */
static inline unsigned patience(unsigned limit)
{
	return under_valgrind() ? 20 * limit : limit;
}

static inline int temp_remove_entry(const char *path, const struct stat *st, int type,
                                    struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

/* A new folder with its real path. Free with temp_finish. */
static inline char *temp_new(void)
{
	char path[] = "/tmp/pleach-unit-XXXXXX";

	assert_non_null(mkdtemp(path));
	return realpath(path, NULL);
}

static inline void temp_finish(char *dir)
{
	nftw(dir, temp_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

/* cmocka's setup and teardown: *state is the folder. */
static inline int temp_setup(void **state)
{
	*state = temp_new();
	return 0;
}

static inline int temp_teardown(void **state)
{
	temp_finish(*state);
	return 0;
}

/* Looks again every millisecond until the condition holds; fails the test when it never does. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t wait_until_end = time_mono_ms() + patience(WAIT_MS);                       \
                                                                                                   \
		while (!(condition)) {                                                             \
			if (time_mono_ms() > wait_until_end)                                       \
				fail_msg("never came: %s", #condition);                            \
			poll(NULL, 0, 1);                                                          \
		}                                                                                  \
	} while (0)

/* An `int f(..., struct error *err)` that must succeed. */
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.text);                                       \
	} while (0)

#endif
