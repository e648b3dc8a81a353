/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FTS_GRAMS_H
#define FIFE_FTS_GRAMS_H

/*
 * Folded text as a set of n-grams and the set as a signature (a Bloom filter); and what
 * is looked for as bits of a signature. A text that holds what is looked for has all of
 * its bits; one that has them may hold it. No I/O.
 *
 * Runs of characters without a space give their overlapping trigrams and tetragrams; Han,
 * Kana, Hangul and the like give each character and each pair.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTS_SET_MAX                                                        \
	(1u << 19) /* more different ones are not told apart: no signature \
		    */
#define FTS_WORDS_MAX ((FTS_SET_MAX * 2u * 3u + 63) / 64)
#define FTS_TESTS_MAX 32

struct fts_grams {
	uint32_t *slots; /* a hash of hashes, 0 is free */
	uint32_t *list;  /* the same in a row, n of them, room for cap / 2 */
	size_t cap, n;
	size_t bits;   /* that the set asks for */
	size_t octets; /* of text */
	bool full;     /* FTS_SET_MAX, or no memory */
	/* the text so far */
	uint64_t run; /* the last four characters, 16 bits of each */
	unsigned int n_run;
	uint32_t wide; /* the character before, 0 none */
	char held[4];  /* the beginning of a character */
	size_t n_held;
};

/* No failure: without memory the set is full. */
void fts_grams_init(struct fts_grams *);
void fts_grams_clear(struct fts_grams *);
/* For another message. */
void fts_grams_reset(struct fts_grams *);
/* What follows does not belong to what was before. */
void fts_grams_restart(struct fts_grams *);
/* Folded text, cut anywhere. */
void fts_grams_add(struct fts_grams *, const char *, size_t);

/* 64-bit words of the signature; 0: it has none, the text must be read each time. */
size_t fts_grams_words(const struct fts_grams *);
void fts_grams_sign(const struct fts_grams *, uint64_t *words, size_t n);

struct fts_query {
	size_t n; /* 0: only reading the text can tell */
	uint32_t test[FTS_TESTS_MAX];
};
void fts_query_init(struct fts_query *, const char *folded, size_t len);
/* false: the text of that signature does not hold it. */
bool fts_query_match(const struct fts_query *, const uint64_t *words, size_t n);

#endif
