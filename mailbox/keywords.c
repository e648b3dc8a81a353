/* SPDX-License-Identifier: ISC */
/*
 * Sets of a folder's keywords. As long as all of a message's keywords are among the first
 * 63, its set is their bits. Otherwise it is a number: bit 63, the bits of the first 26
 * (the letters in file names, which other programs may change), and between them the
 * number of a list of the rest, which the folder keeps once for all messages that have
 * it. The same set always has the same value.
 */
#include <errno.h>

#include "common/log.h"
#include "common/proto/encoding.h"
#include "mailbox/store_int.h"

#define LETTERS 26
#define LETTER_BITS ((UINT64_C(1) << LETTERS) - 1)
#define BY_NUMBER (UINT64_C(1) << 63)
#define PLAIN_MAX 63 /* keywords below this can be bits */

/* ---- names ---- */

int
folder_keyword_push(struct folder *f, const char *name)
{
	char *copy;

	if (f->n_keywords == STORE_KEYWORDS_MAX)
		return -1;
	if (f->n_keywords == f->keywords_cap) {
		int cap = f->keywords_cap == 0 ? 16 : f->keywords_cap * 2;
		char **p = reallocarray(f->keywords, (size_t)cap, sizeof(*p));

		if (p == NULL)
			return -1;
		f->keywords = p;
		f->keywords_cap = cap;
	}
	if ((copy = strdup(name)) == NULL)
		return -1;
	f->keywords[f->n_keywords++] = copy;
	return 0;
}

int
folder_keyword_find(struct folder *f, const char *name, size_t len, int create)
{
	struct log_record r;
	char *copy;
	int rv;

	for (int i = 0; i < f->n_keywords; i++)
		if (ascii_equal(name, len, f->keywords[i]))
			return i;
	if (!create || f->n_keywords == STORE_KEYWORDS_MAX || len == 0 ||
	    len > STORE_KEYWORD_LEN_MAX || memchr(name, '\n', len) != NULL)
		return -1;
	if ((copy = strndup(name, len)) == NULL)
		return -1;
	log_begin(&r, LOG_KEYWORD, f);
	log_bytes(&r, name, len);
	rv = log_write(f->store, &r) == STORE_OK ? folder_keyword_push(f, copy) : -1;
	free(copy);
	if (rv == -1)
		return -1;
	f->dirty = true;
	/* Another program may use a letter at once; others are written together, before a
	 * message has them: folder_reserve(). */
	if (f->n_keywords <= LETTERS)
		(void)folder_meta_save(f, 0);
	else
		f->meta_missing = true;
	return f->n_keywords - 1;
}

const char *
folder_keyword(const struct folder *f, int i)
{
	return i >= 0 && i < f->n_keywords ? f->keywords[i] : NULL;
}

/* ---- lists ---- */

void
keyword_lists_clear(struct folder *f)
{
	map_clear(&f->lists);
	map_clear(&f->list_numbers);
	f->list_octets = 0;
	f->next_list = 0;
}

static uint64_t
hash(const uint16_t *v, size_t n)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < n; i++)
		h = (h ^ v[i]) * UINT64_C(1099511628211);
	return h == 0 ? 1 : h;
}

/* Its number, or 0; *place is where it would be noted. */
static uint32_t
list_find(const struct folder *f, const uint16_t *v, size_t n, uint64_t *place)
{
	const struct map_slot *at, *list;
	uint64_t h = hash(v, n);

	for (; (at = map_get(&f->list_numbers, h)) != NULL && at->value != NULL;
	     h = h == UINT64_MAX ? 1 : h + 1) {
		uint32_t number;

		memcpy(&number, at->value, sizeof(number));
		list = map_get(&f->lists, number);
		if (list != NULL && list->value != NULL && list->len == n * sizeof(*v) &&
		    memcmp(list->value, v, list->len) == 0)
			return number;
	}
	*place = h;
	return 0;
}

