/* SPDX-License-Identifier: ISC */
/* Counts shared by the processes of smtpd; see counts.h. */
#include "smtpd/counts.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/counts.h"
#include "common/log.h"

/* No process has more connections; a neighbour that says so is not believed. */
#define BELIEVED_MAX 65535

static const struct counts_page *others[COUNTS_PAGES_MAX];
static struct counts_page *own;
static uint64_t secret[2];
static int have_secret;

/* Ours, in memory of our own if fifed has given none. */
static struct counts_page *
own_page(void)
{
	if (own == NULL) {
		void *p = mmap(NULL, sizeof(*own), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANON, -1, 0);

		if (p == MAP_FAILED)
			return NULL;
		own = p;
	}
	return own;
}

void
counts_attach(uint32_t instance, int mine, int fd, const uint64_t given[2])
{
	struct stat st;
	void *p;

	if (instance >= COUNTS_PAGES_MAX ||
	    (mine ? own != NULL : others[instance] != NULL) || fstat(fd, &st) == -1 ||
	    st.st_size != (off_t)sizeof(struct counts_page)) {
		close(fd);
		return;
	}
	p = mmap(NULL, sizeof(struct counts_page),
	    mine ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		log_warn("counts of smtpd %u", instance);
		return;
	}
	memcpy(secret, given, sizeof(secret));
	have_secret = 1;
	if (mine)
		own = p;
	else
		others[instance] = p;
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void
sip_rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

/* SipHash-2-4 of up to 15 octets. */
static uint64_t
sip(const uint64_t key[2], const uint8_t *p, size_t len)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
	uint64_t words[2] = { 0, 0 };
	size_t n = len / 8 + 1;

	for (size_t i = 0; i < len; i++)
		words[i / 8] |= (uint64_t)p[i] << i % 8 * 8;
	words[n - 1] |= (uint64_t)len << 56;
	for (size_t i = 0; i < n; i++) {
		v[3] ^= words[i];
		sip_rounds(v, 2);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
counts_tag(enum counts_kind kind, const uint8_t key[COUNTS_KEY])
{
	uint8_t whole[COUNTS_KEY + 1];
	uint64_t tag;

	if (!have_secret) {
		arc4random_buf(secret, sizeof(secret));
		have_secret = 1;
	}
	whole[0] = (uint8_t)kind;
	memcpy(whole + 1, key, COUNTS_KEY);
	tag = sip(secret, whole, sizeof(whole));
	return tag == 0 ? 1 : tag;
}

/* ---- cells ---- */

/* 0 also when a writer is at it just now: the next look sees it. */
static uint64_t
look(const struct counts_cell *bucket, uint64_t tag)
{
	for (int i = 0; i < COUNTS_CELLS; i++) {
		uint64_t value;

		if (atomic_load(&bucket[i].tag) != tag)
			continue;
		value = atomic_load(&bucket[i].value);
		if (atomic_load(&bucket[i].tag) == tag)
			return value;
	}
	return 0;
}

/* Its cell in our page, or else a free one, or the one of the smallest value; NULL: none
 * of these, as full is set. */
static struct counts_cell *
place(struct counts_cell *bucket, uint64_t tag, int may_replace)
{
	struct counts_cell *best = NULL;

	for (int i = 0; i < COUNTS_CELLS; i++) {
		uint64_t there =
		    atomic_load_explicit(&bucket[i].tag, memory_order_relaxed);

		if (there == tag)
			return &bucket[i];
		if (there == 0 && (best == NULL || atomic_load_explicit(&best->tag,
						       memory_order_relaxed) != 0))
			best = &bucket[i];
		else if (may_replace && best == NULL)
			best = &bucket[i];
		else if (may_replace &&
			 atomic_load_explicit(&best->tag, memory_order_relaxed) != 0 &&
			 atomic_load_explicit(&bucket[i].value, memory_order_relaxed) <
			     atomic_load_explicit(&best->value, memory_order_relaxed))
			best = &bucket[i];
	}
	return best;
}

static void
put(struct counts_cell *bucket, uint64_t tag, uint64_t value, int may_replace)
{
	struct counts_cell *c = place(bucket, tag, may_replace);

	if (c == NULL)
		return;
	if (atomic_load_explicit(&c->tag, memory_order_relaxed) == tag) {
		if (value == 0)
			atomic_store(&c->tag, 0);
		atomic_store(&c->value, value);
	} else if (value != 0) {
		/* No reader may take the old value for the new tag's. */
		atomic_store(&c->tag, 0);
		atomic_store(&c->value, value);
		atomic_store(&c->tag, tag);
	}
}

uint64_t
counts_live_others(uint64_t tag)
{
	uint64_t n = 0;

	for (size_t i = 0; i < COUNTS_PAGES_MAX; i++) {
		uint64_t his;

		if (others[i] == NULL)
			continue;
		his = look(others[i]->live.cells[tag % COUNTS_LIVE_BUCKETS], tag);
		n += his > BELIEVED_MAX ? 0 : his;
	}
	return n;
}

void
counts_live_set(uint64_t tag, uint64_t n)
{
	struct counts_page *p = own_page();

	/* In a bucket that is full it is known to us alone. */
	if (p != NULL)
		put(p->live.cells[tag % COUNTS_LIVE_BUCKETS], tag, n, 0);
}

uint64_t
counts_total_others(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < COUNTS_PAGES_MAX; i++) {
		uint64_t his =
		    others[i] == NULL ? 0 : atomic_load(&others[i]->live.total);

		n += his > BELIEVED_MAX ? 0 : his;
	}
	return n;
}

void
counts_total_set(uint64_t n)
{
	struct counts_page *p = own_page();

	if (p != NULL)
		atomic_store(&p->live.total, n);
}

uint64_t
counts_latest(uint64_t tag, uint64_t max)
{
	size_t bucket = tag % COUNTS_RATE_BUCKETS;
	struct counts_page *p = own_page();
	uint64_t latest = 0;

	for (size_t i = 0; i <= COUNTS_PAGES_MAX; i++) {
		const struct counts_page *page = i < COUNTS_PAGES_MAX ? others[i] : p;
		uint64_t t = page == NULL ? 0 : look(page->rates[bucket], tag);

		if (t <= max && t > latest)
			latest = t;
	}
	return latest;
}

void
counts_latest_set(uint64_t tag, uint64_t t)
{
	struct counts_page *p = own_page();

	if (p != NULL)
		put(p->rates[tag % COUNTS_RATE_BUCKETS], tag, t, 1);
}
