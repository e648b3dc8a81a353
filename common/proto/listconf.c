/* SPDX-License-Identifier: ISC */
/* Settings of mailing lists; see listconf.h. */
#include "common/proto/listconf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define AT(m) offsetof(struct listconf, m)

static const char *const posts[] = { "members", "owners", "anyone", "listed", NULL };
static const char *const others[] = { "hold", "reject", "discard", NULL };
static const char *const yesno[] = { "no", "yes", NULL };
static const char *const joins[] = { "confirm", "closed", NULL };
static const char *const rewrites[] = { "auto", "never", "always", NULL };
static const char *const replies[] = { "author", "list", NULL };

enum kind {
	CHOICE,
	TEXT,
	HTTP,
	SIZE,
	NUMBER,
	TIME
};

static const struct setting {
	const char *name;
	enum kind kind;
	size_t at;
	size_t max; /* of a text: octets; of a number: its largest */
	const char *const *words;
	const char *expected;
} settings[] = {
	{ "title", TEXT, AT(title), LISTCONF_TITLE_MAX, NULL, "a line of text" },
	{ "post", CHOICE, AT(post), 0, posts, "members, owners, anyone or listed" },
	{ "others", CHOICE, AT(others), 0, others, "hold, reject or discard" },
	{ "moderated", CHOICE, AT(moderated), 0, yesno, "yes or no" },
	{ "join", CHOICE, AT(join), 0, joins, "confirm or closed" },
	{ "subject-tag", TEXT, AT(tag), LISTCONF_TAG_MAX, NULL,
	    "a short text, as [announce]" },
	{ "max-size", SIZE, AT(max_size), 0, NULL, "a size as 500k or 10m, or none" },
	{ "from-rewrite", CHOICE, AT(rewrite), 0, rewrites, "auto, never or always" },
	{ "reply-to", CHOICE, AT(reply), 0, replies, "author or list" },
	{ "archive", HTTP, AT(archive), LISTCONF_ARCHIVE_MAX, NULL, "an https URI" },
	{ "unsubscribe-uri", HTTP, AT(uri), LISTPOST_URI_MAX, NULL,
	    "an https URI with {token} in it" },
	{ "bounce-limit", NUMBER, AT(bounce_limit), 1000, NULL, "a number from 1" },
	{ "bounce-window", NUMBER, AT(bounce_window_d), 365, NULL,
	    "a number of days, up to 365" },
	{ "created", TIME, AT(created), 0, NULL, "a time" },
};
#define N (sizeof(settings) / sizeof(settings[0]))

void
listconf_init(struct listconf *l)
{
	memset(l, 0, sizeof(*l));
	l->max_size = 10 * 1024 * 1024;
	l->bounce_limit = 4;
	l->bounce_window_d = 21;
}

static int
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return 0;
	return 1;
}

static int
is_uri(const char *s, int token)
{
	if (strncmp(s, "https://", 8) != 0 || s[8] == '\0' || s[8] == '/')
		return 0;
	for (const char *p = s; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("<>\"\\,", *p) != NULL)
			return 0;
	return !token || strstr(s, "{token}") != NULL;
}

static int
set_size(uint64_t *out, const char *value)
{
	char *end;
	unsigned long long n;
	unsigned int shift = 0;

	if (strcmp(value, "none") == 0) {
		*out = 0;
		return 0;
	}
	if (*value < '0' || *value > '9')
		return -1;
	n = strtoull(value, &end, 10);
	if (*end != '\0' && end[1] == '\0')
		shift = ascii_lower(*end) == 'k'   ? 10
			: ascii_lower(*end) == 'm' ? 20
			: ascii_lower(*end) == 'g' ? 30
						   : 0;
	if (n == 0 || n > (1ULL << 31) || (*end != '\0' && shift == 0))
		return -1;
	*out = (uint64_t)n << shift;
	return 0;
}

static int
set_value(struct listconf *l, const struct setting *s, const char *value)
{
	uint8_t *at = (uint8_t *)l + s->at;
	const char *err;
	long long n;

	switch (s->kind) {
	case CHOICE:
		for (int i = 0; s->words[i] != NULL; i++)
			if (strcmp(s->words[i], value) == 0) {
				*at = (uint8_t)i;
				return 0;
			}
		return -1;
	case HTTP:
		if (*value != '\0' && !is_uri(value, s->at == AT(uri)))
			return -1;
		/* FALLTHROUGH */
	case TEXT:
		if (strlen(value) > s->max || !is_plain(value) ||
		    !utf8_valid(value, strlen(value)))
			return -1;
		strlcpy((char *)at, value, s->max + 1);
		return 0;
	case SIZE:
		return set_size((uint64_t *)(void *)at, value);
	case NUMBER:
		n = strtonum(value, 1, (long long)s->max, &err);
		if (err != NULL)
			return -1;
		*(uint32_t *)(void *)at = (uint32_t)n;
		return 0;
	case TIME:
		*(int64_t *)(void *)at = strtonum(value, 0, INT64_MAX, &err);
		return err == NULL ? 0 : -1;
	}
	return -1;
}

