/* SPDX-License-Identifier: ISC */
/* Text as signatures of n-grams; see fts_grams.h. */
#include "mailbox/fts_grams.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define CAP_FIRST 4096
#define BITS_EACH 3     /* of the signature for each that is set: a quarter of them */
#define BITS_OF_OCTET 2 /* at most: the index is to be small beside the text */

/* Marks a gram that sets two bits: those that short words have to do with. */
#define TWICE 1u

enum gram {
	TRIGRAM = 1,
	TETRAGRAM,
	ONE_WIDE,
	TWO_WIDE
};

static uint32_t
gram_hash(enum gram kind, uint64_t key)
{
	uint32_t h;

	key = (key ^ (uint64_t)kind << 60) * UINT64_C(0x9e3779b97f4a7c15);
	key = (key ^ key >> 32) * UINT64_C(0xd6e8feb86659fd93);
	h = (uint32_t)(key >> 32);
	if (kind == TRIGRAM || kind == TWO_WIDE)
		h |= TWICE;
	else
		h &= ~TWICE;
	return h < 2 ? h + 2 : h; /* 0 is a free slot */
}

/* Written without spaces between words: pairs of these say enough. */
static bool
is_wide(uint32_t c)
{
	return (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7ff) ||
	       (c >= 0xf900 && c <= 0xfaff) || c >= 0x20000;
}

void
fts_grams_init(struct fts_grams *g)
{
	memset(g, 0, sizeof(*g));
	g->slots = calloc(CAP_FIRST, sizeof(*g->slots));
	g->list = calloc(CAP_FIRST / 2, sizeof(*g->list));
	if (g->slots == NULL || g->list == NULL) {
		fts_grams_clear(g);
		g->full = true;
	} else
		g->cap = CAP_FIRST;
}

void
fts_grams_clear(struct fts_grams *g)
{
	free(g->slots);
	free(g->list);
	g->slots = g->list = NULL;
	g->cap = g->n = 0;
}

void
fts_grams_reset(struct fts_grams *g)
{
	if (g->cap > CAP_FIRST * 16) {
		fts_grams_clear(g);
		fts_grams_init(g);
		return;
	}
	if (g->n > 0)
		memset(g->slots, 0, g->cap * sizeof(*g->slots));
	g->n = g->bits = g->octets = 0;
	g->full = g->cap == 0;
	fts_grams_restart(g);
}

void
fts_grams_restart(struct fts_grams *g)
{
	g->n_run = 0;
	g->wide = 0;
	g->n_held = 0;
}

