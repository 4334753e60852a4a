/* Numbers: only whole ones so far. */
#include "calc.h"

double number_read(const char *text, const char **end)
{
	double value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (*text++ - '0');
	*end = text;
	return value;
}
