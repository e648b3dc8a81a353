/* SPDX-License-Identifier: ISC */
/* IMAP URLs without a server; see imap_url.h. */
#include "mailbox/imap_url.h"

#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

/* Undoes %XX; -1: malformed, a NUL, no room. */
static int
decode(const char *in, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (c == '%') {
			if (len - i < 3 || hex_decode(in + i + 1, 2, &c, 1) != 1)
				return -1;
			i += 2;
		}
		if (c == '\0' || n + 1 >= cap)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return (int)n;
}

/* The value of ";NAME=" at the start, up to the next "/" or ";" or the end. */
static bool
value_of(const char **s, size_t *len, const char *name, const char **v, size_t *n)
{
	size_t k = strlen(name), i;

	if (*len < k || !ascii_equal(*s, k, name))
		return false;
	for (i = k; i < *len && (*s)[i] != '/' && (*s)[i] != ';'; i++)
		;
	*v = *s + k;
	*n = i - k;
	*s += i;
	*len -= i;
	return true;
}

static int
number(const char *s, size_t len, uint32_t *out)
{
	uint64_t v = 0;

	if (len == 0 || len > 10)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (v > UINT32_MAX)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int
partial(const char *v, size_t n, struct imap_url *u)
{
	const char *dot = memchr(v, '.', n);
	size_t first = dot == NULL ? n : (size_t)(dot - v);

	u->has_partial = true;
	if (number(v, first, &u->offset) == -1)
		return -1;
	if (dot == NULL)
		return 0;
	if (number(dot + 1, n - first - 1, &u->count) == -1 || u->count == 0)
		return -1;
	return 0;
}

static void
slash(const char **s, size_t *len)
{
	if (*len > 0 && **s == '/') {
		(*s)++;
		(*len)--;
	}
}

/* The end of the mailbox: "/;UID=" or ";UIDVALIDITY=". */
static size_t
mailbox_len(const char *s, size_t len)
{
	static const char validity[] = ";UIDVALIDITY=", uid[] = "/;UID=";

	for (size_t i = 0; i < len; i++)
		if ((len - i >= sizeof(validity) - 1 &&
			ascii_equal(s + i, sizeof(validity) - 1, validity)) ||
		    (len - i >= sizeof(uid) - 1 &&
			ascii_equal(s + i, sizeof(uid) - 1, uid)))
			return i;
	return len;
}

int
imap_url_parse(const char *s, size_t len, struct imap_url *u)
{
	const char *v;
	size_t n;
	int r;

	memset(u, 0, sizeof(*u));
	if (len > 0 && *s == '/') {
		s++;
		len--;
		n = mailbox_len(s, len);
		u->has_mailbox = true;
		r = decode(s, n, u->mailbox, sizeof(u->mailbox));
		if (r <= 0 || !utf8_valid(u->mailbox, (size_t)r))
			return -1;
		s += n;
		len -= n;
		if (value_of(&s, &len, ";UIDVALIDITY=", &v, &n) &&
		    (number(v, n, &u->uidvalidity) == -1 || u->uidvalidity == 0))
			return -1;
		slash(&s, &len);
	}
	if (!value_of(&s, &len, ";UID=", &v, &n) || number(v, n, &u->uid) == -1 ||
	    u->uid == 0)
		return -1;
	slash(&s, &len);
	if (value_of(&s, &len, ";SECTION=", &v, &n)) {
		if (decode(v, n, u->section, sizeof(u->section)) == -1)
			return -1;
		slash(&s, &len);
	}
	if (value_of(&s, &len, ";PARTIAL=", &v, &n) && partial(v, n, u) == -1)
		return -1;
	return len == 0 ? 0 : -1;
}
