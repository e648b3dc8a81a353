/*
 * The composer of bounces: lines end in CRLF, no line of ours breaks, the last
 * boundary is there once.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queued/bounce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next piece up to a NUL; the rest when there is none. */
static const char *
piece(char **p, char *end)
{
	char *s = *p, *z = memchr(s, '\0', (size_t)(end - s));

	*p = z == NULL ? end : z + 1;
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 2), *p = copy, *end = copy + size, *out;
	struct bounce_rcpt r[2] = { 0 };
	struct bounce b = { .hostname = "h.test",
		.qid = "1",
		.bounce_qid = "2",
		.rcpts = r,
		.nrcpt = 2,
		.now = 1,
		.arrived = 1 };
	size_t len;
	int eight;

	if (copy == NULL || size < 1) {
		free(copy);
		return 0;
	}
	memcpy(copy, data, size);
	copy[size] = copy[size + 1] = '\0';
	b.action = (enum bounce_action)(copy[0] & 3);
	b.full = copy[0] >> 2 & 1;
	b.complete = copy[0] >> 3 & 1;
	b.smtputf8 = copy[0] >> 4 & 1;
	p++;
	b.sender = piece(&p, end);
	b.envid = piece(&p, end);
	for (int i = 0; i < 2; i++) {
		r[i].address = piece(&p, end);
		r[i].orcpt = piece(&p, end);
		r[i].enhanced = piece(&p, end);
		r[i].mta = piece(&p, end);
		r[i].reply = piece(&p, end);
		r[i].text = piece(&p, end);
	}
	b.prefix = (const uint8_t *)"A: b\r\n";
	b.prefix_len = 6;
	b.content = (const uint8_t *)p;
	b.content_len = (size_t)(end - p);
	out = bounce_compose(&b, &len, &eight);
	if (out != NULL) {
		/* Our part: everything before the original. */
		char *orig = memmem(out, len, "A: b\r\n", 6);

		if (orig == NULL)
			abort();
		for (char *q = out; q < orig; q++) {
			if (*q == '\n' && (q == out || q[-1] != '\r'))
				abort();
			if (*q == '\r' && q[1] != '\n')
				abort();
		}
		if (len < 4 || memcmp(out + len - 4, "--\r\n", 4) != 0)
			abort();
	}
	free(out);
	free(copy);
	return 0;
}
