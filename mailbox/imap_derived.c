/* SPDX-License-Identifier: ISC */
/* Values that are made out of a message's content: EMAILID and THREADID (RFC 8474) and
 * PREVIEW (RFC 8970); the caller keeps them in the index. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/imap_fetch.h"

#define ID_OCTETS 16
#define TEXT_MAX 16384 /* octets of a part that a preview looks at */

static void
make_id(char kind, const char *data, size_t len, char out[IMAP_OBJECTID_MAX])
{
	unsigned char md[EVP_MAX_MD_SIZE] = { 0 };
	unsigned int n;

	(void)EVP_Digest(data, len, md, &n, EVP_sha256(), NULL);
	out[0] = kind;
	(void)hex_encode(md, ID_OCTETS, out + 1, IMAP_OBJECTID_MAX - 1);
}

void
imap_make_emailid(const char *msg, size_t len, char out[IMAP_OBJECTID_MAX])
{
	make_id('M', msg, len, out);
}

/* The first <...> of a field. */
static bool
first_id(const char *header, size_t len, const char *field, const char **id, size_t *n)
{
	struct header_field f;
	const char *open, *close;

	if (header_get(header, len, field, 0, &f) == -1)
		return false;
	open = memchr(f.value, '<', f.value_len);
	if (open == NULL)
		return false;
	close = memchr(open, '>', f.value_len - (size_t)(open - f.value));
	if (close == NULL || close == open + 1)
		return false;
	*id = open;
	*n = (size_t)(close - open) + 1;
	return true;
}

void
imap_make_threadid(const char *msg, size_t len, char out[IMAP_OBJECTID_MAX])
{
	static const char *const fields[] = { "References", "In-Reply-To", "Message-ID" };
	size_t header = header_section_len(msg, len), n;
	const char *id;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (first_id(msg, header, fields[i], &id, &n)) {
			make_id('T', id, n, out);
			return;
		}
	make_id('T', msg, len, out);
}

/* ---- preview ---- */

/* The text part to show: the first plain one, otherwise the first of HTML. Attachments
 * are passed over. */
static const struct mime_part *
text_part(const struct mime_tree *t, bool *html)
{
	const struct mime_part *found = NULL;

	for (unsigned int i = 0; i < t->nparts; i++) {
		const struct mime_part *p = &t->parts[i];

		if (p->kind != MIME_LEAF || strcmp(p->type, "text") != 0 ||
		    (p->disposition != NULL && strcmp(p->disposition, "attachment") == 0))
			continue;
		*html = strcmp(p->subtype, "html") == 0;
		if (!*html)
			return p;
		if (found == NULL)
			found = p;
	}
	*html = found != NULL;
	return found;
}

/* The beginning of the part in UTF-8; malloc'd. */
static char *
decoded(const char *msg, const struct mime_part *p, size_t *len)
{
	const char *charset = mime_param_raw(p->params, p->nparams, "charset");
	const char *s = msg + p->body_off;
	size_t left = p->body_end - p->body_off, n = 0, used, made;
	char *plain = malloc(TEXT_MAX + 1024), *text = malloc(TEXT_MAX * 3 + 1);
	struct cte_decoder d;

	*len = 0;
	if (plain == NULL || text == NULL) {
		free(plain);
		free(text);
		return NULL;
	}
	if (left > TEXT_MAX * 3)
		left = TEXT_MAX * 3;
	cte_init(&d, p->cte);
	while (left > 0 && n < TEXT_MAX) {
		cte_feed(&d, s, left, plain + n, TEXT_MAX + 1024 - n, &used, &made);
		if (used == 0 && made == 0)
			break;
		s += used;
		left -= used;
		n += made;
	}
	if (left == 0 && n < TEXT_MAX)
		n += cte_finish(&d, plain + n, TEXT_MAX + 1024 - n);
	if (charset == NULL)
		charset = "us-ascii";
	(void)charset_to_utf8(
	    charset, strlen(charset), plain, n, text, TEXT_MAX * 3 + 1, len);
	free(plain);
	return text;
}

static bool
starts_with(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && ascii_equal(s, n, word);
}

