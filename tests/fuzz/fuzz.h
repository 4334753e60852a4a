/* What the fuzzers have in common: a promise that does not depend on assert, and pieces. */
#ifndef PLEACH_FUZZ_H
#define PLEACH_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define promise(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The length of the next piece of what is left, after a seed: 1 to 64 bytes. */
static inline size_t fuzz_piece(unsigned *seed, size_t left)
{
	size_t n;

	*seed = *seed * 1103515245u + 12345u;
	n = 1 + *seed / 65536 % 64;
	return n < left ? n : left;
}

#endif
