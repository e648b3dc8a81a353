/* SPDX-License-Identifier: ISC */
/* The parser of XCLIENT's and XFORWARD's attributes; see xattr.h. */
#include "smtpd/xattr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/encoding.h"

static int
set_name(struct xattr *x, const char *v)
{
	if (*v != '\0' && !address_domain_valid_loose(v, strlen(v)))
		return -1;
	strlcpy(x->name, v, sizeof(x->name));
	return 0;
}

static int
set_addr(struct xattr *x, const char *v)
{
	struct sockaddr_in *in = (void *)&x->addr;
	struct sockaddr_in6 *in6 = (void *)&x->addr;

	memset(&x->addr, 0, sizeof(x->addr));
	if (*v == '\0')
		return 0;
	if (inet_pton(AF_INET, v, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		return 0;
	}
	if (strlen(v) < 5 || !ascii_equal(v, 5, "ipv6:") ||
	    inet_pton(AF_INET6, v + 5, &in6->sin6_addr) != 1)
		return -1;
	in6->sin6_family = AF_INET6;
	return 0;
}

static int
set_port(struct xattr *x, const char *v)
{
	unsigned int n = 0;

	if (strlen(v) > 5)
		return -1;
	for (; *v != '\0'; v++) {
		if (*v < '0' || *v > '9')
			return -1;
		n = n * 10 + (unsigned int)(*v - '0');
	}
	if (n > 65535)
		return -1;
	x->port = (uint16_t)n;
	return 0;
}

static int
set_word(char *out, size_t cap, const char *v, const char *one, const char *other)
{
	const char *w = *v == '\0'                         ? ""
			: ascii_equal(v, strlen(v), one)   ? one
			: ascii_equal(v, strlen(v), other) ? other
							   : NULL;

	if (w == NULL)
		return -1;
	strlcpy(out, w, cap);
	return 0;
}

static int
set_proto(struct xattr *x, const char *v)
{
	return set_word(x->proto, sizeof(x->proto), v, "SMTP", "ESMTP");
}

static int
set_source(struct xattr *x, const char *v)
{
	return set_word(x->source, sizeof(x->source), v, "LOCAL", "REMOTE");
}

/* As at HELO: what would break a Received field stays out. */
static int
set_helo(struct xattr *x, const char *v)
{
	if (!utf8_valid(v, strlen(v)))
		return -1;
	for (size_t i = 0; v[i] != '\0'; i++)
		if ((unsigned char)v[i] <= ' ' || strchr("()<>@,;\\\"\177", v[i]) != NULL)
			return -1;
	strlcpy(x->helo, v, sizeof(x->helo));
	return 0;
}

static int
set_ident(struct xattr *x, const char *v)
{
	for (size_t i = 0; v[i] != '\0'; i++)
		if ((unsigned char)v[i] < ' ' || v[i] == 127)
			return -1;
	strlcpy(x->ident, v, sizeof(x->ident));
	return 0;
}

static const struct {
	const char *word;
	unsigned int bit;
	int (*set)(struct xattr *, const char *value); /* "": not known */
} attributes[] = {
	{ "name", XATTR_NAME, set_name },
	{ "addr", XATTR_ADDR, set_addr },
	{ "port", XATTR_PORT, set_port },
	{ "proto", XATTR_PROTO, set_proto },
	{ "helo", XATTR_HELO, set_helo },
	{ "ident", XATTR_IDENT, set_ident },
	{ "source", XATTR_SOURCE, set_source },
};

static int
parse_one(
    const char *s, size_t len, unsigned int allowed, unsigned int *now, struct xattr *x)
{
	char value[XATTR_TEXT_MAX + 1];
	const char *eq = memchr(s, '=', len);
	size_t name_len, n;
	int k;

	if (eq == NULL)
		return -1;
	name_len = (size_t)(eq - s);
	n = len - name_len - 1;
	if (n == 0)
		return -1;
	if (ascii_equal(eq + 1, n, "[unavailable]") ||
	    ascii_equal(eq + 1, n, "[tempunavail]"))
		value[0] = '\0';
	else if ((k = xtext_decode(eq + 1, n, value, sizeof(value))) <= 0)
		return -1;
	else
		value[k] = '\0';
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (!ascii_equal(s, name_len, attributes[i].word))
			continue;
		if (!(allowed & attributes[i].bit) || (*now & attributes[i].bit) ||
		    attributes[i].set(x, value) == -1)
			return -1;
		*now |= attributes[i].bit;
		return 0;
	}
	return -1;
}

int
xattr_parse(const char *s, size_t len, unsigned int allowed, struct xattr *x)
{
	struct xattr new = *x;
	unsigned int now = 0;
	size_t i = 0, n;

	while (i < len) {
		while (i < len && s[i] == ' ')
			i++;
		for (n = 0; i + n < len && s[i + n] != ' '; n++)
			continue;
		if (n > 0 && parse_one(s + i, n, allowed, &now, &new) == -1)
			return -1;
		i += n;
	}
	if (now == 0)
		return -1;
	new.seen |= now;
	*x = new;
	return 0;
}
