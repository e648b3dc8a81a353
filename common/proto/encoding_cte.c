/* SPDX-License-Identifier: ISC */
/*
 * Content-Transfer-Encodings (RFC 2045, 6) undone in a stream, tolerantly: whatever a
 * message says there is an answer, and it does not depend on how the input was cut.
 */
#include <string.h>

#include "common/proto/encoding.h"

/* What one octet of input can write at most: all that is held and itself. */
#define ROOM_MIN 264

enum {
	UU_BEFORE,
	UU_DATA,
	UU_AFTER
};

enum cte
cte_by_name(const char *name, size_t len)
{
	static const struct {
		const char *name;
		enum cte cte;
	} names[] = {
		{ "7bit", CTE_7BIT },
		{ "8bit", CTE_8BIT },
		{ "binary", CTE_BINARY },
		{ "base64", CTE_BASE64 },
		{ "quoted-printable", CTE_QP },
		{ "x-uuencode", CTE_UUENCODE },
		{ "x-uue", CTE_UUENCODE },
		{ "uuencode", CTE_UUENCODE },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (ascii_equal(name, len, names[i].name))
			return names[i].cte;
	}
	return CTE_UNKNOWN;
}

void
cte_init(struct cte_decoder *d, enum cte cte)
{
	memset(d, 0, sizeof(*d));
	d->cte = cte;
}

/* 0-63, 64 white space, 65 padding, 66 anything else. */
static const unsigned char *
base64_table(void)
{
	static unsigned char table[256];
	static bool made;

	if (!made) {
		memset(table, 66, sizeof(table));
		for (int i = 0; i < 26; i++) {
			table['A' + i] = (unsigned char)i;
			table['a' + i] = (unsigned char)(26 + i);
		}
		for (int i = 0; i < 10; i++)
			table['0' + i] = (unsigned char)(52 + i);
		table['+'] = 62;
		table['/'] = 63;
		table['\r'] = table['\n'] = table[' '] = table['\t'] = 64;
		table['='] = 65;
		made = true;
	}
	return table;
}

static size_t
base64_feed(struct cte_decoder *d, const char *in, size_t len, char *out, size_t cap,
    size_t *made)
{
	const unsigned char *table = base64_table();
	size_t i, n = 0;

	for (i = 0; i < len && n < cap; i++) {
		unsigned int v = table[(unsigned char)in[i]];

		if (v < 64) {
			d->bits = (d->bits << 6 | v) & 0xffff;
			if ((d->nbits += 6) >= 8) {
				d->nbits -= 8;
				out[n++] = (char)(d->bits >> d->nbits & 0xff);
			}
		} else if (v == 65)
			d->nbits = 0;
		else if (v == 66)
			d->malformed = true;
	}
	*made = n;
	return i;
}

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t
flush_held(struct cte_decoder *d, char *out)
{
	size_t n = d->nheld;

	memcpy(out, d->held, n);
	d->nheld = 0;
	return n;
}

/* c follows "=..." in held.  *taken is false when c is to be looked at anew. */
static size_t
qp_escape(struct cte_decoder *d, int c, char *out, bool *taken)
{
	bool blank = c == ' ' || c == '\t';

	*taken = true;
	if (d->nheld == 1 ? hex_digit(c) != -1 || c == '\r' || blank
			  : blank && d->held[1] != '\r' && hex_digit(d->held[1]) == -1 &&
				d->nheld < sizeof(d->held)) {
		d->held[d->nheld++] = (char)c;
		return 0;
	}
	if (d->nheld > 1 && hex_digit(d->held[1]) != -1) {
		if (hex_digit(c) != -1) {
			out[0] = (char)(hex_digit(d->held[1]) << 4 | hex_digit(c));
			d->nheld = 0;
			return 1;
		}
	} else if (c == '\n') {
		d->nheld = 0;
		return 0;
	} else if (d->nheld > 1 && d->held[1] == '\r') {
		d->nheld = 0;
		*taken = false;
		return 0;
	} else if (c == '\r') {
		/* "=", white space, CR: a soft break all the same. */
		d->held[1] = '\r';
		d->nheld = 2;
		return 0;
	}
	d->malformed = true;
	*taken = false;
	return flush_held(d, out);
}

