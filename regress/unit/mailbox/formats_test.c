/* SPDX-License-Identifier: ISC */
/* mbox and tar: what is written comes back, whole and octet by octet; what is foreign. */
#include <event2/buffer.h>

#include "common/compat/compat.h"
#include "mailbox/mbox_format.h"
#include "common/proto/tar_format.h"
#include "regress/unit/mailbox/fixture.h"

/* What came out of a reader, as text. */
struct got {
	char text[16384];
	size_t len;
	int stop; /* answer of the next begin */
};

static void
say(struct got *g, const char *s, size_t len)
{
	assert_true(g->len + len < sizeof(g->text));
	memcpy(g->text + g->len, s, len);
	g->len += len;
	g->text[g->len] = '\0';
}

static int
mbox_begin(void *arg, int64_t internal)
{
	char line[64];

	snprintf(line, sizeof(line), "[%lld]", (long long)internal);
	say(arg, line, strlen(line));
	return ((struct got *)arg)->stop;
}

static int
got_data(void *arg, const uint8_t *p, size_t len)
{
	say(arg, (const char *)p, len);
	return 0;
}

static int
mbox_end(void *arg, uint8_t flags, const char *keywords)
{
	char line[1200];

	snprintf(line, sizeof(line), "{%u %s}", flags, keywords);
	say(arg, line, strlen(line));
	return 0;
}

static const struct mbox_sink mbox_sink = { mbox_begin, got_data, mbox_end };

static int
read_mbox(const char *text, size_t len, size_t step, struct got *g)
{
	struct mbox_reader r;
	int e = 0;

	memset(g, 0, sizeof(*g));
	mbox_reader_init(&r, &mbox_sink, g);
	for (size_t i = 0; i < len && e == 0; i += step)
		e = mbox_reader_feed(
		    &r, (const uint8_t *)text + i, step < len - i ? step : len - i);
	return e != 0 ? e : mbox_reader_finish(&r);
}

static void
expect_mbox(const char *text, const char *expected)
{
	static struct got g;

	for (size_t step = 1; step < 5000; step = step * 3 + 1) {
		assert_int_equal(read_mbox(text, strlen(text), step, &g), 0);
		assert_string_equal(g.text, expected);
	}
}

static void
test_mbox_reading(void **state)
{
	static struct got g;

	expect_mbox("", "");
	expect_mbox(
	    "From a@b Mon Jan  2 15:04:05 2006\nSubject: x\n\nFrom me\n>From you\n"
	    ">>From\n>>From \n\n\nFrom b Tue Jan  3 15:04 2006\n\nFrom c\n",
	    "[1136214245]Subject: x\r\n\r\nFrom me\r\nFrom you\r\n>>From\r\n>From "
	    "\r\n\r\n{0 }[1136300640]\r\nFrom c\r\n{0 }");
	/* CRLF, an empty line first, no end of the last line, zone and remote. */
	expect_mbox("\r\nFrom a b Mon Jan  2 15:04:05 2006 -0700\r\nA: b\r\n\r\nx\r\r\ny",
	    "[1136239445]A: b\r\n\r\nx\r\r\ny\r\n{0 }");
	/* Status fields at the top are taken away, those further down are read. */
	expect_mbox(
	    "From a Mon Jan  2 15:04:05 2006\nStatus: RO\nX-Status: AF\nX-Keywords: "
	    "$One two\nstatus: R\nA: b\n\n\n",
	    "[1136214245]status: R\r\nA: b\r\n\r\n{7 $One two}");
	expect_mbox(
	    "From a Mon Jan  2 15:04:05 2006\nA: b\nStatus: RO\nX-Status: T\n\nX-Status: "
	    "D\n\n",
	    "[1136214245]A: b\r\nStatus: RO\r\nX-Status: T\r\n\r\nX-Status: D\r\n{17 }");
	expect_mbox("From a Mon Jan  2 15:04:05 2006\n", "[1136214245]{0 }");
	for (size_t step = 1; step < 20; step++) {
		assert_int_equal(read_mbox("nonsense\n", 9, step, &g), -1);
		assert_int_equal(read_mbox("From here\nto there\n", 19, step, &g), -1);
		assert_int_equal(read_mbox("From", 4, step, &g), -1);
	}
}

