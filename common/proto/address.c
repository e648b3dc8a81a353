/* SPDX-License-Identifier: ISC */
/*
 * Mailboxes and paths of RFC 5321, 4.1.2, read strictly: what SMTP clients and
 * administrators type becomes a struct address or is refused.  Header fields have a
 * tolerant reader of their own (addrlist.c).
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>

#include "common/proto/address.h"
#include "common/proto/encoding.h"

struct cursor {
	const char *s;
	size_t len, pos;
};

static int
peek(const struct cursor *c)
{
	return c->pos < c->len ? (unsigned char)c->s[c->pos] : -1;
}

static bool
is_alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_atext(int c)
{
	return is_alnum(c) || c >= 0x80 ||
	       (c > 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Dot-string: no empty atom, hence no dot first, last or twice. */
static bool
is_dot_string(const char *s)
{
	int prev = '.', c;

	for (; (c = (unsigned char)*s) != '\0'; s++) {
		if (c == '.' ? prev == '.' : !is_atext(c))
			return false;
		prev = c;
	}
	return prev != '.';
}

static int
parse_quoted(struct cursor *c, char *out, size_t *n)
{
	int ch;

	for (c->pos++; (ch = peek(c)) != '"'; c->pos++) {
		if (ch == '\\') {
			c->pos++;
			ch = peek(c);
			if (ch > 0x7e)
				return -1;
		}
		if (ch < 0x20 || ch == 0x7f || *n >= ADDRESS_LOCAL_MAX)
			return -1;
		out[(*n)++] = (char)ch;
	}
	c->pos++;
	return 0;
}

/*
 * An empty quoted string is legal but refused: its lookup key would be that of a
 * domain's catch-all.
 */
static int
parse_local(struct cursor *c, unsigned int flags, struct address *out)
{
	size_t n = 0;
	int ch;

	if (peek(c) == '"') {
		if (parse_quoted(c, out->local, &n) == -1)
			return -1;
		out->local[n] = '\0';
	} else {
		for (; is_atext(ch = peek(c)) || ch == '.'; c->pos++) {
			if (n >= ADDRESS_LOCAL_MAX)
				return -1;
			out->local[n++] = (char)ch;
		}
		out->local[n] = '\0';
		if (!is_dot_string(out->local))
			return -1;
	}
	if (n == 0 || !utf8_valid(out->local, n))
		return -1;
	if (flags & ADDRESS_ASCII) {
		for (size_t i = 0; i < n; i++) {
			if ((unsigned char)out->local[i] >= 0x80)
				return -1;
		}
	}
	return 0;
}

static int
parse_domain(struct cursor *c, unsigned int flags, char out[ADDRESS_DOMAIN_MAX + 1])
{
	char ascii[ADDRESS_DOMAIN_MAX + 1];
	unsigned char ip[16];
	bool utf8 = false;
	size_t n = 0;
	int ch, family;

	if (peek(c) == '[') {
		do {
			ch = peek(c);
			if (ch < 0x21 || ch > 0x7e || n >= ADDRESS_DOMAIN_MAX)
				return -1;
			out[n++] = (char)ch;
			c->pos++;
		} while (ch != ']');
		out[n] = '\0';
		return address_literal_ip(out, &family, ip);
	}
	for (; is_alnum(ch = peek(c)) || ch == '-' || ch == '.' || ch >= 0x80; c->pos++) {
		if (n >= ADDRESS_DOMAIN_MAX)
			return -1;
		if (ch >= 0x80)
			utf8 = true;
		out[n++] = (char)ch;
	}
	out[n] = '\0';
	if (!utf8)
		return address_domain_valid(out, n) ? 0 : -1;
	if ((flags & ADDRESS_ASCII) || out[n - 1] == '.')
		return -1;
	return address_domain_ascii(out, ascii, sizeof(ascii)) == -1 ? -1 : 0;
}

/* The printed form and the lookup key both have to fit ADDRESS_MAX. */
static bool
fits(const struct address *a)
{
	char buf[ADDRESS_MAX + 1];

	return address_format(a, buf, sizeof(buf)) != -1 &&
	       (address_is_ascii(a) || address_fold_key(a, buf, sizeof(buf)) != -1);
}

