/* SPDX-License-Identifier: ISC */
/* What a server says to EHLO that it can do; see smtp_out_int.h. */
#include <string.h>

#include "common/proto/encoding.h"
#include "deliverd/remote/smtp_out_int.h"

/* Digits up to anything else; what is too big stays big. */
static uint64_t
number(const char *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++)
		v = v > UINT64_MAX / 10 - 10 ? UINT64_MAX / 10
					     : v * 10 + (uint64_t)(p[i] - '0');
	return v;
}

static void
take_keyword(struct smtp_out *o, const char *line, size_t len)
{
	static const struct {
		const char *word;
		unsigned int ext;
	} words[] = { { "PIPELINING", EXT_PIPELINING }, { "8BITMIME", EXT_8BITMIME },
		{ "SIZE", EXT_SIZE }, { "SMTPUTF8", EXT_SMTPUTF8 }, { "DSN", EXT_DSN },
		{ "STARTTLS", EXT_STARTTLS }, { "CHUNKING", EXT_CHUNKING },
		{ "BINARYMIME", EXT_BINARYMIME }, { "REQUIRETLS", EXT_REQUIRETLS },
		{ "DELIVERBY", EXT_DELIVERBY }, { "MT-PRIORITY", EXT_MT_PRIORITY },
		{ "RRVS", EXT_RRVS } };
	size_t n = 0;

	while (n < len && line[n] != ' ' && line[n] != '=')
		n++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (ascii_equal(line, n, words[i].word))
			o->ext |= words[i].ext;
	if (n < len && ascii_equal(line, n, "SIZE"))
		o->size_max = number(line + n + 1, len - n - 1);
	else if (n < len && ascii_equal(line, n, "DELIVERBY"))
		o->by_min = number(line + n + 1, len - n - 1);
	/* RFC 4954, 3; some still write AUTH=. */
	if (ascii_equal(line, n, "AUTH") && n < len && len - n <= sizeof(o->mechanisms)) {
		memcpy(o->mechanisms, line + n + 1, len - n - 1);
		o->mechanisms[len - n - 1] = '\0';
	}
}

void
smtp_out_take_keywords(struct smtp_out *o)
{
	const char *line = strchr(o->reply.text, '\n');

	while (line != NULL) {
		const char *end = strchr(++line, '\n');

		take_keyword(o, line, end != NULL ? (size_t)(end - line) : strlen(line));
		line = end;
	}
}
