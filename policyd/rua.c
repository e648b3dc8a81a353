/* SPDX-License-Identifier: ISC */
/* The record of _smtp._tls; see rua.h. */
#include "policyd/rua.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/encoding.h"

/* 0, or -1: no room, a broken escape, a control or beyond ASCII. */
static int
unescape(const char *p, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '%') {
			if (len - i < 3 || hex_decode(p + i + 1, 2, &c, 1) != 1)
				return -1;
			i += 2;
		}
		if (c <= ' ' || c > '~' || n + 1 >= cap)
			return -1;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

/* RFC 6068: the address, without what may follow it. */
static int
take_mailto(const char *p, size_t len, struct rua *r)
{
	const char *q = memchr(p, '?', len);
	struct address a;

	if (q != NULL)
		len = (size_t)(q - p);
	if (unescape(p, len, r->address, sizeof(r->address)) == -1 ||
	    address_parse(r->address, strlen(r->address), &a) == -1 ||
	    strpbrk(r->address, "<>\",") != NULL)
		return -1;
	r->scheme = RUA_MAILTO;
	return 0;
}

static int
take_https(const char *p, size_t len, struct rua *r)
{
	size_t n = 0, rest;

	while (n < len && p[n] != '/' && p[n] != '?' && p[n] != '#')
		n++;
	rest = len - n;
	if (n > 4 && memcmp(p + n - 4, ":443", 4) == 0)
		len = n - 4;
	else
		len = n;
	if (len == 0 || len >= sizeof(r->host) || !address_domain_valid_loose(p, len))
		return -1;
	memcpy(r->host, p, len);
	r->host[len] = '\0';
	p += n;
	for (n = 0; n < rest && p[n] != '#'; n++)
		if (p[n] <= ' ' || p[n] > '~')
			return -1;
	if (n + 2 > sizeof(r->path))
		return -1;
	r->path[0] = '/';
	len = n > 0 && p[0] == '/' ? 0 : 1;
	memcpy(r->path + len, p, n);
	r->path[len + n] = '\0';
	r->scheme = RUA_HTTPS;
	return 0;
}

static int
take_uri(const char *p, size_t len, struct rua *r)
{
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	memset(r, 0, sizeof(*r));
	if (len > 7 && strncasecmp(p, "mailto:", 7) == 0)
		return take_mailto(p + 7, len - 7, r);
	if (len > 8 && strncasecmp(p, "https://", 8) == 0)
		return take_https(p + 8, len - 8, r);
	return -1;
}

int
rua_parse(const uint8_t *txt, size_t txt_len, struct rua out[RUA_MAX])
{
	static const char version[] = "v=TLSRPTv1";
	const char *p = (const char *)txt, *end = p + txt_len;
	int n = 0, seen = 0;

	if (txt_len < sizeof(version) - 1 || memcmp(p, version, sizeof(version) - 1) != 0)
		return -1;
	p += sizeof(version) - 1;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p != ';')
		return -1;
	while (p < end) {
		const char *stop;

		for (p++; p < end && (*p == ' ' || *p == '\t');)
			p++;
		if ((stop = memchr(p, ';', (size_t)(end - p))) == NULL)
			stop = end;
		if (stop - p >= 4 && memcmp(p, "rua=", 4) == 0 && !seen++) {
			for (p += 4; p < stop && n < RUA_MAX; p++) {
				const char *comma = memchr(p, ',', (size_t)(stop - p));

				if (comma == NULL)
					comma = stop;
				if (take_uri(p, (size_t)(comma - p), &out[n]) == 0)
					n++;
				p = comma;
			}
		}
		p = stop;
	}
	return n;
}