static int
parse_mailbox(struct cursor *c, unsigned int flags, struct address *out)
{
	out->domain[0] = '\0';
	if (parse_local(c, flags, out) == -1)
		return -1;
	if (peek(c) != '@') {
		if (flags & ADDRESS_NO_DOMAIN)
			return fits(out) ? 0 : -1;
		if ((flags & ADDRESS_POSTMASTER) &&
		    ascii_equal(out->local, strlen(out->local), "postmaster"))
			return 0;
		return -1;
	}
	c->pos++;
	if (parse_domain(c, flags, out->domain) == -1)
		return -1;
	return fits(out) ? 0 : -1;
}

int
address_parse_flags(const char *s, size_t len, unsigned int flags, struct address *out)
{
	struct cursor c = { s, len, 0 };

	if (parse_mailbox(&c, flags & ~(unsigned int)ADDRESS_NULL, out) == -1 ||
	    c.pos != len) {
		memset(out, 0, sizeof(*out));
		return -1;
	}
	return 0;
}

int
address_parse(const char *s, size_t len, struct address *out)
{
	return address_parse_flags(s, len, 0, out);
}

/* @a,@b: before the mailbox; accepted and ignored (RFC 5321, appendix C). */
static int
skip_route(struct cursor *c, unsigned int flags)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];

	while (peek(c) == '@') {
		c->pos++;
		if (parse_domain(c, flags, domain) == -1)
			return -1;
		if (peek(c) == ':') {
			c->pos++;
			return 0;
		}
		if (peek(c) != ',')
			return -1;
		c->pos++;
	}
	return -1;
}

int
path_parse(
    const char *s, size_t len, unsigned int flags, struct address *out, size_t *used)
{
	struct cursor c = { s, len, 0 };

	memset(out, 0, sizeof(*out));
	*used = 0;
	if (peek(&c) != '<')
		return -1;
	c.pos++;
	if (peek(&c) == '>') {
		if (!(flags & ADDRESS_NULL))
			return -1;
		*used = 2;
		return 0;
	}
	if ((peek(&c) == '@' && skip_route(&c, flags) == -1) ||
	    parse_mailbox(&c, flags, out) == -1 || peek(&c) != '>') {
		memset(out, 0, sizeof(*out));
		return -1;
	}
	*used = c.pos + 1;
	return 0;
}

int
address_format(const struct address *a, char *out, size_t cap)
{
	size_t n = 0, dlen = strlen(a->domain);
	bool quote = !address_is_null(a) && !is_dot_string(a->local);

	/* The longest form: every octet escaped, two quotes, "@" and NUL. */
	char buf[2 * ADDRESS_LOCAL_MAX + 2 + 1 + ADDRESS_DOMAIN_MAX + 1];

	if (quote)
		buf[n++] = '"';
	for (const char *p = a->local; *p != '\0'; p++) {
		if (quote && (*p == '"' || *p == '\\'))
			buf[n++] = '\\';
		buf[n++] = *p;
	}
	if (quote)
		buf[n++] = '"';
	if (dlen > 0) {
		buf[n++] = '@';
		memcpy(buf + n, a->domain, dlen);
		n += dlen;
	}
	if (n > ADDRESS_MAX || n >= cap)
		return -1;
	memcpy(out, buf, n);
	out[n] = '\0';
	return (int)n;
}

int
path_format(const struct address *a, char *out, size_t cap)
{
	int n;

	if (cap < 3 || (n = address_format(a, out + 1, cap - 2)) == -1)
		return -1;
	out[0] = '<';
	out[n + 1] = '>';
	out[n + 2] = '\0';
	return n + 2;
}

bool
address_is_null(const struct address *a)
{
	return a->local[0] == '\0' && a->domain[0] == '\0';
}

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s >= 0x80)
			return false;
	}
	return true;
}

bool
address_is_ascii(const struct address *a)
{
	return is_ascii(a->local) && is_ascii(a->domain);
}

bool
address_is_literal(const struct address *a)
{
	return a->domain[0] == '[';
}

bool
address_equal(const struct address *a, const struct address *b)
{
	char x[ADDRESS_MAX + 1], y[ADDRESS_MAX + 1];

	if (address_fold_key(a, x, sizeof(x)) == -1 ||
	    address_fold_key(b, y, sizeof(y)) == -1)
		return strcmp(a->local, b->local) == 0 &&
		       strcmp(a->domain, b->domain) == 0;
	return strcmp(x, y) == 0;
}