const char *
listconf_set(struct listconf *l, const char *word)
{
	static char why[200];
	size_t len = strcspn(word, "=");

	for (size_t i = 0; i < N && word[len] == '='; i++) {
		const struct setting *s = &settings[i];

		if (strlen(s->name) != len || strncmp(s->name, word, len) != 0)
			continue;
		if (set_value(l, s, word + len + 1) == 0)
			return NULL;
		snprintf(why, sizeof(why), "%s: expected %s", s->name, s->expected);
		return why;
	}
	snprintf(why, sizeof(why), "%.80s: no such setting of a list", word);
	return why;
}

int
listconf_show(const struct listconf *l, int i, const char **name, char *value, size_t cap)
{
	const struct setting *s = &settings[i];
	const uint8_t *at;
	uint64_t size;

	/* The last is not for people. */
	if (i < 0 || (size_t)i >= N - 1)
		return -1;
	at = (const uint8_t *)l + s->at;
	*name = s->name;
	value[0] = '\0';
	switch (s->kind) {
	case CHOICE:
		strlcpy(value, s->words[*at], cap);
		break;
	case HTTP:
	case TEXT:
		strlcpy(value, (const char *)at, cap);
		break;
	case SIZE:
		size = *(const uint64_t *)(const void *)at;
		if (size == 0)
			strlcpy(value, "none", cap);
		else if (size % (1024 * 1024) == 0)
			snprintf(value, cap, "%" PRIu64 "m", size >> 20);
		else if (size % 1024 == 0)
			snprintf(value, cap, "%" PRIu64 "k", size >> 10);
		else
			snprintf(value, cap, "%" PRIu64, size);
		break;
	case NUMBER:
		snprintf(value, cap, "%u", *(const uint32_t *)(const void *)at);
		break;
	case TIME:
		break;
	}
	return 0;
}

int
listconf_escape(const char *in, char *out, size_t cap)
{
	size_t n = 0;

	for (; *in != '\0'; in++) {
		unsigned char c = (unsigned char)*in;

		if (n + 4 > cap)
			return -1;
		if (c <= ' ' || c == '%' || c == 0x7f)
			n += (size_t)snprintf(out + n, cap - n, "%%%02x", c);
		else
			out[n++] = (char)c;
	}
	if (n >= cap)
		return -1;
	out[n] = '\0';
	return 0;
}

int
listconf_unescape(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		if (*s != '%')
			*out++ = *s;
		else {
			unsigned char c;

			if (s[1] == '\0' || s[2] == '\0' ||
			    hex_decode(s + 1, 2, &c, 1) != 1 || c == 0)
				return -1;
			*out++ = (char)c;
			s += 2;
		}
	}
	*out = '\0';
	return 0;
}

int
listconf_format(const struct listconf *l, char *out, size_t cap)
{
	char value[LISTCONF_ARCHIVE_MAX + 1], word[3 * LISTCONF_ARCHIVE_MAX + 1];
	const char *name;
	size_t len = 0;
	int n;

	for (int i = 0; listconf_show(l, i, &name, value, sizeof(value)) == 0; i++) {
		if (value[0] == '\0')
			continue;
		if (listconf_escape(value, word, sizeof(word)) == -1)
			return -1;
		n = snprintf(out + len, cap - len, "%s=%s ", name, word);
		if (n < 0 || (size_t)n >= cap - len)
			return -1;
		len += (size_t)n;
	}
	n = snprintf(out + len, cap - len, "created=%lld", (long long)l->created);
	return n < 0 || (size_t)n >= cap - len ? -1 : 0;
}

int
listconf_parse(const char *text, struct listconf *l)
{
	char *copy = strdup(text), *p = copy, *word;
	int rv = copy != NULL ? 0 : -1;

	listconf_init(l);
	while (rv == 0 && (word = strsep(&p, " \n")) != NULL)
		if (*word != '\0' &&
		    (listconf_unescape(word) == -1 || listconf_set(l, word) != NULL))
			rv = -1;
	free(copy);
	return rv;
}
