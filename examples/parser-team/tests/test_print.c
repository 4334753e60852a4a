#include "calc.h"
#include "check.h"

static const char *again(const char *text)
{
	static char out[80];
	struct node *node = parse(text);

	if (!node || print(node, out, sizeof(out)))
		snprintf(out, sizeof(out), "nothing");
	node_free(node);
	return out;
}

int main(void)
{
	char small[4];
	struct node *node = parse("100+200");

	CHECK_TEXT(again("1+2*3"), "1 + 2 * 3");
	CHECK_TEXT(again("(1+2)*3"), "(1 + 2) * 3");
	CHECK_TEXT(again("1-(2-3)"), "1 - (2 - 3)");
	CHECK_TEXT(again("((1-2)-3)"), "1 - 2 - 3");
	CHECK_TEXT(again("(2^3)^2"), "(2 ^ 3) ^ 2");
	CHECK_TEXT(again("2^(3^2)"), "2 ^ 3 ^ 2");
	CHECK_TEXT(again("-(x+1)"), "-(x + 1)");
	CHECK_TEXT(again("max(1,x)"), "max(1, x)");
	CHECK(node && print(node, small, sizeof(small)) == -1);
	node_free(node);
	return check_end("print");
}
