/* SPDX-License-Identifier: ISC */
/*
 * A session with another user's mailbox, whose process answers what it likes: pieces of
 * the input, separated by 0xff, in which "%T" stands for the tag that was last sent. What
 * reaches the client is still of the form of answers, and tells of nothing but that
 * mailbox.
 */
#include <event2/buffer.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailbox/imap_share.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define F "\"Other Users/a@x.test/f\""

static const char *const commands[] = { "s SELECT " F "\r\n", "f FETCH 1:* (FLAGS)\r\n",
	"c COPY 1 INBOX\r\n", "l LIST \"\" * RETURN (MYRIGHTS STATUS (MESSAGES))\r\n",
	"m MOVE 1 INBOX\r\n", "a APPEND " F " {3+}\r\nabc {3+}\r\nabc\r\n", "i IDLE\r\n",
	"DONE\r\n", "r REPLACE 1 " F " {3+}\r\nabc\r\n", "g GETACL " F "\r\n",
	"o SELECT INBOX\r\n", "p COPY 1:* " F "\r\n", "q MOVE 1 " F "\r\n",
	"t STATUS " F " (MESSAGES)\r\n", "u SELECT INBOX\r\n" };
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static char dir[64], tag[256];
static int dirfd_ = -1;
static struct store *store;
static struct imap *bob;
static struct imap_link *the_link;
static bool asked;
static struct imap_reply shown;
static struct evbuffer *out;
static unsigned int uses;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int
ask_owners(void *arg)
{
	asked = true;
	return 0;
}

static int
open_link(void *arg, struct imap_link *l)
{
	the_link = l;
	return 0;
}

static void
close_link(void *arg, struct imap_link *l)
{
	if (the_link == l)
		the_link = NULL;
}

static void
flush(void *arg, struct imap_link *l)
{
}

static int
more(void *arg, struct imap_link *l)
{
	return 0;
}

static int
tell(void *arg)
{
	return -1;
}

static void
forget(void *arg)
{
}

static const struct imap_share_ops ops = { ask_owners, open_link, close_link, flush, more,
	tell, forget };

/* What the client is shown has the form of answers, and each may come. */
static void
look(void)
{
	evbuffer_add_buffer(out, imap_output(bob));
	for (;;) {
		enum imap_reply_event ev = imap_reply_next(&shown, out);

		if (ev == IMAP_REPLY_MORE)
			return;
		/* URLMECH is said of one's own mailbox. */
		if (ev == IMAP_REPLY_LINE && shown.first && shown.s[0] == '*' &&
		    (shown.len < 13 || memcmp(shown.s, "* OK [URLMECH", 13) != 0) &&
		    imap_reply_kind(&shown) != IMAP_REPLY_STATUS &&
		    imap_reply_kind(&shown) != IMAP_REPLY_SELECTED &&
		    imap_reply_kind(&shown) != IMAP_REPLY_MAILBOX &&
		    imap_reply_kind(&shown) != IMAP_REPLY_BYE)
			abort();
		imap_reply_take(&shown, out, NULL, SIZE_MAX);
	}
}

static void
take_tag(void)
{
	char *line;
	size_t n;

	while (the_link != NULL &&
	       (line = evbuffer_readln(the_link->out, &n, EVBUFFER_EOL_LF)) != NULL) {
		n = strcspn(line, " \r");
		if (n > 0 && n < sizeof(tag)) {
			memcpy(tag, line, n);
			tag[n] = '\0';
		}
		free(line);
	}
}

static void
settle(void)
{
	const char *owners[] = { "a@x.test" };
	int rounds = 0;

	for (;;) {
		int again = imap_run(bob, 0);

		look();
		if (asked) {
			asked = false;
			imap_share_owners(bob, owners, 1);
			continue;
		}
		if (the_link != NULL && the_link->state == IMAP_LINK_ASKED) {
			imap_share_opened(the_link, false);
			continue;
		}
		take_tag();
		if (!again)
			return;
		if (++rounds > 100000)
			abort();
	}
}

static void
answer(const uint8_t *data, size_t size)
{
	if (the_link == NULL)
		return;
	for (size_t i = 0; i < size && the_link != NULL; i++) {
		if (size - i >= 2 && data[i] == '%' && data[i + 1] == 'T') {
			evbuffer_add(the_link->in, tag, strlen(tag));
			i++;
		} else
			evbuffer_add(the_link->in, data + i, 1);
		/* Commands wait for each other's answers. */
		if (data[i] == '\n') {
			imap_share_ready(the_link);
			settle();
		}
	}
	if (the_link != NULL)
		imap_share_ready(the_link);
	settle();
}

static void
fresh(void)
{
	if (store != NULL) {
		store_close(store);
		close(dirfd_);
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	strcpy(dir, "/dev/shm/fife-share-fuzz-XXXXXX");
	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) == -1 ||
	    store_open(dirfd_, 1024 * 1024, &store) != STORE_OK)
		abort();
}

static void
at_exit(void)
{
	store_close(store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (uses == 0)
		atexit(at_exit);
	if (uses++ % 500 == 0)
		fresh();
	if ((bob = imap_new(store, NULL, NULL)) == NULL ||
	    (out = evbuffer_new()) == NULL ||
	    imap_set_share(bob, &ops, NULL, "Other Users") == -1)
		abort();
	imap_reply_init(&shown);
	the_link = NULL;
	asked = false;
	for (size_t i = 0; i < N_COMMANDS && !imap_ended(bob); i++) {
		const char *in = commands[i];
		const uint8_t *end = size == 0 ? NULL : memchr(data, 0xff, size);
		size_t n = end == NULL ? size : (size_t)(end - data);
		int rounds = 0;

		/* A broken link is opened anew; what waits for one does not wait for
		 * ever. */
		while (*in != '\0' && !imap_ended(bob) && ++rounds < 1000) {
			size_t took =
			    imap_idle(bob)
				? imap_input(bob, (const uint8_t *)in, strlen(in))
				: 0;

			in += took;
			settle();
			if (took == 0) {
				answer(data, n);
				if (!imap_idle(bob) && the_link != NULL)
					imap_share_lost(the_link);
				settle();
			}
		}
		answer(data, n);
		if (!imap_idle(bob) && the_link != NULL) {
			imap_share_lost(the_link);
			settle();
		}
		data += n + (end != NULL);
		size -= n + (end != NULL);
	}
	imap_free(bob);
	evbuffer_free(out);
	return 0;
}
