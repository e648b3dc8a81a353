/*
 * The form of a drop file, see drop.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "queued/drop.h"

#define ADDRESS_LEN_MAX 320

static int
address_ok(const char *p, size_t len)
{
	if (len > ADDRESS_LEN_MAX)
		return 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c < 0x20 || c == 0x7f || c == '<' || c == '>')
			return 0;
	}
	return 1;
}

int
drop_parse(const char *buf, size_t len, struct drop_envelope *e, const char **why)
{
	size_t off = 0;
	int have_sender = 0;

	e->nrcpt = 0;
	e->sender = "";
	e->sender_len = 0;
	for (;;) {
		const char *line = buf + off;
		const char *nl = off < len ? memchr(line, '\n', len - off) : NULL;
		size_t n;

		if (nl == NULL || off > DROP_ENVELOPE_MAX) {
			*why = "the envelope does not end";
			return -1;
		}
		n = (size_t)(nl - line);
		off += n + 1;
		if (n == 0)
			break;
		if (n < 2 || line[1] != ' ' || !address_ok(line + 2, n - 2)) {
			*why =
			    "a line of the envelope is neither F nor R with an address";
			return -1;
		}
		if (line[0] == 'F' && !have_sender && e->nrcpt == 0) {
			have_sender = 1;
			e->sender = line + 2;
			e->sender_len = n - 2;
		} else if (line[0] == 'R' && have_sender && n > 2) {
			if (e->nrcpt == DROP_RCPTS_MAX) {
				*why = "too many recipients";
				return -1;
			}
			e->rcpt[e->nrcpt].p = line + 2;
			e->rcpt[e->nrcpt++].len = n - 2;
		} else {
			*why = "the envelope is not one F line and then R lines";
			return -1;
		}
	}
	if (!have_sender || e->nrcpt == 0) {
		*why = "no sender or no recipient";
		return -1;
	}
	e->content_off = off;
	return 0;
}
