/* SPDX-License-Identifier: ISC */
/* Names of files and directories that other programs may have put into a Maildir. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/maildir.h"
#include "mailbox/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char in[600], name[STORE_NAME_MAX + 1], dir[MAILDIR_NAME_MAX + 1];
	char out[MAILDIR_NAME_MAX + 1];
	struct maildir_name m, again;

	if (size >= sizeof(in))
		return 0;
	memcpy(in, data, size);
	in[size] = '\0';
	maildir_name_parse(in, &m);
	if (m.unique_len > m.base_len || m.base_len > strlen(in))
		abort();
	if (maildir_name_print(in, m.unique_len, &m, out) == 0) {
		maildir_name_parse(out, &again);
		/* Without a ':' of its own the name says the same again. */
		if (again.uid != m.uid || again.has_uid != m.has_uid ||
		    again.flags != m.flags || again.keywords != m.keywords ||
		    again.queue_id != m.queue_id)
			abort();
	}
	if (maildir_folder_name(in, name, sizeof(name)) == 0 &&
	    (maildir_folder_dir(name, dir, sizeof(dir)) == -1 || strcmp(dir, in) != 0))
		abort();
	if (maildir_folder_canonical(in, name, sizeof(name)) == 0 &&
	    maildir_folder_dir(name, dir, sizeof(dir)) == 0) {
		char back[STORE_NAME_MAX + 1];

		if (strchr(dir, '/') != NULL ||
		    maildir_folder_name(dir, back, sizeof(back)) == -1 ||
		    strcmp(back, name) != 0)
			abort();
	}
	return 0;
}