/* Behind the end tag of an element whose content is no text. */
static size_t
skip_element(const char *s, size_t len, const char *end)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == '<' && starts_with(s + i, len - i, end))
			return i;
	return len;
}

/* A character reference; 0: none. Only what a few words of text need. */
static size_t
reference(const char *s, size_t len, uint32_t *c)
{
	static const struct {
		const char *name;
		uint32_t c;
	} names[] = {
		{ "&amp;", '&' },
		{ "&lt;", '<' },
		{ "&gt;", '>' },
		{ "&quot;", '"' },
		{ "&apos;", '\'' },
		{ "&nbsp;", ' ' },
		{ "&zwnj;", ' ' },
		{ "&shy;", ' ' },
	};
	size_t i = 2;
	uint32_t v = 0;
	int base = 10;

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		if (starts_with(s, len, names[k].name)) {
			*c = names[k].c;
			return strlen(names[k].name);
		}
	if (len < 4 || s[1] != '#')
		return 0;
	if (s[2] == 'x' || s[2] == 'X') {
		base = 16;
		i = 3;
	}
	for (; i < len && i < 12; i++) {
		int d = ascii_lower((unsigned char)s[i]);

		if (d >= '0' && d <= '9')
			d -= '0';
		else if (base == 16 && d >= 'a' && d <= 'f')
			d -= 'a' - 10;
		else
			break;
		v = v * (uint32_t)base + (uint32_t)d;
	}
	if (i == len || s[i] != ';')
		return 0;
	*c = v;
	return i + 1;
}

/* HTML in place: tags become spaces. Returns the length. */
static size_t
strip_html(char *s, size_t len)
{
	size_t n = 0, used;
	uint32_t c;

	for (size_t i = 0; i < len;) {
		if (s[i] == '<') {
			if (starts_with(s + i, len - i, "<!--")) {
				i += skip_element(s + i, len - i, "-->");
				while (i < len && s[i] != '>')
					i++;
			} else if (starts_with(s + i, len - i, "<style"))
				i += skip_element(s + i, len - i, "</style");
			else if (starts_with(s + i, len - i, "<script"))
				i += skip_element(s + i, len - i, "</script");
			else if (starts_with(s + i, len - i, "<title"))
				i += skip_element(s + i, len - i, "</title");
			while (i < len && s[i] != '>')
				i++;
			i += i < len;
			s[n++] = ' ';
		} else if (s[i] == '&' && (used = reference(s + i, len - i, &c)) > 0) {
			char utf8[4];
			size_t k = utf8_put(c, utf8);

			/* never longer than the reference */
			memcpy(s + n, utf8, k <= used ? k : 0);
			n += k <= used ? k : 0;
			i += used;
		} else
			s[n++] = s[i++];
	}
	return n;
}

/* What a reader sees as nothing, or as a gap. */
static bool
is_gap(uint32_t c)
{
	return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x34f ||
	       (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
	       c == 0x3000 || c == 0xfeff || c == 0xfffd;
}

size_t
imap_make_preview(
    const char *msg, size_t len, const struct mime_tree *tree, char *out, size_t cap)
{
	size_t text_len, n = 0, chars = 0, used;
	const struct mime_part *p;
	bool html, gap = false;
	char *text;
	uint32_t c;

	out[0] = '\0';
	if ((p = text_part(tree, &html)) == NULL ||
	    (text = decoded(msg, p, &text_len)) == NULL)
		return 0;
	if (html)
		text_len = strip_html(text, text_len);
	for (size_t i = 0; i < text_len && chars < IMAP_PREVIEW_CHARS && n + 6 < cap;) {
		if ((used = utf8_get(text + i, text_len - i, &c)) == 0) {
			i++;
			continue;
		}
		if (is_gap(c))
			gap = n > 0;
		else {
			if (gap && ++chars < IMAP_PREVIEW_CHARS)
				out[n++] = ' ';
			gap = false;
			if (chars < IMAP_PREVIEW_CHARS) {
				memcpy(out + n, text + i, used);
				n += used;
				chars++;
			}
		}
		i += used;
	}
	out[n] = '\0';
	free(text);
	return n;
}
