/* SHA-1 as of FIPS 180-4, of bytes that are all there. A checksum against broken disks, no
 * protection against anybody: must not be used to name content. */
#include "sha1.h"

#include <stdint.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static uint32_t load(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void block(uint32_t state[5], const unsigned char *p)
{
	uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

	for (int i = 0; i < 16; i++)
		w[i] = load(p + 4 * i);
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
#define STEP(f, k, i)                                                                              \
	do {                                                                                       \
		uint32_t t = rotate(a, 5) + (f) + e + (k) + w[i];                                  \
		e = d;                                                                             \
		d = c;                                                                             \
		c = rotate(b, 30);                                                                 \
		b = a;                                                                             \
		a = t;                                                                             \
	} while (0)
	for (int i = 0; i < 20; i++)
		STEP((b & c) | (~b & d), 0x5a827999u, i);
	for (int i = 20; i < 40; i++)
		STEP(b ^ c ^ d, 0x6ed9eba1u, i);
	for (int i = 40; i < 60; i++)
		STEP((b & c) | (b & d) | (c & d), 0x8f1bbcdcu, i);
	for (int i = 60; i < 80; i++)
		STEP(b ^ c ^ d, 0xca62c1d6u, i);
#undef STEP
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1(const void *data, size_t len, unsigned char out[SHA1_SIZE])
{
	uint32_t state[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
	unsigned char tail[128] = {0};
	const unsigned char *p = data;
	size_t rest = len % 64, whole = len - rest, size = rest < 56 ? 64 : 128;
	uint64_t bits = (uint64_t)len * 8;

	for (size_t i = 0; i < whole; i += 64)
		block(state, p + i);
	if (rest)
		memcpy(tail, p + whole, rest);
	tail[rest] = 0x80;
	for (size_t i = 0; i < 8; i++)
		tail[size - 1 - i] = (unsigned char)(bits >> (8 * i));
	for (size_t i = 0; i < size; i += 64)
		block(state, tail + i);
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 4; k++)
			out[4 * i + k] = (unsigned char)(state[i] >> (24 - 8 * k));
}
