/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_BYTES_H
#define FIFE_QUEUED_BYTES_H

/*
 * Reading and writing of little-endian fields with bounds. A writer whose p is
 * NULL only counts, so that the same code first measures and then writes.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes_out {
	uint8_t *p;
	size_t len;
	size_t cap;
	int bad; /* something did not fit */
};

struct bytes_in {
	const uint8_t *p;
	size_t len; /* what is left */
	int bad;
};

static inline void
bytes_put(struct bytes_out *o, const void *data, size_t len)
{
	if (o->p != NULL) {
		if (o->bad || len > o->cap - o->len) {
			o->bad = 1;
			return;
		}
		if (len > 0)
			memcpy(o->p + o->len, data, len);
	}
	o->len += len;
}

static inline void
bytes_put_int(struct bytes_out *o, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	bytes_put(o, b, width);
}

/* Length, octets, NUL; NULL is written as "". */
static inline void
bytes_put_str(struct bytes_out *o, const char *s)
{
	size_t len = s == NULL ? 0 : strlen(s);

	if (len > 0xffff)
		len = 0xffff;
	bytes_put_int(o, len, 2);
	bytes_put(o, s, len);
	bytes_put_int(o, 0, 1);
}

static inline const uint8_t *
bytes_get(struct bytes_in *in, size_t len)
{
	const uint8_t *p = in->p;

	if (in->bad || len > in->len) {
		in->bad = 1;
		return NULL;
	}
	in->p += len;
	in->len -= len;
	return p;
}

static inline uint64_t
bytes_get_int(struct bytes_in *in, size_t width)
{
	const uint8_t *p = bytes_get(in, width);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < width; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Borrowed, ends in NUL, holds no other; "" when bad. */
static inline const char *
bytes_get_str(struct bytes_in *in, size_t max)
{
	size_t len = (size_t)bytes_get_int(in, 2);
	const uint8_t *p;

	if (len > max)
		in->bad = 1;
	p = bytes_get(in, len + 1);
	if (p == NULL)
		return "";
	if (p[len] != '\0' || memchr(p, '\0', len) != NULL) {
		in->bad = 1;
		return "";
	}
	return (const char *)p;
}

#endif