static void
test_mbox_stops(void **state)
{
	static const char text[] = "From a Mon Jan  2 15:04:05 2006\n\nx\n";
	struct mbox_reader r;
	struct got g = { .stop = 7 };

	mbox_reader_init(&r, &mbox_sink, &g);
	assert_int_equal(
	    mbox_reader_feed(&r, (const uint8_t *)text, sizeof(text) - 1), 7);
}

static void
round_trip(const char *text, size_t len, uint8_t flags, const char *keywords, size_t step)
{
	static struct got g;
	struct evbuffer *out = evbuffer_new();
	struct mbox_writer w;
	char expected[8192], mbox[16384];
	size_t n;

	/* Two of them, so that the separator is looked at. */
	for (int i = 0; i < 2; i++) {
		mbox_write_begin(&w, out, "a@b.test", 1136214245, flags, keywords,
		    (const uint8_t *)text, len < 16 ? len : 16);
		for (size_t j = 0; j < len; j += step)
			mbox_write(&w, out, (const uint8_t *)text + j,
			    step < len - j ? step : len - j);
		mbox_write_end(&w, out);
	}
	n = evbuffer_get_length(out);
	assert_true(n < sizeof(mbox));
	evbuffer_remove(out, mbox, n);
	evbuffer_free(out);
	assert_null(memchr(mbox, '\0', n));
	assert_int_equal(read_mbox(mbox, n, step, &g), 0);
	snprintf(expected, sizeof(expected),
	    "[1136214245]%.*s{%u %s}[1136214245]%.*s{%u %s}", (int)len, text, flags,
	    keywords, (int)len, text, flags, keywords);
	assert_string_equal(g.text, expected);
}

static void
test_mbox_round_trip(void **state)
{
	static const char *const texts[] = { "Subject: x\r\n\r\nbody\r\n",
		"Subject: x\r\n\r\nFrom a\r\n>From b\r\n>>>>From "
		"c\r\n>Fro\r\nFrom\r\n\r\n",
		"\r\n", "\r\n\r\n\r\n", "x\r\n", "Status: RO\r\nX-Status: D\r\n\r\n",
		"X-Keywords: a\r\n\r\n", "x-status: F\r\nA: b\r\n\r\nx\ry\r\r\n",
		"A: b\r\n\r\n>\r\n>F\r\n> From\r\nFrom \r\n",
		"A: b\r\n\r\nFrom a Mon Jan  2 15:04:05 2006\r\n\r\nFrom a Mon Jan  2 "
		"15:04:05 2006\r\n" };
	char line[4000];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t step = 1; step < 100; step = step * 2 + 1) {
			round_trip(texts[i], strlen(texts[i]), 0, "", step);
			round_trip(texts[i], strlen(texts[i]), FLAG_SEEN, "", step);
			round_trip(texts[i], strlen(texts[i]), 0, "$A b", step);
			round_trip(texts[i], strlen(texts[i]),
			    FLAG_ANSWERED | FLAG_DRAFT | FLAG_DELETED, "$A", step);
		}
	/* Lines around the length that is looked at, with a CR at the edge. */
	for (size_t n = MBOX_LINE_MAX - 3; n < MBOX_LINE_MAX + 4; n++)
		for (size_t start = 0; start < 2; start++) {
			memset(line, start ? '>' : 'x', n);
			memcpy(line + n, "\rFrom y\r\n", 9);
			round_trip(line, n + 9, 0, "", 1000);
			round_trip(line, n + 9, 0, "", 1);
			memcpy(line + n, "From y\r\n", 8);
			if (!start)
				round_trip(line, n + 8, 0, "", 7);
			memcpy(line + n, "\r\n", 2);
			round_trip(line, n + 2, 0, "", 4000);
		}
}

/* ---- tar ---- */

static int
tar_begin(void *arg, const char *name, uint64_t size, int64_t mtime)
{
	char line[1200];

	snprintf(line, sizeof(line), "[%s %llu %lld]", name, (unsigned long long)size,
	    (long long)mtime);
	say(arg, line, strlen(line));
	return ((struct got *)arg)->stop;
}

static int
tar_end(void *arg)
{
	say(arg, ";", 1);
	return 0;
}

static const struct tar_sink tar_sink = { tar_begin, got_data, tar_end };

static int
read_tar(const uint8_t *p, size_t len, size_t step, struct got *g)
{
	struct tar_reader r;
	int e = 0;

	memset(g, 0, sizeof(*g));
	tar_reader_init(&r, &tar_sink, g);
	for (size_t i = 0; i < len && e == 0; i += step)
		e = tar_reader_feed(&r, p + i, step < len - i ? step : len - i);
	return e != 0 ? e : tar_reader_finish(&r);
}

