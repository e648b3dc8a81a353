/* SPDX-License-Identifier: ISC */
/* Payloads of the change log: whatever they hold, the folder in memory stays in order. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "mailbox/store_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char dir[] = "/tmp/fife-fuzz-XXXXXX";
static struct store *store;

static void
remove_dir(void)
{
	char cmd[64];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		return;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct folder *f;
	uint32_t last = 0;

	if (store == NULL) {
		int fd;

		log_set_stderr(0);
		if (mkdtemp(dir) == NULL ||
		    (fd = open(dir, O_RDONLY | O_DIRECTORY)) == -1 ||
		    store_open(fd, 0, &store) != STORE_OK)
			abort();
		close(fd);
		atexit(remove_dir);
	}
	(void)log_apply(store, data, size);
	f = folder_lookup(store, "INBOX");
	for (size_t i = 0; i < f->n; i++) {
		if (f->msgs[i].uid <= last)
			abort();
		last = f->msgs[i].uid;
	}
	if (f->loaded && f->uidnext <= last)
		abort();
	folder_unload(f);
	map_clear(&f->unlinks);
	f->uidnext = 1;
	store->n_delivered = 0;
	return 0;
}
