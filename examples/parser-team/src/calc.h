/* calc: arithmetic expressions, from text to a number. */
#ifndef CALC_H
#define CALC_H

#include <stddef.h>

/* lex.c: text into tokens. */
enum token_kind { TOKEN_END, TOKEN_NUMBER, TOKEN_NAME, TOKEN_OPERATOR, TOKEN_ERROR };

struct token {
	enum token_kind kind;
	double number;
	char name[16];
	char operator; /* one of + - * / ^ ( ) , */
};

struct lexer {
	const char *at;
};

void lex_start(struct lexer *lexer, const char *text);
struct token lex_next(struct lexer *lexer);

/* number.c: digits, a fraction, an exponent. `*end` is behind what was read. */
double number_read(const char *text, const char **end);

/* vars.c: names and their values. */
#define VARS_MAX 32

struct vars {
	size_t count;
	char names[VARS_MAX][16];
	double values[VARS_MAX];
};

int vars_set(struct vars *vars, const char *name, double value); /* -1: full */
int vars_get(const struct vars *vars, const char *name, double *value); /* -1: unknown */

/* parse.c: tokens into a tree. NULL: not an expression. */
enum node_kind { NODE_NUMBER, NODE_NAME, NODE_NEGATE, NODE_BINARY, NODE_CALL };

struct node {
	enum node_kind kind;
	double number;
	char name[16]; /* of a variable or a function */
	char operator;
	struct node *left, *right; /* of a call: its arguments */
};

struct node *parse(const char *text);
void node_free(struct node *node);

/* eval.c: a tree into a number. -1: unknown name, division by zero. */
int eval(const struct node *node, const struct vars *vars, double *value);

/* print.c: a tree into text, with every bracket that it needs and no other. */
int print(const struct node *node, char *out, size_t size);

/* functions.c: sqrt, min, max. -1: no such function, or not for that many arguments. */
int function_call(const char *name, int count, const double *arguments, double *value);

#endif
