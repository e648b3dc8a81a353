/* SPDX-License-Identifier: ISC */
/* Standard input and arguments of sendmail(8), whole and in pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sendmail/host.h"
#include "sendmail/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
run(struct message *m, const uint8_t *data, size_t size, size_t piece, int flags)
{
	const struct message_facts facts = {
		.sender = "a@b.c", .full_name = "A \"B\" \xc3\xa4", .domain = "b.c"
	};
	int r = 1;

	message_init(m, flags & 1);
	for (size_t pos = 0; pos < size && r == 1; pos += piece)
		r = message_read(
		    m, (const char *)data + pos, piece < size - pos ? piece : size - pos);
	if (r == -1 || message_read_end(m) == -1)
		abort();
	(void)message_finish(m, &facts, flags & 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message a, b;
	struct host h;

	if (size < 1 || size > 10000)
		return 0;
	run(&a, data + 1, size - 1, size, data[0]);
	run(&b, data + 1, size - 1, 1 + (data[0] >> 4), data[0]);
	if (a.len != b.len || (a.len > 0 && memcmp(a.text, b.text, a.len) != 0) ||
	    a.nrcpts != b.nrcpts || (a.len > 0 && memchr(a.text, '\r', a.len) != NULL))
		abort();
	message_clear(&a);
	message_clear(&b);
	message_init(&a, 0);
	(void)message_add_rcpts(&a, (const char *)data, size);
	message_clear(&a);
	memset(&h, 0, sizeof(h));
	host_parse(&h, (const char *)data, size);
	return 0;
}
