/* SPDX-License-Identifier: ISC */
/* Parser of route URLs; see routeurl.h. */
#include "common/proto/routeurl.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"

static const struct {
	const char *name;
	enum route_scheme scheme;
	uint16_t port;
} schemes[] = {
	{ "smtp://", ROUTE_SMTP, 25 },
	{ "smtp+tls://", ROUTE_SMTP_TLS, 25 },
	{ "smtps://", ROUTE_SMTPS, 465 },
	{ "lmtp://", ROUTE_LMTP, 24 },
};

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static int
percent_decode(const char *s, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			if (len - i < 3)
				return -1;
			if (hex_digit(s[i + 1]) == -1 || hex_digit(s[i + 2]) == -1)
				return -1;
			c = hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || n + 1 >= cap)
			return -1;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0 ? 0 : -1;
}

static int
host_valid(const char *host, int bracketed)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (bracketed)
		return inet_pton(AF_INET6, host, &a6) == 1;
	return inet_pton(AF_INET, host, &a4) == 1 ||
	       address_domain_valid_loose(host, strlen(host));
}

static int
parse_path(const char *path, struct routeurl *r, const char **why)
{
	*why = "expected an absolute path of at most 107 octets, without blanks, %, "
	       "// and ..";
	if (path[0] != '/' || path[1] == '\0' || strlen(path) >= sizeof(r->path) ||
	    strstr(path, "//") != NULL || strstr(path, "/../") != NULL)
		return -1;
	for (const char *p = path; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || *p == '%')
			return -1;
	strlcpy(r->path, path, sizeof(r->path));
	return 0;
}

int
routeurl_parse(const char *url, struct routeurl *r, const char **why)
{
	const char *p = NULL, *at, *end, *bad;
	int bracketed = 0;
	size_t len;

	memset(r, 0, sizeof(*r));
	r->scheme = strncmp(url, "lmtp", 4) == 0 ? ROUTE_LMTP : ROUTE_SMTP;
	if (strncmp(url, "lmtp+unix:", 10) == 0 || strncmp(url, "smtp+unix:", 10) == 0)
		return parse_path(url + 10, r, why);
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		len = strlen(schemes[i].name);
		if (strncmp(url, schemes[i].name, len) == 0) {
			r->scheme = schemes[i].scheme;
			r->port = schemes[i].port;
			p = url + len;
		}
	}
	*why = "expected smtp://, smtp+tls://, smtps://, lmtp://, lmtp+unix: or "
	       "smtp+unix:";
	if (p == NULL)
		return -1;
	len = strlen(p);
	if (len > 0 && p[len - 1] == '/')
		len--;
	end = p + len;
	if ((at = memchr(p, '@', len)) != NULL) {
		const char *colon = memchr(p, ':', (size_t)(at - p));

		*why = "expected user:secret-name before @";
		if (colon == NULL ||
		    percent_decode(p, (size_t)(colon - p), r->user, sizeof(r->user)) ==
			-1 ||
		    percent_decode(colon + 1, (size_t)(at - colon - 1), r->secret,
			sizeof(r->secret)) == -1)
			return -1;
		p = at + 1;
	}
	if (p < end && *p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));

		*why = "expected ] after an IPv6 address";
		if (close == NULL || (size_t)(close - p) >= sizeof(r->host))
			return -1;
		memcpy(r->host, p + 1, (size_t)(close - p - 1));
		p = close + 1;
		bracketed = 1;
	} else {
		const char *colon = memchr(p, ':', (size_t)(end - p));

		len = (size_t)((colon != NULL ? colon : end) - p);
		*why = "host name too long";
		if (len >= sizeof(r->host))
			return -1;
		memcpy(r->host, p, len);
		p += len;
	}
	*why = "expected a host name or an address";
	if (r->host[0] == '\0' || !host_valid(r->host, bracketed))
		return -1;
	if (p < end) {
		char number[8] = "";

		*why = "expected a port from 1 to 65535 after :";
		if (*p != ':' || (size_t)(end - p - 1) >= sizeof(number))
			return -1;
		memcpy(number, p + 1, (size_t)(end - p - 1));
		/* strtonum() would take a space or a sign. */
		if (strspn(number, "0123456789") != strlen(number))
			return -1;
		r->port = (uint16_t)strtonum(number, 1, 65535, &bad);
		if (bad != NULL)
			return -1;
	}
	return 0;
}