static size_t
qp_octet(struct cte_decoder *d, int c, char *out)
{
	size_t n = 0;
	bool taken;

	if (d->nheld > 0 && d->held[0] == '=') {
		n = qp_escape(d, c, out, &taken);
		if (taken)
			return n;
	} else if (d->nheld > 0) {
		if ((c == ' ' || c == '\t') && d->nheld < sizeof(d->held)) {
			d->held[d->nheld++] = (char)c;
			return 0;
		}
		if (c == '\r' || c == '\n')
			d->nheld = 0;
		else
			n = flush_held(d, out);
	}
	if (c == '=' || c == ' ' || c == '\t')
		d->held[d->nheld++] = (char)c;
	else
		out[n++] = (char)c;
	return n;
}

static size_t
uu_line(struct cte_decoder *d, char *out)
{
	const char *p = d->held;
	size_t len = d->nheld, n = 0, want;
	unsigned int v[4];

	d->nheld = 0;
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if (d->uu_state == UU_BEFORE) {
		if (len > 6 && memcmp(p, "begin ", 6) == 0)
			d->uu_state = UU_DATA;
		return 0;
	}
	if (d->uu_state == UU_AFTER || len == 0)
		return 0;
	if (len == 3 && memcmp(p, "end", 3) == 0) {
		d->uu_state = UU_AFTER;
		return 0;
	}
	want = ((unsigned char)p[0] - 32U) & 63;
	for (size_t i = 1; n < want; i += 4) {
		for (size_t j = 0; j < 4; j++)
			v[j] = i + j < len ? ((unsigned char)p[i + j] - 32U) & 63 : 0;
		if (i >= len) {
			d->malformed = true;
			break;
		}
		out[n++] = (char)(v[0] << 2 | v[1] >> 4);
		if (n < want)
			out[n++] = (char)(v[1] << 4 | v[2] >> 2);
		if (n < want)
			out[n++] = (char)(v[2] << 6 | v[3]);
	}
	return n;
}

static size_t
uu_octet(struct cte_decoder *d, int c, char *out)
{
	if (c != '\n') {
		if (d->nheld < sizeof(d->held))
			d->held[d->nheld++] = (char)c;
		else
			d->uu_long = true;
		return 0;
	}
	if (d->uu_long) {
		d->malformed = true;
		d->uu_long = false;
		d->nheld = 0;
		return 0;
	}
	return uu_line(d, out);
}

void
cte_feed(struct cte_decoder *d, const char *in, size_t len, char *out, size_t cap,
    size_t *used, size_t *made)
{
	size_t i, n = 0;

	switch (d->cte) {
	case CTE_BASE64:
		*used = base64_feed(d, in, len, out, cap, made);
		return;
	case CTE_QP:
		for (i = 0; i < len && cap - n >= ROOM_MIN; i++)
			n += qp_octet(d, (unsigned char)in[i], out + n);
		break;
	case CTE_UUENCODE:
		for (i = 0; i < len && cap - n >= ROOM_MIN; i++)
			n += uu_octet(d, (unsigned char)in[i], out + n);
		break;
	default:
		i = n = len < cap ? len : cap;
		if (n > 0)
			memcpy(out, in, n);
		break;
	}
	*used = i;
	*made = n;
}

size_t
cte_finish(struct cte_decoder *d, char *out, size_t cap)
{
	size_t n = 0;

	if (cap < ROOM_MIN || d->nheld == 0)
		return 0;
	if (d->cte == CTE_UUENCODE && !d->uu_long)
		n = uu_line(d, out);
	else if (d->cte == CTE_QP && d->held[0] == '=' && d->nheld > 1 &&
		 hex_digit(d->held[1]) != -1) {
		d->malformed = true;
		n = flush_held(d, out);
	}
	/* What else is held is white space at a line's end or a soft break: dropped. */
	d->nheld = 0;
	return n;
}
