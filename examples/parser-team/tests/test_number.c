#include "calc.h"
#include "check.h"

int main(void)
{
	const char *end;

	CHECK_NUMBER(number_read("42", &end), 42);
	CHECK_NUMBER(number_read("3.25+", &end), 3.25);
	CHECK(*end == '+');
	CHECK_NUMBER(number_read(".5", &end), 0.5);
	CHECK_NUMBER(number_read("1e3", &end), 1000);
	CHECK_NUMBER(number_read("2.5e-3)", &end), 0.0025);
	CHECK(*end == ')');
	CHECK_NUMBER(number_read("7e", &end), 7);
	CHECK(*end == 'e');
	return check_end("number");
}
