/* Tokens into a tree: one number, and nothing behind it. */
#include "calc.h"

#include <stdlib.h>

struct node *parse(const char *text)
{
	struct lexer lexer;
	struct node *node;
	struct token token;

	lex_start(&lexer, text);
	token = lex_next(&lexer);
	if (token.kind != TOKEN_NUMBER || lex_next(&lexer).kind != TOKEN_END)
		return NULL;
	node = calloc(1, sizeof(*node));
	if (node)
		node->number = token.number;
	return node;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	node_free(node->left);
	node_free(node->right);
	free(node);
}
