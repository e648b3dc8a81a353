/* SPDX-License-Identifier: ISC */
/*
 * A whole IMAP session on a mailbox with a message; two sessions in turn, so that
 * changes are told across. The mailbox is made anew now and then.
 */
#include <event2/buffer.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailbox/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static int dirfd_ = -1;
static struct store *store;
static unsigned int uses;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void
feed(struct imap *s, const uint8_t *data, size_t size)
{
	size_t at = 0, rounds = 0;

	while (at < size && !imap_ended(s)) {
		at += imap_input(s, data + at, size - at);
		(void)imap_take_compress(s);
		while (imap_run(s, 0) || !(imap_idle(s) || imap_ended(s)))
			evbuffer_drain(
			    imap_output(s), evbuffer_get_length(imap_output(s)));
		evbuffer_drain(imap_output(s), evbuffer_get_length(imap_output(s)));
		if (++rounds > size + 10)
			abort();
	}
}

static void
fresh(void)
{
	static const char first[] =
	    "a APPEND INBOX {26+}\r\nSubject: x\r\n\r\nbody\r\nmore\r\n\r\n";
	struct imap *s;

	if (store != NULL) {
		store_close(store);
		close(dirfd_);
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	strcpy(dir, "/dev/shm/fife-imap-fuzz-XXXXXX");
	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) == -1 ||
	    store_open(dirfd_, 1024 * 1024, &store) != STORE_OK)
		abort();
	s = imap_new(store, NULL, NULL);
	feed(s, (const uint8_t *)first, sizeof(first) - 1);
	imap_free(s);
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
	static const struct imap_offer offer = { .quotaset = true };
	struct imap *s, *t;

	if (uses == 0)
		atexit(at_exit);
	if (uses++ % 200 == 0)
		fresh();
	s = imap_new(store, NULL, NULL);
	t = imap_new(store, NULL, NULL);
	if (s == NULL || t == NULL)
		abort();
	/* An administrator's, whom nobody answers. */
	imap_set_owner(s, "a@b");
	imap_set_offer(s, &offer);
	feed(t, (const uint8_t *)"t SELECT INBOX\r\n", 16);
	feed(s, data, size / 2);
	feed(t, (const uint8_t *)"t NOOP\r\n", 8);
	feed(s, data + size / 2, size - size / 2);
	feed(t, (const uint8_t *)"t UID FETCH 1:* (FLAGS BODYSTRUCTURE)\r\n", 39);
	imap_free(t);
	imap_free(s);
	return 0;
}
