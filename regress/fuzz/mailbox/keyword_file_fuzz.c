/* SPDX-License-Identifier: ISC */
/* A folder's file of keywords, with its checksums made right where the input leaves them
 * zero: lists stay within what was given, and the good part alone says the same. */
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "mailbox/keyword_file.h"
#include "mailbox/index_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct seen {
	const uint8_t *from, *to;
	size_t entries, numbers;
};

static int
see(void *arg, uint32_t uid, const uint8_t *list, size_t n)
{
	struct seen *s = arg;

	if (list < s->from || list > s->to || 2 * n > (size_t)(s->to - list))
		abort();
	s->entries++;
	s->numbers += n;
	return 0;
}

static void
make_right(uint8_t *p, size_t len)
{
	size_t at = KEYWORD_FILE_HEAD;

	if (len < at)
		return;
	put_be(p + 16, crc32c(0, p, 16), 4);
	while (len - at >= 8) {
		size_t n = (size_t)get_be(p + at, 4);

		if (n > len - at - 8)
			return;
		if (get_be(p + at + 4, 4) == 0)
			put_be(p + at + 4, crc32c(0, p + at + 8, n), 4);
		at += 8 + n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = malloc(size + 1);
	struct seen all, part;
	size_t good, again;
	uint32_t base, uidvalidity;

	if (p == NULL)
		return 0;
	memcpy(p, data, size);
	make_right(p, size);
	uidvalidity = size >= 12 ? (uint32_t)get_be(p + 8, 4) : 0;
	all = part = (struct seen){ p, p + size, 0, 0 };
	if (keyword_file_parse(p, size, uidvalidity, see, &all, &good, &base) == 0) {
		if (good < KEYWORD_FILE_HEAD || good > size)
			abort();
		if (keyword_file_parse(p, good, uidvalidity, see, &part, &again, &base) ==
			-1 ||
		    again != good || part.entries != all.entries ||
		    part.numbers != all.numbers)
			abort();
		if (keyword_file_parse(
			p, size, uidvalidity + 1, see, &all, &good, &base) != -1)
			abort();
	}
	free(p);
	return 0;
}
