/* SPDX-License-Identifier: ISC */
/*
 * What is learnt of a message when it comes in, while its octets are at hand: cached
 *values that the first FETCH would have to open the file for. They stand in the log
 *beside the message and are no reason for a checkpoint.
 *
 *	record	kind (1), length (2, little-endian), octets
 */
#include <stdlib.h>

#include "mailbox/store_int.h"

#define MESSAGE_MAX (1024 * 1024) /* a larger one is read when it is asked for */
#define VALUE_MAX 8192

static store_learn_fn learn;

void
store_set_learn(store_learn_fn fn)
{
	learn = fn;
}

static void
put(void *arg, int kind, const uint8_t *data, size_t len)
{
	struct learnt *l = arg;
	size_t want = l->len + 3 + len;
	uint8_t *p;

	if (len == 0 || len > VALUE_MAX || kind <= 0 || kind >= CACHE_KINDS)
		return;
	if (want > l->cap) {
		if ((p = realloc(l->buf, want + 1024)) == NULL)
			return;
		l->buf = p;
		l->cap = want + 1024;
	}
	p = l->buf + l->len;
	p[0] = (uint8_t)kind;
	p[1] = (uint8_t)len;
	p[2] = (uint8_t)(len >> 8);
	memcpy(p + 3, data, len);
	l->len = want;
}

void
learn_octets(struct learnt *l, const uint8_t *msg, size_t len)
{
	if (learn != NULL && len > 0 && len <= MESSAGE_MAX)
		learn(msg, len, put, l);
}

void
learn_file(struct learnt *l, int fd, uint64_t size)
{
	uint8_t *msg;

	if (learn == NULL || size == 0 || size > MESSAGE_MAX ||
	    (msg = malloc((size_t)size)) == NULL)
		return;
	if (pread(fd, msg, (size_t)size, 0) == (ssize_t)size)
		learn_octets(l, msg, (size_t)size);
	free(msg);
}

void
learn_copy(struct learnt *l, struct folder *from, uint32_t uid)
{
	const uint8_t *data;
	size_t len;

	/* Those that say nothing about where the message lies. */
	for (int kind = 1; learn != NULL && kind < CACHE_KINDS; kind++)
		if (index_cache(from, uid, kind, &data, &len) == 0)
			put(l, kind, data, len);
}

void
learnt_clear(struct learnt *l)
{
	free(l->buf);
	*l = (struct learnt){ 0 };
}

int
folder_learn(struct folder *f, uint32_t uid, const uint8_t *p, size_t len)
{
	while (len > 0) {
		size_t n;
		uint8_t *copy;

		if (len < 3)
			return -1;
		n = (size_t)p[1] | (size_t)p[2] << 8;
		if (p[0] == 0 || p[0] >= CACHE_KINDS || n == 0 || n > len - 3)
			return -1;
		/* Without memory it is only not known. */
		if ((copy = malloc(n)) != NULL) {
			memcpy(copy, p + 3, n);
			(void)map_put(&f->cache, (uint64_t)uid << 8 | p[0], copy, n);
		}
		p += 3 + n;
		len -= 3 + n;
	}
	return 0;
}
