/* calc EXPRESSION: prints its value. */
#include <stdio.h>

#include "calc.h"

int main(int argc, char **argv)
{
	struct vars vars = {0};
	struct node *node = argc == 2 ? parse(argv[1]) : NULL;
	double value;

	if (!node || eval(node, &vars, &value)) {
		fprintf(stderr, "usage: calc EXPRESSION\n");
		return 1;
	}
	printf("%g\n", value);
	node_free(node);
	return 0;
}
