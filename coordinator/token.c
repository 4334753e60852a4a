/* Tokens: derived with HMAC-SHA256, compared in constant time. */
#include "token.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mem.h"
#include "place.h"

#define TOKEN_BYTES 16

int token_secret_load(const char *file, struct token_secret *out, struct error *err)
{
	_cleanup_free_ char *data = NULL;
	struct error why = ERROR_INIT;
	struct token_secret fresh;
	size_t len = 0;

	if (place_read_file(file, TOKEN_SECRET_LEN, &data, &len, &why) == 0 &&
	    len == TOKEN_SECRET_LEN) {
		memcpy(out->bytes, data, len);
		return 0;
	}
	if (why.code == ERROR_EXTERNAL) {
		*err = why;
		return -1;
	}
	if (getrandom(fresh.bytes, sizeof fresh.bytes, 0) != (ssize_t)sizeof fresh.bytes)
		return error_errno(err, "no random bytes");
	if (place_write_file(file, fresh.bytes, sizeof fresh.bytes, err) < 0)
		return -1;
	*out = fresh;
	return 0;
}

static void derive(const struct token_secret *secret, const char *kind, const char *name,
                   char out[2 * TOKEN_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";
	static struct token_secret keyed;
	static struct hmac_sha256_ctx hmac; /* with its key; a digest begins it anew */
	static bool ready;
	uint8_t digest[TOKEN_BYTES];

	if (!ready || memcmp(&keyed, secret, sizeof keyed) != 0) {
		hmac_sha256_set_key(&hmac, sizeof secret->bytes, secret->bytes);
		keyed = *secret;
		ready = true;
	}
	hmac_sha256_update(&hmac, strlen(kind), (const uint8_t *)kind);
	hmac_sha256_update(&hmac, strlen(name), (const uint8_t *)name);
	hmac_sha256_digest(&hmac, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * sizeof digest] = '\0';
}

void token_of_attempt(const struct token_secret *secret, int64_t attempt, char out[TOKEN_TEXT_MAX])
{
	char name[24], hex[2 * TOKEN_BYTES + 1];

	snprintf(name, sizeof name, "%lld", (long long)attempt);
	derive(secret, "attempt:", name, hex);
	snprintf(out, TOKEN_TEXT_MAX, "%lld.%s", (long long)attempt, hex);
}

void token_session(const struct token_secret *secret, int64_t attempt, char out[37])
{
	char name[24], hex[2 * TOKEN_BYTES + 1];

	snprintf(name, sizeof name, "%lld", (long long)attempt);
	derive(secret, "session:", name, hex);
	/* version 4, variant 8: random as far as anybody can tell */
	snprintf(out, 37, "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8, hex + 13, hex + 17,
	         hex + 20);
}

void token_of_worker(const struct token_secret *secret, const char *teammate,
                     char out[TOKEN_TEXT_MAX])
{
	char hex[2 * TOKEN_BYTES + 1];

	derive(secret, "worker:", teammate, hex);
	snprintf(out, TOKEN_TEXT_MAX, "%s", hex);
}

static bool same(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && memeql_sec(a, b, n);
}

int64_t token_attempt(const struct token_secret *secret, const char *token)
{
	char right[TOKEN_TEXT_MAX];
	int64_t attempt = token ? strtoll(token, NULL, 10) : 0;

	if (attempt <= 0)
		return 0;
	token_of_attempt(secret, attempt, right);
	return same(right, token) ? attempt : 0;
}

bool token_is_worker(const struct token_secret *secret, const char *teammate, const char *token)
{
	char right[TOKEN_TEXT_MAX];

	token_of_worker(secret, teammate, right);
	return token && same(right, token);
}