int
keyword_list_put(struct folder *f, uint32_t number, const uint16_t *v, size_t n)
{
	uint32_t *copy, other;
	uint16_t *list;
	uint64_t place;

	for (size_t i = 0; i < n; i++)
		if (v[i] < LETTERS || v[i] >= STORE_KEYWORDS_MAX ||
		    (i > 0 && v[i] <= v[i - 1]))
			return -1;
	if (n == 0 || number == 0)
		return -1;
	if ((other = list_find(f, v, n, &place)) == number)
		return 0;
	/* It was swept before it came again: nothing refers to its number of then. */
	if (other != 0) {
		map_remove(&f->lists, other);
		f->list_octets -= n * sizeof(*v);
		(void)list_find(f, v, n, &place);
	}
	if (f->list_octets + n * sizeof(*v) > KEYWORD_LISTS_OCTETS ||
	    f->lists.n >= KEYWORD_LISTS_MAX)
		return -1;
	copy = malloc(sizeof(*copy));
	list = reallocarray(NULL, n, sizeof(*list));
	if (copy == NULL || list == NULL) {
		free(copy);
		free(list);
		return -1;
	}
	*copy = number;
	memcpy(list, v, n * sizeof(*list));
	if (map_put(&f->lists, number, list, n * sizeof(*list)) == -1) {
		free(copy);
		return -1;
	}
	if (map_put(&f->list_numbers, place, copy, sizeof(*copy)) == -1) {
		map_remove(&f->lists, number);
		return -1;
	}
	f->list_octets += n * sizeof(*list);
	if (number > f->next_list)
		f->next_list = number;
	return 0;
}

/* Its number, new if need be. 0: no room. */
static uint32_t
list_number(struct folder *f, const uint16_t *v, size_t n, bool logged)
{
	struct log_record r;
	uint64_t place;
	uint32_t number = list_find(f, v, n, &place);

	if (number != 0 || f->next_list == UINT32_MAX)
		return number;
	if (keyword_list_put(f, number = f->next_list + 1, v, n) == -1)
		return 0;
	f->dirty = true;
	if (!logged)
		return number;
	log_begin(&r, LOG_KEYWORDS, f);
	log_u32(&r, number);
	for (size_t i = 0; i < n; i++) {
		log_u8(&r, (uint8_t)v[i]);
		log_u8(&r, (uint8_t)(v[i] >> 8));
	}
	/* What is not in the log must not be in a message. */
	if (log_write(f->store, &r) == STORE_OK)
		return number;
	f->list_octets -= n * sizeof(*v);
	map_remove(&f->lists, number);
	return 0;
}

/* The keywords of a set that are no letters, ascending. */
static size_t
expand(const struct folder *f, uint64_t set, uint16_t out[STORE_KEYWORDS_MAX])
{
	const struct map_slot *list;
	size_t n = 0;

	if (set & BY_NUMBER) {
		list = map_get(&f->lists, set >> LETTERS & UINT32_MAX);
		if (list == NULL || list->value == NULL)
			return 0;
		memcpy(out, list->value, list->len);
		return list->len / sizeof(*out);
	}
	for (uint16_t i = LETTERS; i < PLAIN_MAX; i++)
		if (set >> i & 1)
			out[n++] = i;
	return n;
}

static int
collapse(struct folder *f, uint64_t letters, const uint16_t *v, size_t n, bool logged,
    uint64_t *set)
{
	uint32_t number;

	*set = letters & LETTER_BITS;
	if (n == 0 || v[n - 1] < PLAIN_MAX) {
		for (size_t i = 0; i < n; i++)
			*set |= UINT64_C(1) << v[i];
		return 0;
	}
	if ((number = list_number(f, v, n, logged)) == 0)
		return -1;
	*set |= BY_NUMBER | (uint64_t)number << LETTERS;
	return 0;
}

uint64_t
keywords_of_old(struct folder *f, uint64_t bits)
{
	uint16_t v[64];
	uint64_t set;
	size_t n = 0;

	if ((bits & BY_NUMBER) == 0)
		return bits;
	for (uint16_t i = LETTERS; i < 64; i++)
		if (bits >> i & 1)
			v[n++] = i;
	return collapse(f, bits, v, n, false, &set) == 0 ? set : bits & ~BY_NUMBER;
}

