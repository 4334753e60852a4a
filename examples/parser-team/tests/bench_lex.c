/* Nanoseconds that the tokenizer takes for a token: the best of several rounds. */
#include <stdio.h>
#include <time.h>

#include "calc.h"

#define ROUNDS  20
#define REPEATS 2000

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void)
{
	static const char text[] = "12.5*(alpha + beta)^2 - sqrt(gamma/3.25, 1e3) * (delta - 42)";
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now(), took;
		long tokens = 0;

		for (int i = 0; i < REPEATS; i++) {
			struct lexer lexer;

			lex_start(&lexer, text);
			for (struct token token = lex_next(&lexer);
			     token.kind != TOKEN_END && token.kind != TOKEN_ERROR;
			     token = lex_next(&lexer))
				tokens++;
		}
		took = (now() - start) / (double)tokens;
		best = took < best ? took : best;
	}
	printf("%.1f\n", best);
	return 0;
}
