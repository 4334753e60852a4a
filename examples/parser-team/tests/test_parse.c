#include "calc.h"
#include "check.h"

static int is_binary(const struct node *node, char operator)
{
	return node && node->kind == NODE_BINARY && node->operator== operator;
}

int main(void)
{
	static const char *const bad[] = {"", "1+", "(1", "1)", "1 2", "*2", "f(1", "1+#", "f(1,)"};
	struct node *node = parse("1 + 2*3");

	CHECK(is_binary(node, '+'));
	CHECK(node && is_binary(node->right, '*'));
	node_free(node);
	node = parse("8-4-2");
	CHECK(is_binary(node, '-'));
	CHECK(node && is_binary(node->left, '-'));
	node_free(node);
	node = parse("2^3^2");
	CHECK(is_binary(node, '^'));
	CHECK(node && is_binary(node->right, '^'));
	node_free(node);
	node = parse("-(x+1)*2");
	CHECK(is_binary(node, '*'));
	CHECK(node && node->left && node->left->kind == NODE_NEGATE);
	node_free(node);
	node = parse("max(1, x)");
	CHECK(node && node->kind == NODE_CALL && node->left && node->right);
	CHECK_TEXT(node ? node->name : "", "max");
	node_free(node);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(parse(bad[i]) == NULL);
	return check_end("parse");
}