/* Lists that no message has are left from changes of changes. */
void
keyword_lists_sweep(struct folder *f)
{
	struct folder kept = { .lists = { 0 } };
	const struct map_slot *list;

	if (f->lists.n == 0)
		return;
	folder_read_all(f);
	for (size_t i = 0; i < f->n; i++) {
		uint32_t number = (uint32_t)(f->msgs[i].keywords >> LETTERS);

		if ((f->msgs[i].keywords & BY_NUMBER) == 0 ||
		    ((list = map_get(&kept.lists, number)) != NULL &&
			list->value != NULL) ||
		    (list = map_get(&f->lists, number)) == NULL || list->value == NULL)
			continue;
		if (keyword_list_put(
			&kept, number, list->value, list->len / sizeof(uint16_t)) == -1) {
			keyword_lists_clear(&kept);
			return;
		}
	}
	kept.next_list = f->next_list;
	f->dirty |= kept.lists.n != f->lists.n;
	keyword_lists_clear(f);
	f->lists = kept.lists;
	f->list_numbers = kept.list_numbers;
	f->list_octets = kept.list_octets;
	f->next_list = kept.next_list;
}

/* ---- sets ---- */

int
folder_keywords_next(const struct folder *f, uint64_t set, int after)
{
	const struct map_slot *list;
	const uint16_t *v;
	size_t lo = 0, hi, n;
	int end = set & BY_NUMBER ? LETTERS : PLAIN_MAX;

	for (int i = after + 1; i < end; i++)
		if (set >> i & 1)
			return i;
	if ((set & BY_NUMBER) == 0 ||
	    (list = map_get(&f->lists, set >> LETTERS & UINT32_MAX)) == NULL ||
	    list->value == NULL)
		return -1;
	v = list->value;
	hi = n = list->len / sizeof(*v);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid] <= after)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n ? v[lo] : -1;
}

bool
folder_keywords_has(const struct folder *f, uint64_t set, int k)
{
	if (k < 0)
		return false;
	if (k < LETTERS || (set & BY_NUMBER) == 0)
		return k < PLAIN_MAX && (set >> k & 1) != 0;
	return folder_keywords_next(f, set, k - 1) == k;
}

static int
compare(const void *a, const void *b)
{
	const uint16_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
folder_keywords_make(struct folder *f, const uint16_t *v, size_t n, uint64_t *set)
{
	uint16_t *list = reallocarray(NULL, n + 1, sizeof(*list));
	uint64_t letters = 0;
	size_t k = 0, out = 0;
	int rv;

	if (list == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (v[i] < LETTERS)
			letters |= UINT64_C(1) << v[i];
		else
			list[k++] = v[i];
	qsort(list, k, sizeof(*list), compare);
	for (size_t i = 0; i < k; i++)
		if (out == 0 || list[out - 1] != list[i])
			list[out++] = list[i];
	rv = collapse(f, letters, list, out, true, set);
	free(list);
	return rv;
}

int
folder_keywords_add(struct folder *f, uint64_t *set, int k)
{
	uint16_t v[STORE_KEYWORDS_MAX];
	size_t n, at;

	if (k < LETTERS || ((*set & BY_NUMBER) == 0 && k < PLAIN_MAX)) {
		*set |= UINT64_C(1) << k;
		return 0;
	}
	n = expand(f, *set, v);
	for (at = n; at > 0 && v[at - 1] >= k; at--)
		;
	if (at < n && v[at] == k)
		return 0;
	if (n == STORE_KEYWORDS_MAX)
		return -1;
	memmove(v + at + 1, v + at, (n - at) * sizeof(*v));
	v[at] = (uint16_t)k;
	return collapse(f, *set, v, n + 1, true, set);
}

int
folder_keywords_merge(
    struct folder *f, uint64_t a, uint64_t b, bool remove, uint64_t *set)
{
	uint16_t va[STORE_KEYWORDS_MAX], vb[STORE_KEYWORDS_MAX];
	uint16_t out[STORE_KEYWORDS_MAX];
	size_t na, nb, n = 0, i = 0, j = 0;
	uint64_t letters = remove ? a & ~b : a | b;

	if (((a | b) & BY_NUMBER) == 0 || b == 0) {
		*set = b == 0 ? a : letters;
		return 0;
	}
	na = expand(f, a, va);
	nb = expand(f, b, vb);
	while (i < na || j < nb) {
		bool in_a = i < na && (j == nb || va[i] <= vb[j]);
		bool in_b = j < nb && (i == na || vb[j] <= va[i]);

		if (remove ? in_a && !in_b : in_a || in_b)
			out[n++] = in_a ? va[i] : vb[j];
		i += in_a;
		j += in_b;
	}
	return collapse(f, letters, out, n, true, set);
}
