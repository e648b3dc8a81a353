/* SPDX-License-Identifier: ISC */
/* Any octets as a record of _smtp._tls, and line by line as a file of counts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policyd/rua.h"
#include "policyd/tally_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rua r[RUA_MAX];
	int n = rua_parse(data, size, r);
	char *text, *line, *next;

	if (n > RUA_MAX)
		abort();
	for (int i = 0; i < n; i++)
		if ((r[i].scheme == RUA_MAILTO && strchr(r[i].address, '@') == NULL) ||
		    (r[i].scheme == RUA_HTTPS && r[i].path[0] != '/'))
			abort();
	if ((text = malloc(size + 1)) == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (next = text; (line = strsep(&next, "\n")) != NULL;)
		(void)tally_file_line(20417, line);
	free(text);
	tally_file_forget_numbers();
	while (tally_first() != NULL)
		tally_free(tally_first());
	if (tally_octets() != 0)
		abort();
	return 0;
}
