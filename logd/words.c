/* SPDX-License-Identifier: ISC */
/* Cutting the text of a line into the words that can be asked for. */
#include "logd/words.h"

/* By octet: 1 it belongs to a word. */
static const unsigned char in_word[256] = {
	['!'] = 1,
	['#'] = 1,
	['$'] = 1,
	['%'] = 1,
	['&'] = 1,
	['\''] = 1,
	['*'] = 1,
	['+'] = 1,
	['-'] = 1,
	['/'] = 1,
	['@'] = 1,
	['_'] = 1,
	['~'] = 1,
	['0' ... '9'] = 1,
	['A' ... 'Z'] = 1,
	['a' ... 'z'] = 1,
	[0x80 ... 0xff] = 1,
};

int
words_octet(unsigned char c)
{
	return in_word[c];
}

/* The bits that a filter takes come from all octets alike (the finish of SplitMix64). */
static uint64_t
mix(uint64_t h)
{
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

int
words_next(const char *text, size_t len, size_t *pos, uint64_t *hash)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = *pos, start;
	uint64_t h;

	for (;;) {
		while (i < len && !in_word[p[i]])
			i++;
		if (i == len)
			return 0;
		start = i;
		h = 0xcbf29ce484222325u; /* FNV-1a */
		while (i < len && (in_word[p[i]] || (p[i] == '.' && i + 1 < len &&
							in_word[p[i + 1]]))) {
			unsigned char c = p[i++];

			h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 0x100000001b3u;
		}
		if (i - start >= WORDS_MIN)
			break;
	}
	*pos = i;
	*hash = mix(h);
	return 1;
}
