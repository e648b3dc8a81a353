/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TEST_MAILBOX_IMAP_FIXTURE_H
#define FIFE_TEST_MAILBOX_IMAP_FIXTURE_H

/*
 * Dialogues with the IMAP machine on a mailbox in a directory of its own, in one piece
 * and byte by byte. In what is wanted "#" stands for a number, "@" at a line's end for
 * the rest of the line.
 */

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "mailbox/imap.h"
#include "mailbox/store.h"

extern size_t index_eager_max; /* mailbox/store_int.h */

static char dir[64];
static int dirfd_ = -1;
static struct store *store;

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int
setup(void **state)
{
	strcpy(dir, "/tmp/fife-imap-XXXXXX");
	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) == -1)
		return -1;
	index_eager_max = 0; /* as if all folders were large */
	return store_open(dirfd_, 0, &store) == STORE_OK ? 0 : -1;
}

static inline int
teardown(void **state)
{
	store_close(store);
	close(dirfd_);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
drive(struct imap *s, const char *in, size_t len, size_t step, struct evbuffer *out)
{
	for (size_t at = 0; at < len && !imap_ended(s);) {
		size_t end = at + step < len ? at + step : len;

		at += imap_input(s, (const uint8_t *)in + at, end - at);
		(void)imap_take_compress(s);
		evbuffer_add_buffer(out, imap_output(s));
		while (imap_run(s, 0) || !(imap_idle(s) || imap_ended(s)))
			evbuffer_add_buffer(out, imap_output(s));
		evbuffer_add_buffer(out, imap_output(s));
	}
}

static inline void
like(const char *got, const char *want)
{
	const char *g = got, *w = want;

	while (*w != '\0') {
		if (*w == '#' && *g >= '0' && *g <= '9') {
			g += strspn(g, "0123456789");
			w++;
		} else if (*w == '@' && w[1] == '\r') {
			g += strcspn(g, "\r");
			w++;
		} else if (*w == *g) {
			w++;
			g++;
		} else
			break;
	}
	if (*w != '\0' || *g != '\0')
		fail_msg("got:\n%s\nwanted:\n%s\nfrom here:\n%s", got, want, w);
}

static inline void
say(struct imap *s, size_t step, const char *in, const char *want)
{
	struct evbuffer *out = evbuffer_new();

	drive(s, in, strlen(in), step, out);
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

static inline void
with_steps(void (*dialogue)(size_t step))
{
	static const size_t steps[] = { 1, 7, 100000 };

	for (size_t i = 0; i < 3; i++) {
		if (i > 0) {
			assert_int_equal(teardown(NULL), 0);
			assert_int_equal(setup(NULL), 0);
		}
		dialogue(steps[i]);
	}
}

#define FLAGS "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
#define PERMANENT                                                                    \
	"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] " \
	"Flags "                                                                     \
	"permitted\r\n"
#define UIDS                                                                         \
	"* OK [UIDVALIDITY #] UIDs valid\r\n* OK [UIDNEXT #] Predicted next UID\r\n" \
	"* OK [HIGHESTMODSEQ #] Highest\r\n* OK [MAILBOXID @\r\n"                    \
	"* OK [URLMECH INTERNAL] Ok\r\n"
#define M1                                                               \
	"Subject: one\r\nFrom: a@b.c\r\nDate: Mon, 7 Feb 1994 21:52:25 " \
	"-0800\r\n\r\nHello Joe\r\n"
#define M2 "Subject: two\r\n\r\nsecond\r\n"

static inline void
append(struct imap *s, size_t step, const char *mailbox, const char *options,
    const char *msg)
{
	char buf[1000];

	snprintf(buf, sizeof(buf), "x APPEND %s %s{%zu+}\r\n%s\r\n", mailbox, options,
	    strlen(msg), msg);
	say(s, step, buf, "x OK [APPENDUID # #] APPEND completed\r\n");
}

#endif
