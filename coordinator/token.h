/* Tokens: who may speak as an attempt or a worker. Derived from one secret (a 0600 file
 * in the state directory) and never stored: HMAC-SHA256, 32 hex characters. */
#ifndef PLEACH_TOKEN_H
#define PLEACH_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define TOKEN_SECRET_LEN 32
#define TOKEN_TEXT_MAX   64

struct token_secret {
	unsigned char bytes[TOKEN_SECRET_LEN];
};

/* Reads the secret, makes it when it is missing. */
int token_secret_load(const char *file, struct token_secret *out, struct error *err);
/* "<attempt>.<hex>": it names its attempt and proves it. */
void token_of_attempt(const struct token_secret *secret, int64_t attempt, char out[TOKEN_TEXT_MAX]);
void token_of_worker(const struct token_secret *secret, const char *teammate,
                     char out[TOKEN_TEXT_MAX]);
/* A UUID for the agent's own session: the same for an attempt, different everywhere else, and it
 * tells nothing about the token. */
void token_session(const struct token_secret *secret, int64_t attempt, char out[37]);
/* The attempt whose token this is, 0 when it is nobody's. */
int64_t token_attempt(const struct token_secret *secret, const char *token);
bool token_is_worker(const struct token_secret *secret, const char *teammate, const char *token);

#endif
