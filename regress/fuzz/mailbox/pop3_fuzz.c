/* SPDX-License-Identifier: ISC */
/* A whole POP3 session on a mailbox with one message, which comes back when it is
 * deleted. */
#include <event2/buffer.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailbox/pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64] = "/dev/shm/fife-pop3-fuzz-XXXXXX";
static struct store *store;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void
at_exit(void)
{
	store_close(store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
refill(void)
{
	static const char msg[] = "A: b\r\n\r\n.x\r\n\r\n..\r\ny\nz";
	struct folder *f;
	struct append *a;
	uint32_t uid;

	if (store == NULL) {
		if (mkdtemp(dir) == NULL ||
		    store_open(open(dir, O_RDONLY | O_DIRECTORY), 0, &store) != STORE_OK)
			abort();
		atexit(at_exit);
	}
	if (folder_open(store, "INBOX", &f) != STORE_OK)
		abort();
	if (folder_count(f) == 0 &&
	    (append_begin(f, sizeof(msg) - 1, &a) != STORE_OK ||
		append_write(a, msg, sizeof(msg) - 1) != STORE_OK ||
		append_commit(a, 0, 0, -1, &uid) != STORE_OK))
		abort();
	folder_close(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char hello[] =
	    "FIFE utf8=0 strict=1 lang=en delay=0 sasl= PLAIN\r\n";
	struct pop3 *p;
	size_t at = 0;

	refill();
	/* pop3d says hello; one that was taken over, anything. */
	if ((p = pop3_new(store, "*,!Junk", NULL)) == NULL)
		abort();
	if (size == 0 || data[0] != 'F')
		pop3_input(p, (const uint8_t *)hello, sizeof(hello) - 1);
	while (at < size && !pop3_ended(p)) {
		at += pop3_input(p, data + at, size - at);
		while (pop3_run(p, 0))
			;
		evbuffer_drain(pop3_output(p), evbuffer_get_length(pop3_output(p)));
	}
	pop3_free(p);
	return 0;
}
