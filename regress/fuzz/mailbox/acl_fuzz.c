/* SPDX-License-Identifier: ISC */
/* A folder's list of rights as a file has it, and identifiers as clients write them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/acl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[ACL_IDENTIFIER_MAX + 1], again[ACL_IDENTIFIER_MAX + 1];
	char text[ACL_RIGHTS_SIZE];
	struct acl a = { 0 };
	unsigned int rights;

	if (size == 0)
		return 0;
	if (data[0] == 'f') {
		if (acl_parse((const char *)data + 1, size - 1, &a) == 0)
			for (size_t i = 0; i < a.n; i++) {
				acl_rights_print(a.v[i].rights, true, text);
				if (acl_rights_told(text, strlen(text), &rights) == -1 ||
				    rights != a.v[i].rights)
					abort();
			}
		(void)acl_rights(&a, NULL, 0);
		acl_clear(&a);
		return 0;
	}
	if (acl_identifier(
		(const char *)data + 1, size - 1, "x.test", out, sizeof(out)) == -1)
		return 0;
	/* A line of a file holds it; what is quoted in an address is not written so. */
	if (strpbrk(out, "\n") != NULL || strlen(out) > ACL_IDENTIFIER_MAX)
		abort();
	if (acl_identifier(out, strlen(out), "x.test", again, sizeof(again)) == 0 &&
	    strcmp(out, again) != 0)
		abort();
	return 0;
}
