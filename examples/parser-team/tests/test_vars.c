#include "calc.h"
#include "check.h"

int main(void)
{
	struct vars vars = {0};
	double value = 0;
	char name[16];

	CHECK(vars_get(&vars, "x", &value) == -1);
	CHECK(vars_set(&vars, "x", 1) == 0);
	CHECK(vars_set(&vars, "y", 2) == 0);
	CHECK(vars_set(&vars, "x", 3) == 0);
	CHECK(vars.count == 2);
	CHECK(vars_get(&vars, "x", &value) == 0);
	CHECK_NUMBER(value, 3);
	for (int i = 2; i < VARS_MAX; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		CHECK(vars_set(&vars, name, i) == 0);
	}
	CHECK(vars_set(&vars, "more", 1) == -1);
	CHECK(vars_set(&vars, "y", 5) == 0);
	CHECK(vars_get(&vars, "y", &value) == 0);
	CHECK_NUMBER(value, 5);
	return check_end("vars");
}
