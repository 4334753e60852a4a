/* Text into tokens. */
#include "calc.h"

#include <string.h>

void lex_start(struct lexer *lexer, const char *text)
{
	lexer->at = text;
}

struct token lex_next(struct lexer *lexer)
{
	struct token token = {TOKEN_ERROR, 0, "", 0};

	if (!*lexer->at) {
		token.kind = TOKEN_END;
	} else if (strchr("+-*/", *lexer->at)) {
		token.kind = TOKEN_OPERATOR;
		token.operator = *lexer->at++;
	} else if (*lexer->at >= '0' && *lexer->at <= '9') {
		token.kind = TOKEN_NUMBER;
		token.number = number_read(lexer->at, &lexer->at);
	}
	return token;
}
