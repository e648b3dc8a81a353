/* SPDX-License-Identifier: ISC */
/* Whole dialogues: what comes out must not depend on how the input was cut. The first
 * octet chooses the kind of listener and TLS. */
#include <stdint.h>

#define DIALOGUE_OUT (256 * 1024)
#include "regress/unit/smtpd/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
run(struct dialogue *d, const uint8_t *data, size_t size, size_t piece)
{
	static const enum listener_kind kinds[] = { LISTENER_SMTP, LISTENER_SUBMISSION,
		LISTENER_LOCAL, LISTENER_LMTP };

	dialogue_init(d, kinds[data[0] & 3], data[0] >> 2 & 1);
	d->conf.size_max = 2000;
	d->conf.rcpts_max = 20;
	d->fail_open = data[0] >> 3 & 1;
	d->fail_content = data[0] >> 4 & 1;
	smtp_in_start(d->e);
	dialogue_act(d);
	dialogue_feed(d, (const char *)data + 1, size - 1, piece);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dialogue a, b;

	if (size < 1 || size > 20000)
		return 0;
	run(&a, data, size, 0);
	run(&b, data, size, 1 + (data[0] >> 5));
	/*
	 * The exceptions: what follows STARTTLS in one piece is refused, and a content
	 * that fails after the answer to a chunk is told with a later one.
	 */
	if (strstr(a.out, "554 5.5.1 Commands behind") == NULL &&
	    !(a.fail_content && (strstr(a.out, "Chunk taken") != NULL ||
				    strstr(b.out, "Chunk taken") != NULL)) &&
	    (a.out_len != b.out_len || memcmp(a.out, b.out, a.out_len) != 0 ||
		a.committed != b.committed || a.closed != b.closed))
		abort();
	dialogue_clear(&a);
	dialogue_clear(&b);
	return 0;
}