static void
test_tar_round_trip(void **state)
{
	static const size_t lengths[] = { 1, 50, 99, 100, 101, 102, 155, 400, 980, 992,
		1000 };
	static uint8_t tar[65536];
	static struct got g;
	char name[1100], expected[8192] = "", part[1200];
	size_t n = 0;

	memset(tar, 0, sizeof(tar));
	for (size_t i = 0; i < 4; i++) {
		memset(name, 'a' + (int)i, lengths[i]);
		name[lengths[i]] = '\0';
		n += tar_write_header(tar + n, name, i, 1136214245, '0');
		memcpy(tar + n, "xyz", i);
		n += i + TAR_PAD(i);
		snprintf(part, sizeof(part), "[%s %zu 1136214245]%.*s;", name, i, (int)i,
		    "xyz");
		strlcat(expected, part, sizeof(expected));
	}
	n += tar_write_header(tar + n, "dir/", 0, 0, '5');
	for (size_t step = 1; step < 5000; step = step * 3 + 1) {
		assert_int_equal(read_tar(tar, n + TAR_BLOCK * 2, step, &g), 0);
		assert_string_equal(g.text, expected);
		/* Without its end it is good too, but not within an entry. */
		assert_int_equal(read_tar(tar, n, step, &g), 0);
		assert_int_equal(read_tar(tar, n - 1, step, &g), -1);
		assert_int_equal(read_tar(tar, TAR_BLOCK * 3 + 1, step, &g), -1);
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(tar, 0, sizeof(tar));
		memset(name, 'n', lengths[i]);
		name[lengths[i]] = '\0';
		n = tar_write_header(tar, name, 0, 5, '0');
		assert_true(n > 0 && n <= TAR_HEADER_MAX && n % TAR_BLOCK == 0);
		assert_int_equal(read_tar(tar, n + TAR_BLOCK, 512, &g), 0);
		snprintf(expected, sizeof(expected), "[%s 0 5];", name);
		assert_string_equal(g.text, expected);
	}
	memset(name, 'n', 1050);
	name[1050] = '\0';
	assert_int_equal(tar_write_header(tar, name, 0, 0, '0'), 0);
}

static void
test_tar_damaged(void **state)
{
	static uint8_t tar[TAR_BLOCK * 8];
	static struct got g;
	size_t n;

	/* Nothing, zeros alone, text, a wrong sum. */
	assert_int_equal(read_tar(tar, 0, 1, &g), -1);
	assert_int_equal(read_tar(tar, TAR_BLOCK * 2, 100, &g), -1);
	memset(tar, 'x', TAR_BLOCK);
	assert_int_equal(read_tar(tar, TAR_BLOCK, 100, &g), -1);
	memset(tar, 0, sizeof(tar));
	n = tar_write_header(tar, "name", 3, 0, '0');
	tar[0] ^= 1;
	assert_int_equal(read_tar(tar, n + TAR_BLOCK, 100, &g), -1);
	assert_string_equal(g.text, "");
	tar[0] ^= 1;
	assert_int_equal(read_tar(tar, n + TAR_BLOCK, 100, &g), 0);
	/* A long name beyond its bounds. */
	memset(tar, 0, sizeof(tar));
	n = tar_write_header(tar, "././@LongLink", 5000, 0, 'L');
	assert_int_equal(read_tar(tar, n, 100, &g), -1);
	/* pax records that lie about their length. */
	for (int i = 0; i < 6; i++) {
		static const char *const bad[] = { "99 path=a\n", "8 path=a\n",
			"path=a\n", "10 path=a", "0 path=a\n",
			"99999999999999999999 path=a\n" };

		memset(tar, 0, sizeof(tar));
		n = tar_write_header(tar, "pax", strlen(bad[i]), 0, 'x');
		memcpy(tar + n, bad[i], strlen(bad[i]));
		tar_write_header(tar + n + TAR_BLOCK, "name", 0, 0, '0');
		assert_int_equal(read_tar(tar, n + TAR_BLOCK * 3, 100, &g), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mbox_reading),
		cmocka_unit_test(test_mbox_stops), cmocka_unit_test(test_mbox_round_trip),
		cmocka_unit_test(test_tar_round_trip),
		cmocka_unit_test(test_tar_damaged) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
