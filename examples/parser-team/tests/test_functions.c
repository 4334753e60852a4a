#include "calc.h"
#include "check.h"

static double value_of(const char *text)
{
	struct vars vars = {0};
	struct node *node = parse(text);
	double value = NAN;

	if (!node || eval(node, &vars, &value))
		value = NAN;
	node_free(node);
	return value;
}

int main(void)
{
	CHECK_NUMBER(value_of("sqrt(2*8)"), 4);
	CHECK_NUMBER(value_of("max(1, 2) + min(3, 4)"), 5);
	CHECK_NUMBER(value_of("max(sqrt(9), 2)"), 3);
	CHECK(isnan(value_of("sqrt(0-1)")));
	CHECK(isnan(value_of("sqrt(1, 2)")));
	CHECK(isnan(value_of("max(1)")));
	CHECK(isnan(value_of("cosh(1)")));
	return check_end("functions");
}