static uint32_t *
slot_of(uint32_t *slots, size_t cap, uint32_t h)
{
	size_t i = (h >> 1) & (cap - 1);

	while (slots[i] != 0 && slots[i] != h)
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static void
grow(struct fts_grams *g)
{
	size_t cap = g->cap * 4;
	uint32_t *slots = calloc(cap, sizeof(*slots)),
		 *list = reallocarray(g->list, cap / 2, sizeof(*list));

	if (list != NULL)
		g->list = list;
	if (slots == NULL || list == NULL) {
		free(slots);
		g->full = true;
		return;
	}
	for (size_t i = 0; i < g->n; i++)
		*slot_of(slots, cap, list[i]) = list[i];
	free(g->slots);
	g->slots = slots;
	g->cap = cap;
}

static void
insert(struct fts_grams *g, uint32_t h)
{
	uint32_t *slot;

	if (g->full)
		return;
	slot = slot_of(g->slots, g->cap, h);
	if (*slot == h)
		return;
	*slot = h;
	g->list[g->n++] = h;
	g->bits += h & TWICE ? 2 : 1;
	if (g->n >= FTS_SET_MAX)
		g->full = true;
	else if (g->n * 2 >= g->cap)
		grow(g);
}

/* The grams that end in c: at most two. */
static size_t
next_grams(struct fts_grams *g, uint32_t c, uint32_t out[2])
{
	size_t n = 0;

	if (c == ' ') {
		g->n_run = 0;
		g->wide = 0;
		return 0;
	}
	if (is_wide(c)) {
		out[n++] = gram_hash(ONE_WIDE, c);
		if (g->wide != 0)
			out[n++] = gram_hash(TWO_WIDE, (uint64_t)g->wide << 24 | c);
		g->wide = c;
		g->n_run = 0;
		return n;
	}
	g->wide = 0;
	g->run = g->run << 16 | (c & 0xffff);
	if (g->n_run < 4)
		g->n_run++;
	if (g->n_run >= 3)
		out[n++] = gram_hash(TRIGRAM, g->run & UINT64_C(0xffffffffffff));
	if (g->n_run >= 4)
		out[n++] = gram_hash(TETRAGRAM, g->run);
	return n;
}

static void
add_char(struct fts_grams *g, uint32_t c)
{
	uint32_t h[2];
	size_t n = next_grams(g, c, h);

	for (size_t i = 0; i < n; i++)
		insert(g, h[i]);
}

/* Octets of the character that begins so; 1 for what begins none. */
static size_t
char_len(unsigned char lead)
{
	return lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
}

/* s may end within a character: it is held. Returns the octets taken as held. */
static void
add_octets(struct fts_grams *g, const char *s, size_t len)
{
	uint32_t c;

	for (size_t i = 0; i < len;) {
		unsigned char a = (unsigned char)s[i];
		size_t used;

		if (a < 0x80) {
			add_char(g, a);
			i++;
			continue;
		}
		if ((used = utf8_get(s + i, len - i, &c)) > 0) {
			add_char(g, c);
			i += used;
			continue;
		}
		if (len - i < char_len(a)) {
			memcpy(g->held, s + i, len - i);
			g->n_held = len - i;
			return;
		}
		/* No character, which no text that is looked for has here either. */
		add_char(g, 0xdc00u | a);
		i++;
	}
}

void
fts_grams_add(struct fts_grams *g, const char *s, size_t len)
{
	char joined[8];

	g->octets += len;
	while (g->n_held > 0 && len > 0) {
		size_t n = g->n_held;

		/* One octet at a time until it is a character, or is none. */
		memcpy(joined, g->held, n);
		joined[n++] = *s++;
		len--;
		g->n_held = 0;
		add_octets(g, joined, n);
	}
	add_octets(g, s, len);
}

size_t
fts_grams_words(const struct fts_grams *g)
{
	size_t bits = g->bits * BITS_EACH, most = g->octets * BITS_OF_OCTET;

	if (g->full)
		return 0;
	if (bits > most)
		bits = most;
	return bits == 0 ? 1 : (bits + 63) / 64;
}

/* Bit of a signature of n words; the second time for TWICE. */
static size_t
bit_of(uint32_t h, size_t n, bool second)
{
	if (second)
		h = (h << 16 | h >> 16) * 0x85ebca6bu;
	return (size_t)((uint64_t)h * (n * 64) >> 32);
}

void
fts_grams_sign(const struct fts_grams *g, uint64_t *words, size_t n)
{
	memset(words, 0, n * sizeof(*words));
	for (size_t i = 0; i < g->n; i++) {
		uint32_t h = g->list[i];
		size_t bit = bit_of(h, n, false);

		words[bit / 64] |= UINT64_C(1) << bit % 64;
		if (!(h & TWICE))
			continue;
		bit = bit_of(h, n, true);
		words[bit / 64] |= UINT64_C(1) << bit % 64;
	}
}

void
fts_query_init(struct fts_query *q, const char *folded, size_t len)
{
	struct fts_grams g = { 0 };
	uint32_t c, h[2];
	size_t n;

	q->n = 0;
	/* Half a character can be found in the middle of a whole one. */
	if (!utf8_valid(folded, len))
		return;
	for (size_t i = 0; i < len; i += n) {
		if ((n = utf8_get(folded + i, len - i, &c)) == 0)
			return;
		for (size_t k = next_grams(&g, c, h); k > 0 && q->n < FTS_TESTS_MAX; k--)
			q->test[q->n++] = h[k - 1];
	}
}

bool
fts_query_match(const struct fts_query *q, const uint64_t *words, size_t n)
{
	if (n == 0)
		return true;
	for (size_t i = 0; i < q->n; i++) {
		size_t bit = bit_of(q->test[i], n, false);

		if ((words[bit / 64] >> bit % 64 & 1) == 0)
			return false;
		if (!(q->test[i] & TWICE))
			continue;
		bit = bit_of(q->test[i], n, true);
		if ((words[bit / 64] >> bit % 64 & 1) == 0)
			return false;
	}
	return true;
}
