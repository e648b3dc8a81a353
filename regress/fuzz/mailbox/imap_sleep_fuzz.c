/* SPDX-License-Identifier: ISC */
/* What a session that was put away is made of (imap_sleep.h): octets that make sense give
 * a session that goes on, and can be put away again. */
#include <event2/buffer.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailbox/imap.h"
#include "mailbox/imap_sleep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static int dirfd_ = -1;
static struct store *store;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void
feed(struct imap *s, const char *text)
{
	size_t len = strlen(text), at = 0;

	while (at < len && !imap_ended(s)) {
		at += imap_input(s, (const uint8_t *)text + at, len - at);
		while (imap_run(s, 0) || !(imap_idle(s) || imap_ended(s)))
			;
		evbuffer_drain(imap_output(s), evbuffer_get_length(imap_output(s)));
	}
}

static void
at_exit(void)
{
	store_close(store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
begin(void)
{
	struct imap *s;

	strcpy(dir, "/dev/shm/fife-sleep-fuzz-XXXXXX");
	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) == -1 ||
	    store_open(dirfd_, 0, &store) != STORE_OK)
		abort();
	atexit(at_exit);
	s = imap_new(store, NULL, NULL);
	for (int i = 0; i < 5; i++)
		feed(s, "a APPEND INBOX {26+}\r\nSubject: x\r\n\r\nbody\r\nmore\r\n\r\n");
	imap_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap *s;
	struct evbuffer *b;
	uint8_t *own;

	if (store == NULL)
		begin();
	s = imap_new(store, NULL, NULL);
	b = evbuffer_new();
	/* The first octets say how to make octets that check against the folder. */
	if (size > 0 && (data[0] & 0x80)) {
		size_t len;

		feed(s, data[0] & 1 ? "a SELECT INBOX\r\nb SEARCH RETURN (SAVE) 2:3\r\n"
				    : "a EXAMINE INBOX\r\n");
		if (data[0] & 2)
			feed(s, "c IDLE\r\n");
		if (imap_sleep(s, b) == 0) {
			len = evbuffer_get_length(b);
			own = evbuffer_pullup(b, -1);
			for (size_t i = 1; i + 1 < size && i < 40; i += 2)
				own[data[i] % len] ^= data[i + 1];
			imap_free(s);
			s = imap_new(store, NULL, NULL);
			if (imap_wake(s, own, len) == -1)
				imap_bye(s, "no");
		}
	} else if (imap_wake(s, data, size) == -1)
		imap_bye(s, "no");
	while (imap_run(s, 0))
		;
	feed(s, "DONE\r\nx NOOP\r\ny FETCH 1:* (UID FLAGS)\r\nz NOOP\r\n");
	evbuffer_drain(b, evbuffer_get_length(b));
	(void)imap_sleep(s, b);
	evbuffer_free(b);
	imap_free(s);
	return 0;
}
