/* Checks that say what they wanted; a program of them ends with `return check_end("part")`. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>
#include <string.h>

static int check_count, check_failed;

#define CHECK(condition) check_one((condition) != 0, __LINE__, #condition)
#define CHECK_NUMBER(got, want) check_number((got), (want), __LINE__, #got)
#define CHECK_TEXT(got, want) check_text((got), (want), __LINE__, #got)

static inline void check_one(int good, int line, const char *what)
{
	check_count++;
	if (!good) {
		check_failed++;
		printf("  line %d: %s\n", line, what);
	}
}

static inline void check_number(double got, double want, int line, const char *what)
{
	int good = fabs(got - want) <= 1e-9 * (1 + fabs(want));

	check_one(good, line, what);
	if (!good)
		printf("    want %g, got %g\n", want, got);
}

static inline void check_text(const char *got, const char *want, int line, const char *what)
{
	int good = strcmp(got, want) == 0;

	check_one(good, line, what);
	if (!good)
		printf("    want %s, got %s\n", want, got);
}

static inline int check_end(const char *part)
{
	printf("%s: %d of %d checks passed\n", part, check_count - check_failed, check_count);
	return check_failed != 0;
}

#endif
