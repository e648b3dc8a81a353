/* SPDX-License-Identifier: ISC */
/* Dovecot's uidlist: all that is in it is found by name, and the order holds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/dovecot_uidlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dovecot_uidlist u;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	if (dovecot_uidlist_parse(&u, text, size) == -1)
		return 0;
	for (size_t i = 0; i < u.n; i++) {
		const struct dovecot_entry *e = dovecot_uidlist_find(&u, u.v[i].name);

		if (e == NULL || strcmp(e->name, u.v[i].name) != 0 ||
		    e->uid < u.v[i].uid || u.v[i].uid >= u.uidnext ||
		    (i > 0 && u.v[i - 1].uid >= u.v[i].uid))
			abort();
	}
	dovecot_uidlist_clear(&u);
	return 0;
}