int
address_literal_ip(const char *domain, int *family, unsigned char ip[16])
{
	char text[64];
	size_t len = strlen(domain), skip = 1;

	if (len < 3 || domain[0] != '[' || domain[len - 1] != ']')
		return -1;
	*family = AF_INET;
	if (len > 6 && ascii_equal(domain + 1, 5, "IPv6:")) {
		*family = AF_INET6;
		skip = 6;
	}
	len -= skip + 1;
	if (len >= sizeof(text))
		return -1;
	memcpy(text, domain + skip, len);
	text[len] = '\0';
	memset(ip, 0, 16);
	return inet_pton(*family, text, ip) == 1 ? 0 : -1;
}

static bool
domain_valid(const char *s, size_t len, bool loose)
{
	size_t label = 0;
	int c;

	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		c = (unsigned char)s[i];
		if (c == '.') {
			if (label == 0 || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(c) && !(loose && c == '_') && !(c == '-' && label > 0))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && s[len - 1] != '-';
}

bool
address_domain_valid(const char *domain, size_t len)
{
	return domain_valid(domain, len, false);
}

bool
address_domain_valid_loose(const char *domain, size_t len)
{
	return domain_valid(domain, len, true);
}

static int
copy_lower(const char *s, size_t len, char *out, size_t cap)
{
	if (len >= cap)
		return -1;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)ascii_lower((unsigned char)s[i]);
	out[len] = '\0';
	return (int)len;
}

int
address_domain_ascii(const char *domain, char *out, size_t cap)
{
	size_t len = strlen(domain);
	unsigned char ip[16];
	char *converted = NULL;
	int family, n = -1;

	if (len > ADDRESS_DOMAIN_MAX)
		return -1;
	if (domain[0] == '[') {
		if (address_literal_ip(domain, &family, ip) == -1)
			return -1;
		return copy_lower(domain, len, out, cap);
	}
	/* The common case needs no library, and underscores in names exist. */
	if (is_ascii(domain)) {
		if (len > 0 && domain[len - 1] == '.')
			len--;
		if (!domain_valid(domain, len, true))
			return -1;
		return copy_lower(domain, len, out, cap);
	}
	if (!utf8_valid(domain, len))
		return -1;
	if (idn2_to_ascii_8z(domain, &converted, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) ==
	    IDN2_OK) {
		len = strlen(converted);
		if (len > 0 && converted[len - 1] == '.')
			len--;
		if (domain_valid(converted, len, false))
			n = copy_lower(converted, len, out, cap);
	}
	idn2_free(converted);
	return n;
}

int
address_domain_unicode(const char *domain, char *out, size_t cap)
{
	const char *from = domain;
	char *converted = NULL;
	size_t len;

	if (strlen(domain) <= ADDRESS_DOMAIN_MAX && is_ascii(domain) &&
	    idn2_to_unicode_8z8z(domain, &converted, 0) == IDN2_OK &&
	    utf8_valid(converted, strlen(converted)))
		from = converted;
	len = strlen(from);
	if (len < cap)
		memcpy(out, from, len + 1);
	idn2_free(converted);
	return len < cap ? (int)len : -1;
}

int
address_fold_key(const struct address *a, char *out, size_t cap)
{
	size_t llen = strlen(a->local);
	int dlen;

	if (copy_lower(a->local, llen, out, cap) == -1)
		return -1;
	if (a->domain[0] == '\0')
		return (int)llen;
	if (llen + 2 > cap)
		return -1;
	out[llen] = '@';
	dlen = address_domain_ascii(a->domain, out + llen + 1, cap - llen - 1);
	return dlen == -1 ? -1 : (int)llen + 1 + dlen;
}

void
address_split_detail(
    const struct address *a, char separator, struct address *base, const char **detail)
{
	const char *p = strchr(a->local, separator);

	*base = *a;
	*detail = NULL;
	if (separator == '\0' || p == NULL || p == a->local || p[1] == '\0')
		return;
	base->local[p - a->local] = '\0';
	*detail = p + 1;
}
