/* SPDX-License-Identifier: ISC */
/* Parser of routes; see route.h. */
#include "common/proto/route.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/encoding.h"

#define WORDS_MAX 24

static const char *const floors[] = { "default", "none", "opportunistic", "required",
	"verified", "dane", "pin" };

const char *
tls_floor_name(enum tls_floor f)
{
	return floors[f];
}

static int
set_tls(struct route *r, const char *v, const char **why)
{
	*why = "expected tls=none, opportunistic, required, verified, dane or pin:HEX";
	for (int i = TLS_FLOOR_NONE; i < TLS_FLOOR_PIN; i++)
		if (strcmp(v, floors[i]) == 0) {
			r->tls = (enum tls_floor)i;
			return 0;
		}
	if (strncmp(v, "pin:", 4) != 0)
		return -1;
	*why = "expected 64 hexadecimal digits after pin:";
	v += 4;
	if (strlen(v) != 64 || strspn(v, "0123456789abcdefABCDEF") != 64)
		return -1;
	for (size_t i = 0; i < 32; i++) {
		char two[3] = { v[2 * i], v[2 * i + 1], '\0' };

		r->pin[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	r->tls = TLS_FLOOR_PIN;
	return 0;
}

static int
set_source(struct route *r, const char *v, const char **why)
{
	struct dnsaddr a, *to;

	*why = "expected an IP address after source=";
	if (dnsaddr_parse(v, &a) == -1)
		return -1;
	to = a.family == AF_INET ? &r->source4 : &r->source6;
	*why = "two source addresses of one family";
	if (to->family != 0)
		return -1;
	*to = a;
	return 0;
}

static int
set_number(uint32_t *to, const char *v, const char **why)
{
	const char *bad;

	*why = "expected a number from 1 to 100000";
	if (v[0] == '\0' || strspn(v, "0123456789") != strlen(v))
		return -1;
	*to = (uint32_t)strtonum(v, 1, 100000, &bad);
	return bad == NULL ? 0 : -1;
}

static int
set_on(struct route *r, char *v, const char **why)
{
	char *word;

	*why = "expected on= with reply codes as 550, 45x, 5.7.1";
	while ((word = strsep(&v, ",")) != NULL) {
		size_t n = strlen(word);

		if (n < 3 || n >= sizeof(r->on[0]) || r->n_on == ROUTE_ON_MAX ||
		    (word[0] != '4' && word[0] != '5') ||
		    strspn(word, "0123456789.x") != n)
			return -1;
		strlcpy(r->on[r->n_on++], word, sizeof(r->on[0]));
	}
	return 0;
}

static int
set_auth(struct route *r, const char *v, const char **why)
{
	static const char *const known[] = { "PLAIN", "LOGIN", "SCRAM-SHA-1",
		"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2", "OAUTHBEARER" };

	*why = "expected auth= with PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS, "
	       "SCRAM-SHA-1, XOAUTH2 or OAUTHBEARER";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(v, known[i]) == 0) {
			strlcpy(r->auth, known[i], sizeof(r->auth));
			return 0;
		}
	return -1;
}

static int
set(struct route *r, const char *key, char *v, const char **why)
{
	struct routeurl url;

	if (strcmp(key, "tls") == 0)
		return set_tls(r, v, why);
	if (strcmp(key, "auth") == 0)
		return set_auth(r, v, why);
	if (strcmp(key, "source") == 0)
		return set_source(r, v, why);
	if (strcmp(key, "helo") == 0) {
		*why = "expected a host name after helo=";
		return address_domain_ascii(v, r->helo, sizeof(r->helo)) == -1 ? -1 : 0;
	}
	if (strcmp(key, "concurrency") == 0)
		return set_number(&r->concurrency, v, why);
	if (strcmp(key, "rate") == 0)
		return set_number(&r->rate, v, why);
	if (strcmp(key, "messages") == 0)
		return set_number(&r->messages, v, why);
	if (strcmp(key, "after") == 0)
		return set_number(&r->after, v, why);
	if (strcmp(key, "on") == 0)
		return set_on(r, v, why);
	if (strcmp(key, "fallback") == 0) {
		if (strcmp(v, "mx") != 0 && routeurl_parse(v, &url, why) == -1)
			return -1;
		*why = "fallback too long";
		return strlcpy(r->fallback, v, sizeof(r->fallback)) >= sizeof(r->fallback)
			   ? -1
			   : 0;
	}
	*why = "expected tls, auth, source, helo, concurrency, rate, messages, fallback, "
	       "after or on";
	return -1;
}

int
route_parse(const char *text, struct route *r, const char **why)
{
	char copy[ROUTE_MAX + 1], *p = copy, *word;
	const char *seen[WORDS_MAX];
	size_t n = 0;

	memset(r, 0, sizeof(*r));
	r->after = 1;
	*why = "the route is too long";
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return -1;
	word = strsep(&p, " ");
	if (strcmp(word, "mx") == 0) {
		r->mx = 1;
		r->url.scheme = ROUTE_SMTP;
	} else if (routeurl_parse(word, &r->url, why) == -1)
		return -1;
	while ((word = strsep(&p, " ")) != NULL) {
		char *eq = strchr(word, '=');

		if (word[0] == '\0')
			continue;
		*why = "expected settings as name=value behind the URL";
		if (eq == NULL)
			return -1;
		*eq++ = '\0';
		*why = "a setting twice, or too many";
		for (size_t i = 0; i < n; i++)
			if (strcmp(seen[i], word) == 0 && strcmp(word, "source") != 0)
				return -1;
		if (n == WORDS_MAX)
			return -1;
		seen[n++] = word;
		if (set(r, word, eq, why) == -1)
			return -1;
	}
	*why = "after= and on= need fallback=";
	if ((r->n_on > 0 || r->after != 1) && r->fallback[0] == '\0')
		return -1;
	*why = "tls= and source= mean nothing for a socket of this host";
	if (r->url.path[0] != '\0' &&
	    (r->tls != TLS_FLOOR_DEFAULT || r->source4.family != 0 ||
		r->source6.family != 0))
		return -1;
	*why = "tls=none with a login would show the secret to everybody";
	if (r->url.user[0] != '\0' && r->tls == TLS_FLOOR_NONE)
		return -1;
	return 0;
}

static int
code_matches(const char *pattern, const char *code)
{
	size_t i;

	for (i = 0; pattern[i] != '\0' && code[i] != '\0'; i++)
		if (pattern[i] != 'x' && pattern[i] != code[i])
			return 0;
	return pattern[i] == code[i];
}

int
route_falls_back_on(const struct route *r, int code, const char *enhanced)
{
	char number[12];

	snprintf(number, sizeof(number), "%d", code);
	for (unsigned int i = 0; i < r->n_on; i++)
		if (code_matches(r->on[i], number) || code_matches(r->on[i], enhanced))
			return 1;
	return 0;
}
