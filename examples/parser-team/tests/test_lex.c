#include "calc.h"
#include "check.h"

int main(void)
{
	struct lexer lexer;
	struct token token;

	lex_start(&lexer, "  12 +\tlength_2*(7)^2,");
	token = lex_next(&lexer);
	CHECK(token.kind == TOKEN_NUMBER);
	CHECK_NUMBER(token.number, 12);
	CHECK(lex_next(&lexer).operator == '+');
	token = lex_next(&lexer);
	CHECK(token.kind == TOKEN_NAME);
	CHECK_TEXT(token.name, "length_2");
	CHECK(lex_next(&lexer).operator == '*');
	CHECK(lex_next(&lexer).operator == '(');
	CHECK(lex_next(&lexer).kind == TOKEN_NUMBER);
	CHECK(lex_next(&lexer).operator == ')');
	CHECK(lex_next(&lexer).operator == '^');
	CHECK(lex_next(&lexer).kind == TOKEN_NUMBER);
	CHECK(lex_next(&lexer).operator == ',');
	CHECK(lex_next(&lexer).kind == TOKEN_END);
	CHECK(lex_next(&lexer).kind == TOKEN_END);

	lex_start(&lexer, "1 # 2");
	CHECK(lex_next(&lexer).kind == TOKEN_NUMBER);
	CHECK(lex_next(&lexer).kind == TOKEN_ERROR);

	lex_start(&lexer, "a_name_that_is_far_too_long");
	CHECK(lex_next(&lexer).kind == TOKEN_ERROR);
	return check_end("lex");
}
