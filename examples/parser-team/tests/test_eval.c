#include "calc.h"
#include "check.h"

static double value_of(const char *text, const struct vars *vars)
{
	struct node *node = parse(text);
	double value = NAN;

	if (!node || eval(node, vars, &value))
		value = NAN;
	node_free(node);
	return value;
}

int main(void)
{
	struct vars vars = {0};

	vars_set(&vars, "x", 3);
	CHECK_NUMBER(value_of("1+2*3", &vars), 7);
	CHECK_NUMBER(value_of("(1+2)*3", &vars), 9);
	CHECK_NUMBER(value_of("8-4-2", &vars), 2);
	CHECK_NUMBER(value_of("2^3^2", &vars), 512);
	CHECK_NUMBER(value_of("-x^2", &vars), -9);
	CHECK_NUMBER(value_of("7/2", &vars), 3.5);
	CHECK(isnan(value_of("1/0", &vars)));
	CHECK(isnan(value_of("1/(x-3)", &vars)));
	CHECK(isnan(value_of("y", &vars)));
	return check_end("eval");
}
