/* SPDX-License-Identifier: ISC */
/*
 * mbox and tar archives that an administrator got from somewhere: the same is read in
 * pieces of any size, and a message that mbox has given is written to be read again.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/mbox_format.h"
#include "common/proto/tar_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct got {
	struct evbuffer *text; /* of everything */
	struct evbuffer *first;
	int messages;
};

static int
begin(void *arg, int64_t internal)
{
	struct got *g = arg;

	evbuffer_add_printf(g->text, "[%lld]", (long long)internal);
	g->messages++;
	return 0;
}

static int
tar_begin(void *arg, const char *name, uint64_t size, int64_t mtime)
{
	if (strlen(name) > TAR_NAME_MAX)
		abort();
	evbuffer_add_printf(
	    ((struct got *)arg)->text, "<%s %llu>", name, (unsigned long long)size);
	return begin(arg, mtime);
}

static int
data(void *arg, const uint8_t *p, size_t len)
{
	struct got *g = arg;

	if (g->messages == 0)
		abort();
	evbuffer_add(g->text, p, len);
	if (g->messages == 1)
		evbuffer_add(g->first, p, len);
	return 0;
}

static int
end(void *arg, uint8_t flags, const char *keywords)
{
	evbuffer_add_printf(((struct got *)arg)->text, "{%u %s}", flags, keywords);
	return 0;
}

static int
tar_end(void *arg)
{
	return end(arg, 0, "");
}

static const struct mbox_sink mbox_sink = { begin, data, end };
static const struct tar_sink tar_sink = { tar_begin, data, tar_end };

static int
read_all(int tar, const uint8_t *p, size_t len, size_t step, struct got *g)
{
	struct mbox_reader m;
	struct tar_reader t;
	int e = 0;

	g->text = evbuffer_new();
	g->first = evbuffer_new();
	g->messages = 0;
	mbox_reader_init(&m, &mbox_sink, g);
	tar_reader_init(&t, &tar_sink, g);
	for (size_t i = 0; i < len && e == 0; i += step) {
		size_t n = step < len - i ? step : len - i;

		e = tar ? tar_reader_feed(&t, p + i, n) : mbox_reader_feed(&m, p + i, n);
	}
	if (e == 0)
		e = tar ? tar_reader_finish(&t) : mbox_reader_finish(&m);
	return e;
}

static void
clear(struct got *g)
{
	evbuffer_free(g->text);
	evbuffer_free(g->first);
}

static int
same(struct evbuffer *a, struct evbuffer *b)
{
	size_t n = evbuffer_get_length(a);

	return n == evbuffer_get_length(b) &&
	       (n == 0 || memcmp(evbuffer_pullup(a, -1), evbuffer_pullup(b, -1), n) == 0);
}

/* What mbox has given goes through it unchanged. */
static void
again(struct got *g)
{
	struct evbuffer *out = evbuffer_new();
	struct mbox_writer w;
	struct got h;
	size_t n = evbuffer_get_length(g->first), len;
	const uint8_t *p = n > 0 ? evbuffer_pullup(g->first, -1) : (const uint8_t *)"";

	mbox_write_begin(&w, out, "a@b.test", 5, 1, "k", p, n);
	mbox_write(&w, out, p, n);
	mbox_write_end(&w, out);
	mbox_write_begin(&w, out, "a@b.test", 5, 0, "", p, n);
	mbox_write_end(&w, out);
	len = evbuffer_get_length(out);
	if (read_all(0, evbuffer_pullup(out, -1), len, len, &h) != 0 || h.messages != 2 ||
	    (n > 0 && !same(g->first, h.first)))
		abort();
	clear(&h);
	evbuffer_free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t size)
{
	struct got a, b;
	int tar, e;

	if (size < 2)
		return 0;
	tar = p[0] & 1;
	e = read_all(tar, p + 2, size - 2, size, &a);
	if (read_all(tar, p + 2, size - 2, (size_t)p[1] + 1, &b) != e)
		abort();
	if (!same(a.text, b.text))
		abort();
	if (e == 0 && !tar && a.messages > 0)
		again(&a);
	clear(&a);
	clear(&b);
	return 0;
}
