/* SPDX-License-Identifier: ISC */
/* The layer of COMPRESS=DEFLATE: there and back in pieces, what is no stream, and a small
 * input that would become a large one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <zlib.h>

#include "mailbox/imap_deflate.h"

static void
test_round_trip(void **state)
{
	static const size_t pieces[] = { 1, 3, 1000, 1000000 };
	static char text[300000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * i / 7 % 11 + 'a');
	for (size_t k = 0; k < 4; k++) {
		struct imap_deflate *there = imap_deflate_new(),
				    *back = imap_deflate_new();
		struct evbuffer *in = evbuffer_new(), *mid = evbuffer_new(),
				*out = evbuffer_new();
		size_t len, at = 0;
		uint8_t *raw;

		evbuffer_add(in, text, 100000);
		assert_int_equal(imap_deflate_out(there, in, mid), 0);
		/* complete to its last octet, before there is more */
		evbuffer_add(in, text + 100000, sizeof(text) - 100000);
		assert_int_equal(imap_deflate_out(there, in, mid), 0);
		assert_int_equal(evbuffer_get_length(in), 0);
		len = evbuffer_get_length(mid);
		raw = evbuffer_pullup(mid, -1);
		while (at < len || imap_deflate_pending(back)) {
			size_t n = len - at < pieces[k] ? len - at : pieces[k],
			       before = evbuffer_get_length(out);
			long used = imap_deflate_in(back, raw + at, n, out);

			assert_true(used >= 0 && (size_t)used <= n);
			at += (size_t)used;
			assert_true(evbuffer_get_length(out) - before <=
				    IMAP_INFLATE_MAX + 16384);
		}
		assert_int_equal(evbuffer_get_length(out), sizeof(text));
		assert_memory_equal(evbuffer_pullup(out, -1), text, sizeof(text));
		evbuffer_free(in);
		evbuffer_free(mid);
		evbuffer_free(out);
		imap_deflate_free(there);
		imap_deflate_free(back);
	}
}

static void
test_no_stream(void **state)
{
	struct imap_deflate *d = imap_deflate_new();
	struct evbuffer *out = evbuffer_new();

	assert_int_equal(imap_deflate_in(d, (const uint8_t *)"a NOOP\r\n", 8, out), -1);
	imap_deflate_free(d);
	d = imap_deflate_new();
	/* an empty stream with its end, and something behind it */
	assert_int_equal(imap_deflate_in(d, (const uint8_t *)"\x03\x00", 2, out), 2);
	assert_int_equal(imap_deflate_in(d, (const uint8_t *)"", 0, out), 0);
	assert_int_equal(imap_deflate_in(d, (const uint8_t *)"x", 1, out), -1);
	imap_deflate_free(d);
	evbuffer_free(out);
}

static void
test_bomb(void **state)
{
	uLong cap = 100000;
	uint8_t *zeros = calloc(1, 10000000), *raw = malloc(cap);
	struct imap_deflate *d = imap_deflate_new();
	struct evbuffer *out = evbuffer_new();
	z_stream z = { 0 };
	size_t total = 0, at = 0, len;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, 0), Z_OK);
	z.next_in = zeros;
	z.avail_in = 10000000;
	z.next_out = raw;
	z.avail_out = (uInt)cap;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	len = cap - z.avail_out;
	deflateEnd(&z);
	while (at < len || imap_deflate_pending(d)) {
		long used = imap_deflate_in(d, raw + at, len - at, out);

		assert_true(used >= 0);
		at += (size_t)used;
		assert_true(evbuffer_get_length(out) <= IMAP_INFLATE_MAX + 16384);
		total += evbuffer_get_length(out);
		evbuffer_drain(out, evbuffer_get_length(out));
	}
	assert_int_equal(total, 10000000);
	imap_deflate_free(d);
	evbuffer_free(out);
	free(zeros);
	free(raw);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_stream),
		cmocka_unit_test(test_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
