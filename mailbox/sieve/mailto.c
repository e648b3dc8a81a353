/* SPDX-License-Identifier: ISC */
/* The reader of mailto: URIs; see mailto.h. */
#include "mailbox/sieve/mailto.h"

#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/addresses.h"

/* Without its % escapes, which must be right. NULL: they are not, or no memory. */
static char *
unescape(struct arena *arena, const char *s, size_t len, size_t *n)
{
	char *out = arena_alloc(arena, len + 1);

	*n = 0;
	for (size_t i = 0; out != NULL && i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '%') {
			if (len - i < 3 || hex_decode(s + i + 1, 2, &c, 1) != 1 ||
			    c == '\0')
				return NULL;
			i += 2;
		} else if (c <= 0x20 || c == 0x7f || c == '<' || c == '>' || c == '"')
			return NULL;
		out[(*n)++] = (char)c;
	}
	return out;
}

/* The octets before the next comma that stands in no quoted string. */
static size_t
before_comma(const char *s, size_t len)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < len && (quoted || s[i] != ','); i++)
		if (s[i] == '"')
			quoted = !quoted;
		else if (quoted && s[i] == '\\' && i + 1 < len)
			i++;
	return i;
}

static bool
has_recipient(const struct sieve_mailto *m, const struct sieve_value *who)
{
	const struct sieve_value *v[] = { m->to, m->cc, m->bcc };
	const size_t n[] = { m->n_to, m->n_cc, m->n_bcc };

	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < n[k]; i++)
			if (v[k][i].len == who->len &&
			    strncasecmp(v[k][i].s, who->s, who->len) == 0)
				return true;
	return false;
}

/* An escaped comma separates as well, as in RFC 2368. */
static int
add_recipients(struct arena *arena, const struct sieve_mailto *uri, const char *raw,
    size_t raw_len, struct sieve_value *v, size_t *n, const char **why)
{
	size_t len;
	const char *s = unescape(arena, raw, raw_len, &len);

	if (s == NULL) {
		*why = "an escape in it is wrong";
		return -1;
	}
	while (len > 0) {
		size_t k = before_comma(s, len), used = k < len ? k + 1 : k;
		const struct sieve_mailbox *m;

		if (k > 0) {
			if ((m = sieve_mailbox_parse(arena, s, k, why)) == NULL)
				return -1;
			if (*n == SIEVE_MAILTO_MAX) {
				*why = "it has too many recipients";
				return -1;
			}
			if (!has_recipient(uri, &m->all))
				v[(*n)++] = m->all;
		}
		s += used;
		len -= used;
	}
	return 0;
}

/* Fields that a notice may not set (RFC 5436, 2.3). */
static bool
is_own_field(const char *s, size_t len)
{
	static const char *const names[] = { "auto-submitted", "received", "from",
		"sender", "date", "message-id", "return-path", "mime-version",
		"content-type", "content-transfer-encoding" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (ascii_equal(s, len, names[i]))
			return true;
	return false;
}

static int
add_field(struct arena *arena, struct sieve_mailto *m, const char *s, size_t len,
    const char **why)
{
	const char *eq = memchr(s, '=', len), *raw;
	size_t name_len, raw_len;
	struct sieve_value v;
	char *name;

	*why = "a field of it is malformed";
	if (eq == NULL ||
	    (name = unescape(arena, s, (size_t)(eq - s), &name_len)) == NULL ||
	    name_len == 0)
		return -1;
	for (size_t i = 0; i < name_len; i++)
		if (name[i] < 33 || name[i] > 126 || name[i] == ':')
			return -1;
	raw = eq + 1;
	raw_len = len - (size_t)(raw - s);
	if (ascii_equal(name, name_len, "to"))
		return add_recipients(arena, m, raw, raw_len, m->to, &m->n_to, why);
	if (ascii_equal(name, name_len, "cc"))
		return add_recipients(arena, m, raw, raw_len, m->cc, &m->n_cc, why);
	if (ascii_equal(name, name_len, "bcc"))
		return add_recipients(arena, m, raw, raw_len, m->bcc, &m->n_bcc, why);
	if ((v.s = unescape(arena, raw, raw_len, &v.len)) == NULL)
		return -1;
	if (ascii_equal(name, name_len, "body")) {
		m->body = v;
		return 0;
	}
	/* No value may end its line. */
	for (size_t i = 0; i < v.len; i++)
		if (v.s[i] == '\r' || v.s[i] == '\n')
			return -1;
	if (ascii_equal(name, name_len, "subject")) {
		m->subject = v;
		return 0;
	}
	if (is_own_field(name, name_len))
		return 0;
	if (m->n_fields == SIEVE_MAILTO_MAX) {
		*why = "it has too many fields";
		return -1;
	}
	m->name[m->n_fields] = (struct sieve_value){ name, name_len };
	m->value[m->n_fields++] = v;
	return 0;
}

int
sieve_mailto_parse(struct arena *arena, const char *s, size_t len, struct sieve_mailto *m,
    const char **why)
{
	const char *end;
	size_t n;

	memset(m, 0, sizeof(*m));
	if (len < 7 || !ascii_equal(s, 7, "mailto:")) {
		*why = "only mailto: is known";
		return -1;
	}
	s += 7;
	len -= 7;
	if ((end = memchr(s, '#', len)) != NULL)
		len = (size_t)(end - s);
	end = memchr(s, '?', len);
	n = end != NULL ? (size_t)(end - s) : len;
	if (add_recipients(arena, m, s, n, m->to, &m->n_to, why) == -1)
		return -1;
	while (end != NULL && n < len) {
		size_t start = n + 1, k;
		const char *amp = memchr(s + start, '&', len - start);

		k = amp != NULL ? (size_t)(amp - s) - start : len - start;
		if (add_field(arena, m, s + start, k, why) == -1)
			return -1;
		n = start + k;
	}
	return 0;
}
