/* SPDX-License-Identifier: ISC */
/* Fuzzy search, word by word; see imap_fuzzy.h. */
#include "mailbox/imap_fuzzy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/fts_text.h"
#include "mailbox/imap_search.h"

#define WORDS_MAX 16
#define WORD_MAX 32 /* characters; of longer words pieces that overlap */

enum quality {
	SAME = 100,
	BEGINNING = 90,
	PART = 75,
	ONE_OFF = 60,
	TWO_OFF = 40
};
#define BODY_PERCENT 80

struct word {
	uint32_t c[WORD_MAX];
	size_t n;
	uint64_t letters; /* a bit for each, to tell most pairs apart at once */
};

struct imap_fuzzy {
	struct word words[WORDS_MAX];
	size_t n;
	/* while a text is read */
	unsigned int best[WORDS_MAX];
	struct word word;
	char fold[IMAP_FOLD_SIZE(FTS_PIECE_MAX)];
};

/* Letters and digits; everything beyond ASCII but spaces is one. */
static bool
is_word(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c >= 0xaa && c != 0xab && c != 0xbb && (c < 0x2000 || c > 0x206f) &&
		   (c < 0x3000 || c > 0x3004) && c != 0xff0c && c != 0xff0e);
}

static void
word_add(struct word *w, uint32_t c)
{
	w->c[w->n++] = c;
	w->letters |= UINT64_C(1) << (c % 61);
}

struct imap_fuzzy *
imap_fuzzy_new(const char *text, size_t len)
{
	struct imap_fuzzy *f = calloc(1, sizeof(*f));
	struct word *w;

	if (f == NULL)
		return NULL;
	w = &f->words[0];
	for (size_t i = 0, used; i <= len; i += used) {
		uint32_t c = 0;

		used = i < len ? utf8_get(text + i, len - i, &c) : 1;
		if (used == 0)
			used = 1;
		if (i < len && is_word(c)) {
			if (w->n < WORD_MAX)
				word_add(w, c);
			continue;
		}
		if (w->n > 0 && f->n < WORDS_MAX) {
			f->n++;
			if (f->n == WORDS_MAX)
				break;
			w = &f->words[f->n];
		}
	}
	return f;
}

void
imap_fuzzy_free(struct imap_fuzzy *f)
{
	free(f);
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, leave out, replace or exchange with their neighbour. */
static size_t
distance(const struct word *a, const struct word *b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b->n; j++)
		last[j] = j;
	for (size_t i = 1; i <= a->n; i++) {
		size_t *t = before;

		now[0] = i;
		for (size_t j = 1; j <= b->n; j++) {
			now[j] = least(least(now[j - 1], last[j]) + 1,
			    last[j - 1] + (a->c[i - 1] != b->c[j - 1]));
			if (i > 1 && j > 1 && a->c[i - 1] == b->c[j - 2] &&
			    a->c[i - 2] == b->c[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = t;
	}
	return last[b->n];
}

static unsigned int
compare(const struct word *q, const struct word *w)
{
	size_t allowed = q->n >= 8 ? 2 : q->n >= 4 ? 1 : 0, d;
	/* Without spaces between words a part is a word. */
	bool parts = q->n >= 3 || q->c[0] >= 0x2e80;

	if (w->n >= q->n && memcmp(q->c, w->c, q->n * sizeof(*q->c)) == 0)
		return w->n == q->n ? SAME : q->n >= 2 || parts ? BEGINNING : 0;
	for (size_t i = 1; parts && i + q->n <= w->n; i++)
		if (memcmp(q->c, w->c + i, q->n * sizeof(*q->c)) == 0)
			return PART;
	if (allowed == 0 || w->n + allowed < q->n || w->n > q->n + allowed ||
	    (size_t)__builtin_popcountll(q->letters ^ w->letters) > 2 * allowed)
		return 0;
	d = distance(q, w);
	return d > allowed ? 0 : d == 1 ? ONE_OFF : TWO_OFF;
}

static void
word_end(struct imap_fuzzy *f)
{
	for (size_t i = 0; i < f->n && f->word.n > 0; i++)
		if (f->best[i] < SAME) {
			unsigned int q = compare(&f->words[i], &f->word);

			if (q > f->best[i])
				f->best[i] = q;
		}
	f->word.n = 0;
	f->word.letters = 0;
}

static bool
feed(void *arg, const char *s, size_t len)
{
	struct imap_fuzzy *f = arg;
	bool space = false;
	size_t n = imap_fold(s, len, f->fold, &space), used;

	for (size_t i = 0; i < n; i += used) {
		uint32_t c;

		if ((used = utf8_get(f->fold + i, n - i, &c)) == 0) {
			used = 1;
			c = ' ';
		}
		if (!is_word(c)) {
			word_end(f);
			continue;
		}
		if (f->word.n == WORD_MAX) {
			struct word half = { .n = 0 };

			for (size_t k = WORD_MAX / 2; k < WORD_MAX; k++)
				word_add(&half, f->word.c[k]);
			word_end(f);
			f->word = half;
		}
		word_add(&f->word, c);
	}
	for (size_t i = 0; i < f->n; i++)
		if (f->best[i] < SAME)
			return true;
	return false;
}

static void
restart(void *arg)
{
	word_end(arg);
}

static void
begin(struct imap_fuzzy *f)
{
	memset(f->best, 0, sizeof(f->best));
	f->word.n = 0;
	f->word.letters = 0;
}

/* Of three and more words one may be missing. */
static unsigned int
score(struct imap_fuzzy *f)
{
	unsigned int sum = 0, missing = 0;

	word_end(f);
	for (size_t i = 0; i < f->n; i++) {
		sum += f->best[i];
		missing += f->best[i] == 0;
	}
	if (missing > (f->n >= 3 ? 1u : 0u))
		return 0;
	return sum / (unsigned int)f->n;
}

unsigned int
imap_fuzzy_header(struct imap_fuzzy *f, const char *header, size_t len, const char *name)
{
	struct fts_sink sink = { restart, feed, f };

	if (f->n == 0)
		return header_count(header, len, name) > 0 ? SAME : 0;
	begin(f);
	if (fts_text_fields(&sink, header, len, name) && name != NULL &&
	    fts_text_is_address_field(name))
		(void)fts_text_addresses(&sink, header, len, name);
	return score(f);
}

unsigned int
imap_fuzzy_text(struct imap_fuzzy *f, const char *msg, size_t len,
    const struct mime_tree *tree, bool headers)
{
	struct fts_sink sink = { restart, feed, f };
	unsigned int in_header = 0, in_all;

	if (f->n == 0)
		return SAME;
	if (headers) {
		begin(f);
		(void)fts_text_fields(&sink, msg, header_section_len(msg, len), NULL);
		in_header = score(f);
		if (in_header == SAME)
			return SAME;
	}
	begin(f);
	(void)fts_text_message(&sink, msg, len, tree, headers);
	in_all = score(f) * BODY_PERCENT / 100;
	return in_all > in_header ? in_all : in_header;
}
