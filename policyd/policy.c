/* SPDX-License-Identifier: ISC */
/* Parser of MTA-STS policies; see policy.h. */
#include "policyd/policy.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"

enum {
	GOT_VERSION = 1 << 0,
	GOT_MODE = 1 << 1,
	GOT_AGE = 1 << 2
};

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int
equal(const char *p, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(p, word, len) == 0;
}

static int
add_mx(struct policy *p, const char *v, size_t len)
{
	size_t have = strlen(p->mx), skip = len > 2 && v[0] == '*' && v[1] == '.' ? 2 : 0;

	if (!address_domain_valid_loose(v + skip, len - skip) ||
	    memchr(v, ' ', len) != NULL)
		return -1;
	if (have + len + 2 > sizeof(p->mx))
		return -1;
	if (have > 0)
		p->mx[have++] = ' ';
	for (size_t i = 0; i < len; i++)
		p->mx[have + i] = v[i] >= 'A' && v[i] <= 'Z' ? (char)(v[i] + 32) : v[i];
	p->mx[have + len] = '\0';
	return 0;
}

static int
get_age(struct policy *p, const char *v, size_t len)
{
	uint64_t n = 0;

	if (len == 0 || len > 10)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (v[i] < '0' || v[i] > '9')
			return -1;
		n = n * 10 + (uint64_t)(v[i] - '0');
	}
	p->max_age_s = n > POLICY_AGE_MAX ? POLICY_AGE_MAX : (uint32_t)n;
	return 0;
}

static int
field(struct policy *p, unsigned int *got, const char *name, size_t name_len,
    const char *v, size_t len, const char **why)
{
	if (equal(name, name_len, "mx")) {
		*why = "a mail host that is no name, or too many";
		return add_mx(p, v, len);
	}
	if (equal(name, name_len, "version") && !(*got & GOT_VERSION)) {
		*got |= GOT_VERSION;
		*why = "another version than STSv1";
		return equal(v, len, "STSv1") ? 0 : -1;
	}
	if (equal(name, name_len, "mode") && !(*got & GOT_MODE)) {
		*got |= GOT_MODE;
		*why = "an unknown mode";
		if (equal(v, len, "enforce"))
			p->mode = STS_ENFORCE;
		else if (equal(v, len, "testing"))
			p->mode = STS_TESTING;
		else if (!equal(v, len, "none"))
			return -1;
	} else if (equal(name, name_len, "max_age") && !(*got & GOT_AGE)) {
		*got |= GOT_AGE;
		*why = "a max_age that is no number";
		return get_age(p, v, len);
	}
	return 0; /* 3.2: unknown and repeated ones are passed over */
}

int
policy_parse(const char *text, size_t len, struct policy *p, const char **why)
{
	const char *end = text + len;
	unsigned int got = 0;

	memset(p, 0, sizeof(*p));
	*why = "too long";
	if (len > POLICY_TEXT_MAX)
		return -1;
	*why = "a line without a colon";
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl != NULL ? nl : end, *colon, *name_end, *v;

		if (stop > text && stop[-1] == '\r')
			stop--;
		while (text < stop && is_blank(*text))
			text++;
		if (text < stop) {
			if ((colon = memchr(text, ':', (size_t)(stop - text))) == NULL)
				return -1;
			for (name_end = colon; name_end > text && is_blank(name_end[-1]);)
				name_end--;
			for (v = colon + 1; v < stop && is_blank(*v);)
				v++;
			while (stop > v && is_blank(stop[-1]))
				stop--;
			if (field(p, &got, text, (size_t)(name_end - text), v,
				(size_t)(stop - v), why) == -1)
				return -1;
			*why = "a line without a colon";
		}
		text = nl != NULL ? nl + 1 : end;
	}
	*why = "version, mode or max_age is missing";
	if (got != (GOT_VERSION | GOT_MODE | GOT_AGE))
		return -1;
	*why = "no mail host is named";
	return p->mode != STS_NONE && p->mx[0] == '\0' ? -1 : 0;
}
